package rulebook

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"cel.dev/cel-go/common/ast"
	"go.yaml.in/yaml/v3"
	exprpb "google.golang.org/genproto/googleapis/api/expr/v1alpha1"
	"google.golang.org/protobuf/proto"

	"github.com/caretaker-school/caretaker/shared/policy"
)

// Description is what can be said of a rule beside the rule itself.
type Description struct {
	Reads   []string // the parameters that its conditions read, by name
	Groups  bool     // its conditions read of which groups a device is
	When    string   // as it is written; "" if every subject is covered
	Require string   // as it is written
	Grace   string   // in words, such as "7 school days"
}

// Describe says of each rule of a policy, by its identifier, what pages show of it.
// Without the policy's text nothing is said of how conditions are written.
func Describe(t Text) (map[string]Description, error) {
	written := conditionsOf(t.Source)
	out := map[string]Description{}
	for _, r := range t.Policy.Rules {
		d := Description{When: written[r.ID+".when"], Require: written[r.ID+".require"], Grace: graceWords(r)}
		read := map[string]bool{}
		for _, condition := range conditions(r) {
			names, groups, err := readBy(condition)
			if err != nil {
				return nil, fmt.Errorf("describe %s: %w", r.ID, err)
			}
			maps.Copy(read, names)
			d.Groups = d.Groups || groups
		}
		d.Reads = slices.Sorted(maps.Keys(read))
		out[r.ID] = d
	}
	return out, nil
}

// readBy returns which parameters a compiled condition reads, and whether it reads
// a device's groups.
func readBy(condition []byte) (names map[string]bool, groups bool, err error) {
	var checked exprpb.CheckedExpr
	if err := proto.Unmarshal(condition, &checked); err != nil {
		return nil, false, fmt.Errorf("read a compiled condition: %w", err)
	}
	tree, err := ast.ToAST(&checked)
	if err != nil {
		return nil, false, fmt.Errorf("read a compiled condition: %w", err)
	}
	names = map[string]bool{}
	for _, e := range ast.MatchDescendants(ast.NavigateAST(tree), ast.KindMatcher(ast.SelectKind)) {
		operand := e.AsSelect().Operand()
		switch {
		case operand.Kind() != ast.IdentKind:
		case operand.AsIdent() == "param":
			names[e.AsSelect().FieldName()] = true
		case operand.AsIdent() == "device" && e.AsSelect().FieldName() == "groups":
			groups = true
		}
	}
	return names, groups, nil
}

// SameRule reports whether a rule asks the same in two policies: in the same words,
// and with the same values of the parameters that it reads.
func SameRule(id string, a, b *policy.Policy) bool {
	x, had := a.Rule(id)
	y, has := b.Rule(id)
	if !had || !has || len(diffRule(x, y)) > 0 {
		return false
	}
	was, is := parameters(a), parameters(b)
	for _, condition := range conditions(y) {
		names, _, err := readBy(condition)
		if err != nil {
			return false
		}
		for name := range names {
			p, q := was[name], is[name]
			if p.Kind != q.Kind || p.Text != q.Text || p.Number != q.Number || p.Flag != q.Flag || !slices.Equal(p.Texts, q.Texts) {
				return false
			}
		}
	}
	return true
}

// conditionsOf returns how the conditions of rules are written, under names such as
// ENC-01.when.
func conditionsOf(source []byte) map[string]string {
	written := map[string]string{}
	var root yaml.Node
	if yaml.Unmarshal(source, &root) != nil || len(root.Content) != 1 {
		return written
	}
	fields(root.Content[0], func(key, value *yaml.Node) {
		if key.Value != "rules" {
			return
		}
		for _, rule := range value.Content {
			own := map[string]string{}
			fields(rule, func(key, value *yaml.Node) { own[key.Value] = value.Value })
			written[own["id"]+".when"], written[own["id"]+".require"] = own["when"], own["require"]
		}
	})
	return written
}

// UsualAge returns how old facts may be by a sound text, unless a rule of it says
// otherwise; 0 is any age.
func UsualAge(source []byte) time.Duration {
	var age time.Duration
	var root yaml.Node
	if yaml.Unmarshal(source, &root) == nil && len(root.Content) == 1 {
		fields(root.Content[0], func(key, value *yaml.Node) {
			if key.Value == "maxAge" {
				age = (&book{}).duration(value, "maxAge")
			}
		})
	}
	return age
}
