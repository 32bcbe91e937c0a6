package notify

import (
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/concern"
	"github.com/caretaker-school/caretaker/collector/view"
)

// waits is something that was reported and that nobody has looked at.
func waits(id string, at time.Time) view.Concern {
	return view.Concern{ID: id, Kind: concern.Lost, Told: concern.Told{Thing: "HB-LT-014", From: "A. Rowan"}, Words: "see http://example.com/", Raised: at}
}

// TestWhatWasReportedIsToldAtOnce: at night and in a holiday, to those who can
// act; to the head too once nobody has looked for a day; and each once, across
// restarts.
func TestWhatWasReportedIsToldAtOnce(t *testing.T) {
	for _, role := range []access.Role{access.Technician, access.Administrator, access.DPO, access.Head} {
		p, r := newPlace(t), newReceiver(t)
		p.term = term{monday.AddDate(0, 0, -1), monday.AddDate(0, 1, 0)}
		p.restart()
		p.tell(r, role)
		p.pass(16 * time.Hour) // 22:00
		p.school.reported = []view.Concern{waits("K7QM-2XHD", p.clock.Now())}
		p.pass(20 * time.Minute)
		var want []string
		const one = "Reported without signing in, and not yet looked at: 1 report"
		if role != access.Head {
			want = append(want, one)
		}
		wantLines(t, r.took(), want...)
		p.restart()
		p.pass(23 * time.Hour)
		wantLines(t, r.took(), want...)
		p.pass(time.Hour + 20*time.Minute)
		want = append(want, one) // it was not looked at for a day
		wantLines(t, r.took(), want...)
		p.school.reported = nil
		p.pass(72 * time.Hour)
		wantLines(t, r.took(), want...)
	}
}

// TestNothingThatAStrangerWroteIsInANotice: it counts what was reported. A notice
// is believed, so nobody writes into it from outside.
func TestNothingThatAStrangerWroteIsInANotice(t *testing.T) {
	p, r := newPlace(t), newReceiver(t)
	p.tell(r, access.Technician)
	p.school.reported = []view.Concern{waits("K7QM-2XHD", monday), waits("0000-0001", monday)}
	p.pass(20 * time.Minute)
	all := r.took()
	if len(all) != 1 {
		t.Fatalf("told %+v", all)
	}
	n := all[0]
	n.Pages = "https://caretaker.school.example"
	text := n.Subject() + n.Text(time.UTC)
	for _, word := range []string{"example.com", "Rowan", "HB-LT-014", "K7QM"} {
		if strings.Contains(text, word) {
			t.Errorf("%s is in %s", word, text)
		}
	}
	for _, word := range []string{"2 reports", "Nobody has checked what they say", "/schools/" + string(hollybank) + "/incidents\n"} {
		if !strings.Contains(text, word) {
			t.Errorf("%q is not in %s", word, text)
		}
	}
	if strings.Contains(text, "what laptops reported") || n.Parts[0].Causes[0].Laptops != 0 {
		t.Errorf("it tells of laptops: %s", text)
	}
}

// TestAnotherReportIsNotHeldBackForLong: whoever makes reports up does not keep
// the one that matters from being told within the hour.
func TestAnotherReportIsNotHeldBackForLong(t *testing.T) {
	p, r := newPlace(t), newReceiver(t)
	p.tell(r, access.DPO)
	p.school.reported = []view.Concern{waits("0000-0001", monday)}
	p.pass(20 * time.Minute)
	first := len(r.took())
	p.school.reported = append(p.school.reported, waits("K7QM-2XHD", monday))
	p.pass(80 * time.Minute)
	if got := len(r.took()); first != 1 || got != 2 {
		t.Errorf("%d notices, and then %d: %+v", first, got, r.took())
	}
}
