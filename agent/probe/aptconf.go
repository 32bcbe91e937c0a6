package probe

import (
	"context"
	"io/fs"
	"slices"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// aptAutomatic reports whether security updates install by themselves: the
// program is there, its timer is set, and apt's configuration asks for it.
func aptAutomatic(ctx context.Context, sys system.Reader) posture.Reading[bool] {
	installed, err := anyExists(ctx, sys, "/usr/bin/unattended-upgrade", "/usr/bin/unattended-upgrades")
	if err != nil {
		return absentFor[bool](err)
	}
	if !installed {
		return posture.Read(false)
	}
	timer, err := unitEnabled(ctx, sys, "apt-daily-upgrade.timer")
	if err != nil {
		return absentFor[bool](err)
	}
	if !timer {
		cron, err := exists(ctx, sys, "/etc/cron.daily/apt-compat")
		if err != nil {
			return absentFor[bool](err)
		}
		// The script of cron leaves the work to the timer where systemd runs.
		systemd, err := exists(ctx, sys, "/run/systemd/system")
		if err != nil {
			return absentFor[bool](err)
		}
		if !cron || systemd {
			return posture.Read(false)
		}
	}
	conf, err := aptConf(ctx, sys)
	if err != nil {
		return absentFor[bool](err)
	}
	on := func(key, otherwise string) bool {
		value, set := conf[key]
		if !set {
			value = otherwise
		}
		return value != "0" && value != "" && value != "false" && value != "no"
	}
	return posture.Read(on("apt::periodic::enable", "1") && on("apt::periodic::unattended-upgrade", "0") &&
		on("apt::periodic::update-package-lists", "0"))
}

// aptConf evaluates apt's configuration: the files of apt.conf.d in the order
// of their names, then apt.conf. A later value wins.
func aptConf(ctx context.Context, sys system.Reader) (map[string]string, error) {
	const dir = "/etc/apt/apt.conf.d"
	list, err := entries(ctx, sys, dir)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range list {
		if e.Type != fs.ModeDir && aptConfName(e.Name) {
			files = append(files, dir+"/"+e.Name)
		}
	}
	slices.Sort(files)
	conf := map[string]string{}
	for _, file := range append(files, "/etc/apt/apt.conf") {
		data, err := sys.File(ctx, file, configLimit)
		if missing(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		text, err := wholeText(data)
		if err != nil {
			return nil, err
		}
		if err := parseAPTConf(text, conf); err != nil {
			return nil, err
		}
	}
	return conf, nil
}

// aptConfName reports whether apt reads a file of that name: letters, digits,
// '-', '_' and '.', and no extension but ".conf".
func aptConfName(name string) bool {
	for _, r := range name {
		if r != '-' && r != '_' && r != '.' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return false
		}
	}
	_, extension, dotted := strings.Cut(name, ".")
	return name != "" && (!dotted || extension == "conf" || strings.HasSuffix(name, ".conf") && !strings.HasPrefix(name, "."))
}

// parseAPTConf reads scopes in braces, names with '::', values in quotes and
// three kinds of comments into conf, under names in lower case. Lists keep
// their last value. "#clear" forgets a name and all below it; "#include" is
// refused, because what it brings is not seen.
func parseAPTConf(text string, conf map[string]string) error {
	var scope, words []string
	name := func() string {
		if len(words) == 0 {
			return strings.Join(scope, "::")
		}
		return strings.ToLower(strings.Join(append(slices.Clone(scope), words[0]), "::"))
	}
	for len(text) > 0 {
		var token string
		var err error
		if token, text, err = aptToken(text); err != nil {
			return err
		}
		switch token {
		case "":
		case "{":
			if len(words) > 0 {
				scope = append(scope, strings.ToLower(words[0]))
			} else {
				scope = append(scope, "")
			}
			if len(scope) > 32 {
				return errUnknown
			}
			words = nil
		case "}":
			if len(scope) == 0 {
				return errUnknown
			}
			scope, words = scope[:len(scope)-1], nil
		case ";":
			if err := aptStatement(name(), words, conf); err != nil {
				return err
			}
			words = nil
		default:
			words = append(words, strings.TrimPrefix(token, `"`))
		}
	}
	if len(scope) > 0 || len(words) > 0 {
		return errUnknown // cut short
	}
	return nil
}

func aptStatement(name string, words []string, conf map[string]string) error {
	switch {
	case len(words) == 0:
	case strings.EqualFold(words[0], "#include"):
		return errUnknown
	case strings.EqualFold(words[0], "#clear"):
		for _, w := range words[1:] {
			w = strings.ToLower(w)
			for key := range conf {
				if key == w || strings.HasPrefix(key, w+"::") {
					delete(conf, key)
				}
			}
		}
	case len(words) == 2:
		conf[name] = words[1]
	}
	return nil
}

// aptToken cuts one token off the text: a brace, a semicolon, a word, or the
// inside of a quoted string after a '"'. Comments and white space give "".
func aptToken(text string) (token, rest string, err error) {
	upTo := func(end string) (string, string, error) {
		_, after, _ := strings.Cut(text, end)
		return "", after, nil
	}
	directive := len(text) > 1 && text[0] == '#' && (hasFold(text, "#clear") || hasFold(text, "#include"))
	switch {
	case strings.HasPrefix(text, "//"), text[0] == '#' && !directive:
		return upTo("\n")
	case strings.HasPrefix(text, "/*"):
		_, after, closed := strings.Cut(text[2:], "*/")
		if !closed {
			return "", "", errUnknown
		}
		return "", after, nil
	case strings.ContainsRune(" \t\r\n", rune(text[0])):
		return "", text[1:], nil
	case strings.ContainsRune("{};", rune(text[0])):
		return text[:1], text[1:], nil
	case text[0] == '"':
		value, after, closed := strings.Cut(text[1:], `"`)
		if !closed {
			return "", "", errUnknown
		}
		return `"` + value, after, nil
	}
	end := strings.IndexAny(text, " \t\r\n{};\"")
	if end < 0 {
		return text, "", nil
	}
	return text[:end], text[end:], nil
}

func hasFold(text, prefix string) bool {
	return len(text) >= len(prefix) && strings.EqualFold(text[:len(prefix)], prefix)
}
