// Package baseline carries the shipped policy for schools, already compiled,
// for programs that must not hold a compiler. Its source is
// collector/rulebook/baselines/school.yaml.
//
// It never compiles and never chooses: a school's own published policy takes
// its place.
package baseline

import (
	_ "embed"
	"fmt"

	"github.com/caretaker-school/caretaker/shared/policy"
)

//go:embed school.json
var school string

// School returns the compiled policy as policy.Encode wrote it.
func School() []byte { return []byte(school) }

// Load makes the shipped policy ready to judge.
func Load() (*policy.Loaded, error) {
	l, err := policy.Load([]byte(school))
	if err != nil {
		return nil, fmt.Errorf("load the built-in baseline: %w", err)
	}
	return l, nil
}
