package system

import (
	"path"
	"strconv"
	"strings"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Files that ordinary users can write are parsed with these bounds.
const (
	maxPasswd   = 4 << 20
	maxUserDirs = 64 << 10
	maxPeople   = 1024
)

// homesOf returns the folders of the people in /etc/passwd. A person has a
// user id from 1000 to 65533 and a folder that is not a folder of the system.
// Root is nobody's name: see walkStarts for when its folder counts.
func homesOf(passwd string) []string {
	var homes []string
	for line := range strings.Lines(passwd) {
		field := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		if len(field) != 7 || len(homes) == maxPeople {
			continue
		}
		uid, err := strconv.ParseUint(field[2], 10, 32)
		if err != nil || uid < firstPerson || uid >= nobody {
			continue
		}
		if home := field[5]; isHome(home) {
			homes = append(homes, home)
		}
	}
	return homes
}

// isHome refuses what service accounts have for a home: the walk is for
// people's folders, not for the system.
func isHome(name string) bool {
	if !path.IsAbs(name) || path.Clean(name) != name || name == "/" || name == "/home" {
		return false
	}
	for _, system := range []string{
		"/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/nonexistent", "/proc", "/root", "/run",
		"/sbin", "/sys", "/tmp", "/usr", "/var/cache", "/var/empty", "/var/lib", "/var/log", "/var/run",
		"/var/spool", "/var/tmp",
	} {
		if name == system || below(system, name) {
			return false
		}
	}
	return true
}

// usualDirs are the folders of a home whose desktop never said otherwise.
var usualDirs = map[string]posture.Location{
	"Desktop":   posture.OnDesktop,
	"Downloads": posture.Downloads,
	"Documents": posture.Documents,
}

// userDirs reads what $HOME/.config/user-dirs.dirs says about where the
// desktop, downloads and documents are, in whatever language: paths relative
// to home. What it does not say is where it usually is.
func userDirs(text, home string) map[string]posture.Location {
	dirs := map[string]posture.Location{}
	said := map[posture.Location]bool{}
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		class := map[string]posture.Location{
			"XDG_DESKTOP_DIR":   posture.OnDesktop,
			"XDG_DOWNLOAD_DIR":  posture.Downloads,
			"XDG_DOCUMENTS_DIR": posture.Documents,
		}[key]
		if !ok || class == "" {
			continue
		}
		said[class] = true
		if dir, ok := belowHome(value, home); ok {
			dirs[dir] = class
		}
	}
	for dir, class := range usualDirs {
		if _, taken := dirs[dir]; !said[class] && !taken {
			dirs[dir] = class
		}
	}
	return dirs
}

// belowHome returns the path below home that a quoted value names. A value
// that names the home itself means that there is no such folder.
func belowHome(value, home string) (string, bool) {
	if len(value) < 2 || value[0] != '"' || value[len(value)-1] != '"' {
		return "", false
	}
	value = unbackslash(value[1 : len(value)-1])
	rest, ok := strings.CutPrefix(value, "$HOME/")
	if !ok {
		rest, ok = strings.CutPrefix(value, home+"/")
	}
	rest = path.Clean(rest)
	if !ok || rest == "." || rest == ".." || path.IsAbs(rest) || strings.HasPrefix(rest, "../") || strings.ContainsRune(rest, 0) {
		return "", false
	}
	return rest, true
}

func unbackslash(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
