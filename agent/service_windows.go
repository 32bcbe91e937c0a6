package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/agent/app"
	"github.com/caretaker-school/caretaker/agent/daemon"
	"github.com/caretaker-school/caretaker/shared/durable"
)

// serviceCommands are what the Service Control Manager starts and installers
// use.
func serviceCommands() []*cobra.Command {
	var config app.Config
	c := &cobra.Command{
		Use:   "service",
		Short: "Run for Windows' Service Control Manager, or install and remove the service",
		Long: "Service does what run does, when the Service Control Manager starts it. Warnings, errors, starts and\n" +
			"stops are in the Application log, with the source \"" + daemon.Service().EventSource + "\".",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			handler, closeLog, err := daemon.EventLog(daemon.Service())
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, closeLog()) }()
			config.Log = slog.New(handler)
			app.KeepSmall()
			return daemon.Serve(c.Context(), daemon.Service(), config.Log, agent(config))
		},
	}
	stateFlag(c, &config.State)
	c.AddCommand(serviceInstallCommand(), serviceRemoveCommand())
	return []*cobra.Command{c}
}

func serviceInstallCommand() *cobra.Command {
	var state string
	c := &cobra.Command{
		Use:   "install",
		Short: "Make the service, which starts with Windows from now on; as an administrator",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			program, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this program: %w", err)
			}
			// It will run with all of LocalSystem's rights.
			for _, path := range []string{program, filepath.Dir(program)} {
				if err := durable.CheckWriters(path); err != nil {
					return fmt.Errorf("install a service that only administrators can change: %w", err)
				}
			}
			var arguments []string
			if state != app.DefaultState() {
				if state, err = filepath.Abs(state); err != nil {
					return fmt.Errorf("find the state folder: %w", err)
				}
				arguments = []string{"--state", state}
			}
			lacking, err := daemon.Service().Install(program, arguments...)
			if err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), "Installed. It starts with Windows; to start it now: sc start", daemon.Service().Name)
			if len(lacking) > 0 {
				fmt.Fprintln(c.OutOrStdout(), "This Windows does not know, and it does without:", strings.Join(lacking, ", "))
			}
			return nil
		},
	}
	stateFlag(c, &state)
	return c
}

func serviceRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove",
		Short: "Stop the service and take it away; its state folder stays",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := daemon.Service().Remove(c.Context()); err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), "Removed. What the agent knows is still in its state folder.")
			return nil
		},
	}
}
