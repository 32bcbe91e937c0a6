package access

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
	"github.com/caretaker-school/caretaker/shared/posture"
)

const tenant = "4f1b3ad0-8c2e-4c55-9f6e-2d7b1c9e0a11"

func TestWhichProvidersAreTaken(t *testing.T) {
	for _, c := range []struct {
		issuer, domain string
		good           bool
	}{
		{"https://login.microsoftonline.com/" + tenant + "/v2.0", "", true},
		{"https://login.microsoftonline.com/common/v2.0", "", false}, // every organisation there is
		{"https://login.microsoftonline.com/organizations/v2.0", "", false},
		{"https://login.microsoftonline.com/consumers/v2.0", "", false},
		{"https://login.microsoftonline.com/" + tenant, "", false},
		{"https://login.microsoftonline.com/" + tenant + "/v2.0/more", "", false},
		{"https://login.microsoftonline.us/common/v2.0", "", false},
		{"https://accounts.google.com", "hollybank.example", true},
		{"https://accounts.google.com", "", false}, // everybody who has an account
		{"https://sso.trust.example/realms/schools", "", true},
		{"http://sso.trust.example", "", false},
		{"http://127.0.0.1:9000", "", true},
		{"https://user@sso.trust.example", "", false},
		{"https://sso.trust.example?x=y", "", false},
		{"sso.trust.example", "", false},
		{"", "", false},
		{"https://sso.trust.example", "not a domain", false},
	} {
		p := Provider{ID: "school", Name: "School", Issuer: c.issuer, Client: "caretaker", Domain: c.domain}
		if err := p.check(); (err == nil) != c.good {
			t.Errorf("%q for %q: %v", c.issuer, c.domain, err)
		}
	}
	for _, p := range []Provider{
		{ID: "", Name: "School"}, {ID: "../x", Name: "School"}, {ID: "school", Name: ""}, {ID: "school", Name: "a\u202eb"}, {ID: "school", Name: strings.Repeat("n", 41)},
	} {
		p.Issuer, p.Client = "https://sso.trust.example", "caretaker"
		if err := p.check(); err == nil {
			t.Errorf("%+v was taken", p)
		}
	}
}

// TestWhoseWordIsBelieved is the table of what an ID token must say beside being
// signed, for us and now.
func TestWhoseWordIsBelieved(t *testing.T) {
	microsoft := Provider{ID: "m", Name: "Microsoft", Issuer: "https://login.microsoftonline.com/" + tenant + "/v2.0", Client: "c"}
	google := Provider{ID: "g", Name: "Google", Issuer: googleIssuer, Client: "c", Domain: "hollybank.example"}
	other := "0" + tenant[1:]
	for name, c := range map[string]struct {
		p    Provider
		c    claims
		good bool
	}{
		"the school's tenant":    {microsoft, claims{Issuer: microsoft.Issuer, Subject: "s", Tenant: tenant}, true},
		"another tenant":         {microsoft, claims{Issuer: microsoft.Issuer, Subject: "s", Tenant: other}, false},
		"no tenant":              {microsoft, claims{Issuer: microsoft.Issuer, Subject: "s"}, false},
		"another tenant's":       {microsoft, claims{Issuer: strings.Replace(microsoft.Issuer, tenant, other, 1), Subject: "s", Tenant: other}, false},
		"the school's domain":    {google, claims{Issuer: googleIssuer, Subject: "s", Domain: "Hollybank.example"}, true},
		"another domain":         {google, claims{Issuer: googleIssuer, Subject: "s", Domain: "elsewhere.example"}, false},
		"a private account":      {google, claims{Issuer: googleIssuer, Subject: "s"}, false},
		"a name that looks so":   {google, claims{Issuer: googleIssuer, Subject: "s", Shown: "head@hollybank.example"}, false},
		"nobody":                 {google, claims{Issuer: googleIssuer, Domain: "hollybank.example"}, false},
		"nobody of any issuer":   {google, claims{Subject: "s", Domain: "hollybank.example"}, false},
		"far too long a subject": {google, claims{Issuer: googleIssuer, Subject: strings.Repeat("s", 256), Domain: "hollybank.example"}, false},
	} {
		if err := c.p.accept(c.c); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestProvidersAreKeptAndTold(t *testing.T) {
	dir, c := t.TempDir(), clocktest.NewDriven(start)
	a := open(t, dir, c)
	p := Provider{ID: "school", Name: "School", Issuer: "https://sso.trust.example", Client: "caretaker", Secret: "told to nobody", Schools: []posture.SchoolID{"hollybank"}}
	if err := a.SetProvider(p); err != nil {
		t.Fatal(err)
	}
	p.Name = "Sign-on of the trust"
	if err := a.SetProvider(p); err != nil {
		t.Fatal(err)
	}
	again := open(t, dir, c)
	if list := again.Providers(); len(list) != 1 || list[0].Name != p.Name || list[0].Secret != "" {
		t.Errorf("got %+v", list)
	}
	if p, _ := again.provider("school"); p.Secret != "told to nobody" {
		t.Error("the secret is not kept")
	}
	for _, c := range []struct {
		grants []Grant
		want   bool
	}{
		{[]Grant{{"hollybank", Head}}, true},
		{[]Grant{{"hollybank", Head}, {"oakfield", Head}}, false},
		{[]Grant{{EverySchool, Head}}, false},
	} {
		if got := p.covers(Account{Grants: c.grants}); got != c.want {
			t.Errorf("%v: %v", c.grants, got)
		}
	}
	if err := again.RemoveProvider("school"); err != nil || len(again.Providers()) != 0 {
		t.Errorf("got %v", err)
	}
	if err := again.RemoveProvider("school"); err == nil {
		t.Error("removed twice")
	}
}

func TestWherePasskeysCanBe(t *testing.T) {
	for site, want := range map[Site]string{
		{"caretaker.hollybank.example", true}:      "caretaker.hollybank.example",
		{"Caretaker.Hollybank.example:8443", true}: "caretaker.hollybank.example",
		{"caretaker.hollybank.example", false}:     "",
		{"localhost:8080", false}:                  "localhost",
		{"127.0.0.1:8080", false}:                  "",
		{"[2001:db8::1]:8443", true}:               "",
		{"192.0.2.1", true}:                        "",
		{"", true}:                                 "",
	} {
		host, ok := site.passkeyHost()
		if ok != (want != "") || ok && host != want {
			t.Errorf("%+v: got %q, %v", site, host, ok)
		}
	}
}

// TestWrongAnswersPushNoRightOneOut: whoever answers thousands of challenges
// wrongly does not make one that was answered rightly good for a second time.
func TestWrongAnswersPushNoRightOneOut(t *testing.T) {
	a := open(t, t.TempDir(), clocktest.NewDriven(start))
	site := Site{Host: "caretaker.hollybank.example", Secure: true}
	text := base64.RawURLEncoding.EncodeToString
	right := func() bool { return a.spend("answered rightly") }
	if !right() {
		t.Fatal("the first answer was refused")
	}
	data := append(make([]byte, 32), 5, 0, 0, 0, 0)
	for range maxSpent + 1 {
		asked, err := a.AskPasskey(site)
		if err != nil {
			t.Fatal(err)
		}
		answer := fmt.Sprintf(`{"id":"AAAA","rawId":"AAAA","type":"public-key","response":{"authenticatorData":%q,"clientDataJSON":%q,"signature":"AAAA","userHandle":"AAAA"}}`,
			text(data), text([]byte(`{"type":"webauthn.get","challenge":"AAAA","origin":"https://caretaker.hollybank.example"}`)))
		if _, err := parsePasskey([]byte(answer)); err != nil {
			t.Fatal(err)
		}
		if _, err := a.SignInByPasskey(site, asked.Ticket, answer, "192.0.2.1"); !errors.Is(err, ErrPasskey) {
			t.Fatal(err)
		}
	}
	if right() {
		t.Error("it was good twice")
	}
}

func FuzzParseProviders(f *testing.F) {
	f.Add([]byte(`{"providers":[{"id":"school","name":"School","issuer":"https://sso.trust.example","client":"c"}]}`))
	f.Add([]byte(`{"providers":[{"id":"m","name":"M","issuer":"https://login.microsoftonline.com/common/v2.0","client":"c"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parseProviders(data)
		for _, p := range list {
			if err != nil || p.check() != nil {
				t.Errorf("let %+v through (%v)", p, err)
			}
		}
	})
}

func FuzzParsePasskeys(f *testing.F) {
	f.Add([]byte(`{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"e30","attestationObject":"oA"}}`))
	f.Add([]byte(`{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"e30","authenticatorData":"AA","signature":"AA","userHandle":"AA"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if made, err := parseNewPasskey(data); err == nil && made == nil {
			t.Error("nothing was made, and nothing was wrong")
		}
		if used, err := parsePasskey(data); err == nil && used == nil {
			t.Error("nothing was used, and nothing was wrong")
		}
	})
}
