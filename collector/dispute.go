package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/dispute"
	"github.com/caretaker-school/caretaker/collector/subject"
	"github.com/caretaker-school/caretaker/collector/view"
)

func disputeCommand(o *options) *cobra.Command {
	c := group("dispute", "Recorded facts of which somebody says that they are wrong", disputeRaise(o), disputeList(o), disputeShow(o), disputeAnswer(o))
	c.Long = "Recorded facts of which somebody says that they are wrong. What is said is recorded beside the fact and never in\n" +
		"its place: both are shown on the laptop's page, in evidence about it and in what the person is given who asks.\n" +
		"The data-protection officer or the head answers within a month. Staff say it on the page of their own laptop."
	return c
}

func disputeRaise(o *options) *cobra.Command {
	var args app.DisputeArguments
	var about, key string
	c := &cobra.Command{
		Use:   "raise WORDS",
		Short: "Record that somebody says that a fact is wrong, and why",
		Long: "Record that somebody says that a fact is wrong, and why. Write no names: evidence about the laptop shows the words.\n" +
			"Without --key it is recorded by your account on this machine.",
		Example: "  caretaker-collector dispute raise --device HB-LT-014 --about encryption --for \"Sam Carter\" \"the disk was replaced in October\"",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) (err error) {
			args.Words, args.About = rest[0], dispute.About(about)
			if args.Key, err = keyIn(key); err != nil {
				return err
			}
			return operate(c, o, "dispute.raise", args, func(d view.Dispute) {
				fmt.Fprintf(c.OutOrStdout(), "Recorded as %s. It is to be answered by %s.\n", d.ID, subject.Day(d.Due))
			})
		},
	}
	schoolFlag(c, &args.School)
	var names []string
	for _, a := range dispute.Abouts() {
		names = append(names, string(a))
	}
	f := c.Flags()
	f.StringVar(&about, "about", "", "what is wrong: "+strings.Join(names, ", "))
	f.StringVar(&args.Rule, "rule", "", "with --about rule: which")
	f.StringVar(&args.Device, "device", "", "the laptop, by identifier or host name")
	f.StringVar(&args.Asset, "asset", "", "or the tag of something else in the register")
	f.StringVar(&args.For, "for", "", "on whose behalf, by the name that the register has")
	keyFlag(c, &key)
	need(c, "about")
	return c
}

func disputeList(o *options) *cobra.Command {
	var args app.DisputeArguments
	c := &cobra.Command{
		Use:   "list",
		Short: "List what is disputed: what waits for an answer first",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			defer noteBehind(c, o, args.School)
			return operate(c, o, "dispute.list", args, func(p view.DisputePage) {
				for _, d := range p.Disputes {
					fmt.Fprintf(c.OutOrStdout(), "%-12s %-12s %-16s %s\n", d.ID, d.About, disputeOf(d), disputeStands(d))
				}
				if p.Next != "" {
					fmt.Fprintf(c.OutOrStdout(), "There are more: --after %q\n", p.Next)
				}
			})
		},
	}
	schoolFlag(c, &args.School)
	f := c.Flags()
	f.BoolVar(&args.Open, "open", false, "only what waits for an answer")
	f.StringVar(&args.Device, "device", "", "only what is about this laptop, by identifier or host name")
	f.StringVar(&args.After, "after", "", "go on after this place, as an earlier answer named it")
	f.IntVar(&args.Limit, "limit", 100, "how many at most")
	return c
}

// disputeOf names what a dispute is about.
func disputeOf(d view.Dispute) string {
	switch {
	case d.Asset != "":
		return d.Asset
	case d.Hostname != "":
		return d.Hostname
	case d.Device != "":
		return string(d.Device)
	}
	return "no laptop"
}

// disputeStands says in a line where a dispute stands.
func disputeStands(d view.Dispute) string {
	if d.Open() {
		return "said " + when(d.Raised) + "; to be answered by " + subject.Day(d.Due)
	}
	return "said " + when(d.Raised) + "; " + strings.ToLower(d.Outcome.Words()) + " " + when(d.Answered.At)
}

func disputeShow(o *options) *cobra.Command {
	var args app.DisputeArguments
	c := &cobra.Command{
		Use:   "show ID",
		Short: "Show what was said to be wrong, and the answer",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			args.ID = rest[0]
			defer noteBehind(c, o, args.School)
			return operate(c, o, "dispute.show", args, func(d view.Dispute) { showDispute(c.OutOrStdout(), d) })
		},
	}
	schoolFlag(c, &args.School)
	return c
}

func showDispute(w io.Writer, d view.Dispute) {
	fmt.Fprintf(w, "%s: %s, %s, %s\n", d.ID, disputeOf(d), strings.TrimSpace(d.About.Words()+" "+d.Rule), disputeStands(d))
	for _, line := range []struct{ name, text string }{
		{"Said", d.Words}, {"By", d.By}, {"For", d.For}, {"Answered by " + d.Answered.By, d.Answered.Reason},
	} {
		if line.text != "" {
			fmt.Fprintf(w, "%s: %s\n", line.name, line.text)
		}
	}
	if d.Forgotten {
		fmt.Fprintln(w, "Who said it, and in which words, is forgotten.")
	}
}

func disputeAnswer(o *options) *cobra.Command {
	var args app.DisputeArguments
	var key string
	var upheld, not bool
	c := &cobra.Command{
		Use:   "answer ID WORDS",
		Short: "Answer a dispute, with an access key of one's account",
		Long: "Answer a dispute, with an access key of one's account: upheld with what was done, or not upheld with the reason.\n" +
			"Nobody answers what they dispute themselves, and the console is nobody whose duty it is.",
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, rest []string) (err error) {
			args.ID, args.Words, args.Outcome = rest[0], rest[1], dispute.NotUpheld
			if upheld == not {
				return errors.New("say either --upheld or --not-upheld")
			}
			if upheld {
				args.Outcome = dispute.Upheld
			}
			if args.Key, err = keyIn(key); err != nil {
				return err
			}
			return operate(c, o, "dispute.answer", args, func(d view.Dispute) { showDispute(c.OutOrStdout(), d) })
		},
	}
	schoolFlag(c, &args.School)
	c.Flags().BoolVar(&upheld, "upheld", false, "the record was wrong: WORDS say what was done")
	c.Flags().BoolVar(&not, "not-upheld", false, "it stands: WORDS say why")
	keyFlag(c, &key)
	return c
}
