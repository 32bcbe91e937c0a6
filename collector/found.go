package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/view"
)

func mediaFindCommand(o *options) *cobra.Command {
	var args app.MediaArguments
	var asked asked
	var found string
	c := &cobra.Command{
		Use:   "find",
		Short: "Look up a medium that was found, and offer an incident for it",
		Long: "Look up a medium that was found. Do not plug it in anywhere but into the machine that the register has for\n" +
			"that purpose (register investigation TAG on). Once that has reported, find says whether the medium is\n" +
			"registered, or was seen on laptops of the school, or never, and offers the command that opens an incident.\n" +
			"The one that was plugged in last comes first. With --found, when it was found, nothing counts that was\n" +
			"plugged in before. Of its files nothing is known: that machine lists none.",
		Example: "  caretaker-collector media find --found \"2026-11-09 07:40\"\n" +
			"  caretaker-collector media find --number M-031",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			zone, err := asked.location()
			if err != nil {
				return err
			}
			args.Zone = zone.String()
			if found != "" {
				at, err := parseMoment(found, zone)
				if err != nil {
					return err
				}
				moment := incident.NewMoment(at, zone.String())
				args.Found = &moment
			}
			return operate(c, o, "media.find", args, func(f view.FoundMedia) { showFound(c.OutOrStdout(), f, args.Zone) })
		},
	}
	schoolFlag(c, &args.School)
	asked.flags(c, usualZone)
	c.Flags().StringVar(&args.Serial, "serial", "", "hash of its serial number, instead of what was plugged in")
	c.Flags().StringVar(&args.Number, "number", "", "number of the register, instead of what was plugged in")
	c.Flags().StringVar(&found, "found", "", "when it was found, such as \"2026-11-09 07:40\"")
	c.MarkFlagsMutuallyExclusive("serial", "number")
	return c
}

func showFound(w io.Writer, f view.FoundMedia, zone string) {
	fmt.Fprintln(w, f.Advice)
	for i, m := range f.Found {
		switch {
		case m.On != "" && i == 0:
			fmt.Fprintf(w, "\n%s, plugged into %s %s: the last one\n", named(m.What), m.On, incident.NewMoment(m.At, zone))
		case m.On != "":
			fmt.Fprintf(w, "\n%s, plugged into %s %s\n", named(m.What), m.On, incident.NewMoment(m.At, zone))
		default:
			fmt.Fprintln(w)
		}
		for _, line := range foundWords(m, zone) {
			fmt.Fprintf(w, "  %s\n", line)
		}
		if m.Offer != nil {
			fmt.Fprintf(w, "  To open an incident, of which the regulator would have to be told by %s:\n    %s\n", m.Offer.TellBy, m.Offer.Command)
		}
	}
}

func named(what string) string {
	if what == "" {
		return "a medium that does not name itself"
	}
	return what
}

// foundWords says what is known of a medium, in lines.
func foundWords(m view.FoundMedium, zone string) []string {
	state := "whether it is encrypted was never seen"
	if m.Encryption != "" {
		state = map[string]string{"none": "unencrypted", "full": "encrypted", "partial": "partly encrypted"}[string(m.Encryption)] +
			" when last seen, " + incident.NewMoment(m.EncryptionAt, zone).String()
	}
	var lines []string
	switch m.Match {
	case view.IsRegistered:
		lines = append(lines, fmt.Sprintf("registered %s, issued to %s, %s", m.Number, m.Role, state))
	case view.WasWithdrawn:
		lines = append(lines, fmt.Sprintf("registered %s once, issued to %s, and withdrawn; %s", m.Number, m.Role, state))
	case view.Unregistered:
		lines = append(lines, "unregistered, "+state)
	case view.CannotBeKnown:
		return []string{"it tells no serial number, so nothing can be known of it"}
	default:
		lines = append(lines, "never seen")
	}
	for _, s := range m.Seen {
		name := s.AssetTag
		if name == "" {
			name = s.Hostname
		}
		line := fmt.Sprintf("seen on %s %s, last %s", name, times(s.Times), incident.NewMoment(s.Last, zone))
		if s.Times > 1 {
			line += ", first " + incident.NewMoment(s.First, zone).String()
		}
		lines = append(lines, line)
	}
	return lines
}

// times says how often, in a word where there is one.
func times(n int) string {
	words := []string{"never", "once", "twice", "three times"}
	if n < len(words) {
		return words[n]
	}
	return strings.TrimSpace(fmt.Sprintf("%d times", n))
}
