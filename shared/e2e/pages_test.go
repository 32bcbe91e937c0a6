package e2e

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	collectorapp "github.com/caretaker-school/caretaker/collector/app"
)

// pages is somebody who has signed in.
type pages struct {
	t    *testing.T
	web  string
	http *http.Client
}

// signIn makes an account for every school and signs in with it.
func (w *world) signIn(c *collector, role string) *pages {
	w.t.Helper()
	return w.signInAt(c, role)
}

// signInAt makes an account for some schools and signs in with it.
func (w *world) signInAt(c *collector, role string, schools ...string) *pages {
	w.t.Helper()
	account := ask[collectorapp.AccountAnswer](w, "account.create", collectorapp.AccountArguments{Name: "the-" + role, Role: role, Schools: schools})
	jar, err := cookiejar.New(nil)
	must(w.t, err)
	p := &pages{t: w.t, web: strings.TrimSuffix(c.web, "/"), http: &http.Client{Jar: jar}}
	answer, err := p.http.PostForm(p.web+"/sign-in", url.Values{"name": {account.Name}, "password": {account.Password}, "next": {"/"}})
	must(w.t, err)
	must(w.t, answer.Body.Close())
	if answer.StatusCode != http.StatusOK || strings.Contains(answer.Request.URL.Path, "sign-in") {
		w.t.Fatalf("signing in ended with %s at %s", answer.Status, answer.Request.URL)
	}
	return p
}

// get returns a page as text, with its status.
func (p *pages) get(path string) (int, string) {
	p.t.Helper()
	answer, err := p.http.Get(p.web + path)
	must(p.t, err)
	body, err := io.ReadAll(answer.Body)
	must(p.t, err)
	must(p.t, answer.Body.Close())
	return answer.StatusCode, html.UnescapeString(string(body))
}

// shows checks that a page holds all of the words.
func (p *pages) shows(path string, words ...string) {
	p.t.Helper()
	status, body := p.get(path)
	if status != http.StatusOK {
		p.t.Fatalf("%s: status %d", path, status)
	}
	for _, w := range words {
		if !strings.Contains(body, w) {
			p.t.Errorf("%s does not show %q", path, w)
		}
	}
}
