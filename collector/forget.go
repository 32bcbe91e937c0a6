package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/retention"
)

func forgetCommand(o *options) *cobra.Command {
	var args app.ForgetArguments
	c := &cobra.Command{
		Use:   "forget",
		Short: "Forget what need not be kept any longer; that it was forgotten, and why, stays",
		Long: "Forget removes what a class of the record held of whole months, for good, from the record and from all that\n" +
			"is shown. Hashes stay, so that the record still verifies, and so does an entry that says how much was\n" +
			"forgotten, when, by whom and why. The present state of every laptop is kept however old it is, and of its\n" +
			"contacts the last of each day. Without --month that is forgotten of which the school's time is over, as a\n" +
			"running collector does by itself every night: see retention show.\n" +
			"Backups are not reached: they hold what they held.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if args.Class == "" {
				return errors.New("what is to be forgotten is not said: give it with --class " + classes())
			}
			return operate(c, o, "ledger.forget", args, func(a app.ForgetAnswer) {
				w := c.OutOrStdout()
				for _, m := range a.Months {
					verb := "forgot"
					if a.DryRun {
						verb = "would forget"
					}
					fmt.Fprintf(w, "%s of %s: %s %d of %s, %d bytes.\n", m.Class, m.Month, verb,
						m.Forgotten, count(int(m.Forgotten+m.Kept), "body", "bodies"), m.ForgottenBytes)
				}
				if len(a.Months) == 0 {
					fmt.Fprintln(w, "There is nothing to forget.")
				}
			})
		},
	}
	schoolFlag(c, &args.School)
	f := c.Flags()
	f.StringVar(&args.Class, "class", "", "what to forget: "+classes())
	f.StringSliceVar(&args.Months, "month", nil, "month to forget, such as 2026-10; may repeat (default: all of which the time is over)")
	f.StringVar(&args.Reason, "reason", "", "why, for the record and the pages")
	f.BoolVar(&args.DryRun, "dry-run", false, "say what would be forgotten, and forget nothing")
	return c
}

func classes() string {
	var names []string
	for _, class := range retention.Classes() {
		names = append(names, class.String())
	}
	return strings.Join(names, ", ")
}
