package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/api"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/view"
)

// caller is another program that asks the collector, by a key.
type caller struct {
	w   *world
	c   *collector
	key string
}

// callerOf makes an account with a role, and a key of it.
func (w *world) callerOf(c *collector, name string, role access.Role) caller {
	w.t.Helper()
	ask[collectorapp.AccountAnswer](w, "account.create", collectorapp.AccountArguments{Name: name, Role: string(role)})
	key := ask[collectorapp.KeyAnswer](w, "key.create", collectorapp.KeyArguments{Account: name, Label: "story", Lasts: 24 * time.Hour})
	return caller{w, c, key.Key}
}

// ask sends a question, or a decision if there is one, and decodes the answer.
func (p caller) ask(path string, takes, gives any) int {
	p.w.t.Helper()
	method, body := http.MethodGet, []byte{}
	if takes != nil {
		var err error
		method = http.MethodPost
		body, err = json.Marshal(takes)
		must(p.w.t, err)
	}
	r, err := http.NewRequestWithContext(p.w.t.Context(), method, strings.TrimSuffix(p.c.web, "/")+api.Prefix+path, bytes.NewReader(body))
	must(p.w.t, err)
	r.Header.Set("Authorization", "Bearer "+p.key)
	answer, err := http.DefaultClient.Do(r)
	must(p.w.t, err)
	defer answer.Body.Close()
	if gives != nil {
		must(p.w.t, json.NewDecoder(answer.Body).Decode(gives))
	}
	return answer.StatusCode
}

// TestADecisionIsRecordedAndShown: a technician's program acknowledges a breach
// and the console settles it. Both are entries of the ledger, both show, and a
// device that goes on failing opens the breach again.
func TestADecisionIsRecordedAndShown(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	technician, dpo := w.callerOf(c, "Morgan Ellis", access.Technician), w.callerOf(c, "Priya Anand", access.DPO)

	var schools api.Schools
	if got := technician.ask("/schools", nil, &schools); got != http.StatusOK || len(schools.Schools) != 1 {
		t.Fatalf("the schools: %d %+v", got, schools)
	}
	at := "/schools/" + string(schools.Schools[0].ID)
	disk := func() view.Breach {
		t.Helper()
		var page view.BreachPage
		if got := technician.ask(at+"/breaches?rule=ENC-01&status=open&status=acknowledged&status=resolved", nil, &page); got != http.StatusOK || len(page.Breaches) != 1 {
			t.Fatalf("the breaches of ENC-01: %d %+v", got, page)
		}
		return page.Breaches[0]
	}
	b := disk()
	acknowledge := api.NewDecision{
		Kind: decision.Acknowledge, Reason: "a new disk is ordered",
		Breach: breach.Key{Device: b.Device, Rule: b.Rule, Kind: b.Subject.Kind, ID: b.Subject.Key},
	}
	if got := dpo.ask(at+"/decisions", acknowledge, nil); got != http.StatusForbidden {
		t.Errorf("a data-protection officer acknowledges: %d", got)
	}
	var recorded api.Recorded
	if got := technician.ask(at+"/decisions", acknowledge, &recorded); got != http.StatusCreated {
		t.Fatalf("acknowledge: %d", got)
	}
	until(t, "it shows as acknowledged", func() bool { return disk().Status == breach.Acknowledged })
	if b = disk(); b.AcknowledgedBy != "Morgan Ellis" || !b.AcknowledgedAt.Equal(monday) {
		t.Errorf("acknowledged by %s at %v", b.AcknowledgedBy, b.AcknowledgedAt)
	}
	if got := technician.ask(at+"/decisions", acknowledge, nil); got != http.StatusConflict {
		t.Errorf("acknowledged twice: %d", got)
	}
	if e := w.entry(recorded.Entry); e.Kind != "decision" || e.Subject != l.device {
		t.Errorf("entry %d is %+v", recorded.Entry, e)
	}

	settled := ask[collectorapp.DecideAnswer](w, "breach.decide", collectorapp.DecideArguments{
		Kind: decision.Resolve, Device: "hb-lt-014", Rule: "ENC-01", Reason: "the disk was changed",
	})
	if len(settled.Breaches) != 1 || settled.Breaches[0].Subject.Key != b.Subject.Key {
		t.Errorf("settled %+v", settled)
	}
	until(t, "it shows as resolved", func() bool { return disk().Status == breach.Resolved })
	if b = disk(); b.Resolution != breach.Decided {
		t.Errorf("resolved as %q", b.Resolution)
	}
	if err := w.do("breach.decide", collectorapp.DecideArguments{Kind: decision.Resolve, Device: l.device, Rule: "ENC-01", Reason: "again"}, new(any)); err == nil {
		t.Error("what is resolved was resolved again")
	}

	// The disk was not changed: the next look says so.
	l.becomes("plain-laptop-with-stick")
	l.at(monday.Add(8 * time.Hour))
	until(t, "it is open again", func() bool { return disk().Status.Stands() })
	if b = disk(); b.Reopened != 1 {
		t.Errorf("reopened %d times", b.Reopened)
	}
	w.verified()

	before := disk()
	ask[collectorapp.RebuildAnswer](w, "view.rebuild", struct{}{})
	if after := disk(); after.Status != before.Status || after.AcknowledgedBy != before.AcknowledgedBy || after.Reopened != before.Reopened {
		t.Errorf("rebuilt it is %+v and was %+v", after, before)
	}
}

// TestASilenceIsAcknowledged: a breach that no entry made, but only the passing
// of time, is acknowledged like any other, and a rebuilt view says the same. To
// settle it while it lasts is refused: it would be open again at once.
func TestASilenceIsAcknowledged(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	must(t, l.stop())
	w.clock.Advance(40 * 24 * time.Hour)
	technician := w.callerOf(c, "Morgan Ellis", access.Technician)
	var schools api.Schools
	if got := technician.ask("/schools", nil, &schools); got != http.StatusOK || len(schools.Schools) != 1 {
		t.Fatalf("the schools: %d %+v", got, schools)
	}
	silence := func() []view.Breach {
		t.Helper()
		var page view.BreachPage
		if got := technician.ask("/schools/"+string(schools.Schools[0].ID)+"/breaches?rule=LIF-01&status=pending&status=open&status=acknowledged&status=resolved", nil, &page); got != http.StatusOK {
			t.Fatalf("the breaches of LIF-01: %d", got)
		}
		return page.Breaches
	}
	before := silence()
	if len(before) != 1 || !before[0].Status.Stands() {
		t.Fatalf("after forty days of silence: %+v", before)
	}
	decided := ask[collectorapp.DecideAnswer](w, "breach.decide", collectorapp.DecideArguments{
		Kind: decision.Acknowledge, Device: l.device, Rule: "LIF-01", Reason: "it is in the cupboard",
	})
	if len(decided.Breaches) != 1 {
		t.Fatalf("decided %+v", decided)
	}
	until(t, "it shows as acknowledged", func() bool { b := silence(); return len(b) == 1 && b[0].Status == breach.Acknowledged })
	if b := silence()[0]; !b.FirstFailed.Equal(before[0].FirstFailed) {
		t.Errorf("it failed first at %v, and at %v once it was acknowledged", before[0].FirstFailed, b.FirstFailed)
	}
	ask[collectorapp.RebuildAnswer](w, "view.rebuild", struct{}{})
	if b := silence(); len(b) != 1 || b[0].Status != breach.Acknowledged || b[0].AcknowledgedBy == "" {
		t.Errorf("rebuilt: %+v", b)
	}
	// It would be open again at once, for it is silent still.
	if err := w.do("breach.decide", collectorapp.DecideArguments{Kind: decision.Resolve, Device: l.device, Rule: "LIF-01", Reason: "it was retired"}, new(any)); err == nil ||
		!strings.Contains(err.Error(), "nothing is heard") {
		t.Errorf("a silence was settled: %v", err)
	}
	w.verified()
}
