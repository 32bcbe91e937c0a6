package e2e

import (
	"os"
	"path/filepath"
	"testing"

	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/view"
)

// disputeDeeds are the commands about recorded facts that are disputed.
var disputeDeeds = []string{"dispute raise", "dispute list", "dispute show", "dispute answer"}

// doingDisputes does them, each once: the operator records, and an officer, whose
// account there is, answers. It is about no laptop, so that evidence of one has the
// same fields whenever it is made.
func doingDisputes(t *testing.T, x *talk, officer string, do func(...string) string) {
	t.Helper()
	key := asJSON[collectorapp.KeyAnswer](t, good(t, "caretaker-collector", "key", "create", "--account", officer, "--label", "disputes", "--data", x.Data, "--json"))
	file := filepath.Join(t.TempDir(), "key")
	must(t, os.WriteFile(file, []byte(key.Key+"\n"), 0o600))
	school := []string{"--school", schoolName}
	id := asJSON[view.Dispute](t, do(append([]string{"dispute", "raise", "she signed them in September", "--about", "uses", "--for", "Sam Carter"}, school...)...)).ID
	do(append([]string{"dispute", "answer", id, "read again, and it stands", "--not-upheld", "--key", file}, school...)...)
	do(append([]string{"dispute", "show", id}, school...)...)
	do(append([]string{"dispute", "list"}, school...)...)
	if o := command(t, "caretaker-collector", append([]string{"dispute", "answer", id, "again", "--upheld", "--data", x.Data}, school...)...); o.Status == 0 {
		t.Error("the console answers a dispute")
	}
}
