package retention

import (
	"context"
	"iter"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
)

func TestDue(t *testing.T) {
	october := ledger.Month{Year: 2026, Month: 10}
	for class, first := range map[proof.Class]time.Time{
		proof.Media:     time.Date(2027, 1, 30, 0, 0, 0, 0, time.UTC),
		proof.Contacts:  time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC),
		proof.Inventory: time.Date(2027, 12, 1, 0, 0, 0, 0, time.UTC),
		proof.People:    time.Date(2028, 11, 1, 0, 0, 0, 0, time.UTC),
		proof.Incidents: time.Date(2032, 11, 1, 0, 0, 0, 0, time.UTC),
	} {
		if Due(class, october, first.Add(-time.Millisecond)) || !Due(class, october, first) {
			t.Errorf("%s of October is not due from %s on", class, first)
		}
	}
	for _, class := range []proof.Class{proof.Kept, proof.Posture} {
		if Due(class, october, time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("%s is due by age alone", class)
		}
	}
	november := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
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
	keep, err := Keep(t.Context(), all, nil, proof.Contacts, ledger.Month{Year: 2026, Month: 10})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{false, true, true, true, true} {
		if got := keep(all[i]); got != want {
			t.Errorf("contact %d is kept: %v, want %v", i, got, want)
		}
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
		keep, err := Keep(t.Context(), shelf{}, devices{c.device, c.refs}, proof.Inventory, ledger.Month{Year: 2026, Month: 10})
		if err != nil {
			t.Fatal(err)
		}
		if got := keep(c.body); got != c.want {
			t.Errorf("%s: it is kept: %v, want %v", c.what, got, c.want)
		}
	}
}
