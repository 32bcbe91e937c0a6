package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/concern"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
)

const reportsAt = "/report/k7qm2-xhd4r"

func lostOnTheTrain() url.Values {
	return url.Values{"kind": {"lost"}, "thing": {"HB-LT-014"}, "reason": {"Left on the 16:20 train."}, "from": {"Alex Rowan"}, "reach": {"01632 960 014"}}
}

// TestAnybodyReportsWithoutSigningIn: what was typed is recorded as the word of
// somebody who is not signed in, nothing is lost or opened by it, and the page
// says what follows.
func TestAnybodyReportsWithoutSigningIn(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	c := newClient(t, h, "")
	c.want(reportsAt, http.StatusOK, "Hollybank Primary School", "Report something lost or suspicious", "Removable media.", "It never looks at documents", "caretaker-agent status", "If it cannot wait")
	c.want("/report/K7QM2XHD4R", http.StatusOK, "Hollybank Primary School") // as somebody types it
	r := c.post(reportsAt, lostOnTheTrain())
	if r.Code != http.StatusSeeOther || r.Header().Get("Location") != reportsAt+"/ZZZZ-0001" || len(s.decided) != 1 {
		t.Fatalf("reporting led to %d %s: %s", r.Code, r.Header().Get("Location"), plainText(r.Body.String()))
	}
	d := s.decided[0]
	if d.Kind != decision.Concern || d.By != decision.NotSignedIn || d.Reason != "Left on the 16:20 train." || *d.Concern != (concern.Told{Thing: "HB-LT-014", From: "Alex Rowan", Reach: "01632 960 014"}) || !d.At.Equal(now) {
		t.Errorf("recorded %+v", d)
	}
	if len(s.kept) != 0 {
		t.Errorf("a stranger opened %+v", s.kept)
	}
	c.want(reportsAt+"/ZZZZ-0001", http.StatusOK, "Your report was taken", "ZZZZ-0001", "within a quarter of an hour", "72 hours")
	for _, wrong := range []string{"/report/00000-00000", "/report/..%2f", "/report/" + strings.Repeat("0", 4000), reportsAt + "/nothing"} {
		c.want(wrong, http.StatusNotFound, "This page does not exist")
	}
	staff := newClient(t, h, "staff")
	staff.want(reportsAt, http.StatusOK, "You are signed in as staff")
	if staff.post(reportsAt, lostOnTheTrain()); s.decided[1].By != "staff" {
		t.Errorf("recorded as of %s", s.decided[1].By)
	}
}

// TestWhatIsWrongWithAReportIsSaidAndNothingIsLost: at the field, with all else
// as it was typed.
func TestWhatIsWrongWithAReportIsSaidAndNothingIsLost(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	c := newClient(t, h, "")
	for _, wrong := range []struct{ field, value, words string }{
		{"kind", "", "Choose what it is about"},
		{"kind", "on fire", "Choose what it is about"},
		{"reason", " \n ", "Say in a few words"},
		{"reason", strings.Repeat("é", concern.MostWords+1), "at most 1,500"},
		{"reason", "x\x00", "cannot be seen"},
		{"thing", strings.Repeat("x", concern.MostThing+1), "at most 80"},
		{"from", "\u202eRowan", "cannot be seen"},
		{"reach", "a\tb", "cannot be seen"},
	} {
		form := lostOnTheTrain()
		form.Set(wrong.field, wrong.value)
		r := c.post(reportsAt, form)
		text := plainText(r.Body.String())
		if r.Code != http.StatusUnprocessableEntity || !strings.Contains(text, wrong.words) || !strings.Contains(r.Body.String(), "<title>Error: ") {
			t.Errorf("%s %.20q was answered with %d: %.400s", wrong.field, wrong.value, r.Code, text)
		}
		for field, typed := range map[string]string{"thing": "HB-LT-014", "reach": "01632 960 014", "reason": "Left on the 16:20 train."} {
			if field != wrong.field && !strings.Contains(r.Body.String(), typed) {
				t.Errorf("after a wrong %s what was typed as %s is gone", wrong.field, field)
			}
		}
	}
	if len(s.decided) != 0 {
		t.Errorf("recorded %+v", s.decided)
	}
}

// TestAReportTellsNothingOfWhichLaptopsThereAre: the same answer, to the byte,
// whether the school has such a laptop, and such a report, or not.
func TestAReportTellsNothingOfWhichLaptopsThereAre(t *testing.T) {
	answers := map[string]bool{}
	for _, thing := range []string{"HB-LT-014", "HB-LT-999", "d-014", ""} {
		h, _ := newSite(t, newSchool(t), false)
		form := lostOnTheTrain()
		form.Set("thing", thing)
		r := newClient(t, h, "").post(reportsAt, form)
		answers[fmt.Sprint(r.Code, r.Header().Get("Location"), r.Body)] = true
	}
	if len(answers) != 1 {
		t.Errorf("the answers differ: %v", answers)
	}
	h, _ := newSite(t, newSchool(t), false)
	c := newClient(t, h, "")
	there, none := c.get(reportsAt+"/K7QM-2XHD").Body.String(), c.get(reportsAt+"/Q7QM-2XHD").Body.String()
	if strings.ReplaceAll(there, "K7QM", "Q7QM") != none {
		t.Error("the page of a report that there is says something else than that of one there is not")
	}
}

// TestAFloodKeepsNobodyElseFromReporting: one address has its share, those around
// it theirs, and strangers together theirs; who has signed in reports all the
// same. Who is turned away is told so, and whom to ring, and has not lost what
// they typed.
func TestAFloodKeepsNobodyElseFromReporting(t *testing.T) {
	s := newSchool(t)
	clock := clocktest.NewDriven(now)
	h, _ := newSiteAt(t, clock, s, &standing{}, false)
	from := func(address string) *httptest.ResponseRecorder {
		c := newClient(t, h, "")
		c.address = address
		return c.post(reportsAt, lostOnTheTrain())
	}
	taken := 0
	for range 40 {
		if from("198.51.100.7:1").Code == http.StatusSeeOther {
			taken++
		}
	}
	r := from("198.51.100.7:1")
	if text := plainText(r.Body.String()); taken != 8 || r.Code != http.StatusTooManyRequests || r.Header().Get("Retry-After") == "" ||
		!strings.Contains(text, "Ring the school") || !strings.Contains(text, "Left on the 16:20 train.") {
		t.Errorf("of one address %d were taken, then %d: %.400s", taken, r.Code, text)
	}
	if got := from("203.0.113.9:1").Code; got != http.StatusSeeOther {
		t.Errorf("a report from elsewhere was answered with %d", got)
	}
	clock.Advance(5 * time.Minute)
	if got := from("198.51.100.7:1").Code; got != http.StatusSeeOther {
		t.Errorf("five minutes later: %d", got)
	}

	taken = 0
	for i := range 250 { // of one who has a whole block of addresses
		if from(fmt.Sprintf("[2001:db8:1:%x::1]:1", i)).Code == http.StatusSeeOther {
			taken++
		}
	}
	if taken > 40 {
		t.Errorf("of one block of addresses %d were taken", taken)
	}
	if got := from("203.0.113.9:1").Code; got != http.StatusSeeOther {
		t.Errorf("a report from elsewhere was answered with %d", got)
	}

	for i := range 250 { // of one who has many
		from(fmt.Sprintf("10.%d.0.1:1", i))
	}
	if got := from("203.0.113.9:1").Code; got != http.StatusTooManyRequests {
		t.Errorf("strangers together have no bound: %d", got)
	}
	if got := newClient(t, h, "staff").post(reportsAt, lostOnTheTrain()).Code; got != http.StatusSeeOther {
		t.Errorf("somebody who has signed in was answered with %d", got)
	}
}

// TestAReportThatCannotBeTakenSaysSo: because too much waits, or because nothing
// can be recorded.
func TestAReportThatCannotBeTakenSaysSo(t *testing.T) {
	for words, spoil := range map[string]func(*reported){
		"So many reports wait":       func(c *reported) { c.full = true },
		"could not be recorded just": func(c *reported) { c.broken = errors.New("disk full") },
	} {
		s := newSchool(t)
		spoil(&s.told)
		h, _ := newSite(t, s, false)
		r := newClient(t, h, "").post(reportsAt, lostOnTheTrain())
		if text := plainText(r.Body.String()); r.Code != http.StatusServiceUnavailable || !strings.Contains(text, words) || !strings.Contains(text, "Ring the school") || strings.Contains(text, "disk full") {
			t.Errorf("answered with %d: %.400s", r.Code, text)
		}
	}
}

// TestAnotherSiteSendsNoReport: a page elsewhere cannot have its visitors report.
func TestAnotherSiteSendsNoReport(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	for _, path := range []string{reportsAt, "/schools/hollybank/incidents/reports/aside", "/schools/hollybank/incidents/address"} {
		c := newClient(t, h, "head")
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(lostOnTheTrain().Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		if got := c.do(r); got.Code != http.StatusForbidden || len(s.decided) != 0 {
			t.Errorf("%s from another site was answered with %d", path, got.Code)
		}
	}
}

// TestAReportBecomesAnIncidentInOneStep: of the moment at which it was made, to
// the second, linked to the laptop that somebody of the school says it is.
func TestAReportBecomesAnIncidentInOneStep(t *testing.T) {
	s := newSchool(t)
	s.told.raised[2].Raised = now.Add(-20*time.Minute + 23*time.Second)
	h, _ := newSite(t, s, false)
	c := newClient(t, h, "technician")
	c.want("/schools/hollybank/incidents", http.StatusOK, "2 reports not yet looked at", "72 hours are running")
	c.want("/schools/hollybank/incidents/reports", http.StatusOK, "Not yet looked at", "HB-LT-014", "K7QM-2XHD", "Set aside by technician : Rung back", "Incident 2026-03")
	page := c.want("/schools/hollybank/incidents/reports/K7QM-2XHD", http.StatusOK, "Nobody has looked at it yet", "It is HB-LT-014", "Alex Rowan", "Not signed in", "01632 960 014", "counted from when this was reported: Fri 23 Oct 2026 16:52 BST")
	if strings.Contains(page, "Set aside by") {
		t.Error("it looks set aside")
	}
	form := url.Values{
		"concern": {"K7QM-2XHD"}, "kind": {"lost-device"}, "device": {"HB-LT-014"}, "reason": {"Left on the 16:20 train."},
		"aware-day": {"2026-10-23"}, "aware-time": {"16:52"},
	}
	r := c.post("/schools/hollybank/incidents", form)
	if r.Code != http.StatusSeeOther || len(s.kept) != 1 {
		t.Fatalf("opening led to %d: %s", r.Code, plainText(r.Body.String()))
	}
	made := s.kept[0]
	if made.Concern != "K7QM-2XHD" || made.Kind != incident.LostDevice || !made.Aware.At.Equal(s.told.raised[2].Raised) || len(made.Links) != 1 || !made.Links[0].Lost {
		t.Errorf("opened %+v", made)
	}
	form.Set("aware-time", "16:30") // somebody knew of it before
	if c.post("/schools/hollybank/incidents", form); !s.kept[1].Aware.At.Equal(time.Date(2026, 10, 23, 15, 30, 0, 0, time.UTC)) {
		t.Errorf("opened %+v", s.kept[1])
	}
	form.Set("device", "lt-01")
	if r := c.post("/schools/hollybank/incidents", form); r.Code != http.StatusUnprocessableEntity || !strings.Contains(r.Body.String(), `name="concern" value="K7QM-2XHD"`) {
		t.Errorf("with a wrong laptop: %d, or it is not because of the report any more", r.Code)
	}
	form.Set("concern", "0000-0000")
	c.want("/schools/hollybank/incidents/reports/0000-0000", http.StatusNotFound)
	if r := c.post("/schools/hollybank/incidents", form); r.Code != http.StatusNotFound {
		t.Errorf("because of a report that there is not: %d", r.Code)
	}
}

func TestReportsAreSetAsideWithAReason(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	c := newClient(t, h, "dpo")
	const at = "/schools/hollybank/incidents/reports"
	for _, wrong := range []struct {
		form  url.Values
		words string
	}{
		{url.Values{"reference": {"K7QM-2XHD"}}, "Say in a few words"},
		{url.Values{"reason": {"A hoax."}}, "Tick what is set aside"},
		{url.Values{"reference": {"<b>"}, "reason": {"A hoax."}}, "is no reference"},
		{url.Values{"reference": {"K7QM-2XHD"}, "reason": {"refuse this"}, "from": {"one"}}, "was set aside already"},
	} {
		if r := c.post(at+"/aside", wrong.form); r.Code != http.StatusUnprocessableEntity || !strings.Contains(plainText(r.Body.String()), wrong.words) {
			t.Errorf("%v was answered with %d: %.300s", wrong.form, r.Code, plainText(r.Body.String()))
		}
	}
	r := c.post(at+"/aside", url.Values{"reference": {"K7QM-2XHD", "K7QM-2XHE"}, "reason": {"A hoax."}})
	if r.Code != http.StatusSeeOther || len(s.asked) != 2 || len(s.decided) != 1 || s.decided[0].By != "dpo" || s.decided[0].Reason != "A hoax." {
		t.Errorf("setting aside led to %d: %v %+v", r.Code, s.asked, s.decided)
	}
	c.want(r.Header().Get("Location"), http.StatusOK, "nothing follows of it")
}

// TestTheAddressIsMadeAnewAndPrinted: by the head, and not by a technician, who
// prints it.
func TestTheAddressIsMadeAnewAndPrinted(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, true)
	technician, head := newClient(t, h, "technician"), newClient(t, h, "head")
	const at = "/schools/hollybank/incidents"
	technician.want(at+"/address", http.StatusOK, "/report/k7qm2-xhd4r", "An administrator or the head can make another")
	poster := technician.get(at + "/poster").Body.String()
	if !strings.Contains(poster, "example.com/report/k7qm2-xhd4r") || !strings.Contains(poster, `<svg role="img"`) || !strings.Contains(plainText(poster), "Do not plug it in") {
		t.Errorf("the poster is %.600s", plainText(poster))
	}
	if r := technician.post(at+"/address", url.Values{"reason": {"misused"}}); r.Code != http.StatusForbidden {
		t.Errorf("a technician was answered with %d", r.Code)
	}
	r := head.post(at+"/address", url.Values{"reason": {"misused"}})
	if r.Code != http.StatusSeeOther || len(s.decided) != 1 || s.decided[0].By != "head" {
		t.Fatalf("the head was answered with %d", r.Code)
	}
	head.want(r.Header().Get("Location"), http.StatusOK, "/report/00000-00001", "the one before leads nowhere")
	newClient(t, h, "").want(reportsAt, http.StatusNotFound)
	s.told.address = ""
	head.want(at+"/address", http.StatusOK, "The school has none yet", "Make the address")
	head.want(at+"/poster", http.StatusOK, "nothing to print")
}

// TestStaffSeeTheirOwnLaptopAndNoOther: the one that the register says they have,
// by their whole name.
func TestStaffSeeTheirOwnLaptopAndNoOther(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	c := newClient(t, h, "staff")
	if r := c.get("/"); r.Header().Get("Location") != "/schools/hollybank/mine" {
		t.Errorf("staff are led to %s", r.Header().Get("Location"))
	}
	text := c.want("/schools/hollybank/mine", http.StatusOK, "HB-LT-009", "Dell Latitude 5440", "Not met", "System disk encrypted", "To put it right", "Report it lost or stolen", "What the school can see")
	if strings.Contains(text, "HB-LT-015") {
		t.Error("it shows the laptop of somebody whose name begins alike")
	}
	// However many others are named alike.
	s.told.owned = slices.Concat(slices.Repeat(s.told.owned[1:2], 1100), s.told.owned)
	c.want("/schools/hollybank/mine", http.StatusOK, "HB-LT-009")
	text = newClient(t, h, "head").want("/schools/hollybank/mine", http.StatusOK, "names no laptop that head has", "caretaker-agent status")
	if strings.Contains(text, "HB-LT-009") {
		t.Error("it shows the laptop of another")
	}
	for _, path := range []string{"/schools/hollybank", "/schools/hollybank/devices/d-009", "/schools/hollybank/incidents/reports"} {
		c.want(path, http.StatusForbidden)
	}
	c.want("/schools/oakfield/mine", http.StatusNotFound)
}

// TestWhatStrangersWriteIsText: on every page that shows it, and however long it
// is the list of many stays light.
func TestWhatStrangersWriteIsText(t *testing.T) {
	s := newSchool(t)
	s.told.raised = nil
	for i := range 50 {
		s.told.raised = append(s.told.raised, view.Concern{
			ID: fmt.Sprintf("K7QM-%04d", i), Kind: concern.Lost, Told: concern.Told{Thing: hostile, From: hostile, Reach: hostile}, Raised: now,
			Words: hostile + strings.Repeat("é", concern.MostWords),
		})
	}
	h, _ := newSite(t, s, false)
	c := newClient(t, h, "dpo")
	for _, path := range []string{"/schools/hollybank/incidents", "/schools/hollybank/incidents/reports", "/schools/hollybank/incidents/reports/K7QM-0007", "/schools/hollybank", reportsAt + "?thing=" + url.QueryEscape(hostile)} {
		page := c.get(path).Body.String()
		if strings.Contains(page, "<script>alert") || strings.Contains(page, "<img src=x") || strings.ContainsAny(page, "\u202e\u200b\x1b") {
			t.Errorf("%s holds what a stranger wrote as they wrote it", path)
		}
		if len(page) > 150<<10 {
			t.Errorf("%s has %d bytes", path, len(page))
		}
	}
	if page := c.get("/schools/hollybank/incidents/reports").Body.String(); strings.Count(page, "alert(1)") < 50 {
		t.Error("the list does not show what was told: the test has lost its way in")
	}
	form := lostOnTheTrain()
	form.Set("thing", hostile)
	if page := newClient(t, h, "").post(reportsAt, form).Body.String(); strings.Contains(page, "<script>alert") {
		t.Error("what is wrong is written back as it was written")
	}
}
