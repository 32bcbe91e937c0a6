package policy

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// missing is the error that stands inside a condition for what is not known.
type missing struct {
	reason string
	result posture.Result
}

func (m *missing) Error() string { return "not known: " + m.reason }

// The reasons that are not absences. They, and reasonOf's, are the Reason of
// findings.
const (
	reasonMet        = "met"
	reasonNotMet     = "not-met"
	reasonStale      = "stale"
	reasonClock      = "clock-suspect"
	reasonIncomplete = "incomplete"
	reasonNotAsked   = "not-asked"
	reasonNotCovered = "not-covered"
	reasonNone       = "none-present"
	reasonCost       = "cost"
	reasonEvaluation = "evaluation"
)

var (
	errStale      = &missing{reason: reasonStale, result: posture.Unknown}
	errClock      = &missing{reason: reasonClock, result: posture.Unknown}
	errIncomplete = &missing{reason: reasonIncomplete, result: posture.Error}
)

// absent returns the error that stands for an absence, or nil if nothing is
// absent.
func absent(a posture.Absence) error {
	switch a {
	case posture.None:
		return nil
	case posture.NotAsked:
		return &missing{reason: reasonNotAsked, result: posture.NotChecked}
	case posture.Denied:
		return &missing{reason: "denied", result: posture.Error}
	case posture.TimedOut:
		return &missing{reason: "timed-out", result: posture.Error}
	case posture.Unsupported:
		return &missing{reason: "unsupported", result: posture.Error}
	case posture.NotVisible:
		return &missing{reason: "not-visible", result: posture.Error}
	default:
		return &missing{reason: "unreadable", result: posture.Error}
	}
}

// fail makes a condition's value of an error. The value is new each time: the
// interpreter marks it with its place.
func fail(err error) ref.Val { return types.WrapErr(err) }

// instant returns a time as a value. The zero time is no time: a rule that can
// meet it asks first whether there is one.
func instant(t time.Time) ref.Val {
	if t.IsZero() {
		return fail(absent(posture.Unreadable))
	}
	return types.Timestamp{Time: t}
}

var errUnsupportedValue = errors.New("conditions cannot do that with a fact")

// object is a typed fact inside a condition. If why is set, nothing about it
// is known and every field is that error.
type object struct {
	kind *kind
	item any
	why  error
	now  time.Time
}

// pastTolerance is how far in the future a moment may be that must have
// passed, such as when definitions were made, before a clock is suspect. It
// allows for times that were written without their zone.
const pastTolerance = 24 * time.Hour

func (o *object) get(name string) ref.Val {
	f, ok := o.kind.fields[name]
	if !ok {
		return fail(fmt.Errorf("%s has no field %q", o.kind.name, name))
	}
	if o.why != nil {
		return fail(o.why)
	}
	v := f.get(o.item)
	if at, ok := v.(types.Timestamp); ok && f.past && at.After(o.now.Add(pastTolerance)) {
		return fail(errClock)
	}
	return v
}

// Get implements traits.Indexer.
func (o *object) Get(index ref.Val) ref.Val {
	name, ok := index.(types.String)
	if !ok {
		return fail(errUnsupportedValue)
	}
	return o.get(string(name))
}

// ConvertToNative implements ref.Val.
func (o *object) ConvertToNative(reflect.Type) (any, error) { return nil, errUnsupportedValue }

// ConvertToType implements ref.Val.
func (o *object) ConvertToType(ref.Type) ref.Val { return fail(errUnsupportedValue) }

// Equal implements ref.Val. Facts are compared field by field, by the rule.
func (o *object) Equal(ref.Val) ref.Val { return fail(errUnsupportedValue) }

// Type implements ref.Val.
func (o *object) Type() ref.Type { return o.kind.typ }

// Value implements ref.Val.
func (o *object) Value() any { return o }

// list is the items of an answer inside a condition. If the answer has gaps,
// its last item is one of which nothing is known, and its size is not known.
type list struct {
	items []*object
	gaps  bool
}

// Fold implements traits.Foldable.
func (l *list) Fold(f traits.Folder) {
	for i, item := range l.items {
		if !f.FoldEntry(types.Int(i), item) {
			return
		}
	}
}

// Size implements traits.Sizer.
func (l *list) Size() ref.Val {
	if l.gaps {
		return fail(errIncomplete)
	}
	return types.Int(len(l.items))
}

// Iterator implements traits.Iterable.
func (l *list) Iterator() traits.Iterator {
	values := make([]ref.Val, len(l.items))
	for i, item := range l.items {
		values[i] = item
	}
	return types.NewRefValList(types.DefaultTypeAdapter, values).Iterator()
}

// Get implements traits.Indexer. A fact has no place in a list: rules must not
// depend on the order in which a system answers.
func (l *list) Get(ref.Val) ref.Val { return fail(errUnsupportedValue) }

// Add implements traits.Adder.
func (l *list) Add(ref.Val) ref.Val { return fail(errUnsupportedValue) }

// Contains implements traits.Container.
func (l *list) Contains(ref.Val) ref.Val { return fail(errUnsupportedValue) }

// ConvertToNative implements ref.Val.
func (l *list) ConvertToNative(reflect.Type) (any, error) { return nil, errUnsupportedValue }

// ConvertToType implements ref.Val.
func (l *list) ConvertToType(ref.Type) ref.Val { return fail(errUnsupportedValue) }

// Equal implements ref.Val.
func (l *list) Equal(ref.Val) ref.Val { return fail(errUnsupportedValue) }

// Type implements ref.Val.
func (l *list) Type() ref.Type { return types.ListType }

// Value implements ref.Val.
func (l *list) Value() any { return l }
