// Caretaker-agent runs on a school laptop: it reads encryption, antivirus,
// removable media, programs and a few settings, judges them by the school's
// policy and reports to the school's collector. It changes nothing on the
// laptop and opens no port.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/agent/app"
	"github.com/caretaker-school/caretaker/agent/daemon"
	"github.com/caretaker-school/caretaker/agent/enroll"
	"github.com/caretaker-school/caretaker/agent/tpm"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/release"
)

// The exit statuses of check.
const (
	exitNothingFails = 0
	exitSomethingNot = 1 // something fails or is not proven
	exitCouldNotRun  = 2
)

// exitAnother is the exit status of a program that the service runs in its own
// place, if it has ended so that another version starts.
const exitAnother = 4

// exitRefused is the exit status of enroll if the school does not admit this
// laptop: it belongs to a person, or the token is not valid. An installer that
// is told so need not try again.
const exitRefused = 3

func main() {
	if app.IsChild(os.Args) {
		os.Exit(app.RunChild(os.Args, os.Stdin, os.Stdout, os.Stderr))
	}
	status := exitNothingFails
	if err := root(&status).ExecuteContext(context.Background()); err != nil {
		if app.EndsForAnother(err) {
			os.Exit(exitAnother)
		}
		fmt.Fprintln(os.Stderr, "caretaker-agent:", err)
		if errors.Is(err, enroll.ErrRefused) {
			os.Exit(exitRefused)
		}
		os.Exit(exitCouldNotRun)
	}
	os.Exit(status)
}

func root(status *int) *cobra.Command {
	c := &cobra.Command{
		Use:   "caretaker-agent",
		Short: "Report how this school laptop is kept",
		Long: "Caretaker-agent reads this laptop's disk encryption, antivirus, removable media, programs and\n" +
			"a few settings, judges them by the school's policy and reports to the school. It changes nothing.\n" +
			"`caretaker-agent check` shows exactly what would be sent.",
		Version:       release.Version(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	c.CompletionOptions.HiddenDefaultCmd = true
	c.AddCommand(checkCommand(status), statusCommand(), enrollCommand(), runCommand(), recordCommand(), proxyCommand())
	c.AddCommand(serviceCommands()...)
	return c
}

func runCommand() *cobra.Command {
	config := app.Config{TPM: tpm.System(), Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	c := &cobra.Command{
		Use:   "run",
		Short: "Assess this laptop and report, until stopped",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			follow(&config)
			app.KeepSmall()
			return daemon.Run(c.Context(), agent(config))
		},
	}
	stateFlag(c, &config.State)
	return c
}

// agent is the program that a service manager or a person runs.
func agent(config app.Config) daemon.Program {
	return func(ctx context.Context, woken <-chan struct{}) error {
		config.Woken = woken
		err := app.Run(ctx, config, clock.System{})
		if app.EndsForAnother(err) {
			config.Log.Info("this version ends so that another starts", "reason", err)
			return nil
		}
		return err
	}
}

func enrollCommand() *cobra.Command {
	var config app.EnrollConfig
	var proxy app.ProxyConfig
	c := &cobra.Command{
		Use:   "enroll",
		Short: "Become a device of a school, with a token that its technician made",
		Long: "Become a device of a school, with a token that its technician made.\n" +
			"It is for the school's own laptops and those that its scheme authorises. A laptop that belongs to a student, a\n" +
			"member of staff or a visitor gets no agent: the school has no say over it. Say whose it is with --class, and such\n" +
			"a one is refused before anything is made or sent.\n" +
			"Where the token admits on approval, a short code is shown, here and by status: the school's technician approves the\n" +
			"laptop by it, and its service enrols it then. Without a token, enroll asks at once whether that was done.\n" +
			"With --later a laptop that cannot reach the school is enrolled by its service when it can: the token is kept for\n" +
			"that, for the service alone, and taken away when the school has answered.\n" +
			"Exit status: 0 enrolled, waiting for approval or left to the service, 2 it could not be tried or the collector was not reached, 3 the school does not admit it.",
		Example: "  caretaker-agent enroll --class school-single-user --token -",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := app.CheckClass(config.Class); err != nil {
				return err
			}
			if _, waits, err := enroll.LoadWaiting(config.State); config.Token == "" && err == nil && !waits {
				return errors.New("enrolling needs a token: ask the school's technician for one, and give it with --token")
			}
			config.Stdin = c.InOrStdin()
			config.TPM = tpm.System()
			config.InFile = func(reason error) {
				fmt.Fprintf(c.OutOrStdout(), "Its key is kept in a file that its service alone may read, not in a TPM: %s.\n", reason)
			}
			config.About = &app.Config{State: config.State, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
			if proxy.Proxy != "" {
				config.Proxy = &proxy
			}
			done, err := app.Enroll(c.Context(), config, clock.System{})
			if errors.Is(err, app.ErrLater) {
				fmt.Fprintf(c.OutOrStdout(), "Not enrolled yet. %s\n", sentence(err))
				return startService(config.State)
			}
			if waits, ok := errors.AsType[*enroll.WaitingError](err); ok {
				app.PrintApproval(c.OutOrStdout(), *app.NewApproval(waits.Waiting))
				return startService(config.State)
			}
			if err != nil {
				return err
			}
			if err := startService(config.State); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "Enrolled with %s as %s.\n", done.SchoolName, done.Device)
			return nil
		},
	}
	stateFlag(c, &config.State)
	c.Flags().StringVar((*string)(&config.Class), "class", "", "whose laptop it is: school-single-user, school-multi-user, authorised, student-owned, staff-owned or visitor-owned")
	c.Flags().BoolVar(&config.Later, "later", false, "if the school cannot be reached, leave it to the service")
	c.Flags().StringVar(&proxy.Proxy, "proxy", "", "reach the school through this proxy, host:port, from now on; see caretaker-agent proxy")
	c.Flags().StringVar(&proxy.User, "proxy-user", "", "the name that the proxy wants, with --proxy-password-file")
	c.Flags().StringVar(&proxy.PasswordFile, "proxy-password-file", "", "a file with the password that the proxy wants")
	c.Flags().StringVar(&config.Token, "token", "", "the enrolment token, beginning with ctk1-; - reads it from standard input")
	return c
}

func statusCommand() *cobra.Command {
	var state string
	var asJSON bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Say who this laptop reports to, when it last did, and what is checked and why",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := app.ReadStatus(state, release.Built(), clock.System{}.Now())
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(c, s)
			}
			app.PrintStatus(c.OutOrStdout(), s)
			return nil
		},
	}
	stateFlag(c, &state)
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return c
}

func checkCommand(status *int) *cobra.Command {
	config := app.CheckConfig{Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	var asJSON bool
	c := &cobra.Command{
		Use:   "check",
		Short: "Assess this machine once and show what would be reported",
		Long: "Check assesses this machine once and shows what would be reported. It needs no enrolment and no network.\n" +
			"Exit status: 0 nothing fails, 1 something fails or is not proven, 2 it could not run.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			report, rules, err := app.Check(c.Context(), config, clock.System{})
			if err != nil {
				return err
			}
			if app.AnythingOpen(report) {
				*status = exitSomethingNot
			}
			if asJSON {
				return writeJSON(c, report)
			}
			app.PrintReport(c.OutOrStdout(), report, rules)
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the exact report as one JSON document")
	c.Flags().StringVar(&config.Policy, "policy", "", "judge by this compiled policy instead of the built-in baseline")
	c.Flags().StringVar(&config.Replay, "replay", "", "assess the machine recorded in this folder instead of this one")
	c.Flags().StringVar(&config.State, "state", "", "use the assignment, policy and media key of the agent enrolled in this folder")
	return c
}

func recordCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "record DIR",
		Short: "Record this machine, without names, serials and addresses, for check --replay",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := app.Record(c.Context(), args[0], clock.System{}); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "Recorded in %s. Read it before you give it away: caretaker-agent check --replay %s\n", args[0], args[0])
			return nil
		},
	}
}

func stateFlag(c *cobra.Command, state *string) {
	c.Flags().StringVar(state, "state", app.DefaultState(), "folder of the agent's state")
}

// sentence is an error that is told to people as what comes next.
func sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

func writeJSON(c *cobra.Command, v any) error {
	e := json.NewEncoder(c.OutOrStdout())
	e.SetIndent("", "  ")
	return e.Encode(v)
}
