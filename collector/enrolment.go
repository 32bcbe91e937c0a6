package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/app"
)

func enrolmentCommand(o *options) *cobra.Command {
	var list app.ListArguments
	show := &cobra.Command{
		Use:   "list",
		Short: "List the laptops that wait to be admitted, and those that were refused of late",
		Long: "List the laptops that wait to be admitted, and those that were refused of late. What a laptop says of itself nobody\n" +
			"has proved: what counts is that its screen shows the code.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return operate(c, o, "enrolment.list", list, func(l app.PendingList) { showPending(c, l.Pending) })
		},
	}
	schoolFlag(show, &list.School)
	approve := decidePendingCommand(o, "enrolment.approve", &cobra.Command{
		Use:   "approve [CODE…]",
		Short: "Admit laptops that wait, by the codes that they show",
		Long: "Admit laptops that wait, by the codes that they show (caretaker-agent status), or with --token all that asked with one\n" +
			"token, if you have seen that nobody else had it. Each gets its certificate when it asks next, within ten minutes. One\n" +
			"whose serial number the register has is tied to its asset; where that cannot be, the answer says why.",
		Example: "  caretaker-collector enrolment approve KF7Q-M2XP 9TWC-4HAD",
	})
	refuse := decidePendingCommand(o, "enrolment.refuse", &cobra.Command{
		Use:     "refuse [CODE…]",
		Short:   "Refuse laptops that wait; they are told why",
		Long:    "Refuse laptops that wait; they are told why. One that was refused by mistake can be approved for 14 days.",
		Example: "  caretaker-collector enrolment refuse KF7Q-M2XP --reason \"it is not the school's\"",
	})
	need(refuse, "reason")
	return group("enrolment", "Laptops that wait to be admitted", show, approve, refuse)
}

// decidePendingCommand completes a command that decides about laptops that wait.
func decidePendingCommand(o *options, operation string, c *cobra.Command) *cobra.Command {
	var args app.PendingArguments
	c.RunE = func(c *cobra.Command, codes []string) error {
		args.Codes = codes
		return operate(c, o, operation, args, func(l app.DecidedList) {
			for _, d := range l.Decided {
				switch {
				case d.Why != "":
					fmt.Fprintf(c.OutOrStdout(), "%s: not done: %s.\n", d.Code, d.Why)
				case d.Device != "":
					fmt.Fprintf(c.OutOrStdout(), "%s: admitted as %s, entry %d.%s\n", d.Code, d.Device, d.Entry, assetWords(d))
				default:
					fmt.Fprintf(c.OutOrStdout(), "%s: refused, entry %d.\n", d.Code, d.Entry)
				}
			}
		})
	}
	schoolFlag(c, &args.School)
	c.Flags().StringVar(&args.Token, "token", "", "all that wait and asked with this one, by its identifier")
	c.Flags().StringVar(&args.Reason, "reason", "", "why, in words")
	return c
}

// assetWords says as which asset a laptop was admitted, or why as none; "" if the
// register knew of none.
func assetWords(d admission.Decided) string {
	switch {
	case d.Asset != "":
		return " It is " + d.Asset + " of the register."
	case d.Untied != "":
		return " It is tied to no asset: " + d.Untied + "."
	}
	return ""
}

func showPending(c *cobra.Command, list []admission.Pending) {
	if len(list) == 0 {
		fmt.Fprintln(c.OutOrStdout(), "No laptop waits to be admitted.")
	}
	for _, p := range list {
		about := strings.Join(strings.Fields(p.Manufacturer+" "+p.Model), " ")
		fmt.Fprintf(c.OutOrStdout(), "%s  %-7s %s%s, asked %s, token %s\n", p.Code, p.Platform, p.Hostname, inBrackets(about), when(p.Asked), p.Token)
		if p.Asset != "" {
			fmt.Fprintf(c.OutOrStdout(), "           %s by its serial number, which proves less than the code\n", p.Asset)
		}
		if p.Refused.IsZero() {
			fmt.Fprintf(c.OutOrStdout(), "           %s; forgotten %s\n", p.Why, when(p.Ends))
		} else {
			fmt.Fprintf(c.OutOrStdout(), "           refused %s: %s\n", when(p.Refused), p.RefusedFor)
		}
	}
}
