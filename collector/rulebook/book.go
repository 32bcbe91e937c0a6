package rulebook

import (
	"bytes"
	"fmt"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/caretaker-school/caretaker/collector/fault"
	"github.com/caretaker-school/caretaker/shared/policy"
)

// book is a rulebook being read, with the faults found so far.
type book struct {
	file     string
	source   []byte
	problems fault.ListError
	lines    [][]rune // of the source; made when first needed
}

// draft is a policy whose conditions are still text.
type draft struct {
	policy policy.Policy
	rules  []ruleDraft
	// where the parameters stand, for faults about them
	parameters map[string]*yaml.Node
}

type ruleDraft struct {
	node     *yaml.Node
	when     *yaml.Node
	require  *yaml.Node
	variants []*yaml.Node
	graces   []graceDraft
}

// graceDraft is a grace where it is written.
type graceDraft struct {
	node  *yaml.Node
	grace time.Duration
	clock policy.Clock
}

// at notes a fault at a node.
func (b *book) at(n *yaml.Node, format string, args ...any) {
	b.place(n.Line, n.Column, fmt.Sprintf(format, args...))
}

func (b *book) place(line, column int, message string) {
	b.problems = append(b.problems, fault.Fault{File: b.file, Line: max(line, 1), Column: max(column, 1), Message: message})
}

// found returns the faults in the order of the file, without repeats.
func (b *book) found() fault.ListError {
	return b.problems.Sorted()
}

// read parses the YAML and everything in it but the conditions. It returns nil
// if there is nothing that could be gone on with.
func (b *book) read() *draft {
	if len(b.source) > mostSource {
		line := 1 + bytes.Count(b.source[:mostSource], []byte("\n"))
		b.place(line, 1, fmt.Sprintf("the rulebook has %d bytes, more than %d, which end in this line", len(b.source), mostSource))
		return nil
	}
	if !utf8.Valid(b.source) {
		b.place(1, 1, "the rulebook is not valid UTF-8")
		return nil
	}
	var root yaml.Node
	if err := yaml.Unmarshal(b.source, &root); err != nil {
		line, message := fault.NotYAML(err)
		b.place(line, 1, message)
		return nil
	}
	if root.Kind != yaml.DocumentNode || len(root.Content) != 1 {
		b.place(1, 1, "the rulebook is empty")
		return nil
	}
	if !b.simple(&root) {
		return nil
	}
	return b.readPolicy(root.Content[0])
}

// simple refuses what a rulebook has no use for and a reader could be misled
// by: anchors, aliases, tags, and characters that are not shown.
func (b *book) simple(n *yaml.Node) bool {
	sound := true
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		b.at(n, "anchors and aliases are not allowed")
		return false
	case n.Style&yaml.TaggedStyle != 0:
		b.at(n, "tags are not allowed")
		sound = false
	case n.Kind == yaml.ScalarNode && hidden(n.Value):
		b.at(n, "control and bidirectional characters are not allowed")
		sound = false
	}
	for _, child := range n.Content {
		sound = b.simple(child) && sound
	}
	return sound
}

func hidden(text string) bool {
	for _, r := range text {
		if r != '\n' && unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Bidi_Control, r) {
			return true
		}
	}
	return false
}

// entry is what a mapping may hold under one key.
type entry struct {
	name     string
	required bool
	read     func(*yaml.Node)
}

// mapping reads a mapping that holds the given entries and nothing else.
func (b *book) mapping(n *yaml.Node, what string, entries []entry) {
	if n.Kind != yaml.MappingNode {
		b.at(n, "%s must be a mapping, not %s", what, kindOf(n))
		return
	}
	seen := make(map[string]bool, len(entries))
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := slices.IndexFunc(entries, func(e entry) bool { return e.name == key.Value })
		switch {
		case key.Kind != yaml.ScalarNode || at < 0:
			b.at(key, "%s has no field %q", what, shown(key))
		case seen[key.Value]:
			b.at(key, "%s has the field %q twice", what, key.Value)
		default:
			seen[key.Value] = true
			entries[at].read(value)
		}
	}
	for _, e := range entries {
		if e.required && !seen[e.name] {
			b.at(n, "%s lacks the field %q", what, e.name)
		}
	}
}

func shown(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode {
		return n.Value
	}
	return kindOf(n)
}

func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		return "nothing"
	case n.Kind == yaml.ScalarNode && n.Tag == "!!bool":
		return "true or false"
	case n.Kind == yaml.ScalarNode && (n.Tag == "!!int" || n.Tag == "!!float"):
		return "a number"
	}
	return "a text"
}

// text reads a bounded text. Numbers and truth values are not texts.
func (b *book) text(n *yaml.Node, what string, most int) (string, bool) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
		b.at(n, "%s must be a text, not %s", what, kindOf(n))
		return "", false
	}
	if n.Value == "" {
		b.at(n, "%s is empty", what)
		return "", false
	}
	if len(n.Value) > most {
		b.at(n, "%s has %d bytes, more than %d", what, len(n.Value), most)
		return "", false
	}
	return n.Value, true
}

// list reads the items of a list.
func (b *book) list(n *yaml.Node, what string, most int) []*yaml.Node {
	if n.Kind != yaml.SequenceNode {
		b.at(n, "%s must be a list, not %s", what, kindOf(n))
		return nil
	}
	if len(n.Content) > most {
		b.at(n.Content[most], "%s has %d items, more than %d: this is the first too many", what, len(n.Content), most)
		return nil
	}
	return n.Content
}
