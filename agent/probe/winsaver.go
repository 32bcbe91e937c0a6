package probe

import (
	"context"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
)

// saverThere says why a screen saver that a setting names may never start, or
// nil if its program is there. A policy is often set for a saver that nobody
// put on the machine, and then nothing starts, and nothing locks.
func saverThere(ctx context.Context, sys system.Reader, saver string) error {
	path, err := saverPath(ctx, sys, saver)
	if err != nil {
		return err
	}
	st, err := sys.Stat(ctx, "/"+strings.ReplaceAll(path, `\`, "/"))
	if missing(err) || err == nil && !st.Type.IsRegular() {
		return errUnknown // what Windows does then, it says nowhere
	}
	return err
}

// saverPath returns where a screen saver's program lies: a name without a
// folder is one of Windows' own.
func saverPath(ctx context.Context, sys system.Reader, saver string) (string, error) {
	path, below := parseSaver(saver)
	if below {
		key, err := mustSettings(ctx, sys, versionKey)
		if err != nil {
			return "", err
		}
		root, there, err := key.text("SystemRoot")
		switch {
		case err != nil:
			return "", err
		case !there:
			return "", errLost
		}
		path = strings.TrimRight(root, `\`) + `\` + path
	}
	if !mayLook(path) {
		return "", errNotVisible
	}
	return path, nil
}

// parseSaver takes the setting apart: a path, and whether it is one below
// Windows' own folder.
func parseSaver(saver string) (path string, below bool) {
	path = strings.Trim(strings.TrimSpace(saver), `"`)
	for _, name := range []string{`%systemroot%\`, `%windir%\`} {
		if len(path) > len(name) && strings.EqualFold(path[:len(name)], name) {
			return path[len(name):], true
		}
	}
	if !strings.ContainsAny(path, `\/:%`) {
		return `System32\` + path, true
	}
	return path, false
}

// mayLook reports whether a path is one on a drive of this machine, and not in
// a person's folder: the place of one there is not asked for, and of one on a
// server nothing.
func mayLook(path string) bool {
	const drive = `C:\`
	if len(path) <= len(drive) || path[1:len(drive)] != `:\` || path[0]|0x20 < 'a' || path[0]|0x20 > 'z' {
		return false
	}
	rest := strings.ToLower(path[len(drive):])
	return !strings.ContainsAny(rest, `/:%`) && !strings.HasPrefix(rest, "users") && !strings.Contains(rest, "..")
}
