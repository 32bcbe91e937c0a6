package web

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/collector/decision"
)

// TestWhoAnswersIsSaidOnAPage: what the form says is recorded whole, under the
// name of who is signed in; what is wrong is said at its field, and nothing that
// was typed is lost.
func TestWhoAnswersIsSaidOnAPage(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	c := newClient(t, h, "dpo")
	const at = "/schools/hollybank/settings/particulars"
	c.want(at, http.StatusOK, "Who answers for data protection", "Data-protection officer", "Last said", "Morgan Ellis")
	if page := c.get(at).Body.String(); !strings.Contains(page, "at the school\n</textarea>") || strings.Contains(page, "U+000A") {
		t.Error("what was typed on lines does not stand on lines")
	}
	form := url.Values{
		"was": {"31"}, "controller": {"The governors, Hollybank Lane"}, "officer-name": {"Ash Lowe"}, "officer-mail": {"dpo@hollybank.example"},
		"loss-who": {"School office"}, "loss-phone": {"01632 960100"}, "basis": {"Public task"},
		"processors": {"Northfield IT; looks after the collector; at the school\r\n\r\nSouthfield; backups; Leeds"},
		"policies":   {"Data policy; https://hollybank.example/data;x=1"}, "reason": {"a new officer"},
	}
	r := c.post(at, form)
	if r.Code != http.StatusSeeOther || r.Header().Get("Location") != at+"?done" || len(s.decided) != 1 {
		t.Fatalf("recording led to %d: %s", r.Code, plainText(r.Body.String()))
	}
	made := s.decided[0]
	if p := made.Particulars; made.Kind != decision.SetParticulars || made.By != "dpo" || made.Reason != "a new officer" || p.Officer.Name != "Ash Lowe" || p.Officer.Phone != "" ||
		len(p.Processors) != 2 || p.Processors[1].Where != "Leeds" || len(p.Policies) != 1 || p.Policies[0].Address != "https://hollybank.example/data;x=1" {
		t.Errorf("recorded %+v: %+v", made, made.Particulars)
	}
	c.want(at+"?done", http.StatusOK, "Recorded.")
	for field, one := range map[string]struct{ typed, words string }{
		"officer-mail": {"dpo", "is no address for mail"},
		"loss-phone":   {"ring the bell", "is no phone number"},
		"processors":   {"Northfield IT", "Line 1 says who it is, what for, and where."},
		"policies":     {"Data policy; javascript:alert(1)", "begins with https:// or http://"},
		"was":          {"30", "Somebody else has changed the particulars meanwhile."},
		"reason":       {"a\u202eb", "cannot be seen"},
	} {
		bad := maps.Clone(form)
		bad[field] = []string{one.typed}
		r := c.post(at, bad)
		text := plainText(r.Body.String())
		if r.Code != http.StatusUnprocessableEntity || !strings.Contains(text, one.words) || !strings.Contains(r.Body.String(), "Error: Who answers") {
			t.Errorf("%s %q was answered with %d: %.400s", field, one.typed, r.Code, text)
		}
		if !strings.Contains(r.Body.String(), `value="Ash Lowe"`) || field != "processors" && !strings.Contains(r.Body.String(), "Southfield; backups; Leeds") {
			t.Errorf("after %s what was typed is gone", field)
		}
	}
	if len(s.decided) != 1 {
		t.Errorf("%d were recorded", len(s.decided))
	}
}

// TestPagesAboutALossNameWhomToTurnTo: and where nobody has said, that is said,
// with the way to say it for those who may.
func TestPagesAboutALossNameWhomToTurnTo(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	for _, page := range []string{"/incidents", "/incidents/2026-03", "/evidence", "/devices/d-014/evidence?at=2026-10-23T15:20:00Z", "/evidence/school?day=2026-10-22"} {
		newClient(t, h, "technician").want("/schools/hollybank"+page, http.StatusOK,
			"Data-protection officer: Robin Hale, dpo@hollybank.example, 01632 960123", "Tell of a loss: School office, 01632 960100, out of hours 01632 960199")
	}
	none := newClient(t, h, "head everywhere").want("/schools/oakfield/incidents", http.StatusOK, "Data-protection officer: nobody has said who", "Say who answers for data protection")
	if strings.Contains(none, "Tell of a loss") {
		t.Error("a school that has said nothing names somebody")
	}
	if text := newClient(t, h, "technician everywhere").want("/schools/oakfield/incidents", http.StatusOK); strings.Contains(text, "Say who answers") {
		t.Error("a technician is sent to what they may not say")
	}
}
