package web

import (
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/shared/posture"
)

const at = "/schools/hollybank/settings"

// settled is a site with its school, and the accounts of its people.
func settled(t *testing.T) (*school, http.Handler, *access.Access) {
	t.Helper()
	s := newSchool(t)
	h, a := newSite(t, s, false)
	return s, h, a
}

// says checks that the answer to a form has a status and says some words.
func says(t *testing.T, r *httptest.ResponseRecorder, status int, words ...string) string {
	t.Helper()
	text := plainText(r.Body.String())
	if r.Code != status {
		t.Errorf("got status %d, want %d: %s", r.Code, status, text)
	}
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("the page does not say %q: %s", w, text)
		}
	}
	return text
}

// accountOf finds an account by its name.
func accountOf(t *testing.T, a *access.Access, name string) access.Account {
	t.Helper()
	account, ok := a.Named(name)
	if !ok {
		t.Fatalf("there is no account %s", name)
	}
	return account
}

// TestAPersonIsAddedAndTheirRolesKept by an administrator of the school, from an
// account that is made to one that is removed; and each of it is written down.
func TestAPersonIsAddedAndTheirRolesKept(t *testing.T) {
	_, h, a := settled(t)
	admin := newClient(t, h, "administrator")
	says(t, admin.post(at+"/people", url.Values{"name": {"Jo Finch"}}), http.StatusUnprocessableEntity, "Choose what the person does at the school.")
	says(t, admin.post(at+"/people", url.Values{"name": {"robin"}, "role": {"dpo"}}), http.StatusUnprocessableEntity, `there is an account named "robin"`)
	says(t, admin.post(at+"/people", url.Values{"name": {"<b>"}, "role": {"dpo"}}), http.StatusUnprocessableEntity, "only letters, digits, spaces")
	page := admin.post(at+"/people", url.Values{"name": {"Jo Finch"}, "role": {"dpo"}})
	says(t, page, http.StatusOK, "The account of Jo Finch is made.", "choose a password of their own")
	first := html.UnescapeString(regexp.MustCompile(`The first password: <code>([^<]*)</code>`).FindStringSubmatch(page.Body.String())[1])
	if strings.Contains(admin.get(at+"/people").Body.String(), first) {
		t.Error("the first password is shown again")
	}
	jo := newClient(t, h, "")
	if r := jo.post("/sign-in", url.Values{"name": {"jo finch"}, "password": {first}}); r.Code != http.StatusSeeOther {
		t.Fatalf("sign in with the first password: %d", r.Code)
	}
	if r := jo.get("/schools/hollybank"); r.Header().Get("Location") != "/account/password" {
		t.Errorf("before a password is chosen: %d to %s", r.Code, r.Header().Get("Location"))
	}
	if r := jo.post("/account/password", url.Values{"new": {"seven pebbles of slate"}, "again": {"seven pebbles of slate"}}); r.Code != http.StatusSeeOther {
		t.Fatalf("choose a password: %d %s", r.Code, plainText(r.Body.String()))
	}
	jo.want("/schools/hollybank", http.StatusOK, "63 devices")
	person := at + "/people/" + accountOf(t, a, "Jo Finch").ID
	says(t, admin.post(person+"/roles/end", url.Values{"role": {"dpo"}}), http.StatusUnprocessableEntity, "This is their only role")
	says(t, admin.post(person+"/roles", url.Values{"role": {"emperor"}}), http.StatusUnprocessableEntity, "is not a role")
	if r := admin.post(person+"/roles", url.Values{"role": {"governor"}}); r.Code != http.StatusSeeOther {
		t.Errorf("give a role: %d", r.Code)
	}
	if r := admin.post(person+"/roles/end", url.Values{"role": {"dpo"}}); r.Code != http.StatusSeeOther {
		t.Errorf("take a role: %d", r.Code)
	}
	if r := jo.get("/schools/hollybank"); r.Code != http.StatusForbidden {
		t.Errorf("who is governor now has the overview: %d", r.Code)
	}
	admin.want(person, http.StatusOK, "role taken away dpo", "role given governor", "account made dpo")
	if r := admin.post(person+"/removal", nil); r.Code != http.StatusSeeOther || r.Header().Get("Location") != at+"/people?done=removed" {
		t.Errorf("remove: %d", r.Code)
	}
	if r := jo.get("/schools/hollybank/terms"); r.Code != http.StatusSeeOther {
		t.Errorf("an account that is gone is signed in: %d", r.Code)
	}
	newClient(t, h, "head").want(at+"/sign-in-changes", http.StatusOK, "Jo Finch account removed By administrator")
}

// TestNobodyRaisesThemselves, reaches another school's people, or leaves the
// school without anybody who may say who signs in.
func TestNobodyRaisesThemselves(t *testing.T) {
	_, h, a := settled(t)
	admin := newClient(t, h, "administrator")
	own := at + "/people/" + accountOf(t, a, "administrator").ID
	admin.want(own, http.StatusOK, "Nobody gives a role to themselves")
	for _, path := range []string{own + "/roles", own + "/roles/end", own + "/removal"} {
		says(t, admin.post(path, url.Values{"role": {"head"}}), http.StatusUnprocessableEntity, "Nobody gives a role to themselves")
	}
	everywhere := at + "/people/" + accountOf(t, a, "head everywhere").ID
	admin.want(everywhere, http.StatusOK, "At every school: it is taken away on the collector")
	says(t, admin.post(everywhere+"/removal", nil), http.StatusUnprocessableEntity, "has a role at another school too")
	says(t, admin.post(everywhere+"/roles/end", url.Values{"role": {"head"}}), http.StatusUnprocessableEntity, "does not have this role")
	if _, _, err := a.CreateAccount(t.Context(), access.NewAccount{Name: "far away", Password: password, Grants: []access.Grant{{School: oakfield, Role: access.Head}}}); err != nil {
		t.Fatal(err)
	}
	far := accountOf(t, a, "far away").ID
	for _, path := range []string{"/people/" + far, "/people/" + url.PathEscape("far away"), "/people/nobody"} {
		if r := admin.get(at + path); r.Code != http.StatusNotFound {
			t.Errorf("%s: got %d", path, r.Code)
		}
		if r := admin.post(at+path+"/roles", url.Values{"role": {"head"}}); r.Code != http.StatusNotFound {
			t.Errorf("%s: got %d", path, r.Code)
		}
	}
	for _, role := range []string{"head", "dpo"} {
		c := newClient(t, h, role)
		c.want(at+"/people/robin", http.StatusOK, "Roles at this school")
		if text := plainText(c.get(at + "/people").Body.String()); strings.Contains(text, "Add a person") {
			t.Errorf("%s is offered to add a person", role)
		}
	}
	if got := accountOf(t, a, "administrator").Grants; len(got) != 1 {
		t.Errorf("the administrator is %v now", got)
	}
}

// TestATokenIsShownOnce, and taken back with a reason.
func TestATokenIsShownOnce(t *testing.T) {
	s, h, _ := settled(t)
	c := newClient(t, h, "technician")
	c.want(at+"/tokens", http.StatusOK, "Admits laptops", "12 of 30 laptops", "group trolley-b", "Used up", "Taken back")
	text := says(t, c.post(at+"/tokens", url.Values{"uses": {"0"}, "days": {"many"}, "class": {"visitor-owned"}, "groups": {"year-4, " + strings.Repeat("x", 200)}}), http.StatusUnprocessableEntity,
		"Enter how many laptops", "Enter for how many days", "Choose whose the laptops are", "is no name of a group")
	if !strings.Contains(text, "Error:") {
		t.Error("the errors are not announced")
	}
	says(t, c.post(at+"/tokens", url.Values{"uses": {"2"}, "days": {"3"}, "class": {"school-multi-user"}, "groups": {"refuse this"}}), http.StatusUnprocessableEntity, "There is no such group.")
	page := c.post(at+"/tokens", url.Values{"uses": {"2"}, "days": {"3"}, "class": {"school-multi-user"}, "groups": {" year-4,,trolley  b "}, "personal": {"yes"}})
	says(t, page, http.StatusOK, "Copy it now: it is not shown again.", "ctk1-abcdefgh", "It admits 2 laptops")
	want := NewToken{Uses: 2, Lasts: 72 * time.Hour, Class: posture.SchoolMultiUser, PersonalUse: true, Groups: []string{"year-4", "trolley b"}}
	if got := s.office.made; len(got) != 1 || got[0].Uses != want.Uses || got[0].Lasts != want.Lasts || !got[0].PersonalUse || !slices.Equal(got[0].Groups, want.Groups) || s.office.by[0] != "technician" {
		t.Errorf("made %+v by %v", got, s.office.by)
	}
	if strings.Contains(c.get(at+"/tokens").Body.String(), "ctk1-") {
		t.Error("the token is shown again")
	}
	says(t, c.post(at+"/tokens/"+deskToken+"/end", nil), http.StatusUnprocessableEntity, "Say in a few words why")
	if r := c.post(at+"/tokens/"+deskToken+"/end", url.Values{"reason": {"left in the staff room"}}); r.Code != http.StatusSeeOther {
		t.Errorf("taking it back: %d", r.Code)
	}
	if s.office.tokens[0].State != admission.TokenTakenBack {
		t.Error("it admits laptops still")
	}
	says(t, c.post(at+"/tokens/"+deskToken+"/end", url.Values{"reason": {"again"}}), http.StatusUnprocessableEntity, "admits nothing any more already")
	if r := c.post(at+"/tokens/ffffffffffffffff/end", url.Values{"reason": {"x"}}); r.Code != http.StatusNotFound {
		t.Errorf("of a token that there is not: %d", r.Code)
	}
}

// TestAKeyReachesNoFurther than who makes it, at this school alone.
func TestAKeyReachesNoFurther(t *testing.T) {
	_, h, a := settled(t)
	tech, admin := newClient(t, h, "technician"), newClient(t, h, "administrator")
	says(t, tech.post(at+"/keys", url.Values{"label": {""}, "role": {"dpo"}, "days": {"0"}}), http.StatusUnprocessableEntity, "what the key is for", "one of your own roles", "from 1 to 366")
	page := tech.post(at+"/keys", url.Values{"label": {"the office dashboard"}, "role": {"technician"}, "days": {"30"}})
	says(t, page, http.StatusOK, "is not shown again")
	text := regexp.MustCompile(`ctp1-[a-z2-7]+-[a-z2-7]+`).FindString(page.Body.String())
	account, err := a.OpenKey(text)
	if err != nil || !slices.Equal(account.Grants, []access.Grant{{School: hollybank, Role: access.Technician}}) {
		t.Fatalf("the key opens %+v, %v", account.Grants, err)
	}
	if strings.Contains(newClient(t, h, "dpo").get(at+"/keys").Body.String(), "the office dashboard") {
		t.Error("the key of another is listed for somebody who does not keep the accounts")
	}
	id := a.Keys()[0].ID
	if r := newClient(t, h, "dpo").post(at+"/keys/"+id+"/end", nil); r.Code != http.StatusUnprocessableEntity || len(a.Keys()) != 1 {
		t.Errorf("the dpo took another's key back: %d", r.Code)
	}
	admin.want(at+"/keys", http.StatusOK, "the office dashboard", "technician")
	if r := admin.post(at+"/keys/"+id+"/end", nil); r.Code != http.StatusSeeOther || len(a.Keys()) != 0 {
		t.Errorf("the administrator did not take the key back: %d", r.Code)
	}
	admin.want(at+"/people", http.StatusOK, "key for a program made the office dashboard", "key for a program taken back the office dashboard")
}

// TestTheTermCalendar is checked before it is set, says what is wrong by line,
// and takes a day on which the school is closed.
func TestTheTermCalendar(t *testing.T) {
	s, h, _ := settled(t)
	c := newClient(t, h, "head")
	c.want(at+"/calendar", http.StatusOK, "Today is a school day (Autumn term)", "September 2026 to August 2027", "October half-term", "Training day", "Mon 2 Nov 2026", "as the governors agreed")
	c.want(at+"/calendar?year=2031", http.StatusOK, "September 2031 to August 2032", "No calendar speaks of it")
	bad := "name: x\nzone: Europe/Lundon\nfrom: 2027-09-01\nto: 2027-02-30\nterms: []\n"
	text := says(t, c.post(at+"/calendar", url.Values{"source": {bad}, "act": {"set"}}), http.StatusUnprocessableEntity, "Line 2:", "Line 4:")
	if !strings.Contains(text, "zone: Europe/Lundon") {
		t.Error("what was typed is lost")
	}
	good := "name: Next year\nzone: Europe/London\nfrom: 2027-09-01\nto: 2028-08-31\nterms:\n  - {name: Autumn term, from: 2027-09-06, to: 2027-12-17}\n"
	says(t, c.post(at+"/calendar?year=2027", url.Values{"source": {good}, "act": {"check"}}), http.StatusOK, "Nothing is wrong with it.", "is not set yet", "Mon 6 Sep 2027")
	if len(s.office.rows) != 1 {
		t.Fatal("checking it set it")
	}
	if r := c.post(at+"/calendar", url.Values{"source": {strings.ReplaceAll(good, "\n", "\r\n")}, "act": {"set"}}); r.Code != http.StatusSeeOther {
		t.Fatalf("setting it: %d", r.Code)
	}
	if s.office.rows[0].Source != good {
		t.Errorf("set: %q", s.office.rows[0].Source)
	}
	for day, words := range map[string]string{
		"": "Enter the day", "2026-10-27": "closed on this day already", "2026-11-21": "closed on this day already", "2035-01-01": "No calendar speaks of this day",
	} {
		says(t, c.post(at+"/calendar/closed-day", url.Values{"day": {day}, "name": {"Snow"}}), http.StatusUnprocessableEntity, words)
	}
	says(t, c.post(at+"/calendar/closed-day", url.Values{"day": {"2026-11-23"}}), http.StatusUnprocessableEntity, "Enter what the day is")
	for _, day := range []string{"2026-11-23", "2026-11-27", "2027-01-05"} { // a Monday, a Friday, the first of a term
		if r := c.post(at+"/calendar/closed-day", url.Values{"day": {day}, "name": {`Snow: "deep"`}}); r.Code != http.StatusSeeOther {
			t.Errorf("%s: %d %s", day, r.Code, plainText(r.Body.String()))
		}
	}
	c.want(at+"/calendar", http.StatusOK, `Closed Snow: "deep" From Mon 23 Nov 2026 To Mon 23 Nov 2026`, `From Fri 27 Nov 2026`, "Closed Snow: \"deep\" From Tue 5 Jan 2027", "From Tue 24 Nov 2026 To Thu 26 Nov 2026")
	if r := newClient(t, h, "technician").post(at+"/calendar", url.Values{"source": {good}}); r.Code != http.StatusForbidden {
		t.Errorf("a technician sets the calendar: %d", r.Code)
	}
}

// TestACalendarIsTakenFromAFile in place of what stands in the box.
func TestACalendarIsTakenFromAFile(t *testing.T) {
	s, h, _ := settled(t)
	c := newClient(t, h, "administrator")
	body := "--x\r\nContent-Disposition: form-data; name=\"source\"\r\n\r\nold\r\n--x\r\nContent-Disposition: form-data; name=\"act\"\r\n\r\nset\r\n" +
		"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"c.yaml\"\r\n\r\nname: From a file\nzone: Europe/London\nfrom: 2027-09-01\nto: 2028-08-31\nterms:\n  - {name: T, from: 2027-09-06, to: 2027-12-17}\n\r\n--x--\r\n"
	r := httptest.NewRequest(http.MethodPost, at+"/calendar", strings.NewReader(body))
	r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if w := c.do(r); w.Code != http.StatusSeeOther || s.office.rows[0].Name != "From a file" {
		t.Errorf("got %d, and %q is set", w.Code, s.office.rows[0].Name)
	}
}

// TestHowLongThingsAreKept is confirmed, looked at beforehand, and changed.
func TestHowLongThingsAreKept(t *testing.T) {
	s, h, _ := settled(t)
	c := newClient(t, h, "head")
	c.want(at+"/retention", http.StatusOK, "The school has not said yet", "They are right as they are", "June 2026", "214")
	says(t, c.post(at+"/retention", url.Values{"act": {"set"}, "time-media": {"90 days"}}), http.StatusUnprocessableEntity, "Nothing is changed.")
	says(t, c.post(at+"/retention", url.Values{"act": {"set"}, "time-media": {"60 days"}}), http.StatusUnprocessableEntity, "Say in a few words why")
	page := c.post(at+"/retention", url.Values{"act": {"set"}, "time-media": {"5 days"}, "reason": {"less"}})
	says(t, page, http.StatusUnprocessableEntity, "5 days is less than 31 days, the least")
	if !strings.Contains(page.Body.String(), `href="#time-media"`) || !strings.Contains(page.Body.String(), `value="5 days"`) {
		t.Error("the error is not at its field, or what was typed is lost")
	}
	says(t, c.post(at+"/retention", url.Values{"act": {"look"}, "on": {"2026-12-24"}, "time-media": {"60 days"}}), http.StatusOK, "What would be forgotten by Thu 24 Dec 2026", "August 2026", "77", "Nothing was changed")
	says(t, c.post(at+"/retention", url.Values{"act": {"look"}, "on": {"soon"}}), http.StatusUnprocessableEntity, "Enter a day.")
	if len(s.office.times) != 0 {
		t.Fatalf("looking changed %v", s.office.times)
	}
	if r := c.post(at+"/retention", url.Values{"act": {"confirm"}}); r.Code != http.StatusSeeOther || s.office.times["incidents"] != "6 years" {
		t.Errorf("confirming: %d, %v", r.Code, s.office.times)
	}
	if text := plainText(c.get(at + "/retention").Body.String()); strings.Contains(text, "has not said yet") {
		t.Error("what was confirmed is not said")
	}
	if r := newClient(t, h, "dpo").post(at+"/retention", url.Values{"act": {"confirm"}}); r.Code != http.StatusForbidden {
		t.Errorf("the dpo says how long things are kept: %d", r.Code)
	}
}

// TestWhoIsTold is added, tested and removed; what holds for every school is
// changed by nobody who is administrator at one alone, and no secret is shown.
func TestWhoIsTold(t *testing.T) {
	s, h, _ := settled(t)
	c, every := newClient(t, h, "administrator"), newClient(t, h, "administrator everywhere")
	c.want(at+"/notices", http.StatusOK, "office@hollybank.example", "Not since Fri 23 Oct 2026 14:12 BST", "The server does not answer.", "changed by who looks after every school")
	says(t, c.post(at+"/notices", url.Values{"kind": {"pigeon"}}), http.StatusUnprocessableEntity, "Choose how.")
	says(t, c.post(at+"/notices", url.Values{"kind": {"mail"}, "role": {"governor"}}), http.StatusUnprocessableEntity, "Choose what is told.")
	says(t, c.post(at+"/notices", url.Values{"kind": {"mail"}, "role": {"head"}}), http.StatusUnprocessableEntity, "Enter where notices go.")
	says(t, c.post(at+"/notices", url.Values{"kind": {"webhook"}, "role": {"head"}, "address": {"https://x.example/secret-path"}, "secret": {"short"}}), http.StatusUnprocessableEntity, "secret of at least 16 characters")
	if r := c.post(at+"/notices", url.Values{"kind": {"mail"}, "role": {"head"}, "address": {"head@hollybank.example"}}); r.Code != http.StatusSeeOther {
		t.Errorf("adding: %d", r.Code)
	}
	if r := c.post(at+"/notices/new/test", nil); r.Code != http.StatusSeeOther || !slices.Equal(s.office.tested, []string{"new"}) {
		t.Errorf("testing: %d, %v", r.Code, s.office.tested)
	}
	for _, deed := range []string{"test", "end"} {
		if r := c.post(at+"/notices/e5f6a7b8/"+deed, nil); r.Code != http.StatusForbidden {
			t.Errorf("%s of what is told of every school: %d", deed, r.Code)
		}
		if r := c.post(at+"/notices/ffffffff/"+deed, nil); r.Code != http.StatusNotFound {
			t.Errorf("%s of what there is not: %d", deed, r.Code)
		}
	}
	says(t, every.post(at+"/notices/e5f6a7b8/test", nil), http.StatusUnprocessableEntity, "The test could not be delivered.")
	if r := c.post(at+"/notices/new/end", nil); r.Code != http.StatusSeeOther || len(s.office.ways) != 2 {
		t.Errorf("removing: %d, %v", r.Code, s.office.ways)
	}
	server := url.Values{"mail": {"smtp.other.example:465"}, "protection": {"tls"}, "from": {"c@other.example"}, "user": {"c"}, "mail-password": {"walnut-secret"}, "digest": {"08:00"}}
	says(t, c.post(at+"/notices/server", server), http.StatusUnprocessableEntity, "administrator at each of them")
	if s.office.server.Mail != "smtp.hollybank.example:587" {
		t.Fatal("an administrator of one school changed what holds for every one")
	}
	if r := every.post(at+"/notices/server", server); r.Code != http.StatusSeeOther || s.office.server.Password != "walnut-secret" {
		t.Errorf("setting the server: %d", r.Code)
	}
	if strings.Contains(every.get(at+"/notices").Body.String(), "walnut-secret") {
		t.Error("a password is shown")
	}
	server["mail"] = []string{"nonsense"}
	page := every.post(at+"/notices/server", server)
	says(t, page, http.StatusUnprocessableEntity, "not of the form HOST:PORT")
	if strings.Contains(page.Body.String(), "walnut-secret") || !strings.Contains(page.Body.String(), "c@other.example") {
		t.Error("a password is shown, or what was typed is lost")
	}
}

// TestSettingUp asks what is not answered, on the overview too, and of nobody who
// cannot answer it.
func TestSettingUp(t *testing.T) {
	s, h, _ := settled(t)
	s.office.choices, s.office.rows, s.office.ways = Choices{}, nil, nil
	admin := newClient(t, h, "administrator")
	admin.want(at+"/set-up", http.StatusOK, "Nobody has chosen", "There is no term calendar", "Nobody is told of breaches.", "has not said yet that this is right", "63 laptops joined")
	admin.want("/schools/hollybank", http.StatusOK, "Set up :", "Term calendar", "Who is told")
	if text := plainText(newClient(t, h, "technician").get("/schools/hollybank").Body.String()); strings.Contains(text, "Set up :") {
		t.Error("a technician is asked to set the school up")
	}
	admin.want(at, http.StatusOK, "Set up", "There is no term calendar", "Nobody is told of breaches.", "As shipped:")
	page := admin.get(at + "/set-up").Body.String()
	for _, link := range regexp.MustCompile(`href="(/schools/hollybank/[^"]*)"`).FindAllStringSubmatch(page, -1) {
		if r := admin.get(link[1]); r.Code != http.StatusOK {
			t.Errorf("a step leads to %s: %d", link[1], r.Code)
		}
	}
}

// TestHealthIsSaidInWords, with what is not known as that.
func TestHealthIsSaidInWords(t *testing.T) {
	s, h, _ := settled(t)
	c := newClient(t, h, "technician")
	c.want(at+"/health", http.StatusOK, "1 thing needs somebody.", "41.3 GB are free", "Verified with its first 5100 entries Thu 15 Oct 2026", "They do not arrive on 1 of 2 ways.", "37 laptops are connected now.", "It is good until Wed 23 Dec 2026")
	s.office.report.Verified = nil
	c.want(at+"/health", http.StatusOK, "Not known It was never verified")
	if r := newClient(t, h, "governor").get(at + "/health"); r.Code != http.StatusForbidden {
		t.Errorf("a governor: %d", r.Code)
	}
}

// TestNothingIsSetForAnotherSite whatever it sends.
func TestNothingIsSetForAnotherSite(t *testing.T) {
	s, h, a := settled(t)
	c := newClient(t, h, "administrator everywhere")
	people, keys := len(a.Accounts()), len(a.Keys())
	for _, route := range settingRoutes() {
		method, path := example(route.pattern, "hollybank")
		if method != http.MethodPost {
			continue
		}
		r := httptest.NewRequest(method, path, strings.NewReader(url.Values{
			"name": {"Jo"}, "role": {"head"}, "label": {"x"}, "days": {"3"}, "uses": {"3"}, "class": {"school-multi-user"}, "reason": {"x"}, "act": {"confirm"}, "kind": {"mail"}, "address": {"x@y.example"},
		}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		if w := c.do(r); w.Code != http.StatusForbidden {
			t.Errorf("%s: got %d", route.pattern, w.Code)
		}
	}
	if len(a.Accounts()) != people || len(a.Keys()) != keys || len(s.office.made) != 0 || len(s.office.by) != 0 || len(s.office.ways) != 2 {
		t.Error("something was set")
	}
}
