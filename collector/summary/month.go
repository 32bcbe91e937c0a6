package summary

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Month is a school's month for its senior leaders: counts, beside those of the
// month before, and what to decide. It names nobody, and may tell small numbers:
// it is for people who answer for the school, not for governors, whose report is
// the term's. It follows from the school's counted days, so that it need not be
// kept, and made again it is the same.
type Month struct {
	School  string      `json:"school"`
	Month   string      `json:"month"`           // such as "2026-10"
	Words   string      `json:"words"`           // such as "October 2026"
	At      time.Time   `json:"at,omitzero"`     // the end of its last day on which anything was heard; zero: nothing was
	Before  time.Time   `json:"before,omitzero"` // the same of the month before
	Heard   int         `json:"heard"`           // days on which anything was heard
	Devices MonthCount  `json:"devices"`         //
	Silent  MonthCount  `json:"silent"`          // not heard from for longer than the policy allows
	Disks   []MonthLine `json:"encryption"`      // in their order
	Rules   []MonthRule `json:"rules"`           // in the order of the policy
	Decide  []string    `json:"decide"`          // the gravest first
	Left    []string    `json:"cannot"`          // what this cannot say
}

// MonthCount is a count, and what it was a month before.
type MonthCount struct {
	Now    int  `json:"now"`
	Before int  `json:"before"`
	Known  bool `json:"known"` // Before is known
}

// MonthLine is a count with its words.
type MonthLine struct {
	Words string     `json:"words"`
	Count MonthCount `json:"count"`
}

// MonthRule is a rule at the end of the month.
type MonthRule struct {
	Rule      string     `json:"rule"`
	Title     string     `json:"title"`
	Met       MonthCount `json:"met"`
	NotMet    MonthCount `json:"notMet"`
	NotProven MonthCount `json:"notProven"`
	Exempt    MonthCount `json:"exempt"`
}

// MonthCounts is what a month is summed up from: its last day on which anything
// was heard, and that of the month before.
type MonthCounts struct {
	School       string
	Month        time.Time // any moment of it
	Heard        int
	Last, Before *MonthDay // nil: nothing was heard
}

// MonthDay is what a day ended with.
type MonthDay struct {
	At              time.Time
	Devices, Silent int
	Encrypted       int // proven
	Open            int // known not to be, or not guarded
	Unproven        int
	Listed          int // of what has no agent: encrypted by a list
	ListedNot       int // not, or perhaps
	Rules           []RuleCount
}

// MakeMonth makes the summary of a month.
func MakeMonth(c MonthCounts) Month {
	m := Month{
		School: c.School, Month: c.Month.Format("2006-01"), Words: c.Month.Format("January 2006"), Heard: c.Heard,
		Disks: []MonthLine{}, Rules: []MonthRule{}, Decide: []string{},
		Left: []string{
			"What a device was like after it was last heard from: that is not proven, which is neither met nor not met.",
			"Anything about devices that are not enrolled, but what a list of what manages them says of their encryption.",
		},
	}
	if c.Last == nil {
		m.Decide = append(m.Decide, "Find out why nothing was heard from any laptop in "+m.Words+", unless the school was closed.")
		return m
	}
	m.At = c.Last.At
	if c.Before != nil {
		m.Before = c.Before.At
	}
	m.count(*c.Last, c.Before)
	m.decide()
	return m
}

func (m *Month) count(now MonthDay, before *MonthDay) {
	of := func(pick func(MonthDay) int) MonthCount {
		c := MonthCount{Now: pick(now)}
		if before != nil {
			c.Before, c.Known = pick(*before), true
		}
		return c
	}
	m.Devices = of(func(d MonthDay) int { return d.Devices })
	m.Silent = of(func(d MonthDay) int { return d.Silent })
	m.Disks = []MonthLine{
		{"Proven encrypted", of(func(d MonthDay) int { return d.Encrypted })},
		{"Not encrypted, or not guarded", of(func(d MonthDay) int { return d.Open })},
		{"Not proven", of(func(d MonthDay) int { return d.Unproven })},
		{"No agent, and encrypted by a list", of(func(d MonthDay) int { return d.Listed })},
		{"No agent, and not encrypted or not proven by a list", of(func(d MonthDay) int { return d.ListedNot })},
	}
	for _, r := range now.Rules {
		was, known := before.on(r.Rule)
		m.Rules = append(m.Rules, MonthRule{
			Rule: r.Rule, Title: r.Title,
			Met: MonthCount{r.Met, was.Met, known}, NotMet: MonthCount{r.NotMet, was.NotMet, known},
			NotProven: MonthCount{r.NotProven, was.NotProven, known}, Exempt: MonthCount{r.Exempt, was.Exempt, known},
		})
	}
}

// on returns what a day counts of a rule; ok is false if it does not.
func (d *MonthDay) on(rule string) (c RuleCount, ok bool) {
	if d != nil {
		for _, r := range d.Rules {
			if r.Rule == rule {
				return r, true
			}
		}
	}
	return RuleCount{}, false
}

// mostToDecide is how many rules a summary asks about: more would be a list of
// everything.
const mostToDecide = 5

// decide says what leaders can do that nobody else can: who gets the time, what
// is taken out of use, and for what is asked.
func (m *Month) decide() {
	open := m.Disks[1].Count
	if open.Now > 0 {
		m.Decide = append(m.Decide, fmt.Sprintf("Of %s it is known that whoever holds it can read it: decide whether it stays in use until its disk is encrypted.", devices(open.Now)))
	}
	if m.Silent.Now > 0 {
		m.Decide = append(m.Decide, fmt.Sprintf("Have %s found and switched on, or say that they are out of use: nothing is proven of what is silent.", devices(m.Silent.Now)))
	}
	worst := slices.Clone(m.Rules)
	slices.SortStableFunc(worst, func(a, b MonthRule) int {
		return cmp.Or(cmp.Compare(b.NotMet.growth(), a.NotMet.growth()), cmp.Compare(b.NotMet.Now, a.NotMet.Now))
	})
	for _, r := range worst {
		if len(m.Decide) >= mostToDecide+2 || r.NotMet.Now == 0 || !r.NotMet.Known || r.NotMet.growth() < 0 {
			continue
		}
		how := "as many as a month before"
		if r.NotMet.growth() > 0 {
			how = fmt.Sprintf("%d more than a month before", r.NotMet.growth())
		}
		m.Decide = append(m.Decide, fmt.Sprintf("%s (%s): %s %s not meet it, %s. Decide who puts it right, and by when.", r.Title, r.Rule, devices(r.NotMet.Now), does(r.NotMet.Now), how))
	}
}

// growth is how many more it is than a month before.
func (c MonthCount) growth() int {
	if !c.Known {
		return 0
	}
	return c.Now - c.Before
}

func devices(n int) string {
	if n == 1 {
		return "1 device"
	}
	return fmt.Sprintf("%d devices", n)
}

func does(n int) string {
	if n == 1 {
		return "does"
	}
	return "do"
}

// Since says how a count differs from that of the month before.
func (c MonthCount) Since() string {
	switch g := c.growth(); {
	case !c.Known:
		return "not known before"
	case g > 0:
		return fmt.Sprintf("%d more", g)
	case g < 0:
		return fmt.Sprintf("%d fewer", -g)
	}
	return "as before"
}

// Title is what the summary is called.
func (m Month) Title() string { return "Summary of " + m.Words }

// PrintMonth writes the summary as text for people, such as a mail has.
func PrintMonth(w io.Writer, m Month) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	lines := []string{m.School, m.Title(), ""}
	if m.At.IsZero() {
		lines = append(lines, "Nothing was heard from any laptop in this month: nothing is known of it.", "")
	} else {
		lines = append(lines, fmt.Sprintf("What was known at the end of %s, the last of %d days on which anything was heard.", m.At.Format("2 January"), m.Heard), "",
			"Devices", line("enrolled", m.Devices), line("silent for too long", m.Silent), "", "Encryption")
		for _, l := range m.Disks {
			lines = append(lines, line(l.Words, l.Count))
		}
		lines = append(lines, "", "Rules\tmet\tnot met\tnot proven\texempt\tnot met, since the month before")
		for _, r := range m.Rules {
			lines = append(lines, fmt.Sprintf("  %s %s\t%d\t%d\t%d\t%d\t%s", r.Rule, r.Title, r.Met.Now, r.NotMet.Now, r.NotProven.Now, r.Exempt.Now, r.NotMet.Since()))
		}
		lines = append(lines, "")
	}
	lines = append(lines, "To decide")
	if len(m.Decide) == 0 {
		lines = append(lines, "  Nothing.")
	}
	for _, d := range m.Decide {
		lines = append(lines, "  "+d)
	}
	lines = append(lines, "", "What this cannot say", "  "+strings.Join(m.Left, "\n  "))
	for _, l := range lines {
		if _, err := io.WriteString(t, l+"\n"); err != nil {
			return fmt.Errorf("print the summary of %s: %w", m.Words, err)
		}
	}
	return t.Flush()
}

func line(words string, c MonthCount) string {
	return fmt.Sprintf("  %s\t%d\t%s", words, c.Now, c.Since())
}
