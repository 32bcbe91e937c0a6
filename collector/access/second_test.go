package access

import (
	"encoding/base32"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
)

// app is an authenticator app, as a library that is not ours has it.
type app struct {
	t      *testing.T
	secret string
}

func newApp(t *testing.T, n NewAuthenticator) app {
	t.Helper()
	link, err := url.Parse(n.Link)
	if err != nil || link.Scheme != "otpauth" || link.Host != "totp" || link.Query().Get("issuer") != "Caretaker" {
		t.Fatalf("an app cannot read %q (%v)", n.Link, err)
	}
	if typed := strings.ReplaceAll(n.Secret, " ", ""); typed != link.Query().Get("secret") {
		t.Fatalf("typed it is %q, and in the picture %q", typed, link.Query().Get("secret"))
	}
	return app{t, link.Query().Get("secret")}
}

func (p app) at(at time.Time) string {
	p.t.Helper()
	code, err := totp.GenerateCode(p.secret, at)
	if err != nil {
		p.t.Fatal(err)
	}
	return code
}

// withApp makes an account with an authenticator app, and recovery codes.
func withApp(t *testing.T, a *Access, c *clocktest.Driven, name string) (Account, app, []string) {
	t.Helper()
	create(t, a, name, goodPassword)
	account, _ := a.byName(name)
	offer, err := a.OfferAuthenticator(account)
	if err != nil {
		t.Fatal(err)
	}
	p := newApp(t, offer)
	codes, err := a.SetAuthenticator(account, offer.Ticket, p.at(c.Now()))
	if err != nil || len(codes) != recoveryCodes {
		t.Fatalf("got the codes %v, %v", codes, err)
	}
	c.Advance(codeEvery) // the code that it was set up with is used
	return account, p, codes
}

func second(t *testing.T, a *Access, account Account, code string) (Way, error) {
	t.Helper()
	return a.Second(t.Context(), account, Attempt{Address: "192.0.2.1", Name: account.Name, Password: code})
}

func TestAuthenticator(t *testing.T) {
	dir, c := t.TempDir(), clocktest.NewDriven(start)
	a := open(t, dir, c)
	account, p, _ := withApp(t, a, c, "Head")
	code := p.at(c.Now())
	if way, err := second(t, a, account, code[:3]+" "+code[3:]); err != nil || way != ByApp {
		t.Fatalf("got %q, %v", way, err)
	}
	if _, err := second(t, a, account, code); !errors.Is(err, ErrCode) {
		t.Errorf("a code was good twice: %v", err)
	}
	// Nor after a restart: what was used is on the disk.
	if _, err := second(t, open(t, dir, c), account, code); !errors.Is(err, ErrCode) {
		t.Errorf("a code was good twice, after a restart: %v", err)
	}
	c.Advance(10 * codeEvery)
	for steps, good := range map[time.Duration]bool{-2: false, 2: false, 99: false} {
		if _, err := second(t, a, account, p.at(c.Now().Add(steps*codeEvery))); (err == nil) != good {
			t.Errorf("a code of %d steps away: %v", steps, err)
		}
	}
	// A phone that is 30 s ahead, and then one that is behind: the later code
	// voids the earlier ones.
	if _, err := second(t, a, account, p.at(c.Now().Add(codeEvery))); err != nil {
		t.Errorf("a phone that is ahead: %v", err)
	}
	if _, err := second(t, a, account, p.at(c.Now())); !errors.Is(err, ErrCode) {
		t.Errorf("a code from before the last one used is good: %v", err)
	}
	c.Advance(3 * codeEvery)
	if _, err := second(t, a, account, p.at(c.Now().Add(-codeEvery))); err != nil {
		t.Errorf("a phone that is behind: %v", err)
	}
}

// TestCodesOfRFC6238 is the table of the standard's appendix B, of which an app
// shows the last six digits.
func TestCodesOfRFC6238(t *testing.T) {
	for unix, code := range map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"} {
		if n, ok := codeNumber([]byte("12345678901234567890"), code, time.Unix(unix, 0), 0); !ok || n != uint64(unix)/30 {
			t.Errorf("at %d: %q is number %d, %v", unix, code, n, ok)
		}
	}
}

func TestRecoveryCodes(t *testing.T) {
	dir, c := t.TempDir(), clocktest.NewDriven(start)
	a := open(t, dir, c)
	account, _, codes := withApp(t, a, c, "Head")
	if way, err := second(t, a, account, strings.ToUpper(strings.ReplaceAll(codes[3], "-", " "))); err != nil || way != ByCode {
		t.Fatalf("got %q, %v", way, err)
	}
	if _, err := second(t, a, account, codes[3]); !errors.Is(err, ErrCode) {
		t.Errorf("a recovery code was good twice: %v", err)
	}
	data, err := os.ReadFile(filepath.Join(dir, stepsIn.name))
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range codes {
		if strings.Contains(string(data), code) {
			t.Error("a recovery code is stored as it is")
		}
	}
	more, err := a.NewCodes(account)
	if err != nil || len(more) != recoveryCodes {
		t.Fatalf("got %v, %v", more, err)
	}
	if _, err := second(t, a, account, codes[4]); !errors.Is(err, ErrCode) {
		t.Errorf("a code of before is good still: %v", err)
	}
	// Another's codes are of no use.
	other, _, _ := withApp(t, a, c, "Sam")
	if _, err := second(t, a, other, more[0]); !errors.Is(err, ErrCode) {
		t.Errorf("somebody else's code was taken: %v", err)
	}
}

func TestSecondStepsAreNotGuessed(t *testing.T) {
	c := clocktest.NewDriven(start)
	a := open(t, t.TempDir(), c)
	account, p, _ := withApp(t, a, c, "Head")
	_, proofs := proofOf(t, a, account)
	var tooMany *TooManyError
	for i := range secondBurst {
		if _, err := second(t, a, account, "000000"); !errors.Is(err, ErrCode) {
			t.Fatalf("guess %d: %v", i, err)
		}
	}
	if _, err := second(t, a, account, p.at(c.Now())); !errors.As(err, &tooMany) {
		t.Errorf("guesses are not slowed down: %v", err)
	}
	// The owner's own browser is none the worse for it.
	if _, err := a.Second(t.Context(), account, Attempt{Proofs: proofs, Password: p.at(c.Now())}); err != nil {
		t.Errorf("the owner is kept out: %v", err)
	}
}

func TestWhoMustHaveASecondStep(t *testing.T) {
	c := clocktest.NewDriven(start)
	a := open(t, t.TempDir(), c)
	_, _, err := a.CreateAccount(t.Context(), NewAccount{Name: "Head", Password: goodPassword, Grants: []Grant{{"hollybank", Head}}})
	if err != nil {
		t.Fatal(err)
	}
	head, _ := a.byName("Head")
	ctx, err := a.sessions.manager.Load(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	check := func(want Owed) {
		t.Helper()
		got, err := a.Owes(ctx, head)
		if err != nil || got != want {
			t.Errorf("owes %q, %v; want %q", got, err, want)
		}
	}
	check(OwesNothing)
	c.Advance(14*24*time.Hour - time.Second)
	check(OwesNothing)
	c.Advance(time.Second)
	check(OwesSecond)
	if err := a.RequireSecond([]Role{DPO}, 0); err != nil {
		t.Fatal(err)
	}
	check(OwesNothing)
	if err := a.RequireSecond([]Role{Head}, time.Hour); err != nil {
		t.Fatal(err)
	}
	check(OwesNothing) // the time begins when it was asked for
	c.Advance(time.Hour)
	check(OwesSecond)
	if err := a.RequireSecond([]Role{"owner"}, 0); err == nil {
		t.Error("a role that there is not must have a second step")
	}
	offer, err := a.OfferAuthenticator(head)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.SetAuthenticator(head, offer.Ticket, "123"); !errors.Is(err, ErrCode) {
		t.Errorf("set up with a wrong code: %v", err)
	}
	if _, err := a.SetAuthenticator(head, offer.Ticket, newApp(t, offer).at(c.Now())); err != nil {
		t.Fatal(err)
	}
	check(OwesNothing)
	if err := a.RemoveAuthenticator(head); !errors.Is(err, ErrNeeded) {
		t.Errorf("the last second step was taken away: %v", err)
	}
	c.Advance(setUpLife)
	if _, err := a.SetAuthenticator(head, offer.Ticket, newApp(t, offer).at(c.Now())); !errors.Is(err, ErrStale) {
		t.Errorf("an old page sets up an app: %v", err)
	}
}

// TestUnreadableSecondStepsLetNobodyIn: what second steps there are is not known,
// so that none may be skipped.
func TestUnreadableSecondStepsLetNobodyIn(t *testing.T) {
	dir, c := t.TempDir(), clocktest.NewDriven(start)
	create(t, open(t, dir, c), "Head", goodPassword)
	path := filepath.Join(dir, stepsIn.name)
	if err := os.WriteFile(path, []byte(`{"steps":[{"account":"x"`), 0o600); err != nil {
		t.Fatal(err)
	}
	a := open(t, dir, c)
	var unreadable *UnreadableError
	if _, err := signIn(t, a, "192.0.2.1", "Head", goodPassword); !errors.As(err, &unreadable) || !strings.Contains(err.Error(), "nobody can sign in") {
		t.Errorf("got %v", err)
	}
	head, _ := a.byName("Head")
	if err := a.changeSteps(head.ID, func(*Steps) error { return nil }); !errors.As(err, &unreadable) {
		t.Errorf("what cannot be read was written over: %v", err)
	}
	if len(a.Trouble()) != 1 {
		t.Errorf("got %v", a.Trouble())
	}
}

func FuzzCodes(f *testing.F) {
	f.Add("287082")
	f.Add(" 28-7082\u00a0")
	f.Fuzz(func(t *testing.T, code string) {
		if n, ok := codeNumber([]byte("12345678901234567890"), code, time.Unix(59, 0), 0); ok && (n > 2 || len(plainCode(code)) != 6 && !strings.Contains(code, "\n")) {
			t.Errorf("%q is code %d", code, n)
		}
	})
}

func FuzzParseSteps(f *testing.F) {
	secret := base32.StdEncoding.EncodeToString(make([]byte, 20))
	f.Add([]byte(`{"steps":[{"account":"x","authenticator":{"secret":"AAAAAAAAAAAAAAAAAAAAAAAAAAA=","last":3},"codes":["` + secret + `"]}]}`))
	f.Add([]byte(`{"steps":[{"account":"x"},{"account":"x"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		steps, err := parseSteps(data)
		for _, s := range steps {
			if err != nil || s.Account == "" || s.Authenticator != nil && len(s.Authenticator.Secret) != secretLength {
				t.Errorf("let %+v through (%v)", s, err)
			}
		}
	})
}
