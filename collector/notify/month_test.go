package notify

import (
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/shared/posture"
)

func october() MonthSummary {
	return MonthSummary{
		Month: "2026-10", Words: "October 2026", Ended: time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC),
		Counts: []Count{{"devices", 62, "3 more"}, {"Not encrypted, or not guarded", 2, "as before"}},
	}
}

// TestTheMonthIsToldOnce: in the digest, to head and data-protection officer, whatever
// restarts; to governors without a count, and to nobody else.
func TestTheMonthIsToldOnce(t *testing.T) {
	for _, role := range Roles() {
		p, r := newPlace(t), newReceiver(t)
		p.tell(r, role)
		p.school.month = october()
		p.pass(time.Hour)
		if got := r.took(); len(got) != 0 {
			t.Errorf("%s is told before the digest: %+v", role, got)
		}
		p.pass(time.Hour) // 08:00
		var want []string
		if role == access.Head || role == access.DPO || role == access.Governor {
			want = []string{"Summary of October 2026"}
		}
		wantLines(t, r.took(), want...)
		for range 3 {
			p.restart()
			p.pass(24 * time.Hour)
		}
		p.school.mark++ // its view is made again
		p.pass(24 * time.Hour)
		wantLines(t, r.took(), want...)
		november := october()
		november.Month, november.Words, november.Ended = "2026-11", "November 2026", november.Ended.AddDate(0, 1, 0)
		p.school.month = november
		p.pass(24 * time.Hour)
		if want != nil {
			want = append(want, "Summary of November 2026")
		}
		wantLines(t, r.took(), want...)
	}
}

// TestAMonthInWords: counts with a link, and to governors a link alone.
func TestAMonthInWords(t *testing.T) {
	for role, wants := range map[access.Role][]string{
		access.DPO:      {"devices: 62, 3 more; Not encrypted, or not guarded: 2, as before.", "/schools/" + string(hollybank) + "/trends/months/2026-10\n", "This is sent once a month."},
		access.Governor: {"Counts of a month are for those who answer for the school.", "/schools/" + string(hollybank) + "/terms\n"},
	} {
		p, r := newPlace(t), newReceiver(t)
		p.tell(r, role)
		p.school.month = october()
		p.pass(2 * time.Hour)
		all := r.took()
		if len(all) != 1 {
			t.Fatalf("%s is told %+v", role, all)
		}
		n := all[0]
		n.Pages = "https://caretaker.school.example"
		text := n.Text(time.UTC)
		for _, want := range append(wants, "Summary of October 2026") {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is not in %s", role, want, text)
			}
		}
		if n.Subject() != "Hollybank Primary School: Summary of October 2026" {
			t.Errorf("%s: %s", role, n.Subject())
		}
		if role == access.Governor && (strings.Contains(text, "62") || len(n.Parts[0].Causes[0].Counts) != 0) {
			t.Errorf("a governor is told a count: %s", text)
		}
	}
}

// TestAMonthWaitsForASchoolDay: nobody is written to in the holidays.
func TestAMonthWaitsForASchoolDay(t *testing.T) {
	p, r := newPlace(t), newReceiver(t)
	p.term = term{monday.AddDate(0, 0, -7), monday.AddDate(0, 0, 18)}
	p.restart()
	p.tell(r, access.Head)
	p.school.month = october()
	p.pass(18 * 24 * time.Hour)
	wantLines(t, r.took())
	p.pass(24 * time.Hour)
	wantLines(t, r.took(), "Summary of October 2026")
	p.pass(5 * 24 * time.Hour)
	wantLines(t, r.took(), "Summary of October 2026")
	// What else stands is told as ever.
	p.school.set(failing("AV-01", "HB-LT-001", posture.Critical))
	p.pass(24 * time.Hour)
	wantLines(t, r.took(), "Summary of October 2026")
}
