package web

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/view"
)

// TestAnExemptionIsSaidAsPeopleSayIt: the laptop by its tag, and its last day rather
// than the midnight after it, on every page that speaks of it.
func TestAnExemptionIsSaidAsPeopleSayIt(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	s.granted = []view.Exemption{{
		ExemptionRow: view.ExemptionRow{
			ID: "ex-day", Scope: breach.Scope{Rule: "ENC-01", Of: breach.OneDevice, Device: "d-009"}, Until: time.Date(2027, 2, 20, 0, 0, 0, 0, time.UTC),
			Asked: view.Act{By: "technician", At: now, Reason: "A disk is on its way."},
		},
		State: view.ExemptionAsked, Title: "System disk encrypted", Hostname: "lap-9f3c", AssetTag: "HB-LT-009",
	}}
	c := newClient(t, h, "dpo")
	for _, page := range []string{"/schools/hollybank/exemptions", "/schools/hollybank/devices/d-009/rules/ENC-01"} {
		text := c.want(page, http.StatusOK, "HB-LT-009 , until the end of Fri 19 Feb 2027")
		if strings.Contains(text, "20 Feb 2027") || strings.Contains(text, "lap-9f3c , until") {
			t.Errorf("%s names the midnight or the host name: %s", page, text)
		}
	}
}

// TestWhatTheSchoolCanSeeKeepsTheMenu of the school from which one came there, for
// every role; without a school it stands alone.
func TestWhatTheSchoolCanSeeKeepsTheMenu(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	const page = "/schools/hollybank/what-is-collected"
	for _, role := range access.Roles() {
		c := newClient(t, h, string(role))
		before, _, _ := menuLists(t, c, "/schools/hollybank/mine")
		lists, current, _ := menuLists(t, c, page)
		if len(lists) == 0 || len(before) == 0 || !slices.Equal(slices.Concat(lists...), slices.Concat(before...)) {
			t.Errorf("%s: the menu was %q and becomes %q", role, before, lists)
		}
		if !slices.Contains(current, "What the school can see") {
			t.Errorf("%s: current is %q", role, current)
		}
		for _, from := range []string{"/schools/hollybank/mine", page} {
			if text := c.get(from).Body.String(); strings.Contains(text, `href="/what-is-collected"`) {
				t.Errorf("%s: %s leads out of the school", role, from)
			}
		}
	}
	newClient(t, h, "technician").want("/schools/hollybank/privacy", http.StatusOK)
	newClient(t, h, "").want("/what-is-collected", http.StatusOK, "What it never looks at")
}

var anyLink = regexp.MustCompile(`href="([^"#?]*)`)

// TestSettingsAreReachedFromTheirIndex: each page of settings that a role may have is
// led to from their list, directly or through another, and says that it is one.
func TestSettingsAreReachedFromTheirIndex(t *testing.T) {
	_, h, _ := settled(t)
	const index = "/schools/hollybank/settings"
	for _, role := range []string{"administrator", "technician", "dpo", "head"} {
		c := newClient(t, h, role)
		led, todo := map[string]bool{index: true}, []string{index}
		for len(todo) > 0 {
			page := todo[0]
			todo = todo[1:]
			for _, m := range anyLink.FindAllStringSubmatch(c.get(page).Body.String(), -1) {
				if to := html.UnescapeString(m[1]); strings.HasPrefix(to, index+"/") && !led[to] {
					led[to] = true
					todo = append(todo, to)
				}
			}
		}
		for page := range led {
			if _, current, _ := menuLists(t, c, page); !slices.Contains(current, "Settings") {
				t.Errorf("%s at %s: current is %q", role, page, current)
			}
		}
		for _, route := range routes() {
			method, path := example(route.pattern, "hollybank")
			if method != http.MethodGet || !strings.HasPrefix(path, index) || !access.Role(role).May(route.right) || strings.Contains(route.pattern, "{account}") {
				continue
			}
			if !led[path] {
				t.Errorf("%s: nothing leads from %s to %s", role, index, path)
			}
		}
	}
}

// TestNothingTypedAboutAnIncidentIsLost: the page is one form, and whichever part is
// sent, what was typed in the others is there still and recorded by nobody.
func TestNothingTypedAboutAnIncidentIsLost(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	c := newClient(t, h, "dpo")
	const at = "/schools/hollybank/incidents/2026-03"
	if n := strings.Count(c.get(at).Body.String(), `<form method="post" action="`+at); n != 1 {
		t.Errorf("the page has %d forms about the incident, want one", n)
	}
	all := url.Values{
		"words-found-0": {"At lost property."}, "words-note": {"The driver rang back."}, "what": {"contact"}, "whom": {"Train operator"},
		"answer-regulator": {"no"}, "words-tell-regulator": {"It was encrypted."}, "day-regulator": {""}, "time-regulator": {""},
		"answer-individuals": {"not-yet"}, "words-tell-individuals": {"We ask the officer first."}, "outcome": {"police"}, "words-close": {"They have it."},
	}
	parts := []struct{ path, button, value, own string }{
		{"/found", "thing", "0", "words-found-0"},
		{"/notes", "", "", "words-note"},
		{"/telling", "audience", "regulator", "words-tell-regulator"},
		{"/telling", "audience", "individuals", "words-tell-individuals"},
		{"/end", "", "", "words-close"},
	}
	for _, sent := range parts {
		s.kept, s.decided = nil, nil
		form := url.Values{}
		for k, v := range all {
			form[k] = v
		}
		if sent.button != "" {
			form.Set(sent.button, sent.value)
		}
		r := c.post(at+sent.path, form)
		page := html.UnescapeString(r.Body.String())
		if r.Code != http.StatusOK || len(s.kept) != 1 || s.decided[0].Reason != all.Get(sent.own) {
			t.Fatalf("%s %s: got %d, recorded %+v by %+v: %.300s", sent.path, sent.value, r.Code, s.kept, s.decided, plainText(page))
		}
		if !strings.Contains(page, "What you typed elsewhere on this page is still there, and is not recorded yet.") {
			t.Errorf("%s %s: it does not say that the rest is not recorded", sent.path, sent.value)
		}
		for _, other := range parts {
			if kept := strings.Contains(page, ">"+all.Get(other.own)+"</textarea>"); kept != (other.own != sent.own) {
				t.Errorf("%s %s: %q is typed: %v", sent.path, sent.value, all.Get(other.own), kept)
			}
		}
		if sent.own != "words-close" && !strings.Contains(page, `value="police" selected`) {
			t.Errorf("%s %s: what was chosen beside it is lost", sent.path, sent.value)
		}
	}
	// What is wrong with one part loses none of the others, nor its own.
	bad := url.Values{}
	for k, v := range all {
		bad[k] = v
	}
	bad.Set("whom", "")
	r := c.post(at+"/notes", bad)
	for _, words := range []string{"At lost property.", "The driver rang back.", "It was encrypted.", "They have it."} {
		if r.Code != http.StatusUnprocessableEntity || !strings.Contains(r.Body.String(), ">"+words+"</textarea>") {
			t.Errorf("got %d, and %q is lost", r.Code, words)
		}
	}
	// The same sent twice, as by loading the page that follows again, is one.
	s.kept = nil
	s.happened[0].Notes = append(s.happened[0].Notes, incident.Act{By: "dpo", Words: "Once is enough.", Recorded: now})
	if r := c.post(at+"/notes", url.Values{"what": {"note"}, "words-note": {"Once is enough."}}); r.Code != http.StatusSeeOther || len(s.kept) != 0 {
		t.Errorf("got %d, and %+v is recorded again", r.Code, s.kept)
	}
}

// TestAnAssetLeadsToItsDispute: what the register says can be said to be wrong there,
// of a laptop on its own form, of anything else with its tag filled in.
func TestAnAssetLeadsToItsDispute(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	c := newClient(t, h, "technician")
	tied, untied := 0, 0
	for _, tag := range []string{"HB-LT-014", "HB-LT-030"} {
		page := c.get("/schools/hollybank/register/assets/" + tag)
		if page.Code != http.StatusOK {
			continue
		}
		m := regexp.MustCompile(`<a class="govuk-link" href="([^"]*)">Something here is wrong</a>`).FindStringSubmatch(page.Body.String())
		if m == nil {
			t.Errorf("the page of %s leads to no dispute", tag)
			continue
		}
		address := html.UnescapeString(m[1])
		form := c.get(strings.TrimSuffix(address, "#new")).Body.String()
		if strings.Contains(address, "/devices/") {
			tied++
		} else if untied++; !strings.Contains(form, `value="`+tag+`"`) {
			t.Errorf("%s is not filled in at %s", tag, address)
		}
		if !strings.Contains(form, "How it is instead") {
			t.Errorf("%s is no form", address)
		}
		if strings.Contains(newClient(t, h, "business-manager").get("/schools/hollybank/register/assets/"+tag).Body.String(), "Something here is wrong") {
			t.Error("who may not dispute is led there")
		}
	}
	if tied == 0 || untied == 0 {
		t.Errorf("looked at %d assets that are laptops and %d that are none", tied, untied)
	}
}

// TestTheGroupOfASheetIsChosen from what the register names, without scripts; one
// that it does not name stays asked for, and finds nothing.
func TestTheGroupOfASheetIsChosen(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	c := newClient(t, h, "technician")
	const at = "/schools/hollybank/devices/sheet"
	page := c.get(at + "?group=year+4+TROLLEY").Body.String()
	for _, want := range []string{`<select class="govuk-select" id="group" name="group">`, `<option value="">All of them</option>`, `<option value="Year 4 trolley" selected>`} {
		if !strings.Contains(page, want) {
			t.Errorf("the sheet does not have %s", want)
		}
	}
	c.want(at+"?group=Nowhere", http.StatusOK, "Nowhere (no group of the register)", "No laptop fits")
}

// beginning is how a part of a page begins: its first words, past marks that only
// show them otherwise. ended is whether a full stop follows where it ends.
var (
	beginning = regexp.MustCompile(`(?s)<(p|h[1-6]|caption|legend|label|summary|button|th|li|dt|td|dd)\b[^>]*>((?:\s|<(?:strong|span|b)\b[^>]*>)*)([^<]*)<(/?\w+)`)
	notWords  = regexp.MustCompile(`^(caretaker-|[a-z0-9.-]+@|https?:|[a-z]{1,2}-\d)`)
)

// TestSentencesBeginWithACapital on every page, for each role: headings, paragraphs,
// labels and buttons; and, of what stands in lists and tables, whole sentences. Names
// that people or laptops gave are as they gave them.
func TestSentencesBeginWithACapital(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	told := map[string]bool{}
	for _, role := range access.Roles() {
		c := newClient(t, h, string(role))
		for _, p := range browserPages {
			r := c.get(p.path)
			if r.Code != http.StatusOK || !strings.HasPrefix(r.Header().Get("Content-Type"), "text/html") {
				continue
			}
			_, main, _ := strings.Cut(r.Body.String(), "<main")
			main, _, _ = strings.Cut(main, "</main>")
			for _, m := range beginning.FindAllStringSubmatch(main, -1) {
				words := strings.TrimSpace(html.UnescapeString(m[3]))
				part := slices.Contains([]string{"li", "dt", "td", "dd"}, m[1]) && !strings.HasSuffix(words, ".")
				switch {
				case words == "" || words[0] < 'a' || words[0] > 'z', part, strings.Contains(m[2], "ct-severity"), notWords.MatchString(words), told[p.name+words]:
					continue
				}
				told[p.name+words] = true
				t.Errorf("%s: a %s begins %q", p.path, m[1], words)
			}
		}
	}
	for n, want := range map[int]string{0: "None of 8 questions are answered.", 3: "3 of 8 questions are answered."} {
		if got := answered(n, 8); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
