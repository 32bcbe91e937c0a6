package e2e

import (
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

var (
	codeOfKey       = regexp.MustCompile(`Your new key is <strong>([0-9a-z-]+)</strong>`)
	passphraseOfKey = regexp.MustCompile(`<p><code>([0-9a-z-]+)</code></p>`)
)

// answers posts a form and returns the status and the page.
func (p *pages) answers(path string, form url.Values) (int, string) {
	p.t.Helper()
	answer, err := p.http.PostForm(p.web+path, form)
	must(p.t, err)
	body, err := io.ReadAll(answer.Body)
	must(p.t, err)
	must(p.t, answer.Body.Close())
	return answer.StatusCode, html.UnescapeString(string(body))
}

// key makes a senior's key on a page, as the senior does.
func (p *pages) key(at string) (code, passphrase string) {
	p.t.Helper()
	status, page := p.answers(at+"/key", nil)
	c, w := codeOfKey.FindStringSubmatch(page), passphraseOfKey.FindStringSubmatch(page)
	if status != http.StatusOK || c == nil || w == nil {
		p.t.Fatalf("no key was made: %d %s", status, page)
	}
	return c[1], w[1]
}

// TestARestrictedIncidentOnPages: two seniors make their keys, open an allegation
// about the technician, hold a laptop and close the incident together, all on
// pages. To the technician none of these pages exists.
func TestARestrictedIncidentOnPages(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	l := w.laptop("hb-lt-014", "encrypted-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	at := "/schools/" + string(w.only()) + "/restricted"
	head, officer, technician := w.signIn(c, "head"), w.signIn(c, "dpo"), w.signIn(c, "technician")
	headCode, headWords := head.key(at)
	officerCode, officerWords := officer.key(at)

	status, page := head.answers(at+"/open", url.Values{
		"kind": {"disclosure"}, "concerns": {"the-technician"}, "seniors": {officerCode}, "reason": {"Is said to have copied records."},
		"aware-day": {w.clock.Now().Format("2006-01-02")}, "aware-time": {"00:01"}, "passphrase": {headWords},
	})
	if status != http.StatusOK || !strings.Contains(page, "Recorded.") {
		t.Fatalf("opening was answered with %d: %s", status, page)
	}
	_, page = officer.answers(at, url.Values{"passphrase": {officerWords}})
	found := regexp.MustCompile(at + `/(r-[a-z0-9]+)"`).FindStringSubmatch(page)
	if found == nil || !strings.Contains(page, "Is said to have copied records.") {
		t.Fatalf("the officer's list is %s", page)
	}
	one := at + "/" + found[1]
	does := func(who *pages, deed string, passphrase string, form url.Values) {
		t.Helper()
		if form == nil {
			form = url.Values{}
		}
		form.Set("passphrase", passphrase)
		if status, page := who.answers(one+"/"+deed, form); status != http.StatusOK || !strings.Contains(page, "Recorded.") {
			t.Fatalf("%s was answered with %d: %s", deed, status, page)
		}
	}
	if status, page := head.answers(one+"/agree", url.Values{"passphrase": {headWords}}); status != http.StatusUnprocessableEntity {
		t.Errorf("who asked agreed: %d %s", status, page)
	}
	does(officer, "agree", officerWords, nil)
	does(head, "hold", headWords, url.Values{"device": {l.shown().Hostname}, "reason": {"The police may want it."}})
	if status, _ := head.answers(one+"/close", url.Values{"passphrase": {headWords}, "outcome": {"police"}, "reason": {"They have it."}}); status != http.StatusUnprocessableEntity {
		t.Errorf("it was closed while it holds something: %d", status)
	}
	does(officer, "lift", officerWords, url.Values{"device": {l.shown().Hostname}, "reason": {"They have copied it."}})
	does(head, "agree", headWords, nil)
	does(head, "close", headWords, url.Values{"outcome": {"police"}, "reason": {"They have it."}})
	does(officer, "agree", officerWords, nil)
	_, page = head.answers(one, url.Values{"passphrase": {headWords}})
	for _, want := range []string{"Closed", "the-technician", headCode, officerCode, "Who looked"} {
		if !strings.Contains(page, want) {
			t.Errorf("in the end it does not say %q", want)
		}
	}
	for _, path := range []string{at, one, one + "/note", at + "/open"} {
		if status, _ := technician.get(path); status != http.StatusNotFound {
			t.Errorf("%s of the technician: %d", path, status)
		}
		if status, page := technician.answers(path, url.Values{"passphrase": {headWords}}); status != http.StatusNotFound || strings.Contains(page, "copied records") {
			t.Errorf("%s of the technician, with the head's passphrase: %d", path, status)
		}
	}
	if status, page := officer.answers(one, url.Values{"passphrase": {headWords}}); status != http.StatusUnprocessableEntity || strings.Contains(page, "copied records") {
		t.Errorf("the head's passphrase opened it for another: %d", status)
	}
	w.verified()
}
