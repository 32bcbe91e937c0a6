package baseline_test

import (
	"testing"

	"github.com/caretaker-school/caretaker/shared/policy/baseline"
)

func TestBuiltInBaselineLoads(t *testing.T) {
	l, err := baseline.Load()
	if err != nil {
		t.Fatal(err)
	}
	if got := l.Policy().Number; got != 0 {
		t.Errorf("the baseline has number %d, want 0: no school has published it", got)
	}
}
