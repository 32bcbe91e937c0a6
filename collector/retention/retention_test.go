package retention

import (
	"context"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
)

func TestAMonthIsPast(t *testing.T) {
	november := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	october := ledger.Month{Year: 2026, Month: 10}
	if Past(october, november.Add(-1)) || !Past(october, november) {
		t.Error("October is over when November begins")
	}
}

func TestParseClass(t *testing.T) {
	for _, c := range Classes() {
		if got, err := ParseClass(c.String()); got != c || err != nil {
			t.Errorf("%s: got %s, %v", c, got, err)
		}
	}
	for _, name := range []string{"", "kept", "class-9", "Media"} {
		if c, err := ParseClass(name); err == nil {
			t.Errorf("%q is taken for %s", name, c)
		}
	}
}

// contact is what the ledger holds of a device's contact.
func contact(t *testing.T, entry ledger.Index, device string, at time.Time) ledger.Stored {
	t.Helper()
	statement, err := proof.ContactStatement{
		School: "hollybank", Device: device, Report: 1, Hash: proof.Digest{1}, Count: uint64(entry) + 1, MadeAt: uint64(at.UnixMilli()), Boot: "b",
	}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	body, err := proof.SignedContact{Statement: statement, Signature: []byte{1}}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return ledger.Stored{
		Record:  ledger.Record{Index: entry, Envelope: proof.Envelope{Kind: proof.KindContacts, ReceivedAt: uint64(at.UnixMilli())}},
		Section: proof.Section{Name: roster.SectionContact, Class: proof.Contacts, Body: body},
	}
}

// shelf holds bodies.
type shelf []ledger.Stored

func (s shelf) Months(proof.Class) ([]ledger.Month, error) { return nil, nil }

func (s shelf) Bodies(context.Context, proof.Class, ledger.Month) iter.Seq2[ledger.Stored, error] {
	return func(yield func(ledger.Stored, error) bool) {
		for _, b := range s {
			if !yield(b, nil) {
				return
			}
		}
	}
}

func TestTheLastContactOfEachDayIsKept(t *testing.T) {
	day := time.Date(2026, 10, 5, 0, 0, 0, 0, time.UTC)
	unread := contact(t, 9, "a", day)
	unread.Section.Body = []byte("not a contact")
	all := shelf{
		contact(t, 0, "a", day), contact(t, 1, "b", day), contact(t, 2, "a", day.Add(24*time.Hour-1)), contact(t, 3, "a", day.Add(24*time.Hour)), unread,
	}
	keep, err := (&Survey{}).lastOfDays(t.Context(), all, ledger.Month{Year: 2026, Month: 10})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{false, true, true, true, true} {
		if got := keep(all[i]); got != want {
			t.Errorf("contact %d is kept: %v, want %v", i, got, want)
		}
	}
}

// TestWhatCameBeforeALossIsKept: a laptop is lost and found on one day. What it said
// while it was lost does not take the place of what it said before, which is the
// last that counts.
func TestWhatCameBeforeALossIsKept(t *testing.T) {
	day := time.Date(2026, 10, 5, 8, 0, 0, 0, time.UTC)
	s := &Survey{about: map[string]map[posture.DeviceID]bool{}, told: map[posture.DeviceID][]ledger.Index{}}
	s.tells(2, incident.Change{What: incident.Open, ID: "in-1", Links: []incident.Link{{What: incident.Device, Device: "a", Lost: true}}})
	s.tells(6, incident.Change{What: incident.Found, ID: "in-1", Links: []incident.Link{{What: incident.Device, Device: "a"}}})
	var all shelf
	for i, device := range []string{"a", "a", "", "a", "a", "b", "", "a", "a", "b"} {
		if device != "" {
			all = append(all, contact(t, ledger.Index(i), device, day.Add(time.Duration(i)*time.Hour)))
		}
	}
	keep, err := s.lastOfDays(t.Context(), all, ledger.Month{Year: 2026, Month: 10})
	if err != nil {
		t.Fatal(err)
	}
	var kept []ledger.Index
	for _, b := range all {
		if keep(b) {
			kept = append(kept, b.Record.Index)
		}
	}
	if want := []ledger.Index{1, 4, 8, 9}; !slices.Equal(kept, want) {
		t.Errorf("kept are %v, want %v", kept, want)
	}
}

// devices is a roster of one device and its last report.
type devices struct {
	device roster.Device
	refs   []proof.SectionRef
}

func (d devices) CatchUp(context.Context) error { return nil }
func (d devices) Devices() iter.Seq[roster.Device] {
	return func(yield func(roster.Device) bool) { yield(d.device) }
}

func (d devices) Sections(context.Context, roster.Device) ([]proof.SectionRef, error) {
	return d.refs, nil
}

func TestThePresentStateIsKept(t *testing.T) {
	refs := []proof.SectionRef{{Name: wire.Programs, Digest: proof.Digest{1}}, {Name: wire.MediaEvents, Digest: proof.Digest{2}}}
	stored := func(kind proof.Kind, ref proof.SectionRef) ledger.Stored {
		return ledger.Stored{Record: ledger.Record{Envelope: proof.Envelope{Kind: kind, Subject: "d", Sections: []proof.SectionRef{ref}}}}
	}
	old := proof.SectionRef{Name: wire.Programs, Digest: proof.Digest{3}}
	for _, c := range []struct {
		what   string
		device roster.Device
		refs   []proof.SectionRef
		body   ledger.Stored
		want   bool
	}{
		{"named by the last report", roster.Device{ID: "d", Last: 4}, refs, stored(proof.KindReport, refs[0]), true},
		{"of an earlier report", roster.Device{ID: "d", Last: 4}, refs, stored(proof.KindReport, old), false},
		{"what came and went", roster.Device{ID: "d", Last: 4}, refs, stored(proof.KindReport, refs[1]), false},
		{"of a device that was revoked", roster.Device{ID: "d", Last: 4, Revoked: true}, refs, stored(proof.KindReport, refs[0]), false},
		{"all that a device has said", roster.Device{ID: "d"}, nil, stored(proof.KindEnrolment, old), true},
		{"what a device said when it enrolled, and says in reports", roster.Device{ID: "d", Last: 4}, refs, stored(proof.KindEnrolment, old), false},
	} {
		keep, err := presentState(t.Context(), devices{c.device, c.refs})
		if err != nil {
			t.Fatal(err)
		}
		if got := keep(c.body); got != c.want {
			t.Errorf("%s: it is kept: %v, want %v", c.what, got, c.want)
		}
	}
}
