package web

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/register"
)

const atRegister = "/schools/hollybank/register"

// send posts a form and says what became of it; where it leads to is asked for, and
// the page there returned.
func (c *client) send(path string, form url.Values, status int, texts ...string) string {
	c.t.Helper()
	r := c.post(path, form)
	if r.Code != status {
		c.t.Errorf("%s %v: got status %d, want %d\n%s", path, form, r.Code, status, plainText(r.Body.String()))
	}
	if status == http.StatusSeeOther {
		return c.want(r.Header().Get("Location"), http.StatusOK, texts...)
	}
	text := plainText(r.Body.String())
	for _, w := range texts {
		if !strings.Contains(text, w) {
			c.t.Errorf("%s %v does not say %q:\n%s", path, form, w, text)
		}
	}
	return text
}

// sendFile posts a form with a file.
func (c *client) sendFile(path, name, content string, fields map[string]string) *httptest.ResponseRecorder {
	c.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for k, v := range fields {
		if err := w.WriteField(k, v); err != nil {
			c.t.Fatal(err)
		}
	}
	part, err := w.CreateFormFile("file", name)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := part.Write([]byte(content)); err != nil {
		c.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		c.t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, path, &body)
	r.Header.Set("Content-Type", w.FormDataContentType())
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return c.do(r)
}

// TestTheRegisterIsFound: by what answers for a device, by who has it, and by name
// alone for those who may know names.
func TestTheRegisterIsFound(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	technician, business, manager := newClient(t, h, "technician"), newClient(t, h, "business-manager"), newClient(t, h, "network-manager")
	technician.want(atRegister, http.StatusOK, "77 registered: 37 by agent", "HB-LT-014", "Year 4 class teacher ( A. Rowan )", "HB/KS2 7", "Register a device")
	for _, c := range []*client{business, manager} {
		text := c.want(atRegister, http.StatusOK, "Year 4 class teacher", "(named, and not shown here)")
		if strings.Contains(text, "Rowan") || strings.Contains(text, "Import a list") {
			t.Errorf("a name, or a deed, is shown to who may not see it:\n%s", text)
		}
		c.want(atRegister+"?q=rowan", http.StatusOK, "Nothing in the register fits")
	}
	technician.want(atRegister+"?q=rowan", http.StatusOK, "HB-LT-014")
	over := technician.want(atRegister+"?with=overdue", http.StatusOK, "HB-LT-022", "The loan is over, and it was not handed back")
	left := technician.want(atRegister+"?with=leaver", http.StatusOK, "HB-LT-030")
	none := technician.want(atRegister+"?cover=never-enrolled", http.StatusOK, "Not proven: no agent was ever enrolled")
	for text, not := range map[string]string{over: "HB-LT-014", left: "HB-LT-014", none: "HB-LT-014 Classbook"} {
		if strings.Contains(text, not) {
			t.Errorf("the list is not of what was asked for: it has %s\n%s", not, text)
		}
	}
	technician.want(atRegister+"/not-registered", http.StatusOK, "hb-lt-023", "Register it")
	for _, role := range []string{"governor", "staff", "senior"} {
		newClient(t, h, role).want(atRegister, http.StatusForbidden)
	}
	newClient(t, h, "technician").want("/schools/oakfield/register", http.StatusNotFound)
}

// TestADeviceIsGivenOutAndComesBack: by whoever keeps the register and nobody
// else, with what is wrong said at its field and nothing typed lost.
func TestADeviceIsGivenOutAndComesBack(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	c := newClient(t, h, "technician")
	const at = atRegister + "/assets/HB-LT-031"
	c.want(at, http.StatusOK, "Nobody is recorded as having it", "Allocate it")
	c.want(at+"/allocation", http.StatusOK, "The laptop is the school's.", "They were given the school’s notice 2026-09")
	c.send(at+"/allocation", url.Values{"guest": {"yes"}, "person": {"=cmd"}, "until-day": {"2026-10-22"}, "condition": {"A dent"}}, http.StatusUnprocessableEntity,
		"Say for which role it is", "A guest is given the school’s notice", "a spreadsheet takes for a formula", "The loan would be over already")
	if body := c.post(at+"/allocation", url.Values{"condition": {"A dent"}}).Body.String(); !strings.Contains(body, `value="A dent"`) {
		t.Error("what was typed is lost")
	}
	if len(s.keeps.changes) > 0 {
		t.Fatalf("recorded %+v", s.keeps.changes)
	}
	lent := url.Values{"role": {"Supply teacher"}, "person": {"S. Hazel"}, "guest": {"yes"}, "notice": {"yes"}, "notice-version": {"2026-09"}, "until-day": {"2026-10-27"}, "until-time": {"16:00"}}
	c.send(at+"/allocation", lent, http.StatusSeeOther, "Recorded: who has it", "Supply teacher ( S. Hazel )", "Tue 27 Oct 2026 16:00 GMT", "Given the school’s notice 2026-09")
	got := s.keeps.changes[0]
	if ends := time.Date(2026, 10, 27, 16, 0, 0, 0, time.UTC); !got.Allocation.Ends.Equal(ends) || got.Allocation.NoticeVersion != "2026-09" || !got.Allocation.Named || s.keeps.made[0].By != "technician" || s.keeps.made[0].Person != "S. Hazel" {
		t.Errorf("recorded %+v %+v", got.Allocation, s.keeps.made[0])
	}
	c.want(at+"/allocation", http.StatusOK, "Record first that it was handed back")
	c.send(at+"/allocation", lent, http.StatusUnprocessableEntity, "There is a problem", "has HB-LT-031 already")
	c.send(at+"/hand-back", url.Values{"hand-back-day": {"soon"}}, http.StatusUnprocessableEntity, "Enter the day")
	c.send(at+"/hand-back", nil, http.StatusSeeOther, "it was handed back", "Who had it", "Nobody is recorded")
	c.send(at+"/hand-back", nil, http.StatusUnprocessableEntity, "Nobody has HB-LT-031")
	for _, name := range []string{"dpo", "head", "business-manager", "network-manager", "governor"} {
		if r := newClient(t, h, name).post(at+"/allocation", lent); r.Code != http.StatusForbidden {
			t.Errorf("%s: %d", name, r.Code)
		}
	}
	before := len(s.keeps.changes)
	r := httptest.NewRequest(http.MethodPost, at+"/allocation", strings.NewReader(lent.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if w := c.do(r); w.Code != http.StatusForbidden || len(s.keeps.changes) != before {
		t.Errorf("from another site: %d", w.Code)
	}
	if w := newClient(t, h, "technician").post("/schools/oakfield/register/assets/HB-LT-031/allocation", lent); w.Code != http.StatusNotFound {
		t.Errorf("at another school: %d", w.Code)
	}
}

// TestALeaverIsSignedForByTwo: the steps are recorded by whoever keeps the
// register, and two different people sign, one of whom need not.
func TestALeaverIsSignedForByTwo(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	technician, business, head := newClient(t, h, "technician"), newClient(t, h, "business-manager"), newClient(t, h, "head")
	const at = atRegister + "/assets/HB-LT-030"
	business.want(atRegister+"/leavers", http.StatusOK, "HB-LT-030", "Deputy head", "It was wiped", "0 of 2")
	business.want(at+"/checklist", http.StatusOK, "It is signed once everything on it is done")
	business.send(at+"/signature", nil, http.StatusUnprocessableEntity, "Not everything on the checklist of HB-LT-030 is done")
	if r := business.post(at+"/checklist/wiped", url.Values{"method-wiped": {"x"}}); r.Code != http.StatusForbidden {
		t.Errorf("the business manager records steps: %d", r.Code)
	}
	technician.send(at+"/checklist/wiped", nil, http.StatusUnprocessableEntity, "Say how it was wiped")
	technician.send(at+"/checklist/wiped", url.Values{"method-wiped": {"keys destroyed"}, "wiped-day": {"2026-10-21"}}, http.StatusSeeOther, "Recorded on the checklist", "Wed 21 Oct 2026", "keys destroyed")
	technician.send(at+"/checklist/shredded", nil, http.StatusUnprocessableEntity, "is no step of the checklist")
	technician.send(at+"/checklist/accounts-removed", nil, http.StatusSeeOther, "You would be the first")
	technician.send(at+"/signature", nil, http.StatusSeeOther, "you have signed", "The second signature is another person’s")
	technician.send(at+"/signature", nil, http.StatusUnprocessableEntity, "another person's")
	business.want(at+"/checklist", http.StatusOK, "You would be the second of two people")
	business.send(at+"/signature", nil, http.StatusSeeOther, "Everything is done, and two people signed")
	head.send(at+"/signature", nil, http.StatusUnprocessableEntity, "signed already")
	head.want(atRegister+"/leavers", http.StatusOK, "No checklist is open")
	newClient(t, h, "network-manager").want(at+"/checklist", http.StatusForbidden)

	// Somebody else leaves, on a day to come, and stays after all.
	const other = atRegister + "/assets/HB-LT-014"
	technician.send(other+"/leaving", nil, http.StatusUnprocessableEntity, "Enter the last day on which they are there")
	technician.send(other+"/leaving", url.Values{"leaving-day": {"2026-12-18"}}, http.StatusSeeOther, "Year 4 class teacher leaves: 4 of 4 steps to do")
	technician.want(other+"/checklist", http.StatusOK, "leaves at the end of Fri 18 Dec 2026")
	technician.send(other+"/staying", nil, http.StatusSeeOther, "they stay")
	technician.want(other+"/checklist", http.StatusNotFound)
}

// TestWhatADeviceIsIsRecorded: what it is, which laptop it is, its key, and its end.
func TestWhatADeviceIsIsRecorded(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	c := newClient(t, h, "technician")
	const at = atRegister + "/assets/HB-LT-031"
	c.send(at+"/tie", nil, http.StatusUnprocessableEntity, "Enter the name of the laptop")
	c.send(at+"/tie", url.Values{"tie": {"hb-lt-0"}}, http.StatusUnprocessableEntity, "Enter all of it")
	c.send(at+"/tie", url.Values{"tie": {"hb-lt-031"}}, http.StatusSeeOther, "it is that laptop", "hb-lt-031")
	c.send(at+"/untie", nil, http.StatusSeeOther, "it is no enrolled laptop")
	c.send(at+"/tie", url.Values{"tie": {"d-nobody"}}, http.StatusUnprocessableEntity, "No laptop of this school has that tag, name or identifier")
	c.send(at+"/tie", url.Values{"tie": {"d-031"}}, http.StatusSeeOther, "it is that laptop", "hb-lt-031")
	c.send(at+"/untie", nil, http.StatusSeeOther, "it is no enrolled laptop")
	c.send(at+"/recovery-key", url.Values{"held": {"the key itself"}}, http.StatusUnprocessableEntity, "There is a problem")
	c.send(at+"/recovery-key", url.Values{"held": {"held"}}, http.StatusSeeOther, "The school holds it")
	c.send(at+"/wipe", nil, http.StatusUnprocessableEntity, "Say how it was wiped")
	c.send(at+"/wipe", url.Values{"wipe": {"reset"}}, http.StatusSeeOther, "Wiped, as was said", "said by technician")
	c.send(at+"/investigation", url.Values{"aside": {"on"}}, http.StatusSeeOther, "Found sticks are plugged into this machine and no other")
	c.send(at+"/description", url.Values{"what": {"=HYPERLINK"}, "class": {"SM"}}, http.StatusUnprocessableEntity, "looks like a formula")
	c.send(at+"/description", url.Values{"what": {"Classbook 15"}, "class": {"SM"}, "group": {"Office"}}, http.StatusSeeOther, "Classbook 15", "School's own, shared", "Office")
	c.send(at+"/retirement", nil, http.StatusUnprocessableEntity, "Enter the day from which it is not in use")
	c.send(at+"/retirement", url.Values{"retirement": {"2026-10-01"}}, http.StatusSeeOther, "not in use from Thu 1 Oct 2026")
	c.send(atRegister+"/new", url.Values{"tag": {"hb-lt-031"}}, http.StatusUnprocessableEntity, "This tag is in the register already")
	c.send(atRegister+"/new", url.Values{"tag": {"HB-LT-023"}, "what": {"Classbook 14"}, "host": {"hb-lt-023"}}, http.StatusSeeOther, "HB-LT-023", "By its agent")
	// A tag with a slash and a space has a page of its own.
	c.want(atRegister+"/assets/"+url.PathEscape("HB/KS2 7"), http.StatusOK, "HB/KS2 7", "Classbook 13")
	// The page of a laptop leads to what may be done.
	c.want("/schools/hollybank/devices/d-014", http.StatusOK, "Year 4 class teacher ( A. Rowan )", "Hand it back", "In the register: HB-LT-014")
	newClient(t, h, "dpo").want("/schools/hollybank/devices/d-014", http.StatusOK, "In the register: HB-LT-014")
	if text := newClient(t, h, "dpo").want("/schools/hollybank/devices/d-014", http.StatusOK); strings.Contains(text, "Hand it back") {
		t.Error("the data-protection officer is offered what only the technician may do")
	}
}

// TestAListIsTriedBeforeItIsImported: trying records nothing, everything that is
// wrong is said with its line and column, and what is imported is what was shown.
func TestAListIsTriedBeforeItIsImported(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	c := newClient(t, h, "technician")
	const at = atRegister + "/import"
	c.want(at, http.StatusOK, "Try a list", "counts for 30 days")
	for content, want := range map[string]string{
		"":                                       "Choose the file",
		"tag,colour\nHB-1,red":                   "there is no such column",
		"tag,class\nHB-1,XX\n=cmd,SS\n":          "looks like a formula",
		strings.Repeat("a", register.MostList+1): "The file has more than 4 MiB",
		"tag,<b>x</b>\n1,2":                      "<b>x</b>",
	} {
		r := c.sendFile(at, "devices.csv", content, nil)
		if text := plainText(strings.ReplaceAll(r.Body.String(), "&lt;b&gt;x&lt;/b&gt;", "&lt;b>x&lt;/b>")); r.Code != http.StatusUnprocessableEntity || !strings.Contains(strings.ToLower(text), strings.ToLower(want)) {
			t.Errorf("%.40q: %d, does not say %q\n%s", content, r.Code, want, text)
		}
		if strings.Contains(r.Body.String(), "<b>x</b>") {
			t.Error("what a list says is markup")
		}
	}
	text := plainText(c.sendFile(at, "devices.csv", "tag,class\nHB-1,XX\n=cmd,SS\n", nil).Body.String())
	if !strings.Contains(text, "2 class") || !strings.Contains(text, "3 tag") {
		t.Errorf("lines and columns are not said:\n%s", text)
	}
	list := "tag,what,group\nHB-LT-014,Classbook 15,Office\nHB-LT-099,Classbook 15,Office\n"
	tried := c.sendFile(at, "devices.csv", list, nil)
	text = plainText(tried.Body.String())
	for _, want := range []string{"What it would change", "Nothing has been recorded", "New 1", "HB-LT-014 what Was Classbook 14 Would be Classbook 15"} {
		if !strings.Contains(text, want) {
			t.Errorf("what it would change is not said: %q\n%s", want, text)
		}
	}
	if len(s.keeps.changes) > 0 {
		t.Fatalf("trying recorded %+v", s.keeps.changes)
	}
	trial := hiddenValue(tried.Body.String(), "trial")
	record := url.Values{"trial": {trial}}
	newClient(t, h, "administrator").send(at+"/record", record, http.StatusUnprocessableEntity, "Choose it again") // another's
	newClient(t, h, "dpo").send(at+"/record", record, http.StatusForbidden)
	c.send(at+"/record", record, http.StatusSeeOther, "the list was imported", "HB-LT-099")
	c.send(at+"/record", record, http.StatusUnprocessableEntity, "Choose it again") // it is imported once
	if len(s.keeps.changes) != 1 || s.keeps.changes[0].What != register.Import || len(s.keeps.changes[0].Items) != 2 {
		t.Fatalf("recorded %+v", s.keeps.changes)
	}
	again := c.sendFile(at, "devices.csv", list, nil)
	if text := plainText(again.Body.String()); !strings.Contains(text, "The list says what the register says") || strings.Contains(text, "Record these changes") {
		t.Errorf("the same list again:\n%s", text)
	}
	// The register changes between trying and importing.
	trial = hiddenValue(c.sendFile(at, "devices.csv", "tag,what\nHB-LT-014,Classbook 16\n", nil).Body.String(), "trial")
	c.send(atRegister+"/assets/HB-LT-014/description", url.Values{"what": {"Classbook 17"}}, http.StatusSeeOther)
	before := len(s.keeps.changes)
	page := c.post(at+"/record", url.Values{"trial": {trial}})
	if text := plainText(page.Body.String()); page.Code != http.StatusConflict || !strings.Contains(text, "The register has changed") || !strings.Contains(text, "Was Classbook 17") || len(s.keeps.changes) != before {
		t.Errorf("%d\n%s", page.Code, text)
	}
	c.send(at+"/record", url.Values{"trial": {hiddenValue(page.Body.String(), "trial")}}, http.StatusSeeOther, "the list was imported")
	c.send(atRegister+"/lists-last", url.Values{"days": {"many"}}, http.StatusUnprocessableEntity, "Enter a number of days")
	c.send(atRegister+"/lists-last", url.Values{"days": {"14"}}, http.StatusSeeOther, "Recorded")
}

// hiddenValue is the value of a hidden field of a page.
func hiddenValue(page, name string) string {
	_, rest, _ := strings.Cut(page, `name="`+name+`" value="`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// TestAStickIsRegisteredAndFound: by what a laptop reports of it, and found again by
// what the machine that is set aside reports, with an incident offered.
func TestAStickIsRegisteredAndFound(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	c := newClient(t, h, "technician")
	const at = atRegister + "/media"
	c.want(at, http.StatusOK, "M-031", "Encrypted when last seen", "HB-LT-014 three times")
	c.send(at, url.Values{"number": {"M-044"}, "role": {"Deputy head"}, "laptop": {"hb-lt-014"}}, http.StatusUnprocessableEntity, "No medium with a serial number was in it")
	c.send(at, url.Values{"number": {"=M"}, "role": {"Deputy head"}, "laptop": {"hb-lt-022"}}, http.StatusUnprocessableEntity, "takes for a formula")
	c.send(at, nil, http.StatusUnprocessableEntity, "Give it a number", "Say to which role", "Enter the laptop")
	c.send(at, url.Values{"number": {"M-044"}, "role": {"Deputy head"}, "laptop": {"hb-lt-022"}}, http.StatusSeeOther, "M-044", "issued to Deputy head", "Never seen")
	if issued := s.keeps.changes[0].Issue; issued.Serials[0] != serial022 {
		t.Errorf("recorded %+v", issued)
	}
	c.send(at+"/M-044/erasure", nil, http.StatusUnprocessableEntity, "Say how it was erased")
	c.send(at+"/M-044/erasure", url.Values{"erasure": {"overwritten"}}, http.StatusSeeOther, "Erased, as was said", "said by technician")
	c.send(at+"/M-044/withdrawal", url.Values{"withdrawal": {"broken"}}, http.StatusSeeOther, "Not in use since", "broken")
	c.send(at+"/M-044/withdrawal", url.Values{"withdrawal": {"broken"}}, http.StatusUnprocessableEntity, "withdrawn already")
	c.want(at+"/M-999", http.StatusNotFound)

	const found = atRegister + "/found"
	dpo := newClient(t, h, "dpo")
	dpo.want(found, http.StatusOK, "Do not plug it in anywhere else", "Registered as M-031, issued to Year 4 class teacher", "Not registered, and used on laptops of the school", "Open an incident", "HB-LT-022 three times")
	dpo.want(found+"?number=M-999", http.StatusUnprocessableEntity, "No stick or disk of that number")
	dpo.want(found+"?found-day=2030-01-01&found-time=09:00", http.StatusUnprocessableEntity, "a time that lies ahead")
	dpo.want(found+"?found-day=today", http.StatusUnprocessableEntity, "Enter the day and the time")
	r := dpo.post(found+"/incident", url.Values{"serial": {serial022}, "on": {"HB-PC-001"}})
	if r.Code != http.StatusSeeOther || len(s.kept) != 1 || s.kept[0].Links[0].Digest != serial022 || s.decided[0].By != "dpo" {
		t.Errorf("an incident for what was found: %d, %+v", r.Code, s.kept)
	}
	dpo.send(found+"/incident", url.Values{"serial": {strings.Repeat("0", 64)}, "on": {"HB-PC-001"}}, http.StatusUnprocessableEntity, "It is not among what was plugged in")
	newClient(t, h, "business-manager").want(found, http.StatusForbidden)
	if r := newClient(t, h, "network-manager").post(found+"/incident", nil); r.Code != http.StatusForbidden {
		t.Errorf("the trust opens incidents: %d", r.Code)
	}
}

// TestLicencesAreSignedAsTheyWereShown: the business manager signs for the count on
// the page, and for no other.
func TestLicencesAreSignedAsTheyWereShown(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	business, technician := newClient(t, h, "business-manager"), newClient(t, h, "technician")
	const at = atRegister + "/licences"
	business.want(at, http.StatusOK, "Sketch Studio", "1 of 1 bought", "Of 2 devices it is not known")
	page := business.get(at + "/sketch%20studio")
	if text := plainText(page.Body.String()); !strings.Contains(text, "A spare") || !strings.Contains(text, "Retired on 2026-09-01") {
		t.Errorf("what does not count is not explained:\n%s", text)
	}
	business.send(at+"/sketch%20studio/signature", url.Values{"shown": {"1"}}, http.StatusUnprocessableEntity, "Say for which term")
	technician.send(at+"/sketch%20studio/exclusion", url.Values{"counts": {"d-022"}}, http.StatusSeeOther, "2 of 1 licences are in use: more than were bought")
	business.send(at+"/sketch%20studio/signature", url.Values{"shown": {"1"}, "term": {"autumn 2026"}}, http.StatusUnprocessableEntity, "the count has changed since")
	business.send(at+"/sketch%20studio/signature", url.Values{"shown": {"2"}, "term": {"autumn 2026"}}, http.StatusSeeOther, "Last signed for autumn 2026 : 2 of 1, by business-manager")
	technician.send(at+"/sketch%20studio/exclusion", url.Values{"device": {"hb-lt-014"}}, http.StatusUnprocessableEntity, "Say why it does not count")
	technician.send(at+"/sketch%20studio/exclusion", url.Values{"device": {"hb-lt-014"}, "why": {"a loan from the trust"}}, http.StatusSeeOther, "A loan from the trust.")
	technician.send(at, url.Values{"product": {"Map Maker"}, "bought": {"-3"}}, http.StatusUnprocessableEntity, "as a number", "Enter the name of the installed program")
	technician.send(at, url.Values{"product": {"Map Maker"}, "bought": {"30"}, "programs": {"map maker*\r\nmapmaker viewer\r\n"}}, http.StatusSeeOther, "Map Maker", "of 30 licences", "“ mapmaker viewer ”")
	for name, path := range map[string]string{"dpo": at + "/sketch%20studio/signature", "business-manager": at, "governor": at + "/sketch%20studio/signature"} {
		if r := newClient(t, h, name).post(path, nil); r.Code != http.StatusForbidden {
			t.Errorf("%s at %s: %d", name, path, r.Code)
		}
	}
}

// TestRulesOfUseAndNotices: who acknowledged is recorded, and what guests are told.
func TestRulesOfUseAndNotices(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	c := newClient(t, h, "technician")
	c.want(atRegister+"/rules-of-use", http.StatusOK, "Year 4 class teacher ( A. Rowan )", "2026")
	if text := newClient(t, h, "business-manager").want(atRegister+"/rules-of-use", http.StatusOK, "Year 4 class teacher"); strings.Contains(text, "Rowan") {
		t.Error("the business manager reads a name")
	}
	c.send(atRegister+"/rules-of-use", url.Values{"person": {"-x"}}, http.StatusUnprocessableEntity, "Say which role", "takes for a formula")
	c.send(atRegister+"/rules-of-use", url.Values{"role": {"Deputy head"}, "version": {"2026"}, "given-day": {"2026-09-04"}}, http.StatusSeeOther, "Deputy head")
	c.send(atRegister+"/guest-notices", nil, http.StatusUnprocessableEntity, "Give it a version", "Write what guests are told")
	c.send(atRegister+"/guest-notices", url.Values{"version": {"2026-09"}, "text": {"Another."}}, http.StatusUnprocessableEntity, "recorded already")
	c.send(atRegister+"/guest-notices", url.Values{"version": {"2026-11"}, "text": {"One line.\r\n<script>alert(1)</script>"}}, http.StatusSeeOther, "In use: 2026-11", "One line.")
	if body := c.get(atRegister + "/guest-notices").Body.String(); strings.Contains(body, "<script>alert") {
		t.Error("what was typed is markup")
	}
}

// TestHostileNamesInTheRegister: what people type is text on every page.
func TestHostileNamesInTheRegister(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	c := newClient(t, h, "technician")
	const nasty = `<img src=x onerror=alert(1)>"'`
	c.send(atRegister+"/new", url.Values{"tag": {nasty}, "what": {nasty}, "group": {nasty}}, http.StatusSeeOther)
	at := atRegister + "/assets/" + url.PathEscape(nasty)
	c.send(at+"/allocation", url.Values{"role": {nasty}, "person": {nasty}, "condition": {nasty}}, http.StatusSeeOther)
	c.send(at+"/leaving", url.Values{"leaving-day": {"2026-10-23"}}, http.StatusSeeOther)
	for _, path := range []string{atRegister, at, at + "/checklist", at + "/allocation", atRegister + "/leavers", atRegister + "?q=" + url.QueryEscape(nasty)} {
		r := c.get(path)
		if r.Code != http.StatusOK || strings.Contains(r.Body.String(), "<img") || !strings.Contains(r.Body.String(), "&lt;img") {
			t.Errorf("%s: %d, or the name is markup", path, r.Code)
		}
	}
}

func FuzzReadUpload(f *testing.F) {
	f.Add([]byte("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\ntag\nHB-1\r\n--b\r\nContent-Disposition: form-data; name=\"as-of-day\"\r\n\r\n2026-09-01\r\n--b--\r\n"))
	f.Add([]byte("--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n" + strings.Repeat("y", 5000) + "\r\n--b--\r\n"))
	f.Add([]byte("--b\r\n\r\n--b--"))
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		u, err := readUpload(httptest.NewRecorder(), r, "file", 100)
		if len(u.data) > 100 || u.long && u.data != nil {
			t.Errorf("%d bytes of a file that may have 100", len(u.data))
		}
		for name, values := range u.fields {
			for _, v := range values {
				if len(v) > mostPart && err == nil {
					t.Errorf("%q has %d bytes", name, len(v))
				}
			}
		}
	})
}
