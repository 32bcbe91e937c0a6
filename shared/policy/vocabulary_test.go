package policy

import (
	"reflect"
	"strings"
	"testing"

	"cel.dev/cel-go/common/types"
	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// TestEveryFactCanBeJudged compares the vocabulary with the types of facts: a
// field that one has and the other has not is a fact that rules cannot read.
func TestEveryFactCanBeJudged(t *testing.T) {
	v := newVocabulary()
	for _, c := range []struct {
		kind *kind
		item any
	}{
		{v.volume, posture.Volume{}},
		{v.antivirus, posture.Antivirus{}},
		{v.medium, posture.Medium{}},
		{v.partition, posture.Partition{}},
		{v.event, posture.MediumEvent{}},
		{v.program, posture.Program{}},
		{v.executable, posture.Executable{}},
		{v.tally, posture.Tally{}},
		{v.security, posture.Security{}},
		{v.system, posture.System{}},
		{v.facts, posture.Facts{}},
		{v.contact, Contact{}},
		{v.coverage, Coverage{}},
		{v.agent, Agent{}},
		{v.escrow, Escrow{}},
		{v.register, Register{}},
		{v.licences, Licences{}},
		{v.allocation, Allocation{}},
		{v.acceptableUse, AcceptableUse{}},
	} {
		of := reflect.TypeOf(c.item)
		var want []string
		for i := range of.NumField() {
			name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			want = append(want, name)
		}
		if got := strings.Join(c.kind.order, " "); got != strings.Join(want, " ") {
			t.Errorf("%s has the fields\n%s\nwant\n%s", c.kind.name, got, strings.Join(want, " "))
		}
	}
}

// TestFieldsReadThemselves sets one field at a time and sees that the
// vocabulary's field of that name, and no other, gives its value.
func TestFieldsReadThemselves(t *testing.T) {
	v := newVocabulary()
	for _, c := range []struct {
		kind *kind
		item any
	}{
		{v.volume, &posture.Volume{}},
		{v.antivirus, &posture.Antivirus{}},
		{v.medium, &posture.Medium{}},
		{v.partition, &posture.Partition{}},
		{v.event, &posture.MediumEvent{}},
		{v.program, &posture.Program{}},
		{v.executable, &posture.Executable{}},
		{v.security, &posture.Security{}},
		{v.system, &posture.System{}},
		{v.agent, &Agent{}},
		{v.coverage, &Coverage{}},
		{v.allocation, &Allocation{}},
	} {
		blank := answers(c.kind, c.item)
		of := reflect.TypeOf(c.item).Elem()
		for i := range of.NumField() {
			item := reflect.New(of)
			if !mark(item.Elem().Field(i)) {
				continue
			}
			name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			for field, got := range answers(c.kind, item.Interface()) {
				if changed := got != blank[field]; changed != (field == name) {
					t.Errorf("%s: setting %s changed %s: %v", c.kind.name, name, field, changed)
				}
			}
		}
	}
}

func answers(k *kind, item any) map[string]string {
	out := make(map[string]string)
	for _, name := range k.order {
		o := &object{kind: k, item: item}
		v := o.get(name)
		if _, isList := v.(*list); !isList {
			out[name] = strings.TrimSpace(reflect.ValueOf(v.Value()).String() + " " + stringOf(v.Value()))
		}
	}
	return out
}

func stringOf(v any) string {
	switch v := v.(type) {
	case error:
		return v.Error()
	case int64:
		return strings.Repeat("i", int(v))
	case bool:
		return map[bool]string{true: "yes", false: "no"}[v]
	}
	return ""
}

// mark gives a field another value than its zero.
func mark(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String:
		v.SetString("marked")
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint64:
		v.SetUint(7)
	case reflect.Struct:
		absent := v.FieldByName("Absent")
		if !absent.IsValid() {
			return false
		}
		absent.Set(reflect.ValueOf(posture.Denied))
	default:
		return false
	}
	return true
}

func TestNamed(t *testing.T) {
	for _, c := range []struct {
		name, pattern string
		want          bool
	}{
		{"anydesk", "anydesk", true},
		{"anydesk", "anydesk*", true},
		{"anydesk 7", "anydesk*", true},
		{"com.anydesk.anydesk", "*.anydesk.*", true},
		{"libtransmission", "transmission*", false},
		{"tor", "tor", true},
		{"torch", "tor", false},
		{"a", "a*a", false},
		{"aba", "a*a", true},
		{"abcabc", "a*bc*c", true},
		{"", "*", true},
	} {
		if got := matches(c.name, c.pattern); got != c.want {
			t.Errorf("matches(%q, %q) = %v, want %v", c.name, c.pattern, got, c.want)
		}
	}
}

// TestPatternsThatAreReadyMatchAlike compares lists of patterns that were made
// ready with the patterns one by one.
func TestPatternsThatAreReadyMatchAlike(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.StringMatching(`[aAb*.]{0,5}`), 0, 6).Draw(t, "patterns")
		name := rapid.StringMatching(`[aAbB.]{0,7}`).Draw(t, "name")
		want := namedAnything(types.String(name), types.NewStringList(types.DefaultTypeAdapter, list))
		if got := newPatterns(list).match(name); types.Bool(got) != want {
			t.Fatalf("%q among %q: got %v, want %v", name, list, got, want)
		}
	})
}
