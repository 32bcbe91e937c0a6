package probe

import (
	"context"
	"regexp"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// xprotectBundles are where the definitions of XProtect lie, the one in use
// first: macOS 15 moved them, and keeps an older copy in the old place.
var xprotectBundles = []string{
	"/var/protected/xprotect/XProtect.bundle/Contents/Info.plist",
	"/Library/Apple/System/Library/CoreServices/XProtect.bundle/Contents/Info.plist",
}

// xprotect describes the scanner that is a part of macOS. It needs no licence,
// and nobody says when its definitions were made, nor whether they are current:
// their maker publishes them when there is need, sometimes weeks apart.
func xprotect(ctx context.Context, sys system.Reader) posture.Antivirus {
	a := posture.Antivirus{
		Product: "xprotect", Name: "Apple XProtect", Version: unsupported[string](), Expired: posture.Read(false),
		Updating: xprotectUpdating(ctx, sys), DefinitionsAt: unsupportedTime, Undated: true, Current: unsupported[bool](),
	}
	out, err := sys.Run(ctx, system.XProtectStatus)
	switch {
	case missing(err):
		a.On = xprotectJobs(ctx, sys)
		// Before macOS 15 nothing says whether programs are scanned when they
		// start. Without its jobs they are not scanned at any other time.
		a.RealTime = unsupported[bool]()
	case err != nil:
		a.On, a.RealTime = absentFor[bool](err), absentFor[bool](err)
	default:
		a.RealTime, a.On = parseXProtect(out.Stdout)
	}
	a.Definitions = xprotectDefinitions(ctx, sys)
	return a
}

// parseXProtect reads
//
//	XProtect launch scans: enabled
//	XProtect background scans: enabled
func parseXProtect(out []byte) (launch, background posture.Reading[bool]) {
	launch, background = posture.Unread[bool](posture.Unreadable), posture.Unread[bool](posture.Unreadable)
	text, err := wholeText(out)
	if err != nil {
		return launch, background
	}
	for line := range strings.Lines(text) {
		what, state, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if state != "enabled" && state != "disabled" {
			continue
		}
		switch what {
		case "XProtect launch scans":
			launch = posture.Read(state == "enabled")
		case "XProtect background scans":
			background = posture.Read(state == "enabled")
		}
	}
	return launch, background
}

// xprotectJobs reports whether the two jobs of the scanner are loaded.
func xprotectJobs(ctx context.Context, sys system.Reader) posture.Reading[bool] {
	out, err := sys.Run(ctx, system.LaunchdJobs)
	if err != nil {
		return posture.Unread[bool](macAbsence(err))
	}
	return parseXProtectJobs(out.Stdout)
}

// parseXProtectJobs reads lines of a process, a status and a label. Each
// begins with that of the columns, or it is not the list.
func parseXProtectJobs(out []byte) posture.Reading[bool] {
	text, err := wholeText(out)
	if err != nil || !strings.HasPrefix(text, "PID\tStatus\tLabel\n") {
		return posture.Unread[bool](posture.Unreadable)
	}
	jobs := 0
	for line := range strings.Lines(text) {
		column := strings.Split(strings.TrimRight(line, "\n"), "\t")
		switch column[len(column)-1] {
		case "com.apple.XprotectFramework.PluginService", "com.apple.XProtect.daemon.scan":
			jobs++
		}
	}
	return posture.Read(jobs == 2)
}

var xprotectVersion = regexp.MustCompile(`^Version: ([0-9]{1,9})( |$)`)

// xprotectDefinitions returns the version of the definitions in use.
func xprotectDefinitions(ctx context.Context, sys system.Reader) posture.Reading[string] {
	out, err := sys.Run(ctx, system.XProtectVersion)
	switch {
	case err == nil:
		text, err := wholeText(out.Stdout)
		if m := xprotectVersion.FindStringSubmatch(text); err == nil && m != nil {
			return posture.Read(m[1])
		}
		return posture.Unread[string](posture.Unreadable)
	case !missing(err):
		return absentFor[string](err)
	}
	for _, path := range xprotectBundles {
		data, err := sys.File(ctx, path, configLimit)
		if missing(err) {
			continue
		}
		if err != nil {
			return absentFor[string](err)
		}
		info, err := parsePlist(data)
		if err != nil {
			return absentFor[string](err)
		}
		return cleaned(info.text("CFBundleShortVersionString"), nil)
	}
	return posture.Unread[string](posture.Unreadable)
}

// xprotectUpdating reports whether definitions install by themselves.
func xprotectUpdating(ctx context.Context, sys system.Reader) posture.Reading[bool] {
	prefs, err := readSoftwareUpdate(ctx, sys)
	if err != nil {
		return absentFor[bool](err)
	}
	return allOf(prefs.flag("AutomaticCheckEnabled"), prefs.flag("ConfigDataInstall"))
}

// allOf is a yes if all are, a no if one is known not to be.
func allOf(list ...posture.Reading[bool]) posture.Reading[bool] {
	all := posture.Read(true)
	for _, r := range list {
		all = both(all, r)
	}
	return all
}
