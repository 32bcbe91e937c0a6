package main

import (
	"cmp"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/summary"
	"github.com/caretaker-school/caretaker/shared/durable"
)

// reportYear are the commands about the report of a school year.
func reportYear(o *options) *cobra.Command {
	return group("year", "Make, sign and show the report of a school year", yearMake(o), yearSign(o), yearShow(o), yearList(o))
}

func yearMake(o *options) *cobra.Command {
	var args app.YearArguments
	c := &cobra.Command{
		Use:   "make YEAR",
		Short: "Make the report of a school year that is over, such as 2026-27",
		Long: "Make the report of a school year, from August to July, that is over. It sets the signed reports of its terms\n" +
			"side by side, and counts what fell in the holidays. It is sealed and kept, and names nobody. Where a report was\n" +
			"made already, this is a correction beside it.",
		Example: "  caretaker-collector report year make 2026-27",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			args.Year = rest[0]
			return operate(c, o, "report.year.make", args, func(a app.YearAnswer) {
				fmt.Fprintf(c.OutOrStdout(), "%s: made, and recorded as entry %d. Head and data-protection officer sign it next.\n", a.Report.Title(), a.Entry)
			})
		},
	}
	schoolFlag(c, &args.School)
	c.Flags().StringVar(&args.Reason, "reason", "", "why, in words, if it needs saying: of a correction, what was wrong")
	return c
}

func yearSign(o *options) *cobra.Command {
	var args app.YearArguments
	var key string
	c := &cobra.Command{
		Use:     "sign YEAR",
		Short:   "Sign the report of a school year as head or data-protection officer",
		Example: "  caretaker-collector report year sign 2026-27 --as dpo --key key.txt",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) (err error) {
			if args.Key, err = keyIn(key); err != nil {
				return err
			}
			args.Year = rest[0]
			return operate(c, o, "report.year.sign", args, func(a app.YearAnswer) {
				words := " One signature is missing."
				if a.Whole() {
					words = " Governors can read it now."
				}
				fmt.Fprintf(c.OutOrStdout(), "%s: signed.%s\n", a.Report.Title(), words)
			})
		},
	}
	schoolFlag(c, &args.School)
	keyFlag(c, &key)
	c.Flags().StringVar(&args.As, "as", "", "in which role: head or dpo")
	c.Flags().IntVar(&args.Number, "number", 0, "which of the year's reports (default: the last)")
	c.Flags().StringVar(&args.Reason, "reason", "", "what was checked, if it needs saying")
	cobra.CheckErr(c.MarkFlagRequired("as"))
	return c
}

func yearShow(o *options) *cobra.Command {
	var args app.YearArguments
	var out string
	c := &cobra.Command{
		Use:   "show YEAR",
		Short: "Show the report of a school year, and write it with its proof into a file",
		Long: "Show the report of a school year. With --output it is written into a file with what proves it: its signatures\n" +
			"and the signed reports of its terms. `evidence verify` checks that file on any machine.",
		Example: "  caretaker-collector report year show 2026-27 --output 2026-27.evidence",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			args.Year, args.Zone = rest[0], cmp.Or(args.Zone, usualZone)
			a, err := answered(c, o, "report.year.show", args, func(a app.YearAnswer) {})
			if err != nil {
				return err
			}
			if out != "" {
				if err := durable.WriteFile(out, a.Sealed, fs.FileMode(0o600)); err != nil {
					return err
				}
				fmt.Fprintf(c.ErrOrStderr(), "Written into %s. It names who signed: give it to those who need it.\n", out)
			}
			if o.json {
				return nil
			}
			w := c.OutOrStdout()
			if err := summary.PrintYear(w, a.Report); err != nil {
				return err
			}
			for _, s := range a.Signed {
				fmt.Fprintf(w, "Signed as %s on %s by %s.\n", s.As, when(s.At), s.By)
			}
			fmt.Fprintf(w, "SHA-256 %s\n", a.Digest)
			return nil
		},
	}
	schoolFlag(c, &args.School)
	c.Flags().IntVar(&args.Number, "number", 0, "which of the year's reports (default: the last)")
	c.Flags().StringVarP(&out, "output", "o", "", "file to write the report and its proof into")
	c.Flags().StringVar(&args.Zone, "time-zone", usualZone, "zone of the times in that file")
	return c
}

func yearList(o *options) *cobra.Command {
	var args app.YearArguments
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the school years that are over, with their reports",
		Example: "  caretaker-collector report year list",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return operate(c, o, "report.year.list", args, func(l app.YearList) {
				w := c.OutOrStdout()
				for _, y := range l.Years {
					fmt.Fprintf(w, "%s, %s to %s: %s\n", y.ID, y.From, y.To, count(len(y.Terms), "term", "terms"))
					for i, r := range y.Reports {
						fmt.Fprintf(w, "  report %d of %s, %d of 2 signatures\n", i+1, when(r.At), len(r.Signed))
					}
				}
			})
		},
	}
	schoolFlag(c, &args.School)
	return c
}
