package access

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
	"github.com/caretaker-school/caretaker/shared/posture"
)

func person(t *testing.T, a *Access, name string, grants ...Grant) Account {
	t.Helper()
	account, _, err := a.CreateAccount(t.Context(), NewAccount{Name: name, Password: goodPassword, Grants: grants})
	if err != nil {
		t.Fatal(err)
	}
	return account
}

func recovered(t *testing.T, a *Access, name, code string) (Account, error) {
	t.Helper()
	return a.Recover(t.Context(), Attempt{Address: "192.0.2.9", Name: name, Password: code})
}

func TestWhoMayLetWhomIn(t *testing.T) {
	a := open(t, t.TempDir(), clocktest.NewDriven(start))
	head := person(t, a, "Head", Grant{"hollybank", Head})
	technician := person(t, a, "Technician", Grant{"hollybank", Technician})
	both := person(t, a, "DPO", Grant{"hollybank", DPO}, Grant{"oakfield", DPO})
	everywhere := person(t, a, "Administrator", Grant{EverySchool, Administrator})
	for _, c := range []struct {
		by, other Account
		want      bool
	}{
		{head, technician, true},
		{head, head, false},
		{technician, head, false},
		{head, both, false}, // who is somebody elsewhere too
		{head, everywhere, false},
		{everywhere, head, true},
		{everywhere, both, true},
		{Account{}, head, false},
	} {
		if got := c.by.MayHelp(c.other); got != c.want {
			t.Errorf("%s lets %s in: %v, want %v", c.by.Name, c.other.Name, got, c.want)
		}
		if c.want {
			continue
		}
		if _, code, _, err := a.OfferHelp(c.by, c.other.ID, LostPassword, "x"); !errors.Is(err, ErrHelp) || code != "" {
			t.Errorf("%s got the code %q for %s (%v)", c.by.Name, code, c.other.Name, err)
		}
	}
}

func TestLostPassword(t *testing.T) {
	dir, c := t.TempDir(), clocktest.NewDriven(start)
	a := open(t, dir, c)
	head := person(t, a, "Head", Grant{"hollybank", Head})
	sam := person(t, a, "Sam", Grant{"hollybank", Technician})
	if _, _, _, err := a.OfferHelp(head, sam.ID, LostPassword, ""); err == nil {
		t.Error("a code was made without a reason")
	}
	_, code, ends, err := a.OfferHelp(head, sam.ID, LostPassword, "came to the office")
	if err != nil || !ends.Equal(c.Now().Add(helpLife)) {
		t.Fatalf("got %v, %v", ends, err)
	}
	if _, err := recovered(t, a, "Head", code); !errors.Is(err, ErrWrong) {
		t.Errorf("the code opens another's account: %v", err)
	}
	if _, err := recovered(t, a, "Nobody", code); !errors.Is(err, ErrWrong) {
		t.Errorf("got %v", err)
	}
	a = open(t, dir, c) // a restart
	account, err := recovered(t, a, "sam", strings.ReplaceAll(code, "-", ""))
	if err != nil || account.ID != sam.ID || account.Hash != "" {
		t.Fatalf("got %+v, %v", account, err)
	}
	if _, err := recovered(t, a, "sam", code); !errors.Is(err, ErrWrong) {
		t.Errorf("a code was good twice: %v", err)
	}
	ctx, err := a.sessions.manager.Load(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if owed, err := a.Owes(ctx, sam); owed != OwesWord || err != nil {
		t.Errorf("owes %q, %v", owed, err)
	}
	if err := a.ChangePassword(ctx, sam, "", "short"); !errors.Is(err, ErrPassword) {
		t.Errorf("got %v", err)
	}
	if err := a.ChangePassword(ctx, sam, "", "marble kettle orchard"); err != nil {
		t.Fatal(err)
	}
	if owed, err := a.Owes(ctx, sam); owed != OwesNothing || err != nil {
		t.Errorf("owes %q, %v", owed, err)
	}
	if _, err := signIn(t, a, "192.0.2.1", "Sam", goodPassword); !errors.Is(err, ErrWrong) {
		t.Errorf("the lost password is good still: %v", err)
	}
	if _, err := signIn(t, a, "192.0.2.1", "Sam", "marble kettle orchard"); err != nil {
		t.Error(err)
	}
	wantEvents(t, a, "hollybank", HelpOffered, HelpUsed, PasswordChanged)
	wantEvents(t, a, "oakfield")
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if data, err := os.ReadFile(f); err != nil || strings.Contains(string(data), code) {
			t.Errorf("%s holds the code (%v)", f, err)
		}
	}
}

func wantEvents(t *testing.T, a *Access, school posture.SchoolID, want ...What) {
	t.Helper()
	events, unread, err := a.Events(100, func(e Event) bool { return slices.Contains(e.Schools, school) })
	var got []What
	for _, e := range slices.Backward(events) {
		got = append(got, e.What)
	}
	if err != nil || unread != 0 || !slices.Equal(got, want) {
		t.Errorf("it is written down that %q, want %q (%d unread, %v)", got, want, unread, err)
	}
}

// TestWhoLetSomebodyInIsNotForgottenForAnother: one person's code for a password was
// used, and then another's; the first may still not give out one for the second
// step, with which they would have had both.
func TestWhoLetSomebodyInIsNotForgottenForAnother(t *testing.T) {
	c := clocktest.NewDriven(start)
	a := open(t, t.TempDir(), c)
	first, other := person(t, a, "First", Grant{"hollybank", Administrator}), person(t, a, "Other", Grant{"hollybank", Head})
	sam, _, _ := withApp(t, a, c, "Sam")
	for _, by := range []Account{first, other} {
		_, code, _, err := a.OfferHelp(by, sam.ID, LostPassword, "came to the office")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := recovered(t, a, "Sam", code); err != nil {
			t.Fatal(err)
		}
	}
	for _, by := range []Account{first, other} {
		if _, _, _, err := a.OfferHelp(by, sam.ID, LostSecond, "came to the office"); !errors.Is(err, ErrBoth) {
			t.Errorf("%s stands in for both: %v", by.Name, err)
		}
	}
}

// TestANewPasswordVoidsCodesForTheOld: once an account has a new password, whoever
// chose it, a code that was given out for want of the old one lets nobody in, and
// that it was changed is written down.
func TestANewPasswordVoidsCodesForTheOld(t *testing.T) {
	for name, change := range map[string]func(*Access, context.Context, Account) error{
		"by its owner": func(a *Access, ctx context.Context, account Account) error {
			return a.ChangePassword(ctx, account, goodPassword, "marble kettle orchard")
		},
		"at the console": func(a *Access, ctx context.Context, account Account) error {
			_, err := a.ResetPassword(ctx, "console:root", account.Name, "")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := open(t, t.TempDir(), clocktest.NewDriven(start))
			head, sam := person(t, a, "Head", Grant{"hollybank", Head}), person(t, a, "Sam", Grant{"hollybank", Technician})
			_, code, _, err := a.OfferHelp(head, sam.ID, LostPassword, "came to the office")
			if err != nil {
				t.Fatal(err)
			}
			ctx, err := a.sessions.manager.Load(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			if err := change(a, ctx, sam); err != nil {
				t.Fatal(err)
			}
			if _, err := recovered(t, a, "Sam", code); !errors.Is(err, ErrWrong) {
				t.Errorf("the code lets somebody in: %v", err)
			}
			wantEvents(t, a, "hollybank", HelpOffered, PasswordChanged)
		})
	}
}

func TestCodesOfOthersEnd(t *testing.T) {
	c := clocktest.NewDriven(start)
	a := open(t, t.TempDir(), c)
	head := person(t, a, "Head", Grant{"hollybank", Head})
	sam := person(t, a, "Sam", Grant{"hollybank", Technician})
	_, first, _, err := a.OfferHelp(head, sam.ID, LostPassword, "x")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _, err := a.OfferHelp(head, sam.ID, LostPassword, "x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := recovered(t, a, "Sam", first); !errors.Is(err, ErrWrong) {
		t.Errorf("the code before the last is good: %v", err)
	}
	c.Advance(helpLife)
	if _, err := recovered(t, a, "Sam", code); !errors.Is(err, ErrWrong) {
		t.Errorf("a code does not end: %v", err)
	}
}

// TestOneCodeStandsInForOneThing: whoever gives out a code cannot sign in with it
// alone as somebody who has a second step.
func TestOneCodeStandsInForOneThing(t *testing.T) {
	c := clocktest.NewDriven(start)
	a := open(t, t.TempDir(), c)
	admin := person(t, a, "Administrator", Grant{EverySchool, Administrator})
	other := person(t, a, "Another administrator", Grant{EverySchool, Administrator})
	head, p, codes := withApp(t, a, c, "Head")
	offer := func(by Account, lost Lost) string {
		t.Helper()
		_, code, _, err := a.OfferHelp(by, head.ID, lost, "x")
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	word := offer(admin, LostPassword)
	one := func(when string) {
		t.Helper()
		if _, code, _, err := a.OfferHelp(admin, head.ID, LostSecond, "x"); !errors.Is(err, ErrBoth) {
			t.Errorf("%s one person stands in for both: %q, %v", when, code, err)
		}
	}
	one("before the first code is used")
	if _, err := second(t, a, head, word); !errors.Is(err, ErrCode) {
		t.Errorf("a code for a password was taken for a second step: %v", err)
	}
	lost := offer(other, LostSecond)
	if _, err := recovered(t, a, "Head", lost); !errors.Is(err, ErrWrong) {
		t.Errorf("a code for a second step was taken for a password: %v", err)
	}
	if _, err := recovered(t, a, "Head", word); err != nil {
		t.Fatal(err)
	}
	one("after the first code was used")
	c.Advance(helpLife - time.Second)
	one("long after the first code was used")
	steps, err := a.StepsOf(head.ID)
	if err != nil || !steps.Second() {
		t.Fatalf("letting in after a lost password took the second step away: %+v %v", steps, err)
	}
	if way, err := second(t, a, head, lost); err != nil || way != ByHelp {
		t.Fatalf("got %q, %v", way, err)
	}
	// What was lost is worth nothing any more.
	for _, code := range []string{p.at(c.Now()), codes[0], lost} {
		if _, err := second(t, a, head, code); !errors.Is(err, ErrCode) {
			t.Errorf("%q is good still: %v", code, err)
		}
	}
	if _, _, err := a.OfferHelpAtConsole("root", "Head", LostSecond, "x"); err == nil {
		t.Error("a code was made for a second step that there is not")
	}
}

func TestEventsAreKeptForTwoYears(t *testing.T) {
	dir, c := t.TempDir(), clocktest.NewDriven(start)
	a := open(t, dir, c)
	sam := person(t, a, "Sam", Grant{"hollybank", Technician})
	a.note(Event{What: CodesMade, Account: sam.ID, By: "Sam"})
	c.Advance(700 * 24 * time.Hour)
	a.note(Event{What: CodeUsed, Account: sam.ID, By: "Sam"})
	wantEvents(t, a, "hollybank", CodesMade, CodeUsed)
	c.Advance(100 * 24 * time.Hour)
	a.note(Event{What: Linked, Account: sam.ID, By: "Sam"})
	wantEvents(t, a, "hollybank", CodeUsed, Linked)
	// A torn line is counted and takes no other with it.
	path := filepath.Join(dir, a.eventFiles()[0])
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(data, `{"at":"2028`...), 0o600); err != nil {
		t.Fatal(err)
	}
	events, unread, err := a.Events(100, func(Event) bool { return true })
	if err != nil || len(events) != 2 || unread != 1 {
		t.Errorf("got %d events, %d unread, %v", len(events), unread, err)
	}
}

func FuzzParseEvents(f *testing.F) {
	f.Add([]byte("{\"at\":\"2026-10-23T14:52:00Z\",\"what\":\"password changed\"}\nx\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		events, bad := parseEvents(data)
		for _, e := range events {
			if e.At.IsZero() || e.What == "" {
				t.Errorf("let %+v through", e)
			}
		}
		if lines := strings.Count(string(data), "\n") + 1; len(events)+bad > lines {
			t.Errorf("%d events and %d bad lines in %d lines", len(events), bad, lines)
		}
	})
}
