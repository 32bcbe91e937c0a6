package e2e

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/api"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/evidence"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/rulebook"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// hollybank is a school with two laptops of three registered, one of which is
// not encrypted and exempt, by a policy that the school published.
func hollybank(t *testing.T, w *world, c *collector) (good, bad *laptop) {
	t.Helper()
	_, source, err := rulebook.Baseline()
	must(t, err)
	ask[collectorapp.PublishAnswer](w, "policy.publish", collectorapp.PublishArguments{File: "baseline.yaml", Source: source})
	good, bad = w.laptop("good", "windows-laptop", c.agents), w.laptop("bad", "plain-laptop", c.agents)
	for _, l := range []*laptop{good, bad} {
		until(t, "a report by the policy shows", func() bool { return l.shown().Policy == 1 })
	}
	ask[collectorapp.ImportAnswer](w, "register.import", collectorapp.ImportArguments{File: "devices.csv", Source: []byte("tag\nHB-LT-014\nHB-LT-015\nHB-LT-016\n")})
	w.allShown()
	for tag, l := range map[string]*laptop{"HB-LT-014": good, "HB-LT-015": bad} {
		ask[collectorapp.RegisterAnswer](w, "register.change", collectorapp.RegisterArguments{Change: register.Change{What: register.Tie, Tag: tag}, Device: l.device})
	}
	technician, head := w.callerOf(c, "Morgan Ellis", access.Technician), w.callerOf(c, "Sam Okafor", access.Head)
	at := "/schools/" + string(w.only()) + "/exemptions"
	var asked api.AskedExemption
	wanted := api.NewExemption{Scope: breach.Scope{Rule: "ENC-01", Of: breach.OneDevice, Device: posture.DeviceID(bad.device)}, Until: w.clock.Now().AddDate(0, 2, 0), Reason: "a new disk is ordered"}
	if got := technician.ask(at, wanted, &asked); got != http.StatusCreated {
		t.Fatalf("ask for an exemption: %d", got)
	}
	w.allShown()
	if got := head.ask(at+"/"+asked.ID+"/approval", api.NewAnswer{Reason: "until half-term"}, nil); got != http.StatusCreated {
		t.Fatalf("approve it: %d", got)
	}
	w.allShown()
	return good, bad
}

// TestS12 is "Insurer": what was the position on 3 Nov 2026? It is asked days
// later, when much has changed.
func TestS12(t *testing.T) {
	w := worldAt(t, inLondon(t, "2026-10-19 09:00"))
	c := w.collect()
	good, bad := hollybank(t, w, c)
	monday := inLondon(t, "2026-11-02 09:00")
	good.at(monday)
	good.saysAll(monday)
	bad.saysAll(monday)
	must(t, good.stop())
	must(t, bad.stop())
	then := inLondon(t, "2026-11-04 00:00").Add(-time.Millisecond)
	w.clock.Advance(then.Sub(w.clock.Now()))
	w.allShown()
	officer := w.callerOf(c, "Priya Anand", access.DPO)
	var seen view.Overview
	if got := officer.ask("/schools/"+string(w.only())+"/overview", nil, &seen); got != http.StatusOK {
		t.Fatalf("the overview of that day: %d", got)
	}

	// Two days later another policy is in force, and the laptop is encrypted.
	w.clock.Advance(48 * time.Hour)
	bad.becomes("encrypted-laptop")
	bad.run()
	bad.saysAll(then.Add(48 * time.Hour))
	source, err := os.ReadFile("testdata/hollybank.yaml")
	must(t, err)
	ask[collectorapp.PublishAnswer](w, "policy.publish", collectorapp.PublishArguments{File: "hollybank.yaml", Source: source})
	ask[collectorapp.RegisterAnswer](w, "register.change", collectorapp.RegisterArguments{Change: register.Change{What: register.Retire, Tag: "HB-LT-016", Date: "2026-11-05"}})
	w.allShown()

	position := func() ([]byte, *evidence.Bundle) {
		answer := ask[collectorapp.PositionAnswer](w, "evidence.school", collectorapp.PositionArguments{At: then, Zone: "Europe/London"})
		b, _, err := evidence.Verify(answer.Bundle, evidence.Trust{})
		must(t, err)
		return answer.Bundle, b
	}
	sealed, b := position()
	p := b.Position
	if r := p.Register; !r.Kept || r.Registered != 3 || r.Agent != 2 || r.Nothing != 1 {
		t.Errorf("coverage: %+v", r)
	}
	var rules []evidence.RulePosition
	for _, r := range seen.Rules {
		rules = append(rules, evidence.RulePosition{
			Rule: r.Rule, Title: r.Title, Severity: r.Severity.String(), Met: r.Met, NotMet: r.NotMet, NotProven: r.NotProven, Exempt: r.Exempt, NotFor: r.NotFor,
		})
	}
	if diff := cmp.Diff(rules, p.Rules); diff != "" || len(rules) == 0 {
		t.Errorf("each rule, as it was shown then and as it is worked out now (-then +now):\n%s", diff)
	}
	if len(p.Exemptions) != 1 || p.Exemptions[0].Rule != "ENC-01" || p.Exemptions[0].Approver != "Sam Okafor" || !strings.Contains(p.Exemptions[0].Of, "hb-lt-014") {
		t.Errorf("exemptions: %+v", p.Exemptions)
	}
	if p.Policy == nil || p.Policy.Number != 1 || p.Policy.Title != seen.PolicyName {
		t.Errorf("policy: %+v", p.Policy)
	}
	if want := (evidence.Judged{Now: p.Devices}); p.Judged == nil || *p.Judged != want {
		t.Errorf("judged by the policy in force: %+v, want %+v", p.Judged, want)
	}
	s12Page(t, b)

	// It verifies offline, by us and by a stranger, and stays what it is.
	key, err := identity.ParseSchoolVerifier(b.Key)
	must(t, err)
	if _, v, err := evidence.Verify(sealed, evidence.Trust{Key: &key}); err != nil || !v.Origin {
		t.Errorf("with the school's key: %+v, %v", v, err)
	}
	strangerVerifies(t, w.dir, sealed, b)
	w.clock.Advance(24 * time.Hour)
	_, again := position()
	if diff := cmp.Diff(b.Position, again.Position); diff != "" {
		t.Errorf("asked again a day later (-first +second):\n%s", diff)
	}
	if err := w.do("evidence.school", collectorapp.PositionArguments{At: w.clock.Now().Add(time.Hour)}, new(any)); err == nil {
		t.Error("the position of a moment to come")
	}
	if left, err := filepath.Glob(filepath.Join(w.data, "past*")); err != nil || len(left) > 0 {
		t.Errorf("the school as it was is left behind: %v, %v", left, err)
	}
	if dir := os.Getenv("CARETAKER_KEEP_EVIDENCE"); dir != "" {
		must(t, os.WriteFile(filepath.Join(dir, "hollybank.evidence"), sealed, 0o644))
	}
}

// s12Page checks what the insurer reads.
func s12Page(t *testing.T, b *evidence.Bundle) {
	t.Helper()
	var page bytes.Buffer
	must(t, evidence.Print(&page, b, b.Location(time.UTC), time.Time{}))
	for _, want := range []string{
		schoolName, "Where it stood at Tue 3 Nov 2026 23:59 GMT", "2 of 3 registered devices by an agent", "ENC-01", "Policy ", "number 1",
		"Exempt at that moment:", "approved by Sam Okafor", "whether there are backups", "were trained", "plan for incidents",
	} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the sheet does not say %q:\n%s", want, page.String())
		}
	}
}
