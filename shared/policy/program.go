package policy

import (
	"errors"
	"fmt"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/containers"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/stdlib"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
	exprpb "google.golang.org/genproto/googleapis/api/expr/v1alpha1"
	"google.golang.org/protobuf/proto"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// CostLimit bounds the work of one condition over all its subjects, in CEL's
// units of cost.
const CostLimit = 5_000_000

// CostLimitFor returns the bound for one subject of a kind.
func CostLimitFor(subject string) uint64 {
	switch subject {
	case "volume":
		return CostLimit / mostVolumes
	case "antivirus":
		return CostLimit / mostAntivirus
	case "medium":
		return CostLimit / mostMedia
	case "program":
		return CostLimit / mostPrograms
	case "executable":
		return CostLimit / mostExecutables
	}
	return CostLimit
}

// planner makes programs of compiled conditions.
type planner struct {
	language    *Language
	interpreter interpreter.Interpreter
}

func newPlanner(l *Language) (*planner, error) {
	d := interpreter.NewDispatcher()
	own, err := functions(l.named)
	if err != nil {
		return nil, fmt.Errorf("declare the functions of conditions: %w", err)
	}
	for _, f := range append(stdlib.Functions(), own...) {
		bindings, err := f.Bindings()
		if err != nil {
			return nil, fmt.Errorf("bind the functions of conditions: %w", err)
		}
		if err := d.Add(bindings...); err != nil {
			return nil, fmt.Errorf("bind the functions of conditions: %w", err)
		}
	}
	attributes := interpreter.NewAttributeFactory(containers.DefaultContainer, types.DefaultTypeAdapter, l)
	return &planner{l, interpreter.NewInterpreter(d, containers.DefaultContainer, l, types.DefaultTypeAdapter, attributes)}, nil
}

// program is one condition, ready to be evaluated. It is safe for concurrent
// use.
type program struct {
	body  interpreter.InterpretableV2
	reads conditionReads
}

// plan makes a program of a compiled condition. It never panics: a condition
// that the interpreter cannot plan is an error.
func (pl *planner) plan(condition []byte, r *Rule, limit uint64) (made *program, err error) {
	defer func() {
		if r := recover(); r != nil {
			made, err = nil, fmt.Errorf("plan a condition: %v", r)
		}
	}()
	var checked exprpb.CheckedExpr
	if err := proto.Unmarshal(condition, &checked); err != nil {
		return nil, fmt.Errorf("read a compiled condition: %w", err)
	}
	tree, err := ast.ToAST(&checked)
	if err != nil {
		return nil, fmt.Errorf("read a compiled condition: %w", err)
	}
	tracker, err := cost.NewTracker(nil, cost.TrackerLimit(limit), cost.OverloadTracker(NamedOverload, namedCost))
	if err != nil {
		return nil, fmt.Errorf("bound the work of a condition: %w", err)
	}
	bounded := interpreter.CostObserver(interpreter.CostTrackerFactory(tracker.Clone))
	body, err := pl.interpreter.NewInterpretable(tree, bounded)
	if err != nil {
		return nil, fmt.Errorf("plan a condition: %w", err)
	}
	return &program{body: body, reads: pl.language.read(tree, r.Side, r.For)}, nil
}

// namedCost charges one unit for each pattern.
func namedCost(args []ref.Val, _ ref.Val) *uint64 {
	total := uint64(1)
	if l, ok := args[1].(interface{ Size() ref.Val }); ok {
		if n, ok := l.Size().(types.Int); ok && n > 0 {
			total += uint64(n)
		}
	}
	return &total
}

// verdict is what became of a condition.
type verdict struct {
	known  bool // value is the condition's
	value  bool
	reason string         // if not known
	result posture.Result // if not known
}

// eval evaluates the condition. What the interpreter cannot evaluate is not
// known.
func (pr *program) eval(vars interpreter.Activation) (v verdict) {
	defer func() {
		if r := recover(); r != nil {
			v = verdict{reason: reasonEvaluation, result: posture.Error}
			if _, ok := r.(cost.LimitExceededError); ok {
				v.reason = reasonCost
			}
		}
	}()
	switch out := pr.body.Eval(vars).(type) {
	case types.Bool:
		return verdict{known: true, value: bool(out)}
	case *types.Err:
		var m *missing
		if errors.As(out.Unwrap(), &m) {
			return verdict{reason: m.reason, result: m.result}
		}
	}
	return verdict{reason: reasonEvaluation, result: posture.Error}
}

// scope resolves the variables of one rule, and the subject. A variable is
// made when it is first asked for.
type scope struct {
	language *Language
	context  *context
	roots    []variable
	values   []ref.Val // of roots; nil: not made yet
	name     string    // of the subject; "" for the device
	subject  *object
}

func newScope(l *Language, c *context, roots []variable) *scope {
	return &scope{language: l, context: c, roots: roots, values: make([]ref.Val, len(roots))}
}

// ResolveName implements interpreter.Activation.
func (s *scope) ResolveName(name string) (any, bool) {
	if name == s.name && s.subject != nil {
		return s.subject, true
	}
	for i := range s.roots {
		if s.roots[i].name != name {
			continue
		}
		if s.values[i] == nil {
			s.values[i] = s.roots[i].get(s.language, s.context)
		}
		return s.values[i], true
	}
	return nil, false
}

// Parent implements interpreter.Activation.
func (s *scope) Parent() interpreter.Activation { return nil }
