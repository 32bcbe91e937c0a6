package projection

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/subject"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// requests records a change of a request of a person.
func (s *school) requests(tb cleaner, now time.Time, c subject.Change) {
	d := decision.Decision{Kind: decision.Subject, By: "Priya Anand", At: now, Reason: "as they said", Request: &c}
	var sections []proof.Section
	section, err := decision.Encode(d, [proof.SaltSize]byte{1})
	if sections = append(sections, section); c.What == subject.Export {
		sections, err = decision.ExportSections(d, []byte("{}\n"), [2][proof.SaltSize]byte{{1}, {2}})
	}
	if err != nil {
		tb.Fatal(err)
	}
	s.ledger.append(s.envelope(proof.KindDecision, "", now), sections...)
}

func drawRequest(t *rapid.T, s *school, now time.Time) {
	c := subject.Change{
		ID:   rapid.SampledFrom([]string{"sr-1", "sr-2"}).Draw(t, "request"),
		What: rapid.SampledFrom([]subject.What{subject.Receive, subject.AskProof, subject.Identified, subject.Extend, subject.Export, subject.Answered}).Draw(t, "change"),
		On:   now.Format(time.DateOnly),
	}
	switch c.What {
	case subject.Receive:
		c.Name, c.How, c.Zone = "Sam Carter", subject.Spoken, "Europe/London"
	case subject.Extend:
		c.Months = rapid.IntRange(1, 2).Draw(t, "months")
	case subject.Export:
		c.On, c.People, c.Digest = "", []string{"Sam Carter"}, subject.Digest([]byte("{}\n"))
	}
	s.requests(t, now, c)
}

// TestARequestIsFollowed from the day on which it came to the day on which it was
// answered; what cannot be changes nothing, and another school knows of nothing.
func TestARequestIsFollowed(t *testing.T) {
	s, other := newSchool(t, "hollybank"), newSchool(t, "oakfield")
	f := open(t, s, other)
	day := term.Format(time.DateOnly)
	s.requests(t, term, subject.Change{ID: "sr-1", What: subject.Receive, On: day, Name: "Sam Carter", How: subject.Spoken, Zone: "Europe/London"})
	s.requests(t, term, subject.Change{ID: "sr-2", What: subject.Identified, On: day}) // of nothing
	s.requests(t, term, subject.Change{ID: "sr-1", What: subject.Answered, On: day})   // to nobody known
	s.requests(t, term, subject.Change{ID: "sr-1", What: subject.Identified, On: day})
	s.requests(t, term, subject.Change{ID: "sr-1", What: subject.Export, People: []string{"Sam Carter"}, Digest: subject.Digest([]byte("{}\n"))})
	f.catchUp(t)
	list, err := f.q.Requests(t.Context(), s.id, term)
	if err != nil || len(list) != 1 || list[0].Name != "Sam Carter" || list[0].Proof != day || len(list[0].Exports()) != 1 || list[0].Ended != "" {
		t.Fatalf("got %+v, %v", list, err)
	}
	if one, err := f.q.Request(t.Context(), s.id, "sr-1", term); err != nil || len(one.Taken) != 3 {
		t.Errorf("got %+v, %v", one, err)
	}
	if _, err := f.q.Request(t.Context(), other.id, "sr-1", term); err == nil {
		t.Error("another school has the request")
	}
	if list, err := f.q.Requests(t.Context(), other.id, term); err != nil || len(list) != 0 {
		t.Errorf("another school lists %+v, %v", list, err)
	}
}
