package evidence

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// written is how times are written for people: with the day of the week, which
// people check, and the zone, without which the hour means nothing.
const written = "Mon 2 Jan 2006 15:04 MST"

// page is a summary being written.
type page struct {
	d    Summary
	b    *Bundle
	s    Sheet
	zone *time.Location
}

// begin begins a part.
func (p *page) begin(heading string, args ...any) *Part {
	p.d.Parts = append(p.d.Parts, Part{Heading: visible(fmt.Sprintf(heading, args...))})
	return &p.d.Parts[len(p.d.Parts)-1]
}

// line adds a row to the part that was begun last. Tabs divide its cells.
func (p *page) line(format string, args ...any) {
	part := &p.d.Parts[len(p.d.Parts)-1]
	part.Rows = append(part.Rows, columns(fmt.Sprintf(format, args...)))
}

// item adds an item to the list at the end of the part that was begun last.
func (p *page) item(words string) {
	part := &p.d.Parts[len(p.d.Parts)-1]
	part.List = append(part.List, visible(words))
}

func (p *page) time(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.In(p.zone).Format(written)
}

// device writes what is proven of a device.
func (p *page) device(aware time.Time) {
	p.head()
	p.answer()
	p.disputes()
	p.timeline()
	p.silences()
	p.disks()
	p.rest()
	p.media()
	p.proof()
	if aware.IsZero() {
		aware = p.b.Aware
	}
	if !aware.IsZero() {
		p.begin("")
		p.line("If personal data are at risk, the regulator must be told by %s: 72 hours after %s. Nights and holidays count.",
			p.time(incident.TellBy(aware)), p.time(aware))
	}
	p.begin("Not known")
	for _, n := range p.s.NotKnown {
		p.item(n)
	}
	p.item("whether the school holds anything later than what is here: what is left out at the end does not show")
}

func (p *page) head() {
	name := visible(p.s.Hostname)
	if name == "" {
		name = string(p.b.Device)
	}
	if tag := visible(p.b.Asset); tag != "" { // what stands on the label comes first
		if !strings.EqualFold(tag, name) {
			tag += " (" + name + ")"
		}
		name = tag
	}
	p.d.Title = visible(name + " of " + p.b.SchoolName)
	p.d.Subtitle = "What is proven of it at " + p.time(p.b.At)
	p.d.State = p.s.State
}

// answer says in a sentence what was proven, when, and since when.
func (p *page) answer() {
	p.begin("")
	if p.s.Reported.Sequence == 0 {
		p.line("NOT PROVEN: there is no report of it from before then.")
		p.revoked()
		return
	}
	run := p.s.Spans[len(p.s.Spans)-1]
	last := p.s.LastSign()
	words := map[State]string{
		Encrypted:    "ENCRYPTED, and its keys were guarded, when it was last heard from",
		Unprotected:  "ENCRYPTED BUT NOT PROTECTED - a key lay open - when it was last heard from",
		NotEncrypted: "NOT ENCRYPTED when it was last heard from",
		NotProven:    "NOT PROVEN (" + p.s.Why + ") when it was last heard from",
	}[p.s.State]
	p.line("%s, %s: %s before.", words, p.time(last), span(p.b.At.Sub(last)))
	if last.Sub(p.s.ReadAt) >= time.Minute {
		p.line("Its disks had last been read %s: %s before.", p.time(p.s.ReadAt), p.ago(p.s.ReadAt))
	}
	p.line("Every report from number %d on said so, since %s: %s.", run.First, p.time(p.s.Since), span(p.b.At.Sub(p.s.Since)))
	if q := p.quiet(run); q != "" {
		p.line("  %s", q) // it is about the sentence before
	}
	p.revoked()
}

// ago says how long before the moment something was.
func (p *page) ago(t time.Time) string {
	if t.IsZero() {
		return "nobody knows how long"
	}
	return span(p.b.At.Sub(t))
}

// quietFor is how long may pass between reports without a word.
const quietFor = 48 * time.Hour

// quiet tells of a long time without a report; "" if there was none.
func (p *page) quiet(s Span) string {
	q := s.Quiet
	if q == nil || q.To.Sub(q.From) < quietFor {
		return ""
	}
	of := "two of those reports"
	if p.b.Format > 1 {
		of = "two signs of it"
	}
	return fmt.Sprintf("The longest time between %s was %s, from %s to %s.", of, span(q.To.Sub(q.From)), p.time(q.From), p.time(q.To))
}

// revoked says that the device was known no more.
func (p *page) revoked() {
	if r := p.s.Revoked; r != nil {
		p.line("REVOKED %s (%s): from then on nothing that it says is taken in.", p.time(r.At), visible(r.Reason))
	}
}

// silences tells of the times from which nothing is here.
func (p *page) silences() {
	if p.b.Format == 1 || p.s.Reported.Sequence == 0 && len(p.s.Silences) == 0 {
		return
	}
	allowed := span(time.Duration(p.b.Silence) * time.Second)
	if len(p.s.Silences) == 0 {
		p.begin("")
		p.line("It was never silent for longer than the %s that the school's policy allows.", allowed)
		return
	}
	p.begin("Silent for longer than the %s that the school's policy allows, in which nothing is proven", allowed)
	for _, s := range p.s.Silences {
		end := ""
		if s.Lasts {
			end = ", the moment that is asked about, and silent still"
		}
		p.line("Not heard from between %s and %s%s: %s", p.time(s.From), p.time(s.To), end, span(s.To.Sub(s.From)))
	}
}

func (p *page) timeline() {
	if len(p.s.Spans) < 2 {
		return
	}
	p.begin("What its reports said before").Columns = []string{"From", "To", "What they said"}
	for i, s := range p.s.Spans[:len(p.s.Spans)-1] {
		why := ""
		if s.Why != "" {
			why = " (" + s.Why + ")"
		}
		p.line("%s\tto %s\t%s%s%s", p.time(s.From), p.time(s.To), s.State, why, p.around(i))
		if q := p.quiet(s); q != "" {
			p.line("%s", q)
		}
	}
}

// around says between which moments a span can have begun and ended. Reports
// are moments, and what they tell of lasted longer.
func (p *page) around(i int) string {
	if p.b.Format == 1 || p.s.Spans[i].State == Missing {
		return ""
	}
	over := ", over by " + p.time(p.s.Spans[i+1].From)
	if i == 0 {
		return over
	}
	return ", after " + p.time(p.s.Spans[i-1].To) + over
}

func (p *page) disks() {
	if len(p.s.Volumes) == 0 {
		return
	}
	p.begin("Its disks, as last read %s", p.time(p.s.ReadAt))
	for _, v := range p.s.Volumes {
		name := strings.TrimSpace(string(v.Role) + " " + visible(v.Mount))
		if v.Role == posture.BootVolume {
			p.line("%s\tnot encrypted, by design", name)
			continue
		}
		how := []string{reading(v.Encryption, encryptionWords), "its key " + reading(v.Protection, protectionWords)}
		if v.Method.Known() && v.Method.Value != "" {
			how = append(how, visible(v.Method.Value))
		}
		if v.Protectors.Known() {
			how = append(how, "opened by "+orNothing(Openers(visible(v.Protectors.Value))))
		}
		p.line("%s\t%s", name, strings.Join(append(how, weight(v)...), ", "))
	}
}

// weight says what being encrypted is worth where a system tells, and where it
// should have and did not.
func weight(v posture.Volume) (list []string) {
	tell := func(r posture.Reading[bool], unknown, yes, no string) {
		switch {
		case r.Known() && r.Value:
			list = append(list, yes)
		case r.Known() && no != "":
			list = append(list, no)
		case !r.Known() && r.Absent != posture.NotAsked:
			list = append(list, unknown+" is not known ("+r.Absent.String()+")")
		}
	}
	tell(v.RecoveryKey, "whether it has a recovery key", "has a recovery key", "has no recovery key")
	tell(v.UsedSpace, "whether all of it was encrypted", "only space in use was encrypted: what was deleted before may lie there in plain", "")
	tell(v.Hardware, "who encrypts it", "encrypted by the drive itself, which cannot be looked into", "")
	return list
}

func (p *page) rest() {
	if len(p.s.Antivirus) == 0 && p.s.Security == nil && len(p.s.Unread) == 0 && p.s.Reported.Sequence == 0 {
		return
	}
	p.begin("")
	if p.s.Reported.Sequence > 0 && len(p.s.Antivirus) == 0 && !slices.ContainsFunc(p.s.Unread, func(u string) bool { return strings.Contains(u, wire.Antivirus) }) {
		p.line("Antivirus\tnone was found")
	}
	for _, a := range p.s.Antivirus {
		p.line("Antivirus\t%s, on: %s, definitions of %s", visible(a.Name), reading(a.On, yesNo), reading(a.DefinitionsAt, p.time))
	}
	if s := p.s.Security; s != nil {
		p.line("Screen lock\t%s, after %s", reading(s.ScreenLock, yesNo), reading(s.ScreenLockAfter, func(n int64) string { return span(time.Duration(n) * time.Second) }))
		p.line("Passwords\tevery account has one: %s; somebody is signed in at start without one: %s", reading(s.PasswordSet, yesNo), reading(s.AutoLogon, yesNo))
	}
	for _, u := range p.s.Unread {
		p.line("Not read\t%s", u)
	}
}

func (p *page) media() {
	if len(p.s.Media) == 0 {
		words := ""
		if len(p.s.Spans) == 0 || p.s.Spans[0].From.After(p.b.At.AddDate(0, 0, -mediaDays)) {
			words = ", and do not reach that far back"
		}
		p.begin("")
		p.line("Of the %d days before, its reports tell of no medium that came or went%s.", mediaDays, words)
		return
	}
	p.begin("Media in the %d days before", mediaDays).Columns = []string{"When", "What happened", "Medium", "Serial number, coded"}
	for _, e := range p.s.Media {
		name := strings.TrimSpace(visible(e.Vendor) + " " + visible(e.Product))
		p.line("%s\t%s\t%s\t%s", p.time(e.At), e.Action.Words(), orNothing(name), reading(e.Serial, func(s string) string { return s[:min(len(s), 12)] }))
	}
}

func (p *page) proof() {
	if r := p.s.Recovery; r != nil {
		words := "does not hold its recovery key"
		if r.Held {
			words = "holds its recovery key"
		}
		p.begin("")
		p.line("The school recorded %s that it %s (as %s, entry %d).", p.time(r.At), words, visible(r.Tag), r.Entry)
	}
	p.begin("How this is known")
	p.line("Device\t%s, key %s", p.b.Device, p.s.KeyPrint)
	p.line("Enrolled\t%s, entry %d of the ledger, with token %s of %s", p.time(p.s.EnrolledAt), p.s.EnrolledIn, visible(p.s.Token), cmp.Or(visible(p.s.TokenBy), "somebody who is not known"))
	if r := p.s.Reported; r.Sequence > 0 {
		p.line("Last report\tnumber %d, made %s, received %s, receipt: entry %d, judged by policy %d%s",
			r.Sequence, p.time(r.MadeAt), p.time(r.ReceivedAt), r.Entry, r.Policy, p.policy())
	}
	if h := p.s.Heard; h != nil {
		p.line("Last contact\tmade %s, received %s, receipt: entry %d; %s here, the last of a day each",
			p.time(h.MadeAt), p.time(h.ReceivedAt), h.Entry, contacts(p.s.Contacts))
	}
	p.line("Made\t%s by %s, from %s of the ledger", p.time(p.b.MadeAt), visible(p.b.MadeBy), entries(len(p.b.Entries)))
}

// policy names the policy that judged the last report.
func (p *page) policy() string {
	switch {
	case p.b.Format == 1:
		return ""
	case p.s.Policy != nil:
		return fmt.Sprintf(" (%s, published %s, entry %d)", visible(p.s.Policy.Title), p.time(p.s.Policy.At), p.s.Policy.Entry)
	case p.s.Reported.Policy == 0:
		return " (the one built into the agent)"
	}
	return ""
}

func entries(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return strconv.Itoa(n) + " entries"
}

func contacts(n int) string {
	if n == 1 {
		return "1 contact is"
	}
	return strconv.Itoa(n) + " contacts are"
}

// span writes a length of time as people say it.
func span(d time.Duration) string {
	one := func(n int, unit string) string {
		if n == 1 {
			return "1 " + unit
		}
		return strconv.Itoa(n) + " " + unit + "s"
	}
	switch {
	case d < 0:
		return "some time"
	case d < time.Minute:
		return "less than a minute"
	case d < 2*time.Hour:
		return one(int(d/time.Minute), "minute")
	case d < 48*time.Hour:
		return one(int(d/time.Hour), "hour")
	}
	return one(int(d/(24*time.Hour)), "day")
}

func reading[T any](r posture.Reading[T], words func(T) string) string {
	if !r.Known() {
		return "not known (" + r.Absent.String() + ")"
	}
	return words(r.Value)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// columns divides a line by its tabs and makes each column visible. It is the
// last to see what is written, whoever wrote it.
func columns(line string) []string {
	list := strings.Split(line, "\t")
	for i := range list {
		list[i] = visible(list[i])
	}
	return list
}

// visible shows what a device called itself without letting it write between
// the lines.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}
