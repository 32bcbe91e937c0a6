package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/api"
	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/retention"
)

func retentionCommand(o *options) *cobra.Command {
	return group("retention", "How long the school keeps what, and what is forgotten when",
		retentionShowCommand(o), retentionSetCommand(o), retentionPreviewCommand(o), retentionRunCommand(o))
}

func retentionShowCommand(o *options) *cobra.Command {
	var args app.RetentionArguments
	c := &cobra.Command{
		Use:   "show",
		Short: "Show how long what is kept, who said so, and what was forgotten lately",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return operate(c, o, "retention.show", args, func(a app.RetentionAnswer) { showRetention(c.OutOrStdout(), a) })
		},
	}
	schoolFlag(c, &args.School)
	return c
}

func showRetention(w io.Writer, a app.RetentionAnswer) {
	for _, k := range a.Items {
		fmt.Fprintf(w, "%-11s %-10s %s, from %s (%s to %s; usually %s).\n", k.Item, k.Time, k.What, k.From, k.Least, k.Most, k.Usual)
		if k.Chosen != nil {
			who := k.Chosen.By
			if who == "" {
				who = "somebody whose name was forgotten"
			}
			fmt.Fprintf(w, "%22s chosen %s by %s: %s\n", "", when(k.Chosen.At), who, k.Chosen.Reason)
		}
	}
	if len(a.Purges) == 0 {
		fmt.Fprintln(w, "Nothing was forgotten yet.")
		return
	}
	fmt.Fprintln(w, "Forgotten lately:")
	showPurges(w, a.Purges, "forgot")
}

func showPurges(w io.Writer, list []api.Purge, verb string) {
	for _, p := range list {
		fmt.Fprintf(w, "  %s: %s %s %d of %s of %s", when(p.At), p.Class, verb, p.Forgotten, count(int(p.Forgotten+p.Kept), "body", "bodies"), p.Month)
		if p.Events > 0 {
			fmt.Fprintf(w, ", in which %d media came", p.Events)
		}
		fmt.Fprintf(w, " (%s)\n", p.Reason)
	}
}

func retentionSetCommand(o *options) *cobra.Command {
	args := app.RetentionArguments{Times: map[string]string{}}
	c := &cobra.Command{
		Use:   "set",
		Short: "Change how long the school keeps something",
		Long: "Set changes how long the school keeps what is named, such as\n\n" +
			"  caretaker-collector retention set --media \"60 days\" --link \"3 months\" --reason \"agreed by governors\"\n\n" +
			"What is not named stays as it is. Each time has a least and a most, which retention show says. Who changed\n" +
			"it and why is recorded. What is older than a shorter time says is forgotten the next night: look with\n" +
			"retention preview. What was forgotten does not come back when a time is made longer.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			for _, t := range retention.Terms() {
				if f := c.Flags().Lookup(string(t.Item)); f.Changed {
					args.Times[string(t.Item)] = f.Value.String()
				}
			}
			if len(args.Times) == 0 {
				return errors.New("it is not said of what the time is to change: give for example --media \"60 days\"")
			}
			return operate(c, o, "retention.set", args, func(a api.Recorded) {
				fmt.Fprintf(c.OutOrStdout(), "Recorded as entry %d.\n", a.Entry)
			})
		},
	}
	schoolFlag(c, &args.School)
	f := c.Flags()
	for _, t := range retention.Terms() {
		f.String(string(t.Item), "", fmt.Sprintf("%s: %s to %s", t.What, t.Least, t.Most))
	}
	f.StringVar(&args.Reason, "reason", "", "why, for the record")
	cobra.CheckErr(c.MarkFlagRequired("reason"))
	return c
}

func retentionPreviewCommand(o *options) *cobra.Command {
	var args app.RetentionArguments
	var on string
	c := &cobra.Command{
		Use:   "preview",
		Short: "Say what would be forgotten now, or on a day; nothing is",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if args.On, err = timeOf(on); err != nil {
				return err
			}
			return operate(c, o, "retention.preview", args, func(a app.PurgesAnswer) {
				showPurges(c.OutOrStdout(), a.Purges, "would forget")
				if len(a.Purges) == 0 {
					fmt.Fprintln(c.OutOrStdout(), "Nothing would be forgotten.")
				}
			})
		},
	}
	schoolFlag(c, &args.School)
	c.Flags().StringVar(&on, "on", "", "the moment, such as 2027-03-01 (default: now)")
	return c
}

func retentionRunCommand(o *options) *cobra.Command {
	var args app.RetentionArguments
	c := &cobra.Command{
		Use:   "run",
		Short: "Forget at once what need not be kept any longer",
		Long: "Run forgets at once what a running collector forgets by itself every night. Look first with retention\n" +
			"preview: what is forgotten is gone from the record and from all that is shown. An entry says how much it\n" +
			"was, and the record still verifies.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return operate(c, o, "retention.run", args, func(a app.PurgesAnswer) {
				showPurges(c.OutOrStdout(), a.Purges, "forgot")
				if len(a.Purges) == 0 {
					fmt.Fprintln(c.OutOrStdout(), "There is nothing to forget.")
				}
			})
		},
	}
	schoolFlag(c, &args.School)
	return c
}
