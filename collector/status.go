package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/certificate"
	"github.com/caretaker-school/caretaker/collector/console"
)

func statusCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Say how each school's record stands: whether it is recorded, shown, and whole as far as is known",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			all, err := answered(c, o, "status", struct{}{}, func(all []app.SchoolStatus) {
				for _, s := range all {
					showStatus(c.OutOrStdout(), s)
					if s.Covered != "" {
						fmt.Fprintf(c.OutOrStdout(), "  %s.\n", s.Covered)
					}
					warn(c.OutOrStdout(), s.Calendar)
					warn(c.OutOrStdout(), s.Policy)
				}
				if len(all) > 0 {
					showCertificate(c.OutOrStdout(), all[0].Certificate)
				}
			})
			if err != nil {
				return err
			}
			for _, s := range all {
				if !s.Well() {
					return errBad
				}
			}
			return nil
		},
	}
}

func showStatus(w io.Writer, s app.SchoolStatus) {
	entries := count(int(s.Entries), "entry", "entries")
	switch {
	case s.Well() && s.Shown == s.Entries:
		fmt.Fprintf(w, "%s: what laptops report is recorded and shown; %s.\n", s.Name, entries)
		return
	case s.Well():
		fmt.Fprintf(w, "%s: what laptops report is recorded; %d of %s are shown, the rest is being worked in.\n", s.Name, s.Shown, entries)
		return
	case s.Recording:
		fmt.Fprintf(w, "%s: what laptops report is recorded, BUT\n", s.Name)
	default:
		fmt.Fprintf(w, "%s: NOTHING IS RECORDED since %s; laptops keep their reports and send them again:\n", s.Name, when(s.Since))
	}
	for _, t := range s.Trouble {
		fmt.Fprintf(w, "  %s\n", t)
	}
	if d := s.Damage; d != nil {
		fmt.Fprintf(w, "  Damaged: %s\n  Put this file back from a backup, then start the collector again; ledger verify tells whether the record is whole.\n", d)
	}
	if !s.ClockBack.IsZero() {
		fmt.Fprintf(w, "  The record has an entry of %s, which is later than this machine's clock: put the clock right.\n", when(s.ClockBack))
	}
	if s.Shown < s.Entries {
		fmt.Fprintf(w, "  %d of %s are shown.\n", s.Shown, entries)
	}
}

// showCertificate says which certificate the pages are served with; nil if with
// none.
func showCertificate(w io.Writer, s *certificate.State) {
	switch {
	case s == nil:
	case s.Trouble != "":
		fmt.Fprintf(w, "Mind: %s\n", s.Trouble)
	case s.Renews.IsZero():
		fmt.Fprintf(w, "The pages' certificate ends on %s.\n", when(s.Ends))
	default:
		fmt.Fprintf(w, "The pages' certificate ends on %s; a new one is asked for on %s.\n", when(s.Ends), when(s.Renews))
	}
}

// noteBehind says beside a list, not in it, what whoever reads it must know of
// the record that it was made from.
func noteBehind(c *cobra.Command, o *options, school string) {
	var all []app.SchoolStatus
	err := console.Call(c.Context(), o.data, "status", struct{}{}, &all)
	if errors.Is(err, console.ErrNotRunning) {
		return // what was wrong was said when the record was opened
	}
	if err != nil {
		fmt.Fprintln(c.ErrOrStderr(), "How the record stands is not known:", err)
		return
	}
	for _, s := range all {
		if (school == "" || school == s.Name || school == string(s.School)) && (!s.Well() || s.Shown < s.Entries) {
			showStatus(c.ErrOrStderr(), s)
		}
	}
}
