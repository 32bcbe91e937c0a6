package e2e

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/api"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/view"
)

// TestS6 is "Back after six weeks": a laptop enrolled on 17 May, whose
// certificate ends on 15 August, is away from the school's network from 10 July
// to 1 September, and in use in between. Another comes back only in March.
func TestS6(t *testing.T) {
	w := worldAt(t, inLondon(t, "2026-05-17 08:00"))
	heard := &written{}
	c := w.collectBy(w.clock, func(config *collectorapp.Config) { config.Log = slog.New(slog.NewTextHandler(heard, nil)) })
	network := newLink(t, c.agents)
	l := w.laptop("laptop", "windows-laptop", network.Address())
	late := w.laptop("late", "windows-laptop", network.Address())
	for _, one := range []*laptop{l, late} {
		until(t, "the first report shows", func() bool { return one.shown().LastReport == 1 })
	}
	leaves := inLondon(t, "2026-07-10 15:00")
	for _, one := range []*laptop{l, late} { // both before time passes for what they say
		one.at(leaves)
	}
	for _, one := range []*laptop{l, late} {
		one.saysAll(leaves)
	}
	school := "/schools/" + string(w.only())

	network.Cut()
	for _, one := range []*laptop{l, late} {
		until(t, "the agent notices", func() bool { return !one.status().Connected })
	}
	// In August its protection is suspended, at home.
	failed := inLondon(t, "2026-08-03 10:00")
	for _, one := range []*laptop{l, late} {
		one.becomes("windows-laptop-suspended")
	}
	w.clock.Advance(failed.Sub(w.clock.Now()))
	for _, one := range []*laptop{l, late} {
		until(t, "the agent assesses at home", func() bool { return one.status().AssessedAt.Equal(failed) && one.status().Waiting > 0 })
	}
	must(t, late.stop())
	kept := late.status().Waiting

	// Given a client certificate expired 15 Aug, when it connects 1 Sep…
	back := inLondon(t, "2026-09-01 08:05")
	w.clock.Advance(back.Sub(w.clock.Now()))
	technician := w.callerOf(c, "Morgan Ellis", access.Technician)
	// …(until then the gap shows as not proven)…
	var away view.DeviceDetail
	if got := technician.ask(school+"/devices/"+l.device, nil, &away); got != http.StatusOK || !away.Silent {
		t.Errorf("away for seven weeks: %d, silent %v", got, away.Silent)
	}
	for _, f := range away.Findings {
		if f.Standing == view.Met {
			t.Errorf("not heard from for seven weeks, and %s is Met", f.Rule)
		}
	}
	network.Mend("")
	// …then the known device key may only renew…
	w.untilPassing(time.Minute, "its stream is refused, and it renews", func() bool {
		return heard.has("certificate renewed") && heard.has("code=expired")
	})
	// …buffered findings keep observed times, marked "reported late"…
	w.untilPassing(time.Second, "what it kept is shown", func() bool { return l.status().Waiting == 0 && l.shown().LastReport >= 2 })
	w.allShown()
	var found bool
	for _, b := range l.shown().Breaches {
		if b.Rule == "ENC-02" {
			found = true
			if !b.FirstFailed.Equal(failed) || b.ReceivedAt.Before(back) || !b.ReportedLate {
				t.Errorf("it failed %v, is said to have failed %v, heard of %v, late %v", failed, b.FirstFailed, b.ReceivedAt, b.ReportedLate)
			}
		}
	}
	if !found {
		t.Error("what it found at home does not show")
	}
	w.once(l)
	// …and the gap shows as not proven: it stays in what is proven of it.
	gap := false
	for _, s := range w.sheetOf(l.device, w.clock.Now()).Silences {
		gap = gap || s.To.Sub(s.From) > 20*24*time.Hour
	}
	if !gap {
		t.Errorf("the evidence says nothing of the time in which it was not heard from: %+v", w.sheetOf(l.device, w.clock.Now()).Silences)
	}

	// (Window 180 days, else manual approval.) The other comes on 1 March.
	must(t, l.stop())
	march := inLondon(t, "2027-03-01 09:00")
	w.clock.Advance(march.Sub(w.clock.Now()))
	technician.key = ask[collectorapp.KeyAnswer](w, "key.create", collectorapp.KeyArguments{Account: "Morgan Ellis", Label: "March", Lasts: 24 * time.Hour}).Key
	late.run()
	w.untilPassing(time.Minute, "it says that it waits", func() bool {
		return strings.Contains(late.status().Trouble, "waits for the school to approve the renewal of its certificate") && strings.Contains(late.status().Trouble, "more than 180 days ago")
	})
	if n := late.status().Waiting; n < kept {
		t.Errorf("%d statements waited, and %d do", kept, n)
	}
	var waiting api.Renewals
	if got := technician.ask(school+"/renewals", nil, &waiting); got != http.StatusOK || waiting.Days != 180 || len(waiting.Waiting) != 1 || string(waiting.Waiting[0].Device) != late.device {
		t.Fatalf("who waits: %d, %+v", got, waiting)
	}
	before := len(w.entries())
	approval := api.NewAdmission{Change: admission.Change{What: admission.ApproveRenewal, Device: late.shown().ID}, Reason: "seen in the cupboard of Year 4"}
	if got := technician.ask(school+"/enrolments", approval, nil); got != http.StatusCreated || len(w.entries()) != before+1 {
		t.Fatalf("approved: %d", got)
	}
	w.untilPassing(time.Minute, "it has renewed, and reported what it kept", func() bool {
		return late.status().Waiting == 0 && late.status().Trouble == "" && late.shown().LastContact.After(march)
	})
	w.allShown()
	w.once(late)
	w.rebuiltSame(l, late)
}
