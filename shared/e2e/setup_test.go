package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	agentapp "github.com/caretaker-school/caretaker/agent/app"
	"github.com/caretaker-school/caretaker/collector/access"
)

var (
	tokenShown    = regexp.MustCompile(`<code id="token">(ctk1-[a-z2-7]+)</code>`)
	passwordShown = regexp.MustCompile(`The first password: <code>([^<]+)</code>`)
	questionsLeft = regexp.MustCompile(`(\d+) questions? of 8`)
)

// TestASchoolIsSetUpByPagesAlone: from a collector in which there is nothing but a
// school and its first administrator, who answers every question on the pages; a
// laptop joins with the token that was made there, and then nothing is left.
func TestASchoolIsSetUpByPagesAlone(t *testing.T) {
	w := newWorld(t)
	set, roots := certified(t)
	c := w.collectBy(w.clock, set)
	admin := w.signInOver(c, roots, "Ashton Reed", access.Administrator)
	at := "/schools/" + string(w.only())
	settings, setUp := at+"/settings", at+"/settings/set-up"
	left := func() string {
		t.Helper()
		_, page := admin.get(setUp)
		if m := questionsLeft.FindStringSubmatch(pageText(page)); m != nil {
			return m[1]
		}
		return pageText(page)
	}
	if got := left(); got != "8" {
		t.Fatalf("%s questions are left at the beginning", got)
	}
	admin.shows(at, "Set up", "No device has enrolled")

	// What the school allows, and its antivirus.
	form := admin.form(at+"/policy/choose", at+"/policy/choose")
	form.Set("param-media", "encrypted")
	form.Set("param-approvedAntivirus", "org.clamav.clamav")
	form.Set("name", "first")
	form.Set("reason", "As the governors agreed.")
	form.Set("do", "draft")
	draft, _ := admin.post(at+"/policy/choose", form, at+"/policy/drafts/first")
	draft, _, _ = strings.Cut(draft, "?")
	form = admin.form(draft, draft+"/publication")
	form.Set("reason", "The first of the school.")
	admin.post(draft+"/publication", form, at+"/policy")

	// People: the head chooses a password of her own.
	_, page := admin.post(settings+"/people", url.Values{"name": {"Priya Anand"}, "role": {"head"}}, settings+"/people")
	first := passwordShown.FindStringSubmatch(page)
	if first == nil {
		t.Fatalf("no first password is shown: %s", pageText(page))
	}
	head := &pages{t: t, web: admin.web, http: w.browser(roots)}
	head.post("/sign-in", url.Values{"name": {"priya anand"}, "password": {first[1]}, "next": {"/"}}, "/account/password")
	head.post("/account/password", url.Values{"new": {"seven pebbles of slate"}, "again": {"seven pebbles of slate"}}, "/account")
	head.shows(settings, "Term calendar")

	// The term calendar, first with a slip.
	form = admin.form(settings+"/calendar", settings+"/calendar")
	good := form.Get("source")
	form.Set("source", strings.Replace(good, "2026-12-18", "2026-12-38", 1))
	form.Set("act", "set")
	if status, page := admin.send(settings+"/calendar", form); status != 422 || !strings.Contains(pageText(page), "Line 7:") {
		t.Errorf("a calendar with a slip: %d %s", status, pageText(page))
	}
	form.Set("source", good)
	admin.post(settings+"/calendar", form, settings+"/calendar")
	head.post(settings+"/calendar/closed-day", url.Values{"day": {"2026-11-13"}, "name": {"Training day"}}, settings+"/calendar")
	admin.shows(settings+"/calendar", "Training day", "Fri 13 Nov 2026")

	// Who is told, how long things are kept, and who answers for them.
	admin.post(settings+"/notices", url.Values{"kind": {"syslog"}, "role": {"technician"}, "address": {"udp://127.0.0.1:1514"}}, settings+"/notices")
	head.post(settings+"/retention", url.Values{"act": {"confirm"}}, settings+"/retention")
	head.shows(settings+"/retention", "confirmed as they are", "Priya Anand")
	form = head.form(settings+"/particulars", settings+"/particulars")
	for field, words := range map[string]string{
		"controller": schoolName, "officer-name": "Data protection officer", "officer-mail": "dpo@hollybank.example", "loss-who": "The school office", "loss-phone": "01632 960001", "reason": "Set up.",
	} {
		form.Set(field, words)
	}
	head.post(settings+"/particulars", form, settings+"/particulars")
	if got := left(); got != "1" {
		t.Fatalf("left before a laptop has joined: %s", got)
	}

	// The first laptop.
	_, page = admin.post(settings+"/tokens", url.Values{"uses": {"1"}, "days": {"7"}, "class": {"school-single-user"}, "groups": {"year-4"}}, settings+"/tokens")
	token := tokenShown.FindStringSubmatch(page)
	if token == nil {
		t.Fatalf("no token is shown: %s", pageText(page))
	}
	l := w.newMachine("laptop", "plain-laptop")
	id, err := agentapp.Enroll(t.Context(), agentapp.EnrollConfig{State: l.state, Token: token[1]}, w.clock)
	must(t, err)
	l.device = string(id.Device)
	l.run()
	until(t, "the laptop judges itself by the school's policy", func() bool { return l.shown().Policy == 1 && len(l.shown().Findings) > 0 })
	if got := left(); !strings.Contains(got, "Every question is answered.") {
		t.Errorf("left at the end: %s", got)
	}
	if _, page := admin.get(at); strings.Contains(page, `id="set-up"`) {
		t.Error("the overview asks for what is answered")
	}
	admin.shows(settings+"/tokens", "1 of 1 laptop", "Used up")
	second := w.newMachine("second", "plain-laptop")
	if _, err := agentapp.Enroll(t.Context(), agentapp.EnrollConfig{State: second.state, Token: token[1]}, w.clock); err == nil {
		t.Error("the token admitted a second laptop")
	}

	// One that is taken back admits nobody, and who did that is in the record.
	_, page = admin.post(settings+"/tokens", url.Values{"uses": {"5"}, "days": {"7"}, "class": {"school-single-user"}}, settings+"/tokens")
	token = tokenShown.FindStringSubmatch(page)
	end := regexp.MustCompile(`action="(` + settings + `/tokens/[0-9a-f]+/end)"`).FindStringSubmatch(page)
	if token == nil || end == nil {
		t.Fatalf("no token, or no way to take it back: %s", pageText(page))
	}
	admin.post(end[1], url.Values{"reason": {"It was left in the staff room."}}, settings+"/tokens")
	if _, err := agentapp.Enroll(t.Context(), agentapp.EnrollConfig{State: second.state, Token: token[1]}, w.clock); err == nil {
		t.Error("a token that was taken back admitted a laptop")
	}

	// How well all that is.
	w.verified()
	admin.shows(settings+"/health", "Verified with its first", "1 laptop is connected now", "Certificate of these pages")
}

// browser is what somebody looks at pages with: it trusts the collector's
// certificate and keeps cookies.
func (w *world) browser(roots *x509.CertPool) *http.Client {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	must(w.t, err)
	b := &http.Client{Jar: jar, Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots}}}
	w.t.Cleanup(b.CloseIdleConnections)
	return b
}

// send sends a form and returns what came of it.
func (p *pages) send(path string, form url.Values) (status int, page string) {
	p.t.Helper()
	answer, err := p.http.PostForm(p.web+path, form)
	must(p.t, err)
	body, err := io.ReadAll(answer.Body)
	must(p.t, err)
	must(p.t, answer.Body.Close())
	return answer.StatusCode, html.UnescapeString(string(body))
}
