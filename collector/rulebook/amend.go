package rulebook

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/caretaker-school/caretaker/collector/fault"
	"github.com/caretaker-school/caretaker/shared/policy"
)

// Amendment is what is to be otherwise in a policy's text. What it does not name,
// and what is so already, stays as it is written, comments and all.
type Amendment struct {
	MaxAge     string              // how old facts may be, as it is written, such as "7d"; "" leaves it
	Parameters map[string]string   // what is no list, as it is written, by name
	Lists      map[string][]string // lists of texts, by name
	Graces     map[string]string   // by rule, as they are written, such as "7 school days"; "0" for none
}

// Amend returns a policy's text with an amendment made. What cannot be so is a
// fault.ListError: of the amended text where that is a policy in form, and of the
// one before where it could not be amended.
func Amend(file string, source []byte, a Amendment) (amended []byte, err error) {
	p, err := Compile(file, source)
	if err != nil {
		return nil, err
	}
	var root yaml.Node
	if err := yaml.Unmarshal(source, &root); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	e := &editor{file: file, lines: split(source), was: parameters(p)}
	e.amend(root.Content[0], a)
	if len(e.wrong) > 0 {
		return nil, e.wrong.Sorted()
	}
	amended = e.text()
	_, err = Compile(file, amended)
	return amended, err
}

// editor changes a sound text in places. Changes are gathered first, and made from
// the end of the text to its beginning, so that none moves another.
type editor struct {
	file  string
	lines [][]rune
	was   map[string]policy.Parameter
	edits []edit
	wrong fault.ListError
}

// edit puts something in the place of a part of a line, or drops the line.
type edit struct {
	line, from, to int // from 0; to is behind the part
	put            string
	drop           bool
}

func (e *editor) fault(n *yaml.Node, format string, args ...any) {
	e.wrong = append(e.wrong, fault.Fault{File: e.file, Line: n.Line, Column: n.Column, Message: fmt.Sprintf(format, args...)})
}

func (e *editor) amend(top *yaml.Node, a Amendment) {
	seen := map[string]bool{}
	fields(top, func(key, value *yaml.Node) {
		switch key.Value {
		case "maxAge":
			seen["maxAge"] = true
			if a.MaxAge != "" {
				e.scalar(value, a.MaxAge)
			}
		case "parameters":
			fields(value, func(name, parameter *yaml.Node) {
				seen["param."+name.Value] = true
				e.parameter(name, parameter, a)
			})
		case "rules":
			for _, rule := range value.Content {
				e.rule(rule, a, seen)
			}
		}
	})
	if a.MaxAge != "" && !seen["maxAge"] {
		e.after(top, "title", "maxAge: "+a.MaxAge)
	}
	for _, name := range slices.Sorted(maps.Keys(a.Parameters)) {
		if !seen["param."+name] {
			e.fault(top, "the policy has no parameter %q", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Lists)) {
		if !seen["param."+name] {
			e.fault(top, "the policy has no parameter %q", name)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(a.Graces)) {
		if !seen[id] {
			e.fault(top, "the policy has no rule %q", id)
		}
	}
}

func (e *editor) parameter(name, n *yaml.Node, a Amendment) {
	value := n
	fields(n, func(key, v *yaml.Node) {
		if key.Value == "value" {
			value = v
		}
	})
	is := e.was[name.Value]
	if list, ok := a.Lists[name.Value]; ok {
		if is.Kind != policy.TextsParameter {
			e.fault(name, "the parameter %q is no list", name.Value)
			return
		}
		e.list(name, value, list)
	}
	text, ok := a.Parameters[name.Value]
	switch {
	case !ok:
	case is.Kind == policy.TextsParameter:
		e.fault(name, "the parameter %q is a list", name.Value)
	case is.Kind == policy.TextParameter && len(is.Choices) == 0:
		if text != value.Value {
			e.scalar(value, quoted(text))
		}
	default:
		e.scalar(value, text)
	}
}

func (e *editor) rule(rule *yaml.Node, a Amendment, seen map[string]bool) {
	var id string
	var grace *yaml.Node
	fields(rule, func(key, value *yaml.Node) {
		switch key.Value {
		case "id":
			id = value.Value
		case "grace":
			grace = value
		}
	})
	seen[id] = true
	want, ok := a.Graces[id]
	switch {
	case !ok:
	case grace != nil:
		e.scalar(grace, want)
	case want != "0":
		e.after(rule, "severity", "grace: "+want)
	}
}

// scalar puts a value in the place of another that stands on one line.
func (e *editor) scalar(n *yaml.Node, text string) {
	if n.Value == text {
		return
	}
	from := n.Column - 1
	to, ok := e.end(n)
	switch {
	case !ok:
		e.fault(n, "write this value on one line, so that another can be put in its place")
	case !plainly(text):
		e.fault(n, "%.60q cannot be put here", text)
	default:
		e.edits = append(e.edits, edit{line: n.Line - 1, from: from, to: to, put: text})
	}
}

// plainly reports whether a text can be put into a line as it is: a word, a span of
// time, or what is quoted already. It must not begin anything else of the language.
func plainly(text string) bool {
	if text == "" || strings.ContainsAny(text, "\r\n") || !utf8.ValidString(text) {
		return false
	}
	return strings.HasPrefix(text, `"`) || !strings.ContainsAny(text, "#:{}[],&*!|>'\"%@`")
}

// end returns the column behind a scalar that stands on one line.
func (e *editor) end(n *yaml.Node) (to int, ok bool) {
	line, from := e.lines[n.Line-1], n.Column-1
	if n.Kind != yaml.ScalarNode || from > len(line) {
		return 0, false
	}
	switch n.Style {
	case 0:
		to = from + utf8.RuneCountInString(n.Value)
		return to, to <= len(line) && string(line[from:to]) == n.Value
	case yaml.SingleQuotedStyle, yaml.DoubleQuotedStyle:
		return closing(line, from)
	default:
		return 0, false
	}
}

// closing returns the column behind a quoted text.
func closing(line []rune, from int) (to int, ok bool) {
	mark := line[from]
	for i := from + 1; i < len(line); i++ {
		switch {
		case mark == '"' && line[i] == '\\':
			i++
		case line[i] == mark && mark == '\'' && i+1 < len(line) && line[i+1] == mark:
			i++
		case line[i] == mark:
			return i + 1, true
		}
	}
	return 0, false
}

// after puts a field on a line of its own behind another field of a mapping, which
// stands on one line.
func (e *editor) after(mapping *yaml.Node, field, put string) {
	done := false
	fields(mapping, func(key, value *yaml.Node) {
		if key.Value == field && mapping.Style&yaml.FlowStyle == 0 && value.Line == key.Line {
			if _, ok := e.end(value); ok {
				line := e.lines[key.Line-1]
				e.edits = append(e.edits, edit{line: key.Line - 1, from: len(line), to: len(line), put: "\n" + strings.Repeat(" ", key.Column-1) + put})
				done = true
			}
		}
	})
	if !done {
		e.fault(mapping, "write each field on a line of its own, so that another can be put beside it")
	}
}

// list has a list hold other texts: what stays stays where it is, what goes goes
// with its line, and what is new comes after it.
func (e *editor) list(key, n *yaml.Node, want []string) {
	var have []string
	for _, item := range n.Content {
		have = append(have, item.Value)
	}
	without := func(a, b []string) []string {
		return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
	}
	gone, added := without(have, want), without(want, have)
	if len(gone)+len(added) == 0 {
		return
	}
	if n.Style&yaml.FlowStyle != 0 {
		e.flow(key, n, want)
		return
	}
	indent, last := strings.Repeat(" ", n.Column-1), key.Line-1
	for i, item := range n.Content {
		_, ok := e.end(item)
		if !ok || i > 0 && n.Content[i-1].Line == item.Line || item.Line == key.Line {
			e.fault(item, "write each item of this list on a line of its own, so that it can be changed here")
			return
		}
		last = item.Line - 1
		if slices.Contains(gone, item.Value) {
			e.edits = append(e.edits, edit{line: last, drop: true})
		}
	}
	if len(want) == 0 {
		e.edits = append(e.edits, edit{line: key.Line - 1, from: e.colon(key), to: e.colon(key), put: " []"})
		return
	}
	e.edits = append(e.edits, edit{line: last, from: -1, put: listItems(indent, added)})
}

// colon returns the column behind the colon of a key.
func (e *editor) colon(key *yaml.Node) int {
	to, _ := e.end(key)
	return to + 1
}

// flow puts a list that is written on one line on lines of its own.
func (e *editor) flow(key, n *yaml.Node, want []string) {
	line, from := e.lines[n.Line-1], n.Column-1
	to := -1
	for i := from; i < len(line) && to < 0; i++ {
		switch line[i] {
		case '\'', '"':
			if end, ok := closing(line, i); ok {
				i = end - 1
			}
		case ']':
			to = i + 1
		}
	}
	if to < 0 || n.Line != key.Line {
		e.fault(n, "write each item of this list on a line of its own, so that it can be changed here")
		return
	}
	put := "[]"
	if len(want) > 0 {
		e.edits = append(e.edits, edit{line: n.Line - 1, from: -1, put: listItems(strings.Repeat(" ", key.Column+1), want)})
		put, from = "", e.colon(key)
	}
	e.edits = append(e.edits, edit{line: n.Line - 1, from: from, to: to, put: put})
}

func listItems(indent string, texts []string) string {
	var b strings.Builder
	for _, text := range texts {
		b.WriteString("\n" + indent + "- " + quoted(text))
	}
	return b.String()
}

// quoted writes a text so that nothing in it is taken for anything else: the
// quoting of Go is that of YAML too, as far as texts can be seen.
func quoted(text string) string { return strconv.Quote(text) }

// text makes the changes. What is put behind a line (from is -1) comes after it
// even if the line itself is dropped.
func (e *editor) text() []byte {
	slices.SortStableFunc(e.edits, func(a, b edit) int { return cmp.Or(cmp.Compare(b.line, a.line), cmp.Compare(b.from, a.from)) })
	behind, dropped := map[int]string{}, map[int]bool{}
	for _, d := range e.edits {
		switch {
		case d.drop:
			dropped[d.line] = true
		case d.from < 0:
			behind[d.line] += d.put
		default:
			line := e.lines[d.line]
			e.lines[d.line] = slices.Concat(line[:d.from], []rune(d.put), line[d.to:])
		}
	}
	var b strings.Builder
	for i, line := range e.lines {
		if !dropped[i] {
			if i > 0 {
				b.WriteByte('\n')
			}
			b.WriteString(string(line))
		}
		b.WriteString(behind[i])
	}
	return []byte(b.String())
}

// Where says of which rule or parameter a line of a text is, and of which field:
// such as "rule ENC-01, grace". It is empty if that cannot be told.
func Where(source []byte, line int) string {
	item, best := "", place{}
	for name, at := range outline(source) {
		if at.line <= line && (at.line > best.line || at.line == best.line && len(name) > len(item)) {
			item, best = name, at
		}
	}
	if name, ok := strings.CutPrefix(item, "param."); ok {
		return "parameter " + name
	}
	if id, field, ok := strings.Cut(item, "."); ok {
		return "rule " + id + ", " + field
	}
	if item == "" || item == "rules" {
		return ""
	}
	return "rule " + item
}
