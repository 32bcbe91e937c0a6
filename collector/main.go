// Caretaker-collector takes in what the laptops of a school report, records it
// in a ledger that can be verified, and shows it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	_ "time/tzdata" // pages show a school's own time wherever the collector runs

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/shared/release"
)

// The exit statuses.
const (
	exitDone    = 0
	exitBad     = 1 // what was checked or verified is not good
	exitNotDone = 2 // the command could not do its work
	exitNoTrust = 3 // evidence is consistent, and nothing says whose it is
)

// errBad means that what was checked or verified is not good; the reasons are
// printed already.
var errBad = errors.New("not good")

func main() {
	err := root().ExecuteContext(context.Background())
	switch {
	case errors.Is(err, errBad):
		os.Exit(exitBad)
	case errors.Is(err, errUnproven):
		os.Exit(exitNoTrust)
	case err != nil:
		fmt.Fprintln(os.Stderr, "caretaker-collector:", err)
		os.Exit(exitNotDone)
	}
	os.Exit(exitDone)
}

func root() *cobra.Command {
	c := &cobra.Command{
		Use:   "caretaker-collector",
		Short: "Record and show how a school's laptops are kept",
		Long: "Caretaker-collector takes in what the laptops of a school report, records it in a ledger that can be\n" +
			"verified, and shows devices, findings and policy breaches. Begin with init, then serve.\n" +
			"All commands work while the collector runs and when it does not.",
		Version:       release.Version(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	c.CompletionOptions.HiddenDefaultCmd = true
	o := &options{}
	c.PersistentFlags().StringVar(&o.data, "data", app.DefaultData(), "folder of the collector's state")
	c.PersistentFlags().BoolVar(&o.json, "json", false, "print one JSON document")
	c.AddCommand(initCommand(o), serveCommand(o), tokenCommand(o), enrolmentCommand(o), accountCommand(o), keyCommand(o), policyCommand(o), calendarCommand(o), particularsCommand(o), updateCommand(o), subjectCommand(o),
		deviceCommand(o), breachCommand(o), exemptionCommand(o), evidenceCommand(o), noticeCommand(o), ledgerCommand(o), viewCommand(o), statusCommand(o))
	c.AddCommand(healthCommand(o), backupCommand(o), restoreCommand(o))
	c.AddCommand(serviceCommands(o)...)
	c.AddCommand(registerCommand(o), mediaCommand(o), licenceCommand(o), retentionCommand(o))
	c.AddCommand(signOnCommand(o))
	c.AddCommand(incidentCommand(o), concernCommand(o), disputeCommand(o))
	c.AddCommand(viewsCommand(o))
	c.AddCommand(restrictedCommand(o), holdCommand(o), seniorCommand(o))
	c.AddCommand(trustCommand(o), groupCommand(o))
	c.AddCommand(reportCommand(o))
	c.AddCommand(trendsCommand(o))
	return c
}

// options are the flags that every command has.
type options struct {
	data string
	json bool
}

// group makes a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 { // a slip of the pen must not look like success to a script
				return fmt.Errorf("unknown command %q for %q", args[0], c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(commands...)
	return c
}
