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
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/posture"
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
			"Pages are served over plain HTTP on this machine only; elsewhere they need a certificate and its key.",
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
	f := c.Flags()
	f.StringVar(&config.Agents, "agents", ":7443", "address for laptops; port 0 chooses one")
	f.StringVar(&config.Web, "web", "127.0.0.1:8080", "address for the pages; port 0 chooses one")
	f.StringVar(&config.WebCertificate, "web-cert", "", "PEM file with the pages' certificate and its chain")
	f.StringVar(&config.WebKey, "web-key", "", "PEM file with the key of that certificate")
	f.StringVar(&config.Checkpoints, "checkpoints", "", "folder into which each school's signed checkpoint is written once a day, to be kept elsewhere")
	f.StringVar(&config.Metrics, "metrics", "", "address at which Prometheus reads figures, such as 9464; a port alone is of this machine (default: none)")
	f.StringVar(&config.MetricsToken, "metrics-token", "", "file with the token that readers of figures show; needed, as is --web-cert, beyond this machine")
	f.StringVar(&config.TimeZone, "time-zone", "Europe/London", "zone in which the pages show times")
	return c
}

func tokenCommand(o *options) *cobra.Command {
	args := app.TokenArguments{}
	var ownership string
	create := &cobra.Command{
		Use:   "create",
		Short: "Make a token with which laptops enrol; it is printed once",
		Args:  cobra.NoArgs,
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
	f.DurationVar(&args.Lifetime, "lifetime", 7*24*time.Hour, "how long it admits them")
	f.StringVar(&ownership, "ownership", string(posture.SchoolSingleUser), "class of the laptops: school-single-user, school-multi-user or authorised")
	f.StringSliceVar(&args.Addresses, "address", nil, "host:port at which laptops reach the collector (default: where it last served)")
	return group("token", "Tokens with which laptops enrol", create)
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
	return group("account", "Accounts for the pages", create, list)
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
