package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/release"
	"github.com/caretaker-school/caretaker/shared/clock"
)

func initCommand(o *options) *cobra.Command {
	var args app.InitArguments
	c := &cobra.Command{
		Use:   "init",
		Short: "Make a school: its keys, its certificate authority, its empty ledger",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if strings.TrimSpace(args.School) == "" {
				return errors.New("a school needs a name: give it with --school")
			}
			return operate(c, o, "init", args, func(a app.InitAnswer) {
				fmt.Fprintf(c.OutOrStdout(), "Made %s (%s) in %s.\n", a.Name, a.School, o.data)
				fmt.Fprintf(c.OutOrStdout(), "Its key, with which anyone can check what it signs:\n  %s\n", a.Key)
				if a.Serving {
					fmt.Fprintln(c.OutOrStdout(), "The collector that runs serves it already.")
				}
				fmt.Fprintln(c.OutOrStdout(), "Make its first administrator next, with account create --role administrator --name NAME; whoever signs in with that\nfinds on the pages what is left to set up.")
			})
		},
	}
	c.Flags().StringVar(&args.School, "school", "", "name of the school")
	return c
}

func serveCommand(o *options) *cobra.Command {
	config := app.Config{Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	c := &cobra.Command{
		Use:   "serve",
		Short: "Take in reports and serve the pages, until stopped",
		Long: "Serve takes in reports and serves the pages, until stopped. It prints the two addresses once both are open.\n" +
			"Pages are served over plain HTTP on this machine only; elsewhere they need a certificate and its key, in files\n" +
			"that are read again when they change, or from an authority that is asked for one by ACME, such as Let's Encrypt:\n\n" +
			"  caretaker-collector serve --web :443 --acme-name collector.hollybank.example --acme-accept-terms",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			config.Data = o.data
			config.Ready = func(agents, web string) {
				fmt.Fprintf(c.OutOrStdout(), "agents %s\nweb %s\n", agents, web)
			}
			return app.Run(ctx, config, clock.System{})
		},
	}
	serveFlags(c, &config)
	return c
}

// serveFlags are the flags of whatever serves.
func serveFlags(c *cobra.Command, config *app.Config) {
	f := c.Flags()
	f.StringVar(&config.Agents, "agents", ":7443", "address for laptops; port 0 chooses one")
	f.StringSliceVar(&config.Balancers, "agents-balancer", nil, "address or network of a load balancer before --agents that sends the PROXY protocol, version 2; may repeat")
	f.StringVar(&config.Web, "web", "127.0.0.1:8080", "address for the pages; port 0 chooses one")
	f.StringVar(&config.WebCertificate, "web-cert", "", "PEM file with the pages' certificate and its chain")
	f.StringVar(&config.WebKey, "web-key", "", "PEM file with the key of that certificate")
	f.StringSliceVar(&config.ACME.Names, "acme-name", nil, "name of the pages for which an authority is asked for a certificate; may repeat")
	f.BoolVar(&config.ACME.Agreed, "acme-accept-terms", false, "accept the terms of that authority, which somebody has read")
	f.StringVar(&config.ACME.Contact, "acme-contact", "", "mail address to which that authority writes")
	f.StringVar(&config.ACME.Directory, "acme-directory", "", "address of that authority's directory (default: Let's Encrypt)")
	f.StringVar(&config.ACME.Roots, "acme-roots", "", "PEM file by which that authority itself is known, if this machine does not know it")
	f.StringVar(&config.ACME.Plain, "acme-http", "", "address at which that authority looks over plain HTTP, such as :80 (default: it looks at the pages, on port 443)")
	f.StringVar(&config.Checkpoints, "checkpoints", "", "folder into which each school's signed checkpoint is written once a day, to be kept elsewhere")
	f.StringVar(&config.Metrics, "metrics", "", "address at which Prometheus reads figures, such as 9464; a port alone is of this machine (default: none)")
	f.StringVar(&config.MetricsToken, "metrics-token", "", "file with the token that readers of figures show; needed, as is --web-cert, beyond this machine")
	f.IntVar(&config.Updates.Rate, "update-rate", release.UsualRate, "bytes a second that all laptops together are given of a new version of the agent")
	f.DurationVar(&config.Updates.Within, "update-within", 10*time.Minute, "in how long laptops that are offered a new version come for it")
	f.StringVar(&config.TimeZone, "time-zone", "Europe/London", "zone in which the pages show times")
}

func accountCommand(o *options) *cobra.Command {
	var args app.AccountArguments
	create := &cobra.Command{
		Use:   "create",
		Short: "Make an account for the pages; its password is printed once",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return operate(c, o, "account.create", args, func(a app.AccountAnswer) {
				fmt.Fprintln(c.OutOrStdout(), a.Password)
				fmt.Fprintf(c.ErrOrStderr(), "The password of %s (%s). It is not shown again.\n", a.Name, a.Role)
			})
		},
	}
	f := create.Flags()
	f.StringVar(&args.Name, "name", "", "name to sign in with")
	f.StringVar(&args.Role, "role", "", "role: "+roles())
	f.StringSliceVar(&args.Schools, "school", nil, "school the account belongs to; may repeat (default: all)")
	list := &cobra.Command{
		Use:   "list",
		Short: "List the accounts",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return operate(c, o, "account.list", struct{}{}, func(a []app.AccountAnswer) {
				for _, account := range a {
					fmt.Fprintf(c.OutOrStdout(), "%-24s %s\n", account.Name, account.Role)
				}
			})
		},
	}
	return group("account", "Accounts for the pages", append(personCommands(o), create, list)...)
}

func roles() string {
	var names []string
	for _, r := range access.Roles() {
		names = append(names, string(r))
	}
	return strings.Join(names, ", ")
}

func schoolFlag(c *cobra.Command, school *string) {
	c.Flags().StringVar(school, "school", "", "name or identifier of the school; not needed if there is only one")
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
