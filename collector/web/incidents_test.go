package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/incident"
)

// TestAnIncidentIsRecordedOnAPage: with its clock from when the school became
// aware, linked to the laptop, and under the name of who is signed in; what is
// wrong is said, and nothing that was typed is lost.
func TestAnIncidentIsRecordedOnAPage(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	c := newClient(t, h, "dpo")
	const at = "/schools/hollybank/incidents"
	c.want(at, http.StatusOK, "2026-03", "Lost laptop", "Left on the 16:20 train.", "due Mon 26 Oct 2026 16:10 GMT", "HB-LT-014")
	form := url.Values{
		"kind": {"lost-device"}, "device": {"hb-lt-014"}, "reason": {"Left in a taxi."},
		"day": {"2026-10-23"}, "time": {"16:20"}, "aware-day": {"2026-10-23"}, "aware-time": {"17:10"},
	}
	r := c.post(at, form)
	if r.Code != http.StatusSeeOther || r.Header().Get("Location") != at+"/2026-09" || len(s.kept) != 1 {
		t.Fatalf("recording led to %d %s: %s", r.Code, r.Header().Get("Location"), plainText(r.Body.String()))
	}
	made := s.kept[0]
	if made.Kind != incident.LostDevice || !made.Aware.At.Equal(time.Date(2026, 10, 23, 16, 10, 0, 0, time.UTC)) || made.Aware.Zone != Zone ||
		!made.Happened.At.Equal(time.Date(2026, 10, 23, 15, 20, 0, 0, time.UTC)) || len(made.Links) != 1 || made.Links[0].Device != "d-014" || !made.Links[0].Lost ||
		s.decided[0].By != "dpo" || s.decided[0].Reason != "Left in a taxi." {
		t.Errorf("recorded %+v by %+v", made, s.decided[0])
	}
	for field, wrongs := range map[string]struct{ value, words string }{
		"reason":    {" ", "Say what happened"},
		"aware-day": {"", "became aware"},
		"time":      {"teatime", "leave both empty"},
		"device":    {"lt-014", "Enter all of it"}, // of one alone a part
		"kind":      {"robbery", "is no kind of incident"},
	} {
		bad := url.Values{}
		for k, v := range form {
			bad[k] = v
		}
		bad.Set(field, wrongs.value)
		r := c.post(at, bad)
		if text := plainText(r.Body.String()); r.Code != http.StatusUnprocessableEntity || !strings.Contains(text, wrongs.words) {
			t.Errorf("%s %q was answered with %d: %.300s", field, wrongs.value, r.Code, text)
		} else if field != "device" && !strings.Contains(r.Body.String(), `value="hb-lt-014"`) {
			t.Errorf("after %s %q what was typed is gone", field, wrongs.value)
		}
	}
	if len(s.kept) != 1 {
		t.Errorf("%d incidents were recorded", len(s.kept))
	}
}

// TestAnIncidentIsFollowedOnItsPage: what was recorded, and what may be: a
// technician records, and decides nothing.
func TestAnIncidentIsFollowedOnItsPage(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	officer := newClient(t, h, "dpo")
	const at = "/schools/hollybank/incidents/2026-03"
	officer.want(at, http.StatusOK, "Incident 2026-03", "due Mon 26 Oct 2026 16:10 GMT", "Train operator", "It was not handed in.", "Laptops go in the bag",
		"Cannot be said yet", "Lost since Fri 23 Oct 2026 16:20 BST", "Was it encrypted? What is proven of that moment", "Close it")
	if text := newClient(t, h, "technician").want(at, http.StatusOK, "Record that it was found"); strings.Contains(text, "Close it") {
		t.Error("a technician is offered to close it")
	}
	for _, p := range []struct {
		path  string
		form  url.Values
		want  incident.Change
		wrong string
	}{
		{"/notes", url.Values{"what": {"lesson"}, "words-note": {"Labels."}}, incident.Change{What: incident.Lesson}, ""},
		{"/notes", url.Values{"what": {"contact"}, "whom": {"Police"}, "words-note": {"Reported."}}, incident.Change{What: incident.Spoke, Whom: "Police"}, ""},
		{"/notes", url.Values{"what": {"contact"}, "words-note": {"Reported."}}, incident.Change{}, "Say with whom"},
		{"/notes", url.Values{"what": {"note"}, "words-note": {""}}, incident.Change{}, "Write a few words"},
		{"/found", url.Values{"thing": {"0"}, "words-found-0": {"At lost property."}}, incident.Change{What: incident.Found}, ""},
		{"/found", url.Values{"thing": {"7"}, "words-found-7": {"At lost property."}}, incident.Change{}, "Choose what was found"},
		{"/telling", url.Values{"audience": {"regulator"}, "answer-regulator": {"no"}, "words-tell-regulator": {"It was encrypted."}}, incident.Change{What: incident.Tell, Audience: incident.Regulator, Answer: incident.No}, ""},
		{"/telling", url.Values{"audience": {"regulator"}, "answer-regulator": {"perhaps"}, "words-tell-regulator": {"It was encrypted."}}, incident.Change{}, "is no answer"},
		{"/telling", url.Values{"audience": {"individuals"}, "answer-individuals": {"yes"}, "day-individuals": {"2026-10-23"}, "time-individuals": {"x"}, "words-tell-individuals": {"By letter."}}, incident.Change{}, "at which they were told"},
		{"/end", url.Values{"outcome": {"internal"}, "words-close": {"Found, encrypted."}}, incident.Change{What: incident.Close, Outcome: incident.Internal}, ""},
		{"/end", url.Values{"outcome": {"internal"}, "words-close": {"refuse this"}}, incident.Change{}, "It is closed already."},
	} {
		s.kept = nil
		r := officer.post(at+p.path, p.form)
		if p.wrong != "" {
			if text := plainText(r.Body.String()); r.Code != http.StatusUnprocessableEntity || !strings.Contains(text, p.wrong) || len(s.kept) > 0 {
				t.Errorf("%s %v was answered with %d: %.400s", p.path, p.form, r.Code, text)
			}
			continue
		}
		if r.Code != http.StatusSeeOther || len(s.kept) != 1 {
			t.Errorf("%s %v led to %d: %.400s", p.path, p.form, r.Code, plainText(r.Body.String()))
			continue
		}
		if got := s.kept[0]; got.What != p.want.What || got.Whom != p.want.Whom || got.Audience != p.want.Audience || got.Answer != p.want.Answer || got.Outcome != p.want.Outcome {
			t.Errorf("%s recorded %+v", p.path, got)
		}
	}
	officer.want("/schools/hollybank/incidents/2026-99", http.StatusNotFound)
}
