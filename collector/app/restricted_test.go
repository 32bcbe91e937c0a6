package app

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/api"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/restricted"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// restrictedWalls are the walls of what is asked and done about restricted
// incidents.
func restrictedWalls() map[string]wall {
	ask := wall{school: func(s string) any { return RestrictedArguments{School: s, As: "Jo Marsh"} }}
	return map[string]wall{
		"senior.key":      {school: func(s string) any { return SeniorArguments{School: s, Account: "Jo Marsh"} }},
		"senior.list":     {school: func(s string) any { return SeniorArguments{School: s} }},
		"restricted.list": ask,
		"restricted.show": ask,
		"restricted.held": ask,
		"restricted.act": {school: func(s string) any {
			return RestrictedChange{IncidentChange: IncidentChange{School: s, Incident: "r-abcdefgh"}, As: "Jo Marsh", Do: api.DoAgree}
		}},
	}
}

func FuzzParseAside(f *testing.F) {
	line, err := json.Marshal(api.HeldBody{Entry: 7, Section: "media-events", Class: "media", Salt: make([]byte, 16), Body: []byte("x")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(append(line, '\n'), line...))
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := parseAside(text)
		if err != nil {
			return
		}
		for _, b := range list {
			if len(b.Salt) != 16 || b.Proven {
				t.Fatalf("read: %+v", b)
			}
		}
	})
}

// confided is a school with two seniors, and a restricted incident that holds a
// medium of which something is recorded.
type confided struct {
	t     *testing.T
	c     *collector
	s     *school
	clock *clocktest.Driven
	who   [2]api.Unlock
	codes [2]string
	id    string
}

const heldMedium = "M-031"

func newConfided(t *testing.T) *confided {
	t.Helper()
	w := &confided{t: t, clock: clocktest.NewDriven(time.Date(2026, 1, 12, 8, 0, 0, 0, time.UTC))}
	data := t.TempDir()
	var made InitAnswer
	if err := Do(t.Context(), data, "init", InitArguments{School: "Hollybank Primary School"}, &made, w.clock); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.c, err = open(t.Context(), data, false, w.clock, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.c.Close(); err != nil {
			t.Error(err)
		}
	})
	w.c.catchUp(t.Context())
	w.s = w.c.all()[0].working()
	for i, name := range []string{"Jo Marsh", "Priya Anand"} {
		account, _, err := w.c.access.CreateAccount(t.Context(), access.NewAccount{Name: name, Grants: []access.Grant{{School: made.School, Role: access.Senior}}})
		if err != nil {
			t.Fatal(err)
		}
		key, err := w.c.MakeSeniorKey(t.Context(), made.School, account, name)
		if err != nil {
			t.Fatal(err)
		}
		w.who[i], w.codes[i] = api.Unlock{Account: account, Passphrase: key.Passphrase}, key.Code
	}
	d := decision.Decision{Kind: decision.Register, By: "Morgan Ellis", At: w.clock.Now(), Reason: "recorded"}
	if _, err := w.c.Keep(t.Context(), made.School, d, register.Change{What: register.RegisterMedium, Tag: heldMedium, Issue: &register.Issue{Role: "Year 4", Serials: []string{strings.Repeat("ab", 32)}}}); err != nil {
		t.Fatal(err)
	}
	aware := incident.NewMoment(w.clock.Now(), "Europe/London")
	w.id = w.act(0, api.RestrictedAct{
		Do: api.DoOpen, Words: "is said to have copied records", Seniors: w.codes[1:],
		Change: &incident.Change{What: incident.Open, Kind: incident.Other, Aware: &aware},
	}).ID
	w.act(1, api.RestrictedAct{Do: api.DoAgree})
	w.act(0, api.RestrictedAct{Do: api.DoHold, Medium: heldMedium, Words: "the police may want it"})
	return w
}

func (w *confided) act(as int, a api.RestrictedAct) api.RestrictedMade {
	w.t.Helper()
	a.Incident = w.id
	made, err := w.c.RestrictedAct(w.t.Context(), w.s.ID, w.who[as], a)
	if err != nil {
		w.t.Fatalf("%s: %v", a.Do, err)
	}
	return made
}

// forgets has the names of January forgotten, as somebody may ask.
func (w *confided) forgets() (ForgetAnswer, error) {
	return w.c.forget(w.t.Context(), ForgetArguments{Class: "people", Months: []string{"2026-01"}, Reason: "tidying"})
}

func (w *confided) asides() []string {
	w.t.Helper()
	files, err := filepath.Glob(filepath.Join(w.s.Dir, asideFolder, "*"))
	if err != nil {
		w.t.Fatal(err)
	}
	return files
}

func (w *confided) heldBodies(limit int) (list []api.HeldBody) {
	w.t.Helper()
	for after := 0; ; {
		page, err := w.c.RestrictedHeld(w.t.Context(), w.s.ID, w.who[1], api.RestrictedQuestion{Incident: w.id, After: after, Limit: limit})
		if err != nil {
			w.t.Fatal(err)
		}
		list = append(list, page.Bodies...)
		if after = page.Next; after == 0 {
			return list
		}
	}
}

// TestARestrictedIncidentOfManyMonthsIsForgottenWhole: when its time is over
// nothing of it is left, of whichever month, nor what was kept aside for it.
func TestARestrictedIncidentOfManyMonthsIsForgottenWhole(t *testing.T) {
	w := newConfided(t)
	w.clock.Advance(45 * 24 * time.Hour)
	if got, err := w.forgets(); err != nil || len(got.Months) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	if got := w.heldBodies(0); len(got) != 1 || !got[0].Proven || len(w.asides()) != 1 {
		t.Fatalf("kept aside: %+v in %v", got, w.asides())
	}
	w.act(1, api.RestrictedAct{Do: api.DoLift, Medium: heldMedium, Words: "they have it"})
	w.act(0, api.RestrictedAct{Do: api.DoAgree})
	w.clock.Advance(45 * 24 * time.Hour)
	w.act(1, api.RestrictedAct{Do: api.DoClose, Words: "unfounded", Change: &incident.Change{What: incident.Close, Outcome: incident.Nothing}})
	w.act(0, api.RestrictedAct{Do: api.DoAgree})

	w.clock.Advance(7 * 366 * 24 * time.Hour)
	if _, err := w.c.runRetention(t.Context(), RetentionArguments{}); err != nil {
		t.Fatal(err)
	}
	for _, class := range []proof.Class{proof.Incidents, proof.People} {
		months, err := w.s.ledger.Months(class)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range months {
			for b, err := range w.s.ledger.Bodies(t.Context(), class, m) {
				if err != nil {
					t.Fatal(err)
				}
				if restricted.Sealed(b.Section.Body) {
					t.Errorf("entry %d of %s has an act still", b.Record.Index, m)
				}
			}
		}
	}
	if left := w.asides(); len(left) > 0 {
		t.Errorf("what was kept aside for it is there still: %v", left)
	}
}

// TestWhatCannotBeKeptAsideIsNotForgottenAndTellsOfNoHold: whoever has something
// forgotten learns that it could not be, and not that something is held.
func TestWhatCannotBeKeptAsideIsNotForgottenAndTellsOfNoHold(t *testing.T) {
	w := newConfided(t)
	w.clock.Advance(45 * 24 * time.Hour)
	blocked := filepath.Join(w.s.Dir, asideFolder)
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := w.forgets()
	if err == nil || len(got.Months) != 0 {
		t.Fatalf("it was forgotten: %+v", got)
	}
	for _, word := range []string{asideFolder, "held", "hold", "lost", "seal", "kept", w.id, w.s.Dir} {
		if strings.Contains(err.Error(), word) {
			t.Errorf("it says %q: %v", word, err)
		}
	}
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	if got, err := w.forgets(); err != nil || len(got.Months) != 1 || len(w.heldBodies(0)) != 1 {
		t.Errorf("once it can be kept aside: %+v, %v", got, err)
	}
}

// TestAPurgeThatFailsAgainAndAgainFillsNoDisk: what is kept aside is kept once,
// however often the purge that follows fails; and no body is lost, wherever a page
// ends.
func TestAPurgeThatFailsAgainAndAgainFillsNoDisk(t *testing.T) {
	w := newConfided(t)
	d := decision.Decision{Kind: decision.Register, By: "Morgan Ellis", At: w.clock.Now(), Reason: "recorded"}
	if _, err := w.c.Keep(t.Context(), w.s.ID, d, register.Change{What: register.EraseMedium, Tag: heldMedium, Method: "shredded"}); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(45 * 24 * time.Hour)
	p := purging{class: proof.People, month: ledger.Month{Year: 2026, Month: time.January}, keep: func(ledger.Stored) bool { return false }}
	full := errors.New("the disk is full")
	for range 5 {
		_, err := w.c.sparing(context.Background(), w.s, p, func(purging) (roster.Purge, error) { return roster.Purge{}, full })
		if !errors.Is(err, full) {
			t.Fatal(err)
		}
	}
	if files := w.asides(); len(files) != 1 {
		t.Errorf("five attempts left %d files", len(files))
	}
	if _, err := w.forgets(); err != nil {
		t.Fatal(err)
	}
	all, one := w.heldBodies(500), w.heldBodies(1)
	if len(all) != 2 || !slices.EqualFunc(all, one, func(a, b api.HeldBody) bool {
		return a.Entry == b.Entry && a.Number == b.Number && a.Proven && b.Proven
	}) {
		t.Errorf("in one page: %+v; one by one: %+v", all, one)
	}
}

// TestAHoldKnowsWhatWasDecidedBefore: something that was registered a moment ago,
// and is not shown yet, can be held.
func TestAHoldKnowsWhatWasDecidedBefore(t *testing.T) {
	w := newConfided(t)
	const number = "M-032"
	d := decision.Decision{Kind: decision.Register, By: "Morgan Ellis", At: w.clock.Now(), Reason: "recorded"}
	change := register.Change{What: register.RegisterMedium, Tag: number, Issue: &register.Issue{Role: "Year 4", Serials: []string{strings.Repeat("cd", 32)}}}
	_, err := w.s.record(t.Context(), w.clock.Now(), func(salts [2][proof.SaltSize]byte) ([]proof.Section, error) {
		return decision.RegisterSections(d, change, salts)
	})
	if err != nil {
		t.Fatal(err)
	}
	w.act(0, api.RestrictedAct{Do: api.DoHold, Medium: number, Words: "and this one"})
}
