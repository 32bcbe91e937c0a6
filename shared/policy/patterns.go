package policy

import (
	"slices"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// patterns is a list of patterns that are ready to be compared with names.
// Case does not matter, and '*' in a pattern stands for any characters.
type patterns struct {
	whole  map[string]bool // without a star
	begins []string        // with one star, at the end: what stands before it
	others []string
}

func newPatterns(list []string) *patterns {
	p := &patterns{whole: make(map[string]bool)}
	for _, pattern := range list {
		pattern = strings.ToLower(pattern)
		switch head, rest, starred := strings.Cut(pattern, "*"); {
		case !starred:
			p.whole[pattern] = true
		case rest == "":
			p.begins = append(p.begins, head)
		default:
			p.others = append(p.others, pattern)
		}
	}
	return p
}

// match reports whether a name is one of the patterns.
func (p *patterns) match(name string) bool {
	name = strings.ToLower(name)
	return p.whole[name] || slices.ContainsFunc(p.begins, func(head string) bool { return strings.HasPrefix(name, head) }) ||
		slices.ContainsFunc(p.others, func(pattern string) bool { return matches(name, pattern) })
}

// named is the function of conditions. The lists of a policy are compared as
// they were made ready; a list that a condition makes itself, one by one.
func (l *Language) named(name, list ref.Val) ref.Val {
	text, ok := name.(types.String)
	lister, isList := list.(traits.Lister)
	if ok && isList {
		if p, ready := l.patterns[lister]; ready {
			return types.Bool(p.match(string(text)))
		}
	}
	return namedAnything(name, list)
}

// matches reports whether name fits a pattern in which '*' stands for any
// characters.
func matches(name, pattern string) bool {
	head, rest, starred := strings.Cut(pattern, "*")
	if !starred {
		return name == pattern
	}
	if !strings.HasPrefix(name, head) {
		return false
	}
	name = name[len(head):]
	for {
		part, more, starred := strings.Cut(rest, "*")
		if !starred {
			return strings.HasSuffix(name, part)
		}
		at := strings.Index(name, part)
		if at < 0 {
			return false
		}
		name, rest = name[at+len(part):], more
	}
}
