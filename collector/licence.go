package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
)

func licenceCommand(o *options) *cobra.Command {
	return group("licence", "Licences: how many were bought, how many are installed, and who signed for that",
		licenceSetCommand(o), licenceReconcileCommand(o),
		licenceDeviceCommand(o, register.ExcludeDevice, "exclude PRODUCT DEVICE", "Say that a device does not count for a product, and why"),
		licenceDeviceCommand(o, register.IncludeDevice, "include PRODUCT DEVICE", "Say that a device counts for a product again"),
		licenceSignCommand(o))
}

func licenceSetCommand(o *options) *cobra.Command {
	bought := &register.Purchase{}
	args := app.RegisterArguments{Change: register.Change{What: register.SetLicence, Purchase: bought}}
	c := &cobra.Command{
		Use:   "set PRODUCT",
		Short: "Record how many licences of a product were bought, and by which programs it is told",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			args.Change.Tag = rest[0]
			return keep(c, o, args)
		},
	}
	keepFlags(c, &args)
	c.Flags().IntVar(&bought.Bought, "bought", 0, "how many")
	c.Flags().StringSliceVar(&bought.Programs, "program", nil, "name of an installed program that needs one; * stands for any characters; may repeat")
	cobra.CheckErr(c.MarkFlagRequired("bought"))
	cobra.CheckErr(c.MarkFlagRequired("program"))
	return c
}

func licenceReconcileCommand(o *options) *cobra.Command {
	var args app.LicenceArguments
	c := &cobra.Command{
		Use:   "reconcile [PRODUCT]",
		Short: "Compare what is installed now with what was bought, device by device",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			if len(rest) == 1 {
				args.Product = rest[0]
			}
			return operate(c, o, "licence.list", args, func(l view.LicenceList) {
				for _, line := range l.Licences {
					showLicence(c.OutOrStdout(), line)
				}
			})
		},
	}
	schoolFlag(c, &args.School)
	return c
}

func showLicence(w io.Writer, l view.LicenceLine) {
	over := ""
	if l.Over {
		over = ": MORE THAN WERE BOUGHT"
	}
	fmt.Fprintf(w, "%s: %d of %d%s\n", l.Product, l.Installed, l.Bought, over)
	for _, d := range l.Now.Devices {
		name := d.Tag
		if name == "" {
			name = string(d.Device) + " (not registered)"
		}
		if d.Excluded != "" {
			name += ": does not count: " + d.Excluded
		}
		fmt.Fprintf(w, "  %s\n", name)
	}
	if l.Now.Unread > 0 {
		fmt.Fprintf(w, "  Of %s it is not known what is installed.\n", count(l.Now.Unread, "more device", "more devices"))
	}
	if s := l.Signed; s != nil {
		fmt.Fprintf(w, "  Signed for %s on %s by %s: %d of %d.\n", s.Term, when(s.Sent), s.By, s.Installed(), s.Bought)
	}
}

func licenceDeviceCommand(o *options, what register.What, use, short string) *cobra.Command {
	args := app.RegisterArguments{Change: register.Change{What: what}}
	c := &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, rest []string) error {
			args.Change.Tag, args.Device, args.Change.Method = rest[0], rest[1], args.Reason
			if what == register.IncludeDevice {
				args.Change.Method = ""
			}
			return keep(c, o, args)
		},
	}
	keepFlags(c, &args)
	if what == register.ExcludeDevice {
		cobra.CheckErr(c.MarkFlagRequired("reason"))
	}
	return c
}

func licenceSignCommand(o *options) *cobra.Command {
	var args app.LicenceArguments
	c := &cobra.Command{
		Use:   "sign PRODUCT",
		Short: "Sign for a term that what is installed now was compared with what was bought",
		Long: "Sign for a term that what is installed now was compared with what was bought. What is counted, and what is\n" +
			"excluded with its reasons, is recorded as it is at this moment. The rule about licences goes by what was\n" +
			"signed last.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			args.Product = rest[0]
			return operate(c, o, "licence.sign", args, func(a app.RegisterAnswer) {
				fmt.Fprintf(c.OutOrStdout(), "Recorded as entry %d.\n", a.Entry)
			})
		},
	}
	schoolFlag(c, &args.School)
	c.Flags().StringVar(&args.Term, "term", "", "the term, such as \"autumn 2026\"")
	c.Flags().StringVar(&args.Reason, "reason", "", "why, in words, if it needs saying")
	cobra.CheckErr(c.MarkFlagRequired("term"))
	return c
}

// acknowledgedCommand records that somebody acknowledged the rules of use.
func acknowledgedCommand(o *options) *cobra.Command {
	x := &register.Acknowledgement{}
	args := app.RegisterArguments{Change: register.Change{What: register.AcknowledgeUse, Use: x}}
	var on string
	c := &cobra.Command{
		Use:   "acknowledged",
		Short: "Record that whoever has a role, or a person, acknowledged the school's rules of use",
		Long: "Record that whoever has a role, or a person, acknowledged the school's rules of use. Where a device was\n" +
			"given to a person by name, that person's acknowledgement counts; otherwise that of the role.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if args.Change.When, err = timeOf(on); err != nil {
				return err
			}
			return keep(c, o, args)
		},
	}
	keepFlags(c, &args)
	f := c.Flags()
	f.StringVar(&x.Role, "role", "", "the role, such as \"Year 4 class teacher\"")
	f.StringVar(&args.Person, "person", "", "the person, by name, if devices are given out by name")
	f.StringVar(&x.Version, "version", "", "which rules of use, such as 2026")
	f.StringVar(&on, "on", "", "when, such as 2026-09-01 (default: now)")
	cobra.CheckErr(c.MarkFlagRequired("role"))
	return c
}

func acknowledgementsCommand(o *options) *cobra.Command {
	var args app.UseArguments
	c := &cobra.Command{
		Use:   "acknowledgements",
		Short: "List who acknowledged the rules of use, and when",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return operate(c, o, "register.uses", args, func(p view.UsePage) {
				for _, u := range p.Uses {
					fmt.Fprintf(c.OutOrStdout(), "%-30s %-30s %s %s\n", u.Role, u.Person, when(u.At), u.Version)
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
