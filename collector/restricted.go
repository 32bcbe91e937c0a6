package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/caretaker-school/caretaker/collector/api"
	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/restricted"
	"github.com/caretaker-school/caretaker/collector/view"
)

func restrictedCommand(o *options) *cobra.Command {
	g := group("restricted", "Incidents that only the seniors who are named for them see, such as an allegation about the technician",
		restrictedOpen(o), restrictedList(o), restrictedShow(o), restrictedAgree(o), restrictedDecline(o),
		restrictedNote(o), restrictedTell(o), restrictedLink(o), restrictedCorrect(o), restrictedClose(o), restrictedReopen(o),
		restrictedName(o), restrictedRemove(o))
	g.Long = "Incidents that only the seniors who are named for them see. What they write is encrypted to them; to everybody else,\n" +
		"the administrator included, there is no such incident. Opening and closing one, lifting a hold and removing a senior\n" +
		"take two: one asks, and another who is named agrees. Every look is recorded.\n" +
		"Whoever does anything here says who they are with --as, and gives the passphrase of their key: see senior key."
	return g
}

// senior is who a command is carried out for.
type senior struct {
	as, file string
}

func (s *senior) flags(c *cobra.Command) {
	c.Flags().StringVar(&s.as, "as", "", "who you are: the name of your account")
	c.Flags().StringVar(&s.file, "passphrase-file", "", "file that holds your passphrase (default: it is asked for, or read from the standard input)")
	need(c, "as")
}

// passphrase reads a senior's passphrase. It is never an argument: those are seen
// by everybody on the machine.
func (s *senior) passphrase(c *cobra.Command) (string, error) {
	if s.file != "" {
		text, err := os.ReadFile(s.file)
		if err != nil {
			return "", fmt.Errorf("read the passphrase: %w", err)
		}
		return strings.TrimSpace(string(text)), nil
	}
	if f, ok := c.InOrStdin().(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprintf(c.ErrOrStderr(), "Passphrase of %s: ", s.as)
		text, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(c.ErrOrStderr())
		if err != nil {
			return "", fmt.Errorf("read the passphrase: %w", err)
		}
		return strings.TrimSpace(string(text)), nil
	}
	line, err := bufio.NewReader(io.LimitReader(c.InOrStdin(), 1<<10)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the passphrase: %w", err)
	}
	if line = strings.TrimSpace(line); line == "" {
		return "", errors.New("the passphrase is missing: give it with --passphrase-file, or on the standard input")
	}
	return line, nil
}

// deed is a command that does something about a restricted incident.
type deed struct {
	recording
	senior
	do                app.RestrictedChange
	seniors, concerns []string
}

// command makes the command of a deed. set, if there is one, takes its flags.
func (d *deed) command(o *options, words string, c *cobra.Command, set func(rest []string)) *cobra.Command {
	if c.Args == nil {
		c.Args = cobra.ExactArgs(1)
	}
	c.RunE = func(c *cobra.Command, rest []string) error {
		if set != nil {
			set(rest)
		}
		if len(rest) > 0 {
			d.args.Incident = rest[0]
		}
		return d.carryOut(c, o)
	}
	d.recording.flags(c, words)
	d.senior.flags(c)
	return c
}

func (d *deed) carryOut(c *cobra.Command, o *options) error {
	if err := d.moments(); err != nil {
		return err
	}
	for _, name := range d.files {
		digest, err := digestOf(name)
		if err != nil {
			return err
		}
		d.args.Evidence = append(d.args.Evidence, digest)
	}
	passphrase, err := d.passphrase(c)
	if err != nil {
		return err
	}
	d.do.IncidentChange, d.do.As, d.do.Passphrase, d.do.Seniors, d.do.Concerns = d.args, d.as, passphrase, d.seniors, d.concerns
	return operate(c, o, "restricted.act", d.do, func(a api.RestrictedMade) {
		fmt.Fprintf(c.OutOrStdout(), "Recorded: restricted incident %s, which is %s.\n", a.ID, a.State)
		if a.Asked != "" {
			fmt.Fprintf(c.OutOrStdout(), "To %s it takes another senior who is named: restricted agree %s\n", a.Asked, a.ID)
		}
		if a.TellBy != nil {
			fmt.Fprintf(c.OutOrStdout(), "If personal data are at risk, the regulator must be told by %s: %s. Nights and holidays count.\n", a.TellBy, a.Due)
		}
	})
}

func (d *deed) seniorFlag(c *cobra.Command, words string) {
	c.Flags().StringSliceVar(&d.seniors, "senior", nil, words)
	need(c, "senior")
}

func restrictedOpen(o *options) *cobra.Command {
	d := &deed{do: app.RestrictedChange{Do: api.DoOpen}}
	d.args.Change.What = incident.Open
	c := d.command(o, "what happened", &cobra.Command{
		Use: "open", Args: cobra.NoArgs,
		Short: "Ask to open a restricted incident; another senior who is named agrees",
		Long: "Ask to open a restricted incident. You are named for it, and so is everybody whose key you give with --senior: ask\n" +
			"them for the code of their key, and take it from nobody else. Whoever it is about is never named. It is open when\n" +
			"another of them has agreed; the 72 hours count from --aware all the same. " + zoneHelp,
		Example: `  caretaker-collector restricted open --as "Jo Marsh" --senior 3kfa-77qd-abcd-m2xy --concerns "Morgan Ellis" \
      --kind disclosure --aware "2026-11-09 08:30" --words "is said to have copied records"`,
	}, func([]string) { d.args.Change.Kind = incident.Kind(d.what) })
	f := c.Flags()
	d.seniorFlag(c, "code of the key of a senior who is named too; may repeat")
	f.StringSliceVar(&d.concerns, "concerns", nil, "name of whom it is about, as their account has it; may repeat")
	f.StringVar(&d.what, "kind", "", "what it is: "+listed(incident.Kinds()))
	f.StringVar(&d.awareAt, "aware", "", "when the school became aware")
	f.StringVar(&d.happened, "happened", "", "when it happened, if that is known")
	need(c, "kind", "aware", "words")
	return c
}

func restrictedAgree(o *options) *cobra.Command {
	d := &deed{do: app.RestrictedChange{Do: api.DoAgree}}
	return d.command(o, "why, if that is to be recorded", &cobra.Command{
		Use: "agree INCIDENT", Short: "Agree to what another senior asked: to open, close, open again, lift or remove",
		Example: `  caretaker-collector restricted agree r-k3m2p7qa --as "Priya Anand"`,
	}, nil)
}

func restrictedDecline(o *options) *cobra.Command {
	d := &deed{do: app.RestrictedChange{Do: api.DoDecline}}
	c := d.command(o, "why", &cobra.Command{
		Use: "decline INCIDENT", Short: "Decline what another senior asked, or take back what you asked",
		Example: `  caretaker-collector restricted decline r-k3m2p7qa --as "Priya Anand" --words "not yet"`,
	}, nil)
	need(c, "words")
	return c
}

func restrictedNote(o *options) *cobra.Command {
	d := &deed{do: app.RestrictedChange{Do: api.DoRecord}}
	var lesson bool
	var whom string
	c := d.command(o, "the note", &cobra.Command{
		Use: "note INCIDENT", Short: "Add what became known, whom the school spoke to, or what was learnt",
		Long:    "Add a note, as incident note does. " + zoneHelp,
		Example: `  caretaker-collector restricted note r-k3m2p7qa --as "Jo Marsh" --contact "local authority designated officer" --words "advised to wait"`,
	}, func([]string) {
		d.args.Change.What = incident.Note
		switch {
		case lesson:
			d.args.Change.What = incident.Lesson
		case whom != "":
			d.args.Change.What, d.args.Change.Whom = incident.Spoke, whom
		}
	})
	c.Flags().BoolVar(&lesson, "lesson", false, "it is what was learnt")
	c.Flags().StringVar(&whom, "contact", "", "whom the school spoke to: a role or an organisation")
	c.Flags().StringVar(&d.when, "at", "", "of a contact: when (default: now)")
	c.MarkFlagsMutuallyExclusive("lesson", "contact")
	need(c, "words")
	return c
}

func restrictedTell(o *options) *cobra.Command {
	d := &deed{do: app.RestrictedChange{Do: api.DoRecord}}
	d.args.Change.What = incident.Tell
	c := d.command(o, "the reason", &cobra.Command{
		Use: "tell INCIDENT regulator|individuals yes|no|not-yet", Args: cobra.ExactArgs(3),
		Short:   "Record the decision whether the regulator or the individuals are told, and why",
		Long:    "Record a decision, as incident tell does. " + zoneHelp,
		Example: `  caretaker-collector restricted tell r-k3m2p7qa regulator not-yet --as "Jo Marsh" --words "it is not clear that data left the school"`,
	}, func(rest []string) {
		d.args.Change.Audience, d.args.Change.Answer = incident.Audience(rest[1]), incident.Answer(rest[2])
	})
	c.Flags().StringVar(&d.when, "at", "", "when it was decided (default: now)")
	c.Flags().StringVar(&d.told, "told", "", "when they were told, if they were")
	need(c, "words")
	return c
}

func restrictedLink(o *options) *cobra.Command {
	d := &deed{do: app.RestrictedChange{Do: api.DoRecord}}
	d.args.Change.What = incident.Add
	c := d.command(o, "why", &cobra.Command{
		Use: "link INCIDENT", Short: "Link laptops, assets, sticks, breaches or evidence to a restricted incident",
		Long: "Link things to a restricted incident. Nobody else sees the link. That something is lost everybody sees: record\n" +
			"that with incident open. To keep a laptop as it is, see hold place.",
		Example: `  caretaker-collector restricted link r-k3m2p7qa --as "Jo Marsh" --device hb-lt-014 --words "was used for it"`,
	}, nil)
	d.linkFlags(c)
	d.proofFlags(c)
	cobra.CheckErr(c.Flags().MarkHidden("lost"))
	need(c, "words")
	return c
}

func restrictedCorrect(o *options) *cobra.Command {
	d := &deed{do: app.RestrictedChange{Do: api.DoRecord}}
	d.args.Change.What = incident.Correct
	c := d.command(o, "why", &cobra.Command{
		Use: "correct INCIDENT", Short: "Say that it is another kind of incident, or was at another time, than was recorded",
		Long:    "Correct what was recorded, as incident correct does. " + zoneHelp,
		Example: `  caretaker-collector restricted correct r-k3m2p7qa --as "Jo Marsh" --aware "2026-11-08 16:00" --words "the office was told on Sunday"`,
	}, func([]string) { d.args.Change.Kind = incident.Kind(d.what) })
	f := c.Flags()
	f.StringVar(&d.what, "kind", "", "what it is: "+listed(incident.Kinds()))
	f.StringVar(&d.awareAt, "aware", "", "when the school became aware")
	f.StringVar(&d.happened, "happened", "", "when it happened")
	need(c, "words")
	return c
}

func restrictedClose(o *options) *cobra.Command {
	d := &deed{do: app.RestrictedChange{Do: api.DoClose}}
	d.args.Change.What = incident.Close
	c := d.command(o, "what it came to", &cobra.Command{
		Use: "close INCIDENT", Short: "Ask to close a restricted incident; another senior who is named agrees",
		Example: `  caretaker-collector restricted close r-k3m2p7qa --as "Jo Marsh" --outcome internal --words "unfounded"`,
	}, func([]string) { d.args.Change.Outcome = incident.Outcome(d.what) })
	c.Flags().StringVar(&d.what, "outcome", "", "who dealt with it, or that it was nothing: "+listed(incident.Outcomes()))
	need(c, "words", "outcome")
	return c
}

func restrictedReopen(o *options) *cobra.Command {
	d := &deed{do: app.RestrictedChange{Do: api.DoReopen}}
	c := d.command(o, "why", &cobra.Command{
		Use: "reopen INCIDENT", Short: "Ask to open a closed restricted incident again; another senior who is named agrees",
		Example: `  caretaker-collector restricted reopen r-k3m2p7qa --as "Jo Marsh" --words "somebody else came forward"`,
	}, nil)
	need(c, "words")
	return c
}

func restrictedName(o *options) *cobra.Command {
	d := &deed{do: app.RestrictedChange{Do: api.DoName}}
	c := d.command(o, "why", &cobra.Command{
		Use: "name INCIDENT", Short: "Name another senior, or one with a new key because the passphrase was forgotten",
		Long: "Name another senior for a restricted incident: they read everything from then on. If they are named already with\n" +
			"another key, because they forgot its passphrase, the new key takes its place. Whoever it is about is never named.",
		Example: `  caretaker-collector restricted name r-k3m2p7qa --as "Jo Marsh" --senior 3kfa-77qd-abcd-m2xy --words "the officer has left"`,
	}, nil)
	d.seniorFlag(c, "code of their key, from themselves")
	return c
}

func restrictedRemove(o *options) *cobra.Command {
	d := &deed{do: app.RestrictedChange{Do: api.DoRemove}}
	c := d.command(o, "why", &cobra.Command{
		Use: "remove INCIDENT", Short: "Ask that a senior is named no more, such as one who left; another who is named agrees",
		Long: "Ask that a senior is named no more. Nothing that is recorded afterwards can be opened with their key. Two stay\n" +
			"named at least: name another first.",
		Example: `  caretaker-collector restricted remove r-k3m2p7qa --as "Jo Marsh" --senior 3kfa-77qd-abcd-m2xy --words "left in July"`,
	}, nil)
	d.seniorFlag(c, "code of the key with which they are named")
	need(c, "words")
	return c
}

func restrictedList(o *options) *cobra.Command {
	var s senior
	args := app.RestrictedArguments{}
	c := &cobra.Command{
		Use: "list", Short: "List the restricted incidents for which you are named, the newest first", Args: cobra.NoArgs,
		Example: `  caretaker-collector restricted list --as "Jo Marsh"`,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			args.As = s.as
			if args.Passphrase, err = s.passphrase(c); err != nil {
				return err
			}
			return operate(c, o, "restricted.list", args, func(l api.RestrictedList) {
				for _, t := range l.Incidents {
					fmt.Fprintf(c.OutOrStdout(), "%-11s %-9s %-12s %s\n", t.ID, t.State, t.Incident.Kind, stands(t))
				}
			})
		},
	}
	schoolFlag(c, &args.School)
	s.flags(c)
	return c
}

// stands says in a line where a restricted incident stands.
func stands(t restricted.Told) string {
	if t.State == restricted.Closed && len(t.Incident.Closings) > 0 {
		return standsAt(view.Incident{Incident: t.Incident})
	}
	line := standsAt(view.Incident{Incident: t.Incident, Due: t.Due, Over: t.Over})
	if t.Asked != nil {
		line += fmt.Sprintf("; %s asks to %s", t.Asked.By, t.Asked.Asked)
	}
	for _, h := range t.Holds {
		line += "; " + h.On.Words() + " is held"
	}
	return line
}

func restrictedShow(o *options) *cobra.Command {
	var s senior
	args := app.RestrictedArguments{}
	c := &cobra.Command{
		Use: "show INCIDENT", Short: "Show everything that was recorded about a restricted incident, and who looked at it", Args: cobra.ExactArgs(1),
		Example: `  caretaker-collector restricted show r-k3m2p7qa --as "Jo Marsh"`,
		RunE: func(c *cobra.Command, rest []string) (err error) {
			args.As, args.Incident = s.as, rest[0]
			if args.Passphrase, err = s.passphrase(c); err != nil {
				return err
			}
			return operate(c, o, "restricted.show", args, func(t restricted.Told) { showRestricted(c.OutOrStdout(), t) })
		},
	}
	schoolFlag(c, &args.School)
	s.flags(c)
	return c
}

func showRestricted(w io.Writer, t restricted.Told) {
	fmt.Fprintf(w, "Restricted incident %s: %s, %s\n%s\n", t.ID, t.Incident.Kind, t.State, stands(t))
	for _, s := range t.Seniors {
		fmt.Fprintf(w, "Named: %s, with the key %s\n", s.Name, s.Code)
	}
	for _, name := range t.Concerns {
		fmt.Fprintf(w, "It is about: %s\n", name)
	}
	for _, h := range t.Holds {
		fmt.Fprintf(w, "Held since %s, by %s: %s (%s)\n", when(h.Since), h.By, h.On.Words(), h.Words)
	}
	fmt.Fprintln(w)
	showRecorded(w, view.Incident{Incident: t.Incident})
	fmt.Fprintln(w, "\nWho did what:")
	for _, a := range t.Acts {
		fmt.Fprintf(w, "  %s  %s\n", when(a.At), actWords(a))
	}
	fmt.Fprintln(w, "Who looked at it:")
	for _, v := range t.Views {
		fmt.Fprintf(w, "  %s  %s (%s)\n", when(v.At), v.By, v.What)
	}
}

// actWords says in a line what somebody did.
func actWords(a restricted.ActTold) string {
	line := a.By + ": " + string(a.What)
	switch {
	case a.Asked != "":
		line += " to " + string(a.Asked)
	case a.Recorded != "":
		line = a.By + ": " + string(a.Recorded)
	}
	if a.On != nil {
		line += " " + a.On.Words()
	}
	if a.Name != "" {
		line += " " + a.Name
	}
	switch {
	case a.Void != "":
		line += " - counts for nothing: " + a.Void
	case a.Forgotten:
		line += " - in what words is forgotten"
	case a.Words != "":
		line += " - " + a.Words
	}
	return line
}
