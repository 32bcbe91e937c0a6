package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/app"
)

func personalUseCommand(o *options) *cobra.Command {
	var args app.AssignArguments
	c := &cobra.Command{
		Use:   "personal-use DEVICE on|off",
		Short: "Say whether a laptop is its user's own too, so that it withholds names of programs",
		Long: "Say whether a laptop is its user's own too. It then reports programs in people's folders by their hash alone:\n" +
			"what a program is called can tell of health, faith or politics. The laptop is told, and says so in its next report.\n" +
			"For one that is enrolled anew give --personal-use to token create, so that it never tells a name.",
		Example: "  caretaker-collector device personal-use hb-lt-014 on --reason \"agreed with the teacher\"",
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, rest []string) error {
			if rest[1] != "on" && rest[1] != "off" {
				return fmt.Errorf("say on or off, not %.40q", rest[1])
			}
			on := rest[1] == "on"
			args.PersonalUse = &on
			return assigned(c, o, &args, rest[0])
		},
	}
	assignFlags(c, &args)
	return c
}

func revealCommand(o *options) *cobra.Command {
	var args app.AssignArguments
	var withhold bool
	c := &cobra.Command{
		Use:   "reveal DEVICE SHA256",
		Short: "Ask a laptop that is its user's own too for the name of one program that it withholds",
		Long: "Ask a laptop that withholds names for the name of one program, by the SHA-256 that its finding says. Who asked, and\n" +
			"why, is recorded and shows with device assignments. The name comes with the laptop's next report, and is forgotten\n" +
			"with it. With --withhold it is asked for no more.",
		Example: "  caretaker-collector device reveal hb-lt-014 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 --reason \"is it remote control?\"",
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, rest []string) error {
			if withhold {
				args.Withhold = rest[1]
			} else {
				args.Reveal = rest[1]
			}
			return assigned(c, o, &args, rest[0])
		},
	}
	assignFlags(c, &args)
	c.Flags().BoolVar(&withhold, "withhold", false, "it is to tell the name no more")
	return c
}

func assignFlags(c *cobra.Command, args *app.AssignArguments) {
	schoolFlag(c, &args.School)
	c.Flags().StringVar(&args.Reason, "reason", "", "why")
	need(c, "reason")
}

func assigned(c *cobra.Command, o *options, args *app.AssignArguments, device string) error {
	args.Device = device
	return operate(c, o, "device.assign", args, func(a app.AssignAnswer) {
		fmt.Fprintf(c.OutOrStdout(), "Recorded as entry %d: assignment %d. The laptop is told when it is connected.\n", a.Entry, a.Assignment.Number)
	})
}

func assignmentsCommand(o *options) *cobra.Command {
	var args app.ListArguments
	c := &cobra.Command{
		Use:   "assignments DEVICE",
		Short: "List what a laptop was told about its use: and so who asked it for names that it withholds",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			args.Device = rest[0]
			return operate(c, o, "device.assignments", args, func(l app.AssignmentList) {
				w := c.OutOrStdout()
				for _, a := range l.Assignments {
					what := []string{string(a.Ownership)}
					if a.PersonalUse {
						what = append(what, "its user's own too")
					}
					if a.Investigation {
						what = append(what, "set aside for found media")
					}
					for _, sum := range a.Reveal {
						what = append(what, "tells the name of "+sum)
					}
					fmt.Fprintf(w, "%3d  %s  %s\n", a.Number, when(a.At), strings.Join(what, ", "))
					if a.By != "" {
						fmt.Fprintf(w, "     by %s: %s\n", a.By, a.Reason)
					}
				}
			})
		},
	}
	schoolFlag(c, &args.School)
	return c
}
