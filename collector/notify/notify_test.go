package notify

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// TestTheSameCauseIsOneLine: two dozen laptops that are switched on one after
// the other are one line, and what comes to matter more is told again.
func TestTheSameCauseIsOneLine(t *testing.T) {
	p, r := newPlace(t), newReceiver(t)
	p.clock.Advance(2 * time.Hour) // in the morning, the digest being over
	p.tell(r, access.Technician)
	var all []view.Breach
	for i := range 24 {
		all = append(all, failing("AV-01", fmt.Sprintf("HB-LT-%03d", i), posture.Critical))
		p.school.set(all...)
		if i%8 == 0 {
			p.pass(time.Minute)
		}
	}
	p.pass(30 * time.Minute)
	wantLines(t, r.took(), "Not met on 24 laptops: Antivirus is on (AV-01, critical)")
	n := r.took()[0]
	if n.Digest || len(n.Parts[0].Causes[0].Tags) != mostTags || n.Laptops != 24 {
		t.Errorf("the notice is %+v", n)
	}

	// A twenty-fifth joins a cause that was told today: it waits for the digest.
	all = append(all, failing("AV-01", "HB-LT-099", posture.Critical), failing("CFG-02", "HB-LT-001", posture.High))
	p.school.set(all...)
	p.pass(30 * time.Minute)
	if got := len(r.took()); got != 1 {
		t.Fatalf("%d notices before the digest: %v", got, lines(r.took()))
	}
	p.pass(23 * time.Hour)
	wantLines(t, r.took()[1:], "Not met on 1 laptop: Antivirus is on (AV-01, critical)", "Not met on 1 laptop: Locks itself (CFG-02, high)")
	if n := r.took()[1]; !n.Digest || n.At.Format("15:04") != "07:30" {
		t.Errorf("the digest is %+v", n)
	}

	all[len(all)-1].Severity = posture.Critical
	p.school.set(all...)
	p.pass(30 * time.Minute)
	wantLines(t, r.took()[2:], "Now critical, not met on 1 laptop: Locks itself (CFG-02)")
	p.pass(25 * time.Hour)
	if got := len(r.took()); got != 3 {
		t.Errorf("%d notices though nothing happened: %v", got, lines(r.took()))
	}
}

// TestHolidaysAreQuiet: nobody is told of a cupboard in August, and everybody of
// a disk that can be read. After the holiday all of it is one digest.
func TestHolidaysAreQuiet(t *testing.T) {
	p, r := newPlace(t), newReceiver(t)
	p.term = term{monday, monday.Add(5 * 24 * time.Hour)}
	p.restart()
	p.tell(r, access.Technician)
	silent := failing("LIF-01", "HB-LT-002", posture.Moderate)
	unproven := failing("ENC-05", "HB-LT-002", posture.High)
	silent.Silent, unproven.Silent = true, true
	p.school.set(failing("AV-01", "HB-LT-001", posture.Critical), silent, unproven)
	p.pass(48 * time.Hour)
	if r.asked() != 0 {
		t.Fatalf("told in the holidays: %v", lines(r.took()))
	}
	p.school.set(failing("AV-01", "HB-LT-001", posture.Critical), silent, unproven, failing("ENC-01", "HB-LT-003", posture.Critical))
	p.pass(20 * time.Minute)
	wantLines(t, r.took(), "Not met on 1 laptop: System disk encrypted (ENC-01, critical)")
	p.pass(96 * time.Hour)
	wantLines(t, r.took()[1:], "Not met on 1 laptop: Antivirus is on (AV-01, critical)",
		"Nothing heard in time from 1 laptop: Encryption is proven (ENC-05, high)", "Nothing heard in time from 1 laptop: Seen recently (LIF-01, medium)")
}

// TestEachRoleIsToldWhatItCanActOn compares what three roles get of the same.
func TestEachRoleIsToldWhatItCanActOn(t *testing.T) {
	grave := failing("CFG-02", "HB-LT-004", posture.High)
	for role, want := range map[access.Role][]string{
		access.Technician: {"ENC-01", "CFG-02", "CFG-02"}, access.DPO: {"ENC-01"}, access.Head: {"CFG-02"},
	} {
		p, r := newPlace(t), newReceiver(t)
		id := p.tell(r, role)
		p.school.set(failing("ENC-01", "HB-LT-003", posture.Critical), grave)
		p.pass(24 * time.Hour)
		if role == access.Head { // that it was open before is not for a head, and what became of it is
			p.teller.book.of(id).marks[keyOf(hollybank, &grave)] = mark{posture.High, day(monday)}
		}
		worse := grave
		worse.Severity = posture.Critical
		p.school.set(failing("ENC-01", "HB-LT-003", posture.Critical), worse)
		p.pass(48 * time.Hour)
		var got []string
		for _, n := range r.took() {
			for _, c := range n.Parts[0].Causes {
				got = append(got, c.Rule)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s is told %v, want %v", role, got, want)
		}
	}
	p, r := newPlace(t), newReceiver(t)
	for _, role := range []access.Role{access.Business, access.Staff, "caretaker"} {
		if _, err := p.teller.Add(Channel{Kind: Webhook, School: hollybank, Role: role, Address: r.URL, Secret: secret}); err == nil {
			t.Errorf("notices for %s", role)
		}
	}
}

// TestALossIsToldToEverybodyWhoCanAct: at once, in the holidays and to the head
// too, and once; what was found again is not told.
func TestALossIsToldToEverybodyWhoCanAct(t *testing.T) {
	for _, role := range []access.Role{access.Technician, access.DPO, access.Head} {
		p, r := newPlace(t), newReceiver(t)
		p.term = term{monday, monday.AddDate(0, 1, 0)}
		p.restart()
		p.tell(r, role)
		since := incident.NewMoment(monday.Add(-time.Hour), "Europe/London")
		found := incident.Linked{Losses: []incident.Loss{{Since: since, Found: &since}}}
		lost := incident.Linked{Losses: []incident.Loss{{Since: since}}}
		p.school.lost = []view.Incident{
			{Incident: incident.Incident{ID: "a", Number: "2026-01", Links: []incident.Linked{found}}},
			{Incident: incident.Incident{ID: "b", Number: "2026-02", Links: []incident.Linked{found, lost}}},
		}
		p.pass(30 * time.Hour)
		wantLines(t, r.took(), "Reported lost: incident 2026-02")
		if n := r.took()[0]; n.Digest || !n.Parts[0].Causes[0].Since.Equal(since.At) {
			t.Errorf("%s is told %+v", role, n)
		}
	}
}

// TestWhatSomebodyIsOnIsNotTold: what was acknowledged before anybody was told
// needs nobody else.
func TestWhatSomebodyIsOnIsNotTold(t *testing.T) {
	p, r := newPlace(t), newReceiver(t)
	p.tell(r, access.Technician)
	b := failing("CFG-02", "HB-LT-001", posture.High)
	b.Status, b.AcknowledgedAt = breach.Acknowledged, monday
	exempt := failing("CFG-02", "HB-LT-002", posture.High)
	exempt.Status = breach.Exempt
	pending := failing("CFG-02", "HB-LT-003", posture.High)
	pending.Status = breach.Pending
	p.school.set(b, exempt, pending)
	p.pass(30 * time.Hour)
	if r.asked() != 0 {
		t.Errorf("told: %v", lines(r.took()))
	}
}

// TestAHalfMadeViewIsNotBelieved: while the view is made again, breaches that
// were settled long ago stand in it.
func TestAHalfMadeViewIsNotBelieved(t *testing.T) {
	p, r := newPlace(t), newReceiver(t)
	p.tell(r, access.Technician)
	p.school.partly = true
	p.school.set(failing("ENC-01", "HB-LT-001", posture.Critical))
	p.pass(3 * time.Hour)
	if r.asked() != 0 {
		t.Fatalf("told of what a half-made view holds: %v", lines(r.took()))
	}
	p.school.set(failing("CFG-02", "HB-LT-001", posture.High))
	p.school.mu.Lock()
	p.school.partly = false
	p.school.mu.Unlock()
	p.pass(26 * time.Hour)
	wantLines(t, r.took(), "Not met on 1 laptop: Locks itself (CFG-02, high)")
}

// TestNoticesNameNobody: host names hold names of people, labels of programs
// and files.
func TestNoticesNameNobody(t *testing.T) {
	p, r := newPlace(t), newReceiver(t)
	p.tell(r, access.Technician)
	if err := p.teller.Set(func(s *Settings) error { s.Pages = "https://caretaker.hollybank.example/"; return nil }); err != nil {
		t.Fatal(err)
	}
	b := failing("CFG-02", "", posture.High)
	b.Subject, b.Message, b.AcknowledgedBy = posture.Subject{Kind: "executable", Key: "k", Label: "private-diary.exe"}, "private-diary.exe is there", "Morgan Ellis"
	p.school.set(b, failing("ENC-01", "HB-LT-003", posture.Critical))
	p.pass(26 * time.Hour)
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range r.took() {
		text := n.Text(london) + fmt.Sprint(teamsCard(n, london)) + string(r.bodies[0]) + string(r.bodies[1])
		for _, m := range syslogMessages(n, "collector") {
			text += string(m)
			if strings.Contains(string(m), "HB-LT") {
				t.Errorf("syslog names a laptop: %s", m)
			}
		}
		for _, name := range []string{"janes-laptop", "private-diary", "Morgan", "device-"} {
			if strings.Contains(text, name) {
				t.Errorf("a notice has %q: %s", name, text)
			}
		}
	}
}

const goldenText = `Mon 2 Nov 2026 07:30 GMT
What is new since the last notice.

Hollybank Primary School
------------------------

Not met on 1 laptop: System disk encrypted (ENC-01, critical)
  Since Mon 2 Nov 2026 05:00 GMT: HB-LT-003.
  What to do: Turn it on.

Nothing heard in time from 2 laptops: Seen recently (LIF-01, medium)
  Not proven since Sat 24 Oct 2026 06:00 BST: HB-LT-004 and 1 more.

  https://caretaker.hollybank.example/schools/shollybank/breaches

This is what laptops reported, as evidence and not as a certificate. Each breach is told once,
and again only if it comes to matter more.
Notice 0123
`

func TestTheTextForPeople(t *testing.T) {
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	n := Notice{
		ID: "0123", At: monday.Add(90 * time.Minute), Digest: true, Pages: "https://caretaker.hollybank.example",
		Parts: []Part{{School: hollybank, Name: "Hollybank Primary School", Causes: []Cause{
			{What: Opened, Rule: "ENC-01", Title: "System disk encrypted", Severity: posture.Critical, Laptops: 1, Tags: []string{"HB-LT-003"}, Since: monday.Add(-time.Hour), Remediation: "Turn it on."},
			{What: Opened, Rule: "LIF-01", Title: "Seen recently", Severity: posture.Moderate, Laptops: 2, Tags: []string{"HB-LT-004"}, Since: monday.AddDate(0, 0, -9).Add(-time.Hour), Silent: true},
		}}},
	}
	if got := n.Text(london); got != goldenText {
		t.Errorf("got\n%s\nwant\n%s", got, goldenText)
	}
	if got := n.Subject(); got != "Hollybank Primary School: 2 policy breaches to look at" {
		t.Errorf("the subject is %q", got)
	}
	n.Parts[0].Causes = append(n.Parts[0].Causes, Cause{What: Disputed, Disputes: 1, Since: monday})
	if got := n.Subject(); got != "Hollybank Primary School: 3 things to look at" {
		t.Errorf("the subject of what is not only about breaches is %q", got)
	}
}

// TestASecretStaysInItsFile: neither a list nor a log nor an error has it.
func TestASecretStaysInItsFile(t *testing.T) {
	p, r := newPlace(t), newReceiver(t)
	id := p.tell(r, access.Technician)
	if _, err := p.teller.Add(Channel{Kind: Teams, School: hollybank, Role: access.Technician, Address: "https://[::1]:1/workflows/hidden?sig=hidden"}); err != nil {
		t.Fatal(err)
	}
	err := p.teller.Set(func(s *Settings) error {
		s.Mail = MailServer{Address: "mail.hollybank.example:587", Protection: StartTLS, From: "caretaker@hollybank.example", User: "caretaker", Password: "hidden"}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	p.school.set(failing("ENC-01", "HB-LT-001", posture.Critical))
	p.pass(20 * time.Minute)
	shown := fmt.Sprintf("%+v %+v %+v", p.teller.Status(), p.teller.Log(), p.teller.Settings())
	for _, s := range p.teller.Status() {
		if s.ID != id && s.Attempts == 0 {
			t.Errorf("the failure does not show: %+v", s)
		}
		if _, err := p.teller.Test(t.Context(), s.ID); err != nil {
			shown += err.Error()
		}
	}
	if strings.Contains(shown, "hidden") || strings.Contains(shown, secret) {
		t.Errorf("a secret is shown: %s", shown)
	}
	book, err := os.ReadFile(p.file())
	if err != nil || strings.Contains(string(book), "hidden") {
		t.Errorf("the record of what was told: %v, or it has a secret", err)
	}
	for _, name := range []string{settingsFile, bookFile} {
		info, err := os.Stat(filepath.Join(p.dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

// TestADamagedRecordStopsNotices: to begin anew would tell everything again.
func TestADamagedRecordStopsNotices(t *testing.T) {
	p, r := newPlace(t), newReceiver(t)
	p.tell(r, access.Technician)
	p.school.set(failing("ENC-01", "HB-LT-001", posture.Critical))
	p.pass(30 * time.Minute)
	if err := p.teller.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(p.file())
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) {
		if err := os.WriteFile(p.file(), whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := openBook(p.file())
		if err != nil {
			t.Fatalf("cut at byte %d: %v", cut, err)
		}
		b.close()
	}
	spoilt := slices.Clone(whole)
	spoilt[30] ^= 1
	if err := os.WriteFile(p.file(), spoilt, 0o600); err != nil {
		t.Fatal(err)
	}
	broken := Open(p.teller.o)
	if broken.Trouble() == nil {
		t.Error("a damaged record was taken for a good one")
	}
	if err := broken.Set(func(*Settings) error { return nil }); err == nil {
		t.Error("settings were changed over a record that cannot be read")
	}
	p.teller = broken
	p.pass(time.Hour)
	if got := len(r.took()); got != 1 {
		t.Errorf("%d notices", got)
	}
}

// TestLongAgoIsForgotten: what has not stood for long takes no room, and what
// stands is never told again.
func TestLongAgoIsForgotten(t *testing.T) {
	p, r := newPlace(t), newReceiver(t)
	id := p.tell(r, access.Technician)
	stays := failing("CFG-02", "HB-LT-002", posture.High)
	p.school.set(failing("ENC-01", "HB-LT-001", posture.Critical), stays)
	p.pass(26 * time.Hour)
	p.school.set(stays)
	for range 80 {
		p.clock.Advance(24*time.Hour - 5*time.Minute)
		p.pass(5 * time.Minute)
	}
	p.restart()
	p.pass(10 * time.Minute)
	if got := len(p.teller.book.of(id).marks); got != 1 {
		t.Errorf("%d breaches are remembered", got)
	}
	if got := len(r.took()); got != 2 {
		t.Errorf("told %v", lines(r.took()))
	}
}

// TestACupboardIsNoLetterOnTheFirstMorning: what fell silent in the holidays can
// be switched on for a day before anybody is told of it, in one line; what is seen
// on that day is told at once, in one line too.
func TestACupboardIsNoLetterOnTheFirstMorning(t *testing.T) {
	p, r := newPlace(t), newReceiver(t)
	p.term = term{monday.AddDate(0, 0, -42), monday}
	p.restart()
	p.tell(r, access.Technician)
	var stand []view.Breach
	for i := range 24 {
		b := failing("ENC-05", fmt.Sprintf("HB-LT-%03d", i), posture.High)
		b.Silent, b.FirstFailed = true, monday.AddDate(0, 0, -28)
		stand = append(stand, b)
	}
	p.school.set(stand...)
	p.pass(5 * time.Hour) // from six until eleven, over the digest
	if r.asked() != 0 {
		t.Fatalf("told on the first morning: %v", lines(r.took()))
	}
	late := failing("LIF-01", "HB-LT-900", posture.Moderate) // it fell silent in term
	late.Silent, late.FirstFailed = true, monday.Add(time.Hour)
	for i := range 24 {
		stand = append(stand, failing("AV-01", fmt.Sprintf("HB-LT-%03d", i+100), posture.Critical))
	}
	p.school.set(append(stand, late)...)
	p.pass(20 * time.Minute)
	wantLines(t, r.took(), "Not met on 24 laptops: Antivirus is on (AV-01, critical)")
	if text := r.took()[0].Text(time.UTC); !strings.Contains(text, "\n24 laptops, one cause.\n") {
		t.Errorf("the text is %s", text)
	}
	p.pass(24 * time.Hour)
	wantLines(t, r.took()[1:], "Nothing heard in time from 24 laptops: Encryption is proven (ENC-05, high)",
		"Nothing heard in time from 1 laptop: Seen recently (LIF-01, medium)")
}

// everyOther is the calendar of a nursery that is open on Mondays, Wednesdays and
// Fridays.
type everyOther struct{}

func (everyOther) Quiet(_ posture.SchoolID, at time.Time, urgent bool) bool {
	return !urgent && !slices.Contains([]time.Weekday{time.Monday, time.Wednesday, time.Friday}, at.Weekday())
}

func (e everyOther) Open(school posture.SchoolID, from, to time.Time) (open time.Duration) {
	for at := from; at.Before(to); at = at.Add(time.Minute) {
		if !e.Quiet(school, at, false) {
			open += time.Minute
		}
	}
	return open
}

// TestASchoolThatIsNeverOpenTwoDaysRunning is told all the same of what fell silent
// on a day on which it was closed: on the second day on which it is open.
func TestASchoolThatIsNeverOpenTwoDaysRunning(t *testing.T) {
	p, r := newPlace(t), newReceiver(t)
	p.term = everyOther{}
	p.restart()
	p.tell(r, access.Technician)
	b := failing("LIF-01", "HB-LT-014", posture.Moderate)
	b.Silent, b.FirstFailed = true, monday.Add(30*time.Hour) // on Tuesday
	p.pass(31 * time.Hour)
	p.school.set(b)
	p.pass(30 * time.Hour) // over Wednesday's digest
	wantLines(t, r.took())
	p.restart()
	p.pass(40 * time.Hour) // over Friday's
	wantLines(t, r.took(), "Nothing heard in time from 1 laptop: Seen recently (LIF-01, medium)")
	p.pass(7 * 24 * time.Hour)
	wantLines(t, r.took(), "Nothing heard in time from 1 laptop: Seen recently (LIF-01, medium)")
}
