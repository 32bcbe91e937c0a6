package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/collector/api"
	"github.com/caretaker-school/caretaker/collector/restricted"
)

// restrictedDeeds are the commands of restricted incidents, holds and the keys of
// seniors.
var restrictedDeeds = []string{
	"senior key", "senior list", "restricted open", "restricted agree", "restricted list", "restricted show", "restricted note", "restricted tell",
	"restricted link", "restricted correct", "restricted name", "restricted remove", "restricted close", "restricted reopen", "restricted decline",
	"hold place", "hold list", "hold bodies", "hold lift",
}

// doingRestricted does them, as two seniors and a third.
func doingRestricted(t *testing.T, x *talk, person string, answers map[string]string) {
	t.Helper()
	run := func(stdin string, args ...string) string {
		t.Helper()
		args = append(args, "--school", schoolName, "--data", x.Data)
		if stdin == "" {
			args = append(args, "--json")
			answers[args[0]+" "+args[1]] = good(t, "caretaker-collector", args...)
			return answers[args[0]+" "+args[1]]
		}
		return good(t, "caretaker-collector", append(args, "--passphrase-file", stdin)...)
	}
	keys, files := map[string]api.NewSeniorKey{}, map[string]string{}
	for _, role := range []string{"head", "dpo", "senior"} {
		name := role + " " + person
		good(t, "caretaker-collector", "account", "create", "--role", role, "--name", name, "--data", x.Data)
		keys[role] = asJSON[api.NewSeniorKey](t, run("", "senior", "key", name))
		files[role] = filepath.Join(t.TempDir(), role)
		must(t, os.WriteFile(files[role], []byte(strings.ToUpper(keys[role].Passphrase)+"\n"), 0o600))
	}
	if o := command(t, "caretaker-collector", "senior", "key", person, "--school", schoolName, "--data", x.Data); o.Status == 0 {
		t.Errorf("a technician has a key: %s", o.Stdout)
	}
	run("", "senior", "list")
	as := func(role string, args ...string) string {
		t.Helper()
		return run("", append(args, "--as", role+" "+person, "--passphrase-file", files[role])...)
	}
	made := asJSON[api.RestrictedMade](t, as("head", "restricted", "open", "--senior", keys["dpo"].Code, "--concerns", person,
		"--kind", "disclosure", "--aware", "2026-10-23 17:10", "--words", "is said to have copied records"))
	id := made.ID
	if o := command(t, "caretaker-collector", "restricted", "agree", id, "--as", "head "+person, "--passphrase-file", files["head"], "--school", schoolName, "--data", x.Data); o.Status == 0 ||
		!strings.Contains(o.Stderr, "one person") {
		t.Errorf("one person alone: %d %s", o.Status, o.Stderr)
	}
	if o := command(t, "caretaker-collector", "restricted", "show", id, "--as", "head "+person, "--passphrase-file", files["dpo"], "--school", schoolName, "--data", x.Data); o.Status == 0 ||
		!strings.Contains(o.Stderr, "not the passphrase") {
		t.Errorf("with another's passphrase: %d %s", o.Status, o.Stderr)
	}
	for _, c := range []struct {
		role string
		args []string
	}{
		{"dpo", []string{"restricted", "agree", id}},
		{"dpo", []string{"restricted", "note", id, "--words", "advised to wait", "--contact", "local authority designated officer"}},
		{"dpo", []string{"restricted", "tell", id, "regulator", "not-yet", "--words", "it is not clear"}},
		{"head", []string{"restricted", "link", id, "--device", x.Device, "--words", "was used for it"}},
		{"head", []string{"restricted", "correct", id, "--aware", "2026-10-23 16:50", "--words", "the office was told earlier"}},
		{"head", []string{"hold", "place", id, "--device", x.Device, "--words", "the police may want it"}},
		{"head", []string{"hold", "list"}},
		{"head", []string{"hold", "bodies", id}},
		{"head", []string{"hold", "lift", id, "--device", x.Device, "--words", "they do not"}},
		{"dpo", []string{"restricted", "agree", id}},
		{"head", []string{"restricted", "name", id, "--senior", keys["senior"].Code}},
		{"dpo", []string{"restricted", "remove", id, "--senior", keys["head"].Code, "--words", "left"}},
		{"dpo", []string{"restricted", "decline", id, "--words", "stays after all"}},
		{"senior", []string{"restricted", "close", id, "--outcome", "nothing", "--words", "unfounded"}},
		{"dpo", []string{"restricted", "agree", id}},
		{"senior", []string{"restricted", "reopen", id, "--words", "somebody else came forward"}},
		{"head", []string{"restricted", "agree", id}},
		{"dpo", []string{"restricted", "list"}},
	} {
		as(c.role, c.args...)
	}
	told := asJSON[restricted.Told](t, as("dpo", "restricted", "show", id))
	if told.State != restricted.Opened || len(told.Seniors) != 3 || len(told.Incident.Closings) != 2 {
		t.Errorf("in the end: %+v", told)
	}
	people := run(files["head"], "restricted", "show", id, "--as", "head "+person)
	for _, want := range []string{
		"Restricted incident " + id + ": disclosure, open", "Named: dpo " + person + ", with the key " + keys["dpo"].Code, "It is about: " + person,
		"is said to have copied records", "Spoke to local authority designated officer", "to be told by Mon 26 Oct 2026 15:50 GMT", "Closed, nothing", "Opened again",
		"ask to lift the device " + x.Device, "Who looked at it:",
	} {
		if !strings.Contains(people, want) {
			t.Errorf("shown without %q:\n%s", want, people)
		}
	}
	if list := good(t, "caretaker-collector", "incident", "list", "--all", "--school", schoolName, "--data", x.Data); strings.Contains(list, id) {
		t.Errorf("listed among the others:\n%s", list)
	}
}
