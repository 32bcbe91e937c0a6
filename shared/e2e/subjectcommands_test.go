package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/caretaker-school/caretaker/collector/api"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
)

// subjectDeeds are the commands about requests of people for their data.
var subjectDeeds = []string{"subject receive", "subject list", "subject show", "subject record", "subject people", "subject export", "subject sheet"}

// doingSubjects does them, under the key of a data-protection officer.
func doingSubjects(t *testing.T, x *talk, officer string, do func(...string) string) {
	t.Helper()
	good(t, "caretaker-collector", "account", "create", "--role", "dpo", "--name", officer, "--data", x.Data)
	key := asJSON[collectorapp.KeyAnswer](t, good(t, "caretaker-collector", "key", "create", "--account", officer, "--label", "story", "--data", x.Data, "--json"))
	file := filepath.Join(t.TempDir(), "key")
	must(t, os.WriteFile(file, []byte(key.Key+"\n"), 0o600))
	with := []string{"--school", schoolName, "--key", file}
	id := asJSON[api.Request](t, do(append([]string{"subject", "receive", "Sam Carter", "--reason", "asked at the gate"}, with...)...)).ID
	do(append([]string{"subject", "people"}, with...)...)
	do(append([]string{"subject", "record", id, "identified", "--reason", "known to the office"}, with...)...)
	do(append([]string{"subject", "export", id, "--account", officer}, with...)...)
	do(append([]string{"subject", "sheet", id}, with...)...)
	do(append([]string{"subject", "show", id}, with...)...)
	do(append([]string{"subject", "list"}, with...)...)
}
