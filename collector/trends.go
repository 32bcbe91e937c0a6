package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/summary"
	"github.com/caretaker-school/caretaker/collector/view"
)

func trendsCommand(o *options) *cobra.Command {
	return group("trends", "Where a school stood week by week, and what changed since last week", trendsShow(o), trendsChanges(o))
}

func trendsShow(o *options) *cobra.Command {
	var args app.TrendArguments
	c := &cobra.Command{
		Use:   "show",
		Short: "Show where a school stood week by week: encryption, definitions, or one rule",
		Long: "Show where a school stood week by week, in counts alone: of each week, what was known at the end of the last\n" +
			"day on which anything was heard. With --json every day is told, with all rules.",
		Example: "  caretaker-collector trends show --rule ENC-01 --from 2026-09-03",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var wrote error
			err := operate(c, o, "trends.show", args, func(t view.Trend) { wrote = printTrend(c.OutOrStdout(), t, args.Rule) })
			return errors.Join(err, wrote)
		},
	}
	schoolFlag(c, &args.School)
	c.Flags().StringVar(&args.From, "from", "", "the first day (default: 52 weeks before the last)")
	c.Flags().StringVar(&args.To, "to", "", "the last day (default: today)")
	c.Flags().StringVar(&args.Rule, "rule", "", "a rule, such as ENC-01 (default: encryption and definitions)")
	return c
}

func printTrend(out io.Writer, t view.Trend, rule string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if rule != "" {
		fmt.Fprintf(w, "%s %s\nweek\tmet\tnot met\tnot proven\texempt\n", rule, t.Titles[rule])
	} else {
		fmt.Fprintln(w, "week\tdevices\tproven encrypted\tnot encrypted\tnot proven\tby a list\tdefinitions to 3 days\tolder or none\tnot proven")
	}
	for _, week := range t.Weeks() {
		label := week.From.String() + " to " + week.To.String()
		if week.Last == nil {
			fmt.Fprintf(w, "%s\tnothing was heard: not known\n", label)
			continue
		}
		d := *week.Last
		if rule == "" {
			e, a := d.Encryption, d.Definitions
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", label, d.Devices, e.Proven, e.Open, e.Unproven, e.Listed, a.Day+a.Days+a.Current,
				a.Week+a.Month+a.Older+a.Outdated+a.None, a.Unproven)
			continue
		}
		if r, ok := d.On(rule); ok {
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\n", label, r.Met, r.NotMet, r.NotProven, r.Exempt)
		} else {
			fmt.Fprintf(w, "%s\tthe policy had no such rule\n", label)
		}
	}
	return w.Flush()
}

func trendsChanges(o *options) *cobra.Command {
	var args app.TrendArguments
	c := &cobra.Command{
		Use:     "changes",
		Short:   "Show what changed at a school since last week, or since a day",
		Example: "  caretaker-collector trends changes --since 2026-11-16 --what opened",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var wrote error
			err := operate(c, o, "trends.changes", args, func(l view.Changed) { wrote = printChanges(c.OutOrStdout(), l) })
			return errors.Join(err, wrote)
		},
	}
	schoolFlag(c, &args.School)
	c.Flags().StringVar(&args.From, "since", "", "the first day (default: a week ago)")
	c.Flags().StringVar(&args.What, "what", "", "one sort of change: opened, silent, closed, exempted or enrolled")
	c.Flags().StringVar(&args.Rule, "rule", "", "what changed about one rule")
	return c
}

func printChanges(out io.Writer, l view.Changed) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "Since %s:", when(l.Since))
	for _, k := range view.ChangeKinds() {
		fmt.Fprintf(w, " %d %s", l.Counts[k], k)
	}
	fmt.Fprintln(w)
	for _, c := range l.Causes {
		fmt.Fprintf(w, "  %s %s\t%d opened\t%d closed\n", c.Rule, c.Title, c.Opened, c.Closed)
	}
	for _, c := range l.Changes {
		late := ""
		if c.Late {
			late = "it began before"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", when(c.At), c.What, orDash(c.Hostname), c.Rule, late)
	}
	if more := l.Found - len(l.Changes); more > 0 {
		fmt.Fprintf(w, "And %d more.\n", more)
	}
	if l.Cut {
		fmt.Fprintln(w, "There is more than is counted here: ask for a later day.")
	}
	return w.Flush()
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func reportMonth(o *options) *cobra.Command {
	var args app.TrendArguments
	c := &cobra.Command{
		Use:   "month [YEAR-MONTH]",
		Short: "Show the summary of a month for senior leaders, as a text that can be mailed",
		Long: "Show the summary of a month that is over for senior leaders: counts beside those of the month before, and what\n" +
			"to decide. It names nobody, and tells small numbers: governors have the report of the term.",
		Example: "  caretaker-collector report month 2026-10",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			if len(rest) > 0 {
				args.Month = rest[0]
			}
			var wrote error
			err := operate(c, o, "report.month", args, func(m summary.Month) { wrote = summary.PrintMonth(c.OutOrStdout(), m) })
			return errors.Join(err, wrote)
		},
	}
	schoolFlag(c, &args.School)
	return c
}
