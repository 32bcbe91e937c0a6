package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/daemon"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/durable"
)

// serviceCommands are what the Service Control Manager starts, and what makes and
// removes the service.
func serviceCommands(o *options) []*cobra.Command {
	simple := func(use, short, done string, do func(name string) error) *cobra.Command {
		return &cobra.Command{
			Use: use, Short: short, Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				err := do(daemon.Name)
				if err == nil {
					fmt.Fprintln(c.OutOrStdout(), done)
				}
				return err
			},
		}
	}
	return []*cobra.Command{group("service", "The collector as a service of Windows", serviceInstallCommand(o), serviceRunCommand(o),
		simple("start", "Start the service", "Started.", daemon.Start),
		simple("stop", "Stop the service and wait until it has", "Stopped.", daemon.Stop),
		simple("remove", "Stop the service and take it away; its data folder stays", "Removed. What it recorded is where it was.", daemon.Remove))}
}

func serviceInstallCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "install [-- FLAGS OF SERVE]",
		Short: "Make the service, which starts with Windows from now on; as an administrator",
		Long: "Make the service, which starts with Windows from now on, and again when it failed. It serves as `serve` does with\n" +
			"the flags that are given after --. Its data folder is closed to everybody but LocalSystem and administrators.\n" +
			"What it has to say is in the Application log, with the source " + daemon.Source + ".",
		Example: "  caretaker-collector service install -- --web :443 --web-cert C:\\certs\\pages.pem --web-key C:\\certs\\pages.key\n" +
			"  caretaker-collector service start",
		RunE: func(c *cobra.Command, args []string) error {
			var flags cobra.Command
			serveFlags(&flags, new(app.Config))
			if err := flags.ParseFlags(args); err != nil {
				return fmt.Errorf("read the flags of serve: %w", err)
			}
			if flags.Flags().NArg() > 0 {
				return fmt.Errorf("read the flags of serve: %q is none", flags.Flags().Arg(0))
			}
			program, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this program: %w", err)
			}
			for _, path := range []string{program, filepath.Dir(program)} { // it will run with LocalSystem's rights
				if err := durable.CheckWriters(path); err != nil {
					return fmt.Errorf("install a service that only administrators can change: %w", err)
				}
			}
			data, err := filepath.Abs(o.data)
			if err != nil {
				return fmt.Errorf("find the data folder: %w", err)
			}
			if err := durable.MakePrivate(data); err != nil {
				return err
			}
			if err := daemon.Install(daemon.Name, append([]string{"service", "run", "--data", data}, args...)...); err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), "Installed. It starts with Windows; start it now with caretaker-collector service start.")
			return nil
		},
	}
}

func serviceRunCommand(o *options) *cobra.Command {
	var config app.Config
	c := &cobra.Command{
		Use: "run", Hidden: true, Args: cobra.NoArgs,
		Short: "What the Service Control Manager starts",
		RunE: func(c *cobra.Command, _ []string) (err error) {
			handler, closeLog, err := daemon.Log()
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, closeLog()) }()
			config.Log, config.Data = slog.New(handler), o.data
			return daemon.Serve(c.Context(), daemon.Name, func(ctx context.Context) error {
				err := app.Run(ctx, config, clock.System{})
				if err != nil {
					config.Log.Error("the service ends because of a failure; it is started again", "reason", err)
				}
				return err
			})
		},
	}
	serveFlags(c, &config)
	return c
}
