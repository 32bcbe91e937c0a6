package projection

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/concern"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// reported records a change of what was reported without signing in, as the
// collector does.
func (s *school) reported(tb testing.TB, at time.Time, c concern.Change) {
	tb.Helper()
	d := decision.Decision{Kind: decision.Concern, By: "dpo", At: at, Reason: "rung back: it was in the cupboard"}
	if c.What == concern.Raise {
		d.By, d.Reason = decision.NotSignedIn, "left on the 16:20 train"
		d.Concern = &concern.Told{Thing: "HB-LT-000", From: "A. Rowan", Reach: "01632 960 014"}
	}
	sections, err := decision.ConcernSections(d, c, [2][proof.SaltSize]byte{{1}, {2}})
	if err != nil {
		tb.Fatal(err)
	}
	s.ledger.append(s.envelope(proof.KindDecision, "", at), sections...)
}

// drawConcern draws something that is reported, an incident because of it, or
// that it is set aside; of a few references, which may not be there.
func drawConcern(tb testing.TB, t *rapid.T, s *school, laptops []*laptop, now time.Time) {
	ids := []string{"K7QM-2XHD", "0000-0001", "0000-0002"}
	id := rapid.SampledFrom(ids).Draw(t, "reference")
	switch rapid.IntRange(0, 4).Draw(t, "concern") {
	case 0, 1:
		s.reported(tb, now, concern.Change{What: concern.Raise, ID: id, Kind: rapid.SampledFrom(concern.Kinds()).Draw(t, "kind")})
	case 2:
		s.reported(tb, now, concern.Change{What: concern.SetAside, IDs: []string{id, ids[0]}})
	case 3:
		s.reported(tb, now, concern.Change{What: concern.Address, Address: rapid.SampledFrom([]string{"K7QM2-XHD4R", "00000-00001"}).Draw(t, "address")})
	case 4:
		c := openOf(rapid.SampledFrom([]string{"in-1", "in-4"}).Draw(t, "opened"), "", rapid.SampledFrom(laptops).Draw(t, "whose").id, now)
		c.Concern = id
		s.records(tb, now, c)
	}
}

// TestAReportWaitsUntilSomebodyLooks: what was told waits for somebody of the
// school, marks nothing lost, and is answered once.
func TestAReportWaitsUntilSomebodyLooks(t *testing.T) {
	s := newSchool(t, "hollybank")
	l := s.enrol(t, "hb-lt-000", term)
	f := open(t, s)
	look := func(now time.Time) (waiting, all []view.Concern) {
		t.Helper()
		f.catchUp(t)
		w, err := f.q.Concerns(t.Context(), s.id, view.ConcernQuery{Waiting: true}, now)
		if err != nil {
			t.Fatal(err)
		}
		a, err := f.q.Concerns(t.Context(), s.id, view.ConcernQuery{}, now)
		if err != nil {
			t.Fatal(err)
		}
		n, since, err := f.q.WaitingConcerns(t.Context(), s.id, now)
		if err != nil || n != len(w.Concerns) || n > 0 && !since.Equal(w.Concerns[0].Raised) {
			t.Errorf("%d wait since %s, %v; listed are %+v", n, since, err, w.Concerns)
		}
		return w.Concerns, a.Concerns
	}
	if _, err := f.q.ConcernAddress(t.Context(), s.id, term); err == nil {
		t.Error("a school of which nobody said so has an address")
	}
	s.reported(t, term, concern.Change{What: concern.Address, Address: "K7QM2-XHD4R"})
	for n, id := range []string{"K7QM-2XHD", "0000-0001", "0000-0002"} {
		s.reported(t, term.Add(time.Duration(n+1)*hour), concern.Change{What: concern.Raise, ID: id, Kind: concern.Lost})
	}
	s.reported(t, term.Add(4*hour), concern.Change{What: concern.Raise, ID: "0000-0002", Kind: concern.Stolen}) // a reference is not given twice
	waiting, all := look(term.Add(5 * hour))
	if len(waiting) != 3 || len(all) != 3 || waiting[0].ID != "K7QM-2XHD" || all[0].ID != "0000-0002" || all[0].Kind != concern.Lost {
		t.Fatalf("waiting %+v, all %+v", waiting, all)
	}
	if c := waiting[0]; c.Words != "left on the 16:20 train" || c.Thing != "HB-LT-000" || c.From != "A. Rowan" || c.By != "" || !c.Raised.Equal(term.Add(hour)) || !c.Waiting() {
		t.Errorf("what was told is %+v", c)
	}
	if a, err := f.q.ConcernAddress(t.Context(), s.id, term); err != nil || a.Address != "K7QM2-XHD4R" || a.By != "dpo" {
		t.Errorf("the address is %+v, %v", a, err)
	}
	if d, err := f.q.Device(t.Context(), s.id, l.id, term.Add(5*hour)); err != nil || d.Lost != nil {
		t.Errorf("the laptop that somebody named is lost: %+v, %v", d.Lost, err)
	}

	c := openOf("in-1", "2026-07", l.id, term.Add(hour))
	c.Concern = "K7QM-2XHD"
	s.records(t, term.Add(6*hour), c)
	c.ID, c.Number = "in-2", "2026-08"
	s.records(t, term.Add(7*hour), c) // a second incident of the same report
	s.reported(t, term.Add(8*hour), concern.Change{What: concern.SetAside, IDs: []string{"0000-0001", "K7QM-2XHD", "ZZZZ-ZZZZ"}})
	waiting, all = look(term.Add(9 * hour))
	if len(waiting) != 1 || waiting[0].ID != "0000-0002" {
		t.Errorf("waiting: %+v", waiting)
	}
	if all[2].Incident != "2026-07" || all[2].Aside.Done() || all[1].Aside.By != "dpo" || all[1].Aside.Reason == "" {
		t.Errorf("what became of them: %+v", all)
	}
	c.ID, c.Number, c.Concern = "in-3", "2026-09", "0000-0001"
	s.records(t, term.Add(10*hour), c)
	if _, all = look(term.Add(11 * hour)); all[1].Incident != "2026-09" || !all[1].Aside.Done() {
		t.Errorf("what was set aside and opened after all: %+v", all[1])
	}

	s.purge(term.Add(12*hour), proof.People)
	if waiting, all = look(term.Add(13 * hour)); len(waiting) != 1 || len(all) != 3 || !all[0].Forgotten || all[0].Words+all[0].Thing+all[0].From+all[0].Reach != "" || all[2].Incident != "2026-07" {
		t.Errorf("once what was told is forgotten: %+v", all)
	}
}

// TestReportsComeInPages: each is on one page.
func TestReportsComeInPages(t *testing.T) {
	s := newSchool(t, "hollybank")
	for range 7 {
		s.reported(t, term, concern.Change{What: concern.Raise, ID: concern.NewReference(), Kind: concern.Suspicious})
	}
	f := open(t, s)
	f.catchUp(t)
	for _, waiting := range []bool{true, false} {
		seen := map[string]bool{}
		for q := (view.ConcernQuery{Waiting: waiting, Limit: 3}); ; {
			page, err := f.q.Concerns(t.Context(), s.id, q, term)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range page.Concerns {
				seen[c.ID] = true
			}
			if q.After = page.Next; q.After == "" {
				break
			}
		}
		if len(seen) != 7 {
			t.Errorf("waiting %v: %d of 7 are on the pages", waiting, len(seen))
		}
	}
}
