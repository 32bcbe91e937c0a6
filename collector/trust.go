package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/api"
	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/decision"
)

func trustCommand(o *options) *cobra.Command {
	c := group("trust", "What a trust asks of all its schools, and who asks less", trustShow(o), trustMember(o, "join"), trustMember(o, "leave"),
		trustBaseline(o, "draft"), trustBaseline(o, "publish"), trustAllow(o), trustEnd(o))
	c.Long = "What a trust asks of all its schools, and who asks less.\n\n" +
		"A trust is a name that schools of this collector have in common, and a policy as its baseline: a school may ask more\n" +
		"in its own policy, and less only where the trust allows it, with a reason and an end. What is decided is recorded at\n" +
		"each school. It takes an account with the role network-manager at every school that is concerned, or the console."
	return c
}

func trustShow(o *options) *cobra.Command {
	var args app.TrustArguments
	c := &cobra.Command{
		Use:     "show",
		Short:   "Say where each school stands against the baseline: who loosened what, and since when",
		Example: "  caretaker-collector trust show --trust \"Northfield Trust\"",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return operate(c, o, "trust.show", args, func(a api.Trusted) {
				for _, held := range a.Schools {
					showHeld(c.OutOrStdout(), held)
				}
			})
		},
	}
	c.Flags().StringVar(&args.Trust, "trust", "", "only schools of this trust")
	c.Flags().StringVar(&args.School, "school", "", "only this school")
	return c
}

func showHeld(w io.Writer, h api.Held) {
	fmt.Fprintf(w, "%s: ", h.Name)
	switch {
	case h.Trust == "" && h.Unknown != "":
		fmt.Fprintf(w, "not known: %s\n", h.Unknown)
		return
	case h.Trust == "":
		fmt.Fprint(w, "in no trust")
		if h.Left != "" {
			fmt.Fprintf(w, "; left %s on %s, by %s", h.Left, when(h.LeftAt), h.LeftBy)
		}
		fmt.Fprintln(w)
		return
	case h.Baseline == nil:
		fmt.Fprintf(w, "%s, which has no baseline yet\n", h.Trust)
		return
	case h.Unknown != "":
		fmt.Fprintf(w, "%s, baseline %d; whether it asks less is not known: %s\n", h.Trust, h.Baseline.Number, h.Unknown)
		return
	}
	fmt.Fprintf(w, "%s, baseline %d", h.Trust, h.Baseline.Number)
	switch {
	case !h.Since.IsZero():
		fmt.Fprintf(w, "; looser than the baseline since %s", when(h.Since))
	case h.Follows:
		fmt.Fprint(w, "; follows it")
	case len(h.Looser) == 0:
		fmt.Fprint(w, "; asks no less")
	default:
		fmt.Fprint(w, "; asks less only where that is allowed")
	}
	fmt.Fprintln(w)
	for _, l := range h.Looser {
		showLooser(w, l)
	}
}

func showLooser(w io.Writer, l api.Looser) {
	fmt.Fprintf(w, "  %-8s %s: %s", l.Direction, l.Item, l.Words)
	if l.Line > 0 {
		fmt.Fprintf(w, " (line %d", l.Line)
		if l.Baseline > 0 {
			fmt.Fprintf(w, ", line %d of the baseline", l.Baseline)
		}
		fmt.Fprint(w, ")")
	}
	fmt.Fprintf(w, "\n           since %s, ", when(l.Since))
	switch {
	case l.Raised > 0:
		fmt.Fprintf(w, "when baseline %d asked for more", l.Raised)
	case l.By != "":
		fmt.Fprintf(w, "by %s in policy %d", l.By, l.Policy)
	default:
		fmt.Fprint(w, "as the policy was then")
	}
	if a := l.Allowed; a != nil {
		fmt.Fprintf(w, "\n           allowed by %s until %s: %s", a.By, when(a.Until), a.Reason)
	}
	fmt.Fprintln(w)
}

func trustMember(o *options, what string) *cobra.Command {
	var args app.TrustArguments
	var key string
	c := &cobra.Command{
		Use:     what + " TRUST",
		Short:   map[string]string{"join": "Say that a school belongs to a trust", "leave": "Say that a school belongs to a trust no more, by an account of the trust"}[what],
		Example: fmt.Sprintf("  caretaker-collector trust %s \"Northfield Trust\" --school \"Hollybank Primary School\" --reason \"agreed by the governors\"", what),
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) (err error) {
			args.Trust = rest[0]
			if args.Key, err = keyIn(key); err != nil {
				return err
			}
			return operate(c, o, "trust."+what, args, func(h api.Held) { showHeld(c.OutOrStdout(), h) })
		},
	}
	schoolFlag(c, &args.School)
	keyFlag(c, &key)
	reasonFlag(c, &args.Reason)
	return c
}

func trustBaseline(o *options, what string) *cobra.Command {
	var args app.TrustArguments
	var key string
	c := &cobra.Command{
		Use:   what + " FILE",
		Short: map[string]string{"draft": "Propose a policy as a trust's baseline", "publish": "Put a policy in force as a trust's baseline"}[what],
		Long: "A baseline changes no school's policy, but of a school that follows it: whose policy is the baseline before, word for\n" +
			"word. A school that now asks less than it is shown as that. Where a school of the trust asks for two people, one\n" +
			"drafts the text and another account publishes it. Published again it is recorded at schools where it is not yet.",
		Example: fmt.Sprintf("  caretaker-collector trust %s baseline.yaml --trust \"Northfield Trust\" --reason \"agreed in November\"", what),
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) (err error) {
			if args.Source, err = os.ReadFile(rest[0]); err != nil {
				return fmt.Errorf("read the baseline: %w", err)
			}
			args.File = filepath.Base(rest[0])
			if args.Key, err = keyIn(key); err != nil {
				return err
			}
			failed := false
			err = operate(c, o, "trust."+what, args, func(a api.BaselineAnswer) {
				for _, s := range a.Schools {
					showBaseline(c.OutOrStdout(), a, s)
					failed = failed || s.Failed != ""
				}
			})
			if err == nil && failed {
				return errBad
			}
			return err
		},
	}
	c.Flags().StringVar(&args.Trust, "trust", "", "name of the trust")
	need(c, "trust")
	if what == "publish" {
		c.Flags().BoolVar(&args.Follow, "follow", false, "schools that have published no policy of their own get it as theirs")
	}
	keyFlag(c, &key)
	reasonFlag(c, &args.Reason)
	return c
}

func showBaseline(w io.Writer, a api.BaselineAnswer, s api.BaselineRecord) {
	switch {
	case s.Failed != "":
		fmt.Fprintf(w, "%s: NOT RECORDED: %s\n", s.Name, s.Failed)
		return
	case a.Number == 0:
		fmt.Fprintf(w, "%s: drafted, entry %d\n", s.Name, s.Entry)
		return
	case s.Entry == 0:
		fmt.Fprintf(w, "%s: baseline %d is in force already", s.Name, a.Number)
	default:
		fmt.Fprintf(w, "%s: baseline %d, entry %d", s.Name, a.Number, s.Entry)
	}
	if s.Policy > 0 {
		fmt.Fprintf(w, "; it is the school's policy %d", s.Policy)
	}
	if s.Looser > 0 {
		fmt.Fprintf(w, "; the school's policy asks less in %s", count(s.Looser, "thing", "things"))
	}
	fmt.Fprintln(w)
}

func trustAllow(o *options) *cobra.Command {
	var args app.TrustArguments
	var until, key string
	var lasts time.Duration
	c := &cobra.Command{
		Use:   "allow ITEM...",
		Short: "Allow that a school's policy asks less in some things, as they stand, for a time",
		Long: "Allow that a school's policy asks less than the baseline in some things: rules, or parameters as param.name, as\n" +
			"policy draft and trust show name them. It is allowed as it stands in the draft, or in the policy in force, and no\n" +
			"more than that. It takes an access key of an account: the console is never a second person.",
		Example: "  caretaker-collector trust allow ENC-03 --draft autumn --until 2027-07-20 --key key.txt --reason \"new disks are ordered\"",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, rest []string) (err error) {
			args.Items = rest
			if args.Until, err = endOf(until, lasts, time.Now()); err != nil {
				return err
			}
			if args.Key, err = keyIn(key); err != nil {
				return err
			}
			return operate(c, o, "trust.allow", args, func(h api.Held) { showHeld(c.OutOrStdout(), h) })
		},
	}
	schoolFlag(c, &args.School)
	c.Flags().StringVar(&args.Draft, "draft", "", "name of the school's draft that asks less (default: its policy in force)")
	c.Flags().StringVar(&until, "until", "", "the last day on which it holds, as 2026-12-18")
	c.Flags().DurationVar(&lasts, "lasts", 0, "or how long it holds, as 720h")
	keyFlag(c, &key)
	reasonFlag(c, &args.Reason)
	return c
}

func trustEnd(o *options) *cobra.Command {
	var args app.TrustArguments
	var key string
	c := &cobra.Command{
		Use:     "end ITEM",
		Short:   "Take back that something may ask less",
		Long:    "Take back that something may ask less. The school's policy stays as it is, and is shown as looser from then on.",
		Example: "  caretaker-collector trust end ENC-03 --school \"Hollybank Primary School\" --reason \"the disks have come\"",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) (err error) {
			args.Items = rest
			if args.Key, err = keyIn(key); err != nil {
				return err
			}
			return operate(c, o, "trust.end", args, func(h api.Held) { showHeld(c.OutOrStdout(), h) })
		},
	}
	schoolFlag(c, &args.School)
	keyFlag(c, &key)
	reasonFlag(c, &args.Reason)
	return c
}

// showBelow says in what a draft asks less than the baseline of the school's trust.
func showBelow(w io.Writer, d decision.Draft) {
	if len(d.Below) > 0 {
		fmt.Fprintf(w, "  Asks less than the baseline of the school's trust, which has to allow that: %s.\n", strings.Join(d.Below, ", "))
	}
}
