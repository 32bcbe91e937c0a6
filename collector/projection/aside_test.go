package projection

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// told tells a laptop something else about its use, as the collector does. It
// takes that in with its next report.
func (l *laptop) told(tb testing.TB, at time.Time, by string, change func(*policy.Assignment)) {
	tb.Helper()
	change(&l.assignment)
	l.assignment.Number++
	signed, err := proof.SignDocument("assignment", body(tb, roster.Assignment{
		School: l.school.id, Device: l.id, Assignment: l.assignment,
	}), l.school.key)
	if err != nil {
		tb.Fatal(err)
	}
	sections := []proof.Section{{Name: roster.SectionAssignment, Class: proof.Kept, Body: signed}}
	if by != "" {
		d, err := decision.Encode(decision.Decision{Kind: decision.Assign, By: by, At: at, Reason: "a story"}, [proof.SaltSize]byte{})
		if err != nil {
			tb.Fatal(err)
		}
		sections = append(sections, d)
	}
	l.school.ledger.append(l.school.envelope(proof.KindAssignment, string(l.id), at), sections...)
}

// drawTold tells a laptop whatever it may be told. Now and then something is
// decided that shows nowhere in the view.
func drawTold(tb testing.TB, t *rapid.T, l *laptop, now time.Time) {
	tb.Helper()
	if rapid.IntRange(0, 2).Draw(t, "unseen") > 0 {
		drawUnseen(tb, t, l.school, now)
		return
	}
	l.told(tb, now, rapid.SampledFrom([]string{"", "Priya Anand"}).Draw(t, "teller"), func(a *policy.Assignment) {
		a.Groups = rapid.SampledFrom([][]string{nil, {"Year 6"}, {"Year 6", "Trolley B"}}).Draw(t, "groups")
		a.Ownership = rapid.SampledFrom([]posture.Ownership{posture.SchoolSingleUser, posture.SchoolMultiUser}).Draw(t, "class")
		a.Investigation = rapid.Bool().Draw(t, "aside")
		if a.PersonalUse = rapid.Bool().Draw(t, "personal"); a.PersonalUse {
			a.Reveal = rapid.SampledFrom([][]string{nil, {strings.Repeat("a", 64)}}).Draw(t, "reveal")
		}
	})
}

// drawUnseen records a decision of the school's trust, or about a draft of the
// school's policy: whoever asks about these reads the ledger.
func drawUnseen(tb testing.TB, t *rapid.T, s *school, now time.Time) {
	tb.Helper()
	text := proof.Digest{1}
	d := decision.Decision{By: "Robin Falk", At: now, Reason: "as agreed", Kind: rapid.SampledFrom([]decision.Kind{
		decision.JoinTrust, decision.LeaveTrust, decision.DraftBaseline, decision.PublishBaseline, decision.AllowLooser, decision.EndLooser,
		decision.DraftPolicy, decision.ApprovePolicy, decision.WithdrawPolicy, decision.SetApprovers,
	}).Draw(t, "unseen kind")}
	section := proof.Section{Name: decision.SectionTrust, Class: proof.Kept}
	switch d.Kind {
	case decision.SetApprovers:
		d.Policy = &decision.Policy{Approvers: 2}
	case decision.DraftPolicy, decision.ApprovePolicy, decision.WithdrawPolicy:
		d.Policy = &decision.Policy{Draft: "autumn-2026", Digest: text, Title: "Autumn", Rules: 1}
	case decision.DraftBaseline, decision.PublishBaseline:
		d.Trust = &decision.Trust{Name: "Northfield Trust", Digest: text, Title: "Baseline", Rules: 1}
		if d.Kind == decision.PublishBaseline {
			d.Trust.Number = 1
		}
	case decision.AllowLooser:
		d.Trust = &decision.Trust{Name: "Northfield Trust", Item: "CFG-01", Mark: text, Words: "after 7 days", Asker: "Priya Anand", Until: now.Add(24 * hour)}
	case decision.EndLooser:
		d.Trust = &decision.Trust{Name: "Northfield Trust", Item: "CFG-01"}
	default:
		d.Trust = &decision.Trust{Name: "Northfield Trust"}
	}
	if err := d.Check(); err != nil {
		tb.Fatal(err)
	}
	if d.Policy != nil {
		section.Name, section.Class = decision.Section, proof.People
	}
	section.Body = body(tb, d)
	s.ledger.append(s.envelope(proof.KindDecision, "", now), section)
}

// TestAMachineSetAsideOpensNoBreachOfMedia: in any order of tagging, telling,
// sticks and reports, no report that a machine makes knowing that it is set aside
// opens a breach about media, and once it is not any more the stick that is in it
// fails as in any laptop.
func TestAMachineSetAsideOpensNoBreachOfMedia(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newSchool(t, "hollybank")
		s.publish(t, term, registeredMedia)
		l := s.enrol(t, "hb-pc-001", term)
		l.policy, l.number = s.policy, s.number
		s.keep(t, term, "technician", "", listed("HB-PC-001", l.id, term))
		s.keep(t, term, "technician", "", register.Change{What: register.Investigate, Tag: "HB-PC-001", On: true})
		l.told(t, term, "", func(a *policy.Assignment) { a.Investigation = true })
		f := open(rt, s)
		now, in := term, false
		for range rapid.IntRange(1, 8).Draw(rt, "reports") {
			now = now.Add(time.Duration(rapid.IntRange(1, 600).Draw(rt, "minutes")) * time.Minute)
			l.facts.Media.Items = nil
			if in = rapid.Bool().Draw(rt, "stick"); in {
				l.facts.Media.Items = []posture.Medium{stick(serial, posture.Unencrypted)}
			}
			l.report(t, now, now)
		}
		f.catchUp(t)
		d := f.device(t, s, "hb-pc-001", now.Add(time.Minute))
		for _, rule := range []string{"USB-01", "USB-02"} {
			if got := standing(t, d, rule); got.Standing != view.NotFor {
				rt.Fatalf("%s is %s: %s", rule, got.Standing, got.Message)
			}
		}
		if len(d.Breaches) > 0 && strings.Contains(line(d.Breaches), "USB") {
			rt.Fatalf("it has breaches: %s", line(d.Breaches))
		}
		now = now.Add(hour)
		s.keep(t, now, "technician", "", register.Change{What: register.Investigate, Tag: "HB-PC-001"})
		l.told(t, now, "", func(a *policy.Assignment) { a.Investigation = false })
		l.report(t, now.Add(time.Minute), now.Add(time.Minute))
		f.catchUp(t)
		want := view.Met
		if in {
			want = view.NotMet
		}
		d = f.device(t, s, "hb-pc-001", now.Add(2*time.Minute))
		if got := standing(t, d, "USB-02"); got.Standing != want {
			rt.Fatalf("in use again, with a stick in it %v, USB-02 is %s", in, got.Standing)
		}
	})
}

// TestWhoAskedForANameIsShown: each assignment with who asked for it and why, the
// newest first, until that is forgotten.
func TestWhoAskedForANameIsShown(t *testing.T) {
	s := newSchool(t, "hollybank")
	l := s.enrol(t, "hb-lt-014", term)
	sum := strings.Repeat("a", 64)
	l.told(t, term.Add(hour), "Priya Anand", func(a *policy.Assignment) { a.PersonalUse, a.Reveal = true, []string{sum} })
	f := open(t, s)
	ask := func() []view.Assigned {
		t.Helper()
		f.catchUp(t)
		list, err := f.q.Assignments(t.Context(), s.id, l.id, term.Add(2*hour))
		if err != nil || len(list) != 2 {
			t.Fatalf("%+v, %v", list, err)
		}
		return list
	}
	if list := ask(); list[0].Number != 2 || list[0].By != "Priya Anand" || list[0].Reason != "a story" || list[0].Reveal[0] != sum || list[1].By != "" {
		t.Errorf("told %+v", list)
	}
	s.purge(term.Add(3*hour), proof.People)
	if list := ask(); list[0].By != "" || list[0].Reason != "" || len(list[0].Reveal) != 1 {
		t.Errorf("forgotten, told %+v", list)
	}
	if _, err := f.q.Assignments(t.Context(), s.id, "nobody's", term); err == nil {
		t.Error("of a device that there is not")
	}
}
