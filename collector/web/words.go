package web

import (
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// moment is a time as a page shows it.
type moment struct {
	Machine string // for <time datetime>
	Text    string // such as "Fri 23 Oct 2026 15:52 BST"
	Ago     string // such as "2 days ago"
}

// clockwork tells times in the school's zone, as seen from now.
type clockwork struct {
	zone *time.Location
	now  time.Time
}

func (c clockwork) moment(t time.Time) *moment {
	if t.IsZero() {
		return nil
	}
	return &moment{
		Machine: t.UTC().Format(time.RFC3339),
		Text:    t.In(c.zone).Format("Mon 2 Jan 2006 15:04 MST"),
		Ago:     ago(c.now.Sub(t)),
	}
}

// end is moment of what ends: at midnight, it ends with the day before.
func (c clockwork) end(t time.Time) *moment {
	m, local := c.moment(t), t.In(c.zone)
	if m != nil && local.Hour() == 0 && local.Minute() == 0 {
		m.Text = "the end of " + local.AddDate(0, 0, -1).Format("Mon 2 Jan 2006")
	}
	return m
}

// ago says roughly how long ago something was.
func ago(d time.Duration) string {
	if d < -time.Minute {
		return "in " + span(-d)
	}
	if d < time.Minute {
		return "just now"
	}
	return span(d) + " ago"
}

// span is a duration in its largest unit.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return count(int(d/time.Second), "second")
	case d < time.Hour:
		return count(int(d/time.Minute), "minute")
	case d < 2*day:
		return count(int(d/time.Hour), "hour")
	case d < 60*day:
		return count(int(d/day), "day")
	}
	return count(int(d/(30*day)), "month")
}

// count writes a number with its noun: "1 device", "3 devices".
func count(n int, noun string) string {
	return number(n) + " " + plural(n, noun)
}

func plural(n int, noun string) string {
	switch {
	case n == 1:
		return noun
	case strings.HasSuffix(noun, "ch"):
		return noun + "es"
	}
	return noun + "s"
}

// number writes a number with commas.
func number(n int) string {
	if n < 0 {
		return "-" + number(-n)
	}
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// of writes "all 3", "2 of 3" or "none of 3" with a noun.
func of(n, total int, noun string) string {
	switch {
	case total == 1 && n == 1:
		return "the one " + noun
	case n == total && total > 1:
		return "all " + count(total, noun)
	}
	if n == 0 {
		return "none of " + count(total, noun)
	}
	return number(n) + " of " + count(total, noun)
}

// size writes a number of bytes as makers of disks do.
func size(bytes int64) string {
	const step = 1000
	switch {
	case bytes < 0:
		return "not known"
	case bytes < step:
		return count(int(bytes), "byte")
	}
	units := []string{"kB", "MB", "GB", "TB", "PB", "EB"}
	v := float64(bytes) / step
	i := 0
	for v >= step && i < len(units)-1 {
		v /= step
		i++
	}
	if v < 10 {
		return strconv.FormatFloat(v, 'f', 1, 64) + " " + units[i]
	}
	return strconv.FormatFloat(v, 'f', 0, 64) + " " + units[i]
}

// why says in plain words why a value is not there.
func why(a posture.Absence) string {
	switch a {
	case posture.None:
		return ""
	case posture.NotAsked:
		return "nothing about it is on record" // not asked, forgotten, or in a part of the record that cannot be read
	case posture.Denied:
		return "the system refused to show it"
	case posture.TimedOut:
		return "the system did not answer in time"
	case posture.Unsupported:
		return "this system has no way to tell"
	case posture.NotVisible:
		return "it is where the agent does not look"
	default:
		return "the answer could not be understood"
	}
}

// value is one reading as a page shows it: a text, or why there is none.
type value struct {
	Text  string
	At    *moment // instead of Text, for times
	Why   string  // set if the value is not known
	Wrong bool    // the text deserves attention

	Unasked bool // nobody asked for it, as on a system that has no such thing
}

func reading[T any](r posture.Reading[T], text func(T) string) value {
	if !r.Known() {
		return value{Why: why(r.Absent), Unasked: r.Absent == posture.NotAsked}
	}
	return value{Text: text(r.Value)}
}

// same is a text as it is, or "none".
func same(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// asIs leaves a text that may be empty as it is.
func asIs(s string) string { return s }

func yesNo(b bool) string {
	if b {
		return "Yes"
	}
	return "No"
}

// visible makes a text from a device safe to look at: characters that cannot
// be seen, or that turn the text around them, are spelt out.
func visible(s string) string {
	if !strings.ContainsFunc(s, hidden) && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if hidden(r) || r == utf8.RuneError {
			fmt.Fprintf(&b, "\u27e8U+%04X\u27e9", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// visibleLines is visible for a text of several lines, which stay lines.
func visibleLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = visible(line)
	}
	return strings.Join(lines, "\n")
}

// hidden reports whether a character shows nothing by itself: controls,
// format characters (bidirectional ones among them), separators of lines, and
// blanks other than the space.
func hidden(r rune) bool {
	return r != ' ' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) ||
		unicode.Is(unicode.Zp, r) || unicode.Is(unicode.Zs, r) || unicode.Is(unicode.Co, r) ||
		unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) || unicode.Is(unicode.Variation_Selector, r))
}

// show is how a text that a device or a person gave gets onto a page: spelt
// out, escaped and kept from turning its surroundings.
func show(s string) template.HTML {
	return template.HTML("<bdi>" + template.HTMLEscapeString(visible(s)) + "</bdi>")
}

// sentence makes a text begin with a capital and end with a full stop.
func sentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return ""
	}
	r, n := utf8.DecodeRuneInString(s)
	s = string(unicode.ToUpper(r)) + s[n:]
	if !strings.HasSuffix(s, ".") && !strings.HasSuffix(s, "?") && !strings.HasSuffix(s, "!") {
		s += "."
	}
	return s
}

// platform is a platform in its maker's spelling.
func platform(p posture.Platform) string {
	switch p {
	case posture.Windows:
		return "Windows"
	case posture.MacOS:
		return "macOS"
	case posture.Linux:
		return "Linux"
	}
	return string(p)
}

// ownership is a class of ownership in words.
func ownership(o posture.Ownership) string {
	switch o {
	case posture.SchoolSingleUser:
		return "School's own, for one member of staff"
	case posture.SchoolMultiUser:
		return "School's own, shared"
	case posture.Authorised:
		return "Not the school's, authorised under its scheme"
	case posture.StudentOwned:
		return "A pupil's own"
	case posture.StaffOwned:
		return "A member of staff's own"
	case posture.VisitorOwned:
		return "A visitor's own"
	case "":
		return "Not recorded"
	}
	return string(o)
}
