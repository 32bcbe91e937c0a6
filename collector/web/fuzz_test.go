package web

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
)

// strange is what a form or an address is made of, and no page may hold unless
// it is escaped.
const strange = `<script>alert("x")</script>`

// siteFor makes the pages of a school with an account for each of some roles:
// every password takes as long to hash as it is meant to.
func siteFor(t testing.TB, roles ...access.Role) http.Handler {
	t.Helper()
	c, log := clocktest.NewDriven(now), slog.New(slog.DiscardHandler)
	a, err := access.Open(t.TempDir(), access.Options{Clock: c, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range roles {
		_, _, err := a.CreateAccount(t.Context(), access.NewAccount{Name: string(role), Password: password, Grants: []access.Grant{{School: hollybank, Role: role}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	return siteOf(t, c, a, newSchool(t), &standing{}, false)
}

// FuzzAddress asks for anything as somebody who may read: an answer is a page,
// and nothing of the address is on it as it was written.
func FuzzAddress(f *testing.F) {
	h := siteFor(f, access.Technician)
	for _, seed := range [][2]string{
		{"/schools/hollybank/devices", "q=hb&after=hb-lt-014&standing=not-met&rule=ENC-01&silent=1"},
		{"/schools/hollybank/devices/d-014", "x=" + strange},
		{"/schools/hollybank/devices/d-014/programs", "after=-1&q=" + strange},
		{"/schools/hollybank/breaches", "status=open&severity=high&after=%00&q=" + strange},
		{"/schools/hollybank/rules/ENC-01", "standing=" + strange},
		{"/schools/hollybank/register", "q=" + strange + "&cover=" + strange + "&with=leaver"},
		{"/schools/hollybank/register/assets/" + strange, ""},
		{"/schools/hollybank/register/found", "number=" + strange + "&found-day=2026-13-40"},
		{"/schools/" + strange, "a;b=%zz"},
		{"/sign-in", "next=//elsewhere.example"},
		{"/what-is-collected", "%"},
		{"/assets/../x/..%2f", ""},
	} {
		f.Add(seed[0], seed[1])
	}
	var cookies []*http.Cookie
	f.Fuzz(func(t *testing.T, path, query string) {
		if cookies == nil {
			cookies = newClient(t, h, string(access.Technician)).cookies
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL = &url.URL{Path: "/" + strings.TrimPrefix(path, "/"), RawQuery: query}
		r.RequestURI = r.URL.RequestURI()
		w := (&client{t: t, h: h, address: "192.0.2.1:4321", cookies: cookies}).do(r)
		if w.Code >= http.StatusInternalServerError {
			t.Errorf("%q?%q is answered with status %d:\n%s", path, query, w.Code, w.Body)
		}
		if strings.Contains(w.Body.String(), strange) {
			t.Errorf("%q?%q is on the page as it was written", path, query)
		}
		if next := w.Header().Get("Location"); next != "" && !strings.HasPrefix(next, "/") {
			t.Errorf("%q?%q leads to %q", path, query, next)
		}
	})
}

// FuzzForm posts anything to the forms that everybody may send.
func FuzzForm(f *testing.F) {
	h := siteFor(f)
	f.Add("/sign-in", "application/x-www-form-urlencoded", []byte("name=&password=x&next=//elsewhere.example"))
	f.Add("/sign-in", "application/x-www-form-urlencoded", []byte("name=%zz;password"))
	f.Add("/sign-in", "multipart/form-data; boundary=x", []byte("--x\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\ny\r\n--x--"))
	f.Add("/sign-out", "text/plain", []byte(strange))
	f.Fuzz(func(t *testing.T, path, kind string, body []byte) {
		if form, err := url.ParseQuery(string(body)); err == nil && form.Get("name") != "" && form.Get("password") != "" {
			return // hashing a password takes as long as it is meant to
		}
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(body)))
		r.URL = &url.URL{Path: "/" + strings.TrimPrefix(path, "/")}
		r.Header.Set("Content-Type", kind)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		w := (&client{t: t, h: h, address: "192.0.2.1:4321"}).do(r)
		if w.Code >= http.StatusInternalServerError || strings.Contains(w.Body.String(), strange) {
			t.Errorf("%q with %q is answered with status %d:\n%s", path, body, w.Code, w.Body)
		}
	})
}
