package web

import (
	"bytes"
	"context"
	"errors"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// client asks the pages for things, with the cookies of one person.
type client struct {
	t       *testing.T
	h       http.Handler
	address string
	cookies []*http.Cookie
}

func newClient(t *testing.T, h http.Handler, name string) *client {
	t.Helper()
	c := &client{t: t, h: h, address: "192.0.2.1:4321"}
	if name != "" {
		r := c.post("/sign-in", url.Values{"name": {name}, "password": {password}})
		if r.Code != http.StatusSeeOther {
			t.Fatalf("sign in as %s: status %d\n%s", name, r.Code, r.Body)
		}
	}
	return c
}

func (c *client) do(r *http.Request) *httptest.ResponseRecorder {
	r.RemoteAddr = c.address
	stopped := make(chan struct{})
	close(stopped) // what would stay open ends
	r = r.WithContext(context.WithValue(r.Context(), stoppingKey{}, (<-chan struct{})(stopped)))
	for _, k := range c.cookies {
		r.AddCookie(k)
	}
	w := httptest.NewRecorder()
	c.h.ServeHTTP(w, r)
	for _, k := range w.Result().Cookies() {
		c.cookies = slices.DeleteFunc(c.cookies, func(o *http.Cookie) bool { return o.Name == k.Name })
		if k.MaxAge >= 0 {
			c.cookies = append(c.cookies, k)
		}
	}
	return w
}

// session returns the cookie of the session.
func (c *client) session() *http.Cookie {
	i := slices.IndexFunc(c.cookies, func(k *http.Cookie) bool { return strings.HasSuffix(k.Name, "caretaker") })
	if i < 0 {
		c.t.Fatal("there is no session")
	}
	return c.cookies[i]
}

func (c *client) get(path string) *httptest.ResponseRecorder {
	return c.do(httptest.NewRequest(http.MethodGet, path, nil))
}

func (c *client) post(path string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return c.do(r)
}

func (c *client) want(path string, status int, texts ...string) string {
	c.t.Helper()
	r := c.get(path)
	if r.Code != status {
		c.t.Errorf("%s: got status %d, want %d", path, r.Code, status)
	}
	text := plainText(r.Body.String())
	for _, w := range texts {
		if !strings.Contains(text, w) {
			c.t.Errorf("%s does not say %q:\n%s", path, w, text)
		}
	}
	return text
}

var tags = regexp.MustCompile(`<[^>]*>`)

// plainText is what a page says, without its markup.
func plainText(page string) string {
	return strings.Join(strings.Fields(html.UnescapeString(tags.ReplaceAllString(page, " "))), " ")
}

// example fills the places in a route's pattern.
func example(pattern, school string) (method, path string) {
	method, path, _ = strings.Cut(pattern, " ")
	path = strings.NewReplacer("{$}", "", "{school}", school, "{device}", "d-014", "{rule}", "ENC-01", "{exemption}", "ex-kestrel01", "{person}", "sr-1", "{incident}", "2026-03", "{term}", "2026-09-03", "{year}", "2025-26", "{month}", "2026-09", "{number}", "3", "{asset}", "HB-LT-030", "{step}", "returned", "{medium}", "M-031", "{product}", "sketch%20studio", "{account}", "robin", "{token}", deskToken, "{notice}", "a1b2c3d4", "{key}", "none", "{draft}", "winter-2026", "{preview}", "made", "{trust}", "Riverside%20Schools", "{address}", "k7qm2-xhd4r", "{reference}", "K7QM-2XHD", "{dispute}", "dp-1", "{earlier}", "d-015", "{case}", "r-k3m2p7qa", "{deed}", "note", "{set}", "none", "{file}", "caretaker.css").Replace(path)
	return method, path
}

func TestEveryRouteAsksWhoMayHaveIt(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	people := map[string]*client{"": newClient(t, h, "")}
	for _, role := range access.Roles() {
		for _, name := range []string{string(role), string(role) + " everywhere"} {
			people[name] = newClient(t, h, name)
		}
	}
	for _, route := range routes() {
		if (route.need == atSchool) != strings.Contains(route.pattern, "{school}") || (route.need == atSchool) != (route.right != "") {
			t.Errorf("%s: a page of a school needs a right at that school, and no other page does", route.pattern)
		}
		method, path := example(route.pattern, "hollybank")
		_, elsewhere := example(route.pattern, "oakfield")
		_, nowhere := example(route.pattern, "no-such-school")
		ask := func(name, path string) int {
			c := people[name]
			if method == http.MethodPost {
				return c.post(path, nil).Code
			}
			return c.get(path).Code
		}
		stranger := ask("", path)
		if route.need == anyone && (stranger == http.StatusForbidden || stranger == http.StatusSeeOther) {
			t.Errorf("%s is not open to anyone: %d", route.pattern, stranger)
		}
		if route.need != anyone && stranger != http.StatusSeeOther {
			t.Errorf("%s answered a stranger with %d", route.pattern, stranger)
		}
		if route.need != atSchool {
			continue
		}
		for _, role := range access.Roles() {
			want := http.StatusForbidden
			if route.right == access.BeSenior {
				want = http.StatusNotFound // to others it does not exist
			}
			if role.May(route.right) {
				want = http.StatusOK
			}
			got := ask(string(role), path)
			if method == http.MethodPost && (got == http.StatusUnprocessableEntity || got == http.StatusSeeOther) {
				got = http.StatusOK // it was let in, whether what it sent was whole or not
			}
			if got != want {
				t.Errorf("%s as %s: got %d, want %d", route.pattern, role, got, want)
			}
			// Another school looks like one that does not exist.
			for _, p := range []string{elsewhere, nowhere} {
				if got := ask(string(role), p); got != http.StatusNotFound {
					t.Errorf("%s as %s of another school: got %d, want 404", p, role, got)
				}
			}
			if got := ask(string(role)+" everywhere", nowhere); got != http.StatusNotFound {
				t.Errorf("%s: got %d, want 404", nowhere, got)
			}
		}
	}
}

// TestADeviceOfAnotherSchoolDoesNotExist: asked for by way of a school that the
// account belongs to, it is answered to the byte as one that there is not, also
// to somebody who belongs to both.
func TestADeviceOfAnotherSchoolDoesNotExist(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	asked := 0
	for _, role := range access.Roles() {
		for _, name := range []string{string(role), string(role) + " everywhere"} {
			c := newClient(t, h, name)
			for _, route := range routes() {
				if !strings.Contains(route.pattern, "{device}") {
					continue
				}
				at := func(school, device string) *httptest.ResponseRecorder {
					method, path := example(strings.Replace(route.pattern, "{device}", device, 1), school)
					if method == http.MethodPost {
						return c.post(path, nil)
					}
					return c.get(path)
				}
				theirs, none := at("hollybank", string(elsewhere)), at("hollybank", "d-nobody")
				want := http.StatusNotFound
				if !role.May(route.right) {
					want = http.StatusForbidden
				}
				if theirs.Code != want || theirs.Code != none.Code || theirs.Body.String() != none.Body.String() {
					t.Errorf("%s as %s: got %d of another school's and %d of nobody's, or other words", route.pattern, name, theirs.Code, none.Code)
				}
				if own := at("oakfield", string(elsewhere)).Code; strings.HasSuffix(name, "everywhere") && role.May(route.right) && !slices.Contains([]int{http.StatusOK, http.StatusUnprocessableEntity, http.StatusSeeOther}, own) {
					t.Errorf("%s as %s at its own school: got %d", route.pattern, name, own)
				}
				asked++
			}
		}
	}
	if asked == 0 {
		t.Error("no page is about a device")
	}
}

func TestHeaders(t *testing.T) {
	for _, tls := range []bool{false, true} {
		h, _ := newSite(t, newSchool(t), tls)
		c := newClient(t, h, "dpo")
		if len(c.cookies) != 2 {
			t.Errorf("TLS %v: got cookies %v, want that of the session and that of the browser", tls, c.cookies)
		}
		for _, cookie := range c.cookies {
			if cookie.Secure != tls || strings.HasPrefix(cookie.Name, "__Host-") != tls || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Domain != "" || cookie.Path != "/" {
				t.Errorf("TLS %v: got cookie %+v", tls, cookie)
			}
		}
		for path, policy := range map[string]string{
			"/sign-in": contentPolicy, "/nothing": contentPolicy, "/schools/oakfield": contentPolicy, "/healthz": contentPolicy, "/what-is-collected": contentPolicy,
			"/schools/hollybank/evidence": contentPolicy, "/schools/hollybank": scriptPolicy, "/schools/hollybank/devices/d-014": scriptPolicy,
		} {
			head := c.get(path).Header()
			want := map[string]string{
				"Content-Security-Policy":      policy,
				"X-Content-Type-Options":       "nosniff",
				"X-Frame-Options":              "DENY",
				"Referrer-Policy":              "same-origin",
				"Cross-Origin-Opener-Policy":   "same-origin",
				"Cross-Origin-Resource-Policy": "same-origin",
				"Cache-Control":                "no-store",
				"X-Robots-Tag":                 "noindex, nofollow",
			}
			want["Strict-Transport-Security"] = map[bool]string{true: "max-age=31536000"}[tls]
			for k, v := range want {
				if got := head.Get(k); got != v {
					t.Errorf("TLS %v, %s: %s is %q, want %q", tls, path, k, got, v)
				}
			}
		}
	}
	for _, forbidden := range []string{"unsafe", "http:", "https:", "*", "data:", "script-src"} {
		if strings.Contains(contentPolicy, forbidden) {
			t.Errorf("the content policy allows %q", forbidden)
		}
	}
}

// TestSignInRunsAScriptOnlyForAPasskey: our own, from a file, where a name leads
// here; at a bare address there can be no passkey and there is no script.
func TestSignInRunsAScriptOnlyForAPasskey(t *testing.T) {
	h, _ := newSite(t, newSchool(t), true)
	for host, want := range map[string]string{"caretaker.hollybank.example": scriptPolicy, "192.0.2.7:8443": contentPolicy} {
		c := newClient(t, h, "")
		r := httptest.NewRequest(http.MethodGet, "https://"+host+"/sign-in", nil)
		w := c.do(r)
		if got := w.Header().Get("Content-Security-Policy"); got != want {
			t.Errorf("at %s: got the policy %q, want %q", host, got, want)
		}
		if scripts := strings.Count(w.Body.String(), "<script"); scripts != strings.Count(want, "script-src") || strings.Count(w.Body.String(), `<script src="/assets/`) != scripts {
			t.Errorf("at %s: %d scripts", host, scripts)
		}
	}
	for _, forbidden := range []string{"unsafe", "http:", "https:", "*", "data:", "blob:"} {
		if strings.Contains(scriptPolicy, forbidden) {
			t.Errorf("the policy of scripts allows %q", forbidden)
		}
	}
}

func TestAssetsAreKeptForGood(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	c := newClient(t, h, "")
	page := c.get("/sign-in").Body.String()
	links := regexp.MustCompile(`/assets/[0-9a-f]{16}/[a-z.0-9-]+`).FindAllString(page, -1)
	if len(links) < 3 {
		t.Fatalf("the page refers to %v", links)
	}
	for _, link := range links {
		r := c.get(link)
		if r.Code != http.StatusOK || r.Header().Get("Cache-Control") != "public, max-age=31536000, immutable" || r.Header().Get("Content-Type") == "" {
			t.Errorf("%s: got %d with %v", link, r.Code, r.Header())
		}
		if len(r.Result().Cookies()) > 0 {
			t.Errorf("%s sets a cookie", link)
		}
	}
	for _, link := range []string{"/assets/0000000000000000/caretaker.css", "/assets/" + links[0][8:24] + "/LICENSE", "/assets/" + links[0][8:24] + "/..%2fweb.go"} {
		if r := c.get(link); r.Code != http.StatusNotFound {
			t.Errorf("%s: got %d, want 404", link, r.Code)
		}
	}
}

func TestSignIn(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	c := newClient(t, h, "")
	r := c.get("/schools/hollybank/breaches?status=open")
	if got, want := r.Header().Get("Location"), "/sign-in?next=%2Fschools%2Fhollybank%2Fbreaches%3Fstatus%3Dopen"; got != want {
		t.Fatalf("sent to %q, want %q", got, want)
	}
	for _, form := range []url.Values{
		{"name": {"head"}, "password": {"not the password"}},
		{"name": {"nobody"}, "password": {"not the password"}},
	} {
		r := c.post("/sign-in", form)
		if r.Code != http.StatusUnprocessableEntity || !strings.Contains(plainText(r.Body.String()), "The name or the password is wrong.") || len(r.Result().Cookies()) > 0 {
			t.Errorf("%v: got %d %s", form, r.Code, plainText(r.Body.String()))
		}
		if strings.Contains(r.Body.String(), "not the password") {
			t.Error("the page repeats the password")
		}
	}
	if r := c.post("/sign-in", url.Values{"name": {"head"}}); r.Code != http.StatusUnprocessableEntity {
		t.Errorf("without a password: got %d", r.Code)
	}
	if r := c.post("/sign-in", url.Values{"name": {strings.Repeat("x", 2*maxForm)}}); r.Code != http.StatusNotFound {
		t.Errorf("a form of %d bytes: got %d", 2*maxForm, r.Code)
	}
	r = c.post("/sign-in", url.Values{"name": {"Head"}, "password": {password}, "next": {"/schools/hollybank/breaches?status=open"}})
	if r.Code != http.StatusSeeOther || r.Header().Get("Location") != "/schools/hollybank/breaches?status=open" {
		t.Fatalf("got %d to %q", r.Code, r.Header().Get("Location"))
	}
	before := c.session().Value
	if r := c.get("/"); r.Code != http.StatusSeeOther || r.Header().Get("Location") != "/schools/hollybank" {
		t.Errorf("with one school the start page leads there: got %d to %q", r.Code, r.Header().Get("Location"))
	}
	if r := c.post("/sign-out", nil); r.Code != http.StatusSeeOther {
		t.Errorf("signing out: got %d", r.Code)
	}
	c.cookies = []*http.Cookie{{Name: "caretaker", Value: before}}
	if r := c.get("/schools/hollybank"); r.Code != http.StatusSeeOther {
		t.Errorf("the old cookie still opens a page: %d", r.Code)
	}
}

func TestTooManyAttemptsAreAnsweredInWords(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	c := newClient(t, h, "")
	var r *httptest.ResponseRecorder
	for range 6 {
		r = c.post("/sign-in", url.Values{"name": {"head"}, "password": {"guess guess guess"}})
	}
	if r.Code != http.StatusTooManyRequests || r.Header().Get("Retry-After") != "30" || !strings.Contains(plainText(r.Body.String()), "Too many attempts") {
		t.Errorf("got %d, retry after %q", r.Code, r.Header().Get("Retry-After"))
	}
	c.address = "192.0.2.99:1"
	if r := c.post("/sign-in", url.Values{"name": {"head"}, "password": {password}}); r.Code != http.StatusSeeOther {
		t.Errorf("the head is locked out by somebody else: %d", r.Code)
	}
}

func TestNothingIsDoneForAnotherSite(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	for _, header := range []http.Header{
		{"Sec-Fetch-Site": {"cross-site"}},
		{"Sec-Fetch-Site": {"same-site"}},
		{"Origin": {"https://elsewhere.example"}},
		{"Origin": {"null"}},
	} {
		c := newClient(t, h, "dpo")
		r := httptest.NewRequest(http.MethodPost, "/sign-out", nil)
		r.Header = header
		if w := c.do(r); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "another site") {
			t.Errorf("%v: got %d", header, w.Code)
		}
		if w := c.get("/schools/hollybank"); w.Code != http.StatusOK {
			t.Errorf("%v: signed out all the same", header)
		}
	}
}

func TestOwnAddress(t *testing.T) {
	for next, want := range map[string]string{
		"":                                   "/",
		"/":                                  "/",
		"/schools/x?q=a%20b":                 "/schools/x?q=a%20b",
		"//elsewhere.example":                "/",
		"/\\elsewhere.example":               "/",
		"https://elsewhere.example/":         "/",
		"javascript:alert(1)":                "/",
		"/%0d%0aSet-Cookie:x":                "/%0d%0aSet-Cookie:x",
		"/x\r\nSet-Cookie: y":                "/",
		"schools":                            "/",
		"/" + strings.Repeat("x", 2000):      "/",
		"///elsewhere.example":               "/",
		"/schools/x#fragment":                "/schools/x",
		"/\t/elsewhere.example":              "/",
		"http:///schools":                    "/",
		"/schools/../../elsewhere":           "/schools/../../elsewhere",
		"/sign-in?next=//elsewhere.example/": "/sign-in?next=//elsewhere.example/",
	} {
		if got := ownAddress(next); got != want {
			t.Errorf("%q leads to %q, want %q", next, got, want)
		}
	}
}

func TestOverviewSaysItInWords(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	c := newClient(t, h, "head")
	c.want("/schools/hollybank", http.StatusOK,
		"63 devices", "3 of 62 devices do not meet “System disk encrypted”; 5 are not proven.",
		"4 of 63 devices have not been heard from for longer than the policy allows",
		"System disk encrypted ENC-01 3 not met , 5 not proven , 54 met", "This page was made Fri 23 Oct 2026 17:12 BST",
	)
}

func TestEmptySchool(t *testing.T) {
	s := newSchool(t)
	s.devices = nil
	h, _ := newSite(t, s, false)
	c := newClient(t, h, "technician")
	text := c.want("/schools/hollybank", http.StatusOK, "No device has enrolled at this school yet, so nothing is known.", "caretaker-collector token create", "covers no device here")
	if strings.Contains(text, "NaN") {
		t.Error("a bar of nothing is drawn as something")
	}
	c.want("/schools/hollybank/devices", http.StatusOK, "No device has enrolled yet.", `caretaker-collector token create --data DIR --school "Hollybank Primary School"`, "caretaker-agent enroll --token TOKEN")
	c.want("/schools/hollybank/breaches", http.StatusOK, "There is no policy breach of this kind.")
}

func TestDevicePage(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	c := newClient(t, h, "dpo")
	text := c.want("/schools/hollybank/devices/d-014", http.StatusOK,
		"HB-LT-014: encrypted when it last reported, Fri 23 Oct 2026 15:52 BST – Hollybank Primary School – Caretaker",
		"Encrypted when it last reported, Fri 23 Oct 2026 15:52 BST", "fully encrypted with BitLocker and its key was protected",
		"Block Racer", "Pebble Slim 32", "Entry 5954 of the school's ledger", "Number 54", "3 minutes ahead of the collector's",
		"Reports 31 to 33 are missing: the laptop's spool was full", "Not known Whether somebody who administers the laptop altered the agent",
		"422 programs",
	)
	for _, word := range []string{"violation", "offender", "malware", "secure when"} {
		if strings.Contains(strings.ToLower(text), word) {
			t.Errorf("the page says %q", word)
		}
	}
	c.want("/schools/hollybank/devices/d-009", http.StatusOK, "Not encrypted when it last reported, Fri 23 Oct 2026")
	c.want("/schools/hollybank/devices/d-021", http.StatusOK, "Encrypted but not protected when it last reported")
	c.want("/schools/hollybank/devices/d-013", http.StatusOK, "Not proven whether it was encrypted", "the system refused to show it")
	c.want("/schools/hollybank/devices/d-007", http.StatusOK, "Silent for longer than the policy allows")
	c.want("/schools/hollybank/devices/d-019", http.StatusOK, "the system did not answer in time")
	c.want("/schools/hollybank/devices/d-014/programs", http.StatusOK, "422 programs", "LibreOffice 26.2")
	c.want("/schools/hollybank/devices/d-014/programs?q=FIREFOX", http.StatusOK, "1 of 422 programs fit “ FIREFOX ”", "Mozilla Firefox")
	c.want("/schools/hollybank/devices/d-014/programs?after=400", http.StatusOK, "Classroom component 419", "Back to the first page")
	c.want("/schools/hollybank/devices/d-014/programs?after=99999999999999999999", http.StatusOK, "LibreOffice")
	text = c.want("/schools/hollybank/devices/d-062", http.StatusOK, "Not proven: it has not reported yet", "Recorded as nothing yet")
	if strings.Contains(text, "nothing about it is on record") {
		t.Error("a device that has not reported is said not to have asked")
	}
	c.want("/schools/hollybank/devices/d-999", http.StatusNotFound, "This page does not exist")
}

func TestLists(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	c := newClient(t, h, "technician")
	text := c.want("/schools/hollybank/devices?q=lt-01", http.StatusOK, "HB-LT-010", "HB-LT-019")
	if strings.Contains(text, "HB-LT-020") {
		t.Error("the search found what does not fit")
	}
	c.want("/schools/hollybank/devices?q=zzz", http.StatusOK, "No device fits.")
	page := c.get("/schools/hollybank/devices").Body.String()
	next := regexp.MustCompile(`href="([^"]*after=[^"]*)"`).FindStringSubmatch(page)
	if next == nil {
		t.Fatal("there is no next page")
	}
	c.want(html.UnescapeString(next[1]), http.StatusOK, "HB-LT-021", "Back to the first page")
	c.want("/schools/hollybank/breaches?status=exempt&severity=high", http.StatusOK, "Important updates within 14 days", "exempt until Sun 22 Nov 2026 16:12 GMT")
	c.want("/schools/hollybank/breaches?status=nonsense&severity=nonsense&after=&rule=", http.StatusOK, "Policy breaches")
	c.want("/schools/hollybank/rules/ENC-01", http.StatusOK, "Rule ENC-01", "3 not met", "Encrypt the disk")
	c.want("/schools/hollybank/rules/NO-01", http.StatusNotFound)
}

func TestNumbersLeadToDevices(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	c := newClient(t, h, "technician")
	page := c.get("/schools/hollybank").Body.String()
	for link, want := range map[string]string{
		"/schools/hollybank/devices?rule=ENC-01&standing=not-met":    "Devices that do not meet “ System disk encrypted ”. Show all 63",
		"/schools/hollybank/devices?rule=ENC-01&standing=not-proven": "Devices that are not proven to meet",
		"/schools/hollybank/devices?rule=PAT-02&standing=exempt":     "Devices that are exempt from",
		"/schools/hollybank/devices?rule=ENC-01&standing=met":        "Devices that meet",
		"/schools/hollybank/devices?heard=silent":                    "Devices that have not been heard from for longer than the policy allows. Show all 63",
	} {
		if !strings.Contains(page, html.EscapeString(link)+`"`) {
			t.Errorf("the overview does not lead to %s", link)
		}
		want, _, _ := strings.Cut(want, " “ ")
		c.want(link, http.StatusOK, want)
	}
	text := c.want("/schools/hollybank/devices?rule=ENC-01&standing=not-met", http.StatusOK, "HB-LT-009", "The system disk C: is not fully encrypted")
	if strings.Contains(text, "HB-LT-014") {
		t.Error("a device that meets the rule is listed among those that do not")
	}
	c.want("/schools/hollybank/devices?rule=no-such-rule&standing=met&heard=silent&q=x", http.StatusOK, "No device fits.")
	c.want("/schools/hollybank/rules/ENC-01", http.StatusOK,
		"Not met 3 devices", "List the 3 devices that do not meet it", "Not proven 5 devices", "hb-lt-062 It has not reported yet.",
		"List the 5 devices that are not proven to meet it", "List the 54 devices that meet it",
	)
}

func TestManyThingsAreOneEntry(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	c := newClient(t, h, "technician")
	text := c.want("/schools/hollybank/devices/d-033", http.StatusOK,
		"Portable programs are on the school's list EXE-03 – 12 programs", "The 12 programs", "Block Racer Downloads 007ab4c05e7a…", "Unlisted program Desktop")
	if n := strings.Count(text, "– 12 programs"); n != 2 {
		t.Errorf("the page has %d entries of twelve programs, want one finding and one breach", n)
	}
	c.want("/schools/hollybank/rules/EXE-03", http.StatusOK, "HB-LT-033 12 programs The 12 programs")
	c.want("/schools/hollybank/breaches?rule=EXE-03", http.StatusOK, "EXE-03 – 12 programs The 12 programs")
}

func TestThingsOfManyKinds(t *testing.T) {
	sha := strings.Repeat("9e107d9d", 8)
	for _, c := range []struct {
		subject posture.Subject
		words   string
		want    string
	}{
		{posture.Subject{Kind: "device", Label: "this device"}, "", ""},
		{posture.Subject{Kind: "volume", Key: "a", Label: "system disk /"}, "The system disk / is not encrypted.", ""},
		{posture.Subject{Kind: "volume", Key: "a", Label: "system disk /"}, "", "system disk /"},
		{posture.Subject{Kind: "executable", Key: "downloads:" + sha, Label: "unlisted program 9e107d9d"}, "", "Unlisted program · Downloads · 9e107d9d9e10…"},
		{posture.Subject{Kind: "executable", Key: "downloads:" + sha, Label: "Block Racer"}, "It is Block Racer.", "Downloads · 9e107d9d9e10…"},
		{posture.Subject{Kind: "executable", Key: "desktop:unread:pe", Label: "unlisted program"}, "", "Unlisted program · Desktop"},
		{posture.Subject{Kind: "executable", Key: "sha256:" + sha, Label: "unlisted program"}, "", "unlisted program"},
	} {
		if got := subjectLabel(c.subject, c.words); got != c.want {
			t.Errorf("%+v beside %q: got %q, want %q", c.subject, c.words, got, c.want)
		}
	}
	for kind, want := range map[string]string{"executable": "3 programs", "medium": "3 sticks, cards or discs", "volume": "3 disks", "antivirus": "3 products", "room": "3 things"} {
		if got := things(3, kind); got != want {
			t.Errorf("three of %s: got %q, want %q", kind, got, want)
		}
	}
}

func TestPagesAreLight(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	c := newClient(t, h, "dpo everywhere")
	for _, p := range browserPages {
		if n := c.get(p.path).Body.Len(); n > 150_000 {
			t.Errorf("%s weighs %d bytes, want at most 150,000", p.path, n)
		}
	}
}

// poison puts a hostile text into every string that a value holds, so that a
// page which forgets to escape one is found whichever it is.
func poison(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		if v.CanSet() && v.Type() != reflect.TypeFor[view.Standing]() && v.Type() != reflect.TypeFor[posture.SchoolID]() && v.Type() != reflect.TypeFor[posture.DeviceID]() {
			v.SetString(text)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			poison(v.Field(i), text)
		}
	case reflect.Slice:
		for i := range v.Len() {
			poison(v.Index(i), text)
		}
	default: // holds no text
	}
}

const hostile = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u202egnp.exe\x1b[31m\u200b{{.}}"

func TestHostileNamesAreText(t *testing.T) {
	s := newSchool(t)
	rules := s.policy.Rules
	for i := range s.devices {
		poison(reflect.ValueOf(&s.devices[i]).Elem(), hostile)
		for j := range s.devices[i].Findings {
			s.devices[i].Findings[j].Rule = rules[j%len(rules)].ID
		}
		for j := range s.devices[i].Breaches {
			s.devices[i].Breaches[j].Rule = "ENC-01"
		}
	}
	for i := range s.names {
		s.names[i].Name = hostile
	}
	for i := range rules {
		rules[i].Title, rules[i].Remediation = hostile, hostile
	}
	for i := range s.happened {
		poison(reflect.ValueOf(&s.happened[i]).Elem(), hostile)
		s.happened[i].Number = "2026-03"
	}
	for i := range s.granted {
		poison(reflect.ValueOf(&s.granted[i]).Elem(), hostile)
	}
	s.policy.Title, s.hostile = hostile, hostile
	h, _ := newSite(t, s, false)
	c := newClient(t, h, "dpo everywhere")
	seen := 0
	paths := []string{"/schools/hollybank/devices?q=" + url.QueryEscape(hostile), "/schools/hollybank/breaches?rule=" + url.QueryEscape(hostile), "/sign-in?next=" + url.QueryEscape(hostile)}
	for _, p := range browserPages {
		paths = append(paths, p.path)
	}
	for _, path := range paths {
		page := c.get(path).Body.String()
		for _, bad := range []string{"<script>", "<img", "onerror=alert(2)>", "\u202e", "\u200b", "\x1b", "ZgotmplZ", "%!"} {
			if strings.Contains(page, bad) {
				t.Errorf("%s holds %q", path, bad)
			}
		}
		seen += strings.Count(page, "\u27e8U+202E\u27e9")
	}
	if seen < 100 {
		t.Errorf("the hostile name was shown %d times: the test has lost its way in", seen)
	}
}

func TestTroubleGivesNothingAway(t *testing.T) {
	s := newSchool(t)
	s.fail = errors.New("open /var/lib/caretaker/view: secret detail")
	h, _ := newSite(t, s, false)
	c := newClient(t, h, "dpo")
	text := c.want("/schools/hollybank", http.StatusInternalServerError, "Something went wrong")
	if strings.Contains(text, "secret") || strings.Contains(text, "/var/lib") {
		t.Errorf("the page says %s", text)
	}
}

type panicking struct{ *school }

func (panicking) BreachGroups(context.Context, posture.SchoolID, view.BreachQuery, time.Time) (view.GroupPage, error) {
	panic("secret detail")
}

func TestPanicIsAnErrorPage(t *testing.T) {
	h, _ := newSite(t, panicking{newSchool(t)}, false)
	c := newClient(t, h, "dpo")
	if text := c.want("/schools/hollybank/breaches", http.StatusInternalServerError, "Something went wrong"); strings.Contains(text, "secret") {
		t.Errorf("the page says %s", text)
	}
}

func TestGovernorIsToldWhy(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	newClient(t, h, "governor").want("/schools/hollybank", http.StatusForbidden, "This page is not for your role", "ask whoever looks after Caretaker")
}

func TestHealth(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	if r := newClient(t, h, "").get("/healthz"); r.Code != http.StatusOK || !bytes.Equal(r.Body.Bytes(), []byte("ok\n")) {
		t.Errorf("got %d %q", r.Code, r.Body)
	}
}

// standing answers for how hollybank's record stands.
type standing struct{ now Record }

func (r *standing) Record(id posture.SchoolID) Record {
	if id != hollybank {
		return Record{}
	}
	return r.now
}

// TestPagesSayHowTheRecordStands on every page of the school and in the list of
// schools, and nothing on another school's.
func TestPagesSayHowTheRecordStands(t *testing.T) {
	at := now.Add(-41 * time.Minute)
	var stands standing
	h, _ := newSiteOf(t, newSchool(t), &stands, false)
	one := newClient(t, h, "technician everywhere")
	for name, c := range map[string]struct {
		record Record
		words  []string
	}{
		"behind": {Record{Behind: at, Waiting: 1204}, []string{
			"These pages are behind", "These pages show what was recorded until Fri 23 Oct 2026 16:31 BST; 1,204 newer entries of the record are being worked in.",
		}},
		"failing": {Record{Behind: at, Waiting: 1, Failing: "the disk is full"}, []string{
			"These pages are not being kept up to date", "1 newer entry of the record cannot be worked in: the disk is full.", "What laptops report is recorded all the same.",
		}},
		"refused": {Record{Refused: at, RefusedFor: "no space left on device"}, []string{
			"What laptops report could not be recorded", "Since Fri 23 Oct 2026 16:31 BST: no space left on device.", "nothing is lost",
		}},
		"stopped": {Record{Stopped: at, Reason: "input/output error", Again: true}, []string{
			"Nothing is being recorded for Hollybank Primary School", "input/output error", "tries again every minute",
		}},
		"damaged": {Record{Stopped: at, Reason: "x", Damage: &Damage{File: "segments/0000000000000000.seg", Offset: 1204, Entry: 7, Known: true, What: "its checksum is wrong"}}, []string{
			"Part of the record of Hollybank Primary School cannot be read", "Nothing has been recorded for this school since Fri 23 Oct 2026 16:31 BST",
			"Entry 7, segments/0000000000000000.seg, byte 1,204: its checksum is wrong.", "Put this file back from a backup",
		}},
		"damaged, at work": {Record{Damage: &Damage{File: "bodies/media/2026-10.seg", What: "it is short"}}, []string{
			"Part of the record of Hollybank Primary School cannot be read", "recorded all the same", "counts as not proven",
		}},
		"clock": {Record{ClockBack: now.AddDate(1, 0, 0)}, []string{"The collector's clock was set back", "the record has an entry of Sat 23 Oct 2027 17:12 BST"}},
	} {
		t.Run(name, func(t *testing.T) {
			stands.now = c.record
			for _, path := range []string{"", "/devices", "/devices/d-014", "/devices/d-014/programs", "/breaches", "/rules/ENC-01"} {
				one.want("/schools/hollybank"+path, http.StatusOK, c.words...)
				if text := one.want("/schools/oakfield"+strings.Replace(path, "d-014", string(elsewhere), 1), http.StatusOK); strings.Contains(text, c.words[0]) {
					t.Errorf("%s of another school says %q", path, c.words[0])
				}
			}
			one.want("/", http.StatusOK, c.words[0])
		})
	}
	stands.now = Record{Behind: now.Add(-patience / 2), Waiting: 3}
	if text := one.want("/schools/hollybank", http.StatusOK); strings.Contains(text, "behind") {
		t.Error("a few seconds are worth a word")
	}
}

// TestWhatWasForgottenIsSaid where it would else look as if there had been
// nothing.
func TestWhatWasForgottenIsSaid(t *testing.T) {
	h, _ := newSiteOf(t, newSchool(t), &standing{Record{Forgotten: []Forgotten{
		{At: now.Add(-time.Hour), Class: "media", Month: "2026-09", Reason: "the <b>term</b> is over"},
		{At: now.Add(-time.Hour), Class: "media", Month: "1999-09"},
		{At: now, Class: "people", Month: "2026-09"},
	}}}, false)
	text := newClient(t, h, "dpo").want("/schools/hollybank/devices/d-014", http.StatusOK,
		"Reports of September 2026 about sticks and other media: forgotten on Fri 23 Oct 2026 16:12 BST (the <b>term</b> is over).", "is not known any more")
	if strings.Contains(text, "1999") || strings.Count(text, "forgotten on Fri") != 1 {
		t.Errorf("what is not about this device is said: %s", text)
	}
}
