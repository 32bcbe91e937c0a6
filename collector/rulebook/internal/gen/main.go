// Command gen compiles the shipped baseline into shared/policy/baseline, from
// which the agent, which cannot compile, takes it. It is run by go generate.
package main

import (
	"fmt"
	"os"

	"github.com/caretaker-school/caretaker/collector/rulebook"
	"github.com/caretaker-school/caretaker/shared/policy"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(file string) error {
	p, _, err := rulebook.Baseline()
	if err != nil {
		return err
	}
	body, err := policy.Encode(p)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, body, 0o644); err != nil {
		return fmt.Errorf("write the compiled baseline: %w", err)
	}
	return nil
}
