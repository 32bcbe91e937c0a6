// Package rulebook turns rules written by people into a compiled policy: it
// parses the YAML, type-checks each condition against the language of
// shared/policy, bounds its cost, and compiles it. Every fault is reported
// with file, line and column, several at once.
//
// It never evaluates a rule and never runs on a device: an agent is given what
// this package compiles.
package rulebook

import (
	_ "embed"
	"errors"
	"fmt"

	"github.com/caretaker-school/caretaker/collector/fault"
	"github.com/caretaker-school/caretaker/shared/policy"
)

// mostSource bounds a rulebook's text, in bytes.
const mostSource = 256 << 10

// Compile compiles a rulebook. What is wrong with it is returned as a fault.ListError;
// any other error says that a sound rulebook could not be compiled. The number
// of the policy is 0 until a school publishes it.
func Compile(file string, source []byte) (*policy.Policy, error) {
	b := &book{file: file, source: source}
	draft := b.read()
	if draft != nil {
		if err := b.compile(draft); err != nil {
			return nil, err
		}
	}
	if found := b.found(); len(found) > 0 {
		return nil, found
	}
	if _, err := policy.Encode(&draft.policy); err != nil {
		return nil, fmt.Errorf("compile %s: %w", file, err)
	}
	return &draft.policy, nil
}

// Check reports what is wrong with a rulebook; nothing if it compiles.
func Check(file string, source []byte) ([]fault.Fault, error) {
	_, err := Compile(file, source)
	var found fault.ListError
	if errors.As(err, &found) {
		return found, nil
	}
	return nil, err
}

//go:generate go run ./internal/gen ../../shared/policy/baseline/school.json

//go:embed baselines/school.yaml
var schoolSource []byte

// Baseline compiles the policy that we ship for schools, and returns it with
// its source.
func Baseline() (*policy.Policy, []byte, error) {
	p, err := Compile("school.yaml", schoolSource)
	if err != nil {
		return nil, nil, fmt.Errorf("compile the shipped baseline: %w", err)
	}
	return p, append([]byte(nil), schoolSource...), nil
}
