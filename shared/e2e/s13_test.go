package e2e

import (
	"bytes"
	"strings"
	"testing"
	"time"

	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/evidence"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// TestS13: an update of the firmware suspends BitLocker. What is reported is
// "encrypted but not protected", which is never Met, and critical after 24
// hours; when protection is on again the breach is resolved, and evidence keeps
// both.
func TestS13(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	l := w.laptop("laptop", "windows-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	if got := standing(l.shown(), "ENC-02"); got != view.Met {
		t.Fatalf("before the update protection is %s", got)
	}
	l.becomes("windows-laptop-suspended")
	l.at(monday.Add(24 * time.Hour))
	until(t, "the suspension shows", func() bool { return l.shown().LastReport == 2 })
	suspended := l.shown().ReportedAt

	protection := func() view.Breach {
		t.Helper()
		var found []view.Breach
		for _, b := range ask[view.BreachPage](w, "breach.list", collectorapp.ListArguments{Device: l.device}).Breaches {
			if b.Rule == "ENC-02" {
				found = append(found, b)
			}
		}
		if len(found) != 1 {
			t.Fatalf("breaches of ENC-02: %+v", found)
		}
		return found[0]
	}
	b := protection()
	if standing(l.shown(), "ENC-02") != view.NotMet || !strings.Contains(b.Message, "encrypted but not protected") ||
		b.Status != breach.Pending || b.Severity != posture.High || !b.FirstFailed.Equal(suspended) {
		t.Errorf("as it was reported: %s, %+v", standing(l.shown(), "ENC-02"), b)
	}
	w.clock.Advance(24*time.Hour - w.clock.Now().Sub(suspended) - time.Second)
	if b := protection(); b.Status != breach.Pending || b.Severity != posture.High {
		t.Errorf("a second before a day: %s, %s", b.Status, b.Severity)
	}
	w.clock.Advance(time.Second)
	if b := protection(); b.Status != breach.Open || b.Severity != posture.Critical {
		t.Errorf("a day after: %s, %s", b.Status, b.Severity)
	}
	if got := standing(l.shown(), "ENC-02"); got == view.Met {
		t.Error("an open key is shown as Met")
	}
	lost := w.clock.Now().Add(-time.Minute) // before what is looked at now
	_, bundle := w.bundle(l, lost)
	var page bytes.Buffer
	must(t, evidence.Print(&page, bundle, time.UTC, lost))
	if bundle.Sheet.State != evidence.Unprotected || !strings.Contains(page.String(), "ENCRYPTED BUT NOT PROTECTED") {
		t.Errorf("evidence says %s:\n%s", bundle.Sheet.State, page.String())
	}

	sequence := l.shown().LastReport
	l.becomes("windows-laptop")
	l.at(w.clock.Now().Add(time.Hour))
	until(t, "protection that is on again shows", func() bool {
		d := l.shown()
		return d.LastReport > sequence && standing(d, "ENC-02") == view.Met
	})
	if _, again := w.bundle(l, lost); again.Sheet.State != evidence.Unprotected {
		t.Errorf("of the moment before, evidence now says %s", again.Sheet.State)
	}
}
