package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/shared/posture"
)

func tokenCommand(o *options) *cobra.Command {
	args := app.TokenArguments{}
	var ownership string
	create := &cobra.Command{
		Use:   "create",
		Short: "Make a token with which laptops enrol; it is printed once",
		Long: "Make a token with which laptops enrol; it is printed once. At a school the page Settings, Tokens for laptops,\n" +
			"makes one as well.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if args.Uses < 1 || args.Lifetime <= 0 {
				return errors.New("a token admits at least one laptop, for some time: --uses and --lifetime must be more than 0")
			}
			args.Ownership = posture.Ownership(ownership)
			return operate(c, o, "token.create", args, func(a app.TokenAnswer) {
				fmt.Fprintln(c.OutOrStdout(), a.Token)
				fmt.Fprintf(c.ErrOrStderr(), "For %s (%s), until %s. It is not shown again.\n",
					count(a.Uses, "laptop", "laptops"), a.Ownership, a.Ends.Format("Mon 2 Jan 2006 15:04 MST"))
			})
		},
	}
	schoolFlag(create, &args.School)
	f := create.Flags()
	f.IntVar(&args.Uses, "uses", 1, "how many laptops it admits")
	f.BoolVar(&args.PersonalUse, "personal-use", false, "the laptops are their users' own too: names of programs in people's folders stay on them")
	f.StringSliceVar(&args.Groups, "group", nil, "group in which the laptops are from the first; may repeat")
	f.DurationVar(&args.Lifetime, "lifetime", 7*24*time.Hour, "how long it admits them")
	f.StringVar((*string)(&args.Way), "admits", string(admission.AtOnce), "how it admits: at-once; approval: each laptop shows a code and waits until somebody approves it; or register: one whose serial number is in the register is admitted, once, and every other waits")
	f.StringVar(&ownership, "ownership", string(posture.SchoolSingleUser), "class of the laptops: school-single-user, school-multi-user or authorised")
	f.StringSliceVar(&args.Addresses, "address", nil, "host:port at which laptops reach the collector (default: where it last served)")
	return group("token", "Tokens with which laptops enrol", create, tokenListCommand(o), tokenEndCommand(o))
}

func tokenListCommand(o *options) *cobra.Command {
	var args app.ListArguments
	list := &cobra.Command{
		Use:   "list",
		Short: "List the tokens of a school and how they stand; their secrets are not kept",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return operate(c, o, "token.list", args, func(l app.TokenList) {
				for _, t := range l.Tokens {
					fmt.Fprintf(c.OutOrStdout(), "%s  %-10s %d of %s, until %s  %s%s%s\n", t.ID, t.State, t.Used, count(t.Uses, "laptop", "laptops"), when(t.Ends), t.Class, inBrackets(strings.Join(t.Groups, ", ")), inBrackets(admits(t)))
				}
			})
		},
	}
	schoolFlag(list, &args.School)
	return list
}

// admits says how a token admits, if not at once.
func admits(t admission.Token) string {
	switch t.Way {
	case admission.AtOnce:
		return ""
	case admission.ByRegister:
		return fmt.Sprintf("by the register, %d waiting", t.Waiting)
	}
	return fmt.Sprintf("on approval, %d waiting", t.Waiting)
}

func tokenEndCommand(o *options) *cobra.Command {
	var args app.EndTokenArguments
	end := &cobra.Command{
		Use:   "end ID",
		Short: "Take a token back: it admits nothing from now on",
		Long: "Take a token back, such as one that was left in a script: it admits nothing from now on. Laptops that it\n" +
			"admitted stay; one that should not be there is revoked by itself: device revoke.",
		Example: "  caretaker-collector token end 4f1c09a2b6d83e57 --reason \"it was printed and left in the staff room\"",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			args.Token = rest[0]
			return operate(c, o, "token.end", args, func(a app.AdmissionAnswer) {
				fmt.Fprintf(c.OutOrStdout(), "Recorded as entry %d: the token admits nothing from now on.\n", a.Entry)
			})
		},
	}
	schoolFlag(end, &args.School)
	end.Flags().StringVar(&args.Reason, "reason", "", "why, in words")
	need(end, "reason")
	return end
}
