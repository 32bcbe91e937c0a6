package policy

import (
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// kind is a type of fact: its name in conditions and its fields.
type kind struct {
	name   string
	typ    *types.Type
	fields map[string]*field
	order  []string
}

// field is one field of a kind, with how it is read from an item, which is a
// pointer to the kind's struct.
type field struct {
	name  string
	typ   *types.Type
	words []string // if any, the only values that the field can have
	of    *kind    // the kind of the objects in it, if any
	most  int      // how many items or characters it can hold
	past  bool     // it is a moment that must have passed, or the time since one
	get   func(item any) ref.Val
}

// Bounds of what conditions read. Facts beyond them are refused on the wire;
// here they size the estimate of a condition's cost.
const (
	mostText        = 256
	mostVolumes     = 256
	mostAntivirus   = 32
	mostMedia       = 64
	mostPartitions  = 128
	mostPrograms    = 10_000
	mostExecutables = 10_000
	mostTallies     = 64
	mostEvents      = 1_000
	mostGroups      = 64
)

func newKind(name string, fields ...*field) *kind {
	k := &kind{name: "caretaker." + name, typ: types.NewObjectType("caretaker." + name), fields: make(map[string]*field, len(fields))}
	for _, f := range fields {
		k.fields[f.name] = f
		k.order = append(k.order, f.name)
	}
	return k
}

func words[S ~string](values ...S) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}

func text[T any, S ~string](name string, get func(*T) S, values ...S) *field {
	return &field{
		name: name, typ: types.StringType, words: words(values...), most: mostText,
		get: func(item any) ref.Val { return types.String(get(item.(*T))) },
	}
}

func textRead[T any, S ~string](name string, get func(*T) posture.Reading[S], values ...S) *field {
	return reading(name, types.StringType, get, func(v S) ref.Val { return types.String(v) }, words(values...)...)
}

func flagRead[T any](name string, get func(*T) posture.Reading[bool]) *field {
	return reading(name, types.BoolType, get, func(v bool) ref.Val { return types.Bool(v) })
}

func numberRead[T any](name string, get func(*T) posture.Reading[int64]) *field {
	return reading(name, types.IntType, get, func(v int64) ref.Val { return types.Int(v) })
}

func timeRead[T any](name string, get func(*T) posture.Reading[time.Time]) *field {
	return reading(name, types.TimestampType, get, instant)
}

// pastRead is a moment that must have passed: one in the future says that a
// clock is wrong.
func pastRead[T any](name string, get func(*T) posture.Reading[time.Time]) *field {
	f := timeRead(name, get)
	f.past = true
	return f
}

func durationRead[T any](name string, get func(*T) posture.Reading[time.Duration]) *field {
	return reading(name, types.DurationType, get, func(v time.Duration) ref.Val { return types.Duration{Duration: v} })
}

// sinceRead is the time since a moment that has passed: it depends on the time of
// judging as that moment's age does.
func sinceRead[T any](name string, get func(*T) posture.Reading[time.Duration]) *field {
	f := durationRead(name, get)
	f.past = true
	return f
}

// seconds returns a number of seconds as a span of time. What no span can hold
// is longer than any that a rule names.
func seconds(n int64) ref.Val {
	n = max(min(n, int64(LongestDuration/time.Second)), -int64(LongestDuration/time.Second))
	return types.Duration{Duration: time.Duration(n) * time.Second}
}

func reading[T, V any](name string, typ *types.Type, get func(*T) posture.Reading[V], value func(V) ref.Val, vocabulary ...string) *field {
	return &field{
		name: name, typ: typ, words: vocabulary, most: mostText,
		get: func(item any) ref.Val {
			r := get(item.(*T))
			if why := absent(r.Absent); why != nil {
				return fail(why)
			}
			return value(r.Value)
		},
	}
}

// objects is a field that holds a list of another kind.
func objects[T, V any](name string, of *kind, most int, get func(*T) []V) *field {
	return &field{
		name: name, typ: types.NewListType(of.typ), of: of, most: most,
		get: func(item any) ref.Val { return &list{items: wrap(of, get(item.(*T)), time.Time{})} },
	}
}

// wrap makes objects of items without copying them.
func wrap[V any](of *kind, items []V, now time.Time) []*object {
	out := make([]*object, len(items))
	for i := range items {
		out[i] = &object{kind: of, item: &items[i], now: now}
	}
	return out
}
