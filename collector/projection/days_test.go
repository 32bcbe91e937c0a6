package projection

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// daysIn finds each day's last contact of a device by reading the whole ledger, but
// for what came while it was lost.
func daysIn(tb testing.TB, s *school, id posture.DeviceID, lost []view.QuarantineSpan) []view.Day {
	tb.Helper()
	last := map[time.Time]view.Heard{}
	first, end := time.Time{}, time.Time{}
	for _, r := range s.ledger.records {
		came := uint64(r.Index) + 1
		if r.Envelope.Kind != proof.KindContacts || slices.ContainsFunc(lost, func(q view.QuarantineSpan) bool {
			return came > q.From && (q.To == 0 || came < q.To)
		}) {
			continue
		}
		for n := range r.Envelope.Sections {
			body, err := s.ledger.Body(tb.Context(), r.Index, n)
			if errors.Is(err, ledger.ErrForgotten) {
				continue
			}
			if err != nil {
				tb.Fatal(err)
			}
			signed, err := proof.DecodeSignedContact(body)
			if err != nil {
				tb.Fatal(err)
			}
			c, err := proof.DecodeContactStatement(signed.Statement)
			if err != nil {
				tb.Fatal(err)
			}
			if c.Device != string(id) {
				continue
			}
			at := moment(r.Envelope.ReceivedAt)
			date := at.Truncate(24 * hour)
			last[date] = view.Heard{Entry: uint64(r.Index), Section: n, At: at}
			if first.IsZero() || date.Before(first) {
				first = date
			}
			end = later(end, date)
		}
	}
	list := []view.Day{}
	for date := first; !date.After(end) && len(last) > 0; date = date.Add(24 * hour) {
		if h, ok := last[date]; ok {
			list = append(list, view.Day{Date: date, Heard: h})
		}
	}
	return list
}

// TestDaysHeard follows random histories, purges of contacts included: the view
// knows the last contact of each day of each device, and no other. What came while
// it was lost, or after it was set up anew, is none.
func TestDaysHeard(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newSchool(t, "hollybank")
		f := open(rt, s)
		f.catchUp(t)
		history(t, rt, s, func() {
			if rapid.Bool().Draw(rt, "step") {
				f.catchUp(t)
			}
		})
		f.catchUp(t)
		for _, d := range f.devices(t, s) {
			got, err := f.q.History(t.Context(), s.id, d)
			if err != nil {
				rt.Fatal(err)
			}
			detail, err := f.q.Device(t.Context(), s.id, d, term)
			if err != nil {
				rt.Fatal(err)
			}
			want := daysIn(t, s, d, got.Quarantine)
			if detail.ReplacedBy != "" {
				want = slices.DeleteFunc(want, func(h view.Day) bool {
					return !slices.ContainsFunc(got.Days, func(o view.Day) bool { return o.Date.Equal(h.Date) })
				})
			}
			if diff := cmp.Diff(want, got.Days, notOnline); diff != "" {
				rt.Fatalf("device %s (-want +got):\n%s", d, diff)
			}
			if got.Folded != s.ledger.Size() {
				rt.Fatalf("it takes account of %d entries of %d", got.Folded, s.ledger.Size())
			}
		}
	})
}

// devices lists a school's devices.
func (f fixture) devices(tb testing.TB, s *school) (list []posture.DeviceID) {
	tb.Helper()
	page, err := f.q.Devices(tb.Context(), s.id, view.DeviceQuery{Limit: 500}, term)
	if err != nil {
		tb.Fatal(err)
	}
	for _, d := range page.Devices {
		list = append(list, d.ID)
	}
	return list
}

// TestADayThatComesAgain: where the collector's clock was put back, a day has
// one last contact all the same: the one that stands last in the ledger.
func TestADayThatComesAgain(t *testing.T) {
	s := newSchool(t, "hollybank")
	l := s.enrol(t, "hb-lt-014", term)
	l.report(t, term, term)
	for _, at := range []time.Duration{hour, 3 * hour, 25 * hour, 27 * hour, 2 * hour, 49 * hour, 26 * hour} {
		l.contact(t, term.Add(at), term.Add(at))
		f := open(t, s)
		f.catchUp(t)
		got, err := f.q.History(t.Context(), s.id, l.id)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(daysIn(t, s, l.id, nil), got.Days, notOnline); diff != "" {
			t.Errorf("after %v (-want +got):\n%s", at, diff)
		}
	}
}
