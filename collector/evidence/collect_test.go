package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
)

const day = 24 * time.Hour

var monday = time.Date(2026, 9, 7, 8, 0, 0, 0, time.UTC)

// laptop is a device that writes into a real ledger what it would report.
type laptop struct {
	t        testing.TB
	school   School
	sealing  *identity.SchoolKey
	key      *identity.DeviceKey
	maker    roster.Maker
	sequence uint64
	hash     proof.Digest
	contacts uint64
	witness  proof.Witness
	events   []posture.MediumEvent
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newLaptop(t testing.TB) *laptop {
	t.Helper()
	dir := t.TempDir()
	l := &laptop{t: t, maker: roster.Maker{School: "hollybank", Intake: "collector"}}
	l.sealing = must(identity.NewSchoolKey(filepath.Join(dir, "school.pem"), "hollybank"))
	authority := must(identity.NewAuthority(dir, "hollybank", monday))
	l.key = must(identity.MakeDeviceKey(filepath.Join(dir, "device.pem")))
	l.school = School{ID: "hollybank", Name: "Hollybank Primary School", Key: must(l.sealing.Verifier())}
	l.school.Ledger = must(ledger.Open(filepath.Join(dir, "ledger"), ledger.Options{
		School: "hollybank", Signer: must(l.sealing.Signer()), Verifier: l.school.Key.Note,
	}))
	t.Cleanup(func() { l.school.Ledger.Close() })
	l.school.Roster = must(roster.Open(t.Context(), roster.Options{School: "hollybank", Ledger: l.school.Ledger, Verifier: l.school.Key}))
	token := roster.Token{ID: "t1", Uses: 1, Ends: monday.Add(day), Ownership: posture.SchoolMultiUser, By: "Morgan Ellis"}
	l.append(l.maker.Entry(proof.KindToken, "token:t1", monday, must(roster.Section(roster.SectionToken, proof.Kept, token))))
	l.append(l.maker.Entry(proof.KindEnrolment, "d1", monday, must(roster.Section(roster.SectionEnrolment, proof.Kept, roster.Enrolment{
		Device: "d1", Certificate: must(authority.Issue("d1", l.key.Public(), monday)), Token: "t1", Ownership: posture.SchoolMultiUser, Platform: posture.Linux,
	}))))
	return l
}

func (l *laptop) append(e ...ledger.Entry) {
	l.t.Helper()
	if _, err := l.school.Ledger.Append(l.t.Context(), e...); err != nil {
		l.t.Fatal(err)
	}
}

// encrypted and plain are what the disks can be.
func encrypted() posture.Answer[posture.Volume] {
	return posture.Found("test", volume(posture.SystemVolume, posture.Encrypted, posture.ProtectionOn))
}

func plain() posture.Answer[posture.Volume] {
	return posture.Found("test", volume(posture.SystemVolume, posture.Unencrypted, posture.ProtectionOff))
}

// entry makes the next report, at a time of the device's clock, received at one
// of the collector's. change may change what is signed.
func (l *laptop) entry(disks posture.Answer[posture.Volume], made, received time.Time, change ...func(*proof.ReportStatement)) ledger.Entry {
	l.t.Helper()
	l.sequence++
	s := proof.ReportStatement{
		School: "hollybank", Device: "d1", Sequence: l.sequence, Previous: l.hash, MadeAt: uint64(made.UnixMilli()), Witness: l.witness,
	}
	disks.ReadAt = made
	facts := posture.Facts{Volumes: disks, Security: posture.NotFound[posture.Security]("test", posture.Denied)}
	facts.MediaEvents = posture.Found("test", l.events...)
	var sections []proof.Section
	for _, b := range must(wire.EncodeFacts(facts, nil)) {
		section := proof.Section{Name: b.Name, Class: b.Class, Body: b.Data}
		sections = append(sections, section)
		s.Sections = append(s.Sections, section.Ref(uint64(max(0, made.UnixMilli())), l.sequence))
	}
	for _, f := range change {
		f(&s)
	}
	encoded := must(s.Encode())
	l.sequence, l.hash, l.contacts = s.Sequence, proof.HashReport(encoded), 0
	return ledger.Entry{Envelope: proof.Envelope{
		Kind: proof.KindReport, School: "hollybank", Subject: "d1", Sequence: s.Sequence, ReceivedAt: uint64(received.UnixMilli()), Intake: "collector",
		Statement: encoded, Signature: must(l.key.Sign(l.hash)), Sections: s.Sections,
	}, Sections: sections}
}

func (l *laptop) reports(disks posture.Answer[posture.Volume], made, received time.Time, change ...func(*proof.ReportStatement)) {
	l.t.Helper()
	l.append(l.entry(disks, made, received, change...))
}

func (l *laptop) contact(made, received time.Time) {
	l.t.Helper()
	l.append(l.contactEntry(made, received))
}

func (l *laptop) contactEntry(made, received time.Time) ledger.Entry {
	l.t.Helper()
	l.contacts++
	c := proof.ContactStatement{
		School: "hollybank", Device: "d1", Report: l.sequence, Hash: l.hash, Count: l.contacts, MadeAt: uint64(made.UnixMilli()), ReadAt: uint64(made.UnixMilli()),
	}
	statement := must(c.Encode())
	body := must(proof.SignedContact{Statement: statement, Signature: must(l.key.Sign(proof.HashContact(statement)))}.Encode())
	return l.maker.Entry(proof.KindContacts, "", received, proof.Section{Name: roster.SectionContact, Class: proof.Contacts, Body: body})
}

// sealed gathers evidence, seals it, and has it verified.
func (l *laptop) sealed(at time.Time) (*Bundle, []byte) {
	l.t.Helper()
	if err := l.school.Roster.CatchUp(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
	b, err := Collect(l.t.Context(), l.school, Question{Device: "d1", At: at, By: "Priya Anand", Now: at.Add(365 * day)})
	if err != nil {
		l.t.Fatal(err)
	}
	file, err := b.Seal(l.sealing)
	if err != nil {
		l.t.Fatal(err)
	}
	verified, _, err := Verify(file, Trust{Key: &l.school.Key})
	if err != nil {
		l.t.Fatal(err)
	}
	return verified, file
}

func (l *laptop) sheet(at time.Time) Sheet {
	l.t.Helper()
	b, _ := l.sealed(at)
	return b.Sheet
}

func says(s Sheet, words string) bool {
	return slices.ContainsFunc(s.NotKnown, func(n string) bool { return strings.Contains(n, words) })
}

// TestAReportThatTheSchoolHadCounts: a clock that is ahead hides nothing that
// the collector had received by the moment.
func TestAReportThatTheSchoolHadCounts(t *testing.T) {
	l := newLaptop(t)
	l.reports(encrypted(), monday, monday)
	l.reports(plain(), monday.Add(3650*day), monday.Add(day))
	s := l.sheet(monday.Add(2 * day))
	if s.State != NotEncrypted || s.Reported.Sequence != 2 || !s.Since.Equal(monday.Add(day)) {
		t.Errorf("its clock is ten years ahead: %s since %v, by report %d", s.State, s.Since, s.Reported.Sequence)
	}
	if !says(s, "ahead of the collector's") || !says(s, "clock was wrong: 2") {
		t.Errorf("nothing is said of its clock: %q", s.NotKnown)
	}
	l.reports(encrypted(), monday.Add(3*day), monday.Add(3*day))
	if s := l.sheet(monday.Add(4 * day)); len(s.Spans) != 3 || s.State != Encrypted || slices.ContainsFunc(s.Spans, func(p Span) bool { return p.State == Missing }) {
		t.Errorf("a report that is in the ledger is missing: %+v", s.Spans)
	}
}

// TestWhatCameAfterTheMomentDoesNotCount: not by a clock that was put back
// either.
func TestWhatCameAfterTheMomentDoesNotCount(t *testing.T) {
	lost := monday.Add(10 * day)
	for name, later := range map[string]func(*laptop){
		"its clock was put back to before the last report": func(l *laptop) { l.reports(encrypted(), monday.Add(-365*day), lost.Add(day)) },
		"an earlier one was made after the moment": func(l *laptop) {
			l.reports(plain(), lost.Add(day), lost.Add(day))
			l.reports(encrypted(), lost.Add(-time.Hour), lost.Add(2*day))
		},
		"it bears witness to what came after the moment": func(l *laptop) {
			l.reports(plain(), lost.Add(day), lost.Add(day))
			size, root := l.school.Ledger.Root()
			l.witness = proof.Witness{Size: size, Root: root}
			l.reports(encrypted(), lost.Add(-time.Hour), lost.Add(2*day))
		},
	} {
		l := newLaptop(t)
		l.reports(plain(), lost.Add(-day), lost.Add(-day))
		later(l)
		if s := l.sheet(lost); s.State != NotEncrypted || s.Reported.Sequence != 1 {
			t.Errorf("%s: %s by report %d", name, s.State, s.Reported.Sequence)
		}
	}
	// What was made before and came late does.
	l := newLaptop(t)
	l.reports(plain(), lost.Add(-2*day), lost.Add(-2*day))
	l.reports(encrypted(), lost.Add(-day), lost.Add(day))
	if s := l.sheet(lost); s.State != Encrypted || !says(s, "came late") {
		t.Errorf("made before and received after: %s, %q", s.State, s.NotKnown)
	}
}

// TestSinceIsNotBeforeItCanHaveBeen: a clock that is behind does not make a
// device encrypted before it was known.
func TestSinceIsNotBeforeItCanHaveBeen(t *testing.T) {
	l := newLaptop(t)
	l.reports(encrypted(), monday.Add(-3650*day), monday.Add(time.Hour))
	s := l.sheet(monday.Add(day))
	if !s.Since.Equal(monday) || !says(s, "clock was wrong: 1") {
		t.Errorf("since %v, %q", s.Since, s.NotKnown)
	}
	size, root := l.school.Ledger.Root()
	l.witness = proof.Witness{Size: size, Root: root}
	l.reports(plain(), monday.Add(-3650*day), monday.Add(2*day))
	if s := l.sheet(monday.Add(3 * day)); s.Since.Before(monday.Add(time.Hour)) {
		t.Errorf("made after report 1 had come, and since %v", s.Since)
	}
}

// TestAClockThatIsPutBackBreaksTheRun: it cannot be told how long it was so.
func TestAClockThatIsPutBackBreaksTheRun(t *testing.T) {
	l := newLaptop(t)
	l.reports(encrypted(), monday.Add(20*day), monday.Add(30*day))
	l.reports(encrypted(), monday.Add(10*day), monday.Add(30*day))
	l.reports(encrypted(), monday.Add(11*day).Add(-time.Second), monday.Add(30*day))
	s := l.sheet(monday.Add(40 * day))
	if !s.Since.Equal(monday.Add(10*day)) || len(s.Spans) != 2 || !says(s, "put back: 2") {
		t.Errorf("since %v in %+v, %q", s.Since, s.Spans, s.NotKnown)
	}
	l = newLaptop(t)
	l.reports(encrypted(), monday.Add(day), monday.Add(2*day))
	l.reports(encrypted(), monday.Add(day).Add(-2*time.Second), monday.Add(2*day))
	if s := l.sheet(monday.Add(3 * day)); len(s.Spans) != 1 || s.Spans[0].To.Before(s.Spans[0].From) {
		t.Errorf("by two seconds: %+v", s.Spans)
	}
}

// TestTwoReportsOfOneNumber: a report that follows another than the one that is
// recorded is evidence of that, and does not keep the device from having any.
func TestTwoReportsOfOneNumber(t *testing.T) {
	l := newLaptop(t)
	l.reports(encrypted(), monday, monday)
	gap := must(l.maker.Gap("d1", roster.Gap{From: 1, To: 1, Reason: roster.GapConflict}, monday.Add(day)))
	l.append(gap, l.entry(encrypted(), monday.Add(day), monday.Add(day), func(s *proof.ReportStatement) { s.Previous = proof.Digest{1} }))
	s := l.sheet(monday.Add(2 * day))
	if len(s.Spans) != 3 || s.Spans[1].State != Missing || s.Spans[1].Why != roster.GapConflict || !s.Since.Equal(monday.Add(day)) {
		t.Errorf("since %v in %+v", s.Since, s.Spans)
	}
}

// TestTimesBeyondMeasure: whatever times a device signs, there is evidence.
func TestTimesBeyondMeasure(t *testing.T) {
	l := newLaptop(t)
	for _, ms := range []uint64{math.MaxUint64, 1 << 63, 1 << 60, 0} {
		l.reports(encrypted(), monday, monday, func(s *proof.ReportStatement) {
			s.MadeAt = ms
			for i := range s.Sections {
				s.Sections[i].ReadAt = ms
			}
		})
	}
	if s := l.sheet(monday.Add(day)); s.Reported.Sequence != 4 || s.ReadAt.After(monday) {
		t.Errorf("report %d, its disks read %v", s.Reported.Sequence, s.ReadAt)
	}
	for _, at := range []time.Time{{}, time.Date(1960, 1, 1, 0, 0, 0, 0, time.UTC)} {
		if s := l.sheet(at); s.Reported.Sequence != 0 || s.State != NotProven {
			t.Errorf("in %d it was %s by report %d", at.Year(), s.State, s.Reported.Sequence)
		}
	}
	if _, err := Collect(t.Context(), l.school, Question{Device: "d1", At: monday.Add(2 * day), Now: monday.Add(day)}); !errors.Is(err, ErrNotYet) {
		t.Errorf("of what is to come: %v", err)
	}
}

// TestTheLastContact: the one of the last report that the collector had by the
// moment, however many others there are.
func TestTheLastContact(t *testing.T) {
	l := newLaptop(t)
	l.reports(encrypted(), monday, monday)
	l.contact(monday.Add(time.Hour), monday.Add(time.Hour))
	for n := range 3 * atOnce {
		at := monday.Add(2*time.Hour + time.Duration(n)*time.Second)
		l.append(l.maker.Entry(proof.KindToken, "token:x", at, must(roster.Section(roster.SectionToken, proof.Kept, roster.Token{ID: "x"}))))
	}
	l.contact(monday.Add(5*time.Hour), monday.Add(20*time.Hour)) // put back, or late
	l.reports(encrypted(), monday.Add(21*time.Hour), monday.Add(21*time.Hour))
	l.contact(monday.Add(22*time.Hour), monday.Add(22*time.Hour))
	for at, want := range map[time.Duration]time.Duration{
		4 * time.Hour: time.Hour, 6 * time.Hour: time.Hour, 20 * time.Hour: 5 * time.Hour, 22 * time.Hour: 22 * time.Hour,
	} {
		if s := l.sheet(monday.Add(at)); !s.HeldAt.Equal(monday.Add(want)) {
			t.Errorf("after %v it held at %v, want %v", at, s.HeldAt, monday.Add(want))
		}
	}
	if s := l.sheet(monday.Add(21*time.Hour + time.Minute)); !s.HeldAt.IsZero() {
		t.Errorf("a contact of the report before: %v", s.HeldAt)
	}
	if s := l.sheet(monday.Add(22 * time.Hour)); s.Spans[0].Quiet == nil || s.Spans[0].Quiet.To.Sub(s.Spans[0].Quiet.From) != 20*time.Hour {
		t.Errorf("the longest time between two signs of it: %+v", s.Spans)
	}
}

// TestWhatCouldNotBeReadIsSaid, and is not taken for nothing.
func TestWhatCouldNotBeReadIsSaid(t *testing.T) {
	l := newLaptop(t)
	l.reports(encrypted(), monday, monday)
	b, _ := l.sealed(monday.Add(day))
	if !slices.Contains(b.Sheet.Unread, "security: "+posture.Denied.String()) {
		t.Errorf("unread: %q", b.Sheet.Unread)
	}
	var page bytes.Buffer
	if err := Print(&page, b, time.UTC, time.Time{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"do not reach that far back", "left out at the end does not show"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the sheet does not say %q:\n%s", want, page.String())
		}
	}
}

// TestWhoeverHoldsTheKeyCannotSayMore: a bundle that is sealed anew, with
// entries left out or put in, says less or does not verify.
func TestWhoeverHoldsTheKeyCannotSayMore(t *testing.T) {
	l := newLaptop(t)
	for n, disks := range []posture.Answer[posture.Volume]{encrypted(), plain(), encrypted(), encrypted()} {
		l.reports(disks, monday.Add(time.Duration(n)*day), monday.Add(time.Duration(n)*day))
	}
	again := func(at time.Time, spoil func(*Bundle)) (Sheet, error) {
		b, _ := l.sealed(at)
		spoil(b)
		var err error
		if b.Sheet, err = Answer(b); err != nil {
			return b.Sheet, err
		}
		_, _, err = Verify(must(b.Seal(l.sealing)), Trust{Key: &l.school.Key})
		return b.Sheet, err
	}
	s, err := again(monday.Add(9*day), func(b *Bundle) { b.Entries = slices.Delete(b.Entries, 3, 4) })
	if err != nil || !slices.ContainsFunc(s.Spans, func(p Span) bool { return p.State == Missing }) || !s.Since.Equal(monday.Add(2*day)) {
		t.Errorf("the bad report left out: %+v, %v", s.Spans, err)
	}
	if s, err := again(monday.Add(9*day), func(b *Bundle) { b.At = monday.Add(time.Hour) }); err == nil {
		t.Errorf("reports of later for an earlier moment: %s by report %d", s.State, s.Reported.Sequence)
	}
	if s, err := again(monday.Add(9*day), func(b *Bundle) { b.At = b.MadeAt.Add(day) }); err == nil {
		t.Errorf("a moment that had not come: %s", s.State)
	}
}

// TestEvidenceIsWrittenInOneWay: what one reader takes for the sheet, another
// must not pass over.
func TestEvidenceIsWrittenInOneWay(t *testing.T) {
	l := newLaptop(t)
	l.reports(plain(), monday, monday)
	b, file := l.sealed(monday.Add(day))
	body := bytes.Split(file, []byte("\n"))[1]
	good := *b
	good.Sheet.State = Encrypted
	other := must(json.Marshal(good.Sheet))
	for name, body := range map[string][]byte{
		"two sheets":          bytes.Replace(body, []byte(`"sheet":`), append(append([]byte(`"sheet":`), other...), `,"sheet":`...), 1),
		"another case":        bytes.Replace(body, []byte(`"device"`), []byte(`"Device"`), 1),
		"space":               bytes.Replace(body, []byte(`,"device"`), []byte(`, "device"`), 1),
		"something behind it": append(bytes.Clone(body), '}'),
	} {
		if _, _, err := Verify(l.reseal(body), Trust{}); err == nil {
			t.Errorf("%s: it verifies", name)
		}
	}
	if _, _, err := Verify(l.reseal(body), Trust{}); err != nil {
		t.Errorf("as it was: %v", err)
	}
	dense := []byte(`{"entries":[` + strings.Repeat("{},", mostObjects) + `{}]}`)
	if _, _, err := Verify(l.reseal(dense), Trust{}); err == nil || !strings.Contains(err.Error(), "objects") {
		t.Errorf("a million empty entries: %v", err)
	}
}

// reseal seals any text.
func (l *laptop) reseal(body []byte) []byte {
	file := append(append([]byte(headlines()[Format]+"\n"), body...), '\n')
	sum := sha256.Sum256(file)
	seal := must(l.sealing.SignDocument(Document, sum[:]))
	return append(base64.StdEncoding.AppendEncode(file, seal), '\n')
}

// TestNobodyWritesBetweenTheLines: whatever a sheet says, it ends where a line
// ends.
func TestNobodyWritesBetweenTheLines(t *testing.T) {
	b := verified(t)
	b.Device, b.MadeBy, b.SchoolName = "d\x1b[2J", "e\nENCRYPTED", "f\u202eg\u009b"
	b.Sheet.Why, b.Sheet.Spans[0].Why, b.Sheet.State = "h\x1b]0;x\a", "i\rj", NotProven
	b.Sheet.Unread, b.Sheet.NotKnown = []string{"k\vl\f"}, []string{"m\x7f"}
	b.Sheet.Volumes[0].Role = "n\b"
	var page bytes.Buffer
	if err := Print(&page, b, time.UTC, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if got := visible(strings.ReplaceAll(page.String(), "\n", " ")); got != strings.ReplaceAll(page.String(), "\n", " ") {
		t.Errorf("something cannot be seen: %q", page.String())
	}
	if strings.Contains(page.String(), "\nENCRYPTED") {
		t.Errorf("somebody wrote a line of their own:\n%s", page.String())
	}
}

// TestWhatEncryptionIsWorth is said beside it.
func TestWhatEncryptionIsWorth(t *testing.T) {
	yes, no, denied := posture.Read(true), posture.Read(false), posture.Unread[bool](posture.Denied)
	for name, c := range map[string]struct {
		v    posture.Volume
		want string
	}{
		"not asked": {posture.Volume{RecoveryKey: posture.Unread[bool](posture.NotAsked), UsedSpace: posture.Unread[bool](posture.NotAsked), Hardware: posture.Unread[bool](posture.NotAsked)}, ""},
		"good":      {posture.Volume{RecoveryKey: yes, UsedSpace: no, Hardware: no}, "has a recovery key"},
		"weak":      {posture.Volume{RecoveryKey: no, UsedSpace: yes, Hardware: yes}, "has no recovery key; only space in use was encrypted: what was deleted before may lie there in plain; encrypted by the drive itself, which cannot be looked into"},
		"denied":    {posture.Volume{RecoveryKey: yes, UsedSpace: denied, Hardware: no}, "has a recovery key; whether all of it was encrypted is not known (denied)"},
	} {
		if got := strings.Join(weight(c.v), "; "); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
