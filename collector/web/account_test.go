package web

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
)

var (
	secretOnPage = regexp.MustCompile(`<code>([A-Z2-7 ]{32,})</code>`)
	ticketOnPage = regexp.MustCompile(`name="ticket" value="([^"]+)"`)
	codeOnPage   = regexp.MustCompile(`<code>([0-9a-z]{4}(?:-[0-9a-z]{4})+)</code>`)
)

// setUpApp sets up an authenticator app as a person does, and returns what shows
// its codes.
func setUpApp(t *testing.T, s surfer, c *clocktest.Driven) func(time.Time) string {
	t.Helper()
	_, status, page := s.get("/account/authenticator")
	secret, ticket := secretOnPage.FindStringSubmatch(page), ticketOnPage.FindStringSubmatch(page)
	if status != http.StatusOK || secret == nil || ticket == nil || !strings.Contains(page, `<svg role="img"`) {
		t.Fatalf("got %d: %s", status, plainText(page))
	}
	show := func(at time.Time) string {
		code, err := totp.GenerateCode(strings.ReplaceAll(secret[1], " ", ""), at)
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	if _, status, page := s.ask(s.PostForm(s.pages+"/account/authenticator", url.Values{"ticket": {ticket[1]}, "code": {"12345"}})); status != http.StatusUnprocessableEntity || !strings.Contains(page, secret[1]) {
		t.Fatalf("a wrong code: %d: %s", status, plainText(page))
	}
	if _, status, page := s.ask(s.PostForm(s.pages+"/account/authenticator", url.Values{"ticket": {ticket[1]}, "code": {show(c.Now())}})); status != http.StatusOK || len(codeOnPage.FindAllString(page, -1)) != 10 {
		t.Fatalf("the right code: %d: %s", status, plainText(page))
	}
	return show
}

func TestASecondStepIsAskedFor(t *testing.T) {
	b := newSignOnBed(t)
	head := b.surfer()
	head.signIn("head")
	app := setUpApp(t, head, b.clock)
	b.clock.Advance(time.Minute)
	other := b.surfer()
	if at, _, page := other.ask(other.PostForm(b.pages+"/sign-in", url.Values{"name": {"head"}, "password": {password}, "next": {"/schools/hollybank"}})); at != "/sign-in/second" || strings.Contains(page, "Sign out") {
		t.Fatalf("a password alone leads to %s", at)
	}
	for _, path := range []string{"/schools/hollybank", "/account", "/"} {
		if at, _, _ := other.get(path); at != "/sign-in" {
			t.Errorf("halfway, %s leads to %s", path, at)
		}
	}
	send := func(code string) (string, int, string) {
		t.Helper()
		return other.ask(other.PostForm(b.pages+"/sign-in/second", url.Values{"code": {code}, "next": {"/schools/hollybank"}}))
	}
	if _, status, page := send("000000"); status != http.StatusUnprocessableEntity || !strings.Contains(plainText(page), "The code is wrong") {
		t.Errorf("a wrong code: %d", status)
	}
	if at, status, _ := send(app(b.clock.Now())); at != "/schools/hollybank" || status != http.StatusOK {
		t.Errorf("the right code leads to %s with %d", at, status)
	}
	// What is left of the way in ends after ten minutes.
	late := b.surfer()
	late.ask(late.PostForm(b.pages+"/sign-in", url.Values{"name": {"head"}, "password": {password}}))
	b.clock.Advance(10 * time.Minute)
	if at, _, _ := late.get("/sign-in/second"); at != "/sign-in" {
		t.Errorf("after ten minutes the second step is asked for still, at %s", at)
	}
}

func TestWhoNeedsASecondStepSetsOneUpFirst(t *testing.T) {
	b := newSignOnBed(t)
	s := b.surfer()
	s.signIn("dpo")
	if _, _, page := s.get("/schools/hollybank"); !strings.Contains(plainText(page), "Your role needs a second step to sign in") {
		t.Error("the overview does not say that a second step is needed")
	}
	b.clock.Advance(15 * 24 * time.Hour)
	s.signIn("dpo")
	if at, _, page := s.get("/schools/hollybank"); at != "/account" || !strings.Contains(plainText(page), "Set up a second step first") {
		t.Errorf("after two weeks a school is shown at %s", at)
	}
	setUpApp(t, s, b.clock)
	if at, _, page := s.get("/schools/hollybank"); at != "/schools/hollybank" || strings.Contains(plainText(page), "Your role needs a second step") {
		t.Errorf("with a second step a school is shown at %s", at)
	}
}

func TestSessionsAreListedAndEnded(t *testing.T) {
	b := newSignOnBed(t)
	one, two, three := b.surfer(), b.surfer(), b.surfer()
	for _, s := range []surfer{one, two, three} {
		s.signIn("head")
	}
	other := b.surfer()
	other.signIn("dpo")
	_, _, page := one.get("/account")
	ids := regexp.MustCompile(`name="session" value="([A-Z0-9]+)"`).FindAllStringSubmatch(page, -1)
	if len(ids) != 2 || !strings.Contains(plainText(page), "(this one)") || !strings.Contains(plainText(page), "127.0.0.1") {
		t.Fatalf("got the sessions %v: %s", ids, plainText(page))
	}
	in := func(s surfer) bool { at, _, _ := s.get("/account"); return at == "/account" }
	// Not by somebody else.
	other.ask(other.PostForm(b.pages+"/account/sessions/end", url.Values{"session": {ids[0][1]}}))
	if !in(two) || !in(three) {
		t.Error("somebody else ended a session")
	}
	one.ask(one.PostForm(b.pages+"/account/sessions/end", url.Values{"session": {ids[0][1]}}))
	if in(two) == in(three) || !in(one) {
		t.Error("one session was to be ended")
	}
	one.ask(one.PostForm(b.pages+"/account/sessions/end", url.Values{"session": {"others"}}))
	if in(two) || in(three) || !in(one) || !in(other) {
		t.Error("all sessions but this one were to be ended")
	}
}

func TestChangingAPassword(t *testing.T) {
	b := newSignOnBed(t)
	s, elsewhere := b.surfer(), b.surfer()
	s.signIn("head")
	elsewhere.signIn("head")
	change := func(old, next, again string) (string, int, string) {
		t.Helper()
		return s.ask(s.PostForm(b.pages+"/account/password", url.Values{"old": {old}, "new": {next}, "again": {again}}))
	}
	for words, try := range map[string][3]string{
		"The old password is wrong":     {"not the password", "marble kettle orchard", "marble kettle orchard"},
		"was not typed twice alike":     {password, "marble kettle orchard", "marble kettle orchid"},
		"it is a common password":       {password, "password12345", "password12345"},
		"school's name":                 {password, "hollybank primary", "hollybank primary"},
		"The new password will not do:": {password, "", ""},
	} {
		if _, status, page := change(try[0], try[1], try[2]); status != http.StatusUnprocessableEntity || !strings.Contains(plainText(page), words) {
			t.Errorf("%v: %d, want %q: %s", try, status, words, plainText(page))
		}
	}
	if at, status, _ := change(password, "marble kettle orchard", "marble kettle orchard"); at != "/account" || status != http.StatusOK {
		t.Errorf("ended at %s with %d", at, status)
	}
	if at, _, _ := s.get("/account"); at != "/account" {
		t.Error("who changed the password is signed out")
	}
	if at, _, _ := elsewhere.get("/account"); at != "/sign-in" {
		t.Error("who did not is signed in still")
	}
}

// TestLetInAgain is how a technician who lost a password comes in again, with the
// head's help.
func TestLetInAgain(t *testing.T) {
	b := newSignOnBed(t)
	sam, _, err := b.access.CreateAccount(t.Context(), access.NewAccount{Name: "sam", Password: password, Grants: []access.Grant{{School: hollybank, Role: access.Technician}}})
	if err != nil {
		t.Fatal(err)
	}
	head, dpo := b.surfer(), b.surfer()
	head.signIn("head")
	dpo.signIn("dpo")
	form := url.Values{"person": {sam.ID}, "lost": {"password"}, "reason": {"came to the office"}}
	if _, status, _ := dpo.ask(dpo.PostForm(b.pages+"/schools/hollybank/settings/people/let-in", form)); status != http.StatusForbidden {
		t.Errorf("a DPO makes codes: %d", status)
	}
	if _, status, _ := head.ask(head.PostForm(b.pages+"/schools/oakfield/people/let-in", form)); status != http.StatusNotFound {
		t.Errorf("by way of another school: %d", status)
	}
	_, _, page := head.ask(head.PostForm(b.pages+"/schools/hollybank/settings/people/let-in", form))
	code := codeOnPage.FindStringSubmatch(page)
	if code == nil {
		t.Fatalf("there is no code: %s", plainText(page))
	}
	back := b.surfer()
	if at, _, page := back.ask(back.PostForm(b.pages+"/sign-in/recover", url.Values{"name": {"sam"}, "code": {code[1]}})); at != "/account/password" || strings.Contains(page, "Old password") {
		t.Fatalf("the code leads to %s: %s", at, plainText(page))
	}
	if at, _, _ := back.get("/schools/hollybank"); at != "/account/password" {
		t.Errorf("before a new password a school is shown at %s", at)
	}
	back.ask(back.PostForm(b.pages+"/account/password", url.Values{"new": {"marble kettle orchard"}, "again": {"marble kettle orchard"}}))
	if at, _, _ := back.get("/schools/hollybank"); at != "/schools/hollybank" {
		t.Errorf("with a new password a school is shown at %s", at)
	}
	// Those whose duty it is read it.
	if _, _, page := dpo.get("/schools/hollybank/settings/people"); !strings.Contains(plainText(page), "sam code given out by another person password: came to the office By head") {
		t.Errorf("the DPO does not read who let whom in: %s", plainText(page))
	}
	// And the head signs them out.
	head.ask(head.PostForm(b.pages+"/schools/hollybank/settings/people/sign-out", url.Values{"person": {sam.ID}}))
	if at, _, _ := back.get("/account"); at != "/sign-in" {
		t.Errorf("signed out, the account is shown at %s", at)
	}
}

func TestAWindowLeftOpenChangesNothing(t *testing.T) {
	b := newSignOnBed(t)
	s := b.surfer()
	s.signIn("head")
	b.clock.Advance(15 * time.Minute)
	for _, path := range []string{"/account/authenticator", "/account/sign-on/school"} {
		if _, status, page := s.get(path); status != http.StatusForbidden || !strings.Contains(plainText(page), "Sign in again first") {
			t.Errorf("%s: %d", path, status)
		}
	}
	for _, path := range []string{"/account/codes", "/account/authenticator/remove", "/account/authenticator", "/account/passkey", "/account/passkey/remove", "/account/sign-on/remove"} {
		if _, status, _ := s.ask(s.PostForm(b.pages+path, nil)); status != http.StatusForbidden {
			t.Errorf("%s: %d", path, status)
		}
	}
	if at, _, _ := s.ask(s.PostForm(b.pages+"/sign-out", url.Values{"next": {"/account"}})); at != "/sign-in" {
		t.Errorf("signing in again begins at %s", at)
	}
}
