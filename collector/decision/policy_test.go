package decision

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/shared/proof"
)

var november = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

func aboutPolicy(kind Kind, by string, at time.Time, p Policy) Decision {
	return Decision{Kind: kind, By: by, At: at, Reason: "the governors met", Policy: &p}
}

func text(words string) proof.Digest { return sha256.Sum256([]byte(words)) }

// TestTwoPeoplePublish follows a policy from draft to publication where the
// school asks for two people.
func TestTwoPeoplePublish(t *testing.T) {
	var p Policies
	entry := uint64(0)
	take := func(d Decision) error {
		t.Helper()
		if err := d.CheckNew(); err != nil {
			t.Fatal(err)
		}
		err := p.May(d)
		p.Take(entry, d)
		entry++
		return err
	}
	refused := func(what string, err error) {
		t.Helper()
		if _, ok := errors.AsType[*RefusedError](err); !ok {
			t.Errorf("%s: got %v", what, err)
		}
	}
	one := text("one")
	publish := func(by string, of proof.Digest, number uint64) error {
		return take(aboutPolicy(PublishPolicy, by, november, Policy{Digest: of, Number: number, Drafter: by}))
	}
	if err := publish("console:root", one, 1); err != nil {
		t.Errorf("one person where the school has not asked for two: %v", err)
	}
	if err := take(aboutPolicy(SetApprovers, "Sam Patel", november, Policy{Approvers: 2})); err != nil {
		t.Error(err)
	}
	two := text("two")
	draft := Policy{Draft: "spring", Digest: two, Title: "Spring", Rules: 3}
	if err := take(aboutPolicy(DraftPolicy, "Morgan Ellis", november, draft)); err != nil {
		t.Error(err)
	}
	refused("what nobody has approved", p.May(aboutPolicy(PublishPolicy, "Morgan Ellis", november, Policy{Digest: two, Number: 2})))
	approve := func(by string, of proof.Digest) error {
		return take(aboutPolicy(ApprovePolicy, by, november, Policy{Draft: "spring", Digest: of}))
	}
	refused("the drafter", approve("Morgan Ellis", two))
	refused("the drafter in other letters", approve("morgan ellis", two))
	refused("the console", approve("console:root", two))
	refused("another text", approve("Sam Patel", one))
	if err := approve("Sam Patel", two); err != nil {
		t.Error(err)
	}
	refused("twice", approve("Sam Patel", two))
	// Another text under the name is not approved.
	three := text("three")
	if err := take(aboutPolicy(DraftPolicy, "Morgan Ellis", november, Policy{Draft: "spring", Digest: three})); err != nil {
		t.Error(err)
	}
	refused("a text that took the approved one's place", p.May(aboutPolicy(PublishPolicy, "Morgan Ellis", november, Policy{Digest: three, Number: 2})))
	refused("the text before it", p.May(aboutPolicy(PublishPolicy, "Morgan Ellis", november, Policy{Digest: two, Number: 2})))
	if err := approve("Sam Patel", three); err != nil {
		t.Error(err)
	}
	if err := publish("console:root", three, 2); err != nil {
		t.Error(err)
	}
	if how, ok := p.Publication(2); !ok || how.Unapproved || len(p.Drafts()) != 0 {
		t.Errorf("policy 2: %+v, drafts %+v", how, p.Drafts())
	}
	refused("an approval that was used", publish("console:root", three, 3))
	if how, _ := p.Publication(3); !how.Unapproved {
		t.Error("a policy that came into the record all the same does not show as unapproved")
	}
}

// TestLooseningTakesTwo: one person is enough again once two accounts say so.
func TestLooseningTakesTwo(t *testing.T) {
	var p Policies
	set := func(by string, at time.Time, n int) error {
		d := aboutPolicy(SetApprovers, by, at, Policy{Approvers: n})
		err := p.May(d)
		p.Take(0, d)
		return err
	}
	want := func(n int, asked string) {
		t.Helper()
		if got, by := p.Approvers(); got != n || by != asked {
			t.Errorf("it takes %d, asked by %q; want %d, %q", got, by, n, asked)
		}
	}
	_ = set("Sam Patel", november, 2)
	want(2, "")
	_ = set("Morgan Ellis", november, 1)
	want(2, "Morgan Ellis")
	for _, by := range []string{"Morgan Ellis", "MORGAN ELLIS", "console:root"} {
		if set(by, november.Add(time.Hour), 1) == nil {
			t.Errorf("%s agreed to what Morgan Ellis asked", by)
		}
		want(2, "Morgan Ellis")
	}
	_ = set("Sam Patel", november.Add(31*24*time.Hour), 1) // too late: it asks anew
	want(2, "Sam Patel")
	_ = set("Morgan Ellis", november.Add(32*24*time.Hour), 1)
	want(1, "")
	if set("Morgan Ellis", november.Add(33*24*time.Hour), 1) == nil {
		t.Error("what is so already was decided")
	}
}

// TestNoSequenceOfDecisionsSkipsTheSecondPerson: while the school asks for two, a
// policy that shows as approved was approved by another account than its
// drafter's, and that text.
func TestNoSequenceOfDecisionsSkipsTheSecondPerson(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var p Policies
		type act struct{ by, draft, text string }
		drafted, approved := map[string]act{}, map[act]bool{}
		people := []string{"Morgan Ellis", "Sam Patel", "console:root"}
		now, number := november, uint64(0)
		for entry := range uint64(rapid.IntRange(1, 40).Draw(rt, "decisions")) {
			now = now.Add(time.Duration(rapid.IntRange(0, 400).Draw(rt, "hours")) * time.Hour)
			by, draft, words := rapid.SampledFrom(people).Draw(rt, "by"), rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "draft"), rapid.SampledFrom([]string{"x", "y"}).Draw(rt, "text")
			kind := rapid.SampledFrom([]Kind{DraftPolicy, ApprovePolicy, WithdrawPolicy, PublishPolicy, SetApprovers}).Draw(rt, "kind")
			d := aboutPolicy(kind, by, now, Policy{Draft: draft, Digest: text(words)})
			switch kind {
			case PublishPolicy:
				number++
				d.Policy.Number = number
			case SetApprovers:
				*d.Policy = Policy{Approvers: rapid.IntRange(1, 2).Draw(rt, "approvers")}
			}
			if err := d.CheckNew(); err != nil {
				rt.Fatal(err)
			}
			two, _ := p.Approvers()
			may := p.May(d) == nil
			p.Take(entry, d)
			switch {
			case kind == DraftPolicy && may:
				drafted[draft] = act{by, draft, words}
				for a := range approved {
					if a.draft == draft {
						delete(approved, a)
					}
				}
			case kind == ApprovePolicy && may:
				if drafted[draft].by == by || by == "console:root" || drafted[draft].text != words {
					rt.Fatalf("%s approved %s of %v", by, words, drafted[draft])
				}
				approved[act{by, draft, words}] = true
			case kind == PublishPolicy:
				found := false
				for a := range approved {
					found = found || a.text == words
				}
				if how, _ := p.Publication(number); two == 2 && !how.Unapproved && !found {
					rt.Fatalf("policy %d shows as approved: %+v", number, how)
				}
				if may != (two == 1 || found) && may {
					rt.Fatalf("policy %d may be published without a second person", number)
				}
			}
		}
	})
}

func TestReviewDue(t *testing.T) {
	p := Policy{ReviewBy: "2027-09-01"}
	for at, want := range map[string]bool{"2027-08-31T12:00:00Z": false, "2027-09-01T23:00:00Z": false, "2027-09-02T00:00:00Z": true} {
		now, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if p.ReviewDue(now) != want {
			t.Errorf("at %s: got %v", at, !want)
		}
	}
	if (Policy{}).ReviewDue(november) {
		t.Error("a policy without a day for its review is overdue")
	}
}

func TestDecisionsAboutThePolicyAreChecked(t *testing.T) {
	good := Policy{Draft: "spring", Digest: text("x")}
	for name, d := range map[string]Decision{
		"nothing":         {Kind: DraftPolicy, By: "a", At: november, Reason: "r"},
		"no digest":       aboutPolicy(DraftPolicy, "a", november, Policy{Draft: "spring"}),
		"no draft":        aboutPolicy(ApprovePolicy, "a", november, Policy{Digest: text("x")}),
		"a name to spoil": aboutPolicy(DraftPolicy, "a", november, Policy{Draft: "../x", Digest: text("x")}),
		"three people":    aboutPolicy(SetApprovers, "a", november, Policy{Approvers: 3}),
		"more than that":  aboutPolicy(SetApprovers, "a", november, Policy{Approvers: 2, Draft: "x"}),
		"no number":       aboutPolicy(PublishPolicy, "a", november, good),
		"no such day":     aboutPolicy(PublishPolicy, "a", november, Policy{Digest: text("x"), Number: 1, ReviewBy: "2026-13-01"}),
		"half approved":   aboutPolicy(PublishPolicy, "a", november, Policy{Digest: text("x"), Number: 1, Approver: "b"}),
	} {
		if d.Check() == nil {
			t.Errorf("%s: %s passes", name, fmt.Sprint(d.Policy))
		}
	}
	if err := aboutPolicy(DraftPolicy, "a", november, good).CheckNew(); err != nil {
		t.Error(err)
	}
}

// TestANumberAfterARestoreTakesNoSecondPerson: the policy in force keeps its text
// and who approved it under another number; another text does not come that way.
func TestANumberAfterARestoreTakesNoSecondPerson(t *testing.T) {
	var p Policies
	one, two := text("one"), text("two")
	p.Take(0, aboutPolicy(PublishPolicy, "Morgan Ellis", november, Policy{Digest: one, Number: 3}))
	p.Take(1, aboutPolicy(SetApprovers, "Sam Patel", november, Policy{Approvers: 2}))
	for what, next := range map[string]Policy{
		"another text":                 {Digest: two, Number: 900, Renumbers: 3},
		"of another number":            {Digest: one, Number: 900, Renumbers: 2},
		"the same text without saying": {Digest: one, Number: 900},
	} {
		if err := p.May(aboutPolicy(PublishPolicy, "console:root", november, next)); err == nil {
			t.Errorf("%s took nobody else", what)
		}
	}
	if err := aboutPolicy(PublishPolicy, "console:root", november, Policy{Digest: one, Number: 3, Renumbers: 3}).Check(); err == nil {
		t.Error("the other number was the same")
	}
	p.Take(2, aboutPolicy(PublishPolicy, "console:root", november, Policy{Digest: one, Number: 900, Renumbers: 3}))
	if how, ok := p.Publication(900); !ok || how.Unapproved {
		t.Errorf("under another number it is %+v, %v", how, ok)
	}
	p.Take(3, aboutPolicy(PublishPolicy, "console:root", november, Policy{Digest: two, Number: 901})) // nobody approved it
	if p.Take(4, aboutPolicy(PublishPolicy, "console:root", november, Policy{Digest: two, Number: 990, Renumbers: 901})); !p.published[3].Unapproved {
		t.Error("what nobody approved is approved under another number")
	}
}
