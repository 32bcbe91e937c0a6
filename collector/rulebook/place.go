package rulebook

import (
	"unicode"

	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"go.yaml.in/yaml/v3"

	"github.com/caretaker-school/caretaker/shared/policy"
)

// inside notes a fault at a line (from 1) and column (from 0) of the text that
// a scalar holds, at the place of the file where that text stands.
func (b *book) inside(n *yaml.Node, line, column int, message string) {
	l, c := b.find(n, offset(n.Value, line, column))
	b.place(l, c, message)
}

// offset returns how many characters of text come before a line and column.
func offset(text string, line, column int) int {
	count, at := 0, 1
	for _, r := range text {
		if at == line {
			break
		}
		if r == '\n' {
			at++
		}
		count++
	}
	return count + max(column, 0)
}

// find returns the place in the file of a character of a scalar. YAML changes
// white space, quotes and escapes but no other character, so the place is
// found by following the characters that are not white space.
func (b *book) find(n *yaml.Node, want int) (line, column int) {
	if b.lines == nil {
		b.lines = split(b.source)
	}
	p := position{lines: b.lines, line: n.Line - 1, column: n.Column - 1}
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		p.line, p.column = p.line+1, 0
	}
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		p.column++
	}
	line, column = n.Line, n.Column
	quotes := 0
	for i, r := range []rune(n.Value) {
		if unicode.IsSpace(r) {
			if i == want {
				return p.line + 1, p.column + 1
			}
			continue
		}
		if n.Style == yaml.SingleQuotedStyle && r == '\'' {
			quotes++
		}
		if !p.seek(r) {
			return line, column
		}
		line, column = p.line+1, p.column+1
		p.column++
		if quotes > 0 {
			p.column, quotes = p.column+1, 0
		}
		if i == want {
			return line, column
		}
	}
	return line, column + 1
}

// position is a place in the lines of a file, from 0.
type position struct {
	lines        [][]rune
	line, column int
}

// seek moves to the next r.
func (p *position) seek(r rune) bool {
	for ; p.line >= 0 && p.line < len(p.lines); p.line, p.column = p.line+1, 0 {
		for ; p.column < len(p.lines[p.line]); p.column++ {
			if p.lines[p.line][p.column] == r {
				return true
			}
		}
	}
	return false
}

func split(source []byte) [][]rune {
	lines := [][]rune{nil}
	for _, r := range string(source) {
		if r == '\n' {
			lines = append(lines, nil)
			continue
		}
		last := len(lines) - 1
		lines[last] = append(lines[last], r)
	}
	return lines
}

// sizes tells the estimate of cost how large facts can be.
type sizes struct{ language *policy.Language }

// EstimateSize implements cost.Estimator.
func (s sizes) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	if most := s.language.Most(n.Path()); most > 0 {
		return &cost.SizeEstimate{Max: uint64(most)}
	}
	if len(n.Path()) > 0 && n.Type().Kind() == types.ListKind {
		return &cost.SizeEstimate{} // a parameter without items
	}
	return nil
}

// EstimateCallCost implements cost.Estimator: named costs one unit for each
// pattern.
func (s sizes) EstimateCallCost(_, overload string, _ *cost.AstNode, args []cost.AstNode) *cost.CallEstimate {
	if overload != policy.NamedOverload {
		return nil
	}
	patterns := cost.EstimateSize(s, args[1])
	return &cost.CallEstimate{CostEstimate: cost.RangedCostEstimate(1, cost.SafeAdd(patterns.Max, 1))}
}
