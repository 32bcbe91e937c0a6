package subject

import (
	"bytes"
	"strings"
	"testing"
)

// TestWhatWasReportedIsTiedByWhatItSays: by the account, the name that is given,
// a device that they had then, or an incident of theirs; and of the rest it is
// said that nobody can tell.
func TestWhatWasReportedIsTiedByWhatItSays(t *testing.T) {
	s := story()
	s.Raised = []Raised{
		{Reference: "0000-0001", Kind: "lost", Thing: "hb-lt-014", From: "Robin Hale", Words: "left in my car", At: hour(16), Incident: "2026-01", State: "incident 2026-01 was opened"},
		{Reference: "0000-0002", Kind: "suspicious", From: "sam  CARTER", Words: "it asks for a password", At: hour(50), State: "set aside"},
		{Reference: "0000-0003", Kind: "suspicious", By: "sam", Words: "signed in", At: hour(51), State: "set aside"},
		{Reference: "0000-0004", Kind: "lost", Thing: "HB-LT-014", From: "Ash Lowe", Words: "of the next user", At: hour(30), State: "set aside"},
		{Reference: "0000-0005", Kind: "found-stick", Words: "in the car park", At: hour(15), State: "set aside"},
		{Reference: "0000-0006", Kind: "lost", Thing: "HB-TR-001", Words: "off the trolley", At: hour(14), State: "set aside"},
		{Reference: "0000-0007", Kind: "lost", By: "ash", Words: "of another account", At: hour(14), State: "set aside"},
		{Reference: "0000-0008", Kind: "lost", Forgotten: true, At: hour(1), State: "set aside"},
	}
	sheet := Gather(s)
	if len(sheet.Reports) != 3 || sheet.Untied != 3 || sheet.ReportsForgotten != 1 {
		t.Fatalf("%d cannot be tied, %d are forgotten: %+v", sheet.Untied, sheet.ReportsForgotten, sheet.Reports)
	}
	if why := strings.Join(sheet.Reports[0].Why, "; "); why != "it names a device that you had then; incident 2026-01, which stands here, was opened because of it" {
		t.Errorf("why it is here: %s", why)
	}
	var out bytes.Buffer
	if err := Print(&out, sheet); err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{"which nobody has checked", "you reported it, signed in", "Of 3 reports that somebody made without signing in nobody can tell whose they are", "show the reference", "Of 1 reports"} {
		if !strings.Contains(out.String(), words) {
			t.Errorf("it does not say %q:\n%s", words, out.String())
		}
	}
	for _, others := range []string{"of the next user", "off the trolley", "of another account", "car park", "Ash Lowe"} {
		if strings.Contains(out.String(), others) {
			t.Errorf("it says %q", others)
		}
	}
	for _, r := range sheet.Reports {
		if r.Words == nil || !r.Words.Check {
			t.Errorf("what was told is not marked: %+v", r)
		}
	}
}

// TestWhatTheyDisputedIsInTheSheet: what they recorded, what was recorded for them,
// and what was about a device while it was theirs alone.
func TestWhatTheyDisputedIsInTheSheet(t *testing.T) {
	s := story()
	s.Disputed = []Disputed{
		{ID: "dp-1", About: "Whether its disks are encrypted", Device: "d-014", Tag: "HB-LT-014", By: "technician", Words: "it was replaced", Said: hour(15), Due: "2026-10-01", Fact: 7, Outcome: "Upheld", Answer: "read again", Answered: hour(16), AnsweredBy: "dpo"},
		{ID: "dp-2", About: "That the rules of use were acknowledged", For: "Sam Carter", By: "technician", Words: "signed in September", Said: hour(60), Due: "2026-10-03"},
		{ID: "dp-3", About: "Who has it", Tag: "HB-CB-001", By: "SAM", Said: hour(61), Due: "2026-10-03"},
		{ID: "dp-4", About: "Whether its disks are encrypted", Device: "d-014", Tag: "HB-LT-014", By: "ash", Words: "of the next user", Said: hour(30), Due: "2026-10-02"},
		{ID: "dp-5", About: "Whether its disks are encrypted", Device: "d-901", Tag: "HB-TR-001", By: "technician", Words: "of the trolley", Said: hour(14), Due: "2026-10-02"},
	}
	sheet := Gather(s)
	if len(sheet.Disputes) != 3 || sheet.Disputes[0].Why[0] != "it is about a device that you had then" || sheet.Disputes[1].Why[0] != "it was recorded for you" || sheet.Disputes[2].Why[0] != "you recorded it" {
		t.Fatalf("disputes: %+v", sheet.Disputes)
	}
	var out bytes.Buffer
	if err := Print(&out, sheet); err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{"Recorded facts that are disputed *", "HB-LT-014: Whether its disks are encrypted (entry 7 of the record)", "Upheld", "read again", "to be answered by Sat 3 Oct 2026", "forgotten"} {
		if !strings.Contains(out.String(), words) {
			t.Errorf("it does not say %q:\n%s", words, out.String())
		}
	}
	if strings.Contains(out.String(), "next user") || strings.Contains(out.String(), "of the trolley") {
		t.Error("what somebody else disputed is in the sheet")
	}
	if none := Gather(story()); none.Disputes != nil || none.Reports != nil || none.Untied != 0 {
		t.Errorf("of nothing: %+v %+v", none.Disputes, none.Reports)
	}
}
