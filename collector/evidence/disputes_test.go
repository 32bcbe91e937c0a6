package evidence

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/dispute"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// disputes records that a fact is disputed, or the answer.
func (l *laptop) disputes(by, words string, c dispute.Change, at time.Time) {
	l.t.Helper()
	var told *dispute.Told
	if c.What == dispute.Raise {
		told = &dispute.Told{For: "Sam Carter"}
		c.On, c.Due = "2026-09-08", "2026-10-08"
	}
	sections := must(decision.DisputeSections(decision.NewDispute(c, told, by, at), c, words, [3][proof.SaltSize]byte{{1}, {2}, {3}}))
	l.append(l.maker.Entry(proof.KindDecision, "", at, sections...))
}

func raised(id string, device posture.DeviceID) dispute.Change {
	return dispute.Change{What: dispute.Raise, ID: id, About: dispute.Encryption, Device: device, Fact: 2}
}

// TestWhatIsDisputedStandsBesideTheAnswer: in words, with what the school said,
// and without who it was. The answer about the disks stays as it is.
func TestWhatIsDisputedStandsBesideTheAnswer(t *testing.T) {
	l := newLaptop(t)
	l.reports(plain(), monday, monday)
	was, _ := l.sealed(monday.Add(time.Hour))
	l.disputes("Robin Hale", "it was <b>encrypted</b> on Monday", raised("dp-1", "d1"), monday.Add(day))
	first := l.school.Ledger.Size() - 1
	l.disputes("Robin Hale", "another laptop", raised("dp-2", "d2"), monday.Add(day))
	l.disputes("head", "that one too", dispute.Change{What: dispute.Answer, ID: "dp-2", Outcome: dispute.Upheld}, monday.Add(day))
	q := Question{Device: "d1", At: monday.Add(time.Hour), By: "Priya Anand", Now: monday.Add(3 * day), Found: l.found()}
	q.Disputed = []uint64{first}
	b := l.ask(q)
	if len(b.Sheet.Disputed) != 1 || b.Sheet.State != was.Sheet.State || b.Sheet.Disputed[0].Answer != nil {
		t.Fatalf("%s, disputed: %+v", b.Sheet.State, b.Sheet.Disputed)
	}
	wants(t, printed(t, b), "NOT ENCRYPTED when it was last heard from", "Disputed: somebody says", "Whether its disks are encrypted, as entry 2 has it", "“it was <b>encrypted</b> on Monday”",
		"Not answered when this was made; due by Thu 8 Oct 2026")

	l.disputes("head", "read again, and it is not", dispute.Change{What: dispute.Answer, ID: "dp-1", Outcome: dispute.NotUpheld}, monday.Add(2*day))
	l.disputes("dpo", "twice", dispute.Change{What: dispute.Answer, ID: "dp-1", Outcome: dispute.Upheld}, monday.Add(2*day))
	// What the view has not taken in yet is found all the same, and nothing twice.
	later := l.ask(q)
	q.Disputed, q.Folded = nil, 0
	if found := l.ask(q); !cmp.Equal(found.Sheet, later.Sheet, cmp.AllowUnexported(Disputed{})) {
		t.Errorf("what the view knows makes a difference: %s", cmp.Diff(later.Sheet, found.Sheet, cmp.AllowUnexported(Disputed{})))
	}
	text := printed(t, later)
	wants(t, text, "Not upheld", "“read again, and it is not”")
	for _, name := range []string{"Robin Hale", "Sam Carter", "another laptop", "that one too", "Not answered"} {
		if strings.Contains(text, name) {
			t.Errorf("the sheet says %q:\n%s", name, text)
		}
	}
	for _, e := range later.Entries {
		for _, s := range e.Sections {
			if strings.Contains(string(s.Body), "Sam Carter") {
				t.Errorf("entry %d holds the name of whom it is for", e.Index)
			}
		}
	}
	for name, spoil := range map[string]func(*Bundle){
		"no dispute":      func(b *Bundle) { b.Sheet.Disputed = nil },
		"another answer":  func(b *Bundle) { b.Sheet.Disputed[0].Answer.Outcome = dispute.Upheld },
		"no raise":        func(b *Bundle) { b.Entries = cut(b.Entries, first) },
		"the format once": func(b *Bundle) { b.Format = 1 },
	} {
		b := l.ask(Question{Device: "d1", At: monday.Add(time.Hour), By: "Priya Anand", Now: monday.Add(3 * day)})
		spoil(b)
		if _, _, err := Verify(must(b.Seal(l.sealing)), Trust{Key: &l.school.Key}); err == nil {
			t.Errorf("%s: it verifies", name)
		}
	}
}

// cut leaves out one entry.
func cut(list []Entry, index uint64) (left []Entry) {
	for _, e := range list {
		if e.Index != index {
			left = append(left, e)
		}
	}
	return left
}
