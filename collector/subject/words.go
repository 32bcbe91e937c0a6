package subject

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Part is a part of a sheet as people read it.
type Part struct {
	ID, Title, Words string
	Columns          []string
	Rows             [][]string
	None             string // what stands where there are no rows
	Check            bool   // somebody looks for other people in it before it is given out
}

// Location is the zone in which a sheet's times are shown.
func (s Sheet) Location() *time.Location {
	zone, err := time.LoadLocation(s.Zone)
	if err != nil || s.Zone == "Local" {
		return time.UTC
	}
	return zone
}

// parts writes a sheet for people.
type parts struct {
	zone *time.Location
}

func (p parts) at(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(p.zone).Format("Mon 2 Jan 2006 15:04 MST")
}

func (p parts) span(from, to time.Time, open string) string {
	if to.IsZero() {
		return p.at(from) + " " + open
	}
	return p.at(from) + " to " + p.at(to)
}

// named is what a rule is called.
func named(rule, title string) string {
	if title == "" {
		return rule
	}
	return title + " (" + rule + ")"
}

// Parts returns the sheet in parts.
func (s Sheet) Parts() []Part {
	p := parts{s.Location()}
	return []Part{
		p.had(s), p.uses(s), p.findings(s), p.breaches(s), p.media(s), p.exemptions(s), p.incidents(s), p.disputes(s), p.reports(s), p.looks(s), p.shared(s),
	}
}

func (p parts) had(s Sheet) Part {
	out := Part{ID: "had", Title: "Devices that you had", Columns: []string{"Device", "As", "From and to", "Noted"}, None: "The register names you for no device.", Check: true}
	for _, h := range s.Had {
		noted := []string{}
		if h.Guest {
			noted = append(noted, "as a guest")
		}
		if h.Notice != "" {
			noted = append(noted, "notice for guests: "+h.Notice)
		}
		if !h.Ends.IsZero() {
			noted = append(noted, "lent until "+p.at(h.Ends))
		}
		if !h.Left.IsZero() {
			noted = append(noted, "leaving recorded for "+p.at(h.Left))
		}
		if h.Condition != nil {
			noted = append(noted, "condition: "+h.Condition.Words)
		}
		out.Rows = append(out.Rows, []string{strings.TrimSpace(h.Tag + " " + h.What), h.Role, p.span(h.From, h.Back, "until now"), strings.Join(noted, "; ")})
	}
	return out
}

func (p parts) uses(s Sheet) Part {
	out := Part{ID: "uses", Title: "Rules of use that you acknowledged", Columns: []string{"When", "As", "Version"}, None: "None is recorded under your name."}
	for _, u := range s.Uses {
		out.Rows = append(out.Rows, []string{p.at(u.At), u.Role, u.Version})
	}
	return out
}

func (p parts) findings(s Sheet) Part {
	out := Part{
		ID: "findings", Title: "What was found on a device while it was yours alone", Columns: []string{"Device", "Rule", "Found", "Reported from and to"},
		Words: "Only what did not meet a rule, or could not be read, is listed. What else the device told of itself stands on its own page.", None: "Nothing.",
	}
	for _, f := range s.Findings {
		found := "not met"
		if f.Result != posture.Fail {
			found = "not proven"
		}
		out.Rows = append(out.Rows, []string{f.Tag, named(f.Rule, f.Title), found + ": " + about(f.Subject, f.Message), p.span(f.From, f.To, "")})
	}
	return out
}

func filled(words ...string) (list []string) {
	for _, w := range words {
		if w != "" {
			list = append(list, w)
		}
	}
	return list
}

// about says what was found of what. A message that says again that nothing is
// proven says it once, and a thing whose name ends in a colon, as a Windows
// volume's does, gets no second one.
func about(subject, message string) string {
	message = strings.TrimPrefix(message, "Not proven: ")
	switch {
	case subject == "":
		return message
	case message == "":
		return subject
	}
	return strings.TrimSuffix(subject, ":") + ": " + message
}

func (p parts) breaches(s Sheet) Part {
	out := Part{
		ID: "breaches", Title: "Policy breaches while it was yours alone", Columns: []string{"Device", "Rule", "About", "From and to"},
		Words: "A policy breach says that a device did not meet a rule of the school. It is no finding about you.", None: "None.",
	}
	for _, b := range s.Breaches {
		what := about(b.Subject, b.Message)
		if b.Stood {
			what = "it stood already when the device became yours"
		}
		to := b.To
		if b.Stands {
			to = time.Time{}
		}
		out.Rows = append(out.Rows, []string{b.Tag, named(b.Rule, b.Title), what, p.span(b.From, to, "and still")})
	}
	return out
}

func (p parts) media(s Sheet) Part {
	out := Part{
		ID: "media", Title: "Sticks and disks in it while it was yours alone", Columns: []string{"Device", "When", "What happened", "Medium"},
		Words: "Files on them are never looked at. The serial number is kept as a code, in which it cannot be read.", None: "None, or what was recorded is forgotten.",
	}
	for _, m := range s.Media {
		serial := m.Serial
		if len(serial) > 12 {
			serial = serial[:12]
		}
		out.Rows = append(out.Rows, []string{m.Tag, p.at(m.At), m.Action.Words(), strings.Join(filled(m.Product, string(m.Kind), serial), ", ")})
	}
	return out
}

func (p parts) exemptions(s Sheet) Part {
	out := Part{ID: "exemptions", Title: "Exemptions", Columns: []string{"Rule", "Why it is here", "Asked, until", "Reason"}, None: "None.", Check: true}
	for _, e := range s.Exemptions {
		reason := ""
		if e.Reason != nil {
			reason = e.Reason.Words
		}
		out.Rows = append(out.Rows, []string{named(e.Rule, e.Title), strings.Join(append(e.Why, e.State), "; "), p.at(e.Asked) + ", " + p.at(e.Until), reason})
	}
	return out
}

func (p parts) incidents(s Sheet) Part {
	out := Part{ID: "incidents", Title: "Incidents", Columns: []string{"Incident", "Why it is here", "When", "What was written"}, None: "None.", Check: true}
	for _, i := range s.Incidents {
		texts := []string{}
		for _, t := range i.Texts {
			texts = append(texts, t.Words)
		}
		out.Rows = append(out.Rows, []string{i.Number + " " + strings.ReplaceAll(i.Kind, "-", " "), strings.Join(i.Why, "; "), p.at(i.At), strings.Join(texts, " · ")})
	}
	return out
}

func (p parts) disputes(s Sheet) Part {
	out := Part{
		ID: "disputes", Title: "Recorded facts that are disputed", Columns: []string{"About", "Why it is here", "Said", "In words", "Answer"},
		Words: "What is disputed stays as it was recorded, and both are shown.", None: "None.", Check: true,
	}
	for _, d := range s.Disputes {
		answer := "to be answered by " + Day(d.Due)
		if d.Outcome != "" {
			answer = d.Outcome + " " + p.at(d.Answered)
			if d.Answer != nil {
				answer += ": " + d.Answer.Words
			}
		}
		words := "forgotten"
		if d.Words != nil {
			words = d.Words.Words
		}
		about := strings.Join(filled(d.Tag, d.About, d.Rule), ": ")
		if d.Fact > 0 {
			about += fmt.Sprintf(" (entry %d of the record)", d.Fact)
		}
		out.Rows = append(out.Rows, []string{about, strings.Join(d.Why, "; "), p.at(d.Said), words, answer})
	}
	return out
}

func (p parts) reports(s Sheet) Part {
	out := Part{
		ID: "reports", Title: "What was reported on the school’s page for reports", Columns: []string{"Reference", "Why it is here", "When", "What was told", "What became of it"},
		Words: "Nobody has to sign in to report, and nobody checks the name that is given. Who told it, if that was somebody else, is left out.", None: "Nothing that says that it is of you or of a device that you had.", Check: true,
	}
	for _, r := range s.Reports {
		words := "forgotten"
		if r.Words != nil {
			words = r.Words.Words
		}
		out.Rows = append(out.Rows, []string{r.Reference + " " + r.Kind, strings.Join(r.Why, "; "), p.at(r.At), words, r.State})
	}
	return out
}

func (p parts) looks(s Sheet) Part {
	out := Part{
		ID: "looks", Title: "Who looked at the record of these devices while they were yours alone", Columns: []string{"When", "Who", "At what", "Device"},
		Words: "Somebody who looks several times within an hour stands here once. Lists of all devices are not among it.", None: "Nobody did, or it is forgotten.", Check: true,
	}
	for _, l := range s.Looks {
		out.Rows = append(out.Rows, []string{p.at(l.At), l.By, l.What + ", by " + l.Way, l.Tag})
	}
	return out
}

func (p parts) shared(s Sheet) Part {
	out := Part{
		ID: "shared", Title: "Left out: devices that were not yours alone", Columns: []string{"Device", "From and to"},
		Words: "What a device says while several people share it, while nobody knows which device it was, or while the register names two people, is about none of them.", None: "None.",
	}
	for _, one := range s.Shared {
		out.Rows = append(out.Rows, []string{one.Tag, p.span(one.From, one.To, "")})
	}
	return out
}

// Never lists what is kept of nobody, so that nobody looks for it.
func Never() []string {
	return []string{
		"names, paths and contents of files, on a laptop or on a stick",
		"which pages were visited, what was typed, what stood on the screen, and pictures or sound",
		"when somebody signed in or out of a laptop, and for how long they worked",
		"where a laptop was, and which networks it was in",
		"mail, documents and contacts",
		"passwords, recovery keys, and the serial numbers of sticks as they are",
		"anything from a device that is a member of staff's, a pupil's or a visitor's own, beyond what they told the school",
	}
}

// Elsewhere lists what may be kept and is not in the sheet.
func Elsewhere() []string {
	return []string{
		"who changed how an account signs in: on the page of people and sign-in",
		"what a device told of itself beside what did not meet a rule, such as its list of programs: on the device's own page, from which it is given too to whoever asks for it",
		"decisions that you made in your role, which stand in the record under your account",
		"files of evidence, exports and backups, which lie where whoever made them put them",
		"what is older than the school keeps it",
		"what the law lets a school withhold, such as what would harm the prevention of crime, a confidential reference or somebody else: if something is withheld on such a ground, this sheet does not say so, and whoever answers says to whom you can complain",
	}
}

// Counts says in sentences what was left out, and how much the person looked at
// themselves.
func (s Sheet) Counts() (list []string) {
	if s.LeftOut > 0 {
		list = append(list, fmt.Sprintf("%d reports were made at a time when a device was yours alone and came at another, or the other way round: they are left out.", s.LeftOut))
	}
	if s.Forgotten > 0 {
		list = append(list, fmt.Sprintf("Of %d reports it is forgotten what they found.", s.Forgotten))
	}
	if s.Untied > 0 {
		list = append(list, fmt.Sprintf("Of %d reports that somebody made without signing in nobody can tell whose they are: they give neither your name nor a device that you had. "+
			"If you made one, show the reference that you were given: whoever answers finds it by that.", s.Untied))
	}
	if s.ReportsForgotten > 0 {
		list = append(list, fmt.Sprintf("Of %d reports that somebody made on the page for reports what was told is forgotten: nobody can tell whose they were.", s.ReportsForgotten))
	}
	if s.Looked > 0 {
		list = append(list, fmt.Sprintf("Your account looked at records %d times. What it looked at is about others, and not listed.", s.Looked))
	}
	return list
}

// Print writes a sheet as text.
func Print(w io.Writer, s Sheet) error {
	p := parts{s.Location()}
	var b strings.Builder
	fmt.Fprintf(&b, "What %s keeps about %s\nGathered %s by %s for request %s. Before it is given out, look for other people in the parts that are marked *.\n",
		s.Name, strings.Join(append(append([]string{}, s.People...), s.Accounts...), ", "), p.at(s.Made), s.By, s.Request)
	if len(s.Roles) > 0 {
		fmt.Fprintf(&b, "Account with the role %s.\n", strings.Join(s.Roles, ", "))
	}
	for _, part := range s.Parts() {
		mark := ""
		if part.Check && len(part.Rows) > 0 {
			mark = " *"
		}
		fmt.Fprintf(&b, "\n%s%s\n", part.Title, mark)
		for _, row := range part.Rows {
			fmt.Fprintf(&b, "  %s\n", strings.Join(filled(row...), " · "))
		}
		if len(part.Rows) == 0 {
			fmt.Fprintf(&b, "  %s\n", part.None)
		}
	}
	b.WriteString("\n")
	for _, line := range s.Counts() {
		b.WriteString(line + "\n")
	}
	for _, list := range []struct {
		title string
		lines []string
	}{{"Kept of nobody", Never()}, {"Not in this sheet", Elsewhere()}} {
		fmt.Fprintf(&b, "\n%s\n", list.title)
		for _, line := range list.lines {
			fmt.Fprintf(&b, "  %s\n", line)
		}
	}
	_, err := io.WriteString(w, visible(b.String()))
	if err != nil {
		return fmt.Errorf("print what is kept about a person: %w", err)
	}
	return nil
}

// visible spells out what a terminal would act on.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && hidden(r) {
			return '\ufffd'
		}
		return r
	}, s)
}
