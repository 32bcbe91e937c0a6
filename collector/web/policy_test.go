package web

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"html"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/rulebook"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/policy"
)

const policyAt = "/schools/hollybank/policy"

// policySite is the pages of hollybank, and its desk.
func policySite(t *testing.T) (http.Handler, *school) {
	t.Helper()
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	return h, s
}

// TestThePolicyIsReadInPlainWords: what each rule asks, of whom, since when and how
// long there is to put it right; who agreed to it and that its review is overdue; and
// how many laptops judge by an older one. Who may only read is offered nothing else.
func TestThePolicyIsReadInPlainWords(t *testing.T) {
	h, _ := policySite(t)
	text := newClient(t, h, "technician").want(policyAt, http.StatusOK,
		"version 3", "Autumn term", "Drafted by technician , approved by head", "20 September 2026", "20 October 2026 That day is over: the review is overdue.",
		"Asks less than the one before it: USB-02 , Removable media .", "Still judge by an older one 4", "Have not reported yet 1",
		"Removable media They must be encrypted", "Disk protection is on", "in some cases medium", "each disk of every laptop", "7 school days", "4 hours online",
		"winter-2026", "By technician Wed 21 Oct 2026 15:12 BST ; waits for a second person", "Choose what it asks", "Serves clauses C1 , C2 , C3", "critical once it has stood for 1 day",
		"The trust’s baseline", `volume.encryption == "full"`)
	if strings.Contains(text, "How many people it takes") {
		t.Error("a technician is asked how many people it takes")
	}
	for _, name := range []string{"dpo", "network-manager"} {
		text := newClient(t, h, name).want(policyAt, http.StatusOK, "Autumn term")
		if strings.Contains(text, "Choose what it asks") || strings.Contains(text, "Save it") {
			t.Errorf("the %s is offered to draft a policy", name)
		}
	}
	newClient(t, h, "governor").want(policyAt, http.StatusForbidden)
	newClient(t, h, "head").want("/schools/oakfield/policy", http.StatusNotFound)
}

// TestEveryChoiceOfTheShippedPolicyHasWords: of no parameter do people read the name
// that conditions use.
func TestEveryChoiceOfTheShippedPolicyHasWords(t *testing.T) {
	p, _, err := rulebook.Baseline()
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range p.Parameters {
		w, ok := parameterWords[q.Name]
		if !ok || w.label == "" {
			t.Errorf("there are no words for the parameter %s", q.Name)
		}
		for _, c := range q.Choices {
			if w.choices[c] == "" {
				t.Errorf("there are no words for the choice %s of %s", c, q.Name)
			}
		}
	}
}

// TestSpansOfTimeAreTypedAsTheyAreRead: whatever stands in a field is understood as
// what it was made of.
func TestSpansOfTimeAreTypedAsTheyAreRead(t *testing.T) {
	for typed, want := range map[string]string{
		"14 days": "14d", " 1  Day ": "1d", "24h": "24h", "24 hours": "24h", "90 min": "90m", "2 weeks": "14d", "none": "0", "0": "0", "": "0",
		"7 school days": "7 school days", "1 school day": "1 school day", "4 hours online": "4h online", "1,000 hours": "1000h",
	} {
		if got, ok := writtenSpan(typed); !ok || got != want {
			t.Errorf("%q is understood as %q, %v; want %q", typed, got, ok, want)
		}
	}
	for _, typed := range []string{"soon", "7 school weeks", "-1 day", "7d # for now", "1.5 hours", "7 days\nrules: []"} {
		if got, ok := writtenSpan(typed); ok {
			t.Errorf("%q is understood as %q", typed, got)
		}
	}
	p, _, err := rulebook.Baseline()
	if err != nil {
		t.Fatal(err)
	}
	_, source, _ := rulebook.Baseline()
	graces := map[string]string{}
	for _, r := range p.Rules {
		graces[r.ID], _ = writtenSpan(graceTyped(r))
	}
	again, err := rulebook.Amend("policy", source, rulebook.Amendment{Graces: graces})
	if err != nil {
		t.Fatal(err)
	}
	q, err := rulebook.Compile("policy", again)
	if err != nil {
		t.Fatal(err)
	}
	if changes := rulebook.Diff(p, q); len(changes) > 0 {
		t.Errorf("what the form shows, typed again, changes the policy: %+v", changes)
	}
}

var (
	oneField  = regexp.MustCompile(`(?s)<input[^>]*>|<textarea[^>]*>.*?</textarea>|<select[^>]*>.*?</select>`)
	fieldName = regexp.MustCompile(` name="([^"]+)"`)
	itsValue  = regexp.MustCompile(` value="([^"]*)"`)
	itsChoice = regexp.MustCompile(`value="([^"]*)" selected`)
)

// formOf reads the fields of a page's form as a browser would send them.
func formOf(t *testing.T, page, action string) url.Values {
	t.Helper()
	at := regexp.MustCompile(`method="post" action="` + regexp.QuoteMeta(action) + `(#[a-z-]+)?"`).FindStringIndex(page)
	if at == nil {
		t.Fatalf("there is no form that leads to %s", action)
	}
	body, _, _ := strings.Cut(page[at[0]:], "</form>")
	f := url.Values{}
	for _, one := range oneField.FindAllString(body, -1) {
		name := fieldName.FindStringSubmatch(one)
		if name == nil || strings.Contains(one, `type="checkbox"`) {
			continue
		}
		value := itsValue.FindStringSubmatch(one)
		if chosen := itsChoice.FindStringSubmatch(one); chosen != nil {
			value = chosen
		}
		if strings.HasPrefix(one, "<textarea") {
			_, text, _ := strings.Cut(strings.TrimSuffix(one, "</textarea>"), ">")
			value = []string{"", strings.TrimPrefix(text, "\n")}
		}
		if value == nil {
			value = []string{"", ""}
		}
		f.Set(name[1], html.UnescapeString(value[1]))
	}
	return f
}

// TestChoicesMakeADraftOfTheSameText: the form, sent as it is, changes nothing;
// choices become a draft that differs in them alone; and where something is wrong
// it is said at its field, and nothing else that was typed is lost.
func TestChoicesMakeADraftOfTheSameText(t *testing.T) {
	h, s := policySite(t)
	c := newClient(t, h, "technician")
	page := c.get(policyAt + "/choose").Body.String()
	whole := formOf(t, page, policyAt+"/choose")
	send := func(changes map[string]string) *httptest.ResponseRecorder {
		f := maps.Clone(whole)
		for k, v := range changes {
			f.Set(k, v)
		}
		return c.post(policyAt+"/choose", f)
	}
	if r := send(map[string]string{"do": "check"}); r.Code != http.StatusOK || !strings.Contains(plainText(r.Body.String()), "Nothing changes.") {
		t.Fatalf("sent as it is it answers %d: %s", r.Code, summaryOf(r.Body.String()))
	}
	chosen := map[string]string{
		"param-media": "registered", "param-lockWithin": "5 minutes", "grace-EXE-01": "3 school days", "maxage": "5 days",
		"param-deniedSigners": "Brook Games\r\n" + hostileName + "\r\n\r\nBrook Games\r\n", "name": "choices", "reason": "The governors asked for it.",
	}
	chosen["do"] = "check"
	r := send(chosen)
	if text := plainText(r.Body.String()); r.Code != http.StatusOK || !strings.Contains(text, "It is a policy. What it changes") ||
		!strings.Contains(text, "Removable media : was “They must be encrypted” and becomes “Encrypted, and on the school’s register”") || !strings.Contains(text, "gains Brook Games, "+hostileName) {
		t.Fatalf("checked it answers %d: %.900s", r.Code, text)
	}
	if len(s.desk.drafted) > 0 {
		t.Error("to check it has drafted something")
	}
	// Whatever is wrong, at its field, and all that was typed is still there.
	for field, wrongs := range map[string]struct{ value, words string }{
		"param-lockWithin":   {"soon", "Write a span of time"},
		"grace-ENC-03":       {"7 school days", "may not pause"},
		"param-allowedNames": {"", ""}, // no field of the form: nothing is made of it
		"grace-EXE-02":       {"seven", "or none"},
		"maxage":             {"none", "such as 7 days"},
		"param-media":        {"sweets", "not one of the choices"},
		"digest":             {"another", "has changed meanwhile"},
		"name":               {"", "Give the draft a name"},
		"reason":             {" ", "whoever approves it"},
	} {
		bad := maps.Clone(chosen)
		bad["do"], bad[field] = "draft", wrongs.value
		r := send(bad)
		text := r.Body.String()
		if wrongs.words == "" {
			continue
		}
		if r.Code != http.StatusUnprocessableEntity || !strings.Contains(plainText(text), wrongs.words) {
			t.Errorf("%s %q is answered with %d: %.400s", field, wrongs.value, r.Code, plainText(text))
			continue
		}
		kept := formOf(t, text, policyAt+"/choose")
		for k, v := range chosen {
			if want := strings.ReplaceAll(v, "\r\n", "\n"); k != field && k != "do" && strings.ReplaceAll(kept.Get(k), "\r\n", "\n") != want {
				t.Errorf("after %s %q, %s holds %q, want %q", field, wrongs.value, k, kept.Get(k), want)
			}
		}
	}
	clear(s.desk.drafted)
	chosen["do"] = "draft"
	r = send(chosen)
	if r.Code != http.StatusSeeOther || r.Header().Get("Location") != policyAt+"/drafts/choices?done=drafted" {
		t.Fatalf("drafting leads to %d %s: %.400s", r.Code, r.Header().Get("Location"), plainText(r.Body.String()))
	}
	by, source, _ := strings.Cut(s.desk.drafted["choices"], ": ")
	p, err := rulebook.Compile("draft", []byte(source))
	if err != nil || by != "technician" {
		t.Fatalf("%s drafted what is no policy: %v", by, err)
	}
	was := map[string]policy.Parameter{}
	for _, q := range p.Parameters {
		was[q.Name] = q
	}
	exe, _ := p.Rule("EXE-01")
	if was["media"].Text != "registered" || was["deniedSigners"].Texts[1] != hostileName || len(was["deniedSigners"].Texts) != 2 || graceTyped(exe) != "3 school days" {
		t.Errorf("the draft holds %+v, %+v and %s", was["media"], was["deniedSigners"], graceTyped(exe))
	}
	chosen["do"] = "text"
	if r := send(chosen); r.Code != http.StatusOK || !strings.Contains(r.Body.String(), "Brook Games") || !strings.Contains(r.Body.String(), `name="text"`) {
		t.Errorf("going on in the text answers %d", r.Code)
	}
	if r := newClient(t, h, "dpo").post(policyAt+"/choose", whole); r.Code != http.StatusForbidden {
		t.Errorf("a data-protection officer chose: %d", r.Code)
	}
}

// upload sends a form with a file as browsers do.
func (c *client) upload(path string, form url.Values, file string) *httptest.ResponseRecorder {
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for k := range form {
		_ = w.WriteField(k, form.Get(k))
	}
	part, err := w.CreateFormFile("file", "own.yaml")
	if err == nil {
		_, err = part.Write([]byte(file))
	}
	if err != nil || w.Close() != nil {
		c.t.Fatal("a form with a file cannot be made")
	}
	r := httptest.NewRequest(http.MethodPost, path, &body)
	r.Header.Set("Content-Type", w.FormDataContentType())
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return c.do(r)
}

// TestATextIsTypedOrGivenAsAFile: what is wrong is said with its line, its place in
// the policy and the line itself; and the text is there to be put right, also the
// one that came as a file.
func TestATextIsTypedOrGivenAsAFile(t *testing.T) {
	h, s := policySite(t)
	c := newClient(t, h, "technician")
	c.want(policyAt+"/text?from=winter-2026", http.StatusOK, "Winter term")
	sound := string(s.desk.text)
	broken := strings.Replace(strings.Replace(sound, "severity: critical", "severity: dire", 1), "title: System disk encrypted", "title: <img src=x> disk", 1)
	for name, r := range map[string]*httptest.ResponseRecorder{
		"typed":     c.post(policyAt+"/text", url.Values{"text": {strings.ReplaceAll(broken, "\n", "\r\n")}, "do": {"check"}, "reason": {"why not"}}),
		"as a file": c.upload(policyAt+"/text", url.Values{"text": {"nothing"}, "do": {"draft"}, "name": {"x"}, "reason": {"why not"}}, broken),
	} {
		text := plainText(r.Body.String())
		if r.Code != http.StatusUnprocessableEntity || !strings.Contains(text, "rule ENC-01, severity: Severity must be one of") || !strings.Contains(text, "severity: dire") {
			t.Errorf("%s it is answered with %d: %.600s", name, r.Code, text)
		}
		kept := formOf(t, r.Body.String(), policyAt+"/text")
		if kept.Get("text") != broken || kept.Get("reason") != "why not" {
			t.Errorf("%s what was given is lost: %.200q", name, kept.Get("text"))
		}
		if strings.Contains(r.Body.String(), "<img src=x>") {
			t.Errorf("%s a title is markup", name)
		}
	}
	if r := c.post(policyAt+"/text", url.Values{"text": {" \n"}, "do": {"check"}}); r.Code != http.StatusUnprocessableEntity {
		t.Errorf("no text is answered with %d", r.Code)
	}
	if r := c.post(policyAt+"/text", url.Values{"text": {strings.Repeat("x", 300<<10)}, "do": {"check"}}); r.Code != http.StatusUnprocessableEntity || !strings.Contains(plainText(r.Body.String()), "more than 262144") {
		t.Errorf("a text that is too long is answered with %d", r.Code)
	}
	r := c.upload(policyAt+"/text", url.Values{"do": {"draft"}, "name": {"from-a-file"}, "reason": {"New year."}}, sound)
	if r.Code != http.StatusSeeOther || s.desk.drafted["from-a-file"] != "technician: "+sound {
		t.Errorf("a file that is sound leads to %d: %.300s", r.Code, plainText(r.Body.String()))
	}
	r = c.post(policyAt+"/text", url.Values{"text": {sound}, "do": {"preview"}, "days": {"30"}})
	if r.Code != http.StatusSeeOther || r.Header().Get("Location") != policyAt+"/previews/made" || string(s.desk.tried[0].Source) != sound || s.desk.tried[0].Days != 30 || s.desk.tried[0].By != "technician" {
		t.Errorf("a preview of a text leads to %d %s", r.Code, r.Header().Get("Location"))
	}
	r = c.post(policyAt+"/text", url.Values{"text": {sound}, "do": {"preview"}, "days": {"13"}})
	if kept := formOf(t, r.Body.String(), policyAt+"/text"); r.Code != http.StatusUnprocessableEntity || kept.Get("text") != sound {
		t.Errorf("a preview that waits is answered with %d, and the text is lost", r.Code)
	}
}

// TestADraftIsApprovedByAnotherAndPutInForce: whoever approves approves the text
// that they read; whoever drafted it does not; and a draft that asks less than the
// trust does is not put in force.
func TestADraftIsApprovedByAnotherAndPutInForce(t *testing.T) {
	h, s := policySite(t)
	s.desk.two = true
	const at = policyAt + "/drafts/winter-2026"
	own := newClient(t, h, "technician").want(at, http.StatusOK, "Winter term", "The governors want sticks gone.", "You drafted it: somebody else has to approve it.", "once a second person has approved it", "becomes “Not to be used at all”")
	if strings.Contains(own, "Approve this text") || strings.Contains(own, "Put it in force") {
		t.Error("a technician is offered to approve a draft, or to publish one that nobody has approved")
	}
	head := newClient(t, h, "head")
	f := formOf(t, head.get(at).Body.String(), at+"/approval")
	if r := head.post(at+"/approval", f); r.Code != http.StatusUnprocessableEntity || !strings.Contains(plainText(r.Body.String()), "Say in a few words why") {
		t.Errorf("an approval without a reason is answered with %d", r.Code)
	}
	f.Set("reason", "refuse this")
	if r := head.post(at+"/approval", f); r.Code != http.StatusUnprocessableEntity || !strings.Contains(plainText(r.Body.String()), "The draft is another text by now") {
		t.Errorf("an approval that cannot be is answered with %d", r.Code)
	}
	f.Set("reason", "As the governors agreed.")
	if r := head.post(at+"/approval", f); r.Code != http.StatusSeeOther {
		t.Fatalf("approving leads to %d: %.300s", r.Code, plainText(r.Body.String()))
	}
	d := s.desk.decided[0]
	if d.Kind != decision.ApprovePolicy || d.By != "head" || hex.EncodeToString(d.Policy.Digest[:]) != digestOf(s.desk.text) || d.Policy.Draft != "winter-2026" {
		t.Errorf("recorded %+v of %+v", d, d.Policy)
	}
	if r := head.post(at+"/approval", url.Values{"reason": {"As agreed."}}); r.Code != http.StatusUnprocessableEntity || len(s.desk.decided) != 1 {
		t.Errorf("an approval of no text is answered with %d", r.Code)
	}
	s.desk.draft.Approvals = []decision.Approval{{By: "head", At: now, Reason: "As the governors agreed."}}
	technician := newClient(t, h, "technician")
	f = formOf(t, technician.get(at).Body.String(), at+"/publication")
	f.Set("reason", "New year.")
	f.Set("publish-approved", "tomorrow")
	if r := technician.post(at+"/publication", f); r.Code != http.StatusUnprocessableEntity || len(s.desk.put) > 0 {
		t.Errorf("a day that is none is answered with %d", r.Code)
	}
	f.Set("publish-approved", "2026-10-20")
	f.Set("publish-review", "2027-10-20")
	if r := technician.post(at+"/publication", f); r.Code != http.StatusSeeOther || s.desk.put[0] != (PolicyTerms{"2026-10-20", "2027-10-20", "technician winter-2026: New year."}) {
		t.Errorf("publishing leads to %d: %+v", r.Code, s.desk.put)
	}
	s.desk.below = true
	text := technician.want(at, http.StatusOK, "It asks less than the baseline of Riverside Schools", "AV-01: its severity is lower", "cannot be put in force")
	if strings.Contains(text, "The day on which the school agreed to it") {
		t.Error("what the trust does not allow is offered to be published")
	}
	r := technician.post(at+"/withdrawal", url.Values{"digest": {digestOf(s.desk.text)}, "reason": {"Not this year."}})
	if r.Code != http.StatusSeeOther || r.Header().Get("Location") != policyAt+"?done=withdrawn" || s.desk.decided[1].Kind != decision.WithdrawPolicy {
		t.Errorf("taking it back leads to %d", r.Code)
	}
	for name, c := range map[string]*client{"dpo": newClient(t, h, "dpo"), "network-manager": newClient(t, h, "network-manager")} {
		for _, path := range []string{at + "/approval", at + "/withdrawal", at + "/publication", policyAt + "/approvers", policyAt + "/versions/2/rollback", policyAt + "/text"} {
			if r := c.post(path, f); r.Code != http.StatusForbidden {
				t.Errorf("%s as %s: %d", path, name, r.Code)
			}
		}
	}
}

// TestAnEarlierPolicyIsComparedAndGoneBackTo: what would change can be read, and
// where it takes two people it becomes a draft.
func TestAnEarlierPolicyIsComparedAndGoneBackTo(t *testing.T) {
	h, s := policySite(t)
	c := newClient(t, h, "technician")
	c.want(policyAt+"/versions", http.StatusOK, "Version 3", "Version 2", "Its text cannot be read: entry 12 is damaged", "What changed")
	c.want(policyAt+"/compare?from=2&to=3", http.StatusOK, `the title "Summer term" becomes "Autumn term"`)
	c.want(policyAt+"/compare?from=2&to=9", http.StatusNotFound)
	c.want(policyAt+"/versions/9", http.StatusNotFound)
	c.want(policyAt+"/versions/0", http.StatusNotFound)
	r := c.get(policyAt + "/versions/2/file")
	if r.Code != http.StatusOK || !strings.Contains(r.Body.String(), "title: Summer term") || !strings.HasPrefix(r.Header().Get("Content-Disposition"), "attachment") || !strings.HasPrefix(r.Header().Get("Content-Type"), "text/plain") {
		t.Errorf("the file of a policy is answered with %d %v", r.Code, r.Header())
	}
	const at = policyAt + "/versions/2"
	c.want(at, http.StatusOK, "What would change by going back to it", "Put it in force again", "numbers only rise")
	if r := c.post(at+"/rollback", nil); r.Code != http.StatusUnprocessableEntity || len(s.desk.put) > 0 {
		t.Errorf("going back for no reason is answered with %d", r.Code)
	}
	if r := c.post(at+"/rollback", url.Values{"reason": {"The sticks broke."}}); r.Code != http.StatusSeeOther || s.desk.put[0].Reason != "technician back to 2: The sticks broke." {
		t.Errorf("going back leads to %d, %+v", r.Code, s.desk.put)
	}
	s.desk.two = true
	f := formOf(t, c.get(at).Body.String(), at+"/rollback")
	f.Set("reason", "The sticks broke.")
	if r := c.post(at+"/rollback", f); r.Code != http.StatusSeeOther || !strings.Contains(s.desk.drafted["back-to-2"], "title: Summer term") {
		t.Errorf("going back where it takes two leads to %d %s", r.Code, r.Header().Get("Location"))
	}
	head := newClient(t, h, "head")
	if r := head.post(policyAt+"/approvers", url.Values{"approvers": {"2"}, "reason": {"Clause C27."}}); r.Code != http.StatusSeeOther || s.desk.decided[0].Policy.Approvers != 2 {
		t.Errorf("asking for two people leads to %d", r.Code)
	}
	if r := head.post(policyAt+"/approvers", url.Values{"approvers": {"3"}, "reason": {"Clause C27."}}); r.Code != http.StatusUnprocessableEntity {
		t.Errorf("asking for three people is answered with %d", r.Code)
	}
	cross := httptest.NewRequest(http.MethodPost, at+"/rollback", strings.NewReader("reason=x"))
	cross.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	cross.Header.Set("Sec-Fetch-Site", "cross-site")
	if r := c.do(cross); r.Code != http.StatusForbidden || len(s.desk.put) != 1 {
		t.Errorf("a post from another site is answered with %d", r.Code)
	}
}

// TestAPreviewIsFollowedAndRead: how far it is while it is made, then counts, rules,
// the laptops of a rule and the days before; never a hostile name as markup.
func TestAPreviewIsFollowedAndRead(t *testing.T) {
	h, s := policySite(t)
	c := newClient(t, h, "dpo")
	const at = policyAt + "/previews/"
	c.want(at+"waiting", http.StatusOK, "It waits for its turn", "Look how far it is now")
	c.want(at+"working", http.StatusOK, "1,200 of 4,000 judged", "Give it up")
	c.want(at+"failed", http.StatusOK, "It was not made It was given up.")
	c.want(at+"made", http.StatusOK, "Breaches that would open 14 3 of them after their grace", "Laptops on which one opens or closes 9 of 63 laptops", "Removable media encrypted USB-01", "14 3 after grace",
		"Now 3 not proven 60 met Then 9 not met 4 not proven 50 met", "2 1 graver", "50,000 reports of 21 days were judged", "No more than the newest 50,000 reports are judged.", "Of 12 not all is held any more", "USB-01 8 3")
	r := c.get(at + "made?rule=USB-01")
	text := plainText(r.Body.String())
	if r.Code != http.StatusOK || !strings.Contains(text, "On 130 laptops: 14 breaches would open") || !strings.Contains(text, "hb-lt-009") || !strings.Contains(text, "And 121 more") || !strings.Contains(text, "And 6 more") {
		t.Errorf("the laptops of a rule: %d %.900s", r.Code, text)
	}
	if strings.Contains(r.Body.String(), "<script>alert") || strings.Contains(r.Body.String(), "\u202e") || !strings.Contains(text, "U+202E") {
		t.Error("a hostile name is not spelt out")
	}
	c.want(at+"made?rule=ZZZ-1", http.StatusNotFound)
	c.want(at+"nothing", http.StatusNotFound)
	c.want("/schools/oakfield/policy/previews/made", http.StatusNotFound)
	if text := c.want(at+"typed", http.StatusOK, "a text that is no draft yet"); strings.Contains(text, "save it as a draft") {
		t.Error("who may not draft is offered to")
	}
	newClient(t, h, "technician").want(at+"typed", http.StatusOK, "Open this text, to change it or to save it as a draft")
	newClient(t, h, "technician").want(policyAt+"/text?preview=typed", http.StatusOK, "title: Winter term")
	if r := c.post(policyAt+"/previews", url.Values{"draft": {"winter-2026"}, "days": {"999"}}); r.Code != http.StatusSeeOther || s.desk.tried[0].Draft != "winter-2026" || s.desk.tried[0].Days != mostTrialDays {
		t.Errorf("a preview of a draft leads to %d", r.Code)
	}
	if r := c.post(policyAt+"/previews", url.Values{"number": {"2"}}); r.Code != http.StatusSeeOther || s.desk.tried[1].Number != 2 {
		t.Errorf("a preview of a version leads to %d", r.Code)
	}
	if r := c.post(policyAt+"/previews", url.Values{"number": {"2"}, "days": {"13"}}); r.Code != http.StatusUnprocessableEntity || !strings.Contains(plainText(r.Body.String()), "Another preview is being made") {
		t.Errorf("a preview that waits is answered with %d", r.Code)
	}
	if r := c.post(at+"working/end", nil); r.Code != http.StatusSeeOther || len(s.desk.stopped) != 1 {
		t.Errorf("giving it up leads to %d", r.Code)
	}
}

// TestAPolicyOfManyRulesIsShownInParts: no page of it is heavier than others, and
// every rule is on one of them.
func TestAPolicyOfManyRulesIsShownInParts(t *testing.T) {
	h, s := policySite(t)
	book := &s.desk.books[1]
	for n := range 174 {
		rule := book.Policy.Rules[n%20]
		rule.ID = fmt.Sprintf("HB-%03d", n)
		book.Policy.Rules = append(book.Policy.Rules, rule)
	}
	for i := range book.Policy.Parameters {
		if p := &book.Policy.Parameters[i]; p.Name == "deniedPrograms" {
			for n := range 900 {
				p.Texts = append(p.Texts, fmt.Sprintf("game number %d*", n))
			}
		}
	}
	c, found, at := newClient(t, h, "dpo"), map[string]bool{}, policyAt
	for at != "" {
		page := c.get(at).Body.String()
		if len(page) > 150<<10 {
			t.Errorf("%s has %d bytes", at, len(page))
		}
		if !strings.Contains(page, "And 748 more") {
			t.Errorf("%s does not say how many items are not listed", at)
		}
		for _, m := range regexp.MustCompile(`<span class="ct-id"><bdi>([A-Z0-9-]+)</bdi>`).FindAllStringSubmatch(page, -1) {
			found[m[1]] = true
		}
		at = ""
		if m := regexp.MustCompile(`href="([^"]+)" rel="next"`).FindStringSubmatch(page); m != nil {
			at = html.UnescapeString(m[1])
		}
	}
	if len(found) != len(book.Policy.Rules) {
		t.Errorf("%d rules are shown, of %d", len(found), len(book.Policy.Rules))
	}
}

// TestAnOpenPreviewHearsHowFarItIs: within a second, and of nothing while it stands;
// also of what happened between the making of the page and the asking.
func TestAnOpenPreviewHearsHowFarItIs(t *testing.T) {
	desk := newPolicies(t)
	school := newSchool(t)
	synctest.Test(t, func(t *testing.T) {
		s := newLive(school)
		s.Policies = desk
		shown, err := desk.Trial(hollybank, "working")
		if err != nil {
			t.Fatal(err)
		}
		seen, err := trialLooks(shown)
		if err != nil {
			t.Fatal(err)
		}
		open := func() (*line, <-chan struct{}) {
			page, ended := &line{http.Header{}, make(chan string, 100)}, make(chan struct{})
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, policyAt+"/previews/working/changes?seen="+hex.EncodeToString(seen[:]), nil)
			r.SetPathValue("preview", "working")
			go func() {
				defer close(ended)
				if err := s.trialChanges(page, r, visit{school: view.School{ID: hollybank}, now: s.Clock.Now()}); err != nil {
					t.Errorf("the line failed: %v", err)
				}
			}()
			page.said(t, "retry: 5000\n\n")
			return page, ended
		}
		page, ended := open()
		time.Sleep(trialEvery)
		page.said(t, "")
		desk.further.Add(1)
		time.Sleep(trialEvery)
		page.said(t, changed)
		late, lateEnded := open()
		time.Sleep(trialEvery)
		late.said(t, changed)
		page.said(t, "")
		time.Sleep(streamEnds)
		synctest.Wait()
		<-ended
		<-lateEnded
	})
}

// TestALaptopSaysWhichPolicyItHasAndWhy: by its class and groups, who chose them and
// why; who may choose them does, and whoever may not is refused.
func TestALaptopSaysWhichPolicyItHasAndWhy(t *testing.T) {
	h, s := policySite(t)
	const at, to = "/schools/hollybank/devices/d-011/policy", "/schools/hollybank/devices/d-011/groups"
	c := newClient(t, h, "technician")
	c.want("/schools/hollybank/devices/d-011", http.StatusOK, "Which policy it has, and why")
	c.want(at, http.StatusOK, "Version 3 Autumn term", "It has not taken the one in force yet.", "trolley-b , year-4", "rules for its class", "technician : Moved to year 4.", "It followed from something else")
	c.want(policyAt+"/groups", http.StatusOK, "No rule of the policy in force does.", "trolley-b", "U+202E")
	c.want(policyAt+"/groups?group=trolley-b", http.StatusOK, "HB-LT-011", "One has not said yet that it knows", "not yet")
	c.want(policyAt+"/groups?group=no-such", http.StatusNotFound)
	whole := formOf(t, c.get(at).Body.String(), to)
	whole.Set("groups", "year-5\r\ntrolley-b\r\n")
	whole.Set("reason", "A new year.")
	for field, wrongs := range map[string]struct{ value, words string }{
		"reason": {"", "Say in a few words why"}, "class": {"staff-owned", "Choose of which class"}, "groups": {"year 5; year 6", "is no name of a group"},
	} {
		bad := maps.Clone(whole)
		bad.Set(field, wrongs.value)
		r := c.post(to, bad)
		if r.Code != http.StatusUnprocessableEntity || !strings.Contains(plainText(r.Body.String()), wrongs.words) {
			t.Errorf("%s %q is answered with %d: %s", field, wrongs.value, r.Code, summaryOf(r.Body.String()))
		}
		if kept := formOf(t, r.Body.String(), to); field != "groups" && !strings.Contains(kept.Get("groups"), "year-5") {
			t.Errorf("after %s what was typed is gone", field)
		}
	}
	if r := c.post(to, whole); r.Code != http.StatusSeeOther || len(s.desk.grouped) != 1 || s.desk.grouped[0] != `technician d-011: school-single-user ["year-5" "trolley-b"]` {
		t.Errorf("grouping leads to %d, %q", r.Code, s.desk.grouped)
	}
	dpo := newClient(t, h, "dpo")
	if text := dpo.want(at, http.StatusOK, "rules for its class"); strings.Contains(text, "Choose its class") {
		t.Error("a data-protection officer is offered to choose")
	}
	if r := dpo.post(to, whole); r.Code != http.StatusForbidden {
		t.Errorf("a data-protection officer chose: %d", r.Code)
	}
}

// TestAnExemptionIsAskedForAGroupOrAWholeRule: on the page of the rule, for another
// to approve.
func TestAnExemptionIsAskedForAGroupOrAWholeRule(t *testing.T) {
	h, s := policySite(t)
	const at, to = "/schools/hollybank/rules/PAT-02", "/schools/hollybank/rules/PAT-02/exemption"
	c := newClient(t, h, "technician")
	c.want(at, http.StatusOK, "Exemptions from it", "the whole school", "The group trolley-b, 2 laptops", "Ask for an exemption")
	whole := formOf(t, c.get(at).Body.String(), to)
	whole.Set("reason", "The server is away.")
	whole.Set("of", "trolley-b")
	for field, wrongs := range map[string]struct{ value, words string }{
		"reason": {"", "Say why the rule cannot be met"}, "until": {"soon", "Enter the last day"}, "of": {"no-such", "Choose for whom"},
	} {
		bad := maps.Clone(whole)
		bad.Set(field, wrongs.value)
		if r := c.post(to, bad); r.Code != http.StatusUnprocessableEntity || !strings.Contains(plainText(r.Body.String()), wrongs.words) || len(s.decided) > 0 {
			t.Errorf("%s %q is answered with %d: %s", field, wrongs.value, r.Code, summaryOf(r.Body.String()))
		} else if kept := formOf(t, r.Body.String(), to); field != "of" && kept.Get("of") != "trolley-b" || field != "reason" && kept.Get("reason") != "The server is away." {
			t.Errorf("after %s what was typed is gone: %v", field, kept)
		}
	}
	if r := c.post(to, whole); r.Code != http.StatusSeeOther {
		t.Fatalf("asking leads to %d: %s", r.Code, summaryOf(r.Body.String()))
	}
	whole.Set("of", wholeSchool)
	if r := c.post(to, whole); r.Code != http.StatusSeeOther || len(s.decided) != 2 {
		t.Fatalf("asking leads to %d: %s", r.Code, summaryOf(r.Body.String()))
	}
	if a, b := s.decided[0].Exemption.Scope, s.decided[1].Exemption.Scope; a != (breach.Scope{Rule: "PAT-02", Of: breach.OneGroup, Group: "trolley-b"}) || b != (breach.Scope{Rule: "PAT-02", Of: breach.WholeSchool}) {
		t.Errorf("it was asked for %+v and %+v", a, b)
	}
	manager := newClient(t, h, "network-manager")
	if text := manager.want(at, http.StatusOK, "PAT-02"); strings.Contains(text, "Ask for an exemption") {
		t.Error("a network manager is offered to ask for an exemption")
	}
	if r := manager.post(to, whole); r.Code != http.StatusForbidden {
		t.Errorf("a network manager asked for an exemption: %d", r.Code)
	}
}

// summaryOf is what a page says is wrong.
func summaryOf(page string) string {
	_, rest, _ := strings.Cut(page, "govuk-error-summary__list")
	list, _, _ := strings.Cut(rest, "</ul>")
	return plainText(list)
}
