package projection

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/dispute"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// disputes records a change of a dispute, as the collector does.
func (s *school) disputes(tb testing.TB, at time.Time, by, words string, c dispute.Change) {
	tb.Helper()
	var told *dispute.Told
	if c.What == dispute.Raise {
		told = &dispute.Told{For: "Sam Carter"}
		c.On, c.Due = at.Format(time.DateOnly), at.AddDate(0, 0, 28).Format(time.DateOnly)
	}
	sections, err := decision.DisputeSections(decision.NewDispute(c, told, by, at), c, words, [3][proof.SaltSize]byte{{1}, {2}, {3}})
	if err != nil {
		tb.Fatal(err)
	}
	s.ledger.append(s.envelope(proof.KindDecision, "", at), sections...)
}

// drawDispute draws that a fact is disputed or that this is answered; of a few
// identifiers, which may not be there or be there already.
func drawDispute(tb testing.TB, t *rapid.T, s *school, laptops []*laptop, now time.Time) {
	c := dispute.Change{What: dispute.Raise, ID: rapid.SampledFrom([]string{"dp-1", "dp-2", "dp-3"}).Draw(t, "dispute")}
	if rapid.Bool().Draw(t, "answered") {
		c.What, c.Outcome = dispute.Answer, rapid.SampledFrom(dispute.Outcomes()).Draw(t, "outcome")
		s.disputes(tb, now, "dpo", "looked at", c)
		return
	}
	c.About = rapid.SampledFrom([]dispute.About{dispute.Encryption, dispute.Holder, dispute.Uses}).Draw(t, "about")
	if c.About != dispute.Uses {
		c.Device = rapid.SampledFrom(laptops).Draw(t, "whose").id
	}
	s.disputes(tb, now, "staff", "it is not so", c)
}

// TestADisputeStandsBesideTheFact: it changes no finding and no count, is listed
// until somebody answers, is answered once, and stays when what was written is
// forgotten.
func TestADisputeStandsBesideTheFact(t *testing.T) {
	s := newSchool(t, "hollybank")
	l := s.enrol(t, "hb-lt-000", term)
	l.report(t, term, term)
	f := open(t, s)
	f.catchUp(t)
	was, err := f.q.Device(t.Context(), s.id, l.id, term.Add(9*hour))
	if err != nil {
		t.Fatal(err)
	}
	raise := func(id string, about dispute.About, device posture.DeviceID) dispute.Change {
		return dispute.Change{What: dispute.Raise, ID: id, About: about, Device: device, Fact: 2}
	}
	s.disputes(t, term.Add(hour), "staff", "it was replaced", raise("dp-1", dispute.Encryption, l.id))
	s.disputes(t, term.Add(2*hour), "technician", "she never signed", raise("dp-2", dispute.Uses, ""))
	s.disputes(t, term.Add(3*hour), "staff", "the same again", raise("dp-1", dispute.Media, l.id)) // an identifier is not given twice
	list := func(q view.DisputeQuery) (ids string, page view.DisputePage) {
		t.Helper()
		f.catchUp(t)
		page, err := f.q.Disputes(t.Context(), s.id, q, term.Add(9*hour))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range page.Disputes {
			ids += " " + d.ID
		}
		return ids, page
	}
	got, page := list(view.DisputeQuery{})
	if got != " dp-1 dp-2" {
		t.Fatalf("disputed: %s", got)
	}
	if d := page.Disputes[0]; d.About != dispute.Encryption || d.Words != "it was replaced" || d.By != "staff" || d.For != "Sam Carter" || d.Hostname != "hb-lt-000" || !d.Open() || d.Fact != 2 {
		t.Errorf("disputed: %+v", d)
	}
	if n, due, err := f.q.OpenDisputes(t.Context(), s.id, term.Add(9*hour)); n != 2 || due != page.Disputes[0].Due || err != nil {
		t.Errorf("%d wait until %s: %v", n, due, err)
	}
	s.disputes(t, term.Add(4*hour), "dpo", "it says so since it was read again", dispute.Change{What: dispute.Answer, ID: "dp-1", Outcome: dispute.Upheld})
	s.disputes(t, term.Add(5*hour), "head", "no", dispute.Change{What: dispute.Answer, ID: "dp-1", Outcome: dispute.NotUpheld})
	if got, page = list(view.DisputeQuery{}); got != " dp-2 dp-1" || page.Disputes[1].Outcome != dispute.Upheld || page.Disputes[1].Answered.By != "dpo" {
		t.Errorf("once one is answered: %s %+v", got, page)
	}
	if got, _ = list(view.DisputeQuery{Open: true}); got != " dp-2" {
		t.Errorf("not answered: %s", got)
	}
	if got, _ = list(view.DisputeQuery{Device: l.id}); got != " dp-1" {
		t.Errorf("about the laptop: %s", got)
	}
	is, err := f.q.Device(t.Context(), s.id, l.id, term.Add(9*hour))
	if err != nil || is.Met != was.Met || is.NotMet != was.NotMet || fmt.Sprint(is.Findings) != fmt.Sprint(was.Findings) {
		t.Errorf("a dispute changed what the laptop's page says: %+v", is.Device)
	}
	if h, err := f.q.History(t.Context(), s.id, l.id); err != nil || len(h.Disputed) != 2 {
		t.Errorf("evidence is told of %v, %v", h.Disputed, err)
	}
	s.purge(term.Add(6*hour), proof.People)
	if got, page = list(view.DisputeQuery{}); got != " dp-2 dp-1" || page.Disputes[1].Words+page.Disputes[1].By+page.Disputes[1].For != "" || page.Disputes[1].Outcome != dispute.Upheld || !page.Disputes[1].Forgotten {
		t.Errorf("once it is forgotten who wrote what: %+v", page)
	}
}

// TestDisputesComeInPages: each is on one page, what is answered after what is not.
func TestDisputesComeInPages(t *testing.T) {
	s := newSchool(t, "hollybank")
	for n := range 7 {
		id := fmt.Sprintf("dp-%d", n)
		s.disputes(t, term, "dpo", "it is not so", dispute.Change{What: dispute.Raise, ID: id, About: dispute.Uses})
		if n%2 == 0 {
			s.disputes(t, term, "head", "it is", dispute.Change{What: dispute.Answer, ID: id, Outcome: dispute.NotUpheld})
		}
	}
	f := open(t, s)
	f.catchUp(t)
	var seen []view.Dispute
	for q := (view.DisputeQuery{Limit: 2}); ; {
		page, err := f.q.Disputes(t.Context(), s.id, q, term)
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, page.Disputes...)
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	if len(seen) != 7 || !seen[2].Open() || seen[3].Open() || seen[3].ID != "dp-6" {
		t.Errorf("on the pages: %+v", seen)
	}
}
