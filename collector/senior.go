package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/api"
	"github.com/caretaker-school/caretaker/collector/app"
)

func seniorCommand(o *options) *cobra.Command {
	args := app.SeniorArguments{}
	key := &cobra.Command{
		Use: "key NAME", Short: "Make the key with which a senior reads and signs restricted incidents", Args: cobra.ExactArgs(1),
		Long: "Make a key for the account of a head, an officer, a governor or another senior. Its passphrase is printed once and\n" +
			"kept nowhere: without it nobody reads what is encrypted to the key. Its code is what others name the senior by; the\n" +
			"senior tells it to them and nobody else does, so that nobody puts another key in its place. Make it where nobody\n" +
			"looks on, or have the senior make it themselves through the API.\n" +
			"If the passphrase is forgotten, make another key, and have another senior name you with it: restricted name.",
		Example: `  caretaker-collector senior key "Jo Marsh"`,
		RunE: func(c *cobra.Command, rest []string) error {
			args.Account = rest[0]
			return operate(c, o, "senior.key", args, func(k api.NewSeniorKey) {
				fmt.Fprintf(c.OutOrStdout(), "Passphrase: %s\nCode:       %s\n", k.Passphrase, k.Code)
				fmt.Fprintf(c.ErrOrStderr(), "The key of %s. The passphrase is not shown again, and cannot be found out; the code is for those who name them.\n", k.Name)
			})
		},
	}
	schoolFlag(key, &args.School)
	list := &cobra.Command{
		Use: "list", Short: "List the keys of those who may be named for restricted incidents", Args: cobra.NoArgs,
		Example: `  caretaker-collector senior list`,
		RunE: func(c *cobra.Command, _ []string) error {
			return operate(c, o, "senior.list", args, func(l api.SeniorKeys) {
				for _, k := range l.Keys {
					fmt.Fprintf(c.OutOrStdout(), "%s  %-24s made %s by %s\n", k.Code, k.Name, when(k.Made), k.By)
				}
			})
		},
	}
	schoolFlag(list, &args.School)
	return group("senior", "Keys of those who may be named for restricted incidents", key, list)
}
