package probe

import (
	"context"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/agent/system/systemtest"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// oneValue is a machine that does not tell one value of one row, or of one
// key, however often it is asked.
type oneValue struct {
	system.Reader
	seen map[string]bool // the values met
	lost string          // the value that is not told
}

func (o *oneValue) strike(of string, values system.Values) system.Values {
	told := maps.Clone(values)
	for name := range values {
		value := of + " " + name
		o.seen[value] = true
		if value == o.lost {
			told[name] = system.FailedValue(io.ErrUnexpectedEOF)
		}
	}
	return told
}

func (o *oneValue) Key(ctx context.Context, path string) (system.RegistryKey, error) {
	key, err := o.Reader.Key(ctx, path)
	return system.RegistryKey{Values: o.strike("key "+path, key.Values), Keys: key.Keys}, err
}

func (o *oneValue) Rows(ctx context.Context, r system.Rowset) ([]system.Values, error) {
	rows, err := o.Reader.Rows(ctx, r)
	for i, row := range rows {
		rows[i] = o.strike(fmt.Sprintf("row %d of %s", i, r), row)
	}
	return rows, err
}

// eachValue asks a machine again and again, each time without one of the
// values that it is asked for.
func eachValue(t *testing.T, dir string, ask func(sys system.Reader, lost string)) {
	t.Helper()
	machine := systemtest.Load(t, dir)
	if machine.Platform() != posture.Windows {
		return
	}
	whole := &oneValue{Reader: machine, seen: map[string]bool{}}
	ask(whole, "")
	for _, value := range slices.Sorted(maps.Keys(whole.seen)) {
		ask(&oneValue{Reader: machine, seen: map[string]bool{}, lost: value}, value)
	}
}

// TestNoLostValueTurnsAnAnswer loses each value of each row and each key in
// turn: what is then said is what was said before, or that it is not known.
func TestNoLostValueTurnsAnAnswer(t *testing.T) {
	eachMachine(t, "volumes", func(t *testing.T, dir string) {
		var want posture.Answer[posture.Volume]
		eachValue(t, dir, func(sys system.Reader, lost string) {
			got := askVolumes(t, sys)
			if lost == "" {
				want = got
			}
			checkVolumes(t, lost, got, want)
		})
	})
	eachMachine(t, "media", func(t *testing.T, dir string) {
		var want posture.Answer[posture.Medium]
		eachValue(t, dir, func(sys system.Reader, lost string) {
			got := askMedia(t, sys)
			if lost == "" {
				want = got
			}
			checkMedia(t, lost, got, want)
		})
	})
	eachMachine(t, "system", func(t *testing.T, dir string) {
		var want posture.Answer[posture.System]
		eachValue(t, dir, func(sys system.Reader, lost string) {
			got := System(t.Context(), sys)
			if lost == "" {
				want = got
			}
			if problem := turned(reflect.ValueOf(want), reflect.ValueOf(got)); problem != "" {
				t.Errorf("%s: %s", lost, problem)
			}
		})
	})
}
