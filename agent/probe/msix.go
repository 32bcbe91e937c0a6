package probe

import (
	"strconv"
	"strings"
)

// packageName is the full name of a packaged app, such as
// "SpotifyAB.SpotifyMusic_1.251.512.0_x64__zpdnekdrzrea0":
// Name_Version_Architecture_Resource_Publisher.
type packageName struct {
	name, version, architecture string
	// resource is "" for an app, "~" for a bundle of one app for several
	// machines, or names the part of an app that it holds, such as
	// "split.language-cy".
	resource  string
	publisher string // a hash of the publisher's name, of 13 letters and digits
}

// parsePackageName takes a full name apart; false if it is none.
func parsePackageName(full string) (packageName, bool) {
	parts := strings.Split(full, "_")
	if len(parts) != 5 {
		return packageName{}, false
	}
	p := packageName{parts[0], parts[1], strings.ToLower(parts[2]), strings.ToLower(parts[3]), strings.ToLower(parts[4])}
	if !packageWord(p.name, 50) || !packageWord(p.publisher, 13) || len(p.publisher) != 13 || !validVersion(p.version) {
		return packageName{}, false
	}
	_, known := packageArchitectures[p.architecture]
	return p, known && (p.resource == "" || p.resource == "~" || packageWord(p.resource, 30))
}

// packageWord reports whether a text is of the letters that names of packages
// are made of.
func packageWord(s string, most int) bool {
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-' {
			return false
		}
	}
	return s != "" && len(s) <= most
}

// packageArchitectures are the machines that packages are made for, by the
// names that programs elsewhere use; "" for all of them.
var packageArchitectures = map[string]string{
	"x64": "amd64", "x86": "386", "arm": "arm", "arm64": "arm64", "neutral": "", "x86a64": "",
}

// frameworks are the parts that Microsoft's apps share, which nobody installs
// or starts.
var frameworks = []string{
	"microsoft.vclibs.", "microsoft.net.native.", "microsoft.ui.xaml.", "microsoft.windowsappruntime.",
	"microsoft.winappruntime.", "microsoftcorporationii.winappruntime.", "microsoft.directxruntime", "microsoft.services.store.engagement",
	"microsoft.advertising.xaml",
}

// microsoftPublisher is the hash of the name under which Microsoft publishes
// packages, so that nobody else's app hides behind a framework's name.
const microsoftPublisher = "8wekyb3d8bbwe"

// app reports whether the package is an app: no framework and no part of one
// that is listed beside it.
func (p packageName) app() bool {
	if strings.HasPrefix(p.resource, "split.") {
		return false
	}
	for _, f := range frameworks {
		if p.publisher == microsoftPublisher && strings.HasPrefix(strings.ToLower(p.name)+".", f) {
			return false
		}
	}
	return true
}

// validVersion reports whether a text is four numbers joined by dots.
func validVersion(s string) bool {
	parts := strings.Split(s, ".")
	for _, part := range parts {
		if _, err := strconv.ParseUint(part, 10, 16); err != nil {
			return false
		}
	}
	return len(parts) == 4
}
