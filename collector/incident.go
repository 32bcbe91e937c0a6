package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/view"
)

func incidentCommand(o *options) *cobra.Command {
	return group("incident", "Lost laptops and sticks, and data that went astray: what happened, and who is told until when",
		incidentOpen(o), incidentList(o), incidentShow(o), incidentNote(o), incidentTell(o), incidentLink(o), incidentFound(o),
		incidentCorrect(o), incidentClose(o), incidentReopen(o))
}

// recording is a command that records something about an incident.
type recording struct {
	asked
	args                                app.IncidentChange
	happened, awareAt, when, told, what string
	files                               []string
}

func (r *recording) flags(c *cobra.Command, words string) {
	schoolFlag(c, &r.args.School)
	r.asked.flags(c, usualZone)
	if words != "" {
		c.Flags().StringVar(&r.args.Words, "words", "", words)
	}
}

func (r *recording) linkFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringSliceVar(&r.args.Devices, "device", nil, "laptop, by identifier or host name; may repeat")
	f.StringSliceVar(&r.args.Assets, "asset", nil, "asset tag of the register; may repeat")
	f.StringSliceVar(&r.args.Media, "medium", nil, "number of a stick of the register; may repeat")
	f.StringSliceVar(&r.args.Sticks, "stick", nil, "stick that is not of the register, by the hash of its serial number as media find says it; may repeat")
	f.BoolVar(&r.args.Lost, "lost", false, "these are lost, until incident found says otherwise")
}

func (r *recording) proofFlags(c *cobra.Command) {
	c.Flags().StringSliceVar(&r.args.Breaches, "breach", nil, "breach, as DEVICE/RULE; may repeat")
	c.Flags().StringSliceVar(&r.files, "evidence", nil, "file of sealed evidence, of which the SHA-256 is recorded; may repeat")
}

// moments reads the times that were given, in the zone that was asked for.
func (r *recording) moments() error {
	zone, err := r.location()
	if err != nil {
		return err
	}
	for _, m := range []struct {
		text string
		into **incident.Moment
	}{
		{r.happened, &r.args.Change.Happened}, {r.awareAt, &r.args.Change.Aware}, {r.when, &r.args.Change.When}, {r.told, &r.args.Change.Told},
	} {
		if m.text == "" {
			continue
		}
		t, err := parseMoment(m.text, zone)
		if err != nil {
			return err
		}
		moment := incident.NewMoment(t, zone.String())
		*m.into = &moment
	}
	return nil
}

// record carries it out.
func (r *recording) record(c *cobra.Command, o *options, rest []string) error {
	if len(rest) > 0 {
		r.args.Incident = rest[0]
	}
	if err := r.moments(); err != nil {
		return err
	}
	for _, name := range r.files {
		digest, err := digestOf(name)
		if err != nil {
			return err
		}
		r.args.Evidence = append(r.args.Evidence, digest)
	}
	return operate(c, o, "incident.change", r.args, func(a app.IncidentAnswer) {
		name := a.Number
		if name == "" {
			name = a.ID + " (its number shows with incident list)"
		}
		fmt.Fprintf(c.OutOrStdout(), "Recorded as entry %d: %s, incident %s.\n", a.Entry, a.Recorded, name)
		if a.TellBy != nil {
			fmt.Fprintf(c.OutOrStdout(), "If personal data are at risk, the regulator must be told by %s: %s. Nights and holidays count.\n", a.TellBy, a.Due)
		}
	})
}

func digestOf(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("open the evidence: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", fmt.Errorf("read the evidence: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

const zoneHelp = "Times are like \"2026-10-23 17:10\", or 2026-10-25T01:30:00+01:00 for an hour that is there twice."

func incidentOpen(o *options) *cobra.Command {
	r := &recording{args: app.IncidentChange{Change: incident.Change{What: incident.Open}}}
	c := &cobra.Command{
		Use:   "open",
		Short: "Open an incident, and say until when the regulator must be told",
		Long: "Open an incident. The 72 hours in which the regulator must be told, if personal data are at risk, are counted\n" +
			"from --aware: when the school became aware, not when it happened. What is lost is named with --device, --asset\n" +
			"or --medium, and --lost. Name people by their role: what you write is kept for six years.\n" + zoneHelp,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, rest []string) error {
			r.args.Change.Kind = incident.Kind(r.what)
			return r.record(c, o, rest)
		},
	}
	r.flags(c, "what happened")
	r.linkFlags(c)
	r.proofFlags(c)
	f := c.Flags()
	f.StringVar(&r.what, "kind", "", "what it is: "+listed(incident.Kinds()))
	f.StringVar(&r.awareAt, "aware", "", "when the school became aware")
	f.StringVar(&r.happened, "happened", "", "when it happened, if that is known")
	f.StringVar(&r.args.Change.Concern, "concern", "", "reference of the report because of which it is opened: the school became aware when that was made")
	need(c, "kind", "words")
	c.MarkFlagsOneRequired("aware", "concern")
	return c
}

func incidentNote(o *options) *cobra.Command {
	r := &recording{}
	var lesson bool
	var whom string
	c := &cobra.Command{
		Use:   "note INCIDENT",
		Short: "Add what became known, whom the school spoke to, or what was learnt",
		Long: "Add a note to an incident. With --contact it is whom the school spoke to, by role or organisation, and the words\n" +
			"are what came of it; with --lesson it is what was learnt. Nothing is ever taken out. " + zoneHelp,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			r.args.Change.What = incident.Note
			switch {
			case lesson:
				r.args.Change.What = incident.Lesson
			case whom != "":
				r.args.Change.What, r.args.Change.Whom = incident.Spoke, whom
			}
			return r.record(c, o, rest)
		},
	}
	r.flags(c, "the note")
	c.Flags().BoolVar(&lesson, "lesson", false, "it is what was learnt")
	c.Flags().StringVar(&whom, "contact", "", "whom the school spoke to: a role or an organisation, such as \"train company, lost property\"")
	c.Flags().StringVar(&r.when, "at", "", "of a contact: when (default: now)")
	c.MarkFlagsMutuallyExclusive("lesson", "contact")
	c.MarkFlagsMutuallyExclusive("lesson", "at")
	need(c, "words")
	return c
}

func incidentTell(o *options) *cobra.Command {
	r := &recording{args: app.IncidentChange{Change: incident.Change{What: incident.Tell}}}
	c := &cobra.Command{
		Use:   "tell INCIDENT regulator|individuals yes|no|not-yet",
		Short: "Record the decision whether the regulator or the individuals are told, and why",
		Long: "Record whether the regulator, or the individuals whose data are at risk, are told. A later decision does not\n" +
			"remove an earlier one. With --told it is recorded that they were told, and when. " + zoneHelp,
		Args: cobra.ExactArgs(3),
		RunE: func(c *cobra.Command, rest []string) error {
			r.args.Change.Audience, r.args.Change.Answer = incident.Audience(rest[1]), incident.Answer(rest[2])
			return r.record(c, o, rest)
		},
	}
	r.flags(c, "the reason")
	c.Flags().StringVar(&r.when, "at", "", "when it was decided (default: now)")
	c.Flags().StringVar(&r.told, "told", "", "when they were told, if they were")
	need(c, "words")
	return c
}

func incidentLink(o *options) *cobra.Command {
	r := &recording{args: app.IncidentChange{Change: incident.Change{What: incident.Add}}}
	c := &cobra.Command{
		Use:   "link INCIDENT",
		Short: "Link laptops, assets, sticks, breaches or evidence to an incident, or say that they are lost",
		Long:  "Link things to an incident. With --lost a laptop shows as lost from then on, wherever it is listed. " + zoneHelp,
		Args:  cobra.ExactArgs(1),
		RunE:  func(c *cobra.Command, rest []string) error { return r.record(c, o, rest) },
	}
	r.flags(c, "why")
	r.linkFlags(c)
	r.proofFlags(c)
	c.Flags().StringVar(&r.when, "since", "", "since when it is lost (default: since the incident happened)")
	return c
}

func incidentFound(o *options) *cobra.Command {
	r := &recording{args: app.IncidentChange{Change: incident.Change{What: incident.Found}}}
	c := &cobra.Command{
		Use:   "found INCIDENT",
		Short: "Say that what was lost was found again",
		Long:  "Say that what was lost was found again. It shows as lost no more; that it was stays in the incident. " + zoneHelp,
		Args:  cobra.ExactArgs(1),
		RunE:  func(c *cobra.Command, rest []string) error { return r.record(c, o, rest) },
	}
	r.flags(c, "where and how")
	r.linkFlags(c)
	cobra.CheckErr(c.Flags().MarkHidden("lost"))
	c.Flags().StringVar(&r.when, "at", "", "when it was found (default: now)")
	return c
}

func incidentCorrect(o *options) *cobra.Command {
	r := &recording{args: app.IncidentChange{Change: incident.Change{What: incident.Correct}}}
	c := &cobra.Command{
		Use:   "correct INCIDENT",
		Short: "Say that it is another kind of incident, or was at another time, than was recorded",
		Long: "Correct what was recorded. What was recorded before stays beside it: if --aware moves the time to tell the\n" +
			"regulator, both are shown. " + zoneHelp,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			r.args.Change.Kind = incident.Kind(r.what)
			return r.record(c, o, rest)
		},
	}
	r.flags(c, "why")
	f := c.Flags()
	f.StringVar(&r.what, "kind", "", "what it is: "+listed(incident.Kinds()))
	f.StringVar(&r.awareAt, "aware", "", "when the school became aware")
	f.StringVar(&r.happened, "happened", "", "when it happened")
	return c
}

func incidentClose(o *options) *cobra.Command {
	r := &recording{args: app.IncidentChange{Change: incident.Change{What: incident.Close}}}
	c := &cobra.Command{
		Use:   "close INCIDENT",
		Short: "Close an incident, and say what it came to",
		Long:  "Close an incident. It stays in the list, and a lost laptop stays lost until incident found says otherwise.",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			r.args.Change.Outcome = incident.Outcome(r.what)
			return r.record(c, o, rest)
		},
	}
	r.flags(c, "what it came to")
	c.Flags().StringVar(&r.what, "outcome", "", "who dealt with it, or that it was nothing: "+listed(incident.Outcomes()))
	need(c, "words", "outcome")
	return c
}

func incidentReopen(o *options) *cobra.Command {
	r := &recording{args: app.IncidentChange{Change: incident.Change{What: incident.Reopen}}}
	c := &cobra.Command{
		Use:   "reopen INCIDENT",
		Short: "Open a closed incident again",
		Args:  cobra.ExactArgs(1),
		RunE:  func(c *cobra.Command, rest []string) error { return r.record(c, o, rest) },
	}
	r.flags(c, "why")
	need(c, "words")
	return c
}

func incidentList(o *options) *cobra.Command {
	var args app.IncidentArguments
	var all bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the open incidents, the newest first, and how long is left to tell the regulator",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if args.State = view.IncidentOpen; all {
				args.State = ""
			}
			defer noteBehind(c, o, args.School)
			return operate(c, o, "incident.list", args, func(p view.IncidentPage) {
				for _, i := range p.Incidents {
					fmt.Fprintf(c.OutOrStdout(), "%-10s %-12s %s\n", i.Number, i.Kind, standsAt(i))
				}
				if p.Next != "" {
					fmt.Fprintf(c.OutOrStdout(), "There are more: --after %q\n", p.Next)
				}
			})
		},
	}
	schoolFlag(c, &args.School)
	c.Flags().BoolVar(&all, "all", false, "closed incidents too")
	c.Flags().StringVar(&args.After, "after", "", "go on after this place, as an earlier answer named it")
	c.Flags().IntVar(&args.Limit, "limit", 100, "how many at most")
	return c
}

// standsAt says in a line where an incident stands.
func standsAt(i view.Incident) string {
	if i.Closed {
		last := i.Closings[len(i.Closings)-1]
		return "closed " + when(last.Recorded) + ": " + string(last.Outcome)
	}
	line := []string{i.Due}
	for _, a := range incident.Audiences() {
		t, decided := i.Told(a)
		switch {
		case !decided:
			line = append(line, string(a)+": not decided")
		case t.Told != nil:
			line = append(line, fmt.Sprintf("%s: told %s", a, t.Told))
		default:
			line = append(line, fmt.Sprintf("%s: %s", a, t.Answer))
		}
	}
	for _, l := range i.Links {
		if since, lost := l.Lost(); lost {
			line = append(line, fmt.Sprintf("%s lost since %s", called(i, l.Link), since))
		}
	}
	return strings.Join(line, "; ")
}

// called names a linked thing as people know it.
func called(i view.Incident, l incident.Link) string {
	for _, n := range i.Names {
		if n.Device != l.Device {
			continue
		}
		name := n.Hostname
		if n.AssetTag != "" {
			name = n.AssetTag + " (" + name + ")"
		}
		if l.What == incident.Breach {
			return "breach of " + l.Rule + " on " + name
		}
		return name
	}
	return l.Words()
}

func incidentShow(o *options) *cobra.Command {
	var args app.IncidentArguments
	c := &cobra.Command{
		Use:   "show INCIDENT",
		Short: "Show everything that was recorded about an incident, by its number",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			args.Incident = rest[0]
			defer noteBehind(c, o, args.School)
			return operate(c, o, "incident.show", args, func(i view.Incident) { showIncident(c.OutOrStdout(), i) })
		},
	}
	schoolFlag(c, &args.School)
	return c
}

func showIncident(w io.Writer, i view.Incident) {
	fmt.Fprintf(w, "Incident %s: %s\n%s\n\n", i.Number, i.Kind, standsAt(i))
	showRecorded(w, i)
}

func showRecorded(w io.Writer, i view.Incident) {
	fmt.Fprintf(w, "What happened: %s\n", wrote(i.Opened))
	for _, h := range i.Happened {
		fmt.Fprintf(w, "It happened %s: %s\n", h.When, who(h.Act))
	}
	for n, a := range i.Aware {
		fmt.Fprintf(w, "The school became aware %s; the regulator is to be told by %s: %s\n", a.When, a.TellBy, who(a.Act))
		if n > 0 {
			fmt.Fprintf(w, "  (a correction: %s)\n", wrote(a.Act))
		}
	}
	for _, told := range []struct {
		audience incident.Audience
		list     []incident.Telling
	}{{incident.Regulator, i.Regulator}, {incident.Individuals, i.Individuals}} {
		for _, t := range told.list {
			fmt.Fprintf(w, "Tell the %s: %s, decided %s: %s\n", told.audience, t.Answer, t.Decided, wrote(t.Act))
			if t.Told != nil {
				fmt.Fprintf(w, "  They were told %s.\n", t.Told)
			}
		}
	}
	showLinks(w, i)
	for _, x := range i.Contacts {
		fmt.Fprintf(w, "Spoke to %s, %s: %s\n", x.Whom, x.When, wrote(x.Act))
	}
	for _, n := range i.Notes {
		fmt.Fprintf(w, "Note: %s\n", wrote(n))
	}
	for _, l := range i.Lessons {
		fmt.Fprintf(w, "Lesson: %s\n", wrote(l))
	}
	for _, x := range i.Closings {
		if x.Again {
			fmt.Fprintf(w, "Opened again: %s\n", wrote(x.Act))
		} else {
			fmt.Fprintf(w, "Closed, %s: %s\n", x.Outcome, wrote(x.Act))
		}
	}
}

func showLinks(w io.Writer, i view.Incident) {
	for _, l := range i.Links {
		fmt.Fprintf(w, "Linked: %s\n", called(i, l.Link))
		for _, x := range l.Losses {
			fmt.Fprintf(w, "  Lost since %s: %s\n", x.Since, who(x.Act))
			if x.Found != nil {
				fmt.Fprintf(w, "  Found again %s: %s\n", x.Found, wrote(*x.FoundAct))
			}
		}
	}
}

// wrote says what somebody wrote, and who that was.
func wrote(a incident.Act) string {
	if a.Forgotten {
		return who(a)
	}
	return a.Words + " - " + who(a)
}

func who(a incident.Act) string {
	if a.Forgotten {
		return fmt.Sprintf("recorded %s; by whom and in what words is forgotten", when(a.Recorded))
	}
	return fmt.Sprintf("%s, recorded %s", a.By, when(a.Recorded))
}

// lostSince says that a laptop is lost; "" if it is not.
func lostSince(l *view.Lost) string {
	if l == nil {
		return ""
	}
	return fmt.Sprintf("LOST since %s: incident %s", l.Since, l.Incident)
}

func listed[T ~string](words []T) string {
	list := make([]string, 0, len(words))
	for _, w := range words {
		list = append(list, string(w))
	}
	return strings.Join(list, ", ")
}

func need(c *cobra.Command, flags ...string) {
	for _, name := range flags {
		cobra.CheckErr(c.MarkFlagRequired(name))
	}
}
