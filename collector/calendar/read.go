package calendar

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a school's zone is known wherever the collector runs
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/caretaker-school/caretaker/collector/fault"
)

// Bounds of a calendar.
const (
	MostSource = 32 << 10 // bytes of its text
	mostName   = 120      // bytes of a name
	mostDays   = 5 * 366
	mostSpans  = 200 // of each sort
)

// Parse reads a calendar from the text that a school wrote. What is wrong with
// it is returned as a fault.ListError, several faults at once.
func Parse(file string, source []byte) (*Calendar, error) {
	r := &reading{file: file}
	c := r.calendar(source)
	if len(r.problems) > 0 {
		return nil, r.problems.Sorted()
	}
	return c, nil
}

// reading is a text being read, with the faults found so far.
type reading struct {
	file     string
	problems fault.ListError
}

func (r *reading) at(n *yaml.Node, format string, args ...any) {
	r.problems = append(r.problems, fault.Fault{
		File: r.file, Line: max(n.Line, 1), Column: max(n.Column, 1), Message: fmt.Sprintf(format, args...),
	})
}

var zoneName = regexp.MustCompile(`^[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$`)

// root parses the text; nil if there is nothing that could be gone on with.
func (r *reading) root(source []byte) *yaml.Node {
	top := &yaml.Node{Line: 1, Column: 1}
	if len(source) > MostSource {
		r.at(top, "the calendar has %d bytes, more than %d", len(source), MostSource)
		return nil
	}
	if !utf8.Valid(source) {
		r.at(top, "the calendar is not valid UTF-8: save it as UTF-8")
		return nil
	}
	var root yaml.Node
	if err := yaml.Unmarshal(source, &root); err != nil {
		line, message := fault.NotYAML(err)
		top.Line = line
		r.at(top, "%s", message)
		return nil
	}
	if root.Kind != yaml.DocumentNode || len(root.Content) != 1 {
		r.at(top, "the calendar is empty")
		return nil
	}
	if !r.simple(&root) {
		return nil
	}
	return root.Content[0]
}

// simple refuses what a calendar has no use for and a reader could be misled
// by.
func (r *reading) simple(n *yaml.Node) bool {
	sound := true
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		r.at(n, "anchors and aliases are not allowed: write it out")
		return false
	case n.Style&yaml.TaggedStyle != 0:
		r.at(n, "tags are not allowed")
		sound = false
	case n.Kind == yaml.ScalarNode && strings.ContainsFunc(n.Value, hidden):
		r.at(n, "control and bidirectional characters are not allowed")
		sound = false
	}
	for _, child := range n.Content {
		sound = r.simple(child) && sound
	}
	return sound
}

func hidden(c rune) bool {
	return unicode.Is(unicode.Cc, c) || unicode.Is(unicode.Bidi_Control, c) || c == utf8.RuneError
}

// field is what a mapping may hold under one key.
type field struct {
	name     string
	required bool
	read     func(*yaml.Node)
}

// mapping reads a mapping that holds the given fields and nothing else.
func (r *reading) mapping(n *yaml.Node, what string, fields []field) {
	var names []string
	for _, f := range fields {
		names = append(names, f.name)
	}
	if n.Kind != yaml.MappingNode {
		r.at(n, "%s must have the fields %s", what, strings.Join(names, ", "))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := slices.Index(names, key.Value)
		switch {
		case key.Kind != yaml.ScalarNode || at < 0:
			r.at(key, "%s has no field %.40q: the fields are %s", what, key.Value, strings.Join(names, ", "))
		case seen[key.Value]:
			r.at(key, "%s has the field %q twice: leave one out", what, key.Value)
		default:
			seen[key.Value] = true
			fields[at].read(value)
		}
	}
	for _, f := range fields {
		if f.required && !seen[f.name] {
			r.at(n, "%s lacks the field %q: add it", what, f.name)
		}
	}
}

func (r *reading) text(n *yaml.Node, what string) string {
	switch {
	case n.Kind != yaml.ScalarNode || n.Tag == "!!null" || strings.TrimSpace(n.Value) == "":
		r.at(n, "%s must be a text", what)
	case len(n.Value) > mostName:
		r.at(n, "%s has %d bytes, more than %d: shorten it", what, len(n.Value), mostName)
	default:
		return n.Value
	}
	return ""
}

// date reads a date; ok is false if it is none.
func (r *reading) date(n *yaml.Node, what string) (d Date, ok bool) {
	if n.Kind != yaml.ScalarNode {
		r.at(n, "%s must be a date such as 2026-09-01", what)
		return 0, false
	}
	d, err := parseDate(n.Value)
	if err != nil {
		r.at(n, "%s: %s", what, err.Error())
		return 0, false
	}
	return d, true
}

func (r *reading) list(n *yaml.Node, what string) []*yaml.Node {
	switch {
	case n.Kind != yaml.SequenceNode:
		r.at(n, "%s must be a list, each item on a line that begins with a dash", what)
	case len(n.Content) > mostSpans:
		r.at(n, "%s has %d items, more than %d", what, len(n.Content), mostSpans)
	default:
		return n.Content
	}
	return nil
}

// written is a span of days as somebody wrote it.
type written struct {
	Span
	node *yaml.Node
}

// calendar reads a whole calendar. What it returns is meaningful only if no
// problem was found.
func (r *reading) calendar(source []byte) *Calendar {
	root := r.root(source)
	if root == nil {
		return nil
	}
	c := &Calendar{}
	all := written{node: root}
	weekend := []time.Weekday{time.Saturday, time.Sunday}
	var terms, holidays, closed []written
	bounds := 0
	bound := func(into *Date, what string) func(*yaml.Node) {
		return func(n *yaml.Node) {
			d, ok := r.date(n, what)
			if *into = d; ok {
				bounds++
			}
		}
	}
	r.mapping(root, "the calendar", []field{
		{"name", true, func(n *yaml.Node) { c.name = r.text(n, "the calendar's name") }},
		{"zone", true, func(n *yaml.Node) { c.zone = r.zone(n) }},
		{"from", true, bound(&all.From, "the calendar's first day")},
		{"to", true, bound(&all.To, "the calendar's last day")},
		{"weekend", false, func(n *yaml.Node) { weekend = r.weekend(n) }},
		{"terms", true, func(n *yaml.Node) { terms = r.spans(n, "terms", "term", School) }},
		{"holidays", false, func(n *yaml.Node) { holidays = r.spans(n, "holidays", "holiday", Holiday) }},
		{"closed", false, func(n *yaml.Node) { closed = r.closedDays(n) }},
	})
	if bounds < 2 || !r.fits(all, terms, holidays, closed) {
		return nil
	}
	c.first = int64(all.From)
	c.days = make([]day, all.To-all.From+1)
	for i := range c.days {
		c.days[i].kind = Holiday
	}
	for _, s := range slices.Concat(terms, holidays, closed) {
		for d := s.From; d <= s.To; d++ {
			c.days[d-all.From] = day{s.Kind, s.Name}
		}
	}
	for i := range c.days {
		d := &c.days[i]
		if d.kind == School && slices.Contains(weekend, Date(c.first+int64(i)).Weekday()) {
			d.kind = Weekend
		}
	}
	if len(r.problems) == 0 && !slices.ContainsFunc(c.days, func(d day) bool { return d.kind == School }) {
		r.at(root, "the school is not open on any day of this calendar: look at its terms")
	}
	return c.made()
}

func (r *reading) zone(n *yaml.Node) *time.Location {
	name := r.text(n, "zone")
	if name == "" {
		return nil
	}
	if zoneName.MatchString(name) && name != "Local" {
		if zone, err := time.LoadLocation(name); err == nil {
			return zone
		}
	}
	r.at(n, "%.40q is not a zone such as Europe/London", name)
	return nil
}

func (r *reading) weekend(n *yaml.Node) []time.Weekday {
	days := []time.Weekday{}
	for _, item := range r.list(n, "weekend") {
		word := strings.ToLower(r.text(item, "a day of the weekend"))
		if word == "" {
			continue
		}
		found := false
		for d := time.Sunday; d <= time.Saturday; d++ {
			if strings.ToLower(d.String()) == word {
				days, found = append(days, d), true
			}
		}
		if !found {
			r.at(item, "%.40q is not a day of the week such as saturday", word)
		}
	}
	return days
}

// spans reads a list of spans of days with a name, a first and a last day.
func (r *reading) spans(n *yaml.Node, what, one string, kind Kind) []written {
	var list []written
	for _, item := range r.list(n, what) {
		s := written{Span: Span{Kind: kind}, node: item}
		sound := 0
		bound := func(into *Date, which string) func(*yaml.Node) {
			return func(n *yaml.Node) {
				d, ok := r.date(n, "the "+which+" day of the "+one)
				if *into = d; ok {
					sound++
				}
			}
		}
		r.mapping(item, "the "+one, []field{
			{"name", true, func(n *yaml.Node) { s.Name = r.text(n, "the name of the "+one) }},
			{"from", true, bound(&s.From, "first")},
			{"to", true, bound(&s.To, "last")},
		})
		if sound == 2 {
			list = append(list, s)
		}
	}
	return list
}

// closedDays reads a list of single days with a name.
func (r *reading) closedDays(n *yaml.Node) []written {
	var list []written
	for _, item := range r.list(n, "closed") {
		s := written{Span: Span{Kind: Closed}, node: item}
		ok := false
		r.mapping(item, "the closed day", []field{
			{"name", true, func(n *yaml.Node) { s.Name = r.text(n, "the name of the closed day") }},
			{"on", true, func(n *yaml.Node) { s.From, ok = r.date(n, "the closed day") }},
		})
		if s.To = s.From; ok {
			list = append(list, s)
		}
	}
	return list
}

// fits reports whether the days of a calendar can be laid out, and notes what
// is wrong with them.
func (r *reading) fits(all written, terms, holidays, closed []written) bool {
	if all.To < all.From {
		r.at(all.node, "the calendar ends on %s, before it begins on %s", all.To, all.From)
		return false
	}
	if n := all.To - all.From + 1; n > mostDays {
		r.at(all.node, "the calendar speaks of %d days, more than five years: leave days out", n)
		return false
	}
	sound := true
	for _, s := range slices.Concat(terms, holidays, closed) {
		if s.To < s.From {
			r.at(s.node, "%q ends on %s, before it begins on %s", s.Name, s.To, s.From)
			sound = false
		}
		if s.From < all.From || s.To > all.To {
			r.at(s.node, "%q is not within the calendar, which goes from %s to %s: correct the date or the calendar's from and to", s.Name, all.From, all.To)
			sound = false
		}
	}
	for i, s := range terms {
		for _, other := range terms[:i] {
			if s.From <= other.To && other.From <= s.To {
				r.at(s.node, "the terms %q and %q overlap", other.Name, s.Name)
				sound = false
			}
		}
	}
	return sound
}
