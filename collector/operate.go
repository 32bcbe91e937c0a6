package main

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/shared/clock"
)

// operate carries out an operation, in the collector that runs on the data
// folder or, if none does, here; and prints the answer for people or as JSON.
func operate[A any](c *cobra.Command, o *options, operation string, arguments any, show func(A)) error {
	_, err := answered(c, o, operation, arguments, show)
	return err
}

// answered is operate for a command that goes on with the answer.
func answered[A any](c *cobra.Command, o *options, operation string, arguments any, show func(A)) (A, error) {
	var answer A
	if err := ask(c, o, operation, arguments, &answer); err != nil {
		return answer, err
	}
	if o.json {
		return answer, printJSON(c, answer)
	}
	show(answer)
	return answer, nil
}

// ask carries out an operation of which nothing is printed yet.
func ask(c *cobra.Command, o *options, operation string, arguments, answer any) error {
	return app.Do(c.Context(), o.data, operation, arguments, answer, clock.System{})
}

func printJSON(c *cobra.Command, v any) error {
	e := json.NewEncoder(c.OutOrStdout())
	e.SetIndent("", "  ")
	return e.Encode(v)
}
