package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/summary"
)

func reportCommand(o *options) *cobra.Command {
	return group("report", "Reports of terms and school years for head, business manager and governors, and summaries of months",
		reportMonth(o),
		group("term", "Make, sign and show the report of a term", reportMake(o), reportSign(o), reportShow(o), reportList(o)),
		reportYear(o))
}

func reportMake(o *options) *cobra.Command {
	var args app.TermArguments
	c := &cobra.Command{
		Use:   "make FIRST-DAY",
		Short: "Make the report of a term that is over, named by its first day",
		Long: "Make the report of a term that is over, named by its first day. It counts what was known at the end of the\n" +
			"term, is sealed and kept, and names nobody. Where a report was made already, this is a correction beside it.",
		Example: "  caretaker-collector report term make 2026-09-03",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			args.Term = rest[0]
			return operate(c, o, "report.make", args, func(a app.TermAnswer) {
				fmt.Fprintf(c.OutOrStdout(), "%s: made, and recorded as entry %d. Head and business manager sign it next.\n", a.Report.Title(), a.Entry)
			})
		},
	}
	schoolFlag(c, &args.School)
	c.Flags().StringVar(&args.Reason, "reason", "", "why, in words, if it needs saying: of a correction, what was wrong")
	return c
}

func reportSign(o *options) *cobra.Command {
	var args app.TermArguments
	var key string
	c := &cobra.Command{
		Use:     "sign FIRST-DAY",
		Short:   "Sign the report of a term as head or business manager",
		Example: "  caretaker-collector report term sign 2026-09-03 --as head --key key.txt",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) (err error) {
			if args.Key, err = keyIn(key); err != nil {
				return err
			}
			args.Term = rest[0]
			return operate(c, o, "report.sign", args, func(a app.TermAnswer) {
				fmt.Fprintf(c.OutOrStdout(), "%s: signed.%s\n", a.Report.Title(), signedWords(a))
			})
		},
	}
	schoolFlag(c, &args.School)
	keyFlag(c, &key)
	c.Flags().StringVar(&args.As, "as", "", "in which role: head or business-manager")
	c.Flags().IntVar(&args.Number, "number", 0, "which of the term's reports (default: the last)")
	c.Flags().StringVar(&args.Reason, "reason", "", "what was checked, if it needs saying")
	cobra.CheckErr(c.MarkFlagRequired("as"))
	return c
}

func signedWords(a app.TermAnswer) string {
	if a.Whole() {
		return " Governors can read it now."
	}
	return " One signature is missing."
}

func reportShow(o *options) *cobra.Command {
	var args app.TermArguments
	var file string
	c := &cobra.Command{
		Use:     "show FIRST-DAY",
		Short:   "Show the report of a term, or write the file that is kept of it",
		Example: "  caretaker-collector report term show 2026-09-03 --file autumn.json",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			args.Term = rest[0]
			var wrote error
			_, err := answered(c, o, "report.show", args, func(a app.TermAnswer) {
				if file != "" {
					if wrote = os.WriteFile(file, a.Data, 0o600); wrote != nil {
						wrote = fmt.Errorf("write the report: %w", wrote)
					}
					return
				}
				w := c.OutOrStdout()
				if wrote = summary.Print(w, a.Report); wrote != nil {
					return
				}
				for _, s := range a.Signed {
					fmt.Fprintf(w, "Signed as %s on %s by %s.\n", strings.ReplaceAll(s.As, "-", " "), when(s.At), s.By)
				}
				fmt.Fprintf(w, "SHA-256 %s\n", a.Digest)
			})
			return errors.Join(err, wrote)
		},
	}
	schoolFlag(c, &args.School)
	c.Flags().IntVar(&args.Number, "number", 0, "which of the term's reports (default: the last)")
	c.Flags().StringVar(&file, "file", "", "write the report's bytes here: they are the same each time")
	return c
}

func reportList(o *options) *cobra.Command {
	var args app.TermArguments
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the terms that are over, with their reports",
		Example: "  caretaker-collector report term list",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return operate(c, o, "report.list", args, func(l app.TermList) {
				w := c.OutOrStdout()
				for _, t := range l.Terms {
					fmt.Fprintf(w, "%s %s, %s to %s\n", t.ID, t.Name, t.From, t.To)
					for i, r := range t.Reports {
						fmt.Fprintf(w, "  report %d of %s, %d of 2 signatures\n", i+1, when(r.At), len(r.Signed))
					}
				}
			})
		},
	}
	schoolFlag(c, &args.School)
	return c
}
