package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/view"
)

func apartCommand(o *options) *cobra.Command {
	var asked app.ApartArguments
	list := &cobra.Command{
		Use:   "list",
		Short: "List laptops to whose name two machines answer",
		Long: "List laptops to whose name two machines answer, such as after a disk was copied from one that was enrolled.\n" +
			"Neither is believed until they are told apart. The one whose firmware is the laptop's keeps the name by itself;\n" +
			"where that does not tell, and for every other, somebody has to say it. Each machine shows its code.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			defer noteBehind(c, o, asked.School)
			return operate(c, o, "apart.list", asked, func(l view.TwoMachines) { showTwoMachines(c, l) })
		},
	}
	schoolFlag(list, &asked.School)
	return group("apart", "Two machines that answer to one name", list,
		decideApartCommand(o, true, "keep", "Say that a machine is the laptop of that name",
			"It goes on with its key and with what it kept to report. Every other machine with that name has to become a laptop of its own."),
		decideApartCommand(o, false, "admit", "Admit a machine as a laptop of its own",
			"It gets a key and an identifier of its own, under the class and groups of the laptop whose name it had. What it\nsaid under that name it does not keep."))
}

func decideApartCommand(o *options, keeps bool, use, short, long string) *cobra.Command {
	args := app.ApartArguments{Keeps: keeps}
	c := &cobra.Command{
		Use:     use + " CODE",
		Short:   short,
		Long:    short + ".\n" + long,
		Example: "  caretaker-collector device apart " + use + " KF7Q-M2XP --reason \"looked at the label underneath\"",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			args.Code = rest[0]
			return operate(c, o, "apart.decide", args, func(a app.AdmissionAnswer) {
				words := "is a laptop of its own, and no more"
				if keeps {
					words = "is"
				}
				fmt.Fprintf(c.OutOrStdout(), "Recorded as entry %d: the machine with the code %s %s %s. It is told when it asks next, within five minutes.\n", a.Entry, args.Code, words, a.Device)
			})
		},
	}
	schoolFlag(c, &args.School)
	c.Flags().StringVar(&args.Reason, "reason", "", "why, in words")
	cobra.CheckErr(c.MarkFlagRequired("reason"))
	return c
}

func showTwoMachines(c *cobra.Command, l view.TwoMachines) {
	w := c.OutOrStdout()
	if len(l.Devices) == 0 {
		fmt.Fprintln(w, "No two machines answer to one name.")
	}
	for _, d := range l.Devices {
		fmt.Fprintf(w, "%s (%s), last heard %s: ", d.Hostname, d.Device, when(d.LastContact))
		if d.Twice != nil {
			fmt.Fprintf(w, "TWO MACHINES ANSWER TO THIS NAME since %s. Neither is believed.\n", when(d.Twice.Since))
		} else {
			fmt.Fprintln(w, "it is believed, and another machine asks who it is.")
		}
		for _, m := range d.Claimants {
			fmt.Fprintf(w, "  %s  %s, %s, asked %s", m.Code, m.Hostname, m.Platform, when(m.Last))
			if len(m.Agree) > 0 {
				fmt.Fprintf(w, "; as it was: %s", strings.Join(m.Agree, ", "))
			}
			if len(m.Differ) > 0 {
				fmt.Fprintf(w, "; different: %s", strings.Join(m.Differ, ", "))
			}
			fmt.Fprintln(w)
		}
	}
}
