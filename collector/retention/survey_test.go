package retention_test

import (
	"context"
	"errors"
	"iter"
	"maps"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/ledger/ledgertest"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/retention"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

var begun = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)

// noDevices is a roster of which nothing is so now.
type noDevices struct{}

func (noDevices) CatchUp(context.Context) error    { return nil }
func (noDevices) Devices() iter.Seq[roster.Device] { return func(func(roster.Device) bool) {} }
func (noDevices) Sections(context.Context, roster.Device) ([]proof.SectionRef, error) {
	return nil, nil
}

// record is a ledger to which entries are added.
type record struct {
	t    *testing.T
	l    *ledger.Ledger
	salt byte
}

func newRecord(t *testing.T) *record {
	t.Helper()
	l, err := ledger.Open(t.TempDir(), ledgertest.Options(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if r, err := l.Verify(context.Background(), ledger.VerifyOptions{}); err != nil {
			t.Errorf("verify: %+v, %v", r, err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return &record{t: t, l: l}
}

func (r *record) salts() (s [2][proof.SaltSize]byte) {
	r.salt++
	s[0][0], s[1][0], s[1][1] = r.salt, r.salt, 1
	return s
}

func (r *record) add(kind proof.Kind, subject string, at time.Time, sections ...proof.Section) ledger.Index {
	r.t.Helper()
	i, err := r.l.Append(r.t.Context(), roster.Maker{School: ledgertest.School, Intake: "collector"}.Entry(kind, subject, at, sections...))
	if err != nil {
		r.t.Fatal(err)
	}
	return i[0]
}

func (r *record) kept(name, body string) proof.Section {
	return proof.Section{Name: name, Class: proof.Kept, Salt: r.salts()[0], Body: []byte(body)}
}

// decides records a decision that has nothing beside it.
func (r *record) decides(at time.Time, d decision.Decision) ledger.Index {
	r.t.Helper()
	d.By, d.At, d.Reason = "Jo Marsh", at, "as agreed"
	s, err := decision.Encode(d, r.salts()[0])
	if err != nil {
		r.t.Fatal(err)
	}
	return r.add(proof.KindDecision, string(d.Breach.Device), at, s)
}

func (r *record) keeps(at time.Time, c register.Change, person string) ledger.Index {
	r.t.Helper()
	if err := c.Name(person); err != nil {
		r.t.Fatal(err)
	}
	sections, err := decision.RegisterSections(decision.Decision{
		Kind: decision.Register, By: "Morgan Ellis", At: at, Reason: "recorded", Person: person,
	}, c, r.salts())
	if err != nil {
		r.t.Fatal(err)
	}
	return r.add(proof.KindDecision, "", at, sections...)
}

func (r *record) incident(at time.Time, c incident.Change) ledger.Index {
	r.t.Helper()
	sections, err := decision.IncidentSections(decision.Decision{Kind: decision.Incident, By: "Priya Anand", At: at, Reason: "words"}, c, r.salts())
	if err != nil {
		r.t.Fatal(err)
	}
	return r.add(proof.KindDecision, "", at, sections...)
}

// round forgets what is due at a moment.
func (r *record) round(now time.Time) {
	r.t.Helper()
	s, err := retention.Read(r.t.Context(), r.l)
	if err != nil {
		r.t.Fatal(err)
	}
	steps, err := s.Steps(r.t.Context(), r.l, noDevices{}, now)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, step := range steps {
		keep, err := step.Keep(r.t.Context())
		if err != nil {
			r.t.Fatal(err)
		}
		_, err = r.l.Forget(r.t.Context(), step.Class, step.Month, keep, func(p ledger.Purge) (ledger.Entry, error) {
			return ledgertest.Purge(uint64(now.UnixMilli()), p)
		})
		if err != nil && !errors.Is(err, ledger.ErrNothingToForget) {
			r.t.Fatal(err)
		}
	}
}

// is checks whether a section of an entry is there.
func (r *record) is(there bool, what string, i ledger.Index, section int) {
	r.t.Helper()
	_, err := r.l.Body(r.t.Context(), i, section)
	if there && err != nil || !there && !errors.Is(err, ledger.ErrForgotten) {
		r.t.Errorf("%s: %v, want it there: %v", what, err, there)
	}
}

// TestTheHistoryOfALaptopLastsItsLifeAndAYear: until it is revoked, and while its
// asset is in use, nothing of how it changed is forgotten, nor what was decided
// about its breaches.
func TestTheHistoryOfALaptopLastsItsLifeAndAYear(t *testing.T) {
	r := newRecord(t)
	reported, settled := map[string]ledger.Index{}, map[string]ledger.Index{}
	for _, id := range []string{"d-gone", "d-alive", "d-asset", "d-anew", "d-new"} {
		r.add(proof.KindEnrolment, id, begun, r.kept(roster.SectionEnrolment, "{}"))
		d := ledgertest.NewDevice(t, id)
		at, err := r.l.Append(t.Context(), d.Usual(t, uint64(begun.UnixMilli()), 1))
		if err != nil {
			t.Fatal(err)
		}
		reported[id] = at[0]
		settled[id] = r.decides(begun, decision.Decision{Kind: decision.Resolve, Breach: breach.Key{Device: posture.DeviceID(id), Rule: "USB-01", Kind: "medium", ID: "m"}})
	}
	r.keeps(begun, register.Change{What: register.Import, AsOf: begun, Items: []register.Item{{Tag: "HB-1", Device: "d-asset"}}}, "")
	body, err := admission.Encode(admission.Change{What: admission.SameHardware, Device: "d-new", Earlier: "d-anew"})
	if err != nil {
		t.Fatal(err)
	}
	r.add(proof.KindDecision, "", begun, r.kept(admission.Section, string(body)))
	over := begun.AddDate(0, 6, 0)
	for _, id := range []string{"d-gone", "d-asset", "d-anew"} {
		r.add(proof.KindDecision, id, over, r.kept(roster.SectionRevocation, `{"device":"`+id+`","reason":"sold"}`))
	}
	r.round(over.AddDate(1, 0, 0).Add(-time.Second))
	r.is(true, "before its year is over", reported["d-gone"], 0)
	for _, at := range []time.Time{over.AddDate(1, 0, 0), over.AddDate(9, 0, 0)} {
		r.round(at)
		r.is(false, "a year after its life", reported["d-gone"], 0)
		for _, id := range []string{"d-alive", "d-asset", "d-anew", "d-new"} {
			r.is(true, id, reported[id], 0)
			r.is(true, "what was decided about "+id, settled[id], 0)
		}
	}
	r.is(false, "what was decided about a laptop that is gone", settled["d-gone"], 0)
	r.keeps(over.AddDate(9, 0, 0), register.Change{What: register.Retire, Tag: "HB-1", Date: "2030-01-01"}, "")
	r.round(over.AddDate(9, 0, 1))
	r.is(false, "a year after its asset was retired", reported["d-asset"], 0)
}

// TestALaptopIsHeldAlsoOnceItIsSetUpAnew: what it said under another name, before
// and after, is held with it; what another said is not.
func TestALaptopIsHeldAlsoOnceItIsSetUpAnew(t *testing.T) {
	r := newRecord(t)
	for _, pair := range [][2]posture.DeviceID{{"d-first", "d-second"}, {"d-second", "d-third"}, {"d-other", "d-another"}} {
		body, err := admission.Encode(admission.Change{What: admission.SameHardware, Earlier: pair[0], Device: pair[1]})
		if err != nil {
			t.Fatal(err)
		}
		r.add(proof.KindDecision, "", begun, r.kept(admission.Section, string(body)))
	}
	survey, err := retention.Read(t.Context(), r.l)
	if err != nil {
		t.Fatal(err)
	}
	for _, held := range []posture.DeviceID{"d-first", "d-second", "d-third"} {
		h, err := survey.Hold(t.Context(), r.l, []posture.DeviceID{held}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for id, want := range map[posture.DeviceID]bool{"d-first": true, "d-second": true, "d-third": true, "d-other": false, "d-another": false} {
			if h.Device(id) != want {
				t.Errorf("while %s is held, %s is: %v", held, id, !want)
			}
		}
	}
}

// TestWhatSomethingRestsOnStays: of decisions whose time is over those go on which
// nothing rests.
func TestWhatSomethingRestsOnStays(t *testing.T) {
	r := newRecord(t)
	asked := r.decides(begun, decision.Decision{Kind: decision.SetApprovers, Policy: &decision.Policy{Approvers: 1}})
	two := r.decides(begun.Add(time.Hour), decision.Decision{Kind: decision.SetApprovers, Policy: &decision.Policy{Approvers: 2}})
	withdrawn := r.decides(begun, decision.Decision{Kind: decision.WithdrawPolicy, Policy: &decision.Policy{Draft: "autumn", Digest: proof.Digest{1}}})
	imported := r.keeps(begun, register.Change{What: register.Import, AsOf: begun, Items: []register.Item{{Tag: "HB-1"}}}, "")
	lent := r.keeps(begun, register.Change{What: register.Allocate, Tag: "HB-1", Allocation: &register.Allocation{Role: "Year 4"}}, "A. Rowan")
	unknown := r.add(proof.KindDecision, "", begun, proof.Section{Name: decision.Section, Class: proof.People, Salt: r.salts()[0], Body: []byte(`{"kind":"forgive"}`)})
	r.round(time.Date(2028, 1, 31, 23, 59, 59, 0, time.UTC))
	r.is(true, "two years are not over", withdrawn, 0)
	r.round(time.Date(2028, 2, 1, 0, 0, 0, 0, time.UTC))
	r.is(false, "who asked for one", asked, 0)
	r.is(true, "who asked for two", two, 0)
	r.is(false, "who withdrew a draft", withdrawn, 0)
	r.is(true, "a list", imported, 0)
	r.is(false, "who imported it", imported, 1)
	r.is(true, "who has it", lent, 1)
	r.is(true, "of another version", unknown, 0)
}

// TestAnIncidentIsKeptFromWhenItWasClosed, and for as long as it is open.
func TestAnIncidentIsKeptFromWhenItWasClosed(t *testing.T) {
	r := newRecord(t)
	const one, other = "in-0000000000000001", "in-0000000000000002"
	aware := &incident.Moment{At: begun, Zone: "Europe/London"}
	opened := r.incident(begun, incident.Change{What: incident.Open, ID: one, Kind: incident.LostDevice, Aware: aware})
	open := r.incident(begun, incident.Change{What: incident.Open, ID: other, Kind: incident.LostDevice, Aware: aware})
	closed := begun.AddDate(2, 0, 0)
	r.incident(begun.AddDate(1, 0, 0), incident.Change{What: incident.Close, ID: one, Outcome: incident.Internal})
	r.incident(begun.AddDate(1, 6, 0), incident.Change{What: incident.Reopen, ID: one})
	r.incident(closed, incident.Change{What: incident.Close, ID: one, Outcome: incident.Police})
	r.round(closed.AddDate(6, 0, 0).Add(-time.Second))
	r.is(true, "before six years", opened, 1)
	r.round(closed.AddDate(6, 0, 0))
	r.is(false, "after six years", opened, 1)
	r.is(true, "what is kept of it", opened, 0)
	r.is(true, "an open one", open, 1)
}

// TestTheSchoolsOwnTimesCount, those said last.
func TestTheSchoolsOwnTimesCount(t *testing.T) {
	r := newRecord(t)
	for i, link := range []string{"2 years", "1 month"} {
		body, err := retention.Encode(retention.Times{retention.Link: span(t, link)})
		if err != nil {
			t.Fatal(err)
		}
		sections, err := decision.RetentionSections(decision.Decision{Kind: decision.Retention, By: "Jo Marsh", At: begun, Reason: "agreed"}, body, r.salts())
		if err != nil {
			t.Fatal(err)
		}
		r.add(proof.KindDecision, "", begun.Add(time.Duration(i)*time.Hour), sections...)
	}
	r.keeps(begun, register.Change{What: register.Import, AsOf: begun, Items: []register.Item{{Tag: "HB-1"}}}, "")
	lent := r.keeps(begun, register.Change{What: register.Allocate, Tag: "HB-1", Allocation: &register.Allocation{Role: "Year 4"}}, "A. Rowan")
	back := begun.AddDate(0, 0, 20)
	r.keeps(back, register.Change{What: register.HandBack, Tag: "HB-1"}, "")
	r.round(back.AddDate(0, 1, 0).Add(-time.Second))
	r.is(true, "before a month", lent, 1)
	r.round(back.AddDate(0, 1, 0))
	r.is(false, "after a month", lent, 1)
	s, err := retention.Read(t.Context(), r.l)
	if err != nil || s.Times[retention.Link].String() != "1 month" || s.Chosen[retention.Link].Entry != 1 || s.Times[retention.Media].String() != "90 days" {
		t.Errorf("it is %v, %v, %v", s.Times, s.Chosen, err)
	}
	times, chosen, err := retention.ReadChoice(t.Context(), r.l, []ledger.Index{0, 1})
	if err != nil || !maps.Equal(times, s.Times) || !maps.Equal(chosen, s.Chosen) {
		t.Errorf("read from where it was said: %v, %v, %v", times, chosen, err)
	}
}

func span(t *testing.T, s string) retention.Span {
	t.Helper()
	out, err := retention.ParseSpan(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
