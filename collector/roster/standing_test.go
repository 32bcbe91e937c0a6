package roster_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// admits makes the entry of a change of enrolments.
func (b *book) admits(c admission.Change, at time.Time) ledger.Entry {
	return b.maker.Entry(proof.KindDecision, string(c.Device), at, must(roster.RawSection(admission.Section, proof.Kept, must(admission.Encode(c)))))
}

// incident makes the entry of a change of an incident about a device.
func (b *book) incident(what incident.What, id string, device posture.DeviceID) ledger.Entry {
	c := incident.Change{What: what, ID: id, Links: []incident.Link{{What: incident.Device, Device: device, Lost: what != incident.Found}}}
	if what == incident.Open {
		aware := incident.NewMoment(monday, "UTC")
		c.Kind, c.Aware = incident.LostDevice, &aware
	}
	return b.maker.Entry(proof.KindDecision, "", monday, must(roster.RawSection(incident.Section, proof.Kept, must(incident.Encode(c)))))
}

func (b *book) saved(r *roster.Roster) {
	ctx, cancel := context.WithCancel(b.t.Context())
	cancel()
	if err := r.Run(ctx); err != nil {
		b.t.Fatal(err)
	}
}

// TestWhoIsLost: a device is lost while any incident says so, and once found is
// behind until a report shows how it is.
func TestWhoIsLost(t *testing.T) {
	b := newBook(t)
	snapshot := filepath.Join(b.dir, "snapshot")
	r := b.open(snapshot)
	first, hash := b.report("d1", 1, proof.Digest{})
	b.append(b.enrolment("d1", "t"), first)
	must(0, r.CatchUp(t.Context()))
	r.Changes()
	says := func(when string, want roster.Standing) {
		t.Helper()
		must(0, r.CatchUp(t.Context()))
		if got, ok := r.Standing("d1"); !ok || got != want {
			t.Errorf("%s: %+v, want %+v", when, got, want)
		}
		if d, _ := r.Device("d1"); d.Lost != want.Lost {
			t.Errorf("%s: its record says lost %v", when, d.Lost)
		}
		b.saved(b.open(snapshot)) // in between: what is lost by two incidents must survive
		if diff := cmp.Diff(state(b.open("")), state(b.open(snapshot))); diff != "" {
			t.Errorf("%s: folded (-) and from a snapshot (+) differ:\n%s", when, diff)
		}
	}
	says("enrolled", roster.Standing{})
	b.append(b.incident(incident.Open, "in-1", "d1"))
	says("lost", roster.Standing{Lost: true})
	if c := r.Changes(); len(c.Devices) != 1 || c.Devices[0] != "d1" {
		t.Errorf("the news is %+v", c)
	}
	b.append(b.incident(incident.Open, "in-2", "d1"), b.incident(incident.Found, "in-1", "d1"))
	says("found by one of two incidents", roster.Standing{Lost: true})
	second, hash := b.report("d1", 2, hash)
	b.append(second)
	b.append(b.incident(incident.Found, "in-2", "d1"))
	says("found", roster.Standing{Behind: true})
	third, _ := b.report("d1", 3, hash)
	b.append(third)
	says("reported since", roster.Standing{})
	b.append(b.incident(incident.Found, "in-2", "d1"))
	says("found once more", roster.Standing{})
	if _, ok := r.Standing("d9"); ok {
		t.Error("a device that nobody enrolled has a standing")
	}
}

func TestTheWindowForRenewal(t *testing.T) {
	b := newBook(t)
	snapshot := filepath.Join(b.dir, "snapshot")
	r := b.open(snapshot)
	const day = 24 * time.Hour
	if got := r.RenewalWindow(); got != admission.UsualWindow*day {
		t.Errorf("before anything was decided: %v", got)
	}
	b.append(b.enrolment("d1", "t"), b.admits(admission.Change{What: admission.SetWindow, Days: 30}, monday),
		b.admits(admission.Change{What: admission.ApproveRenewal, Device: "d1"}, monday.Add(day)))
	must(0, r.CatchUp(t.Context()))
	b.saved(r)
	for name, r := range map[string]*roster.Roster{"followed": r, "from its snapshot": b.open(snapshot), "folded anew": b.open("")} {
		if got := r.RenewalWindow(); got != 30*day {
			t.Errorf("%s: the window is %v", name, got)
		}
		if got := r.RenewalApproved("d1"); !got.Equal(monday.Add(day)) {
			t.Errorf("%s: approved %v", name, got)
		}
		if got := r.RenewalApproved("d9"); !got.IsZero() {
			t.Errorf("%s: nobody's renewal was approved %v", name, got)
		}
	}
}
