package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/agent/app"
	"github.com/caretaker-school/caretaker/agent/daemon"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/release"
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
			return daemon.Serve(c.Context(), daemon.Service(), config.Log, stays(config))
		},
	}
	stateFlag(c, &config.State)
	c.AddCommand(attendCommand(), serviceInstallCommand(), serviceStartCommand(), serviceRemoveCommand(), serviceForgetCommand())
	return []*cobra.Command{c}
}

// follow has a program that a person started be that program, and take no releases:
// the service does.
func follow(config *app.Config) {
	config.Installed = app.This()
	config.Installed.System = ""
}

// stays is the agent as the service runs it: in this process, or, where a newer
// version came as a release, as a child of it.
func stays(config app.Config) daemon.Program {
	config.Installed = app.This()
	along := sync.OnceFunc(func() {
		if err := daemon.TakeAlong(); err != nil {
			config.Log.Warn("a newer version that runs in this one's place could outlive it", "reason", err)
		}
	})
	return func(ctx context.Context, woken <-chan struct{}) error {
		config.Woken = woken
		err := app.Stay(ctx, config, clock.System{}, func(ctx context.Context, path string) error {
			config.Log.Log(ctx, daemon.Notice, "a newer version runs in place of the installed one", "version", filepath.Base(filepath.Dir(path)))
			along()
			debug.FreeOSMemory() // of the agent that this process was until now
			placed := daemon.Attended{Path: path, Args: []string{"service", attending, "--state", config.State}}
			status, err := placed.Run(ctx, woken)
			if status == exitAnother {
				return app.AnotherStarts()
			}
			return err
		})
		if app.EndsForAnother(err) {
			return nil // it was told to end, too
		}
		return err
	}
}

// attending is the command by which the service runs a newer version in its own
// place. Installed programs of every age give it to versions of every age: it, its
// --state, its standard input (see daemon.Attend) and exitAnother stay as they are.
const attending = "attend"

func attendCommand() *cobra.Command {
	var config app.Config
	c := &cobra.Command{
		Use:    attending,
		Short:  "Run in place of the installed program, which starts this one",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			handler, closeLog, err := daemon.EventLog(daemon.Service())
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, closeLog()) }()
			config.Log = slog.New(handler)
			config.Installed = app.This()
			app.KeepSmall()
			return daemon.Attend(c.Context(), c.InOrStdin(), func(ctx context.Context, woken <-chan struct{}) error {
				config.Woken = woken
				return app.Run(ctx, config, clock.System{})
			})
		},
	}
	stateFlag(c, &config.State)
	return c
}

// startService has the service started that was installed, if one was: there is
// something for it to do now.
func startService(state string) error {
	if state != app.DefaultState() {
		return nil
	}
	_, err := daemon.Service().Start()
	return err
}

func serviceStartCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "start",
		Short: "Start the service, if this laptop is enrolled or waits to be",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := app.ReadStatus(app.DefaultState(), release.Built(), clock.System{}.Now())
			if err != nil {
				return err
			}
			if !s.Enrolled && !s.Waits {
				fmt.Fprintln(c.OutOrStdout(), "Nothing to do before this laptop is enrolled: caretaker-agent enroll --help")
				return nil
			}
			if there, err := daemon.Service().Start(); err != nil {
				return err
			} else if !there {
				return errors.New("there is no service yet: make it with caretaker-agent service install")
			}
			fmt.Fprintln(c.OutOrStdout(), "Started.")
			return nil
		},
	}
}

func serviceForgetCommand() *cobra.Command {
	var releases bool
	c := &cobra.Command{
		Use:   "forget",
		Short: "Forget who this laptop was to its school, once the service was removed",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if there, err := daemon.Service().There(); err != nil {
				return err
			} else if there {
				return errors.New("the service is still installed: remove it first with caretaker-agent service remove")
			}
			if releases {
				return app.ForgetReleases(app.DefaultState())
			}
			if err := durable.RemoveAll(app.DefaultState()); err != nil {
				return fmt.Errorf("forget who this laptop was: %w", err)
			}
			fmt.Fprintln(c.OutOrStdout(), "Forgotten. The school still knows the laptop, until it is revoked there.")
			return nil
		},
	}
	c.Flags().BoolVar(&releases, "releases", false, "forget only the programs that came as newer versions")
	return c
}

func serviceInstallCommand() *cobra.Command {
	var state string
	var start bool
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
			fmt.Fprintln(c.OutOrStdout(), "Installed. It starts with Windows, and when this laptop is enrolled.")
			if len(lacking) > 0 {
				fmt.Fprintln(c.OutOrStdout(), "This Windows does not know, and it does without:", strings.Join(lacking, ", "))
			}
			if start {
				_, err = daemon.Service().Start()
			}
			return err
		},
	}
	stateFlag(c, &state)
	c.Flags().BoolVar(&start, "start", false, "start it now too")
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
