package web

import (
	"encoding/csv"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/collector/decision"
)

var regexpDraft = regexp.MustCompile(`/trusts/[^"]+draft=[0-9a-f]{64}`)

const trustAt = "/trusts/Riverside%20Schools"

// TestATrustSeesWhoLoosenedWhat: each school against the baseline, by name and never
// by rank; what is not proven stands beside what is not met; and nobody but who has
// a say in the trust sees any of it.
func TestATrustSeesWhoLoosenedWhat(t *testing.T) {
	h, s := policySite(t)
	c := newClient(t, h, "network-manager everywhere")
	c.want("/trusts", http.StatusOK, "Riverside Schools 2 schools")
	c.want(trustAt, http.StatusOK, "Baseline 2", "All our schools , 26 rules", "drafted by Mo Adeyemi", "1 school has not got it", "Next year",
		"Hollybank Primary School baseline 2 its policy is version 3 asks less in 2 things, not allowed, since Sun 11 Oct 2026", "asks less in 1 thing, allowed until Thu 12 Nov 2026", "asks more in 2 things",
		"Oakfield Infant School baseline 1 not the newest follows it: its policy is the one that is shipped", "not proven everywhere", "40 by dated import or not covered")
	r := c.get(trustAt + "/schools.csv")
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(r.Body.String(), "\ufeff"))).ReadAll()
	if err != nil || len(rows) != 7 || rows[1][5] != "asks less, not allowed" || rows[1][6] != "AV-01: its severity is medium instead of critical" || rows[1][8] != "technician" || rows[3][9] != "network-manager" || rows[6][5] != "asks what the baseline asks" {
		t.Fatalf("the table holds %q: %v", rows, err)
	}
	for _, row := range rows[1:] {
		for _, cell := range row {
			if cell != "" && strings.ContainsRune("=+-@", rune(cell[0])) || strings.Contains(cell, "\u202e") {
				t.Errorf("a cell is no text: %q", cell)
			}
		}
	}
	for _, name := range []string{"network-manager everywhere", "network-manager"} {
		text := newClient(t, h, name).want(trustAt, http.StatusOK, "Hollybank")
		if name == "network-manager" && (strings.Contains(text, "Oakfield") || !strings.Contains(text, "for the whole of it you can decide nothing")) {
			t.Error("who has a say at one school sees another")
		}
	}
	for _, name := range []string{"administrator everywhere", "technician", "dpo everywhere", "head", "governor"} {
		other := newClient(t, h, name)
		for _, path := range []string{"/trusts", trustAt, trustAt + "/schools.csv", trustAt + "/text", trustAt + "/choose"} {
			other.want(path, http.StatusNotFound)
		}
		for _, path := range []string{"/text", "/choose", "/allowances"} {
			if r := other.post(trustAt+path, url.Values{"text": {"x"}, "item": {"hollybank/AV-01"}, "until": {"2026-11-01"}, "reason": {"x"}}); r.Code != http.StatusNotFound {
				t.Errorf("%s posts to %s of a trust: %d", name, path, r.Code)
			}
		}
	}
	c.want("/trusts/Others", http.StatusNotFound)
	s.trust.loose = true
	c.want("/trusts", http.StatusOK, "Schools of no trust", "Oakfield Infant School")
}

// TestABaselineIsProposedAndPutInForceByWhoHasASayEverywhere: what changes is read
// first, what is wrong is said by line, and nothing that was typed is lost.
func TestABaselineIsProposedAndPutInForceByWhoHasASayEverywhere(t *testing.T) {
	h, s := policySite(t)
	c := newClient(t, h, "network-manager everywhere")
	sound := formOf(t, c.get(trustAt+"/text").Body.String(), trustAt+"/text").Get("text")
	changed := strings.Replace(sound, "updatesWithin: 14d", "updatesWithin: 10d", 1)
	form := func(text, do, reason string) url.Values {
		return url.Values{"text": {text}, "do": {do}, "reason": {reason}, "follow": {"yes"}}
	}
	r := c.post(trustAt+"/text", form(strings.Replace(changed, "severity: high", "severity: dire", 1), "publish", "A new year."))
	if text := plainText(r.Body.String()); r.Code != http.StatusUnprocessableEntity || !strings.Contains(text, "severity: dire") || !strings.Contains(summaryOf(r.Body.String()), "Severity must be one of") {
		t.Errorf("a text that is none is answered with %d: %.300s", r.Code, text)
	}
	if kept := formOf(t, r.Body.String(), trustAt+"/text"); !strings.Contains(kept.Get("text"), "updatesWithin: 10d") || kept.Get("reason") != "A new year." {
		t.Error("what was typed is gone")
	}
	r = c.post(trustAt+"/text", form(changed, "check", ""))
	if text := plainText(r.Body.String()); r.Code != http.StatusOK || !strings.Contains(text, "How long an important update may wait : was 14 days and becomes 10 days") {
		t.Errorf("checking is answered with %d: %.300s", r.Code, text)
	}
	for reason, words := range map[string]string{"": "Say in a few words why", "refuse this": "A school of this trust asks for two people"} {
		if r := c.post(trustAt+"/text", form(changed, "publish", reason)); r.Code != http.StatusUnprocessableEntity || !strings.Contains(summaryOf(r.Body.String()), words) {
			t.Errorf("the reason %q is answered with %d", reason, r.Code)
		}
	}
	if r := newClient(t, h, "network-manager").post(trustAt+"/text", form(changed, "publish", "A new year.")); r.Code != http.StatusUnprocessableEntity || len(s.trust.put) > 0 {
		t.Errorf("who has a say at one school puts a baseline in force: %d", r.Code)
	}
	if r := c.post(trustAt+"/text", form(changed, "draft", "A new year.")); r.Code != http.StatusSeeOther || r.Header().Get("Location") != trustAt+"?done=drafted" {
		t.Errorf("proposing leads to %d %s", r.Code, r.Header().Get("Location"))
	}
	r = c.post(trustAt+"/text", form(changed, "publish", "A new year."))
	if text := plainText(r.Body.String()); r.Code != http.StatusOK || !strings.Contains(text, "Hollybank Primary School : recorded; the school asks less in 2 things now") || !strings.Contains(text, "not recorded there: its record cannot be written") {
		t.Errorf("putting it in force is answered with %d: %.600s", r.Code, text)
	}
	if want := []string{"proposed by network-manager everywhere at [hollybank oakfield], follow true: A new year.", "put in force by network-manager everywhere at [hollybank oakfield], follow true: A new year."}; !slices.Equal(s.trust.put, want) {
		t.Errorf("recorded %q", s.trust.put)
	}
	draft := c.get(trustAt)
	at := regexpDraft.FindString(draft.Body.String())
	c.want(strings.ReplaceAll(at, "&amp;", "&"), http.StatusOK, "As Mo Adeyemi proposed it.", "the cases in which its severity")
	c.want(trustAt+"/text?draft=none", http.StatusNotFound)
	cross := httptest.NewRequest(http.MethodPost, trustAt+"/text", strings.NewReader(form(changed, "publish", "x").Encode()))
	cross.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	cross.Header.Set("Sec-Fetch-Site", "cross-site")
	if r := c.do(cross); r.Code != http.StatusForbidden || len(s.trust.put) != 2 {
		t.Errorf("a post from another site is answered with %d", r.Code)
	}
}

// TestABaselineIsChosenInAForm: the choices of a policy make the text of a baseline,
// what changes and which schools would ask less is read first, and nothing that was
// typed is lost.
func TestABaselineIsChosenInAForm(t *testing.T) {
	h, s := policySite(t)
	c := newClient(t, h, "network-manager everywhere")
	const at = trustAt + "/choose"
	c.want(trustAt, http.StatusOK, "Choose what it asks, and what schools may ask less")
	typed := func(field, value, do, reason string) url.Values {
		f := formOf(t, c.get(at).Body.String(), at+"#checked")
		f.Set(field, value)
		f.Set("do", do)
		f.Set("reason", reason)
		return f
	}
	r := c.post(at, typed("param-updatesWithin", "a while", "publish", "A new year."))
	if r.Code != http.StatusUnprocessableEntity || !strings.Contains(summaryOf(r.Body.String()), "Write a span of time") || len(s.trust.put) > 0 {
		t.Errorf("a span that is none is answered with %d: %s", r.Code, summaryOf(r.Body.String()))
	}
	if kept := formOf(t, r.Body.String(), at+"#checked"); kept.Get("param-updatesWithin") != "a while" || kept.Get("reason") != "A new year." {
		t.Error("what was typed is gone")
	}
	r = c.post(at, typed("param-updatesWithin", "10 days", "check", ""))
	if text := plainText(r.Body.String()); r.Code != http.StatusOK || !strings.Contains(text, "How long an important update may wait : was 14 days and becomes 10 days") || !strings.Contains(text, "Schools that would ask less than it") || !strings.Contains(text, "Hollybank Primary School : ") {
		t.Errorf("checking is answered with %d: %.900s", r.Code, text)
	}
	r = c.post(at, typed("param-updatesWithin", "10 days", "text", ""))
	if kept := formOf(t, r.Body.String(), trustAt+"/text"); r.Code != http.StatusOK || !strings.Contains(kept.Get("text"), "updatesWithin: 10d") {
		t.Errorf("going on in the text is answered with %d", r.Code)
	}
	stale := typed("param-updatesWithin", "10 days", "publish", "A new year.")
	stale.Set("digest", "of another text")
	if r := c.post(at, stale); r.Code != http.StatusUnprocessableEntity || !strings.Contains(summaryOf(r.Body.String()), "has changed meanwhile") {
		t.Errorf("a text that has changed meanwhile is answered with %d", r.Code)
	}
	for reason, words := range map[string]string{"": "Say in a few words why", "refuse this": "A school of this trust asks for two people"} {
		if r := c.post(at, typed("param-updatesWithin", "10 days", "publish", reason)); r.Code != http.StatusUnprocessableEntity || !strings.Contains(summaryOf(r.Body.String()), words) {
			t.Errorf("the reason %q is answered with %d", reason, r.Code)
		}
	}
	if r := newClient(t, h, "network-manager").post(at, typed("param-updatesWithin", "10 days", "publish", "A new year.")); r.Code != http.StatusUnprocessableEntity || len(s.trust.put) > 0 {
		t.Errorf("who has a say at one school puts a baseline in force: %d", r.Code)
	}
	if r := c.post(at, typed("param-updatesWithin", "10 days", "draft", "A new year.")); r.Code != http.StatusSeeOther || r.Header().Get("Location") != trustAt+"?done=drafted" || len(s.trust.put) != 1 {
		t.Errorf("proposing leads to %d %s", r.Code, r.Header().Get("Location"))
	}
	// What somebody proposed is looked at, and put in force, in the form too.
	draft := strings.Replace(strings.ReplaceAll(regexpDraft.FindString(c.get(trustAt).Body.String()), "&amp;", "&"), "/text?", "/choose?", 1)
	c.want(draft, http.StatusOK, "Begun with what Mo Adeyemi proposed.", "the cases in which its severity")
	c.want(at+"?draft=none", http.StatusNotFound)
}

// TestATrustAllowsThatSeveralSchoolsAskLess: of schools of which somebody has a say.
func TestATrustAllowsThatSeveralSchoolsAskLess(t *testing.T) {
	h, s := policySite(t)
	c := newClient(t, h, "network-manager everywhere")
	const at = trustAt + "/allowances"
	c.want(trustAt+"/choose", http.StatusOK, "What schools may ask less", "AV-01 : its severity is medium instead of critical", "Allowed by network-manager until Thu 12 Nov 2026")
	asked := func(reason string, items ...string) url.Values {
		return url.Values{"item": items, "until": {"2026-11-20"}, "reason": {reason}}
	}
	for _, f := range []url.Values{asked("", "hollybank/AV-01"), asked("A trial."), asked("A trial.", "elsewhere"), asked("refuse this", "hollybank/AV-01")} {
		if r := c.post(at, f); r.Code != http.StatusUnprocessableEntity || len(s.trust.allowed) > 0 {
			t.Errorf("%v is answered with %d", f, r.Code)
		}
	}
	if r := newClient(t, h, "network-manager").post(at, asked("A trial.", "oakfield/AV-01")); r.Code != http.StatusUnprocessableEntity || len(s.trust.allowed) > 0 {
		t.Errorf("who has no say at a school allows something there: %d", r.Code)
	}
	if r := c.post(at, asked("A trial.", "hollybank/AV-01", "hollybank/LIF-01", "oakfield/AV-01")); r.Code != http.StatusSeeOther {
		t.Fatalf("allowing leads to %d: %s", r.Code, summaryOf(r.Body.String()))
	}
	if len(s.trust.allowed) != 2 || !slices.Equal(s.trust.allowed[0].Items, []string{"AV-01", "LIF-01"}) || !slices.Equal(s.trust.allowed[1].Items, []string{"AV-01"}) || s.trust.allowed[0].Reason != "A trial." {
		t.Errorf("allowed %+v", s.trust.allowed)
	}
}

// TestASchoolIsAllowedToAskLessForATime: by who has a say in the trust, and by nobody
// at the school, who can read it all.
func TestASchoolIsAllowedToAskLessForATime(t *testing.T) {
	h, s := policySite(t)
	const at = "/schools/hollybank/baseline"
	text := newClient(t, h, "technician").want(at, http.StatusOK, "belongs to Riverside Schools", "It asks less than it may since", "AV-01 not allowed", "version 3 of the school’s policy, published by technician",
		"It cannot be told from the texts", "baseline 2 asks more than the one before", "Allowed by network-manager", "U+202E", "was “They must be encrypted” and becomes “Not to be used at all”", "What was allowed before")
	if strings.Contains(text, "Allow it") || strings.Contains(text, "Leave the trust") {
		t.Error("a technician is offered to decide for the trust")
	}
	c := newClient(t, h, "network-manager")
	form := url.Values{"item": {"AV-01", "LIF-01"}, "until": {"2026-12-18"}, "reason": {"Until the new server is here."}, "draft": {""}}
	for field, wrongs := range map[string]struct{ value, words string }{
		"until": {"soon", "Enter the last day"}, "reason": {"", "Say why the school may ask less"},
	} {
		bad := url.Values{"item": form["item"], "until": form["until"], "reason": form["reason"], "draft": form["draft"]}
		bad.Set(field, wrongs.value)
		r := c.post(at+"/allowances", bad)
		if body := r.Body.String(); r.Code != http.StatusUnprocessableEntity || !strings.Contains(summaryOf(body), wrongs.words) || !strings.Contains(body, `value="AV-01" checked`) {
			t.Errorf("%s %q is answered with %d, or what was chosen is gone", field, wrongs.value, r.Code)
		}
	}
	if r := c.post(at+"/allowances", url.Values{"until": {"2026-12-18"}, "reason": {"x"}}); r.Code != http.StatusUnprocessableEntity || !strings.Contains(summaryOf(r.Body.String()), "Choose in what") {
		t.Errorf("nothing chosen is answered with %d", r.Code)
	}
	if r := c.post(at+"/allowances", form); r.Code != http.StatusSeeOther || len(s.trust.allowed) != 1 || !slices.Equal(s.trust.allowed[0].Items, form["item"]) || s.trust.allowed[0].Until.Format("2006-01-02 15:04 MST") != "2026-12-19 00:00 GMT" {
		t.Errorf("allowing leads to %d: %+v", r.Code, s.trust.allowed)
	}
	s.desk.draft.Below = []string{"param.media"}
	c.want(at, http.StatusOK, "The draft winter-2026, which asks less in Removable media")
	form.Set("draft", "winter-2026")
	if r := c.post(at+"/allowances", form); r.Code != http.StatusSeeOther || s.trust.allowed[1].Draft != "winter-2026" || !slices.Equal(s.trust.allowed[1].Items, []string{"param.media"}) {
		t.Errorf("allowing what a draft asks leads to %d: %+v", r.Code, s.trust.allowed)
	}
	if r := c.post(at+"/allowances/end", url.Values{"item": {"param.lockWithin"}, "reason": {"It is repaired."}}); r.Code != http.StatusSeeOther || s.trust.decided[0].Kind != decision.EndLooser || s.trust.decided[0].Trust.Item != "param.lockWithin" || s.trust.decided[0].Trust.Name != riverside {
		t.Errorf("ending it leads to %d", r.Code)
	}
	if r := c.post(at+"/membership", url.Values{"reason": {"refuse this"}}); r.Code != http.StatusUnprocessableEntity {
		t.Errorf("what cannot be is answered with %d", r.Code)
	}
	if r := c.post(at+"/membership", url.Values{"reason": {"It joins another."}}); r.Code != http.StatusSeeOther || s.trust.decided[1].Kind != decision.LeaveTrust {
		t.Errorf("leaving leads to %d", r.Code)
	}
	s.trust.loose = true
	everywhere := newClient(t, h, "network-manager everywhere")
	everywhere.want("/schools/oakfield/baseline", http.StatusOK, "belongs to no trust", "It left Riverside Schools")
	if r := everywhere.post("/schools/oakfield/baseline/membership", url.Values{"trust": {" riverside  schools"}, "reason": {"It is one of ours."}}); r.Code != http.StatusSeeOther || s.trust.decided[2].Kind != decision.JoinTrust || s.trust.decided[2].Trust.Name != riverside {
		t.Errorf("joining leads to %d: %+v", r.Code, s.trust.decided)
	}
	for _, path := range []string{"/allowances", "/allowances/end", "/membership"} {
		if r := newClient(t, h, "head").post(at+path, form); r.Code != http.StatusForbidden {
			t.Errorf("a head at %s: %d", path, r.Code)
		}
	}
}

// TestSchoolsByRulesNeverCountsWhatIsNotProvenAsMet: with filters that the table for
// spreadsheets keeps.
func TestSchoolsByRulesNeverCountsWhatIsNotProvenAsMet(t *testing.T) {
	h, s := policySite(t)
	c := newClient(t, h, "network-manager everywhere")
	c.want("/", http.StatusOK, "Schools by rules", "Trusts")
	c.want("/rules", http.StatusOK, "Not proven, at these schools", "Hollybank Primary School", "Oakfield Infant School", "ENC-01 System disk encrypted")
	text := c.want("/rules?severity=critical&q=enc", http.StatusOK, "ENC-01")
	if strings.Contains(text, "AV-02") || strings.Contains(text, "ENC-02") {
		t.Error("a filter shows other rules")
	}
	c.want("/rules?trust=Others", http.StatusOK, "0 schools")
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(c.get("/rules.csv?q=ENC-01").Body.String(), "\ufeff"))).ReadAll()
	if err != nil || len(rows) != 3 || rows[1][0] != "Hollybank Primary School" || rows[1][1] != "ENC-01" || rows[1][5] == "0" {
		t.Errorf("the table holds %q: %v", rows, err)
	}
	own := newClient(t, h, "technician").want("/rules", http.StatusOK, "1 school ")
	if strings.Contains(own, "Oakfield") {
		t.Error("another school is shown")
	}
	newClient(t, h, "governor").want("/rules", http.StatusOK, "0 schools")
	s.devices[0].Hostname = hostile
	if r := c.get("/rules?q=" + url.QueryEscape(hostile)); strings.Contains(r.Body.String(), "<script>alert") {
		t.Error("what is searched for is markup")
	}
}
