package rulebook

import "testing"

func TestBaselineCompiles(t *testing.T) {
	p, source, err := Baseline()
	if err != nil {
		t.Fatal(err)
	}
	if len(source) == 0 || len(p.Rules) == 0 {
		t.Fatal("the baseline is empty")
	}
}
