package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/decision"
)

// TestWhatWaitsToBeDecidedIsOnTheOverview: reports for those who read them, and
// laptops that come back or may be earlier ones.
func TestWhatWaitsToBeDecidedIsOnTheOverview(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	c := newClient(t, h, "technician")
	c.want("/schools/hollybank", http.StatusOK, "Waiting for somebody to decide",
		"Incident 2026-03, lost laptop HB-LT-014: decide whether the regulator is told, due Mon 26 Oct 2026 16:10 GMT", "2 reports without sign-in not yet looked at, the first made Fri 23 Oct 2026 16:52 BST",
		"1 laptop back after a long time", "3 laptops that may be an earlier one")
	trust := newClient(t, h, "network-manager").want("/schools/hollybank", http.StatusOK, "1 laptop back after a long time")
	if strings.Contains(trust, "without sign-in") || strings.Contains(trust, "Incident 2026") {
		t.Error("who may not read incidents is told of reports")
	}
	const asked = "asked for, to approve or refuse"
	newClient(t, h, "head").want("/schools/hollybank", http.StatusOK, asked)
	if strings.Contains(trust, asked) {
		t.Error("who may not approve an exemption is told of those that wait")
	}
	other := newClient(t, h, "technician everywhere").want("/schools/oakfield", http.StatusOK)
	if strings.Contains(other, "Waiting for somebody") {
		t.Error("a school shows what waits at another")
	}
}

// TestEnrolmentsAreDecidedOnAPage: each with a reason, by a technician; who only
// reads is offered nothing. What cannot be confirmed is said, and not offered.
func TestEnrolmentsAreDecidedOnAPage(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	kept := admissionsOf(s)
	c := newClient(t, h, "technician")
	const at = "/schools/hollybank/enrolments"
	page := c.want(at, http.StatusOK, "Its certificate ended", "more than 180 days ago", "HB-LT-022", "Their firmware says the same: system UUID , serial number",
		"These are two laptops, or one whose disk was copied", "The earlier one is marked lost", "They are two laptops, said technician")
	if n := strings.Count(page, "It is the same laptop"); n != 1 {
		t.Errorf("it can be confirmed of %d pairs", n)
	}
	if page := newClient(t, h, "dpo").want(at, http.StatusOK, "A technician or an administrator decides"); strings.Contains(page, "Let it in again") {
		t.Error("who only reads is offered to decide")
	}
	for _, p := range []struct {
		path, done string
		want       admission.Change
	}{
		{"/renewals/d-022", "it is let in again", admission.Change{What: admission.ApproveRenewal, Device: "d-022"}},
		{"/same/d-014/d-015/confirmation", "they are one laptop", admission.Change{What: admission.SameHardware, Device: "d-014", Earlier: "d-015"}},
		{"/same/d-016/d-017/refusal", "they are two", admission.Change{What: admission.OtherHardware, Device: "d-016", Earlier: "d-017"}},
	} {
		for reason, words := range map[string]string{"": "Say in a few words why", "refuse this": "The earlier one is lost"} {
			if r := c.post(at+p.path, url.Values{"reason": {reason}}); r.Code != http.StatusUnprocessableEntity || !strings.Contains(plainText(r.Body.String()), words) {
				t.Errorf("%s for %q was answered with %d", p.path, reason, r.Code)
			}
		}
		if r := newClient(t, h, "dpo").post(at+p.path, url.Values{"reason": {"seen"}}); r.Code != http.StatusForbidden {
			t.Errorf("%s by a DPO was answered with %d", p.path, r.Code)
		}
		if len(kept.admitted) != 0 {
			t.Fatalf("admitted %+v", kept.admitted)
		}
		r := c.post(at+p.path, url.Values{"reason": {"seen in the cupboard"}})
		if r.Code != http.StatusSeeOther || len(kept.admitted) != 1 || kept.admitted[0] != p.want {
			t.Fatalf("%s led to %d: %+v", p.path, r.Code, kept.admitted)
		}
		if d := s.decided[len(s.decided)-1]; d.Kind != decision.Admission || d.By != "technician" || d.Reason != "seen in the cupboard" {
			t.Errorf("%s recorded %+v", p.path, d)
		}
		c.want(r.Header().Get("Location"), http.StatusOK, p.done)
		kept.admitted = nil
	}
}

// TestALaptopIsKnownNoMore: after what follows was said, with a reason.
func TestALaptopIsKnownNoMore(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	kept := admissionsOf(s)
	c := newClient(t, h, "technician")
	const at = "/schools/hollybank/devices/d-014/revocation"
	c.want("/schools/hollybank/devices/d-014", http.StatusOK, "know it no more")
	if page := newClient(t, h, "dpo").want("/schools/hollybank/devices/d-014", http.StatusOK); strings.Contains(page, "know it no more") {
		t.Error("it is offered to who may not")
	}
	c.want(at, http.StatusOK, "It cannot be undone", "record an incident instead", "name nobody in it")
	c.want("/schools/hollybank/devices/d-010/revocation", http.StatusOK, "It is marked lost")
	for reason, words := range map[string]string{"": "Say in a few words why", "refuse this": "This device was revoked already"} {
		if r := c.post(at, url.Values{"reason": {reason}}); r.Code != http.StatusUnprocessableEntity || !strings.Contains(plainText(r.Body.String()), words) {
			t.Errorf("for %q: %d", reason, r.Code)
		}
	}
	r := c.post(at, url.Values{"reason": {"retired"}})
	if r.Code != http.StatusSeeOther || len(kept.revoked) != 1 || kept.revoked[0] != "d-014" || s.decided[0].Kind != decision.Revoke {
		t.Errorf("led to %d: %v %+v", r.Code, kept.revoked, s.decided)
	}
}
