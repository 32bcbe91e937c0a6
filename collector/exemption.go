package main

import (
	"cmp"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/view"
)

func exemptionCommand(o *options) *cobra.Command {
	c := group("exemption", "Permission to fail a rule for a time", exemptionAsk(o), exemptionList(o),
		exemptionAnswer(o, decision.Exempt, "approve", "Approve what another person asked for, with an access key of one's account",
			"Whoever has a shell on the collector is one operator and never a second person, so this takes an access key of an\n"+
				"account that may approve, in a file. Nobody approves what they asked for. It holds from now on."),
		exemptionAnswer(o, decision.RefuseExemption, "refuse", "Refuse what was asked for, or take back what one asked for",
			"Nothing was exempt, and nothing changes."),
		exemptionAnswer(o, decision.EndExemption, "end", "Take an exemption back before its end",
			"What it covered is open again at once."))
	c.Long = "Permission to fail a rule for a time: for one breach, a laptop, a group of laptops or the whole school. One\n" +
		"person asks, with a reason and an end within a year; another account approves. An exemption changes how a\n" +
		"breach is shown and never what the laptop found. What begins to fail while it runs is exempt too."
	return c
}

func exemptionAsk(o *options) *cobra.Command {
	var args app.AskExemptionArguments
	var last, key string
	var lasts time.Duration
	c := &cobra.Command{
		Use:   "ask RULE",
		Short: "Ask for an exemption from a rule",
		Long: "Ask for an exemption from a rule. Nothing is exempt until another person approves it.\n" +
			"Without --key it is asked for by your account on this machine.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) (err error) {
			args.Rule = rest[0]
			if args.Until, err = endOf(last, lasts, time.Now().In(homeZone(time.Now()))); err != nil {
				return err
			}
			if args.Key, err = keyIn(key); err != nil {
				return err
			}
			return operate(c, o, "exemption.ask", args, func(a app.ExemptionAnswer) {
				fmt.Fprintf(c.OutOrStdout(), "Asked for as %s, entry %d. It holds once another person approves it, until %s.\n", a.ID, a.Entry, until(args.Until))
			})
		},
	}
	schoolFlag(c, &args.School)
	f := c.Flags()
	f.StringVar(&args.Device, "device", "", "for one laptop, by identifier or host name")
	f.StringVar(&args.Subject, "subject", "", "with --device: only for the breach of the subject with this key, as breach list --json names it")
	f.StringVar(&args.Group, "group", "", "for the laptops of one group")
	f.BoolVar(&args.Whole, "whole-school", false, "for every laptop of the school")
	f.StringVar(&last, "until", "", "the last day on which it holds, as 2026-12-18")
	f.DurationVar(&lasts, "lasts", 0, "or how long it holds, as 720h")
	keyFlag(c, &key)
	reasonFlag(c, &args.Reason)
	return c
}

// endOf returns when an exemption ends: with the last day, by this machine's
// time, or after so long.
func endOf(day string, lasts time.Duration, now time.Time) (time.Time, error) {
	switch {
	case (day == "") == (lasts == 0):
		return time.Time{}, fmt.Errorf("an exemption has an end: give --until DAY or --lasts TIME")
	case day == "":
		return now.Add(lasts).Truncate(time.Second), nil
	}
	last, err := time.ParseInLocation(time.DateOnly, day, now.Location())
	if err != nil {
		return time.Time{}, fmt.Errorf("%.40q is not a day: write it as 2026-12-18", day)
	}
	return last.AddDate(0, 0, 1), nil
}

func exemptionList(o *options) *cobra.Command {
	var args app.ListExemptionsArguments
	c := &cobra.Command{
		Use:   "list",
		Short: "List the exemptions, newest first",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			defer noteBehind(c, o, args.School)
			return operate(c, o, "exemption.list", args, func(p view.ExemptionPage) {
				for _, e := range p.Exemptions {
					showExemption(c.OutOrStdout(), e)
				}
				if p.Next != "" {
					fmt.Fprintf(c.OutOrStdout(), "There are more: --after %q\n", p.Next)
				}
			})
		},
	}
	schoolFlag(c, &args.School)
	f := c.Flags()
	f.StringSliceVar(&args.States, "state", nil, "only those that are asked, approved, refused or ended; may repeat")
	f.StringVar(&args.Rule, "rule", "", "only those from this rule")
	f.StringVar(&args.Device, "device", "", "only those for this laptop or a breach of it, by identifier or host name")
	f.StringVar(&args.After, "after", "", "go on after this place, as an earlier answer named it")
	f.IntVar(&args.Limit, "limit", 100, "how many at most")
	return c
}

func showExemption(w io.Writer, e view.Exemption) {
	fmt.Fprintf(w, "%-14s %-8s %-7s %s, %s, until %s\n", e.ID, e.State, e.Scope.Rule, scopeWords(e.Scope, cmp.Or(e.AssetTag, e.Hostname)), e.Title, until(e.Until))
	for _, act := range []struct {
		what string
		view.Act
	}{{"asked for", e.Asked}, {"approved", e.Approved}, {"refused", e.Refused}, {"taken back", e.Ended}} {
		if act.Done() {
			fmt.Fprintf(w, "               %s by %s on %s: %s\n", act.what, act.By, when(act.At), act.Reason)
		}
	}
}

// scopeWords says for what an exemption is.
func scopeWords(s breach.Scope, name string) string {
	if name == "" {
		name = string(s.Device)
	}
	switch s.Of {
	case breach.OneBreach:
		return "one " + s.Kind + " of " + name
	case breach.OneDevice:
		return name
	case breach.OneGroup:
		return "the group " + s.Group
	}
	return "the whole school"
}

func exemptionAnswer(o *options, kind decision.Kind, use, short, long string) *cobra.Command {
	args := app.ExemptionArguments{Kind: kind}
	var key string
	c := &cobra.Command{
		Use:   use + " ID",
		Short: short,
		Long:  short + ".\n" + long,
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) (err error) {
			args.ID = rest[0]
			if args.Key, err = keyIn(key); err != nil {
				return err
			}
			return operate(c, o, "exemption.decide", args, func(a app.ExemptionAnswer) {
				fmt.Fprintf(c.OutOrStdout(), "Recorded as entry %d.\n", a.Entry)
			})
		},
	}
	schoolFlag(c, &args.School)
	keyFlag(c, &key)
	reasonFlag(c, &args.Reason)
	return c
}
