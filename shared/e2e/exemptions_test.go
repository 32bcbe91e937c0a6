package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/api"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// exemption is one as the collector shows it.
func (p caller) exemption(at, id string) view.Exemption {
	p.w.t.Helper()
	var e view.Exemption
	if got := p.ask(at+"/exemptions/"+id, nil, &e); got != http.StatusOK {
		p.w.t.Fatalf("exemption %s: %d", id, got)
	}
	return e
}

// exemptions lists those of some states, or all.
func (w *world) exemptions(states ...string) []view.Exemption {
	w.t.Helper()
	return ask[view.ExemptionPage](w, "exemption.list", collectorapp.ListExemptionsArguments{States: states}).Exemptions
}

// disk is how a laptop's disk breaches ENC-01.
func (l *laptop) disk() view.Breach {
	l.w.t.Helper()
	for _, b := range l.shown().Breaches {
		if b.Rule == "ENC-01" {
			return b
		}
	}
	return view.Breach{}
}

// TestAnExemptionTakesTwoPeople: a technician asks and cannot approve, a data
// protection officer does. The finding stays what it was, who allowed it is
// shown, another laptop that fails later is exempt from its first moment, and
// everything is open again when the end comes, or sooner if it is taken back.
func TestAnExemptionTakesTwoPeople(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.disk().Status == breach.Open })
	technician, dpo, head := w.callerOf(c, "Morgan Ellis", access.Technician), w.callerOf(c, "Priya Anand", access.DPO), w.callerOf(c, "Ada Park", access.Head)
	var schools api.Schools
	if got := technician.ask("/schools", nil, &schools); got != http.StatusOK || len(schools.Schools) != 1 {
		t.Fatalf("the schools: %d %+v", got, schools)
	}
	at := "/schools/" + string(schools.Schools[0].ID)
	end := monday.Add(20 * 24 * time.Hour)
	because := api.NewAnswer{Reason: "until the disks come"}

	var asked api.AskedExemption
	ask := api.NewExemption{Scope: breach.Scope{Rule: "ENC-01", Of: breach.WholeSchool}, Until: end, Reason: "new disks are ordered"}
	if got := dpo.ask(at+"/exemptions", ask, &asked); got != http.StatusCreated {
		t.Fatalf("ask: %d", got)
	}
	until(t, "it is asked for", func() bool { return dpo.ask(at+"/exemptions/"+asked.ID, nil, nil) == http.StatusOK })
	if e := dpo.exemption(at, asked.ID); e.State != view.ExemptionAsked || e.Asked.By != "Priya Anand" || e.Asked.Entry != asked.Entry {
		t.Errorf("asked for: %+v", e)
	}
	if got := l.disk().Status; got != breach.Open {
		t.Errorf("asked for, it is %s", got)
	}
	for name, p := range map[string]caller{"a technician": technician, "who asked": dpo} {
		if got := p.ask(at+"/exemptions/"+asked.ID+"/approval", because, nil); got != http.StatusForbidden && got != http.StatusConflict {
			t.Errorf("%s approves: %d", name, got)
		}
	}
	if err := w.do("exemption.decide", collectorapp.ExemptionArguments{Kind: decision.Exempt, ID: asked.ID, Reason: "I am root"}, new(any)); err == nil ||
		!strings.Contains(err.Error(), "never a second person") {
		t.Errorf("the console approves: %v", err)
	}
	if err := w.do("exemption.decide", collectorapp.ExemptionArguments{Kind: decision.Exempt, ID: asked.ID, Reason: "mine", Key: dpo.key}, new(any)); err == nil ||
		!strings.Contains(err.Error(), "somebody else") {
		t.Errorf("who asked approves at the console: %v", err)
	}
	if got := head.ask(at+"/exemptions/"+asked.ID+"/approval", because, nil); got != http.StatusCreated {
		t.Fatalf("approve: %d", got)
	}
	until(t, "it is exempt", func() bool { return l.disk().Status == breach.Exempt })
	d := l.shown()
	if got := standing(d, "ENC-01"); got != view.Exempt {
		t.Errorf("the rule stands as %s", got)
	}
	for _, f := range d.Findings {
		if f.Rule == "ENC-01" && (f.Result == posture.Pass || f.Standing == view.Exempt && f.Result != posture.Fail) {
			t.Errorf("the finding is %s", f.Result)
		}
	}
	e := l.disk().Exemption
	if e == nil || e.AskedBy != "Priya Anand" || e.Approver != "Ada Park" || e.Reason != ask.Reason || !e.Until.Equal(end) {
		t.Errorf("the breach is exempt by %+v", e)
	}

	// Another laptop comes, as plain as the first.
	w.clock.Advance(time.Hour)
	other := w.laptop("other", "plain-laptop", c.agents)
	until(t, "its report shows", func() bool { return !other.disk().FirstFailed.IsZero() })
	if b := other.disk(); b.Status != breach.Exempt {
		t.Errorf("a laptop that fails later is %s", b.Status)
	}
	if got := dpo.ask(at+"/exemptions/"+asked.ID+"/approval", because, nil); got != http.StatusConflict {
		t.Errorf("approved twice: %d", got)
	}

	w.rebuilt(l, other)
	must(t, l.stop())
	must(t, other.stop())
	w.clock.Advance(end.Sub(w.clock.Now()))
	for _, one := range []*laptop{l, other} {
		if got := one.disk().Status; got != breach.Open {
			t.Errorf("its end came, and it is %s", got)
		}
	}
	for _, e := range w.exemptions() {
		if e.State != view.ExemptionEnded {
			t.Errorf("its end came: %+v", e)
		}
	}
	w.rebuilt(l, other)
	w.verified()
}

// rebuilt makes the view again and compares what it says of laptops' disks.
func (w *world) rebuilt(laptops ...*laptop) {
	w.t.Helper()
	var before []view.Breach
	for _, l := range laptops {
		before = append(before, l.disk())
	}
	ask[collectorapp.RebuildAnswer](w, "view.rebuild", struct{}{})
	for i, l := range laptops {
		b := l.disk()
		if b.Status != before[i].Status || !b.ExemptUntil.Equal(before[i].ExemptUntil) || (b.Exemption == nil) != (before[i].Exemption == nil) {
			w.t.Errorf("rebuilt it is %+v and was %+v", b, before[i])
		}
	}
}

// TestAnExemptionIsTakenBack, and another refused: both at the console, whose
// operator may ask for one, answer no and end it.
func TestAnExemptionIsTakenBack(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.disk().Status == breach.Open })
	dpo := w.callerOf(c, "Priya Anand", access.DPO)
	listed := w.exemptions
	request := collectorapp.AskExemptionArguments{
		Rule: "ENC-01", Device: "hb-lt-014", Subject: l.disk().Subject.Key, Until: monday.Add(10 * 24 * time.Hour), Reason: "a new disk is ordered",
	}
	for _, wrong := range []func(a *collectorapp.AskExemptionArguments){
		func(a *collectorapp.AskExemptionArguments) { a.Rule = "ENC-99" },
		func(a *collectorapp.AskExemptionArguments) { a.Group = "Year 6" },
		func(a *collectorapp.AskExemptionArguments) { a.Device = "hb-lt-999" },
		func(a *collectorapp.AskExemptionArguments) { a.Subject = "another" },
		func(a *collectorapp.AskExemptionArguments) { a.Until = monday.Add(400 * 24 * time.Hour) },
		func(a *collectorapp.AskExemptionArguments) { a.Reason = "" },
	} {
		a := request
		wrong(&a)
		if err := w.do("exemption.ask", a, new(any)); err == nil {
			t.Errorf("asked for %+v", a)
		}
	}
	refused := ask[collectorapp.ExemptionAnswer](w, "exemption.ask", request)
	until(t, "it is asked for", func() bool { return len(listed("asked")) == 1 })
	ask[collectorapp.ExemptionAnswer](w, "exemption.decide", collectorapp.ExemptionArguments{Kind: decision.RefuseExemption, ID: refused.ID, Reason: "lend it another"})
	until(t, "it is refused", func() bool { return len(listed("refused")) == 1 })

	approved := ask[collectorapp.ExemptionAnswer](w, "exemption.ask", request)
	until(t, "another is asked for", func() bool { return len(listed("asked")) == 1 })
	ask[collectorapp.ExemptionAnswer](w, "exemption.decide", collectorapp.ExemptionArguments{
		Kind: decision.Exempt, ID: approved.ID, Reason: "agreed", Key: dpo.key,
	})
	until(t, "it is exempt", func() bool { return l.disk().Status == breach.Exempt })
	if e := l.disk().Exemption; e == nil || e.Scope.Of != breach.OneBreach || !strings.HasPrefix(e.AskedBy, "console") || e.Approver != "Priya Anand" {
		t.Errorf("exempt by %+v", e)
	}
	if err := w.do("exemption.decide", collectorapp.ExemptionArguments{Kind: decision.RefuseExemption, ID: approved.ID, Reason: "no"}, new(any)); err == nil {
		t.Error("what runs was refused")
	}
	w.clock.Advance(time.Hour)
	ask[collectorapp.ExemptionAnswer](w, "exemption.decide", collectorapp.ExemptionArguments{Kind: decision.EndExemption, ID: approved.ID, Reason: "the disk has come"})
	until(t, "it is open again", func() bool { return l.disk().Status == breach.Open })
	if e := l.disk().Exemption; e == nil || e.Ended.IsZero() {
		t.Errorf("it was exempt by %+v", e)
	}
	if got := listed(); len(got) != 2 || got[0].ID != approved.ID || got[0].State != view.ExemptionEnded || got[1].State != view.ExemptionRefused {
		t.Errorf("listed %+v", got)
	}
	w.rebuilt(l)
	w.verified()
}

// doingExemptions asks for two at the command line, of which another person
// refuses one and approves the other.
func doingExemptions(t *testing.T, x *talk, head string, do func(...string) string) {
	t.Helper()
	school := []string{"--school", schoolName}
	at := append([]string{"--data", x.Data, "--json"}, school...)
	good(t, "caretaker-collector", "account", "create", "--role", "head", "--name", head, "--data", x.Data)
	key := asJSON[collectorapp.KeyAnswer](t, good(t, "caretaker-collector", "key", "create", "--account", head, "--label", "story", "--data", x.Data, "--json"))
	file := filepath.Join(t.TempDir(), "key")
	must(t, os.WriteFile(file, []byte(key.Key+"\n"), 0o600))
	asked := func() string {
		id := asJSON[collectorapp.ExemptionAnswer](t, do(append([]string{"exemption", "ask", "HB-01", "--whole-school", "--lasts", "24h", "--reason", "a story"}, school...)...)).ID
		is(t, at, id, view.ExemptionAsked)
		return id
	}
	id := asked()
	do(append([]string{"exemption", "refuse", id, "--reason", "no", "--key", file}, school...)...)
	id = asked()
	do(append([]string{"exemption", "approve", id, "--reason", "yes", "--key", file}, school...)...)
	is(t, at, id, view.ExemptionApproved)
	do(append([]string{"exemption", "end", id, "--reason", "over"}, school...)...)
	is(t, at, id, view.ExemptionEnded)
	do(append([]string{"exemption", "list"}, school...)...)
}

// is waits until an exemption is listed in a state.
func is(t *testing.T, at []string, id string, state view.ExemptionState) {
	t.Helper()
	until(t, id+" is "+string(state), func() bool {
		page := asJSON[view.ExemptionPage](t, good(t, "caretaker-collector", append([]string{"exemption", "list", "--state", string(state)}, at...)...))
		return slices.ContainsFunc(page.Exemptions, func(e view.Exemption) bool { return e.ID == id })
	})
}
