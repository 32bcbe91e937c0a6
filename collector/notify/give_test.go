package notify

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/notify/notifytest"
	"github.com/caretaker-school/caretaker/shared/posture"
)

const aNote = "caretaker.school/shollybank\n12\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n— caretaker.school/shollybank c2lnbmVk\n"

// checkpointsOf are the checkpoints of notices.
func checkpointsOf(all []Notice) (list []string) {
	for _, n := range all {
		for _, g := range n.Checkpoints {
			list = append(list, g.Checkpoint)
		}
	}
	return list
}

// TestACheckpointADayGoesToAProgram: to the data-protection officer's webhook
// daily, holidays or not, once, also across restarts; to no other role.
func TestACheckpointADayGoesToAProgram(t *testing.T) {
	for _, role := range []access.Role{access.DPO, access.Technician} {
		p, r := newPlace(t), newReceiver(t)
		p.term = term{monday, monday.AddDate(0, 1, 0)}
		p.school.note = aNote
		p.restart()
		p.tell(r, role)
		for d := range 3 {
			p.pass(6 * time.Hour)
			p.restart()
			p.pass(18 * time.Hour)
			want := 0
			if role == access.DPO {
				want = d + 1
			}
			if got := checkpointsOf(r.took()); len(got) != want || len(r.took()) != want || want > 0 && got[d] != aNote {
				t.Fatalf("%s, after %d days: %q", role, d+1, got)
			}
		}
	}
}

// TestACheckpointThatCannotBeMadeIsSaid: silence is no answer.
func TestACheckpointThatCannotBeMadeIsSaid(t *testing.T) {
	p, r := newPlace(t), newReceiver(t)
	p.school.stopped = errors.New("the record is damaged")
	p.school.partly = true // and what is shown is not whole either
	p.tell(r, access.DPO)
	p.pass(3 * time.Hour)
	if len(r.took()) != 1 || len(r.took()[0].Checkpoints) != 1 {
		t.Fatalf("told %+v", r.took())
	}
	n := r.took()[0]
	if n.Checkpoints[0].Missing != "the record is damaged" || n.Subject() != "Hollybank Primary School: no checkpoint of the record could be made" ||
		!strings.Contains(n.Text(time.UTC), "NONE COULD BE MADE: the record is damaged") {
		t.Errorf("%s\n%s", n.Subject(), n.Text(time.UTC))
	}
}

// TestMailBringsACheckpointWithTheDigestAndOnceAWeek through a real mail server.
func TestMailBringsACheckpointWithTheDigestAndOnceAWeek(t *testing.T) {
	p, s := newPlace(t), notifytest.NewMailServer(t, false, nil)
	p.school.note = aNote
	settings, c := mailTo(s, StartTLS, "", "")
	if err := p.teller.Set(func(s *Settings) error { s.Authorities, s.Mail = settings.Authorities, settings.Mail; return nil }); err != nil {
		t.Fatal(err)
	}
	c.Role = access.DPO
	if _, err := p.teller.Add(c); err != nil {
		t.Fatal(err)
	}
	days := func(n, letters int, checkpoint bool) {
		t.Helper()
		for range n {
			p.pass(2 * time.Hour) // over the digest
			p.clock.Advance(22 * time.Hour)
			p.restart()
		}
		all := s.Letters()
		if len(all) != letters {
			t.Fatalf("%d letters came, want %d", len(all), letters)
		}
		if got := strings.Contains(all[letters-1].Text(), aNote); got != checkpoint {
			t.Errorf("letter %d has a checkpoint: %t: %s", letters, got, all[letters-1].Text())
		}
	}
	days(1, 1, true) // the first morning, so that it is known what it looks like
	if l := s.Letters()[0]; !strings.Contains(l.Text(), "This tells of no breach.") || l.Header("Subject") != "Hollybank Primary School: checkpoint of the record" {
		t.Errorf("the first letter is %+v", l)
	}
	days(6, 1, true)
	days(1, 2, true) // a week after
	low := failing("ENC-05", "HB-LT-001", posture.Moderate)
	low.FirstFailed = p.clock.Now().Add(time.Hour)
	p.school.set(low)
	days(1, 3, true) // with the digest
	if l := s.Letters()[2]; !strings.Contains(l.Data, "ENC-05") {
		t.Errorf("the digest is %s", l.Data)
	}
	days(6, 3, true)
	days(1, 4, true) // a week after that

	// What does not arrive is tried again, and seen.
	s.Refuse("451 come back later")
	days(7, 4, true)
	if st := p.teller.Status()[0]; st.Attempts == 0 || st.Waiting == "" || !strings.Contains(st.Why, "come back later") {
		t.Errorf("the way is %+v", st)
	}
	s.Refuse("")
	days(1, 5, true)
}
