package fault

import (
	"fmt"
	"slices"
	"testing"
)

func TestFaultsAreSaidInTheOrderOfTheText(t *testing.T) {
	at := func(line, column int) Fault {
		return Fault{File: "autumn.yaml", Line: line, Column: column, Message: "no"}
	}
	got := ListError{at(3, 1), at(1, 9), at(1, 2), at(1, 9)}.Sorted()
	if want := (ListError{at(1, 2), at(1, 9), at(3, 1)}); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := got.Error(), "autumn.yaml:1:2: no\nautumn.yaml:1:9: no\nautumn.yaml:3:1: no"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	var many ListError
	for n := range Most + 10 {
		many = append(many, Fault{Line: n + 1, Message: fmt.Sprint(n)})
	}
	if got := many.Sorted(); len(got) != Most || got[0].Line != 1 {
		t.Errorf("%d faults are said, the first of line %d", len(got), got[0].Line)
	}
}
