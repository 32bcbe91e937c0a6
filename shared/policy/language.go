package policy

import (
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/common/decls"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Language is what conditions may say: the variables, fields and functions
// that the evaluator knows. The rulebook checks conditions against it, so that
// what compiles can be evaluated.
type Language struct {
	vocabulary *vocabulary
	kinds      map[string]*kind // by the name of its type
	param      *kind
	patterns   map[traits.Lister]*patterns // of the parameters that are lists of texts
}

// NewLanguage returns the language of a policy with the given parameters.
func NewLanguage(parameters []Parameter) *Language {
	v := newVocabulary()
	l := &Language{vocabulary: v, kinds: make(map[string]*kind), patterns: make(map[traits.Lister]*patterns)}
	l.param = paramKind(parameters, l.patterns)
	for _, k := range []*kind{
		v.volume, v.antivirus, v.medium, v.partition, v.event, v.program, v.executable, v.tally,
		v.security, v.system, v.device, v.facts,
		v.contact, v.coverage, v.agent, v.escrow, v.register, v.licences, v.allocation, v.acceptableUse,
		l.param,
	} {
		l.kinds[k.name] = k
	}
	return l
}

// Variable is a name that conditions can start from.
type Variable struct {
	Name string
	Type *types.Type
}

// variable is a Variable with its value.
type variable struct {
	name string
	kind *kind // nil for now
	get  func(l *Language, c *context) ref.Val
}

func bothSides() []variable {
	return []variable{
		{name: "now", get: func(_ *Language, c *context) ref.Val { return types.Timestamp{Time: c.now} }},
	}
}

// roots returns the variables of a side, without the subject.
func (l *Language) roots(side Side) []variable {
	v := l.vocabulary
	out := append(bothSides(),
		variable{"param", l.param, func(l *Language, _ *context) ref.Val { return &object{kind: l.param, item: l} }},
		variable{"device", v.device, func(l *Language, c *context) ref.Val { return &object{kind: l.vocabulary.device, item: c} }},
	)
	if side == OnDevice {
		return append(out,
			variable{"facts", v.facts, func(l *Language, c *context) ref.Val { return &object{kind: l.vocabulary.facts, item: c} }})
	}
	return append(out,
		schoolVariable("contact", v.contact, func(s *SchoolFacts) posture.Answer[Contact] { return s.Contact }),
		schoolVariable("coverage", v.coverage, func(s *SchoolFacts) posture.Answer[Coverage] { return s.Coverage }),
		schoolVariable("agent", v.agent, func(s *SchoolFacts) posture.Answer[Agent] { return s.Agent }),
		schoolVariable("escrow", v.escrow, func(s *SchoolFacts) posture.Answer[Escrow] { return s.Escrow }),
		schoolVariable("register", v.register, func(s *SchoolFacts) posture.Answer[Register] { return s.Register }),
		schoolVariable("licences", v.licences, func(s *SchoolFacts) posture.Answer[Licences] { return s.Licences }),
		schoolVariable("allocation", v.allocation, func(s *SchoolFacts) posture.Answer[Allocation] { return s.Allocation }),
		schoolVariable("acceptableUse", v.acceptableUse, func(s *SchoolFacts) posture.Answer[AcceptableUse] { return s.AcceptableUse }),
	)
}

func schoolVariable[T any](name string, k *kind, get func(*SchoolFacts) posture.Answer[T]) variable {
	return variable{name, k, func(_ *Language, c *context) ref.Val { return answerOne(c, k, get(c.school)) }}
}

// Variables returns the names that conditions of a rule can start from.
func (l *Language) Variables(side Side, subject string) []Variable {
	var out []Variable
	for _, v := range l.roots(side) {
		t := types.TimestampType
		if v.kind != nil {
			t = v.kind.typ
		}
		out = append(out, Variable{Name: v.name, Type: t})
	}
	if k := l.subject(subject); k != nil {
		out = append(out, Variable{Name: subject, Type: k.typ})
	}
	return out
}

// Subjects returns the kinds of subject that a rule can be for.
func Subjects() []string {
	return []string{"device", "volume", "antivirus", "medium", "program", "executable"}
}

// subject returns the kind of a rule's subject; nil for the device.
func (l *Language) subject(name string) *kind {
	v := l.vocabulary
	switch name {
	case "volume":
		return v.volume
	case "antivirus":
		return v.antivirus
	case "medium":
		return v.medium
	case "program":
		return v.program
	case "executable":
		return v.executable
	}
	return nil
}

// Words returns the only values that a field of text can have; none if it can
// be anything.
func (l *Language) Words(typeName, fieldName string) []string {
	if f, ok := l.field(typeName, fieldName); ok {
		return f.words
	}
	return nil
}

// Most returns how many items or characters there can be at a path of a
// variable and fields, in which "@items" stands for the items of a list; 0 if
// the path is not one of facts.
func (l *Language) Most(path []string) int {
	if len(path) < 2 {
		return 0
	}
	k := l.subject(path[0])
	for _, v := range append(l.roots(OnDevice), l.roots(AtSchool)...) {
		if v.name == path[0] {
			k = v.kind
		}
	}
	most := 0
	for _, step := range path[1:] {
		switch {
		case step == "@items":
			most = mostText
		case k == nil || k.fields[step] == nil:
			return 0
		default:
			f := k.fields[step]
			most, k = f.most, f.of
		}
	}
	return most
}

// Section returns the section of a report, or the school's fact, that reading
// a field of a variable reads; "" if it reads neither.
func Section(variable, fieldName string) string {
	switch variable {
	case "facts":
		return factSections[fieldName]
	case "device":
		if fieldName == "platform" || fieldName == "chassis" {
			return "system"
		}
	case "volume":
		return "encryption"
	case "medium":
		return "media"
	case "program":
		return "programs"
	case "executable":
		return "executables"
	case "antivirus", "contact", "coverage", "agent", "escrow", "register", "licences", "allocation", "acceptableUse":
		return variable
	}
	return ""
}

var factSections = map[string]string{
	"system": "system", "volumes": "encryption", "antivirus": "antivirus", "media": "media",
	"mediaEvents": "media-events", "programs": "programs", "executables": "executables",
	"scripts": "executables", "security": "security",
}

func (l *Language) field(typeName, fieldName string) (*field, bool) {
	k, ok := l.kinds[typeName]
	if !ok {
		return nil, false
	}
	f, ok := k.fields[fieldName]
	return f, ok
}

// EnumValue implements types.Provider. There are no enumerations.
func (l *Language) EnumValue(name string) ref.Val { return types.NewErr("unknown name %q", name) }

// FindIdent implements types.Provider.
func (l *Language) FindIdent(string) (ref.Val, bool) { return nil, false }

// FindStructType implements types.Provider.
func (l *Language) FindStructType(name string) (*types.Type, bool) {
	k, ok := l.kinds[name]
	if !ok {
		return nil, false
	}
	return types.NewTypeTypeWithParam(k.typ), true
}

// FindStructFieldNames implements types.Provider.
func (l *Language) FindStructFieldNames(name string) ([]string, bool) {
	k, ok := l.kinds[name]
	if !ok {
		return nil, false
	}
	return slices.Clone(k.order), true
}

// FindStructFieldType implements types.Provider. A fact's fields are always
// set: what is not known about them is an error when they are read.
func (l *Language) FindStructFieldType(typeName, fieldName string) (*types.FieldType, bool) {
	f, ok := l.field(typeName, fieldName)
	if !ok {
		return nil, false
	}
	return &types.FieldType{
		Type:  f.typ,
		IsSet: func(any) bool { return true },
		GetFrom: func(target any) (any, error) {
			o, ok := target.(*object)
			if !ok {
				return nil, errUnsupportedValue
			}
			return o.get(f.name), nil
		},
	}, true
}

// NewValue implements types.Provider. Conditions make no facts.
func (l *Language) NewValue(string, map[string]ref.Val) ref.Val { return fail(errUnsupportedValue) }

// paramKind makes the kind of param from a policy's parameters. Its lists of
// texts are patterns that are ready to be compared.
func paramKind(parameters []Parameter, ready map[traits.Lister]*patterns) *kind {
	var fields []*field
	for _, p := range parameters {
		f := &field{name: p.Name, most: mostText}
		switch p.Kind {
		case TextParameter:
			f.typ, f.words, f.get = types.StringType, p.Choices, constant(types.String(p.Text))
		case TextsParameter:
			f.typ, f.most = types.NewListType(types.StringType), len(p.Texts)
			list := types.NewStringList(types.DefaultTypeAdapter, p.Texts)
			ready[list] = newPatterns(p.Texts)
			f.get = constant(list)
		case NumberParameter:
			f.typ, f.get = types.IntType, constant(types.Int(p.Number))
		case FlagParameter:
			f.typ, f.get = types.BoolType, constant(types.Bool(p.Flag))
		case DurationParameter:
			f.typ, f.get = types.DurationType, constant(types.Duration{Duration: time.Duration(p.Number)})
		}
		fields = append(fields, f)
	}
	return newKind("Parameters", fields...)
}

func constant(v ref.Val) func(any) ref.Val { return func(any) ref.Val { return v } }

// NamedOverload identifies the function named(text, list(text)).
const NamedOverload = "caretaker_named_string_list"

// Functions returns the functions that conditions have beyond CEL's own.
//
// named(name, patterns) reports whether a name is one of some patterns. Case
// does not matter, and '*' in a pattern stands for any characters.
func Functions() ([]*decls.FunctionDecl, error) { return functions(namedAnything) }

// functions declares them with a binding of named.
func functions(binding func(name, patterns ref.Val) ref.Val) ([]*decls.FunctionDecl, error) {
	named, err := decls.NewFunction("named",
		decls.Overload(NamedOverload,
			[]*types.Type{types.StringType, types.NewListType(types.StringType)}, types.BoolType,
			decls.BinaryBinding(binding)))
	if err != nil {
		return nil, err
	}
	return []*decls.FunctionDecl{named}, nil
}

// namedAnything is named where the patterns are not a parameter of the policy.
func namedAnything(name, patterns ref.Val) ref.Val {
	text, ok := name.(types.String)
	list, isList := patterns.(traits.Lister)
	if !ok || !isList {
		return fail(errUnsupportedValue)
	}
	lower := strings.ToLower(string(text))
	for it := list.Iterator(); it.HasNext() == types.True; {
		pattern, ok := it.Next().(types.String)
		if !ok {
			return fail(errUnsupportedValue)
		}
		if matches(lower, strings.ToLower(string(pattern))) {
			return types.True
		}
	}
	return types.False
}
