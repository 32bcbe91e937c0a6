package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
)

func guestNoticeCommand(o *options) *cobra.Command {
	args := app.RegisterArguments{Change: register.Change{What: register.SetNotice}}
	c := &cobra.Command{
		Use:   "guest-notice [FILE]",
		Short: "Show what guests are told when they are given a device, or record the text of FILE as a new version",
		Long: "Show what guests and supply teachers are told when they are given a device, newest first. With FILE, record its\n" +
			"text as a new version, such as\n\n" +
			"  caretaker-collector register guest-notice notice.txt --version 2026-09\n\n" +
			"It is in use from then on: an allocation to a guest records which version they were given. A version is written\n" +
			"once, so that what somebody was told stays what it was.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			if len(rest) == 0 {
				if args.Change.Tag != "" {
					return errors.New("a version is given with the file that holds its text")
				}
				return operate(c, o, "register.guest-notices", app.GuestNoticeArguments{School: args.School}, func(l view.GuestNotices) {
					for _, n := range l.Notices {
						fmt.Fprintf(c.OutOrStdout(), "%s, recorded %s by %s:\n%s\n", n.Version, when(n.Since), cmp.Or(n.By, "somebody whose name was forgotten"), n.Text)
					}
					if len(l.Notices) == 0 {
						fmt.Fprintln(c.OutOrStdout(), "No notice for guests is recorded.")
					}
				})
			}
			text, err := readWhole(c, rest[0])
			if err != nil {
				return err
			}
			args.Change.Text = string(text)
			return keep(c, o, args)
		},
	}
	keepFlags(c, &args)
	c.Flags().StringVar(&args.Change.Tag, "version", "", "of the text in FILE, such as 2026-09")
	return c
}

// showLoan says what was recorded when a device was given out, and whether whoever
// has it can administer it.
func showLoan(w io.Writer, a view.Registered) {
	switch {
	case a.Held.Notice && a.Held.NoticeVersion != "":
		fmt.Fprintf(w, "They were given the notice %s.\n", a.Held.NoticeVersion)
	case a.Held.Notice:
		fmt.Fprintln(w, "They were given the school's notice for guests; which one is not recorded.")
	}
	if r := a.Rights; r != nil {
		fmt.Fprintf(w, "Without rights to administer it: %s (%s).\n", r.Standing, r.Why)
	}
}

func handBackCommand(o *options) *cobra.Command {
	return changeCommand(o, change{use: "hand-back TAG", short: "Record that a device was handed back", what: register.HandBack, dated: true})
}

func leftCommand(o *options) *cobra.Command {
	return changeCommand(o, change{
		use: "left TAG", short: "Record that whoever has a device has left, or will", what: register.Left, dated: true,
		long: "A checklist begins: returned, data-moved, wiped and accounts-removed, each recorded with register done,\n" +
			"and two signatures of different people with register sign. From when they leave until the device is returned\n" +
			"the rule about allocations is not met. The day may lie up to a year ahead (--on 2027-08-31): they have the\n" +
			"device until it is over, and nothing more need be recorded for the rule to count from then. Record another\n" +
			"day to correct it, or register stays to take it back.",
		example: `  caretaker-collector register left HB-LT-014 --on 2027-08-31`,
	})
}

func staysCommand(o *options) *cobra.Command {
	return changeCommand(o, change{
		use: "stays TAG", short: "Take back that whoever has a device leaves", what: register.Stays,
		long: "What is on their checklist goes too. A device that came back already is not taken back: give it out again.",
	})
}

func signCommand(o *options) *cobra.Command {
	return changeCommand(o, change{
		use: "sign TAG", short: "Sign a leaver's checklist on which everything is done", what: register.Sign,
		long: "Two people sign. At the console one signature can be given; the other is given with an account.",
	})
}

func allocateCommand(o *options) *cobra.Command {
	x := &register.Allocation{}
	args := app.RegisterArguments{Change: register.Change{What: register.Allocate, Allocation: x}}
	var until, on string
	c := &cobra.Command{
		Use:   "allocate TAG",
		Short: "Record who gets a device: a role, if need be a person, and until when",
		Long: "Record who gets a device. The role is kept with the device. A person's name is kept apart, in a part of the\n" +
			"record that is forgotten in time. With --until it is a loan: once that is over and the device was not handed\n" +
			"back, the rule about allocations is not met.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) (err error) {
			args.Change.Tag = rest[0]
			if x.Ends, err = timeOf(until); err != nil {
				return err
			}
			if args.Change.When, err = timeOf(on); err != nil {
				return err
			}
			return keep(c, o, args)
		},
	}
	keepFlags(c, &args)
	f := c.Flags()
	f.StringVar(&x.Role, "role", "", "who it is for, such as \"Year 4 class teacher\"")
	f.StringVar(&args.Person, "person", "", "the person, by name, if that has to be known")
	f.StringVar(&args.Until, "until", "", "when a loan ends, by the clock on the school's wall, such as \"2026-11-27 16:00\"")
	f.StringVar(&args.On, "on", "", "from when, such as 2026-09-01 (default: now)")
	f.BoolVar(&x.Guest, "guest", false, "it is for a guest or a supply teacher")
	f.BoolVar(&x.Notice, "notice", false, "they were given the school's notice for guests, the one in use if none is named")
	f.StringVar(&x.NoticeVersion, "notice-version", "", "which notice it was")
	f.StringVar(&x.Condition, "condition", "", "what state it is in")
	cobra.CheckErr(c.MarkFlagRequired("role"))
	return c
}

func doneCommand(o *options) *cobra.Command {
	args := app.RegisterArguments{Change: register.Change{What: register.DoneStep}}
	var on string
	c := &cobra.Command{
		Use:   "done TAG STEP",
		Short: "Record a step of a leaver's checklist: returned, data-moved, wiped or accounts-removed",
		Args:  cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, rest []string) (err error) {
			args.Change.Tag, args.Change.Step = rest[0], register.Step(rest[1])
			if args.Change.When, err = timeOf(on); err != nil {
				return err
			}
			return keep(c, o, args)
		},
	}
	keepFlags(c, &args)
	c.Flags().StringVar(&args.Change.Method, "method", "", "how; wiped needs it")
	c.Flags().StringVar(&on, "on", "", "when, such as 2026-08-31 (default: now)")
	return c
}
