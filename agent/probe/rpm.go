package probe

import (
	"context"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// rpmDatabases are the files in which rpm has kept its packages over the years.
var rpmDatabases = []string{
	"/usr/lib/sysimage/rpm/rpmdb.sqlite", "/usr/lib/sysimage/rpm/Packages.db", "/usr/lib/sysimage/rpm/Packages",
	"/var/lib/rpm/rpmdb.sqlite", "/var/lib/rpm/Packages.db", "/var/lib/rpm/Packages",
}

// rpmPrograms asks rpm, but only where it has a database: asked without one,
// rpm would make it, and the agent changes nothing.
func rpmPrograms(ctx context.Context, sys system.Reader) ([]posture.Program, error) {
	found, err := anyExists(ctx, sys, rpmDatabases...)
	if err != nil || !found {
		return nil, err
	}
	out, err := sys.Run(ctx, system.RPMPackages)
	if missing(err) {
		return nil, errUnknown // packages, and nothing that could read them
	}
	if err != nil {
		return nil, err
	}
	list, err := parseRPM(string(out.Stdout))
	if err == nil && out.Exit != 0 {
		err = errUnknown
	}
	return list, err
}

// parseRPM reads lines of name, version and release, architecture, vendor,
// with tabs between them.
func parseRPM(out string) ([]posture.Program, error) {
	var list []posture.Program
	for line := range strings.Lines(out) {
		whole := strings.HasSuffix(line, "\n")
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if !whole || len(fields) != 4 || fields[0] == "" {
			return list, errUnknown
		}
		if fields[0] == "gpg-pubkey" {
			continue // a key that rpm trusts, kept as if it were a package
		}
		if len(list) == programLimit {
			return list, errTooMany
		}
		list = append(list, posture.Program{
			Source: "rpm", Name: clean(fields[0], nameRunes), Version: clean(fields[1], nameRunes),
			Architecture: rpmField(fields[2], 40), Publisher: rpmField(fields[3], nameRunes),
		})
	}
	return list, nil
}

func rpmField(s string, limit int) string {
	if s == "(none)" {
		return ""
	}
	return clean(s, limit)
}
