package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
)

func mediaCommand(o *options) *cobra.Command {
	return group("media", "The school's sticks and disks: which are registered, where they were seen, and whose a found one is",
		mediaRegisterCommand(o), mediaListCommand(o), mediaShowCommand(o), mediaFindCommand(o),
		changeCommand(o, change{
			use: "erased NUMBER", short: "Record that a medium was erased, and how", what: register.EraseMedium, dated: true, method: true,
			long: "That it was erased is what you say: no laptop can prove it.",
		}),
		changeCommand(o, change{
			use: "withdraw NUMBER", short: "Record that a medium is not in use any more, and why: lost, broken, destroyed",
			what: register.WithdrawMedium, dated: true, method: true,
		}))
}

func mediaRegisterCommand(o *options) *cobra.Command {
	issue := &register.Issue{}
	args := app.RegisterArguments{Change: register.Change{What: register.RegisterMedium, Issue: issue}}
	c := &cobra.Command{
		Use:   "register NUMBER",
		Short: "Register a medium under a number, and say to which role it is issued",
		Long: "Register a medium under a number, and say to which role it is issued. Put it into a laptop, let that report,\n" +
			"and give the laptop with --in; or give the hash of its serial number, as a laptop reports it, with --serial.\n" +
			"The serial number itself is never recorded.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			args.Change.Tag = rest[0]
			return keep(c, o, args)
		},
	}
	keepFlags(c, &args)
	f := c.Flags()
	f.StringVar(&issue.Role, "role", "", "to whom it is issued, such as \"Year 4 class teacher\"")
	f.StringVar(&args.Device, "in", "", "the laptop in which it is, by identifier or host name")
	f.StringSliceVar(&issue.Serials, "serial", nil, "hash of its serial number; may repeat")
	c.MarkFlagsMutuallyExclusive("in", "serial")
	c.MarkFlagsOneRequired("in", "serial")
	cobra.CheckErr(c.MarkFlagRequired("role"))
	return c
}

func mediaListCommand(o *options) *cobra.Command {
	var args app.MediaArguments
	c := &cobra.Command{
		Use:   "list",
		Short: "List the registered media, by number",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return operate(c, o, "media.list", args, func(p view.MediumPage) {
				for _, m := range p.Media {
					showMedium(c.OutOrStdout(), m)
				}
				if p.Next != "" {
					fmt.Fprintf(c.OutOrStdout(), "There are more: --after %q\n", p.Next)
				}
			})
		},
	}
	schoolFlag(c, &args.School)
	c.Flags().StringVar(&args.After, "after", "", "go on after this place, as an earlier answer named it")
	c.Flags().IntVar(&args.Limit, "limit", 100, "how many at most")
	return c
}

func showMedium(w io.Writer, m view.Medium) {
	fmt.Fprintf(w, "%-10s %s, %s\n", m.Number, m.Role, encryptionWords(string(m.Encryption)))
	if !m.Withdrawn.IsZero() {
		fmt.Fprintf(w, "           withdrawn %s: %s\n", when(m.Withdrawn), m.Why)
	}
	for _, e := range m.Erased {
		fmt.Fprintf(w, "           erased %s, as was said: %s\n", when(e.At), e.Method)
	}
	showSeen(w, m.Seen)
}

func encryptionWords(state string) string {
	if state == "" {
		return "whether it is encrypted was never seen"
	}
	return "encryption when last seen: " + state
}

func showSeen(w io.Writer, seen []view.Seen) {
	for _, s := range seen {
		name := s.AssetTag
		if name == "" {
			name = s.Hostname
		}
		fmt.Fprintf(w, "           seen on %s %s, last %s\n", name, count(s.Times, "time", "times"), when(s.Last))
	}
}

func mediaShowCommand(o *options) *cobra.Command {
	var args app.MediaArguments
	c := &cobra.Command{
		Use:   "show NUMBER",
		Short: "Show one registered medium",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			args.Number = rest[0]
			return operate(c, o, "media.show", args, func(m view.Medium) { showMedium(c.OutOrStdout(), m) })
		},
	}
	schoolFlag(c, &args.School)
	return c
}
