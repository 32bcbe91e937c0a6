package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	collectorapp "github.com/caretaker-school/caretaker/collector/app"
)

// trustDeeds are the commands of trusts and groups.
var trustDeeds = []string{
	"trust join", "trust draft", "trust publish", "trust show", "trust allow", "trust end", "trust leave",
	"group add", "group remove", "group import", "group list", "device class", "policy choose",
}

// doingTrust has the school join a trust and leave it, and a laptop a group.
func doingTrust(t *testing.T, x *talk, person string, do func(...string) string) {
	t.Helper()
	manager := "Manager of " + person
	do("account", "create", "--role", "network-manager", "--name", manager)
	key := asJSON[collectorapp.KeyAnswer](t, do("key", "create", "--account", manager, "--label", "trust"))
	dir := t.TempDir()
	file, list := filepath.Join(dir, "key"), filepath.Join(dir, "groups.csv")
	must(t, os.WriteFile(file, []byte(key.Key+"\n"), 0o600))
	own, err := os.ReadFile("testdata/hollybank.yaml")
	must(t, err)
	stricter := filepath.Join(dir, "baseline.yaml") // than the policy in force, which is the other
	must(t, os.WriteFile(stricter, []byte(strings.Replace(string(own), "severity: medium", "severity: high", 1)), 0o600))
	must(t, os.WriteFile(list, []byte("device,class,groups\n"+x.Device+",school-multi-user,Choir;Year 6\n"), 0o600))
	for _, c := range [][]string{
		{"trust", "join", "Northfield Trust", "--school", schoolName, "--reason", "a story"},
		{"trust", "draft", stricter, "--trust", "Northfield Trust", "--reason", "a story"},
		{"trust", "publish", stricter, "--trust", "Northfield Trust", "--reason", "a story", "--key", file},
		{"trust", "allow", "HB-01", "--school", schoolName, "--lasts", "24h", "--reason", "a story", "--key", file},
		{"trust", "show", "--trust", "Northfield Trust"},
		{"trust", "end", "HB-01", "--school", schoolName, "--reason", "a story"},
		{"trust", "leave", "Northfield Trust", "--school", schoolName, "--reason", "a story", "--key", file},
		{"group", "add", "Science lab", x.Device, "--school", schoolName, "--reason", "a story"},
		{"group", "list", "--school", schoolName},
		{"group", "import", list, "--school", schoolName, "--reason", "a story"},
		{"group", "remove", "Choir", x.Device, "--school", schoolName, "--reason", "a story"},
		{"policy", "choose", "--media", "registered", "--programs", "deny", "--portable-programs", "allow", "--school", "School " + strings.TrimPrefix(person, "person-")},
		{"device", "class", "school-single-user", x.Device, "--school", schoolName, "--reason", "a story"},
	} {
		do(c...)
	}
	// As it was, for whoever does it again.
	good(t, "caretaker-collector", "group", "remove", "Year 6", x.Device, "--school", schoolName, "--reason", "a story", "--data", x.Data)
}
