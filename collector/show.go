package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/view"
)

const moment = "Mon 2 Jan 2006 15:04 MST"

func deviceCommand(o *options) *cobra.Command {
	var args app.ListArguments
	list := &cobra.Command{
		Use:   "list",
		Short: "List the laptops",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			defer noteBehind(c, o, args.School)
			return operate(c, o, "device.list", args, func(p view.DevicePage) {
				for _, d := range p.Devices {
					fmt.Fprintf(c.OutOrStdout(), "%-38s %-20s met %-3d not met %-3d not proven %-3d last heard %s",
						d.ID, d.Hostname, d.Met, d.NotMet, d.NotProven, when(d.LastContact))
					if d.Lost != nil {
						fmt.Fprint(c.OutOrStdout(), "  "+lostSince(d.Lost))
					}
					fmt.Fprintln(c.OutOrStdout())
				}
				if p.Next != "" {
					fmt.Fprintf(c.OutOrStdout(), "There are more: --after %q\n", p.Next)
				}
			})
		},
	}
	listFlags(list, &args)
	list.Flags().StringVar(&args.Search, "search", "", "part of a host name or asset tag")
	var one app.ListArguments
	show := &cobra.Command{
		Use:   "show DEVICE",
		Short: "Show one laptop, by identifier or host name",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			one.Device = rest[0]
			defer noteBehind(c, o, one.School)
			return operate(c, o, "device.show", one, func(d view.DeviceDetail) { showDevice(c, d) })
		},
	}
	schoolFlag(show, &one.School)
	var asked app.ListArguments
	assess := &cobra.Command{
		Use:   "assess DEVICE",
		Short: "Ask a connected laptop to assess itself at once",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			asked.Device = rest[0]
			return operate(c, o, "device.assess", asked, func(a app.AssessAnswer) {
				fmt.Fprintf(c.OutOrStdout(), "Asked %s. What it finds shows as soon as it has reported.\n", a.Hostname)
			})
		},
	}
	schoolFlag(assess, &asked.School)
	return group("device", "Laptops and what is known of them", list, show, assess, classCommand(o), personalUseCommand(o), revealCommand(o), assignmentsCommand(o),
		revokeCommand(o), renewalCommand(o), sameCommand(o), apartCommand(o))
}

func showDevice(c *cobra.Command, d view.DeviceDetail) {
	w := c.OutOrStdout()
	fmt.Fprintf(w, "%s, %s, %s\n", d.Hostname, d.OSName, d.Ownership)
	if d.Lost != nil {
		fmt.Fprintln(w, lostSince(d.Lost))
	}
	if len(d.Groups) > 0 {
		fmt.Fprintf(w, "In %s.\n", strings.Join(d.Groups, ", "))
	}
	if d.PolicyDue > 0 {
		fmt.Fprintf(w, "Judged by policy %d: it has not taken policy %d yet, which is in force.\n", d.Policy, d.PolicyDue)
	}
	fmt.Fprintf(w, "Last heard of %s. Report %d, made %s, entry %d of the ledger.\n\n", when(d.LastContact), d.LastReport, when(d.ReportedAt), d.Entry)
	for _, f := range d.Findings {
		subject := ""
		if f.Subject.Label != "" {
			subject = ": " + f.Subject.Label
		}
		fmt.Fprintf(w, "%-14s %-7s %s%s\n", f.Standing, f.Rule, f.Title, subject)
		if f.Standing == view.NotMet || f.Standing == view.NotProven {
			fmt.Fprintf(w, "               %s\n", f.Message)
		}
	}
	showApart(c, d)
}

func breachCommand(o *options) *cobra.Command {
	var args app.ListArguments
	list := &cobra.Command{
		Use:   "list",
		Short: "List the policy breaches, newest first",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			defer noteBehind(c, o, args.School)
			return operate(c, o, "breach.list", args, func(p view.BreachPage) {
				for _, b := range p.Breaches {
					fmt.Fprintf(c.OutOrStdout(), "%-12s %-8s %-7s %-20s %s, since %s%s\n",
						b.Status, b.Severity, b.Rule, b.Hostname, b.Title, when(b.FirstFailed), late(b))
					if e := b.Exemption; e != nil && b.Status == breach.Exempt {
						fmt.Fprintf(c.OutOrStdout(), "             until %s by %s, asked for by %s, approved by %s: %s\n",
							when(e.Ends()), e.ID, e.AskedBy, e.Approver, e.Reason)
					}
				}
				if p.Next != "" {
					fmt.Fprintf(c.OutOrStdout(), "There are more: --after %q\n", p.Next)
				}
			})
		},
	}
	listFlags(list, &args)
	return group("breach", "Policy breaches", list,
		decideCommand(o, decision.Acknowledge, "acknowledge", "Say that somebody is on the breaches of a rule on a laptop"),
		decideCommand(o, decision.Resolve, "resolve", "Settle the breaches of a rule on a laptop by a decision, until it fails again"))
}

// late says when a breach that was reported late was heard of.
func late(b view.Breach) string {
	if !b.ReportedLate {
		return ""
	}
	return ", reported late, " + when(b.ReceivedAt)
}

func decideCommand(o *options, kind decision.Kind, use, short string) *cobra.Command {
	args := app.DecideArguments{Kind: kind}
	c := &cobra.Command{
		Use:   use + " DEVICE RULE",
		Short: short,
		Long: short + ".\nThe device is given by identifier or host name. What is decided is recorded for good, with your account\n" +
			"on this machine and the reason.",
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, rest []string) error {
			args.Device, args.Rule = rest[0], rest[1]
			return operate(c, o, "breach.decide", args, func(a app.DecideAnswer) {
				for _, b := range a.Breaches {
					fmt.Fprintf(c.OutOrStdout(), "Recorded as entry %d: %s on %s%s.\n", b.Entry, a.Rule, a.Hostname, about(b.Subject.Label))
				}
			})
		},
	}
	schoolFlag(c, &args.School)
	c.Flags().StringVar(&args.Reason, "reason", "", "why, in words")
	c.Flags().StringVar(&args.Subject, "subject", "", "only the breach of the subject with this key, as breach list --json names it")
	cobra.CheckErr(c.MarkFlagRequired("reason"))
	return c
}

func about(label string) string {
	if label == "" {
		return ""
	}
	return ", " + label
}

func ledgerCommand(o *options) *cobra.Command {
	var args app.LedgerArguments
	var against []string
	verify := &cobra.Command{
		Use:   "verify",
		Short: "Prove that nothing in the ledger was changed, or name the first entry that was",
		Long: "Prove that nothing in the ledger was changed, or name the first entry that was.\n" +
			"With --against it is proven too that the ledger begins with what was signed in a checkpoint that was given\n" +
			"away: that nobody has rewritten anything before it, whatever keys they hold. The file is one of serve\n" +
			"--checkpoints, or the text of a mail that brought one.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			args.Against = nil
			for _, name := range against {
				note, err := os.ReadFile(name)
				if err != nil {
					return fmt.Errorf("read a checkpoint that was given away: %w", err)
				}
				args.Against = append(args.Against, app.GivenCheckpoint{Name: name, Note: note})
			}
			report, err := answered(c, o, "ledger.verify", args, func(r app.LedgerReport) { showVerified(c, r) })
			if err != nil {
				return err
			}
			if !report.Good {
				return errBad
			}
			return nil
		},
	}
	schoolFlag(verify, &args.School)
	verify.Flags().StringSliceVar(&against, "against", nil, "file with a checkpoint that was given away, or a mail's text with one; may repeat")
	var some app.LedgerArguments
	show := &cobra.Command{
		Use:   "show",
		Short: "List entries of the ledger",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return operate(c, o, "ledger.show", some, func(entries []app.EntryView) {
				for _, e := range entries {
					fmt.Fprintf(c.OutOrStdout(), "%8d  %s  %-10s %s %d\n", e.Index, when(e.ReceivedAt), e.Kind, e.Subject, e.Sequence)
					for _, s := range e.Sections {
						fmt.Fprintf(c.OutOrStdout(), "            %-14s %-10s %6d bytes  %.16s\n", s.Name, s.Class, s.Bytes, s.Digest)
					}
				}
			})
		},
	}
	schoolFlag(show, &some.School)
	show.Flags().Uint64Var((*uint64)(&some.From), "from", 0, "first entry")
	show.Flags().IntVar(&some.Count, "count", 100, "how many")
	var whose app.LedgerArguments
	checkpoint := &cobra.Command{
		Use:   "checkpoint",
		Short: "Print a signed checkpoint of the ledger, to be kept elsewhere",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return operate(c, o, "ledger.checkpoint", whose, func(a app.CheckpointAnswer) {
				fmt.Fprint(c.OutOrStdout(), a.Checkpoint)
			})
		},
	}
	schoolFlag(checkpoint, &whose.School)
	return group("ledger", "The record, and its proof", verify, show, checkpoint, forgetCommand(o))
}

func showVerified(c *cobra.Command, r app.LedgerReport) {
	w := c.OutOrStdout()
	if !r.Good {
		fmt.Fprintf(w, "NOT GOOD: %s\n", r.Trouble)
		return
	}
	fmt.Fprintf(w, "Good: %s, %s checked against the keys of the laptops, %s checked, %d forgotten on purpose.\n",
		count(int(r.Entries), "entry", "entries"), count(int(r.Statements), "signature", "signatures"), count(int(r.Bodies), "body", "bodies"), r.Forgotten)
	if r.Agrees > 0 {
		fmt.Fprintf(w, "It begins with what was signed in %s.\n", count(r.Agrees, "checkpoint that was given away", "checkpoints that were given away"))
	}
	fmt.Fprintf(w, "Signed by the school at this size:\n%s", r.Checkpoint)
}

func viewCommand(o *options) *cobra.Command {
	rebuild := &cobra.Command{
		Use:   "rebuild",
		Short: "Throw away what the pages show and make it again from the ledger",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return operate(c, o, "view.rebuild", struct{}{}, func(a app.RebuildAnswer) {
				fmt.Fprintf(c.OutOrStdout(), "Rebuilt from %d entries.\n", a.Entries)
			})
		},
	}
	return group("view", "What the pages show", rebuild)
}

func listFlags(c *cobra.Command, args *app.ListArguments) {
	schoolFlag(c, &args.School)
	c.Flags().StringVar(&args.After, "after", "", "go on after this place, as an earlier answer named it")
	c.Flags().IntVar(&args.Limit, "limit", 100, "how many at most")
}

func when(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.In(homeZone(t)).Format(moment)
}

// homeZone is the zone in which commands read and write times: that of this machine.
// Servers and containers often have none but UTC, by which nobody at a school goes:
// then it is the usual one.
func homeZone(at time.Time) *time.Location {
	if name, _ := at.Local().Zone(); name == "UTC" {
		if zone, err := time.LoadLocation(usualZone); err == nil {
			return zone
		}
	}
	return time.Local
}

// until says when something ends: at midnight, with the day before.
func until(t time.Time) string {
	if local := t.In(homeZone(t)); local.Hour() == 0 && local.Minute() == 0 {
		return "the end of " + local.AddDate(0, 0, -1).Format("Mon 2 Jan 2006")
	}
	return when(t)
}
