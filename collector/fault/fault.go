// Package fault says what is wrong with a text that people wrote, and where:
// a policy, a calendar.
//
// It never reads a text itself; it knows how a reader of YAML says where it stopped.
package fault

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Most is how many faults of a text are said at once.
const Most = 50

// Fault is one fault of a text, where it is.
type Fault struct {
	File    string `json:"file"`
	Line    int    `json:"line"`   // from 1
	Column  int    `json:"column"` // from 1, in characters
	Message string `json:"message"`
}

// String returns the fault with its place, as compilers print them.
func (p Fault) String() string {
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message)
}

// ListError is every fault that was found, in the order of the text.
type ListError []Fault

// Error implements error, one fault a line.
func (l ListError) Error() string {
	lines := make([]string, len(l))
	for i, p := range l {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Sorted returns the first faults of a text in its order, without repeats.
func (l ListError) Sorted() ListError {
	slices.SortStableFunc(l, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	l = slices.Compact(l)
	return l[:min(len(l), Most)]
}

var (
	yamlLine  = regexp.MustCompile(`line (\d+):`)
	yamlPlace = regexp.MustCompile(`^yaml: (line \d+: )?`)
)

// NotYAML returns the line at which a text stopped being YAML, the first if the
// reader's error does not say, and what is wrong there.
func NotYAML(err error) (line int, message string) {
	line = 1
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil && n > 0 {
			line = n
		}
	}
	return line, "this is not YAML: " + yamlPlace.ReplaceAllString(err.Error(), "")
}
