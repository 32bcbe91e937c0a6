package web

import (
	"maps"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/subject"
)

// TestARequestIsRecordedAndAnsweredOnPages: under the name of who is signed in;
// what is wrong is said, and nothing that was typed is lost.
func TestARequestIsRecordedAndAnsweredOnPages(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	head, officer := newClient(t, h, "head"), newClient(t, h, "dpo")
	const at = "/schools/hollybank/privacy/requests"
	text := head.want(at, http.StatusOK, "Sam Carter", "Due by the end of Fri 30 Oct 2026: 7 days left", "Was due by the end of Thu 1 Oct 2026: 22 days late", "Weekends and holidays count")
	if strings.Index(text, "sr-2") > strings.Index(text, "sr-1") {
		t.Error("what is due first does not stand first")
	}
	form := url.Values{"name": {"Ash Lowe"}, "how": {"spoken"}, "on": {"2026-10-22"}, "reason": {"asked at the gate"}}
	if r := head.post(at, form); r.Code != http.StatusSeeOther || r.Header().Get("Location") != at+"/sr-9" || len(s.decided) != 1 {
		t.Fatalf("recording led to %d: %s", r.Code, plainText(r.Body.String()))
	}
	if d := s.decided[0]; d.Kind != decision.Subject || d.By != "head" || d.Request.What != subject.Receive || d.Request.Name != "Ash Lowe" || d.Request.Zone != Zone {
		t.Errorf("recorded %+v %+v", d, d.Request)
	}
	for field, one := range map[string]struct{ typed, words string }{
		"name": {"", "Enter who asked."}, "on": {"2026-10-24", "today or before"}, "reason": {"", "Say in a few words"},
	} {
		bad := maps.Clone(form)
		bad[field] = []string{one.typed}
		r := head.post(at, bad)
		if r.Code != http.StatusUnprocessableEntity || !strings.Contains(plainText(r.Body.String()), one.words) || field != "name" && !strings.Contains(r.Body.String(), `value="Ash Lowe"`) {
			t.Errorf("%s %q: %d %.300s", field, one.typed, r.Code, plainText(r.Body.String()))
		}
	}
	// The head sees the request and its clock, and nothing that was gathered.
	if text := head.want(at+"/sr-1", http.StatusOK, "asked in the corridor"); strings.Contains(text, "Gather it") || strings.Contains(text, "Read what was gathered") {
		t.Error("the head is offered what is the officer's alone")
	}
	officer.want(at+"/sr-1", http.StatusOK, "Gather it", "Read what was gathered", "Nobody has recorded that it is known who asked", "in the register")
	if text := officer.want(at+"/sr-1?q=ash", http.StatusOK, "Ash Lowe"); strings.Contains(text, "Robin") {
		t.Error("a name that does not fit is offered")
	}
	if r := officer.post(at+"/sr-1/exports", url.Values{}); r.Code != http.StatusUnprocessableEntity || len(s.asked) != 1 {
		t.Errorf("gathering of nobody: %d %v", r.Code, s.asked)
	}
	if r := officer.post(at+"/sr-1/exports", url.Values{"person": {"Sam Carter"}, "account": {"technician"}}); r.Code != http.StatusSeeOther || s.asked[1] != "dpo gathers Sam Carter, technician for sr-1" {
		t.Errorf("gathering: %d %v", r.Code, s.asked)
	}
	change := url.Values{"what": {"extend"}, "months": {"2"}, "on": {"2026-10-23"}, "reason": {"three years of it"}}
	if r := officer.post(at+"/sr-1/changes", change); r.Code != http.StatusSeeOther || s.decided[1].Request.Months != 2 || s.decided[1].Request.ID != "sr-1" {
		t.Errorf("extending: %d %+v", r.Code, s.decided)
	}
	change.Set("reason", "refuse this")
	if r := officer.post(at+"/sr-1/changes", change); r.Code != http.StatusUnprocessableEntity || !strings.Contains(plainText(r.Body.String()), "It is answered already.") {
		t.Errorf("what cannot be: %d", r.Code)
	}
}

// TestWhatWasGatheredIsReadByTheOfficerAlone, is marked where others may stand in
// it, and is gone once it is forgotten. What people wrote is text.
func TestWhatWasGatheredIsReadByTheOfficerAlone(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	officer := newClient(t, h, "dpo")
	const at = "/schools/hollybank/privacy/requests/sr-1/export"
	officer.want(at, http.StatusOK, "What is kept about Sam Carter", "Look for other people before this is given out.", "game.exe", "Look for other people in this part.", "technician", "Kept of nobody",
		"<i>scratched</i>", "Information Commissioner's Office")
	if page := officer.get(at).Body.String(); strings.Contains(page, "<i>scratched") {
		t.Error("what somebody wrote is markup")
	}
	file := officer.get(at + "/file")
	if sheet, err := subject.Decode(file.Body.Bytes()); err != nil || sheet.Request != "sr-1" || !strings.Contains(file.Header().Get("Content-Disposition"), "attachment") {
		t.Errorf("the file: %v %v", err, file.Header())
	}
	officer.want("/schools/hollybank/privacy/requests/sr-2/export", http.StatusOK, "What was gathered is forgotten")
	officer.want("/schools/hollybank/privacy/requests/sr-2/export/file", http.StatusNotFound)
	officer.want("/schools/hollybank/privacy/requests/sr-7", http.StatusNotFound)
	for _, role := range []string{"technician", "administrator", "head", "governor", "staff"} {
		newClient(t, h, role).want(at, http.StatusForbidden)
	}
}

// TestDocumentsAreMadeOfWhatIsKnown: what the school said, how long it keeps what
// and all that a laptop can tell; a blank where only the school can say it, and
// nothing made up.
func TestDocumentsAreMadeOfWhatIsKnown(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	c := newClient(t, h, "dpo")
	const at = "/schools/hollybank/privacy"
	c.want(at, http.StatusOK, "Privacy notice for staff", "impact assessment", "Requests of people", "Robin Hale")
	c.want(at+"/notice", http.StatusOK, "Robin Hale, dpo@hollybank.example", "Public task", "Information Commissioner's Office", "6 months", "Encryption", "the answer is due within a month", "Northfield IT")
	c.want(at+"/processing", http.StatusOK, "What is held", "ZA000000", "1 year from the end of the laptop's life")
	c.want(at+"/assessment", http.StatusOK, "Risks", blank, "Staff feel watched")
	c.want(at+"/processors", http.StatusOK, "Northfield IT", "article 28")
	none := newClient(t, h, "dpo everywhere").want("/schools/oakfield/privacy/notice", http.StatusOK, "Data-protection officer "+blank, "Lawful basis: "+blank)
	for _, invented := range []string{"Public task", "Robin Hale", "Commissioner"} {
		if strings.Contains(none, invented) {
			t.Errorf("a school that has said nothing says %q", invented)
		}
	}
	newClient(t, h, "staff").want(at+"/notice", http.StatusOK, "Robin Hale")
	newClient(t, h, "staff").want(at+"/assessment", http.StatusForbidden)
	file := c.get(at + "/notice/file")
	if text := file.Body.String(); file.Code != http.StatusOK || !strings.HasPrefix(file.Header().Get("Content-Type"), "text/plain") || !strings.Contains(text, "Robin Hale") || strings.ContainsAny(text, "<\u27e8") || strings.Count(text, "\n") < 50 {
		t.Errorf("the text: %d %v %.200s", file.Code, file.Header(), text)
	}
}

// TestRisksAreThoseOfTheThreats: each risk of the assessment that names a threat
// names one that the page of threats has.
func TestRisksAreThoseOfTheThreats(t *testing.T) {
	threats, err := os.ReadFile("../../shared/docs/threats.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range risks {
		if r.of != "" && !strings.Contains(string(threats), "**"+r.of+"**") {
			t.Errorf("%q answers a threat %q that there is not", r.words, r.of)
		}
	}
}
