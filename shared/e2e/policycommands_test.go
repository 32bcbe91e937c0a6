package e2e

import (
	"os"
	"path/filepath"
	"testing"

	collectorapp "github.com/caretaker-school/caretaker/collector/app"
)

// policyDeeds are the commands of the life of a policy that doing does not do
// itself.
var policyDeeds = []string{
	"policy preview", "policy draft", "policy drafts", "policy approve", "policy withdraw", "policy approvers",
}

// doingPolicy has a text drafted at the console and approved by a head.
func doingPolicy(t *testing.T, person string, do func(...string) string) {
	t.Helper()
	head, draft := "Head who reads policies with "+person, "autumn-of-"+person
	do("account", "create", "--role", "head", "--name", head)
	key := asJSON[collectorapp.KeyAnswer](t, do("key", "create", "--account", head, "--label", "policies"))
	file := filepath.Join(t.TempDir(), "key")
	must(t, os.WriteFile(file, []byte(key.Key+"\n"), 0o600))
	for _, c := range [][]string{
		{"preview", "testdata/hollybank.yaml"},
		{"draft", "testdata/hollybank.yaml", "--name", draft, "--reason", "a story"},
		{"approve", draft, "--key", file, "--reason", "agreed"},
		{"drafts"},
		{"withdraw", draft, "--reason", "not this year"},
		{"approvers", "2", "--reason", "the governors ask for it"},
		{"approvers", "1", "--reason", "we are few"},
		{"approvers", "1", "--key", file, "--reason", "we are"},
	} {
		do(append(append([]string{"policy"}, c...), "--school", schoolName)...)
	}
}
