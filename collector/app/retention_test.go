package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/api"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// shelf is a school with a register, and what its record should hold: a model
// that knows nothing of how anything is stored.
type shelf struct {
	t     *rapid.T
	data  string
	clock *clocktest.Driven
	c     *collector
	id    posture.SchoolID
	loans []*modelLoan
	uses  []*modelUse
	held  map[string]*modelLoan // by tag
	left  map[string]bool       // whoever has it has left
}

type modelLoan struct {
	tag, name string
	guest     bool
	back      time.Time
	forgotten bool
	entry     uint64 // counted from 1
}

type modelUse struct {
	name      string
	at        time.Time
	forgotten bool
}

var shelfTags = []string{"HB-1", "HB-2", "HB-3"}

func newShelf(t *testing.T, rt *rapid.T) *shelf {
	s := &shelf{t: rt, data: t.TempDir(), held: map[string]*modelLoan{}, left: map[string]bool{}}
	s.clock = clocktest.NewDriven(time.Date(2026, 1, 12, 8, 0, 0, 0, time.UTC))
	var made InitAnswer
	if err := Do(t.Context(), s.data, "init", InitArguments{School: "Hollybank Primary School"}, &made, s.clock); err != nil {
		rt.Fatal(err)
	}
	s.id = made.School
	s.open(t)
	_, err := s.c.importDevices(t.Context(), ImportArguments{File: "devices.csv", Source: []byte("tag,class\nHB-1,SS\nHB-2,SS\nHB-3,SS\n")})
	if err != nil {
		rt.Fatal(err)
	}
	return s
}

func (s *shelf) open(t *testing.T) {
	c, err := open(t.Context(), s.data, false, s.clock, slog.New(slog.DiscardHandler))
	if err != nil {
		s.t.Fatal(err)
	}
	c.catchUp(t.Context())
	s.c = c
}

func (s *shelf) close() {
	if err := s.c.Close(); err != nil {
		s.t.Fatal(err)
	}
}

// keep records a change, and reports whether it was taken.
func (s *shelf) keep(t *testing.T, c register.Change, person string) (entry uint64, ok bool) {
	if err := c.Name(person); err != nil {
		s.t.Fatal(err)
	}
	d := decision.Decision{Kind: decision.Register, By: "Morgan Ellis", At: s.clock.Now(), Reason: "recorded", Person: person}
	at, err := s.c.Keep(t.Context(), s.id, d, c)
	return at + 1, err == nil
}

func (s *shelf) back(tag string) {
	if l := s.held[tag]; l != nil {
		l.back = s.clock.Now()
		delete(s.held, tag)
	}
}

// happens draws something that happens at the school.
func (s *shelf) happens(t *testing.T) {
	tag := rapid.SampledFrom(shelfTags).Draw(s.t, "tag")
	name := rapid.SampledFrom([]string{"", "Zqxa Rowan", "Zqxb Hazel", "Zqxc Birch"}).Draw(s.t, "name")
	switch rapid.IntRange(0, 9).Draw(s.t, "what") {
	case 0, 1, 2:
		x := &register.Allocation{Role: "Year 4", Guest: rapid.Bool().Draw(s.t, "guest")}
		x.Notice = x.Guest
		if rapid.Bool().Draw(s.t, "loan") {
			x.Ends = s.clock.Now().AddDate(0, 0, 3)
		}
		entry, ok := s.keep(t, register.Change{What: register.Allocate, Tag: tag, Allocation: x}, name)
		if ok != (s.held[tag] == nil) {
			s.t.Fatalf("%s is given out: %v", tag, ok)
		}
		if ok {
			l := &modelLoan{tag: tag, name: name, guest: x.Guest, entry: entry}
			s.loans, s.held[tag], s.left[tag] = append(s.loans, l), l, false
		}
	case 3, 4, 5:
		if _, ok := s.keep(t, register.Change{What: register.HandBack, Tag: tag}, ""); ok {
			s.back(tag)
		}
	case 6:
		if _, ok := s.keep(t, register.Change{What: register.Left, Tag: tag}, ""); ok {
			s.left[tag] = true
		}
	case 7:
		if _, ok := s.keep(t, register.Change{What: register.DoneStep, Tag: tag, Step: register.Returned}, ""); ok {
			s.back(tag)
		}
	default:
		if _, ok := s.keep(t, register.Change{What: register.AcknowledgeUse, Use: &register.Acknowledgement{Role: "Year 4"}}, name); ok && name != "" {
			s.uses = append(s.uses, &modelUse{name: name, at: s.clock.Now()})
		}
	}
}

// due is what the schools' usual times say, said another way.
func (l *modelLoan) due(now time.Time) bool {
	if l.back.IsZero() {
		return false
	}
	months := 6
	if l.guest {
		months = 3
	}
	y, m, d := l.back.Date()
	last := time.Date(y, m+time.Month(months)+1, 0, 0, 0, 0, 0, time.UTC).Day()
	h, minute, sec := l.back.Clock()
	return !now.Before(time.Date(y, m+time.Month(months), min(d, last), h, minute, sec, l.back.Nanosecond(), time.UTC))
}

// forget forgets what is due in the model.
func (s *shelf) forget() {
	now := s.clock.Now()
	for _, u := range s.uses {
		had, gone := false, true
		for _, l := range s.loans {
			if l.name == u.name && !l.forgotten {
				had, gone = true, gone && l.due(now)
			}
		}
		old := !now.Before(time.Date(u.at.Year()+2, u.at.Month()+1, 1, 0, 0, 0, 0, time.UTC))
		u.forgotten = u.forgotten || had && gone || !had && old
	}
	for _, l := range s.loans {
		l.forgotten = l.forgotten || l.name != "" && l.due(now)
	}
}

// checks compares the model with what is shown, and its names with every byte.
func (s *shelf) checks(t *testing.T) {
	page, err := s.c.assets(t.Context(), AssetArguments{Limit: 100})
	if err != nil || len(page.Assets) != len(shelfTags) {
		s.t.Fatalf("%d assets: %v", len(page.Assets), err)
	}
	shown := map[uint64]register.Held{}
	for _, a := range page.Assets {
		for _, h := range a.Past {
			shown[h.Entry] = h
		}
		if a.Held != nil {
			shown[a.Held.Entry] = *a.Held
		}
	}
	for _, l := range s.loans {
		want := l.name
		if l.forgotten {
			want = ""
		}
		if h, ok := shown[l.entry]; !ok || h.Person != want || h.Named != (l.name != "") || h.Back.IsZero() != l.back.IsZero() {
			s.t.Fatalf("%+v shows as %+v, %v", l, h, ok)
		}
	}
	if len(shown) != len(s.loans) {
		s.t.Fatalf("%d loans show of %d", len(shown), len(s.loans))
	}
	named := map[string]bool{}
	for _, l := range s.loans {
		named[l.name] = named[l.name] || !l.forgotten
	}
	for _, u := range s.uses {
		named[u.name] = named[u.name] || !u.forgotten
	}
	s.close()
	defer s.open(t)
	for name, kept := range named {
		if files := filesHolding(s.t, s.data, name); name != "" && (len(files) > 0) != kept {
			s.t.Fatalf("%s should be kept: %v; it is in %v", name, kept, files)
		}
	}
}

func filesHolding(t *rapid.T, dir, what string) (list []string) {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(what)) {
			list = append(list, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// retains forgets what is due, perhaps after it was interrupted.
func (s *shelf) retains(t *testing.T) {
	if rapid.Bool().Draw(s.t, "interrupted") {
		ctx, cancel := context.WithCancel(t.Context())
		left := rapid.IntRange(0, 3).Draw(s.t, "after")
		cut := &cutClock{Driven: s.clock, left: left, cancel: cancel}
		s.c.clock = cut
		_, _ = s.c.retain(ctx, s.school(), s.clock.Now(), nil, false) // it may be cut short
		cancel()
		s.c.clock = s.clock
		s.close()
		s.open(t)
	}
	would, err := s.c.retain(t.Context(), s.school(), s.clock.Now(), nil, true)
	if err != nil {
		s.t.Fatal(err)
	}
	did, err := s.c.runRetention(t.Context(), RetentionArguments{})
	if err != nil {
		s.t.Fatal(err)
	}
	if w, d := counted(would.Purges), counted(did.Purges); !slices.Equal(w, d) {
		s.t.Fatalf("it would forget %v and forgot %v", w, d)
	}
	if again, err := s.c.retain(t.Context(), s.school(), s.clock.Now(), nil, true); err != nil || len(again.Purges) > 0 {
		s.t.Fatalf("there is more to forget: %+v, %v", again.Purges, err)
	}
	s.forget()
}

func counted(list []api.Purge) (out []string) {
	for _, p := range list {
		out = append(out, fmt.Sprint(p.Item, p.Class, p.Month, p.Forgotten))
	}
	return out
}

func (s *shelf) school() *school { return s.c.all()[0].working() }

// cutClock ends a context once the time was asked for a number of times: what
// asks is then cut short somewhere.
type cutClock struct {
	*clocktest.Driven
	left   int
	cancel context.CancelFunc
}

// Now implements clock.Clock.
func (c *cutClock) Now() time.Time {
	if c.left--; c.left < 0 {
		c.cancel()
	}
	return c.Driven.Now()
}

func (s *shelf) rebuilds(t *testing.T) {
	shows := func() string {
		page, err := s.c.assets(t.Context(), AssetArguments{Limit: 100})
		if err != nil {
			s.t.Fatal(err)
		}
		text, err := json.Marshal(page)
		if err != nil {
			s.t.Fatal(err)
		}
		return string(text)
	}
	before := shows()
	if _, err := s.c.rebuild(t.Context()); err != nil {
		s.t.Fatal(err)
	}
	if after := shows(); after != before {
		s.t.Fatalf("followed:\n%s\nrebuilt:\n%s", before, after)
	}
}

// TestNoNameIsKeptPastItsTimeOrForgottenBefore: in whatever order laptops are
// given out and come back, people leave, names are forgotten, the collector is
// stopped in the middle of that and the view is made again, no device is lost, no
// byte holds a name whose time is over, and every other name is there.
func TestNoNameIsKeptPastItsTimeOrForgottenBefore(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		if os.Getenv("CARETAKER_THOROUGH") == "" && rapid.IntRange(0, 9).Draw(rt, "sampled") != 9 {
			return
		}
		s := newShelf(t, rt)
		defer func() { s.close() }()
		for range rapid.IntRange(1, 4).Draw(rt, "rounds") {
			for range rapid.IntRange(1, 8).Draw(rt, "events") {
				s.clock.Advance(time.Duration(rapid.IntRange(1, 40*24).Draw(rt, "hours")) * time.Hour)
				s.happens(t)
			}
			s.clock.Advance(time.Duration(rapid.SampledFrom([]int{0, 1, 89, 92, 181, 184, 800}).Draw(rt, "days")) * 24 * time.Hour)
			s.retains(t)
			s.rebuilds(t)
			s.checks(t)
		}
		if r, err := s.c.verify(t.Context(), LedgerArguments{}); err != nil || !r.Good {
			rt.Fatalf("the ledger: %+v, %v", r, err)
		}
	})
}
