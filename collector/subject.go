package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/api"
	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/subject"
)

func subjectCommand(o *options) *cobra.Command {
	return group("subject", "Requests of people who ask what the school keeps about them",
		subjectList(o), subjectShow(o), subjectReceive(o), subjectRecord(o), subjectPeople(o), subjectExport(o), subjectSheet(o))
}

// subjectFlags are those that every one of these commands has.
func subjectFlags(c *cobra.Command, args *app.SubjectArguments) {
	schoolFlag(c, &args.School)
	keyFlag(c, &args.Key)
	cobra.CheckErr(c.MarkFlagRequired("key"))
}

// ofSubject asks for something about requests with the key that a file holds.
func ofSubject[A any](c *cobra.Command, o *options, operation string, args app.SubjectArguments, show func(w io.Writer, a A)) (err error) {
	if args.Key, err = keyIn(args.Key); err != nil {
		return err
	}
	return operate(c, o, operation, args, func(a A) { show(c.OutOrStdout(), a) })
}

func showRequest(w io.Writer, r api.Request) {
	fmt.Fprintf(w, "%s  %s, asked on %s (%s): %s\n", r.ID, r.Name, subject.Day(r.On), r.How, r.Words)
}

func subjectList(o *options) *cobra.Command {
	var args app.SubjectArguments
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the requests, each with the day by which it is to be answered",
		Example: "  caretaker-collector subject list --key key.txt",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return ofSubject(c, o, "subject.list", args, func(w io.Writer, a app.RequestList) {
				for _, r := range a.Requests {
					showRequest(w, r)
				}
				if len(a.Requests) == 0 {
					fmt.Fprintln(w, "Nobody has asked.")
				}
			})
		},
	}
	subjectFlags(c, &args)
	return c
}

func subjectShow(o *options) *cobra.Command {
	var args app.SubjectArguments
	c := &cobra.Command{
		Use:     "show REQUEST",
		Short:   "Show one request, with all that was recorded of it",
		Example: "  caretaker-collector subject show sr-k3x9m2ab --key key.txt",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			args.ID = rest[0]
			return ofSubject(c, o, "subject.show", args, func(w io.Writer, r api.Request) {
				showRequest(w, r)
				for _, t := range r.Taken {
					fmt.Fprintf(w, "  %s  %s by %s: %s\n", when(t.At), t.What, t.By, t.Words)
				}
			})
		},
	}
	subjectFlags(c, &args)
	return c
}

func subjectReceive(o *options) *cobra.Command {
	args := app.SubjectArguments{Change: subject.Change{What: subject.Receive}}
	c := &cobra.Command{
		Use:   "receive NAME",
		Short: "Record that somebody asked what is kept about them, in whatever words",
		Long: "Receive records that somebody asked. Spoken counts as much as written, and whoever works for the school can be\n" +
			"asked. The answer is due on the same day of the next month: weekends and holidays count.",
		Example: "  caretaker-collector subject receive \"Sam Carter\" --how spoken --on 2026-11-02 --reason \"asked the head in the corridor\" --key key.txt",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			args.Change.Name = rest[0]
			return ofSubject(c, o, "subject.record", args, showRequest)
		},
	}
	subjectFlags(c, &args)
	c.Flags().StringVar((*string)(&args.Change.How), "how", string(subject.Spoken), "spoken, letter, mail or other")
	onFlag(c, &args.Change.On)
	reasonFlag(c, &args.Reason)
	return c
}

func onFlag(c *cobra.Command, on *string) {
	c.Flags().StringVar(on, "on", time.Now().Format(time.DateOnly), "the day, at the school")
}

func subjectRecord(o *options) *cobra.Command {
	var args app.SubjectArguments
	c := &cobra.Command{
		Use:   "record REQUEST ask-proof|identified|extend|answered|refused|withdrawn",
		Short: "Record what became of a request",
		Long: "Record what became of a request. While they are asked who they are the month waits; with --months 1 or 2 it is\n" +
			"extended, which they are told within the first month with the reason.",
		Example: "  caretaker-collector subject record sr-k3x9m2ab identified --reason \"known to the office\" --key key.txt",
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, rest []string) error {
			args.ID, args.Change.What = rest[0], subject.What(rest[1])
			return ofSubject(c, o, "subject.record", args, showRequest)
		},
	}
	subjectFlags(c, &args)
	c.Flags().IntVar(&args.Change.Months, "months", 0, "of an extension: how many months more, in all")
	onFlag(c, &args.Change.On)
	reasonFlag(c, &args.Reason)
	return c
}

func subjectPeople(o *options) *cobra.Command {
	var args app.SubjectArguments
	c := &cobra.Command{
		Use:     "people",
		Short:   "List the names under which the school may keep something about somebody",
		Example: "  caretaker-collector subject people --key key.txt",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return ofSubject(c, o, "subject.people", args, func(w io.Writer, p api.People) {
				fmt.Fprintf(w, "In the register:\n  %s\nAccounts:\n  %s\n", strings.Join(p.People, "\n  "), strings.Join(p.Accounts, "\n  "))
			})
		},
	}
	subjectFlags(c, &args)
	return c
}

func subjectExport(o *options) *cobra.Command {
	var args app.SubjectArguments
	c := &cobra.Command{
		Use:   "export REQUEST",
		Short: "Gather what is kept about whoever asked",
		Long: "Export gathers what is kept about whoever asked, under every name that is given as subject people lists it. It is\n" +
			"kept for 30 days, unless the school says otherwise, and then forgotten; that it was made stays.",
		Example: "  caretaker-collector subject export sr-k3x9m2ab --person \"Sam Carter\" --account sam --key key.txt",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			args.ID = rest[0]
			return ofSubject(c, o, "subject.export", args, func(w io.Writer, r api.Request) {
				showRequest(w, r)
				if made := r.Exports(); len(made) > 0 {
					fmt.Fprintf(w, "Gathered %d lines. Read them before they are given out: subject sheet %s\n", made[0].Lines, r.ID)
				}
			})
		},
	}
	subjectFlags(c, &args)
	c.Flags().StringArrayVar(&args.People, "person", nil, "a name of theirs in the register; can be given several times")
	c.Flags().StringArrayVar(&args.Accounts, "account", nil, "an account of theirs; can be given several times")
	return c
}

func subjectSheet(o *options) *cobra.Command {
	var args app.SubjectArguments
	var file string
	c := &cobra.Command{
		Use:     "sheet REQUEST",
		Short:   "Show what was gathered last for a request, or write its file",
		Example: "  caretaker-collector subject sheet sr-k3x9m2ab --file sam-carter.json --key key.txt",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			args.ID = rest[0]
			var wrong error
			err := ofSubject(c, o, "subject.sheet", args, func(w io.Writer, e api.Export) { wrong = showExport(w, e, file) })
			return errors.Join(err, wrong)
		},
	}
	subjectFlags(c, &args)
	c.Flags().StringVar(&file, "file", "", "write the file here: its bytes are the same each time")
	return c
}

func showExport(w io.Writer, e api.Export, file string) error {
	if e.Forgotten {
		fmt.Fprintf(w, "What was gathered %s for %s was forgotten since, as such exports are. Gather it again.\n", when(e.At), e.Request)
		return nil
	}
	if file != "" {
		if err := os.WriteFile(file, e.File, 0o600); err != nil {
			return fmt.Errorf("write what was gathered: %w", err)
		}
		fmt.Fprintf(w, "Wrote %s, SHA-256 %s. Delete it once it has been given out.\n", file, e.Digest)
		return nil
	}
	sheet, err := subject.Decode(e.File)
	if err != nil {
		return err
	}
	return subject.Print(w, sheet)
}
