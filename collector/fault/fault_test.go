package fault

import (
	"errors"
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

func TestNotYAML(t *testing.T) {
	for text, want := range map[string]string{
		"yaml: line 7: did not find expected key":       "7 this is not YAML: did not find expected key",
		"yaml: control characters are not allowed":      "1 this is not YAML: control characters are not allowed",
		"yaml: line 0: found a tab":                     "1 this is not YAML: found a tab",
		"yaml: line 99999999999999999999: it is long":   "1 this is not YAML: it is long",
		"yaml: unmarshal errors: line 3: cannot decode": "3 this is not YAML: unmarshal errors: line 3: cannot decode",
		"": "1 this is not YAML: ",
	} {
		line, message := NotYAML(errors.New(text))
		if got := fmt.Sprintf("%d %s", line, message); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
