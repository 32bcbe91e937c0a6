package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/app"
)

// personCommands are what is done about an account at the console.
func personCommands(o *options) []*cobra.Command {
	return []*cobra.Command{passwordCommand(o), removeAccountCommand(o), grantCommand(o, "grant"), grantCommand(o, "revoke"), letInCommand(o), dropSecondCommand(o), sessionsCommand(o), signOutCommand(o), secondStepCommand(o), accountLogCommand(o)}
}

func passwordCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "password NAME",
		Short: "Give an account a new password; it is printed once",
		Long: "Give an account a new password, which is made up and printed once. The person is signed out everywhere, and\n" +
			"keys that programs hold for the account are taken back. The second step stays as it is.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return operate(c, o, "account.password", app.PersonArguments{Name: args[0]}, func(a app.PasswordAnswer) {
				fmt.Fprintln(c.OutOrStdout(), a.Password)
				fmt.Fprintf(c.ErrOrStderr(), "The new password of %s. It is not shown again. %s taken back.\n", a.Name, count(a.Keys, "key was", "keys were"))
			})
		},
	}
}

func removeAccountCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME",
		Short: "Remove an account, and with it its sessions and all that it signs in with",
		Long: "Remove an account, and with it its sessions and all that it signs in with. What the person decided stays in\n" +
			"the record under their name.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return doneTo(c, o, "account.remove", args[0]) },
	}
}

// grantCommand gives a role, or takes it away.
func grantCommand(o *options, deed string) *cobra.Command {
	var a app.GrantArguments
	c := &cobra.Command{
		Use:   "grant NAME",
		Short: "Give an account another role, at one school or at every one",
		Long: "Give an account another role, at one school or at every one. At a school an administrator does this on the\n" +
			"page Settings, People, for that school alone.",
		Example: "  caretaker-collector account grant \"Sam Okoro\" --role dpo --school Hollybank",
	}
	if deed == "revoke" {
		c.Use, c.Short = "revoke NAME", "Take a role away from an account, at one school or at every one"
		c.Long = "Take a role away from an account. Its only role is not taken away: remove the account. The last administrator\n" +
			"stays until there is another."
		c.Example = "  caretaker-collector account revoke \"Sam Okoro\" --role technician --school Hollybank"
	}
	c.Args = cobra.ExactArgs(1)
	c.RunE = func(c *cobra.Command, args []string) error {
		a.Name = args[0]
		return operate(c, o, "account."+deed, a, func(a app.DoneAnswer) { fmt.Fprintf(c.OutOrStdout(), "%s: %s.\n", a.Name, a.Done) })
	}
	c.Flags().StringVar(&a.Role, "role", "", "role: "+roles())
	c.Flags().StringVar(&a.School, "school", "", "name or identifier of the school (default: every school)")
	need(c, "role")
	return c
}

// doneTo carries out an operation about an account that only says that it is done.
func doneTo(c *cobra.Command, o *options, operation, name string) error {
	return operate(c, o, operation, app.PersonArguments{Name: name}, func(a app.DoneAnswer) {
		fmt.Fprintf(c.OutOrStdout(), "%s: %s.\n", a.Name, a.Done)
	})
}

func letInCommand(o *options) *cobra.Command {
	var a app.LetInArguments
	c := &cobra.Command{
		Use:   "let-in NAME",
		Short: "Make a code by which a person who lost something is let in again; it is printed once",
		Long: "Make a code by which a person who lost their password or their second step is let in again. It stands in for\n" +
			"that one thing, once, within an hour; whatever else the account has is asked for all the same. At a school\n" +
			"another person does this on the page People. Here it is recorded as the console's doing, under the account\n" +
			"of the system that asks, and is nobody's second approval.",
		Example: `  caretaker-collector account let-in "Sam Okoro" --lost second-step --reason "phone lost, came to the office"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			a.Name = args[0]
			return operate(c, o, "account.let-in", a, func(a app.LetInAnswer) {
				fmt.Fprintln(c.OutOrStdout(), a.Code)
				fmt.Fprintf(c.ErrOrStderr(), "Give it to %s in person. It stands in for the %s, once, until %s. It is not shown again.\n", a.Name, a.Lost, when(a.Ends))
			})
		},
	}
	c.Flags().StringVar(&a.Lost, "lost", "", "what was lost: password or second-step")
	c.Flags().StringVar(&a.Reason, "reason", "", "why, and how it is known who asks")
	return c
}

func dropSecondCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "drop-second NAME",
		Short: "Take every second step of an account away, and sign the person out",
		Long: "Take every second step of an account away: its authenticator app, its passkeys and its recovery codes. Its\n" +
			"password alone opens it until a new one is set up, so let-in is the better way as a rule. It is recorded.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return doneTo(c, o, "account.drop-second", args[0]) },
	}
}

func sessionsCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "sessions NAME",
		Short: "List where a person is signed in",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return operate(c, o, "account.sessions", app.PersonArguments{Name: args[0]}, func(list []app.SessionsAnswer) {
				for _, s := range list {
					how := s.First
					if s.Second != "" {
						how += " and " + s.Second
					}
					fmt.Fprintf(c.OutOrStdout(), "%-20s %-24s since %s, last used %s, by %s\n", s.Address, or(s.With, "a browser not known"), when(s.Begun), when(s.Seen), how)
				}
			})
		},
	}
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func signOutCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "sign-out NAME",
		Short: "End every session of an account",
		Args:  cobra.ExactArgs(1),
		RunE:  func(c *cobra.Command, args []string) error { return doneTo(c, o, "account.sign-out", args[0]) },
	}
}

func secondStepCommand(o *options) *cobra.Command {
	var a app.SecondStepArguments
	c := &cobra.Command{
		Use:   "second-step",
		Short: "Show which roles must have a second step and who lacks it, or say which",
		Long: "Show which roles must have a second step to sign in, and who lacks it. With --role or --grace, say which roles\n" +
			"must, and how long a person has to set one up; after that it comes before any other page. As shipped, every\n" +
			"role but governor and staff must, within two weeks.",
		Example: "  caretaker-collector account second-step --role administrator,technician,dpo,head,governor --grace 168h",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			roles, grace := c.Flags().Changed("role"), c.Flags().Changed("grace")
			if roles != grace {
				return errors.New("say both which roles must have a second step and how long they have to set one up: --role and --grace")
			}
			a.Set = roles
			return operate(c, o, "account.second-step", a, func(a app.SecondStepAnswer) {
				fmt.Fprintf(c.OutOrStdout(), "Must have a second step: %s\nWithin: %s of %s, or of when the account was made\n",
					or(strings.Join(a.Roles, ", "), "nobody"), a.Grace, when(a.Since))
				fmt.Fprintf(c.OutOrStdout(), "Have none yet: %s\n", or(strings.Join(a.Lacking, ", "), "nobody"))
			})
		},
	}
	c.Flags().StringSliceVar(&a.Roles, "role", nil, "role that must have a second step; may repeat; \"\" for none: "+roles())
	c.Flags().DurationVar(&a.Grace, "grace", 14*24*time.Hour, "how long a person has to set one up")
	return c
}

func accountLogCommand(o *options) *cobra.Command {
	a := app.AccountLogArguments{}
	c := &cobra.Command{
		Use:   "log",
		Short: "List what was changed about how people sign in, the newest first",
		Long: "List what was changed about how people sign in, the newest first: second steps set up and taken away, people\n" +
			"let in again and by whom. It is kept for two years. When people sign in is not kept.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return operate(c, o, "account.log", a, func(a app.AccountLogAnswer) {
				for _, e := range a.Events {
					fmt.Fprintf(c.OutOrStdout(), "%s  %-20s %s, by %s%s\n", when(e.At), e.Name, e.What, e.By, inBrackets(e.Words))
				}
				if a.Unread > 0 {
					fmt.Fprintf(c.ErrOrStderr(), "%s cannot be read: not all that happened is listed.\n", count(a.Unread, "line", "lines"))
				}
			})
		},
	}
	c.Flags().IntVar(&a.Limit, "limit", 50, "how many")
	return c
}

func inBrackets(words string) string {
	if words == "" {
		return ""
	}
	return " (" + words + ")"
}

func signOnCommand(o *options) *cobra.Command {
	list := &cobra.Command{
		Use:   "list",
		Short: "List the sign-on services",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return operate(c, o, "sign-on.list", struct{}{}, func(list []app.SignOnAnswer) {
				for _, p := range list {
					fmt.Fprintf(c.OutOrStdout(), "%-12s %-20s %s\n", p.ID, p.Name, p.Issuer)
				}
			})
		},
	}
	remove := &cobra.Command{
		Use:   "remove ID",
		Short: "Remove a sign-on service; people sign in with their passwords and passkeys again",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return operate(c, o, "sign-on.remove", app.SignOnArguments{ID: args[0]}, func(a app.DoneAnswer) {
				fmt.Fprintf(c.OutOrStdout(), "%s: %s.\n", a.Name, a.Done)
			})
		},
	}
	return group("sign-on", "Services elsewhere that vouch for people (OpenID Connect)", addSignOnCommand(o), list, remove)
}

func addSignOnCommand(o *options) *cobra.Command {
	var a app.SignOnArguments
	var secret string
	c := &cobra.Command{
		Use:   "add ID",
		Short: "Add a sign-on service, or say it anew",
		Long: "Add a sign-on service, or say it anew. The service knows nobody here by itself: each person signs in once with\n" +
			"a password and links their account, on the page of their account. Tell the service to send people back to\n" +
			"https://YOUR-CARETAKER/sign-in/with/ID/back.",
		Example: "  caretaker-collector sign-on add microsoft --name Microsoft --client CLIENT --secret secret.txt \\\n" +
			"    --issuer https://login.microsoftonline.com/TENANT/v2.0\n" +
			"  caretaker-collector sign-on add google --name Google --client CLIENT --secret secret.txt \\\n" +
			"    --issuer https://accounts.google.com --domain hollybank.example",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			a.ID = args[0]
			if secret != "" {
				var err error
				if a.Secret, err = secretFrom(c.InOrStdin(), secret); err != nil {
					return err
				}
			}
			return operate(c, o, "sign-on.add", a, func(a app.SignOnAnswer) {
				fmt.Fprintf(c.OutOrStdout(), "%s may vouch for people who have linked their accounts. It sends them back to the pages' own address and %s\n", a.Name, a.Back)
			})
		},
	}
	f := c.Flags()
	f.StringVar(&a.Name, "name", "", "name of the service as people know it")
	f.StringVar(&a.Issuer, "issuer", "", "address of the issuer; of Microsoft that of the school's own tenant")
	f.StringVar(&a.Client, "client", "", "identifier of the client, as the service shows it")
	f.StringVar(&secret, "secret", "", "file with the client's secret; - for standard input")
	f.StringVar(&a.Domain, "domain", "", "the organisation's domain; Google needs it")
	f.BoolVar(&a.Vouches, "second-step", false, "the service asks everybody for a second step itself, so that none is asked for here")
	f.StringSliceVar(&a.Schools, "school", nil, "school whose people it vouches for; may repeat (default: all)")
	return c
}
