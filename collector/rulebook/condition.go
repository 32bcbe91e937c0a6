package rulebook

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"

	"github.com/caretaker-school/caretaker/shared/policy"
)

// Bounds of one condition.
const (
	mostExpression = 4_000 // characters
	mostNodes      = 1_000
	deepest        = 40
)

// compiler compiles the conditions of one rulebook. The environment of the
// language is made once; rules only add the names that they can start from.
type compiler struct {
	*book
	language *policy.Language
	base     *cel.Env
	envs     map[string]*cel.Env // by side and subject
}

// compile compiles every condition of a draft into its policy.
func (b *book) compile(d *draft) error {
	c := &compiler{book: b, language: policy.NewLanguage(d.policy.Parameters), envs: make(map[string]*cel.Env)}
	own, err := policy.Functions()
	if err != nil {
		return fmt.Errorf("compile %s: %w", b.file, err)
	}
	c.base, err = cel.NewCustomEnv(
		cel.CustomTypeProvider(c.language),
		cel.CustomTypeAdapter(types.DefaultTypeAdapter),
		cel.StdLib(),
		cel.ClearMacros(),
		cel.Macros(cel.AllMacro, cel.ExistsMacro, cel.ExistsOneMacro, cel.FilterMacro, cel.MapMacro, cel.MapFilterMacro),
		cel.FunctionDecls(own...),
		cel.ParserExpressionSizeLimit(mostExpression),
		cel.ParserRecursionLimit(deepest),
		cel.ExpressionNestingDepthLimit(deepest),
		cel.ExpressionNodeLimit(mostNodes),
	)
	if err != nil {
		return fmt.Errorf("compile %s: %w", b.file, err)
	}
	used := make(map[string]bool)
	for i, parts := range d.rules {
		if err := c.rule(&d.policy.Rules[i], parts, used); err != nil {
			return fmt.Errorf("compile %s: %w", b.file, err)
		}
	}
	if len(b.problems) > 0 {
		return nil // a condition that did not compile may be the one that uses a parameter
	}
	for _, p := range d.policy.Parameters {
		if !used[p.Name] {
			b.at(d.parameters[p.Name], "no rule uses the parameter %q", p.Name)
		}
	}
	return nil
}

func (c *compiler) rule(r *policy.Rule, parts ruleDraft, used map[string]bool) error {
	env, err := c.env(r)
	if err != nil {
		return err
	}
	detects := false
	compiled := func(n *yaml.Node, what string) ([]byte, []string, error) {
		if n == nil {
			return nil, nil, nil
		}
		return c.condition(env, r, n, what, used, &detects)
	}
	var whenFacts, requireFacts []string
	if r.When, whenFacts, err = compiled(parts.when, "when"); err != nil {
		return err
	}
	if r.Require, requireFacts, err = compiled(parts.require, "require"); err != nil {
		return err
	}
	for i, n := range parts.variants {
		if r.Variants[i].When, _, err = compiled(n, "the variant's when"); err != nil {
			return err
		}
	}
	facts := append(whenFacts, requireFacts...)
	if section := policy.Section(r.For, ""); section != "" && r.For != "device" {
		facts = append(facts, section)
	}
	slices.Sort(facts)
	r.Facts = slices.Compact(facts)
	if len(r.Facts) == 0 && r.Require != nil {
		c.at(parts.require, "the rule reads no fact")
	}
	c.clocks(r, parts.graces, detects)
	return nil
}

// clocks refuses a grace that would stand still in the holidays, or while a
// device is off, where that is not safe. detects says that the rule reads what
// antivirus has found.
func (c *compiler) clocks(r *policy.Rule, graces []graceDraft, detects bool) {
	pauses, waits := r.NeverPauses(), r.NeverWaits()
	if detects {
		pauses, waits = cmp.Or(pauses, "it is about malware that was found"), cmp.Or(waits, "it is about malware that was found")
	}
	for _, g := range graces {
		switch {
		case g.clock == policy.SchoolDays && pauses != "":
			c.at(g.node, "the grace of %s may not pause in the holidays, for %s: write it in plain time, such as \"7d\" or \"24h\"", r.ID, pauses)
		case g.clock == policy.OnlineTime && waits != "":
			c.at(g.node, "the grace of %s may not wait for the device to be online, for %s: write it in plain time, such as \"7d\" or \"24h\"", r.ID, waits)
		}
	}
}

func (c *compiler) env(r *policy.Rule) (*cel.Env, error) {
	key := string(r.Side) + "/" + r.For
	if env, ok := c.envs[key]; ok {
		return env, nil
	}
	var names []cel.EnvOption
	for _, v := range c.language.Variables(r.Side, r.For) {
		names = append(names, cel.Variable(v.Name, v.Type))
	}
	env, err := c.base.Extend(names...)
	if err != nil {
		return nil, fmt.Errorf("declare the names of a rule for %s: %w", r.For, err)
	}
	c.envs[key] = env
	return env, nil
}

// condition compiles one condition, and returns the sections that it reads.
// What is wrong with it is noted where it stands.
func (c *compiler) condition(env *cel.Env, r *policy.Rule, n *yaml.Node, what string, used map[string]bool, detects *bool) ([]byte, []string, error) {
	text, ok := c.text(n, what, mostExpression)
	if !ok {
		return nil, nil, nil
	}
	checked, issues := env.Compile(text)
	if issues.Err() != nil {
		for _, e := range issues.Errors() {
			c.inside(n, e.Location.Line(), e.Location.Column(), e.Message)
		}
		return nil, nil, nil
	}
	if !checked.OutputType().IsExactType(types.BoolType) {
		c.at(n, "%s must be true or false, not %s", what, checked.OutputType())
		return nil, nil, nil
	}
	tree := checked.NativeRep()
	w := &walk{compiler: c, tree: tree, node: n, names: c.names(r), used: used}
	w.look(tree.Expr())
	*detects = *detects || w.detects
	if w.faulty {
		return nil, nil, nil
	}
	cost, err := env.EstimateCost(checked, sizes{c.language})
	if err != nil {
		return nil, nil, fmt.Errorf("estimate the cost of a condition: %w", err)
	}
	if limit := policy.CostLimitFor(r.For); cost.Max > limit {
		c.at(n, "%s may cost %s, more than the %d that is allowed for each %s", what, costly(cost.Max), limit, r.For)
		return nil, nil, nil
	}
	body, err := encode(tree)
	return body, w.sections, err
}

func costly(n uint64) string {
	if n > 1<<60 {
		return "any amount"
	}
	return fmt.Sprint(n)
}

func (c *compiler) names(r *policy.Rule) []string {
	var out []string
	for _, v := range c.language.Variables(r.Side, r.For) {
		out = append(out, v.Name)
	}
	return out
}

// encode writes a checked condition without its places, so that the same
// condition gives the same bytes wherever it stands.
func encode(tree *ast.AST) ([]byte, error) {
	message, err := ast.ToProto(tree)
	if err != nil {
		return nil, fmt.Errorf("encode a condition: %w", err)
	}
	message.SourceInfo = nil
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("encode a condition: %w", err)
	}
	return body, nil
}

// allowed are the functions and operators that conditions may use. CEL has
// more; these are what rules need, and none depends on the order of facts.
var allowed = []string{
	operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.NotStrictlyFalse, operators.Conditional,
	operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals,
	operators.Add, operators.Subtract, operators.Multiply, operators.Divide, operators.Modulo, operators.Negate, operators.In,
	"size", "contains", "startsWith", "endsWith", "matches", "duration", "timestamp", "named",
}

// walk looks through one checked condition for what CEL permits and rules must
// not do, and notes which sections it reads.
type walk struct {
	*compiler
	tree     *ast.AST
	node     *yaml.Node
	names    []string // that the condition can start from
	used     map[string]bool
	sections []string
	detects  bool // it reads what antivirus has found
	faulty   bool
}

func (w *walk) fault(e ast.Expr, format string, args ...any) {
	w.faulty = true
	at := w.tree.SourceInfo().GetStartLocation(e.ID())
	w.inside(w.node, at.Line(), at.Column(), fmt.Sprintf(format, args...))
}

func (w *walk) look(e ast.Expr) {
	switch e.Kind() {
	case ast.IdentKind:
		if name := e.AsIdent(); slices.Contains([]string{"facts", "param"}, name) {
			w.fault(e, "%s is used by its fields, such as %s.x", name, name)
		}
	case ast.SelectKind:
		w.selected(e)
	case ast.CallKind:
		w.call(e)
	case ast.ListKind:
		for _, item := range e.AsList().Elements() {
			w.look(item)
		}
	case ast.ComprehensionKind:
		w.comprehension(e)
	case ast.LiteralKind:
	case ast.MapKind, ast.StructKind:
		w.fault(e, "conditions make no maps or objects")
	case ast.UnspecifiedExprKind:
		w.fault(e, "this is no expression")
	}
}

func (w *walk) selected(e ast.Expr) {
	operand, name := e.AsSelect().Operand(), e.AsSelect().FieldName()
	w.detects = w.detects || name == "openDetections"
	if operand.Kind() != ast.IdentKind || !slices.Contains(w.names, operand.AsIdent()) {
		w.look(operand)
		return
	}
	root := operand.AsIdent()
	if root == "param" {
		w.used[name] = true
	}
	if section := policy.Section(root, name); section != "" {
		w.sections = append(w.sections, section)
	}
}

func (w *walk) call(e ast.Expr) {
	call := e.AsCall()
	name := call.FunctionName()
	switch {
	case name == operators.Index:
		w.fault(e, "facts have no order: use exists or all, not [ ]")
		return
	case !slices.Contains(allowed, name):
		w.fault(e, "conditions may not use %s", strings.Trim(name, "_"))
		return
	case name == operators.Equals || name == operators.NotEquals:
		if w.tree.GetType(call.Args()[0].ID()).Kind() == types.ListKind {
			w.fault(e, "facts have no order: lists cannot be compared")
			return
		}
		w.vocabulary(call.Args()[0], call.Args()[1])
		w.vocabulary(call.Args()[1], call.Args()[0])
	case name == operators.In:
		w.vocabulary(call.Args()[0], call.Args()[1])
	}
	if call.IsMemberFunction() {
		w.look(call.Target())
	}
	for _, arg := range call.Args() {
		w.look(arg)
	}
}

// vocabulary refuses to compare a field that has a closed vocabulary with a
// word that it can never be: a misspelt word would be a rule that is always,
// or never, met.
func (w *walk) vocabulary(e, with ast.Expr) {
	if e.Kind() != ast.SelectKind {
		return
	}
	field := e.AsSelect()
	vocabulary := w.language.Words(w.tree.GetType(field.Operand().ID()).TypeName(), field.FieldName())
	if len(vocabulary) == 0 {
		return
	}
	literals := []ast.Expr{with}
	if with.Kind() == ast.ListKind {
		literals = with.AsList().Elements()
	}
	for _, l := range literals {
		if l.Kind() != ast.LiteralKind {
			continue
		}
		if word, ok := l.AsLiteral().(types.String); ok && !slices.Contains(vocabulary, string(word)) {
			w.fault(l, "%s is never %q: it is one of %s", field.FieldName(), string(word), strings.Join(vocabulary, ", "))
		}
	}
}

func (w *walk) comprehension(e ast.Expr) {
	c := e.AsComprehension()
	if slices.Contains(w.names, c.IterVar()) {
		w.fault(e, "%s already has a meaning: choose another name for each item", c.IterVar())
		return
	}
	for _, part := range []ast.Expr{c.IterRange(), c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()} {
		w.look(part)
	}
}
