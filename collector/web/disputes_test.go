package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/dispute"
)

// TestStaffDisputeWhatIsTheirOwn: on the page of their laptop, under their name,
// and of no laptop that the register does not say they have.
func TestStaffDisputeWhatIsTheirOwn(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	c := newClient(t, h, "staff")
	const at = "/schools/hollybank/mine"
	text := c.want(at, http.StatusOK, "What is written here about it is wrong", "What you say is recorded wrongly", "it <b>is</b> encrypted", "To be answered by the end of Fri 20 Nov 2026: 28 days left")
	if strings.Contains(text, "She signed the rules of use") || strings.Contains(text, "The disk was replaced") {
		t.Error("staff are shown what somebody else said")
	}
	const own = at + "/disputes?laptop=HB-LT-009"
	c.want(own, http.StatusOK, "Say what is recorded wrongly", "Whether its disks are encrypted", "What a rule found")
	c.want(at+"/disputes", http.StatusOK, "Who has it or had it, and when")
	c.want(at+"/disputes?laptop=HB-LT-014", http.StatusNotFound)
	if r := c.post(at+"/disputes?laptop=HB-LT-014", url.Values{"about": {"encryption"}, "reason": {"x"}}); r.Code != http.StatusNotFound || len(s.changed) > 0 {
		t.Errorf("about somebody else's laptop: %d %+v", r.Code, s.changed)
	}
	if r := c.post(own, url.Values{"about": {"rule:ENC-01"}, "reason": {"it  was\nreplaced"}}); r.Code != http.StatusSeeOther || r.Header().Get("Location") != at+"?done=raised#disputes" {
		t.Fatalf("saying so led to %d %s", r.Code, plainText(r.Body.String()))
	}
	if got, d := s.changed[0], s.decided[0]; got.About != dispute.Rule || got.Rule != "ENC-01" || got.Device != "d-009" || d.By != "staff" || !d.Dispute.Own || d.Reason != "it was replaced" {
		t.Errorf("recorded %+v by %+v", got, d)
	}
	if r := c.post(at+"/disputes", url.Values{"about": {"uses"}, "reason": {"I signed in September"}}); r.Code != http.StatusSeeOther || s.changed[1].Device != "" || s.changed[1].About != dispute.Uses {
		t.Errorf("about no laptop: %d %+v", r.Code, s.changed)
	}
	for name, form := range map[string]url.Values{
		"nothing chosen":    {"reason": {"it is not so"}},
		"not of a laptop":   {"about": {"encryption"}, "reason": {"it is not so"}},
		"what there is not": {"about": {"weather"}, "reason": {"it is not so"}},
	} {
		r := c.post(at+"/disputes", form)
		if r.Code != http.StatusUnprocessableEntity || !strings.Contains(r.Body.String(), "it is not so</textarea>") || !strings.Contains(r.Body.String(), "Error: ") {
			t.Errorf("%s: %d %.300s", name, r.Code, plainText(r.Body.String()))
		}
	}
	if r := c.post(own, url.Values{"about": {"encryption"}, "reason": {"refuse this"}}); r.Code != http.StatusUnprocessableEntity || !strings.Contains(plainText(r.Body.String()), "No rule ENC-01 finds anything") {
		t.Errorf("what cannot be: %d", r.Code)
	}
	if len(s.changed) != 2 {
		t.Errorf("recorded: %+v", s.changed)
	}
}

// TestWhatIsDisputedStandsOnTheLaptopsPage: beside the fact, marked where it
// stands, with the names for those alone who may read them.
func TestWhatIsDisputedStandsOnTheLaptopsPage(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	const at = "/schools/hollybank/devices/d-009"
	text := newClient(t, h, "technician").want(at, http.StatusOK, "What somebody says is wrong here", "it <b>is</b> encrypted", "Not encrypted", "Somebody says that this is wrong",
		"of what entry 641 of the record has", "Read again after that", "by staff", "Something here is wrong")
	if strings.Count(text, "Somebody says that this is wrong") != 1 {
		t.Error("what is answered is marked as if it waited")
	}
	if text := newClient(t, h, "network-manager").want(at, http.StatusOK, "What somebody says is wrong here"); strings.Contains(text, "by staff") || strings.Contains(text, "by head") || strings.Contains(text, "Something here is wrong") {
		t.Error("somebody of the trust is told who said so")
	}
	if text := newClient(t, h, "technician").want("/schools/hollybank/devices/d-014", http.StatusOK); strings.Contains(text, "What somebody says is wrong here") {
		t.Error("a laptop of which nothing is disputed has a part for it")
	}
}

// TestADisputeIsRecordedForSomebody: by whoever looks after laptops, on the
// laptop's page or on the list, and with what is wrong said at the field.
func TestADisputeIsRecordedForSomebody(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	c := newClient(t, h, "technician")
	const of, list = "/schools/hollybank/devices/d-014/disputes", "/schools/hollybank/privacy/disputes"
	c.want(of, http.StatusOK, "For whom you record it", "What a rule found")
	if r := c.post(of, url.Values{"about": {"security"}, "for": {"Sam Carter"}, "reason": {"the firewall is on"}}); r.Code != http.StatusSeeOther || r.Header().Get("Location") != "/schools/hollybank/devices/d-014?done=raised#disputes" {
		t.Fatalf("saying so led to %d %s", r.Code, plainText(r.Body.String()))
	}
	if got, d := s.changed[0], s.decided[0]; got.Device != "d-014" || got.About != dispute.Security || d.By != "technician" || d.Dispute.For != "Sam Carter" || d.Dispute.Own {
		t.Errorf("recorded %+v %+v", got, d)
	}
	c.want("/schools/hollybank/devices/d-014?done=raised", http.StatusOK, "answers within a month")
	c.want(list, http.StatusOK, "Not answered: it was due by the end of Tue 20 Oct 2026", "Sam Carter, recorded by technician", "by whom is forgotten", "HB-CB-001")
	for name, one := range map[string]struct {
		form url.Values
		want string
	}{
		"nobody":          {url.Values{"about": {"uses"}, "reason": {"it is not so"}}, "about which laptop it is, or for whom"},
		"no laptop":       {url.Values{"about": {"encryption"}, "for": {"Sam"}, "reason": {"it is not so"}}, "Say about which laptop it is."},
		"nothing written": {url.Values{"about": {"uses"}, "for": {"Sam"}}, "how it is instead"},
		"hidden":          {url.Values{"about": {"uses"}, "for": {"Sam\u202e"}, "reason": {"it is not so"}}, "cannot be seen"},
	} {
		if r := c.post(list, one.form); r.Code != http.StatusUnprocessableEntity || !strings.Contains(plainText(r.Body.String()), one.want) {
			t.Errorf("%s: %d %.400s", name, r.Code, plainText(r.Body.String()))
		}
	}
	if r := c.post(list, url.Values{"about": {"encryption"}, "laptop": {"hb-lt-014"}, "reason": {"it is not so"}}); r.Code != http.StatusSeeOther || s.changed[1].Device != "d-014" {
		t.Errorf("by its name: %d %+v", r.Code, s.changed)
	}
	if r := c.post(list, url.Values{"about": {"holder"}, "laptop": {"HB-CB-001"}, "for": {"Sam Carter"}, "reason": {"it came back"}}); r.Code != http.StatusSeeOther || s.changed[2].Asset != "HB-CB-001" {
		t.Errorf("of what is no laptop: %d %+v", r.Code, s.changed)
	}
}

// TestWhoseDutyItIsAnswers: the officer and the head, and nobody what they said
// themselves.
func TestWhoseDutyItIsAnswers(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	const at = "/schools/hollybank/privacy/disputes/dp-1"
	for _, role := range access.Roles() {
		c := newClient(t, h, string(role))
		reads, answers := role.May(access.DisputeFacts), role.May(access.AnswerDisputes)
		if !reads {
			c.want(at, http.StatusForbidden)
			c.want("/schools/hollybank/devices/d-009/disputes", http.StatusForbidden)
		} else if text := c.want(at, http.StatusOK, "it <b>is</b> encrypted"); strings.Contains(text, "Record the answer") != answers {
			t.Errorf("%s is offered to answer: %v", role, !answers)
		}
		before := len(s.changed)
		if r := c.post(at+"/answer", url.Values{"outcome": {"upheld"}, "reason": {"read again"}}); (r.Code == http.StatusSeeOther) != answers || (len(s.changed) > before) != answers {
			t.Errorf("%s answers: %d", role, r.Code)
		}
	}
	c := newClient(t, h, "dpo")
	c.want("/schools/hollybank/privacy/disputes/dp-3", http.StatusOK, "Not upheld", "Read again after that")
	c.want("/schools/hollybank/privacy/disputes/dp-4", http.StatusOK, "forgotten on purpose")
	c.want("/schools/hollybank/privacy/disputes/dp-7", http.StatusNotFound)
	newClient(t, h, "dpo everywhere").want("/schools/oakfield/privacy/disputes/dp-1", http.StatusNotFound)
	c.want("/schools/hollybank", http.StatusOK, "2 disputed facts to be answered, the first by Tue 20 Oct 2026")
	for name, one := range map[string]struct {
		form url.Values
		want string
	}{
		"no answer": {url.Values{"reason": {"read again"}}, "Choose whether it is upheld."},
		"no words":  {url.Values{"outcome": {"upheld"}}, "Say what was done"},
		"too late":  {url.Values{"outcome": {"upheld"}, "reason": {"refuse this"}}, "It was answered already"},
	} {
		if r := c.post(at+"/answer", one.form); r.Code != http.StatusUnprocessableEntity || !strings.Contains(plainText(r.Body.String()), one.want) {
			t.Errorf("%s: %d %.400s", name, r.Code, plainText(r.Body.String()))
		}
	}
}
