package web

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"github.com/caretaker-school/caretaker/collector/access"
)

// key is an authenticator in the browser: the browser's own, virtual one.
type key struct {
	t  *testing.T
	id webauthn.AuthenticatorID
}

func plugIn(t *testing.T, ctx context.Context) key {
	t.Helper()
	k := key{t: t}
	k.do(ctx, func(ctx context.Context, target *chromedp.Target) error {
		if _, err := cdp.Call(ctx, target, webauthn.Enable, webauthn.EnableParams{}); err != nil {
			return err
		}
		added, err := cdp.Call(ctx, target, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
			Protocol: "ctap2", Transport: "internal", HasResidentKey: true, HasUserVerification: true, AutomaticPresenceSimulation: true, IsUserVerified: true,
		}})
		k.id = added.AuthenticatorID
		return err
	})
	return k
}

func (k key) do(ctx context.Context, f func(context.Context, *chromedp.Target) error) {
	k.t.Helper()
	if err := chromedp.Do(ctx, chromedp.Func(f)); err != nil {
		k.t.Fatal(err)
	}
}

// lies has the authenticator sign wrongly, or say that nobody was checked.
func (k key) lies(ctx context.Context, signature, verified bool) {
	k.t.Helper()
	k.do(ctx, func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, webauthn.SetResponseOverrideBits, webauthn.SetResponseOverrideBitsParams{AuthenticatorID: k.id, IsBogusSignature: &signature, IsBadUV: &verified})
		return err
	})
}

func TestPasskeyInABrowser(t *testing.T) {
	ctx, cancel := context.WithTimeout(startBrowser(t), 3*time.Minute)
	defer cancel()
	b := newSignOnBed(t)
	base := byName(b.pages)
	do := func(steps ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, steps...); err != nil {
			t.Fatal(err)
		}
	}
	text := func(selector string) string {
		t.Helper()
		s, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS(selector)))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	signOut := func() {
		t.Helper()
		do(chromedp.Click(chromedp.CSS(".ct-header__button")), chromedp.WaitVisible(chromedp.CSS("#password")))
	}
	signInAs(t, ctx, base, "head")
	k := plugIn(t, ctx)
	do(chromedp.Navigate(base+"/account/passkey"), chromedp.WaitVisible(chromedp.CSS("#label")), chromedp.SendKeys(chromedp.CSS("#label"), "Office laptop"),
		chromedp.Click(chromedp.CSS("main button")), chromedp.WaitVisible(chromedp.CSS("main code")))
	if got := text("h1"); got != "Your recovery codes" {
		t.Fatalf("a first passkey led to %q", got)
	}
	inspectAll(t, ctx, "codes")
	do(chromedp.Navigate(base + "/account"))
	if got := text("main"); !strings.Contains(got, "Office laptop") || !strings.Contains(got, "localhost") {
		t.Errorf("the account says %q", got)
	}
	for _, path := range []string{"/account", "/schools/hollybank/settings/people"} {
		do(chromedp.Navigate(base + path))
		eval[chromedp.Void](t, ctx, `document.querySelectorAll("details").forEach(d => { d.open = true })`)
		axe(t, ctx, path)
	}
	signOut()
	// It is both steps: no name, no password, no code.
	passkey := chromedp.CSS("form[data-passkey] button")
	do(chromedp.Navigate(base+"/sign-in?next=%2Faccount"), chromedp.WaitVisible(passkey), chromedp.Click(passkey), chromedp.WaitVisible(chromedp.CSS(".ct-header__account")))
	if got := text("main"); !strings.Contains(got, "by passkey") {
		t.Errorf("signed in by a passkey, the account says %q", got)
	}
	signOut()
	// After a password it is the second step.
	do(chromedp.SendKeys(chromedp.CSS("#name"), "head"), chromedp.SendKeys(chromedp.CSS("#password"), password), chromedp.Click(chromedp.CSS("main button")),
		chromedp.WaitVisible(chromedp.CSS("#code")), chromedp.WaitVisible(passkey))
	inspectAll(t, ctx, "second")
	do(chromedp.Click(passkey), chromedp.WaitVisible(chromedp.CSS(".ct-header__account")))
	signOut()
	for name, lie := range map[string][2]bool{"a wrong signature": {true, false}, "nobody was checked": {false, true}} {
		k.lies(ctx, lie[0], lie[1])
		do(chromedp.Navigate(base+"/sign-in"), chromedp.WaitVisible(passkey), chromedp.Click(passkey), chromedp.WaitVisible(chromedp.CSS(".govuk-error-summary")))
		if got := text(".govuk-error-summary"); !strings.Contains(got, "The passkey was not accepted") {
			t.Errorf("%s was answered %q", name, got)
		}
	}
	k.lies(ctx, false, false)
	// Taken away, it signs nobody in.
	head := person(t, b.access, "head")
	steps, err := b.access.StepsOf(head.ID)
	if err != nil || len(steps.Passkeys) != 1 {
		t.Fatalf("got %+v, %v", steps, err)
	}
	if err := b.access.RemovePasskey(head, steps.Passkeys[0].ID()); !errors.Is(err, access.ErrNeeded) {
		t.Errorf("the last second step was taken away: %v", err)
	}
	if err := b.access.DropSecond("console:root", "head"); err != nil {
		t.Fatal(err)
	}
	do(chromedp.Navigate(base+"/sign-in"), chromedp.WaitVisible(passkey), chromedp.Click(passkey), chromedp.WaitVisible(chromedp.CSS(".govuk-error-summary")))
}

func person(t *testing.T, a *access.Access, name string) access.Account {
	t.Helper()
	for _, account := range a.Accounts() {
		if account.Name == name {
			return account
		}
	}
	t.Fatalf("there is no account %s", name)
	return access.Account{}
}

// axe looks for barriers in the page as it is.
func axe(t *testing.T, ctx context.Context, what string) {
	t.Helper()
	file := filepath.Join("..", "..", "shared", "tools", "web", "node_modules", "axe-core", "axe.min.js")
	script, err := os.ReadFile(file)
	if err != nil {
		t.Logf("%s was not looked at for barriers: %v", what, err)
		return
	}
	eval[chromedp.Void](t, ctx, string(script))
	if found := eval[string](t, ctx, runAxe); found != "[]" {
		t.Errorf("%s: %s", what, found)
	}
}

// TestPasskeyAnswersAreBounded: what is no answer is refused in words, however
// long it is.
func TestPasskeyAnswersAreBounded(t *testing.T) {
	b := newSignOnBed(t)
	site := access.Site{Host: "localhost:8080"}
	c, err := b.access.AskPasskey(site)
	if err != nil {
		t.Fatal(err)
	}
	for _, answer := range []string{"", "{}", "[]", "null", `{"id":"AA","rawId":"AA","type":"public-key","response":{}}`, strings.Repeat("[", 20_000)} {
		if _, err := b.access.SignInByPasskey(site, c.Ticket, answer, "192.0.2.1"); !errors.Is(err, access.ErrPasskey) {
			t.Errorf("%.40q: %v", answer, err)
		}
	}
	if _, err := b.access.SignInByPasskey(site, "no ticket", "{}", "192.0.2.1"); !errors.Is(err, access.ErrStale) {
		t.Errorf("without a ticket: %v", err)
	}
	s := b.surfer()
	if _, status, _ := s.get("/account/passkey"); status != http.StatusOK {
		t.Errorf("a stranger got %d", status)
	}
	s.signIn("head")
	if _, status, _ := s.get("/account/passkey"); status != http.StatusNotFound {
		t.Errorf("at a bare address a passkey is offered: %d", status)
	}
}
