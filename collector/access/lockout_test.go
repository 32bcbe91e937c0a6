package access

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
)

// proofOf is what a browser carries once the account has signed in with it.
func proofOf(t testing.TB, a *Access, account Account, before ...*http.Cookie) (*http.Request, []string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/sign-in", nil)
	for _, c := range before {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	if err := a.know(w, r, account); err != nil {
		t.Fatal(err)
	}
	next := httptest.NewRequest(http.MethodPost, "/sign-in", nil)
	for _, c := range w.Result().Cookies() {
		next.AddCookie(c)
	}
	return next, a.proofs(next)
}

// TestGuessesNeverKeepTheOwnerOut: whatever strangers do, from the owner's own
// network too, the owner is let in at the first try with a browser that has been
// used before, and with a new one from a network where nobody guesses.
func TestGuessesNeverKeepTheOwnerOut(t *testing.T) {
	c := clocktest.NewDriven(start)
	a := open(t, t.TempDir(), c)
	create(t, a, "Head", goodPassword)
	head, _ := a.byName("Head")
	_, proofs := proofOf(t, a, head)
	own := source{address: "192.0.2.1", browser: a.browserOf(head, proofs)}
	if own.browser == "" {
		t.Fatal("the browser is not known")
	}
	rapid.Check(t, func(t *rapid.T) {
		for i := range rapid.IntRange(1, 400).Draw(t, "guesses") {
			address := "192.0.2.1" // the school's own, that everybody there shares
			if rapid.Bool().Draw(t, "from elsewhere") {
				address = fmt.Sprintf("198.51.%d.%d", i%200, rapid.IntRange(1, 250).Draw(t, "host"))
			}
			if from := (source{address: address}); a.limits.wait(from, "head") == 0 {
				a.limits.failed(from, "head")
			}
			c.Advance(time.Duration(rapid.IntRange(0, 30).Draw(t, "seconds")) * time.Second)
		}
		if wait := a.limits.wait(own, "head"); wait != 0 {
			t.Fatalf("the head's own browser has to wait for %v", wait)
		}
		if wait := a.limits.wait(source{address: "203.0.113.7"}, "head"); wait != 0 {
			t.Fatalf("the head's new browser has to wait for %v", wait)
		}
	})
	if _, err := a.SignIn(t.Context(), Attempt{Address: "192.0.2.1", Proofs: proofs, Name: "Head", Password: goodPassword}); err != nil {
		t.Errorf("the head was kept out: %v", err)
	}
}

// TestManyWhoGuessGetFewGuesses: once many have guessed at one account, each
// address has two attempts on it and not five.
func TestManyWhoGuessGetFewGuesses(t *testing.T) {
	l := newLimits(clocktest.NewDriven(start))
	let := 0
	for i := range 100 {
		for range pairBurst {
			if from := (source{address: fmt.Sprintf("198.51.100.%d", i)}); l.wait(from, "head") == 0 {
				l.failed(from, "head")
				let++
			}
		}
	}
	if want := siegeBurst + (100-siegeBurst/pairBurst)*scarceBurst; let != want {
		t.Errorf("100 addresses had %d guesses, want %d", let, want)
	}
	if l.wait(source{address: "203.0.113.7"}, "head") != 0 {
		t.Error("the first attempt from elsewhere is not heard")
	}
}

func TestAKnownBrowserHasItsOwnCount(t *testing.T) {
	c := clocktest.NewDriven(start)
	a := open(t, t.TempDir(), c)
	create(t, a, "Head", goodPassword)
	create(t, a, "Sam", goodPassword)
	head, _ := a.byName("Head")
	sam, _ := a.byName("Sam")
	first, headOnly := proofOf(t, a, head)
	_, both := proofOf(t, a, sam, first.Cookies()...)
	if a.browserOf(sam, headOnly) != "" || a.browserOf(head, both) == "" || a.browserOf(sam, both) == "" || a.browserOf(Account{}, both) != "" {
		t.Error("a proof is of the account that signed in, and of no other")
	}
	try := func(proofs []string, password string) error {
		_, err := a.SignIn(t.Context(), Attempt{Address: "192.0.2.1", Proofs: proofs, Name: "Head", Password: password})
		return err
	}
	for range pairBurst {
		if err := try(headOnly, "not the password"); !errors.Is(err, ErrWrong) {
			t.Fatal(err)
		}
	}
	var tooMany *TooManyError
	if err := try(headOnly, goodPassword); !errors.As(err, &tooMany) {
		t.Errorf("guessing in a known browser is not slowed down: %v", err)
	}
	// Strangers at the same address are none the worse for it.
	if err := try(nil, goodPassword); err != nil {
		t.Error(err)
	}
	other := open(t, t.TempDir(), c)
	if other.browserOf(head, headOnly) != "" {
		t.Error("another collector believes the proof")
	}
	c.Advance(knownLife)
	if a.browserOf(head, headOnly) != "" {
		t.Error("the proof does not end")
	}
}

func TestSealed(t *testing.T) {
	dir := t.TempDir()
	a := open(t, dir, clocktest.NewDriven(start))
	text, err := a.sealer.seal("purpose", 7, start.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	var got int
	again := open(t, dir, clocktest.NewDriven(start)) // a restart
	if err := again.sealer.open("purpose", text, start, &got); err != nil || got != 7 {
		t.Errorf("got %d, %v", got, err)
	}
	for name, err := range map[string]error{
		"for another purpose": a.sealer.open("other", text, start, &got),
		"too late":            a.sealer.open("purpose", text, start.Add(time.Minute), &got),
		"changed":             a.sealer.open("purpose", text[:len(text)-2]+"AA", start, &got),
		"cut":                 a.sealer.open("purpose", text[:10], start, &got),
		"nothing":             a.sealer.open("purpose", "", start, &got),
	} {
		if err == nil {
			t.Errorf("%s: it opened", name)
		}
	}
}

func FuzzSealed(f *testing.F) {
	s := &sealer{make([]byte, sealKey)}
	good, err := s.seal("purpose", "x", start.Add(time.Minute))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		var got string
		// Another process of this test seals the same to another text.
		if err := s.open("purpose", text, start, &got); err == nil && got != "x" {
			t.Errorf("%q opened to %q", text, got)
		}
	})
}
