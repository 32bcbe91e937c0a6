package web

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/view"
)

// TestWhatIsDecidedOnAPage: a form records what was decided under the name of
// who is signed in, once for each breach that stands, and says what is wrong
// without losing what was typed.
func TestWhatIsDecidedOnAPage(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	c := newClient(t, h, "technician")
	const at = "/schools/hollybank/devices/d-009/rules/ENC-01"
	c.want(at, http.StatusOK, "System disk encrypted", "Somebody is on it", "It cannot be met for a time", "Waiting for somebody to approve it")

	none := c.post(at+"/acknowledgement", url.Values{"reason": {" "}})
	if none.Code != http.StatusUnprocessableEntity || !strings.Contains(none.Body.String(), "Say in a few words") || len(s.decided) > 0 {
		t.Fatalf("no reason was answered with %d and %d decisions", none.Code, len(s.decided))
	}
	done := c.post(at+"/acknowledgement", url.Values{"reason": {"New disk ordered."}})
	if done.Code != http.StatusSeeOther || done.Header().Get("Location") != at+"?done=acknowledge" {
		t.Fatalf("acknowledging led to %d %s", done.Code, done.Header().Get("Location"))
	}
	c.want(at+"?done=acknowledge", http.StatusOK, "Recorded: somebody is on it.")
	if len(s.decided) != 1 || s.decided[0].By != "technician" || s.decided[0].Kind != decision.Acknowledge || s.decided[0].Breach.Device != "d-009" || s.decided[0].Breach.Rule != "ENC-01" || !s.decided[0].At.Equal(now) {
		t.Fatalf("recorded %+v", s.decided)
	}
	refused := c.post(at+"/resolution", url.Values{"reason": {"refuse this"}})
	if refused.Code != http.StatusUnprocessableEntity || !strings.Contains(refused.Body.String(), "It was decided already.") || !strings.Contains(refused.Body.String(), "refuse this</textarea>") {
		t.Errorf("a refusal was answered with %d: %s", refused.Code, plainText(refused.Body.String()))
	}

	// What was typed for one deed is still there when another is refused.
	if kept := formOf(t, c.post(at+"/acknowledgement", url.Values{"reason": {""}, "until": {"2026-12-04"}}).Body.String(), at+"/acknowledgement"); kept.Get("until") != "2026-12-04" {
		t.Errorf("the day that was typed is %q", kept.Get("until"))
	}

	for until, words := range map[string]string{"": "Enter the last day", "2026-13-01": "Enter the last day", "2026-10-22": "ends after it was asked for", "2028-01-01": "at most 366 days"} {
		r := c.post(at+"/exemption", url.Values{"reason": {"Its disk is old."}, "until": {until}})
		if r.Code != http.StatusUnprocessableEntity || !strings.Contains(plainText(r.Body.String()), words) {
			t.Errorf("until %q: %d %s", until, r.Code, plainText(r.Body.String()))
		}
	}
	s.decided = nil
	if r := c.post(at+"/exemption", url.Values{"reason": {"Its disk is old."}, "until": {"2026-12-18"}}); r.Code != http.StatusSeeOther || len(s.decided) != 1 {
		t.Fatalf("asking led to %d", r.Code)
	}
	// The last day is the whole day, by the school's clock.
	e := s.decided[0].Exemption
	if want := (breach.Scope{Rule: "ENC-01", Of: breach.OneDevice, Device: "d-009"}); e.Scope != want || !e.Until.Equal(time.Date(2026, 12, 19, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("asked for %+v", e)
	}
	c.want("/schools/hollybank/devices/d-009/rules/NO-01", http.StatusNotFound)
}

// TestAnExemptionIsAskedForOneThing: of several that a rule finds on a laptop, by
// the row of the one; and answered on the same page by somebody else.
func TestAnExemptionIsAskedForOneThing(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	c := newClient(t, h, "technician")
	const at = "/schools/hollybank/devices/d-033/rules/EXE-03"
	c.want(at, http.StatusOK, "All that this rule finds on this laptop", "This one alone:", "Ask for this one alone")
	d, err := s.Device(t.Context(), hollybank, "d-033", now)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(d.Breaches, func(b view.Breach) bool { return b.Rule == "EXE-03" && b.Status != breach.Resolved })
	one := d.Breaches[i].Subject
	key := scopeKey(one)
	if text := c.get(at + "?of=" + url.QueryEscape(key)).Body.String(); !strings.Contains(text, " selected") {
		t.Error("the one whose row was followed is not chosen")
	}
	form := url.Values{"reason": {"Its licence is on order."}, "until": {"2026-12-18"}, "of": {key}}
	if r := c.post(at+"/exemption", form); r.Code != http.StatusSeeOther || len(s.decided) != 1 {
		t.Fatalf("asking led to %d %.300s", r.Code, plainText(r.Body.String()))
	}
	want := breach.Scope{Rule: "EXE-03", Of: breach.OneBreach, Device: "d-033", Kind: one.Kind, Subject: one.Key}
	if got := s.decided[0].Exemption.Scope; got != want {
		t.Errorf("asked for %+v, want %+v", got, want)
	}
	form.Set("of", "executable:something else")
	if r := c.post(at+"/exemption", form); r.Code != http.StatusUnprocessableEntity || !strings.Contains(plainText(r.Body.String()), "choose for what it is") {
		t.Errorf("of what does not stand: %d", r.Code)
	}
	s.granted = append(s.granted, view.Exemption{ExemptionRow: view.ExemptionRow{ID: "ex-one", Scope: want, Until: now.Add(99 * time.Hour), Asked: view.Act{By: "technician", At: now, Reason: "on order"}}, State: view.ExemptionAsked, Hostname: "hb-lt-033"})
	label := subjectWords(one) + ", this one alone"
	for _, page := range []string{at, "/schools/hollybank/exemptions"} {
		newClient(t, h, "dpo").want(page, http.StatusOK, label, "Approve")
		if text := c.want(page, http.StatusOK, label, "Take back"); strings.Contains(text, "Approve ") {
			t.Errorf("who asked is offered to approve on %s", page)
		}
	}
	if text := newClient(t, h, "network-manager").want(at, http.StatusOK); strings.Contains(text, "Ask for this one alone") || strings.Contains(text, "Refuse") {
		t.Error("somebody of the trust is offered what is the school's")
	}
}

// TestAnExemptionIsAnsweredByAnother: who asked is told that somebody else has
// to approve it and may take it back; whoever may approve it can.
func TestAnExemptionIsAnsweredByAnother(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	asker, approver := newClient(t, h, "technician"), newClient(t, h, "dpo")
	const at = "/schools/hollybank/exemptions"
	if text := asker.want(at, http.StatusOK, "You asked for it", "Take back"); strings.Contains(text, "Approve ") {
		t.Errorf("who asked is offered to approve: %s", text)
	}
	newClient(t, h, "administrator").want(at, http.StatusOK, "approved by the data-protection officer or the head")
	approver.want(at, http.StatusOK, "Approve", "Refuse", "the whole school", "the group trolley-b", "In force", "Refused")
	if r := approver.post(at+"/ex-kestrel01/approval", url.Values{}); r.Code != http.StatusUnprocessableEntity || !strings.Contains(r.Body.String(), `id="reason-ex-kestrel01-error"`) {
		t.Errorf("no reason was answered with %d", r.Code)
	}
	if r := approver.post(at+"/ex-kestrel01/approval", url.Values{"reason": {"Until the disk is here."}}); r.Code != http.StatusSeeOther {
		t.Errorf("approving led to %d", r.Code)
	}
	if r := newClient(t, h, "administrator").post(at+"/ex-kestrel01/refusal", url.Values{"reason": {"No."}}); r.Code != http.StatusForbidden {
		t.Errorf("one who neither asked nor may approve refused: %d", r.Code)
	}
	if r := asker.post(at+"/ex-kestrel01/refusal", url.Values{"reason": {"Not needed any more."}}); r.Code != http.StatusSeeOther {
		t.Errorf("taking it back led to %d", r.Code)
	}
	if r := asker.post(at+"/ex-kestrel02/end", url.Values{"reason": {"Mended."}}); r.Code != http.StatusSeeOther {
		t.Errorf("ending it led to %d", r.Code)
	}
	if r := asker.post(at+"/ex-nothing/end", url.Values{"reason": {"Mended."}}); r.Code != http.StatusNotFound {
		t.Errorf("ending what there is not led to %d", r.Code)
	}
	var kinds []decision.Kind
	for _, d := range s.decided {
		kinds = append(kinds, d.Kind)
	}
	if len(kinds) != 3 || kinds[0] != decision.Exempt || kinds[1] != decision.RefuseExemption || kinds[2] != decision.EndExemption {
		t.Errorf("recorded %v", kinds)
	}
}
