package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/health"
)

func healthCommand(o *options) *cobra.Command {
	var args app.ListArguments
	c := &cobra.Command{
		Use:   "health",
		Short: "Say how well the collector keeps a school, in words: disk, record, clock, certificate, notices",
		Long: "Say how well the collector keeps a school: its disk, its record, its clock, the pages' certificate, and whether\n" +
			"notices arrive. It ends with 1 if somebody has to do something. The page Settings, Health says the same.",
		Example: "  caretaker-collector health --school Hollybank",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			a, err := answered(c, o, "health.show", args, func(a app.HealthAnswer) {
				for _, l := range a.Lines {
					at := ""
					if !l.At.IsZero() {
						at = " " + when(l.At)
					}
					mark := map[health.State]string{health.Amiss: "LOOK", health.Well: "ok"}[l.State]
					fmt.Fprintf(c.OutOrStdout(), "%-4s  %s: %s%s\n", mark, l.Title, l.Words, at)
				}
			})
			if err == nil && a.Amiss() > 0 {
				return errBad
			}
			return err
		},
	}
	schoolFlag(c, &args.School)
	return c
}
