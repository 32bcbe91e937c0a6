package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/calendar"
	"github.com/caretaker-school/caretaker/collector/fault"
	"github.com/caretaker-school/caretaker/collector/view"
)

func calendarCommand(o *options) *cobra.Command {
	return group("calendar", "The school's terms, holidays and closed days", calendarSet(o), calendarShow(o), calendarCheck(o))
}

func calendarSet(o *options) *cobra.Command {
	var args app.CalendarArguments
	c := &cobra.Command{
		Use:   "set FILE",
		Short: "Set the term calendar: grace in school days then stands still while the school is closed",
		Long: "Set records a term calendar. It counts for every day that it speaks of, also those that have passed; of\n" +
			"other days an earlier calendar says what counts. A day of which no calendar speaks is not a holiday.\n" +
			"What is about encryption, and what is critical, never stands still.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			source, err := readCalendar(rest[0])
			if err != nil {
				return err
			}
			args.File, args.Source = filepath.Base(rest[0]), source
			return operate(c, o, "calendar.set", args, func(a app.CalendarAnswer) {
				w := c.OutOrStdout()
				fmt.Fprintf(w, "Set %s, which speaks of %s to %s (%s). Recorded as entry %d.\n", a.Name, a.From.Words(), a.To.Words(), a.Zone, a.Entry)
				warn(w, a.Warning)
			})
		},
	}
	schoolFlag(c, &args.School)
	c.Flags().StringVar(&args.Reason, "reason", "", "why, for the record (default: the school's term dates)")
	return c
}

// readCalendar reads a file that is no larger than a calendar.
func readCalendar(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read the calendar: %w", err)
	}
	defer f.Close()
	source, err := io.ReadAll(io.LimitReader(f, calendar.MostSource+1))
	if err != nil {
		return nil, fmt.Errorf("read the calendar: %w", err)
	}
	return source, nil
}

func calendarCheck(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Say everything that is wrong with a term calendar",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			source, err := readCalendar(args[0])
			if err != nil {
				return err
			}
			made, err := calendar.Parse(args[0], source)
			problems, bad := errors.AsType[fault.ListError](err)
			w := c.OutOrStdout()
			switch {
			case o.json && !bad:
				err = printJSON(c, fault.ListError{})
			case o.json:
				err = printJSON(c, problems)
			case bad:
				fmt.Fprintln(w, problems)
				err = nil
			default:
				fmt.Fprintf(w, "%s is good: %s (%s).\n", args[0], made.Name(), made.Zone())
				showSpans(w, made.Spans())
			}
			if err == nil && bad {
				return errBad
			}
			return err
		},
	}
}

func calendarShow(o *options) *cobra.Command {
	var args app.CalendarArguments
	c := &cobra.Command{
		Use:   "show [NUMBER]",
		Short: "Show what is known of the school's days, or the text of one calendar that was set",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			number := 0
			if len(rest) == 1 {
				n, err := strconv.Atoi(rest[0])
				if err != nil || n < 1 {
					return fmt.Errorf("a calendar has a number from 1, not %q", rest[0])
				}
				number = n
			}
			var missing error
			_, err := answered(c, o, "calendar.show", args, func(a view.Calendar) {
				missing = showCalendar(c.OutOrStdout(), a, number)
			})
			return errors.Join(err, missing)
		},
	}
	schoolFlag(c, &args.School)
	return c
}

// showCalendar shows what is known, or the text of one calendar.
func showCalendar(w io.Writer, a view.Calendar, number int) error {
	if number > 0 {
		for _, h := range a.History {
			if h.Number == number {
				fmt.Fprint(w, h.Source)
				return nil
			}
		}
		return fmt.Errorf("the school has set no calendar %d", number)
	}
	today := a.Today.Kind.String()
	if a.Today.Name != "" {
		today += ", " + a.Today.Name
	}
	fmt.Fprintf(w, "Today, %s: %s.\n", a.Today.Date.Words(), today)
	warn(w, a.Warning)
	showSpans(w, a.Spans)
	if len(a.History) > 0 {
		fmt.Fprintln(w, "\nSet:")
	}
	for _, h := range a.History {
		by := h.By
		if by == "" {
			by = "somebody whom the record has forgotten"
		}
		fmt.Fprintf(w, "  %d  %s, by %s: %s (%s to %s)\n", h.Number, when(h.At), by, h.Name, h.From, h.To)
	}
	return nil
}

func showSpans(w io.Writer, spans []calendar.Span) {
	for _, s := range spans {
		days := s.From.String()
		if s.To != s.From {
			days += " to " + s.To.String()
		}
		fmt.Fprintf(w, "  %-24s  %-10s  %s\n", days, s.Kind, s.Name)
	}
}

// warn prints a warning, if there is one, as a sentence.
func warn(w io.Writer, warning string) {
	if warning != "" {
		fmt.Fprintf(w, "Mind: %s.\n", warning)
	}
}
