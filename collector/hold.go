package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/api"
	"github.com/caretaker-school/caretaker/collector/app"
)

func holdCommand(o *options) *cobra.Command {
	g := group("hold", "Keep a laptop or a stick as it is, for a restricted incident", holdPlace(o), holdLift(o), holdList(o), holdBodies(o))
	g.Long = "Keep a laptop or a stick as it is, for a restricted incident. Nothing that is recorded of it is lost, whatever its age;\n" +
		"a laptop is asked for nothing and given no policy. Only the seniors who are named for the incident see that it is held.\n" +
		"Caretaker changes nothing on a laptop and cannot keep people from doing so: lock it away."
	return g
}

func holdPlace(o *options) *cobra.Command {
	d := &deed{do: app.RestrictedChange{Do: api.DoHold}}
	c := d.command(o, "why", &cobra.Command{
		Use: "place INCIDENT", Short: "Hold a laptop or a stick from now on",
		Example: `  caretaker-collector hold place r-k3m2p7qa --as "Jo Marsh" --device hb-lt-014 --words "the police may want it"`,
	}, nil)
	holdFlags(d, c)
	return c
}

func holdLift(o *options) *cobra.Command {
	d := &deed{do: app.RestrictedChange{Do: api.DoLift}}
	c := d.command(o, "why", &cobra.Command{
		Use: "lift INCIDENT", Short: "Ask that a laptop or a stick is held no more; another senior who is named agrees",
		Long:    "Ask that a hold is lifted. What was kept aside of it stays with the incident.",
		Example: `  caretaker-collector hold lift r-k3m2p7qa --as "Jo Marsh" --device hb-lt-014 --words "the police do not want it"`,
	}, nil)
	holdFlags(d, c)
	return c
}

func holdFlags(d *deed, c *cobra.Command) {
	c.Flags().StringVar(&d.do.HoldDevice, "device", "", "laptop, by identifier or host name")
	c.Flags().StringVar(&d.do.HoldMedium, "medium", "", "number of a stick of the register")
	c.MarkFlagsMutuallyExclusive("device", "medium")
	c.MarkFlagsOneRequired("device", "medium")
	need(c, "words")
}

func holdList(o *options) *cobra.Command {
	var s senior
	args := app.RestrictedArguments{}
	c := &cobra.Command{
		Use: "list", Short: "List what is held for the incidents for which you are named", Args: cobra.NoArgs,
		Example: `  caretaker-collector hold list --as "Jo Marsh"`,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			args.As = s.as
			if args.Passphrase, err = s.passphrase(c); err != nil {
				return err
			}
			return operate(c, o, "restricted.list", args, func(l api.RestrictedList) {
				for _, t := range l.Incidents {
					for _, h := range t.Holds {
						fmt.Fprintf(c.OutOrStdout(), "%-11s %s, since %s, by %s: %s\n", t.ID, h.On.Words(), when(h.Since), h.By, h.Words)
					}
				}
			})
		},
	}
	schoolFlag(c, &args.School)
	s.flags(c)
	return c
}

func holdBodies(o *options) *cobra.Command {
	var s senior
	args := app.RestrictedArguments{}
	c := &cobra.Command{
		Use: "bodies INCIDENT", Short: "Print what was kept aside of what is held, and the record has forgotten since", Args: cobra.ExactArgs(1),
		Long: "Print what was kept aside of what is or was held for a restricted incident, because the record forgot it. Each is\n" +
			"what a laptop or a person said, with the salt that proves it against the entry that the record still has. With\n" +
			"--json it is printed in full; when there are more, --after goes on.",
		Example: `  caretaker-collector hold bodies r-k3m2p7qa --as "Jo Marsh" --json`,
		RunE: func(c *cobra.Command, rest []string) (err error) {
			args.As, args.Incident = s.as, rest[0]
			if args.Passphrase, err = s.passphrase(c); err != nil {
				return err
			}
			return operate(c, o, "restricted.held", args, func(p api.HeldPage) {
				for _, b := range p.Bodies {
					proven := "proven by the record"
					if !b.Proven {
						proven = "NOT PROVEN by the record"
					}
					fmt.Fprintf(c.OutOrStdout(), "entry %d, %s: %s of %s, %d bytes, %s\n", b.Entry, when(b.Received), b.Section, b.Subject, len(b.Body), proven)
				}
				if p.Next > 0 {
					fmt.Fprintf(c.OutOrStdout(), "There are more: --after %d\n", p.Next)
				}
			})
		},
	}
	schoolFlag(c, &args.School)
	s.flags(c)
	c.Flags().IntVar(&args.After, "after", 0, "go on after so many, as an earlier answer said")
	c.Flags().IntVar(&args.Limit, "limit", 100, "how many at most")
	return c
}
