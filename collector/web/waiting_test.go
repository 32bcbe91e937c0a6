package web

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/collector/admission"
)

const waitingPath = "/schools/hollybank/enrolments/waiting"

// TestLaptopsAreAdmittedByTheirCodes: a technician types what a laptop shows, ticks
// one or many, and admits or refuses them; who only reads is offered nothing.
func TestLaptopsAreAdmittedByTheirCodes(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	kept := waitersOf(s)
	c := newClient(t, h, "technician")
	c.want("/schools/hollybank", http.StatusOK, "3 laptops waiting to be admitted")
	page := c.want(waitingPath, http.StatusOK, "KF7Q-M2XP", "hb-lt-031", "Classbook 14 G3", "without a name", "1 laptop refused of late", "it is not the school's <i>", "<script>alert(1)</script>")
	if raw := c.get(waitingPath).Body.String(); strings.Contains(raw, "<script>alert") || strings.Contains(raw, "\u202e") || strings.Contains(raw, "<i>") {
		t.Error("what a laptop says of itself is more than text")
	}
	if strings.Contains(page, " checked") {
		t.Error("one is ticked by itself")
	}
	// A code may be typed as it comes; one that fits alone is ticked.
	for q, want := range map[string]int{"kf7q m": 1, "KF7Q-M2XP": 1, "classbook": 1, "00ff00ff00ff00ff": 1, "zzzz": 0, "nothing": 0} {
		raw := c.get(waitingPath + "?q=" + url.QueryEscape(q)).Body.String()
		if got := strings.Count(raw, `name="code" type="checkbox"`); got != want || want == 1 && strings.Count(raw, " checked>") != 1 {
			t.Errorf("looking for %q shows %d", q, got)
		}
	}
	if raw := c.get(waitingPath + "?all=yes").Body.String(); strings.Count(raw, " checked>") != 3 {
		t.Error("all of the page are not ticked")
	}

	says(t, c.post(waitingPath, url.Values{"deed": {"approve"}}), http.StatusUnprocessableEntity, "Tick the laptops that are meant.")
	says(t, c.post(waitingPath, url.Values{"deed": {"refuse"}, "code": {"B2B2-C3C3"}}), http.StatusUnprocessableEntity, "the laptop shows it")
	says(t, c.post(waitingPath, url.Values{"deed": {"refuse"}, "code": {"B2B2-C3C3"}, "reason": {"refuse this"}}), http.StatusUnprocessableEntity, "cannot be written at present")
	says(t, c.post(waitingPath, url.Values{"deed": {"dance"}, "code": {"B2B2-C3C3"}, "reason": {"x"}}), http.StatusUnprocessableEntity, "Choose whether they are admitted")
	if len(kept.done) != 0 {
		t.Fatalf("decided: %v", kept.done)
	}
	r := c.post(waitingPath, url.Values{"deed": {"approve"}, "code": {"KF7Q-M2XP", "9TWC-4HAD"}})
	if r.Code != http.StatusSeeOther || len(kept.done) != 2 || kept.whats[1] != admission.Approve || s.decided[0].Reason != "its code was compared" || s.decided[0].By != "technician" {
		t.Fatalf("admitted: %d %v %+v", r.Code, kept.done, s.decided)
	}
	c.want(r.Header().Get("Location"), http.StatusOK, "Admitted: 2 laptops", "B2B2-C3C3")
	says(t, c.post(waitingPath, url.Values{"deed": {"refuse"}, "code": {"B2B2-C3C3", "QQQQ-2222"}, "reason": {"not ours"}}), http.StatusUnprocessableEntity, "QQQQ-2222: no laptop with this code waits.", "The others were decided: 1 laptop.")
	if kept.whats[2] != admission.Refuse {
		t.Errorf("refused: %v", kept.whats)
	}

	// A DPO reads and decides nothing; nobody of another school, and no other site.
	if page := newClient(t, h, "dpo").want(waitingPath, http.StatusOK, "A technician or an administrator decides", "ZZZZ-9999"); strings.Contains(page, "Admit it after all") || strings.Contains(page, "Admit those") {
		t.Error("who only reads is offered to decide")
	}
	deed := url.Values{"deed": {"approve"}, "code": {"ZZZZ-9999"}}
	if r := newClient(t, h, "dpo").post(waitingPath, deed); r.Code != http.StatusForbidden {
		t.Errorf("by a DPO: %d", r.Code)
	}
	other := newClient(t, h, "technician everywhere")
	if page := other.want("/schools/oakfield/enrolments/waiting", http.StatusOK, "None waits."); strings.Contains(page, "ZZZZ-9999") {
		t.Error("a school shows who waits at another")
	}
	cross := httptest.NewRequest(http.MethodPost, waitingPath, strings.NewReader(deed.Encode()))
	cross.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	cross.Header.Set("Sec-Fetch-Site", "cross-site")
	if r := c.do(cross); r.Code != http.StatusForbidden {
		t.Errorf("from another site: %d", r.Code)
	}
	if len(kept.done) != 3 {
		t.Errorf("decided in the end: %v", kept.done)
	}
}

// TestAWaitingLaptopShowsItsAsset: by its serial number, which proves less than the
// code; and what is admitted and tied to nothing is said with the reason.
func TestAWaitingLaptopShowsItsAsset(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	kept := waitersOf(s)
	kept.untied = "the register's HB-LT-014 has enrolled already"
	c := newClient(t, h, "technician")
	c.want(waitingPath, http.StatusOK, "HB-LT-031 by its serial number", "A serial number stands on a label, and proves less than the code.")
	if raw := c.get(waitingPath + "?q=hb-lt-031").Body.String(); strings.Count(raw, `name="code" type="checkbox"`) != 1 {
		t.Error("it is not found by its tag")
	}
	says(t, c.post(waitingPath, url.Values{"deed": {"approve"}, "code": {"KF7Q-M2XP", "9TWC-4HAD"}}), http.StatusOK,
		"Admitted: 2 laptops.", "tied to no asset of the register", "9TWC-4HAD: the register's HB-LT-014 has enrolled already.")
	if len(kept.done) != 2 {
		t.Errorf("admitted: %v", kept.done)
	}
}

// TestATrolleyIsAdmittedPageByPage: 400 in an afternoon, a hundred at a time.
func TestATrolleyIsAdmittedPageByPage(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	kept := waitersOf(s)
	kept.more = 400
	c := newClient(t, h, "technician")
	c.want(waitingPath, http.StatusOK, "403 laptops")
	for range 5 {
		raw := c.get(waitingPath + "?all=yes").Body.String()
		if len(raw) > 150_000 {
			t.Errorf("the page has %d bytes", len(raw))
		}
		var codes []string
		for _, part := range strings.Split(raw, `type="checkbox" value="`)[1:] {
			codes = append(codes, part[:9])
		}
		if r := c.post(waitingPath, url.Values{"deed": {"approve"}, "code": codes}); r.Code != http.StatusSeeOther {
			t.Fatalf("%d codes: %d", len(codes), r.Code)
		}
	}
	if len(kept.done) != 403 {
		t.Errorf("%d were admitted", len(kept.done))
	}
	c.want(waitingPath, http.StatusOK, "None waits.")
}
