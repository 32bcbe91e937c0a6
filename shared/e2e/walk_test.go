package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/enroll"
	"github.com/caretaker-school/caretaker/collector/view"
)

// TestTheWholeWayWithTheProgramsAlone walks from an empty folder to evidence that
// is checked elsewhere, with the two programs as they are released and the time of
// the day: init, serve, token, enrol, the first report, an exemption asked for and
// approved, an incident, evidence, a found stick, a preview, licences, and the
// record verified. Each step follows on the one before without a pause, and every
// answer is read as a person reads it.
func TestTheWholeWayWithTheProgramsAlone(t *testing.T) {
	x := newTalk(t) // init, serve, token create, enroll and the first report
	x.says()        // that a stick is in it
	x.settled()
	school := []string{"--school", schoolName, "--data", x.Data}
	do := func(args ...string) string {
		t.Helper()
		return good(t, "caretaker-collector", append(args, school...)...)
	}
	says := func(text string, words ...string) {
		t.Helper()
		for _, w := range words {
			if !strings.Contains(text, w) {
				t.Errorf("%q is missing from\n%s", w, text)
			}
		}
	}
	laptop := asJSON[view.DeviceDetail](t, do("device", "show", x.Device, "--json"))
	says(do("device", "show", x.Device), laptop.Hostname, "ENC-01")

	good(t, "caretaker-collector", "account", "create", "--name", "Priya Anand", "--role", "dpo", "--data", x.Data)
	key := asJSON[collectorapp.KeyAnswer](t, good(t, "caretaker-collector", "key", "create", "--account", "Priya Anand", "--label", "walk", "--data", x.Data, "--json"))
	keyFile := filepath.Join(t.TempDir(), "key")
	must(t, os.WriteFile(keyFile, []byte(key.Key+"\n"), 0o600))

	x.exempts(do, says, keyFile)
	x.loses(do, says)
	x.proves(do, says, laptop)

	says(strings.ToLower(do("media", "find", "--serial", strings.Repeat("0f", 32))), "never")
	says(do("policy", "preview", "testdata/hollybank.yaml"), "would open", "ENC-01")
	says(do("licence", "set", "A shell", "--bought", "1", "--program", "bash*"), "A shell")
	licence := asJSON[view.LicenceList](t, do("licence", "reconcile", "A shell", "--json"))
	if len(licence.Licences) != 1 || licence.Licences[0].Now.Bought != 1 {
		t.Errorf("reconciled: %+v", licence)
	}
	says(do("licence", "reconcile", "A shell"), "A shell: ", " of 1")
	verified := asJSON[collectorapp.LedgerReport](t, do("ledger", "verify", "--json"))
	if !verified.Good || verified.Trouble != "" {
		t.Errorf("the record: %+v", verified)
	}
	x.killAgent()
}

// exempts has an exemption asked for at the console and approved by an account.
func (x *talk) exempts(do func(...string) string, says func(string, ...string), key string) {
	t := x.t
	t.Helper()
	standing := asJSON[view.BreachPage](t, do("breach", "list", "--json"))
	i := slices.IndexFunc(standing.Breaches, func(b view.Breach) bool { return b.Status == breach.Open })
	if i < 0 {
		t.Fatalf("no breach is open: %+v", standing)
	}
	rule := standing.Breaches[i].Rule
	asked := asJSON[collectorapp.ExemptionAnswer](t, do("exemption", "ask", rule, "--device", x.Device, "--lasts", "720h", "--reason", "a new disk is ordered", "--json"))
	o := command(t, "caretaker-collector", "exemption", "approve", asked.ID, "--reason", "agreed", "--school", schoolName, "--data", x.Data)
	if o.Status == 0 {
		t.Errorf("the console approved what the console asked for: %s", o.Stdout)
	}
	do("exemption", "approve", asked.ID, "--reason", "agreed", "--key", key)
	says(do("exemption", "list"), rule, "approved", "a new disk is ordered")
	exempt := asJSON[view.BreachPage](t, do("breach", "list", "--json"))
	for _, b := range exempt.Breaches {
		if b.Rule == rule && b.Status != breach.Exempt {
			t.Errorf("%s shows as %s under the exemption", b.Rule, b.Status)
		}
	}
}

// loses opens an incident for the laptop and finds it again.
func (x *talk) loses(do func(...string) string, says func(string, ...string)) {
	t := x.t
	t.Helper()
	aware := time.Now().Add(-time.Hour).Format("2006-01-02 15:04")
	opened := asJSON[collectorapp.IncidentAnswer](t, do("incident", "open", "--kind", "lost-device", "--aware", aware, "--device", x.Device, "--lost",
		"--words", "left on a train", "--json"))
	if opened.Number == "" || opened.TellBy == nil {
		t.Fatalf("opened: %+v", opened)
	}
	says(do("incident", "show", opened.Number), opened.Number, "left on a train")
	says(do("device", "show", x.Device), "LOST", opened.Number)
	do("incident", "found", opened.Number, "--device", x.Device, "--words", "handed in")
	says(do("incident", "list"), opened.Number)
}

// proves makes evidence and checks it in another folder, which knows the school's
// key and nothing else.
func (x *talk) proves(do func(...string) string, says func(string, ...string), laptop view.DeviceDetail) {
	t := x.t
	t.Helper()
	file := filepath.Join(t.TempDir(), "laptop.evidence")
	says(do("evidence", "device", x.Device, "--output", file), laptop.Hostname)
	schools, err := enroll.LoadSchools(x.Data)
	must(t, err)
	verifier, err := schools[0].Key.Verifier()
	must(t, err)
	made, err := os.ReadFile(file)
	must(t, err)
	elsewhere := t.TempDir()
	copied := filepath.Join(elsewhere, "copy")
	must(t, os.WriteFile(copied, made, 0o600))
	says(good(t, "caretaker-collector", "evidence", "verify", copied, "--trust", verifier.String(), "--data", elsewhere), laptop.Hostname)
	if o := command(t, "caretaker-collector", "evidence", "verify", copied, "--data", elsewhere); o.Status != 3 {
		t.Errorf("without trust: status %d, %s", o.Status, o.Stderr)
	}
	changed := bytes.Clone(made)
	changed[len(changed)/2] ^= 1
	must(t, os.WriteFile(copied, changed, 0o600))
	if o := command(t, "caretaker-collector", "evidence", "verify", copied, "--trust", verifier.String(), "--data", elsewhere); o.Status == 0 || o.Status == 3 {
		t.Errorf("with a byte changed: status %d, %s", o.Status, o.Stdout)
	}
}
