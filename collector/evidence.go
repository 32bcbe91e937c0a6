package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/evidence"
	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// errUnproven means that evidence is consistent and nothing says whose it is;
// that was printed already.
var errUnproven = errors.New("origin not proven")

func evidenceCommand(o *options) *cobra.Command {
	return group("evidence", "What is proven of a laptop or a school, for people and for strangers", evidenceDevice(o), evidenceSchool(o), evidenceVerify(o))
}

// asked is what the commands print by.
type asked struct {
	zone, aware string
}

// usualZone is that of the times where nothing else says.
const usualZone = "Europe/London"

func (a *asked) flags(c *cobra.Command, zone string) {
	c.Flags().StringVar(&a.zone, "time-zone", zone, "zone of the times that are read and printed")
}

func (a *asked) awareFlag(c *cobra.Command) {
	c.Flags().StringVar(&a.aware, "aware", "", "when the school became aware of the loss: says until when the regulator must be told")
}

// location returns the zone that was asked for, or the usual one.
func (a *asked) location() (*time.Location, error) {
	name := cmp.Or(a.zone, usualZone)
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("show times in %s: %w", name, err)
	}
	return zone, nil
}

// moment reads a time in the zone; "" is none.
func (a *asked) moment(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	zone, err := a.location()
	if err != nil {
		return time.Time{}, err
	}
	return parseMoment(text, zone)
}

// print prints what a bundle says, in the zone that was asked for or the one
// in which it was made.
func (a *asked) print(c *cobra.Command, b *evidence.Bundle) error {
	zone, err := a.location()
	if err != nil {
		return err
	}
	if a.zone == "" {
		zone = b.Location(zone)
	}
	aware, err := a.moment(a.aware)
	if err != nil {
		return err
	}
	return evidence.Print(c.OutOrStdout(), b, zone, aware)
}

// give writes a bundle where it was asked to be, and prints what it says.
func (a *asked) give(c *cobra.Command, o *options, sealed []byte, out, holds string) error {
	b, _, err := evidence.Verify(sealed, evidence.Trust{})
	if err != nil {
		return err
	}
	if out != "" {
		if err := durable.WriteFile(out, sealed, fs.FileMode(0o600)); err != nil {
			return err
		}
		fmt.Fprintf(c.ErrOrStderr(), "Written into %s. It holds %s: give it to those who need it.\n", out, holds)
	}
	if o.json {
		return printJSON(c, b)
	}
	return a.print(c, b)
}

func evidenceDevice(o *options) *cobra.Command {
	var args app.EvidenceArguments
	var how asked
	var at, out string
	c := &cobra.Command{
		Use:   "device DEVICE",
		Short: "Say what is proven of a laptop at a moment, and write the proof into a file",
		Long: "Say what is proven of a laptop at a moment, such as when it was lost: encrypted or not, since when, what is\n" +
			"missing and what nobody can know. With --output the answer and its proof are written into a file that\n" +
			"`evidence verify` checks on any machine. Times are like \"2026-10-23 16:20\" or 2026-10-23T16:20:00+01:00.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			var err error
			args.Device, args.Zone = rest[0], how.zone
			if args.At, err = how.moment(at); err != nil {
				return err
			}
			if args.Aware, err = how.moment(how.aware); err != nil {
				return err
			}
			var answer app.EvidenceAnswer
			if err := ask(c, o, "evidence.device", args, &answer); err != nil {
				return err
			}
			return how.give(c, o, answer.Bundle, out, "what the device reported")
		},
	}
	schoolFlag(c, &args.School)
	c.Flags().StringVar(&at, "at", "", "the moment that is asked about (default: now)")
	c.Flags().StringVarP(&out, "output", "o", "", "file to write the sealed evidence into")
	how.flags(c, usualZone)
	how.awareFlag(c)
	return c
}

func evidenceSchool(o *options) *cobra.Command {
	var args app.PositionArguments
	var how asked
	var at, out string
	c := &cobra.Command{
		Use:   "school --at DATE",
		Short: "Say where a school stood on a date, and write the proof into a file",
		Long: "Say where a school stood at the end of a day that is over, or at a moment: of each rule how many devices met it,\n" +
			"did not, were not proven to or were exempt; which of the registered devices were covered; which policy was in force; and\n" +
			"what none of this can be evidence of. The collector folds the record up to that moment anew, which takes a\n" +
			"while for a long one. With --output the answer is written into a file that `evidence verify` checks.\n" +
			"Dates are like 2026-11-03, moments like \"2026-11-03 12:00\".",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			zone, err := how.location()
			if err != nil {
				return err
			}
			if args.At, err = parseDay(at, zone); err != nil {
				return err
			}
			args.Zone = how.zone
			var answer app.PositionAnswer
			if err := ask(c, o, "evidence.school", args, &answer); err != nil {
				return err
			}
			return how.give(c, o, answer.Bundle, out, "where the school stood")
		},
	}
	schoolFlag(c, &args.School)
	c.Flags().StringVar(&at, "at", "", "the day, of which the end counts, or the moment")
	c.Flags().StringVarP(&out, "output", "o", "", "file to write the sealed evidence into")
	cobra.CheckErr(c.MarkFlagRequired("at"))
	how.flags(c, usualZone)
	return c
}

// parseDay reads a day, of which it returns the last moment, or a moment.
func parseDay(text string, zone *time.Location) (time.Time, error) {
	day, err := time.ParseInLocation(time.DateOnly, text, zone)
	if err != nil {
		return parseMoment(text, zone)
	}
	return time.Date(day.Year(), day.Month(), day.Day()+1, 0, 0, 0, 0, zone).Add(-time.Millisecond), nil
}

func evidenceVerify(o *options) *cobra.Command {
	var how asked
	var trust string
	c := &cobra.Command{
		Use:   "verify FILE",
		Short: "Check evidence on any machine, and print what it proves",
		Long: "Check evidence: its seal, that each entry is in the school's ledger, each signature of the laptop, and that the\n" +
			"answer is what the entries say. It needs no collector and no network.\n" +
			"Exit status: 0 it is good and the school's, 1 it is not good, 3 it is consistent and its origin is not proven,\n" +
			"because no --trust was given.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			sealed, err := readEvidence(args[0])
			if err != nil {
				return err
			}
			known, err := parseTrust(trust)
			if err != nil {
				return err
			}
			b, v, err := evidence.Verify(sealed, known)
			if err != nil {
				fmt.Fprintf(c.OutOrStdout(), "NOT GOOD: %s\n", wire.Visible(err.Error(), maxWords))
				return errBad
			}
			if o.json {
				err = printJSON(c, b)
			} else {
				err = how.print(c, b)
			}
			if err != nil {
				return err
			}
			words := count(v.Entries, "entry is", "entries are") + " in the ledger"
			if b.Device != "" {
				words += ", " + count(v.Signed, "signature is", "signatures are") + " of the laptop"
			}
			if !v.Origin {
				fmt.Fprintf(c.ErrOrStderr(), "Consistent: %s. ORIGIN NOT PROVEN: give the school's key or a checkpoint with --trust.\n", words)
				return errUnproven
			}
			fmt.Fprintf(c.ErrOrStderr(), "Good: %s, and the seal is that of %s.\n", words, wire.Visible(b.SchoolName, maxWords))
			return nil
		},
	}
	c.Flags().StringVar(&trust, "trust", "", "the school's key (caretaker.school/…), or a file with it or with a checkpoint of the school's")
	how.flags(c, "")
	how.awareFlag(c)
	return c
}

// maxWords bounds what is said of a file that anybody may have made, in bytes.
const maxWords = 2000

func readEvidence(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read the evidence: %w", err)
	}
	defer f.Close()
	return evidence.Read(f)
}

// parseTrust reads a school's key, or a file that holds one or a checkpoint.
func parseTrust(text string) (evidence.Trust, error) {
	if text == "" {
		return evidence.Trust{}, nil
	}
	if !strings.HasPrefix(text, "caretaker.school/") {
		data, err := os.ReadFile(text)
		if err != nil {
			return evidence.Trust{}, fmt.Errorf("read what is to be trusted: %w", err)
		}
		if strings.Contains(string(data), "\n\n") {
			return evidence.Trust{Checkpoint: data}, nil
		}
		text = strings.TrimSpace(string(data))
	}
	key, err := identity.ParseSchoolVerifier(text)
	return evidence.Trust{Key: &key}, err
}

// moments are the forms in which a time is read; the first names its zone.
var moments = []string{time.RFC3339, "2006-01-02 15:04", "2006-01-02 15:04:05", "2006-01-02T15:04"}

// parseMoment reads a time. Without a zone it is one of the given zone, and
// refused if clocks show it twice or never that day.
func parseMoment(text string, zone *time.Location) (time.Time, error) {
	for i, form := range moments {
		t, err := time.ParseInLocation(form, text, zone)
		if err != nil {
			continue
		}
		if i == 0 {
			return t, nil
		}
		if t.Format(form) != text {
			return t, fmt.Errorf("%q never was in %s: clocks were put forward over it; give it with its offset, like 2026-03-29T01:30:00+01:00", text, zone)
		}
		for _, other := range []time.Duration{-time.Hour, time.Hour} {
			if o := t.Add(other); o.Format(form) == text {
				return t, fmt.Errorf("%q was twice in %s: clocks were put back; give it with its offset, like 2026-10-25T01:30:00+01:00", text, zone)
			}
		}
		return t, nil
	}
	return time.Time{}, fmt.Errorf(`%q is not a time like "2026-10-23 16:20" or 2026-10-23T16:20:00+01:00`, text)
}
