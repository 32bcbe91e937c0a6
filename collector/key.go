package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/app"
)

func keyCommand(o *options) *cobra.Command {
	args := app.KeyArguments{}
	create := &cobra.Command{
		Use:   "create",
		Short: "Make a key by which a program acts for an account; it is printed once",
		Long: "Make a key by which a program acts for an account, through the addresses that begin with /api/v1/.\n" +
			"It reaches no further than the account does. What it decides is recorded under the account's name.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return operate(c, o, "key.create", args, func(a app.KeyAnswer) {
				fmt.Fprintln(c.OutOrStdout(), a.Key)
				fmt.Fprintf(c.ErrOrStderr(), "The key %s of %s, until %s. It is not shown again.\n", a.ID, a.Account, when(a.Ends))
			})
		},
	}
	f := create.Flags()
	f.StringVar(&args.Account, "account", "", "name of the account")
	f.StringVar(&args.Label, "label", "", "what the key is for")
	f.StringVar(&args.Role, "role", "", "only this role of the account's: "+roles())
	f.StringSliceVar(&args.Schools, "school", nil, "only this school of the account's, with --role; may repeat")
	f.DurationVar(&args.Lasts, "lasts", 90*24*time.Hour, "how long it is valid, up to 366 days")
	list := &cobra.Command{
		Use:   "list",
		Short: "List the keys that are valid",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return operate(c, o, "key.list", struct{}{}, func(list []app.KeyAnswer) {
				for _, k := range list {
					fmt.Fprintf(c.OutOrStdout(), "%-10s %-24s %-28s %s, until %s\n", k.ID, k.Account, k.Label, grants(k.Grants), when(k.Ends))
				}
			})
		},
	}
	revoke := &cobra.Command{
		Use:   "revoke ID",
		Short: "Take a key back: it is worth nothing from now on",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			return operate(c, o, "key.revoke", app.KeyArguments{ID: rest[0]}, func(a app.KeyAnswer) {
				fmt.Fprintf(c.OutOrStdout(), "The key %s is worth nothing from now on.\n", a.ID)
			})
		},
	}
	return group("key", "Keys by which programs act for accounts", create, list, revoke)
}

func grants(list []access.Grant) string {
	words := make([]string, 0, len(list))
	for _, g := range list {
		at := " at " + string(g.School)
		if g.School == access.EverySchool {
			at = " at every school"
		}
		words = append(words, string(g.Role)+at)
	}
	return strings.Join(words, ", ")
}
