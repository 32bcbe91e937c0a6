package evidence

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// written is how times are written for people: with the day of the week, which
// people check, and the zone, without which the hour means nothing.
const written = "Mon 2 Jan 2006 15:04 MST"

// Print writes what a bundle says for people, with times in a zone. aware is
// when the school became aware of the loss; zero leaves the deadline to the
// bundle, and out if that has none.
func Print(w io.Writer, b *Bundle, zone *time.Location, aware time.Time) error {
	p := page{w: tabwriter.NewWriter(w, 0, 0, 2, ' ', 0), b: b, s: b.Sheet, zone: zone}
	if b.Position != nil {
		p.position()
	} else {
		p.device(aware)
	}
	p.line("")
	p.line("This is evidence, not certification.")
	if p.err == nil {
		p.err = p.w.Flush()
	}
	return p.err
}

// device writes what is proven of a device.
func (p *page) device(aware time.Time) {
	p.head()
	p.answer()
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
		p.line("If personal data are at risk, the regulator must be told by %s: 72 hours after %s. Nights and holidays count.",
			p.time(incident.TellBy(aware)), p.time(aware))
		p.line("")
	}
	p.line("Not known:")
	for _, n := range p.s.NotKnown {
		p.line("  - %s", n)
	}
	p.line("  - whether the school holds anything later than what is here: what is left out at the end does not show")
}

// page is a sheet being written. Its first error stops it.
type page struct {
	w    *tabwriter.Writer
	b    *Bundle
	s    Sheet
	zone *time.Location
	err  error
}

func (p *page) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = io.WriteString(p.w, columns(fmt.Sprintf(format, args...))+"\n")
	}
}

func (p *page) time(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.In(p.zone).Format(written)
}

func (p *page) head() {
	name := visible(p.s.Hostname)
	if name == "" {
		name = string(p.b.Device)
	}
	p.line("%s of %s", name, visible(p.b.SchoolName))
	p.line("What is proven of it at %s", p.time(p.b.At))
	p.line("")
}

// answer says in a sentence what was proven, when, and since when.
func (p *page) answer() {
	if p.s.Reported.Sequence == 0 {
		p.line("NOT PROVEN: there is no report of it from before then.")
		p.revoked()
		p.line("")
		return
	}
	run := p.s.Spans[len(p.s.Spans)-1]
	last := later(run.To, p.s.HeldAt)
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
	p.quiet(run)
	p.revoked()
	p.line("")
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

// quiet tells of a long time without a report.
func (p *page) quiet(s Span) {
	if q := s.Quiet; q != nil && q.To.Sub(q.From) >= quietFor {
		of := "two of those reports"
		if p.b.Format > 1 {
			of = "two signs of it"
		}
		p.line("  The longest time between "+of+" was %s, from %s to %s.", span(q.To.Sub(q.From)), p.time(q.From), p.time(q.To))
	}
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
		p.line("It was never silent for longer than the %s that the school's policy allows.", allowed)
		p.line("")
		return
	}
	p.line("Silent for longer than the %s that the school's policy allows, in which nothing is proven:", allowed)
	for _, s := range p.s.Silences {
		end := ""
		if s.Lasts {
			end = ", the moment that is asked about, and silent still"
		}
		p.line("  Not heard from between %s and %s%s: %s", p.time(s.From), p.time(s.To), end, span(s.To.Sub(s.From)))
	}
	p.line("")
}

func (p *page) timeline() {
	if len(p.s.Spans) < 2 {
		return
	}
	p.line("What its reports said before:")
	for i, s := range p.s.Spans[:len(p.s.Spans)-1] {
		why := ""
		if s.Why != "" {
			why = " (" + s.Why + ")"
		}
		p.line("  %s\tto %s\t%s%s%s", p.time(s.From), p.time(s.To), s.State, why, p.around(i))
		p.quiet(s)
	}
	p.line("")
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
	p.line("Its disks, as last read %s:", p.time(p.s.ReadAt))
	for _, v := range p.s.Volumes {
		name := strings.TrimSpace(string(v.Role) + " " + visible(v.Mount))
		if v.Role == posture.BootVolume {
			p.line("  %s\tnot encrypted, by design", name)
			continue
		}
		how := []string{reading(v.Encryption, same), "key " + reading(v.Protection, same)}
		if v.Method.Known() && v.Method.Value != "" {
			how = append(how, visible(v.Method.Value))
		}
		if v.Protectors.Known() {
			how = append(how, "opened by "+orNothing(visible(v.Protectors.Value)))
		}
		p.line("  %s\t%s", name, strings.Join(append(how, weight(v)...), ", "))
	}
	p.line("")
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
	if p.s.Reported.Sequence > 0 && len(p.s.Antivirus) == 0 && !slices.ContainsFunc(p.s.Unread, func(u string) bool { return strings.Contains(u, wire.Antivirus) }) {
		p.line("Antivirus\tnone was found")
	}
	for _, a := range p.s.Antivirus {
		p.line("Antivirus\t%s, on: %s, definitions of %s", visible(a.Name), reading(a.On, yesNo), reading(a.DefinitionsAt, p.time))
	}
	if s := p.s.Security; s != nil {
		p.line("Screen lock\t%s, after %s", reading(s.ScreenLock, yesNo), reading(s.ScreenLockAfter, func(n int64) string { return span(time.Duration(n) * time.Second) }))
		p.line("Passwords\tevery account has one: %s; signed in at start without one: %s", reading(s.PasswordSet, yesNo), reading(s.AutoLogon, yesNo))
	}
	for _, u := range p.s.Unread {
		p.line("Not read\t%s", u)
	}
	p.line("")
}

func (p *page) media() {
	if len(p.s.Media) == 0 {
		words := ""
		if len(p.s.Spans) == 0 || p.s.Spans[0].From.After(p.b.At.AddDate(0, 0, -mediaDays)) {
			words = ", and do not reach that far back"
		}
		p.line("Of the %d days before, its reports tell of no medium that came or went%s.", mediaDays, words)
		p.line("")
		return
	}
	p.line("Media in the %d days before:", mediaDays)
	for _, e := range p.s.Media {
		name := strings.TrimSpace(visible(e.Vendor) + " " + visible(e.Product))
		p.line("  %s\t%s\t%s\t%s", p.time(e.At), e.Action, orNothing(name), reading(e.Serial, func(s string) string { return s[:min(len(s), 12)] }))
	}
	p.line("")
}

func (p *page) proof() {
	if r := p.s.Recovery; r != nil {
		words := "does not hold its recovery key"
		if r.Held {
			words = "holds its recovery key"
		}
		p.line("The school recorded %s that it %s (as %s, entry %d).", p.time(r.At), words, visible(r.Tag), r.Entry)
		p.line("")
	}
	p.line("How this is known:")
	p.line("  Device\t%s, key %s", p.b.Device, p.s.KeyPrint)
	p.line("  Enrolled\t%s, entry %d of the ledger, with token %s of %s", p.time(p.s.EnrolledAt), p.s.EnrolledIn, visible(p.s.Token), cmp.Or(visible(p.s.TokenBy), "somebody who is not known"))
	if r := p.s.Reported; r.Sequence > 0 {
		p.line("  Last report\tnumber %d, made %s, received %s, receipt: entry %d, judged by policy %d%s",
			r.Sequence, p.time(r.MadeAt), p.time(r.ReceivedAt), r.Entry, r.Policy, p.policy())
	}
	if h := p.s.Heard; h != nil {
		p.line("  Last contact\tmade %s, received %s, receipt: entry %d; %s here, the last of a day each",
			p.time(h.MadeAt), p.time(h.ReceivedAt), h.Entry, contacts(p.s.Contacts))
	}
	p.line("  Made\t%s by %s, from %s of the ledger", p.time(p.b.MadeAt), visible(p.b.MadeBy), entries(len(p.b.Entries)))
	p.line("")
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

func same[T ~string](v T) string { return string(v) }

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

// columns makes a line visible whose columns are divided by tabs. It is the last
// to see what is printed, whoever wrote it.
func columns(line string) string {
	list := strings.Split(line, "\t")
	for i := range list {
		list[i] = visible(list[i])
	}
	return strings.Join(list, "\t")
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
