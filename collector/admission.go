package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/api"
	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/view"
)

func revokeCommand(o *options) *cobra.Command {
	var args app.RevokeArguments
	c := &cobra.Command{
		Use:   "revoke DEVICE",
		Short: "Have a laptop known no more, from its next message on",
		Long: "Have a laptop known no more, from its next message on.\nIt is told so, and nothing more is taken from it. What it said stays. To come back it has to be enrolled again,\n" +
			"with a new key. A laptop that is lost is better recorded as lost: incident open --kind lost-device.\n" +
			"The reason is kept as long as the record: name nobody in it.",
		Example: "  caretaker-collector device revoke hb-lt-014 --reason \"its key was copied\"",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			args.Device = rest[0]
			return operate(c, o, "device.revoke", args, func(a app.AdmissionAnswer) {
				fmt.Fprintf(c.OutOrStdout(), "Recorded as entry %d: %s (%s) is known no more.\n", a.Entry, a.Hostname, a.Device)
			})
		},
	}
	schoolFlag(c, &args.School)
	c.Flags().StringVar(&args.Reason, "reason", "", "why, in words that name nobody")
	cobra.CheckErr(c.MarkFlagRequired("reason"))
	return c
}

func renewalCommand(o *options) *cobra.Command {
	var asked app.RenewalArguments
	list := &cobra.Command{
		Use:   "list",
		Short: "List the laptops that wait for the renewal of their certificate to be approved",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return operate(c, o, "renewal.list", asked, func(r api.Renewals) { showRenewals(c, r) })
		},
	}
	schoolFlag(list, &asked.School)
	var approved app.RenewalArguments
	approve := &cobra.Command{
		Use:   "approve DEVICE",
		Short: "Let a laptop renew its certificate that ended too long ago",
		Long: "Let a laptop renew its certificate that ended too long ago.\nSee first that it is the school's and in the right hands. It asks every hour and keeps what it has to report\n" +
			"until then. The approval holds for 30 days and for this laptop's known key alone.",
		Example: "  caretaker-collector device renewal approve hb-lt-014 --reason \"seen in the cupboard of Year 4\"",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			approved.Device = rest[0]
			return operate(c, o, "renewal.approve", approved, func(a app.AdmissionAnswer) {
				fmt.Fprintf(c.OutOrStdout(), "Recorded as entry %d: %s may renew its certificate. It asks within the hour.\n", a.Entry, a.Hostname)
			})
		},
	}
	schoolFlag(approve, &approved.School)
	approve.Flags().StringVar(&approved.Reason, "reason", "", "why, in words")
	cobra.CheckErr(approve.MarkFlagRequired("reason"))
	var set app.RenewalArguments
	window := &cobra.Command{
		Use:     "window",
		Short:   "Set for how many days after its end a certificate is renewed without anybody",
		Example: "  caretaker-collector device renewal window --days 120",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return operate(c, o, "renewal.window", set, func(a app.AdmissionAnswer) {
				fmt.Fprintf(c.OutOrStdout(), "Recorded as entry %d: %d days.\n", a.Entry, set.Days)
			})
		},
	}
	schoolFlag(window, &set.School)
	window.Flags().IntVar(&set.Days, "days", 0, fmt.Sprintf("how many, from 1 to %d; %d unless it is set", admission.MostWindow, admission.UsualWindow))
	window.Flags().StringVar(&set.Reason, "reason", "", "why, in words")
	cobra.CheckErr(window.MarkFlagRequired("days"))
	return group("renewal", "Certificates that ended", list, approve, window)
}

func showRenewals(c *cobra.Command, r api.Renewals) {
	w := c.OutOrStdout()
	fmt.Fprintf(w, "For %d days after its end a laptop's certificate is renewed without anybody.\n", r.Days)
	if len(r.Waiting) == 0 {
		fmt.Fprintln(w, "No laptop has asked later since the collector was started.")
	}
	for _, one := range r.Waiting {
		fmt.Fprintf(w, "%-20s %-38s ended %s, asked %s, last heard %s\n", one.Hostname, one.Device, when(one.Ended), when(one.Last), when(one.LastContact))
	}
}

func sameCommand(o *options) *cobra.Command {
	var asked app.SameArguments
	list := &cobra.Command{
		Use:   "list",
		Short: "List enrolments that may be one laptop that was set up anew",
		Long: "List enrolments that may be one laptop that was set up anew.\nWhat is compared are hashes of what the firmware says: a host name, or what makers leave in place of a number,\n" +
			"makes nothing the same. Nothing follows from a proposal until somebody confirms it.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			defer noteBehind(c, o, asked.School)
			return operate(c, o, "same.list", asked, func(l view.SameList) { showSame(c, l) })
		},
	}
	schoolFlag(list, &asked.School)
	list.Flags().BoolVar(&asked.All, "all", false, "those too that somebody said are not one")
	return group("same", "Laptops that were set up anew", list,
		decideSameCommand(o, admission.SameHardware, "confirm", "Say that a laptop is an earlier one that was set up anew",
			"It counts once from then on. The asset of the register, if there is one, is the new enrolment; the old one's\n"+
				"evidence stays under its identifier, and its key is known no more. Since when it is encrypted begins anew."),
		decideSameCommand(o, admission.OtherHardware, "refuse", "Say that two enrolments are not one laptop",
			"It is not proposed again."))
}

func decideSameCommand(o *options, what admission.What, use, short, long string) *cobra.Command {
	args := app.SameArguments{What: what}
	c := &cobra.Command{
		Use:     use + " DEVICE",
		Short:   short,
		Long:    short + ".\n" + long,
		Example: "  caretaker-collector device same " + use + " hb-lt-014 --reason \"looked at the label underneath\"",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			args.Device = rest[0]
			return operate(c, o, "same.decide", args, func(a app.AdmissionAnswer) {
				words := "is not the laptop that was enrolled as"
				if what == admission.SameHardware {
					words = "is the laptop that was enrolled as"
				}
				fmt.Fprintf(c.OutOrStdout(), "Recorded as entry %d: %s (%s) %s %s.\n", a.Entry, a.Hostname, a.Device, words, a.Earlier)
			})
		},
	}
	schoolFlag(c, &args.School)
	c.Flags().StringVar(&args.Earlier, "earlier", "", "identifier of the earlier enrolment, if more than one is proposed")
	c.Flags().StringVar(&args.Reason, "reason", "", "why, in words")
	cobra.CheckErr(c.MarkFlagRequired("reason"))
	return c
}

func showSame(c *cobra.Command, l view.SameList) {
	w := c.OutOrStdout()
	if len(l.Same) == 0 {
		fmt.Fprintln(w, "Nothing is proposed.")
	}
	for _, s := range l.Same {
		name := s.EarlierHostname
		if s.AssetTag != "" {
			name = s.AssetTag
		}
		fmt.Fprintf(w, "%s (%s), enrolled %s: same hardware, new install of %s (%s), last heard %s.\n",
			s.Hostname, s.Device, when(s.EnrolledAt), name, s.Earlier, when(s.LastContact))
		fmt.Fprintf(w, "  the same: %s", strings.Join(s.Agree, ", "))
		if len(s.Differ) > 0 {
			fmt.Fprintf(w, "; different: %s", strings.Join(s.Differ, ", "))
		}
		fmt.Fprintln(w)
		if s.Both {
			fmt.Fprintln(w, "  BOTH REPORT: these are two computers, or one whose disk was copied. Neither was set up anew.")
		}
		if s.Lost {
			fmt.Fprintln(w, "  The earlier one is marked lost.")
		}
		if s.Refused != nil {
			fmt.Fprintf(w, "  %s said on %s that they are not one.\n", s.Refused.By, when(s.Refused.At))
		}
	}
}

// showApart prints what is apart from a laptop's own findings: the enrolments
// before it, and what came while it was lost.
func showApart(c *cobra.Command, d view.DeviceDetail) {
	w := c.OutOrStdout()
	if d.ReplacedBy != "" {
		fmt.Fprintf(w, "It was set up anew, and is %s since: what follows is what it said before, and counts nowhere.\n", d.ReplacedBy)
	}
	for _, e := range d.Earlier {
		fmt.Fprintf(w, "Before it was set up anew it was %s (%s), enrolled %s: see device show %s.\n", e.Hostname, e.Device, when(e.EnrolledAt), e.Device)
	}
	q := d.Quarantine
	if q == nil {
		return
	}
	fmt.Fprintln(w, "\nQuarantined: what came while it was marked lost. It changes nothing above.")
	for _, s := range q.Spans {
		until := "now"
		if !s.Until.IsZero() {
			until = when(s.Until)
		}
		fmt.Fprintf(w, "  marked lost %s, until %s\n", when(s.Since), until)
	}
	fmt.Fprintf(w, "  %s and %s, the last %s\n", count(q.Reports, "report", "reports"), count(q.Contacts, "contact", "contacts"), when(q.LastContact))
	for _, r := range q.Timeline {
		said := "it says it meets every rule"
		switch {
		case r.Unread:
			said = "what it found cannot be read"
		case len(r.NotMet) > 0:
			said = "it says it does not meet " + strings.Join(r.NotMet, ", ")
		}
		fmt.Fprintf(w, "  report %d, made %s by its own clock, received %s, entry %d: %s\n", r.Sequence, when(r.MadeAt), when(r.ReceivedAt), r.Entry, said)
	}
}
