package summary

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Year is the report of a school year: the reports of its terms side by side,
// and what was counted in the holidays between them. It follows from what those
// reports told and from counts that no other report has, so that nothing which
// they held back can be worked out from it.
type Year struct {
	Format     int        `json:"format"`
	School     string     `json:"school"`
	Year       string     `json:"year"` // such as "2026-27"
	From       string     `json:"from"` // its first day
	To         string     `json:"to"`   // the last
	Number     int        `json:"number"`
	At         time.Time  `json:"at"`    // the end of the year
	Terms      []YearTerm `json:"terms"` // that began in it
	Between    Between    `json:"between"`
	Coverage   []YearLine `json:"coverage"`
	Rules      []YearRule `json:"rules"`
	Breaches   []YearLine `json:"breaches"`
	Exemptions []YearLine `json:"exemptions"`
	Incidents  []YearLine `json:"incidents"`
	Done       []string   `json:"done"`
	Left       []string   `json:"left"` // overdue or to be decided when the last term ended
	CannotSay  []string   `json:"cannotSay"`
}

// YearTerm is a term of the year, with the report of it that was signed last.
type YearTerm struct {
	Term
	Number int    `json:"number,omitempty"` // of the report; 0: none was signed
	Entry  uint64 `json:"entry,omitempty"`  // of the ledger that holds it, counted from 1
	Digest string `json:"digest,omitempty"`
}

// Between is what was counted in the year outside of its terms.
type Between struct {
	Found     Cell   `json:"found"`
	Settled   Cell   `json:"settled"`
	Ended     Cell   `json:"ended"` // exemptions
	Incidents []Line `json:"incidents"`
}

// BetweenCounts are the counts themselves.
type BetweenCounts struct {
	Found, Settled, Ended int
	Incidents             []KindCount
}

// KindCount counts incidents of one kind.
type KindCount struct {
	Kind  string // in words
	Count int
}

// Publish returns what may be told of the counts. No other report counts the same,
// and nothing adds up to them.
func (c BetweenCounts) Publish() Between {
	b := Between{alone(c.Found), alone(c.Settled), alone(c.Ended), []Line{}}
	for _, i := range c.Incidents {
		b.Incidents = append(b.Incidents, Line{i.Kind, alone(i.Count)})
	}
	return b
}

// YearLine is a count in each term, in between, and in the year.
type YearLine struct {
	Words   string `json:"words"`
	Terms   []*Sum `json:"terms"`             // nil: no signed report tells it
	Between *Sum   `json:"between,omitempty"` // nil: it is counted at the end of terms alone
	Year    *Sum   `json:"year,omitempty"`    // nil: it does not add up
}

// YearRule is a rule at the end of each term.
type YearRule struct {
	Rule  string   `json:"rule"`
	Title string   `json:"title"`
	Terms [][]Cell `json:"terms"` // met, not met, not proven, exempt, not applicable; nil: no signed report tells it
}

// Sum is between which bounds a sum lies, as far as follows from what was told.
type Sum struct {
	Least int  `json:"least"`
	Most  *int `json:"most,omitempty"` // nil: nobody can say
}

func sumOf(cells ...Cell) *Sum {
	most := 0
	s := &Sum{Most: &most}
	for _, c := range cells {
		s.add(c.bounds())
	}
	return s
}

// bounds are those between which a count lies.
func (c Cell) bounds() *Sum {
	most := Least - 1
	switch {
	case c.Count != nil:
		most = *c.Count
		return &Sum{*c.Count, &most}
	case c.Few:
		return &Sum{0, &most}
	}
	return &Sum{Least: Least}
}

// add adds what lies between bounds; nil is anything.
func (s *Sum) add(other *Sum) {
	if other == nil || other.Most == nil {
		s.Most = nil
	}
	if other == nil {
		return
	}
	s.Least += other.Least
	if s.Most != nil {
		most := *s.Most + *other.Most
		s.Most = &most
	}
}

// YearParts is what the report of a year is made of.
type YearParts struct {
	School, Year, From, To string
	At                     time.Time
	Number                 int // of the reports of this year, from 1
	Terms                  []TermPart
	Between                Between
}

// TermPart is a term with its signed report.
type TermPart struct {
	YearTerm
	Report *Report // nil: none was signed
}

// MakeYear makes the report of a year: a function of what was told.
func MakeYear(p YearParts) (Year, error) {
	y := Year{
		Format: Format, School: p.School, Year: p.Year, From: p.From, To: p.To, Number: p.Number, At: p.At.UTC(), Between: p.Between,
		Terms: []YearTerm{}, Coverage: []YearLine{}, Rules: []YearRule{}, Done: []string{}, Left: []string{}, CannotSay: []string{},
	}
	var last *Report
	for _, t := range p.Terms {
		y.Terms = append(y.Terms, t.YearTerm)
		if t.Report != nil {
			last = t.Report
		}
	}
	if last == nil {
		return Year{}, fmt.Errorf("make the report of %s: no report of a term of it is signed", p.Year)
	}
	y.rules(p.Terms)
	y.lines(p.Terms)
	y.incidents(p.Terms)
	y.words(p.Terms, last)
	return y, y.Check()
}

// rules sets the terms side by side, rules in the order of the last report that
// has them.
func (y *Year) rules(terms []TermPart) {
	at := map[string]int{}
	for _, t := range slices.Backward(terms) {
		if t.Report == nil {
			continue
		}
		for _, u := range t.Report.Rules {
			if _, ok := at[u.Rule]; !ok {
				at[u.Rule] = len(y.Rules)
				y.Rules = append(y.Rules, YearRule{u.Rule, u.Title, make([][]Cell, len(terms))})
			}
		}
	}
	for i, t := range terms {
		for rule, n := range at {
			if t.Report != nil {
				y.Rules[n].Terms[i] = t.Report.cellsOf(rule)
			}
		}
	}
}

// lineOf is a line of every term, by its words.
func lineOf(terms []TermPart, words string, of func(*Report) []Line) YearLine {
	l := YearLine{Words: words}
	for _, t := range terms {
		var s *Sum
		if t.Report != nil {
			all := of(t.Report)
			if i := slices.IndexFunc(all, func(one Line) bool { return one.Words == words }); i >= 0 {
				s = sumOf(all[i].Cell)
			}
		}
		l.Terms = append(l.Terms, s)
	}
	return l
}

// total adds up a line over the terms and what is between them.
func (l *YearLine) total(words string, between Cell) YearLine {
	l.Words, l.Between, l.Year = words, sumOf(between), sumOf(between)
	for _, t := range l.Terms {
		l.Year.add(t)
	}
	return *l
}

func (y *Year) lines(terms []TermPart) {
	seen := map[string]bool{}
	for _, t := range slices.Backward(terms) {
		if t.Report == nil {
			continue
		}
		for _, one := range append(t.Report.Coverage(), t.Report.Overdue...) {
			if !seen[one.Words] {
				seen[one.Words] = true
				y.Coverage = append(y.Coverage, lineOf(terms, one.Words, func(r *Report) []Line { return append(r.Coverage(), r.Overdue...) }))
			}
		}
	}
	breaches, exemptions := func(r *Report) []Line { return r.Breaches }, func(r *Report) []Line { return r.Exemptions }
	found, settled, ended := lineOf(terms, found, breaches), lineOf(terms, settled, breaches), lineOf(terms, ended, exemptions)
	y.Breaches = []YearLine{found.total("Began", y.Between.Found), settled.total("Were settled", y.Between.Settled)}
	y.Exemptions = []YearLine{lineOf(terms, inForce, exemptions), ended.total("Ended", y.Between.Ended)}
}

func (y *Year) incidents(terms []TermPart) {
	y.Incidents = []YearLine{}
	for _, kind := range y.Between.Incidents {
		l := YearLine{}
		for _, t := range terms {
			var s *Sum
			if t.Report != nil {
				if i := slices.IndexFunc(t.Report.Incidents, func(one Incident) bool { return one.Kind == kind.Words }); i >= 0 {
					s = sumOf(t.Report.Incidents[i].Cells...)
				}
			}
			l.Terms = append(l.Terms, s)
		}
		y.Incidents = append(y.Incidents, l.total(kind.Words, kind.Cell))
	}
}

// words says what was done, what is left, and what the report cannot say.
func (y *Year) words(terms []TermPart, last *Report) {
	var cannot []string
	for _, t := range terms {
		if t.Report == nil {
			cannot = append(cannot, "Anything of "+t.Name+": no report of it was signed before this was made.")
			continue
		}
		y.Done = append(y.Done, t.Name+": "+t.Report.PolicyWords(), t.Name+": "+t.Report.LicenceWords())
	}
	cannot = append(cannot, "Where devices stood in the holidays: there breaches, exemptions and incidents alone are counted.",
		"How many were fewer than 5 in a term: a sum is told only as far as it follows from what the terms' reports told.")
	for _, t := range terms {
		if t.Report == nil {
			continue
		}
		for _, words := range t.Report.CannotSay {
			if !slices.Contains(cannot, words) {
				cannot = append(cannot, words)
			}
		}
	}
	y.Left, y.CannotSay = append(append(y.Left, last.Late...), last.Decide...), cannot
}

// Follows reports what is wrong if the report of a year is not what the reports
// of its terms come to. report returns the one that an entry holds.
func (y Year) Follows(report func(entry uint64) (*Report, error)) error {
	p := YearParts{School: y.School, Year: y.Year, From: y.From, To: y.To, At: y.At, Number: y.Number, Between: y.Between}
	for _, t := range y.Terms {
		part := TermPart{YearTerm: t}
		if t.Number > 0 {
			r, err := report(t.Entry)
			if err != nil {
				return err
			}
			part.Report = r
			if data, err := Encode(*r); err != nil || Digest(data) != t.Digest || r.Term != t.Term || r.Number != t.Number {
				return errors.Join(err, fmt.Errorf("the report of %s is not the one in entry %d", t.Name, t.Entry))
			}
		}
		p.Terms = append(p.Terms, part)
	}
	again, err := MakeYear(p)
	if err != nil {
		return err
	}
	ours, err := EncodeYear(again)
	if err != nil {
		return err
	}
	theirs, err := EncodeYear(y)
	if err == nil && string(ours) != string(theirs) {
		err = errors.New("the report of the year is not what the reports of its terms come to")
	}
	return err
}

// Title is what the report is called.
func (y Year) Title() string {
	title := "Report of the school year " + y.Year
	if y.Number > 1 {
		title += fmt.Sprintf(" (correction %d)", y.Number-1)
	}
	return title
}

// Since says how a rule changed from the first term that tells of it to the last.
func (u YearRule) Since() string {
	var told [][]Cell
	for _, t := range u.Terms {
		if t != nil {
			told = append(told, t)
		}
	}
	if len(told) < 2 {
		return ""
	}
	return Rule{Cells: told[len(told)-1], Before: told[0]}.Since()
}

// Words is a sum as people read it.
func (s *Sum) Words() string {
	switch {
	case s == nil || s.Most == nil && s.Least == 0:
		return "not known"
	case s.Most == nil:
		return fmt.Sprintf("%d or more", s.Least)
	case *s.Most == s.Least:
		return fmt.Sprint(s.Least)
	case s.Least == 0 && *s.Most == Least-1:
		return "fewer than 5"
	case s.Least == 0:
		return fmt.Sprintf("at most %d", *s.Most)
	}
	return fmt.Sprintf("%d to %d", s.Least, *s.Most)
}

// Names are the names of the terms.
func (y Year) Names() (names []string) {
	for _, t := range y.Terms {
		names = append(names, t.Name)
	}
	return names
}

// Cells are a line's cells in words: the terms', that in between, the year's.
func (l YearLine) Cells() (cells []string) {
	for _, t := range l.Terms {
		cells = append(cells, t.Words())
	}
	rest := func(s *Sum) string {
		if s == nil {
			return ""
		}
		return s.Words()
	}
	return append(cells, rest(l.Between), rest(l.Year))
}

// Signed says of which report of each term the report of the year is made.
func (t YearTerm) Signed() string {
	if t.Number == 0 {
		return "no report of it was signed"
	}
	return fmt.Sprintf("report %d, signed by head and business manager, entry %d of the record", t.Number, t.Entry)
}

// Period says from when to when the year was.
func (y Year) Period() string { return strings.Join([]string{y.From, y.To}, " to ") }
