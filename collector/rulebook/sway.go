package rulebook

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	exprpb "google.golang.org/genproto/googleapis/api/expr/v1alpha1"
	"google.golang.org/protobuf/proto"

	"github.com/caretaker-school/caretaker/shared/policy"
)

// sway is how the value of an expression moves when the parameters of one policy
// take the place of another's, whatever the facts. Truth is ordered false, not
// known, true, in which "and" is the least, "or" the greatest and "not" turns the
// order round; lists are ordered by what is in them. Neither way: the value is the
// same. Both: it cannot be told.
type sway struct {
	less, more bool
	from, to   any // the values, where the parameters alone decide them: a bool, int64, time.Duration, string or []string
}

// unsure is the sway of what cannot be told.
var unsure = sway{less: true, more: true}

func (s sway) same() bool { return !s.less && !s.more }

// settled takes into account what is decided: nothing is less than false.
func (s sway) settled() sway {
	if s.from == false || s.to == true {
		s.less = false
	}
	if s.from == true || s.to == false {
		s.more = false
	}
	if n, ok := ordered(s.from, s.to); ok {
		s.less, s.more = n > 0, n < 0
	}
	return s
}

// ordered compares two numbers or two spans of time.
func ordered(a, b any) (int, bool) {
	switch x := a.(type) {
	case int64:
		if y, ok := b.(int64); ok {
			return cmp.Compare(x, y), true
		}
	case time.Duration:
		if y, ok := b.(time.Duration); ok {
			return cmp.Compare(x, y), true
		}
	}
	return 0, false
}

// swaying compares conditions under the parameters of two policies.
type swaying struct {
	tree     *ast.AST
	from, to map[string]policy.Parameter
	read     map[string]bool // the parameters that were met
}

// swayOf returns how a compiled condition moves from the parameters of one policy
// to those of another, and which of them it reads.
func swayOf(condition []byte, from, to map[string]policy.Parameter) (sway, map[string]bool, error) {
	var checked exprpb.CheckedExpr
	if err := proto.Unmarshal(condition, &checked); err != nil {
		return unsure, nil, fmt.Errorf("read a compiled condition: %w", err)
	}
	tree, err := ast.ToAST(&checked)
	if err != nil {
		return unsure, nil, fmt.Errorf("read a compiled condition: %w", err)
	}
	w := &swaying{tree: tree, from: from, to: to, read: map[string]bool{}}
	return w.of(tree.Expr()), w.read, nil
}

func (w *swaying) of(e ast.Expr) sway {
	switch e.Kind() {
	case ast.LiteralKind:
		v := e.AsLiteral().Value()
		return sway{from: v, to: v}
	case ast.IdentKind:
		return sway{}
	case ast.SelectKind:
		operand := e.AsSelect().Operand()
		if operand.Kind() == ast.IdentKind && operand.AsIdent() == "param" {
			return w.parameter(e.AsSelect().FieldName())
		}
		return alike(w.of(operand))
	case ast.ListKind:
		return alike(w.all(e.AsList().Elements())...)
	case ast.CallKind:
		return w.call(e).settled()
	case ast.ComprehensionKind:
		return w.comprehension(e.AsComprehension()).settled()
	case ast.MapKind, ast.StructKind, ast.UnspecifiedExprKind:
	}
	return unsure
}

func (w *swaying) all(list []ast.Expr) (out []sway) {
	for _, e := range list {
		out = append(out, w.of(e))
	}
	return out
}

// alike is the sway of what is the same if all it is made of is.
func alike(parts ...sway) sway {
	if slices.ContainsFunc(parts, func(s sway) bool { return !s.same() }) {
		return unsure
	}
	return sway{}
}

func (w *swaying) parameter(name string) sway {
	w.read[name] = true
	a, had := w.from[name]
	b, has := w.to[name]
	if !had || !has || a.Kind != b.Kind {
		return unsure
	}
	switch a.Kind {
	case policy.TextsParameter:
		return sway{less: lacks(b.Texts, a.Texts), more: lacks(a.Texts, b.Texts), from: a.Texts, to: b.Texts}
	case policy.FlagParameter:
		return sway{less: true, more: true, from: a.Flag, to: b.Flag}.settled()
	case policy.NumberParameter:
		return sway{from: a.Number, to: b.Number}.settled()
	case policy.DurationParameter:
		return sway{from: time.Duration(a.Number), to: time.Duration(b.Number)}.settled()
	case policy.TextParameter:
	}
	return sway{less: a.Text != b.Text, more: a.Text != b.Text, from: a.Text, to: b.Text}
}

// lacks reports whether one list lacks something of another.
func lacks(list, of []string) bool {
	return slices.ContainsFunc(of, func(s string) bool { return !slices.Contains(list, s) })
}

func (w *swaying) call(e ast.Expr) sway {
	call := e.AsCall()
	args := w.all(call.Args())
	if call.IsMemberFunction() {
		args = append([]sway{w.of(call.Target())}, args...)
	}
	switch name := call.FunctionName(); {
	case len(args) == 1:
		return w.one(name, args[0])
	case name == operators.Conditional:
		return either(args[0], args[1], args[2])
	case len(args) == 2:
		return w.two(name, w.tree.GetType(e.ID()), args[0], args[1])
	}
	return alike(args...)
}

func (w *swaying) one(name string, a sway) sway {
	switch name {
	case operators.LogicalNot:
		return sway{less: a.more, more: a.less, from: not(a.from), to: not(a.to)}
	case "size":
		x, known := a.from.([]string)
		y, both := a.to.([]string)
		if known && both {
			return sway{from: int64(len(x)), to: int64(len(y))}
		}
	}
	return alike(a)
}

func not(v any) any {
	if b, ok := v.(bool); ok {
		return !b
	}
	return nil
}

func (w *swaying) two(name string, of *types.Type, a, b sway) sway {
	together := sway{less: a.less || b.less, more: a.more || b.more}
	switch name {
	case operators.LogicalAnd:
		together.from, together.to = joined(a.from, b.from, false), joined(a.to, b.to, false)
		return together
	case operators.LogicalOr:
		together.from, together.to = joined(a.from, b.from, true), joined(a.to, b.to, true)
		return together
	case operators.Equals, operators.NotEquals:
		s := alike(a, b)
		s.from, s.to = equal(a.from, b.from, name), equal(a.to, b.to, name)
		if s.from != nil && s.from == s.to {
			s.less, s.more = false, false
		}
		return s
	case operators.Less, operators.LessEquals:
		return rising(name, a, b)
	case operators.Greater, operators.GreaterEquals:
		return rising(map[string]string{operators.Greater: operators.Less, operators.GreaterEquals: operators.LessEquals}[name], b, a)
	case operators.In, "named":
		if a.same() {
			return sway{less: b.less, more: b.more}
		}
	case operators.Add:
		// A sum of whole numbers may be too large for one of them alone; of spans of
		// time, of which none is longer than some years, it is not.
		if of.Kind() == types.DurationKind {
			return together
		}
	}
	return alike(a, b)
}

// joined is what "or" makes of two values if one of them decides, or both are
// known; of "and" with strong false.
func joined(a, b any, strong bool) any {
	switch {
	case a == strong || b == strong:
		return strong
	case a == !strong && b == !strong:
		return !strong
	}
	return nil
}

func equal(a, b any, name string) any {
	x, text := a.(string)
	y, both := b.(string)
	n, numbers := ordered(a, b)
	p, flag := a.(bool)
	q, flags := b.(bool)
	var same bool
	switch {
	case text && both:
		same = x == y
	case numbers:
		same = n == 0
	case flag && flags:
		same = p == q
	default:
		return nil
	}
	return same == (name == operators.Equals)
}

// rising is the sway of a < b or a <= b: it becomes truer as b grows.
func rising(name string, a, b sway) sway {
	s := sway{less: a.more || b.less, more: a.less || b.more}
	decide := func(x, y any) any {
		n, ok := ordered(x, y)
		if !ok {
			return nil
		}
		return n < 0 || n == 0 && name == operators.LessEquals
	}
	s.from, s.to = decide(a.from, b.from), decide(a.to, b.to)
	return s
}

// either is the sway of c ? a : b.
func either(c, a, b sway) sway {
	from, known := c.from.(bool)
	to, both := c.to.(bool)
	switch {
	case known && both && from == to && from:
		return a
	case known && both && from == to:
		return b
	case c.same():
		return sway{less: a.less || b.less, more: a.more || b.more}
	}
	return unsure
}

// comprehension is the sway of exists and all: with more in the list the one
// becomes truer and the other less true.
func (w *swaying) comprehension(c ast.ComprehensionExpr) sway {
	list, step := w.of(c.IterRange()), c.LoopStep()
	rest := alike(w.of(c.AccuInit()), w.of(c.LoopCondition()), w.of(c.Result()))
	plain := c.Result().Kind() == ast.IdentKind && c.Result().AsIdent() == c.AccuVar() && c.AccuInit().Kind() == ast.LiteralKind
	if rest.same() && plain && step.Kind() == ast.CallKind && len(step.AsCall().Args()) == 2 && isIdent(step.AsCall().Args()[0], c.AccuVar()) {
		each := w.of(step.AsCall().Args()[1])
		begins := c.AccuInit().AsLiteral().Value()
		switch step.AsCall().FunctionName() {
		case operators.LogicalOr:
			if begins == false {
				return sway{less: list.less || each.less, more: list.more || each.more}
			}
		case operators.LogicalAnd:
			if begins == true {
				return sway{less: list.more || each.less, more: list.less || each.more}
			}
		}
	}
	return alike(list, rest, w.of(step))
}

func isIdent(e ast.Expr, name string) bool { return e.Kind() == ast.IdentKind && e.AsIdent() == name }
