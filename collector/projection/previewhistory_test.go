package projection

import (
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// TestPreviewOverTheLastDays: a firewall that was off on Tuesday counts, one that
// was off a month ago does not, and what is not held any more is said.
func TestPreviewOverTheLastDays(t *testing.T) {
	const day = 24 * time.Hour
	s := newSchool(t, "hollybank")
	firewall := func(l *laptop, on bool, at time.Time) {
		l.facts.Security.Items[0].Firewall = posture.Read(on)
		l.report(t, at, at)
	}
	long, lately, still := s.enrol(t, "hb-lt-001", term), s.enrol(t, "hb-lt-002", term), s.enrol(t, "hb-lt-003", term)
	firewall(long, false, term)
	firewall(lately, true, term)
	firewall(still, false, term)
	now := term.Add(30 * day)
	firewall(long, true, now.Add(-10*day))
	firewall(lately, false, now.Add(-3*day))
	firewall(lately, true, now.Add(-2*day))
	still.facts.Media.Items = []posture.Medium{stick(serial, posture.Unencrypted)} // the firewall is carried from long ago
	still.report(t, now.Add(-day), now.Add(-day))
	f := open(t, s)
	f.catchUp(t)
	ask := func(days int) *view.PreviewHistory {
		t.Helper()
		p, err := f.Preview(t.Context(), s.id, Draft{Policy: s.drafted(func(*policy.Policy) {}), Now: now, Days: days})
		if err != nil {
			t.Fatal(err)
		}
		return p.History
	}
	on := func(h *view.PreviewHistory, rule string) (devices, last int) {
		for _, r := range h.Rules {
			if r.Rule == rule {
				return r.Devices, r.Now
			}
		}
		return 0, 0
	}
	h := ask(7)
	if devices, last := on(h, "CFG-01"); devices != 2 || last != 1 || h.Days != 7 || h.Cut != "" || h.Reports != 3 || h.Partly != 0 {
		t.Errorf("in 7 days CFG-01 failed on %d, at last on %d: %+v", devices, last, h)
	}
	if devices, last := on(h, "USB-01"); devices != 1 || last != 1 {
		t.Errorf("in 7 days USB-01 failed on %d, at last on %d", devices, last)
	}
	h = ask(90)
	if devices, last := on(h, "CFG-01"); devices != 3 || last != 1 || h.Days != 30 || h.Cut == "" || h.Reports != 7 {
		t.Errorf("in 90 days CFG-01 failed on %d, at last on %d: %+v", devices, last, h)
	}
	if ask(0) != nil {
		t.Error("a history that nobody asked for")
	}
	s.ledger.spoil(8, "envelope") // the report that "still" carries its firewall from: not known, and no failure
	if devices, _ := on(ask(7), "CFG-01"); devices != 1 {
		t.Errorf("what is damaged is counted: CFG-01 on %d", devices)
	}
	s.purge(now, proof.Posture)
	f.catchUp(t)
	h = ask(7)
	if devices, _ := on(h, "CFG-01"); devices != 0 || h.Partly != h.Reports {
		t.Errorf("what was forgotten is counted: %+v", h)
	}
}
