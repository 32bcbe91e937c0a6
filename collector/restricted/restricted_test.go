package restricted

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/incident"
)

var noon = time.Date(2026, 11, 9, 12, 0, 0, 0, time.UTC)

// person is somebody with an account and a key.
type person struct {
	Secret
	account string
}

func (p person) named() Named { return Named{p.account, p.Key()} }

func newPerson(tb testing.TB, account string) person {
	tb.Helper()
	s, err := NewSecret()
	if err != nil {
		tb.Fatal(err)
	}
	return person{s, account}
}

func people(tb testing.TB, n int) []person {
	var list []person
	for i := range n {
		list = append(list, newPerson(tb, fmt.Sprintf("account-%d", i)))
	}
	return list
}

// story is a school's book and the bodies that it was made of.
type story struct {
	tb     testing.TB
	book   *Book
	bodies [][]byte
}

func newStory(tb testing.TB) *story { return &story{tb: tb, book: NewBook("hollybank")} }

// append records a body, whatever it is.
func (s *story) append(body []byte) {
	s.bodies = append(s.bodies, body)
	a, err := Parse(body, uint64(len(s.bodies)), noon.Add(time.Duration(len(s.bodies))*time.Minute))
	if err == nil {
		s.book.Take(a)
	}
}

// act makes an act of somebody as things stand, and records it if it makes
// sense; why not, if not.
func (s *story) act(p person, h Head, c Content) error {
	now, _ := s.book.Case(h.Case)
	h.School, h.After, h.By = "hollybank", now.After, p.Key().Code()
	c.By = p.account
	if err := now.Refuses(h); err != nil {
		return err
	}
	body, err := p.Make(h, c, now.To)
	if err != nil {
		return err
	}
	s.append(body)
	return nil
}

func (s *story) must(p person, h Head, c Content) {
	s.tb.Helper()
	if err := s.act(p, h, c); err != nil {
		s.tb.Fatalf("%s %s: %v", h.What, h.Asked, err)
	}
}

func (s *story) state(id string) Case {
	c, _ := s.book.Case(id)
	return c
}

const alleged = "the technician is said to have copied pupils' records"

// proposes asks to open a case.
func (s *story) proposes(p person, id string, named ...person) error {
	var list []Named
	for _, n := range named {
		list = append(list, n.named())
	}
	to, keys, err := Ring{}.Turn(list)
	if err != nil {
		s.tb.Fatal(err)
	}
	aware := incident.NewMoment(noon, "Europe/London")
	return s.act(p, Head{Case: id, What: Ask, Asked: Open, Named: list, To: to, Keys: keys}, Content{
		Words: alleged, Concerns: []string{"Morgan Ellis"}, Change: &incident.Change{What: incident.Open, ID: id, Kind: incident.Disclosure, Aware: &aware},
	})
}

func (s *story) opens(id string, a, b person, more ...person) {
	s.tb.Helper()
	if err := s.proposes(a, id, append([]person{a, b}, more...)...); err != nil {
		s.tb.Fatal(err)
	}
	s.must(b, Head{Case: id, What: Agree, Of: s.state(id).Pending.Digest}, Content{})
}

// reads is the case as somebody reads it.
func (s *story) reads(p person, id string) (Told, error) {
	c := s.state(id)
	ring, err := p.Ring(c)
	if err != nil {
		return Told{}, err
	}
	wrote := map[uint64]Content{}
	for _, a := range c.Acts {
		full, err := Parse(s.bodies[a.Entry-1], a.Entry, a.At)
		if err != nil {
			return Told{}, err
		}
		if wrote[a.Entry], err = ring.Read(full); err != nil {
			return Told{}, err
		}
	}
	return Tell(c, wrote, func(code string) string { return code }, noon.Add(time.Hour)), nil
}

const one = "r-abcdefgh"

func TestACaseFromBeginToEnd(t *testing.T) {
	p := people(t, 4)
	head, dpo, deputy, stranger := p[0], p[1], p[2], p[3]
	s := newStory(t)
	if err := s.proposes(head, one, head, dpo); err != nil {
		t.Fatal(err)
	}
	asked := s.state(one).Pending.Digest
	if err := s.act(head, Head{Case: one, What: Agree, Of: asked}, Content{}); err == nil || s.state(one).State != Proposed {
		t.Errorf("one person opened it: %v, %s", err, s.state(one).State)
	}
	if err := s.act(head, Head{Case: one, What: Record}, Content{Change: &incident.Change{What: incident.Note, ID: one}}); err == nil {
		t.Error("something was recorded before two agreed")
	}
	s.must(dpo, Head{Case: one, What: Agree, Of: asked}, Content{})
	s.must(dpo, Head{Case: one, What: View}, Content{Looked: "show"})
	s.must(dpo, Head{Case: one, What: Place, On: &Subject{Device: "d-14"}}, Content{Words: "the police may want it"})
	s.must(head, Head{Case: one, What: Record}, Content{Words: "spoke", Change: &incident.Change{What: incident.Spoke, ID: one, Whom: "local authority designated officer"}})
	if err := s.act(head, Head{Case: one, What: Ask, Asked: Close}, Content{}); err == nil || !strings.Contains(err.Error(), "lift the hold") {
		t.Errorf("closed over a hold: %v", err)
	}
	if held := s.book.Held(); len(held) != 1 || held[0].On.Device != "d-14" {
		t.Errorf("held: %+v", held)
	}
	// The deputy is named, and the officer forgets the passphrase.
	to, keys, err := must(head.Ring(s.state(one))).Turn([]Named{head.named(), dpo.named(), deputy.named()})
	if err != nil {
		t.Fatal(err)
	}
	s.must(head, Head{Case: one, What: Name, Named: []Named{deputy.named()}, To: to, Keys: keys}, Content{Name: "deputy"})
	again := newPerson(t, dpo.account)
	to, keys, err = must(deputy.Ring(s.state(one))).Turn([]Named{head.named(), again.named(), deputy.named()})
	if err != nil {
		t.Fatal(err)
	}
	s.must(deputy, Head{Case: one, What: Name, Named: []Named{again.named()}, To: to, Keys: keys}, Content{Name: "dpo"})
	if _, err := dpo.Ring(s.state(one)); err == nil {
		t.Error("the forgotten key opens what comes after")
	}
	told, err := s.reads(again, one)
	if err != nil || told.Incident.Opened.Words != alleged || len(told.Views) != 1 || len(told.Seniors) != 3 || told.Incident.Closed {
		t.Fatalf("read with the new key: %v %+v", err, told)
	}
	if told.Due != "due Thu 12 Nov 2026 12:00 GMT, in 2 days 23 hours" || len(told.Incident.Contacts) != 1 {
		t.Errorf("the clock and the contacts: %q %+v", told.Due, told.Incident.Contacts)
	}
	if _, err := s.reads(stranger, one); err == nil {
		t.Error("somebody who is not named read it")
	}
	s.ends(head, deputy, again)
	told, err = s.reads(deputy, one)
	if err != nil || told.State != Closed || !told.Incident.Closed || told.Incident.Closings[0].Words != "unfounded" {
		t.Errorf("closed: %v %+v", err, told.Incident)
	}
}

// ends lifts the hold, removes the head and closes the case.
func (s *story) ends(head, deputy, dpo person) {
	s.tb.Helper()
	s.must(head, Head{Case: one, What: Ask, Asked: Lift, On: &Subject{Device: "d-14"}}, Content{})
	s.must(dpo, Head{Case: one, What: Agree, Of: s.state(one).Pending.Digest}, Content{})
	s.must(deputy, Head{Case: one, What: Ask, Asked: Remove, Whom: head.account}, Content{Name: "head"})
	to, keys, err := must(dpo.Ring(s.state(one))).Turn([]Named{dpo.named(), deputy.named()})
	if err != nil {
		s.tb.Fatal(err)
	}
	agree := Head{Case: one, What: Agree, Of: s.state(one).Pending.Digest, To: to, Keys: keys}
	if err := s.act(head, agree, Content{}); err == nil {
		s.tb.Error("who is removed was the second person")
	}
	s.must(dpo, agree, Content{})
	if err := s.act(head, Head{Case: one, What: View}, Content{}); err == nil {
		s.tb.Error("who was removed looks on")
	}
	s.must(dpo, Head{Case: one, What: Ask, Asked: Close}, Content{Words: "unfounded", Change: &incident.Change{What: incident.Close, ID: one, Outcome: incident.Internal}})
	if c := s.state(one); c.State != Opened {
		s.tb.Errorf("one person closed it: %s", c.State)
	}
	s.must(deputy, Head{Case: one, What: Agree, Of: s.state(one).Pending.Digest}, Content{})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestFewerThanTwoDoNothing: no sequence of acts by fewer than two of those who
// are named opens or closes an incident, lifts a hold or removes anybody,
// whatever others record beside it, also by the way past the collector; and
// nobody who is not named opens a byte of it.
func TestFewerThanTwoDoNothing(t *testing.T) {
	all := people(t, 5)
	other := newPerson(t, all[0].account) // another key of the first one
	rapid.Check(t, func(rt *rapid.T) {
		s := newStory(t)
		named := all[:rapid.IntRange(2, 3).Draw(rt, "named")]
		opened := rapid.Bool().Draw(rt, "opened")
		if opened {
			s.opens(one, named[0], named[1], named[2:]...)
			s.must(named[1], Head{Case: one, What: Place, On: &Subject{Device: "d-14"}}, Content{})
		} else if err := s.proposes(named[0], one, named...); err != nil {
			rt.Fatal(err)
		}
		before := s.state(one)
		alone := named[0] // who alone does all that can be done, with whoever is not named
		crowd := append([]person{alone, other}, all[3:]...)
		for range rapid.IntRange(1, 15).Draw(rt, "acts") {
			s.forge(rt, crowd[rapid.IntRange(0, len(crowd)-1).Draw(rt, "who")], alone)
			now := s.state(one)
			if now.State != before.State && !(before.State == Proposed && now.State == Dropped) {
				rt.Fatalf("one person had it %s: it was %s", now.State, before.State)
			}
			if len(now.Holds) < len(before.Holds) {
				rt.Fatal("one person lifted the hold")
			}
			if len(now.Named) != len(before.Named) || !slices.ContainsFunc(now.Named, func(n Named) bool { return n.Code() == named[1].Key().Code() }) {
				rt.Fatalf("one person changed who is named: %+v", now.Named)
			}
		}
		for _, p := range append(all[3:], other) {
			if _, err := p.Ring(s.state(one)); err == nil {
				rt.Fatal("somebody who is not named has the key")
			}
			for n, body := range s.bodies {
				if bytes.Contains(body, []byte("pupils")) || bytes.Contains(body, []byte("Morgan")) {
					rt.Fatalf("entry %d holds what was written", n+1)
				}
			}
		}
		again := NewBook("hollybank")
		for n, body := range s.bodies {
			if a, err := Parse(body, uint64(n+1), noon.Add(time.Duration(n+1)*time.Minute)); err == nil {
				again.Take(a)
			}
		}
		got, _ := again.Case(one)
		if diff := cmp.Diff(s.state(one), got, cmp.AllowUnexported(Act{})); diff != "" {
			rt.Fatalf("taken in again it is another: %s", diff)
		}
	})
}

// forge records what somebody makes of the case without being asked whether
// they may.
func (s *story) forge(rt *rapid.T, by, alone person) {
	c := s.state(one)
	after := c.After
	if rapid.IntRange(0, 4).Draw(rt, "stale") == 0 {
		after = strings.Repeat("ab", 32)
	}
	of := strings.Repeat("cd", 32)
	if c.Pending != nil {
		of = c.Pending.Digest
	}
	h := Head{School: "hollybank", Case: one, After: after}
	turn := func() {
		to, keys, err := Ring{}.Turn([]Named{by.named(), alone.named()})
		if err != nil {
			rt.Fatal(err)
		}
		h.To, h.Keys = to, keys
	}
	switch rapid.IntRange(0, 8).Draw(rt, "what") {
	case 0:
		h.What, h.Asked = Ask, Close
	case 1:
		h.What, h.Asked, h.On = Ask, Lift, &Subject{Device: "d-14"}
	case 2:
		h.What, h.Of = Agree, of
		if c.Pending != nil && c.Pending.Asked == Remove {
			turn()
		}
	case 3:
		h.What, h.Asked, h.Whom = Ask, Remove, "account-1"
	case 4:
		h.What, h.Of = Decline, of
	case 5:
		h.What = View
	case 6:
		h.What, h.Asked, h.After, h.Named = Ask, Open, "", []Named{by.named(), alone.named()}
		turn()
	case 7: // what somebody recorded is recorded once more
		s.append(s.bodies[rapid.IntRange(0, len(s.bodies)-1).Draw(rt, "again")])
		return
	case 8: // or changed, or under the name of another
		body := bytes.Clone(s.bodies[rapid.IntRange(0, len(s.bodies)-1).Draw(rt, "changed")])
		body[rapid.IntRange(0, len(body)-1).Draw(rt, "byte")] ^= 1
		s.append(body)
		return
	}
	body, err := by.Make(h, Content{By: by.account}, alone.Key().Recipient)
	if err != nil {
		rt.Fatal(err)
	}
	if rapid.IntRange(0, 3).Draw(rt, "masked") == 0 { // as if another had signed
		body = bytes.Replace(body, []byte(by.Key().Code()), []byte(alone.Key().Code()), 1)
	}
	s.append(body)
}

// TestWhatIsHeldIsNotClosed: a hold that was placed after somebody asked to close
// an incident keeps the other from agreeing, whatever is written into the record.
func TestWhatIsHeldIsNotClosed(t *testing.T) {
	s, all := newStory(t), people(t, 2)
	s.opens(one, all[0], all[1])
	s.must(all[0], Head{Case: one, What: Ask, Asked: Close}, Content{Words: "nothing in it"})
	asked := s.state(one).Pending.Digest
	s.must(all[1], Head{Case: one, What: Place, On: &Subject{Device: "d-14"}}, Content{Words: "the police may want it"})
	if err := s.act(all[1], Head{Case: one, What: Agree, Of: asked}, Content{}); err == nil {
		t.Error("it was closed while it holds something")
	}
	now := s.state(one)
	body, err := all[1].Make(Head{School: "hollybank", Case: one, After: now.After, What: Agree, Of: asked}, Content{By: all[1].account}, now.To)
	if err != nil {
		t.Fatal(err)
	}
	s.append(body)
	if now := s.state(one); now.State != Opened || len(now.Holds) != 1 {
		t.Errorf("written into the record, it has it %s with %d holds", now.State, len(now.Holds))
	}
	s.must(all[0], Head{Case: one, What: Decline, Of: asked}, Content{})
	s.must(all[0], Head{Case: one, What: Ask, Asked: Lift, On: &Subject{Device: "d-14"}}, Content{Words: "they have it"})
}

func TestWhoMayNotBeNamed(t *testing.T) {
	p := people(t, 6)
	s := newStory(t)
	for name, named := range map[string][]person{
		"alone": {p[0]}, "twice": {p[0], p[0]}, "two keys of one": {p[0], {newPerson(t, "x").Secret, p[0].account}},
		"one key of two": {p[0], {p[0].Secret, "account-9"}}, "too many": p, "not the asker": {p[1], p[2]},
	} {
		if err := s.proposes(p[0], one, named...); err == nil {
			t.Errorf("%s: it was asked", name)
		}
	}
	s.opens(one, p[0], p[1])
	if err := s.act(p[0], Head{Case: one, What: Ask, Asked: Remove, Whom: p[1].account}, Content{}); err == nil {
		t.Error("one was left")
	}
	if err := s.act(p[2], Head{Case: one, What: View}, Content{}); err == nil {
		t.Error("somebody else looked")
	}
	s.must(p[0], Head{Case: one, What: Ask, Asked: Close}, Content{})
	s.must(p[0], Head{Case: one, What: Decline, Of: s.state(one).Pending.Digest}, Content{})
	if s.state(one).State != Opened || s.state(one).Pending != nil {
		t.Errorf("taken back: %+v", s.state(one))
	}
	lost := incident.Link{What: incident.Device, Device: "d-14", Lost: true}
	if err := s.act(p[0], Head{Case: one, What: Record}, Content{Change: &incident.Change{What: incident.Add, ID: one, Links: []incident.Link{lost}}}); err == nil {
		t.Error("a device is lost, and nobody sees it")
	}
	if err := s.act(p[0], Head{Case: one, What: Record}, Content{Words: "a\u202eb"}); err == nil {
		t.Error("words that cannot be seen were recorded")
	}
}

func TestPassphrases(t *testing.T) {
	p := newPerson(t, "account-1")
	word := NewPassphrase()
	if len(plain(word)) != passphraseLetters || NewPassphrase() == word {
		t.Errorf("the passphrase %q", word)
	}
	wrapped, err := p.Wrap(word)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(wrapped, []byte("AGE-SECRET")) || bytes.Contains(wrapped, []byte(plain(word))) {
		t.Error("it is not wrapped")
	}
	again, err := Unwrap(wrapped, " "+strings.ToUpper(strings.ReplaceAll(word, "-", " "))+"\n")
	if err != nil || again.Key().Code() != p.Key().Code() {
		t.Fatalf("as somebody types it: %v", err)
	}
	for _, wrong := range []string{"", "x", NewPassphrase()} {
		if _, err := Unwrap(wrapped, wrong); !errors.Is(err, ErrPassphrase) {
			t.Errorf("with %q: %v", wrong, err)
		}
	}
	code := p.Key().Code()
	if CleanCode(" "+strings.ToUpper(strings.ReplaceAll(code, "-", ""))) != code || CleanCode("abcd") != "" || CleanCode("é") != "" {
		t.Errorf("the code %s is not read again", code)
	}
}

// TestSizesTellLittle: what is written in a few words and in many has one size.
func TestSizesTellLittle(t *testing.T) {
	p := people(t, 2)
	sizes := map[int]bool{}
	for _, words := range []string{"no", strings.Repeat("the technician ", 20)} {
		s := newStory(t)
		s.opens(one, p[0], p[1])
		s.must(p[0], Head{Case: one, What: Record}, Content{Words: words})
		sizes[len(s.bodies[2])] = true
	}
	if len(sizes) != 1 {
		t.Errorf("sizes %v", sizes)
	}
}

func FuzzParse(f *testing.F) {
	p := people(f, 2)
	s := newStory(f)
	s.opens(one, p[0], p[1])
	s.must(p[0], Head{Case: one, What: Place, On: &Subject{Medium: "M-031"}}, Content{})
	s.must(p[0], Head{Case: one, What: View}, Content{Looked: "show"})
	for _, body := range s.bodies {
		f.Add(body)
	}
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := Parse(body, 1, noon)
		if err != nil {
			return
		}
		book := NewBook("hollybank")
		for _, first := range s.bodies {
			b, err := Parse(first, 1, noon)
			if err != nil {
				t.Fatal(err)
			}
			book.Take(b)
		}
		before, _ := book.Case(one)
		book.Take(a)
		if after, _ := book.Case(one); a.Case == one && !slices.ContainsFunc(s.bodies, func(b []byte) bool { return bytes.Equal(b, body) }) &&
			(after.State != before.State || len(after.Holds) != len(before.Holds) || len(after.Named) != len(before.Named)) {
			t.Fatal("what nobody signed changed the case")
		}
		if _, err := json.Marshal(Tell(before, nil, func(string) string { return "" }, noon)); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzParseSecret(f *testing.F) {
	p := newPerson(f, "x")
	f.Add([]byte(signLine + "AAAA\n" + p.identity.String()))
	f.Add([]byte("# x\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, err := parseSecret(text); err == nil && s.Key().check() != nil {
			t.Fatal("a key that is not whole")
		}
	})
}
