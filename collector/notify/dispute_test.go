package notify

import (
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/dispute"
	"github.com/caretaker-school/caretaker/collector/view"
)

func disputes(id string, at time.Time) view.Dispute {
	return view.Dispute{ID: id, About: dispute.Encryption, Device: "d-014", Asset: "HB-LT-014", Told: dispute.Told{For: "A. Rowan"}, Words: "It was encrypted all along.", By: "S. Carter", Raised: at}
}

// TestADisputeIsToldOnce, to those who answer it and to nobody else, in the next
// digest; across restarts, and without a word of what is said, of whom or of what.
func TestADisputeIsToldOnce(t *testing.T) {
	for role, hears := range map[access.Role]bool{access.DPO: true, access.Head: true, access.Technician: false, access.Administrator: false, access.Governor: false} {
		p, r := newPlace(t), newReceiver(t)
		p.tell(r, role)
		p.pass(20 * time.Minute)
		p.school.disputed = []view.Dispute{disputes("dp-1", p.clock.Now())}
		p.pass(time.Hour)
		wantLines(t, r.took())
		p.pass(24 * time.Hour)
		var want []string
		if hears {
			want = append(want, "Said to be wrong, and to be answered within a month: 1 recorded fact")
		}
		wantLines(t, r.took(), want...)
		p.restart()
		p.pass(48 * time.Hour)
		wantLines(t, r.took(), want...)
		p.school.disputed = append(p.school.disputed, disputes("dp-2", p.clock.Now()))
		p.pass(24 * time.Hour)
		if hears {
			want = append(want, want[0]) // the second alone
		}
		wantLines(t, r.took(), want...)
		for _, n := range r.took() {
			n.Pages = "https://caretaker.school.example"
			text := n.Subject() + "\n" + n.Text(time.UTC)
			for _, word := range []string{"encrypted all along", "Rowan", "Carter", "HB-LT-014", "dp-1", "policy breach"} {
				if strings.Contains(text, word) {
					t.Errorf("%q is in %s", word, text)
				}
			}
			if !strings.Contains(text, "/schools/"+string(hollybank)+"/privacy/disputes\n") {
				t.Errorf("it does not lead to the page: %s", text)
			}
		}
	}
}
