package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/durable"
)

func registerCommand(o *options) *cobra.Command {
	return group("register", "The school's register of devices: what there is, who has it, and what became of it",
		importCommand(o), assetListCommand(o), assetShowCommand(o), coverageCommand(o), exportCommand(o),
		tieCommand(o), changeCommand(o, change{
			use: "untie TAG", short: "Say that an asset is not the enrolled device that it was tied to", what: register.Untie,
		}),
		allocateCommand(o),
		changeCommand(o, change{use: "hand-back TAG", short: "Record that a device was handed back", what: register.HandBack, dated: true}),
		changeCommand(o, change{
			use: "left TAG", short: "Record that whoever has a device has left", what: register.Left, dated: true,
			long: "A checklist begins: returned, data-moved, wiped and accounts-removed, each recorded with register done,\n" +
				"and two signatures of different people with register sign. Until the device is returned the rule about\n" +
				"allocations is not met.",
		}),
		doneCommand(o),
		changeCommand(o, change{
			use: "sign TAG", short: "Sign a leaver's checklist on which everything is done", what: register.Sign,
			long: "Two people sign. At the console one signature can be given; the other is given with an account.",
		}),
		changeCommand(o, change{
			use: "wiped TAG", short: "Record that a device was wiped, and how", what: register.Wiped, dated: true, method: true,
			long: "That it was wiped is what you say: nothing on the device can prove it.",
		}),
		retireCommand(o), recoveryCommand(o), investigationCommand(o), acknowledgedCommand(o), acknowledgementsCommand(o))
}

func importCommand(o *options) *cobra.Command {
	var args app.ImportArguments
	var asOf string
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Import a list of devices that a spreadsheet saved as CSV",
		Long: "Import reads a list of devices in UTF-8, with commas, semicolons or tabs. Its first line names the columns:\n  " +
			strings.Join(register.Columns(), ", ") + "\nOnly tag is needed. A column that the list does not have changes nothing, and neither does an asset that\n" +
			"it does not name. class is SS, SM, AU, ST, SF or VI; host is the name of an enrolled device that the asset\n" +
			"is; managed is what looks after a device that can have no agent, such as \"Google Admin\".\n" +
			"If anything is wrong, everything that is wrong is listed with its line and column, and nothing is recorded.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			source, err := readWhole(c, rest[0])
			if err != nil {
				return err
			}
			args.File, args.Source = rest[0], source
			if args.AsOf, err = timeOf(asOf); err != nil {
				return err
			}
			return operate(c, o, "register.import", args, func(a app.ImportAnswer) {
				w := c.OutOrStdout()
				fmt.Fprint(w, a.Words())
				switch {
				case a.DryRun:
					fmt.Fprintln(w, "Nothing was recorded: this was a dry run.")
				case a.Recorded:
					fmt.Fprintf(w, "Recorded as entry %d.\n", a.Entry)
				default:
					fmt.Fprintln(w, "Nothing was recorded: nothing changed.")
				}
			})
		},
	}
	schoolFlag(c, &args.School)
	c.Flags().BoolVar(&args.DryRun, "dry-run", false, "say what would change, and record nothing")
	c.Flags().StringVar(&asOf, "as-of", "", "when the list was true, such as 2026-09-01 (default: now)")
	return c
}

// mostList is more than any list of devices has, in bytes.
const mostList = 8 << 20

func readWhole(c *cobra.Command, name string) ([]byte, error) {
	in := c.InOrStdin()
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("open the list: %w", err)
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, mostList+1))
	if err == nil && len(data) > mostList {
		err = fmt.Errorf("it has more than %d bytes", mostList)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return data, nil
}

// timeOf reads a time as people write it, in the zone of this machine; "" is
// the zero time.
func timeOf(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%.40q is no time: write it as 2026-11-27 or \"2026-11-27 16:00\"", s)
}

func assetListCommand(o *options) *cobra.Command {
	var args app.AssetArguments
	var cover string
	c := &cobra.Command{
		Use:   "list",
		Short: "List the register, by asset tag",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			args.Cover = view.Cover(cover)
			return operate(c, o, "register.list", args, func(p view.AssetPage) {
				for _, a := range p.Assets {
					fmt.Fprintf(c.OutOrStdout(), "%-16s %-24s %-15s %-20s %s\n", a.Tag, a.What, a.Cover, a.Hostname, holder(a))
				}
				if p.Next != "" {
					fmt.Fprintf(c.OutOrStdout(), "There are more: --after %q\n", p.Next)
				}
			})
		},
	}
	schoolFlag(c, &args.School)
	f := c.Flags()
	f.StringVar(&args.Search, "search", "", "part of a tag, what it is, a group, who has it or a host name")
	f.StringVar(&cover, "cover", "", "only what is covered so: agent, silent, import, stale-import, never-enrolled, retired")
	f.BoolVar(&args.Overdue, "overdue", false, "only loans that are over and were not handed back")
	f.StringVar(&args.After, "after", "", "go on after this place, as an earlier answer named it")
	f.IntVar(&args.Limit, "limit", 100, "how many at most")
	return c
}

// holder says who has an asset.
func holder(a view.Registered) string {
	if a.Held == nil {
		return ""
	}
	s := a.Held.Role
	if a.Held.Person != "" {
		s += " (" + a.Held.Person + ")"
	}
	if !a.Held.Ends.IsZero() {
		s += ", until " + when(a.Held.Ends)
	}
	if a.Overdue {
		s += ", OVERDUE"
	}
	return s
}

func assetShowCommand(o *options) *cobra.Command {
	var args app.AssetArguments
	c := &cobra.Command{
		Use:   "show TAG",
		Short: "Show one asset",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			args.Tag = rest[0]
			return operate(c, o, "register.show", args, func(a view.Registered) { showAsset(c.OutOrStdout(), a) })
		},
	}
	schoolFlag(c, &args.School)
	return c
}

func showAsset(w io.Writer, a view.Registered) {
	fmt.Fprintf(w, "%s: %s, %s, %s\n", a.Tag, a.What, a.Class, a.Group)
	fmt.Fprintf(w, "Covered: %s. Host %s, last heard %s.\n", a.Cover, a.Hostname, when(a.LastContact))
	if a.Held != nil {
		fmt.Fprintf(w, "With %s since %s.\n", holder(a), when(a.Held.From))
	}
	for _, h := range a.Past {
		fmt.Fprintf(w, "Was with %s from %s to %s.\n", h.Role, when(h.From), when(h.Back))
	}
	if a.Escrow != "" {
		fmt.Fprintf(w, "Recovery key: %s, recorded %s.\n", a.Escrow, when(a.EscrowAt))
	}
	for _, wipe := range a.Wipes {
		fmt.Fprintf(w, "Wiped %s, as was said: %s.\n", when(wipe.At), wipe.Method)
	}
	if a.Investigation {
		fmt.Fprintln(w, "Found media are plugged into this machine.")
	}
	if l := a.Leaver; l != nil {
		fmt.Fprintf(w, "%s left %s.\n", l.Role, when(l.Left))
		for _, d := range l.Done {
			fmt.Fprintf(w, "  done: %s, %s %s\n", d.Step, when(d.At), d.Method)
		}
		for _, s := range l.Missing() {
			fmt.Fprintf(w, "  to do: %s\n", s)
		}
		fmt.Fprintf(w, "  signatures: %d of 2\n", len(l.Signed))
	}
}

func coverageCommand(o *options) *cobra.Command {
	var args app.AssetArguments
	c := &cobra.Command{
		Use:   "coverage",
		Short: "Compare the register with the laptops that are enrolled",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return operate(c, o, "register.coverage", args, func(v view.Coverage) { showCoverage(c.OutOrStdout(), v) })
		},
	}
	schoolFlag(c, &args.School)
	return c
}

func showCoverage(w io.Writer, c view.Coverage) {
	agents := c.Of(view.ByAgent) + c.Of(view.SilentAgent)
	fmt.Fprintf(w, "%d registered: %d by agent, %d by dated import or not covered.\n", c.Registered, agents, c.Registered-agents)
	for _, p := range c.Platforms {
		fmt.Fprintf(w, "  %-8s %d\n", p.Platform, p.Count)
	}
	for _, line := range []struct {
		cover view.Cover
		words string
	}{
		{view.SilentAgent, "by agent and not heard from lately: not proven"},
		{view.ByImport, "by a list that is not too old"},
		{view.StaleImport, "by a list that is too old: not proven"},
		{view.NeverEnrolled, "registered and never enrolled"},
		{view.NotRegistered, "enrolled and not registered"},
	} {
		fmt.Fprintf(w, "%5d %s\n", c.Of(line.cover), line.words)
		for _, g := range c.Gaps {
			if g.Cover == line.cover {
				fmt.Fprintf(w, "        %s\n", strings.Join(strings.Fields(g.Tag+" "+g.What+" "+g.Hostname), " "))
			}
		}
	}
	fmt.Fprintf(w, "%5d retired\n", c.Retired)
}

func exportCommand(o *options) *cobra.Command {
	args := app.AssetArguments{Limit: 500}
	var output string
	c := &cobra.Command{
		Use:   "export",
		Short: "Write the register as CSV, as import reads it",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var lines []register.Line
			for args.After = ""; ; {
				var page view.AssetPage
				if err := ask(c, o, "register.list", args, &page); err != nil {
					return err
				}
				for _, a := range page.Assets {
					lines = append(lines, register.Line{Item: register.Item{Tag: a.Tag, Description: a.Description}, Host: a.Hostname})
				}
				if args.After = page.Next; args.After == "" {
					break
				}
			}
			if o.json {
				return printJSON(c, lines)
			}
			if output == "" {
				return register.WriteCSV(c.OutOrStdout(), lines)
			}
			var b strings.Builder
			if err := register.WriteCSV(&b, lines); err != nil {
				return err
			}
			return durable.WriteFile(output, []byte(b.String()), 0o600)
		},
	}
	schoolFlag(c, &args.School)
	c.Flags().StringVar(&output, "output", "", "file to write (default: print it)")
	return c
}

// change is a command that records a change of one asset.
type change struct {
	use, short, long string
	what             register.What
	dated, method    bool
}

func changeCommand(o *options, ch change) *cobra.Command {
	var args app.RegisterArguments
	var on string
	c := &cobra.Command{
		Use: ch.use, Short: ch.short, Long: strings.TrimSpace(ch.short + ".\n" + ch.long), Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) (err error) {
			args.Change.What, args.Change.Tag = ch.what, rest[0]
			if args.Change.When, err = timeOf(on); err != nil {
				return err
			}
			return keep(c, o, args)
		},
	}
	keepFlags(c, &args)
	if ch.dated {
		c.Flags().StringVar(&on, "on", "", "when it happened, such as 2026-08-31 (default: now)")
	}
	if ch.method {
		c.Flags().StringVar(&args.Change.Method, "method", "", "how, such as \"reset to factory state, keys destroyed\"")
		cobra.CheckErr(c.MarkFlagRequired("method"))
	}
	return c
}

func keepFlags(c *cobra.Command, args *app.RegisterArguments) {
	schoolFlag(c, &args.School)
	c.Flags().StringVar(&args.Reason, "reason", "", "why, in words, if it needs saying")
}

// keep records a change and says where.
func keep(c *cobra.Command, o *options, args app.RegisterArguments) error {
	return operate(c, o, "register.change", args, func(a app.RegisterAnswer) {
		fmt.Fprintf(c.OutOrStdout(), "Recorded as entry %d: %s.\n", a.Entry, strings.TrimPrefix(a.Tag+", "+string(a.What), ", "))
	})
}

func tieCommand(o *options) *cobra.Command {
	args := app.RegisterArguments{Change: register.Change{What: register.Tie}}
	c := &cobra.Command{
		Use:   "tie TAG DEVICE",
		Short: "Say which enrolled device an asset is, by identifier or a host name that only one has",
		Args:  cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, rest []string) error {
			args.Change.Tag, args.Device = rest[0], rest[1]
			return keep(c, o, args)
		},
	}
	keepFlags(c, &args)
	return c
}

func allocateCommand(o *options) *cobra.Command {
	x := &register.Allocation{}
	args := app.RegisterArguments{Change: register.Change{What: register.Allocate, Allocation: x}}
	var until, on string
	c := &cobra.Command{
		Use:   "allocate TAG",
		Short: "Record who gets a device: a role, if need be a person, and until when",
		Long: "Record who gets a device. The role is kept with the device. A person's name is kept apart, in a part of the\n" +
			"record that is forgotten in time. With --until it is a loan: once that is over and the device was not handed\n" +
			"back, the rule about allocations is not met.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) (err error) {
			args.Change.Tag = rest[0]
			if x.Ends, err = timeOf(until); err != nil {
				return err
			}
			if args.Change.When, err = timeOf(on); err != nil {
				return err
			}
			return keep(c, o, args)
		},
	}
	keepFlags(c, &args)
	f := c.Flags()
	f.StringVar(&x.Role, "role", "", "who it is for, such as \"Year 4 class teacher\"")
	f.StringVar(&args.Person, "person", "", "the person, by name, if that has to be known")
	f.StringVar(&until, "until", "", "when a loan ends, such as \"2026-11-27 16:00\"")
	f.StringVar(&on, "on", "", "from when, such as 2026-09-01 (default: now)")
	f.BoolVar(&x.Guest, "guest", false, "it is for a guest or a supply teacher")
	f.BoolVar(&x.Notice, "notice", false, "they were given the school's notice for guests")
	f.StringVar(&x.Condition, "condition", "", "what state it is in")
	cobra.CheckErr(c.MarkFlagRequired("role"))
	return c
}

func doneCommand(o *options) *cobra.Command {
	args := app.RegisterArguments{Change: register.Change{What: register.DoneStep}}
	var on string
	c := &cobra.Command{
		Use:   "done TAG STEP",
		Short: "Record a step of a leaver's checklist: returned, data-moved, wiped or accounts-removed",
		Args:  cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, rest []string) (err error) {
			args.Change.Tag, args.Change.Step = rest[0], register.Step(rest[1])
			if args.Change.When, err = timeOf(on); err != nil {
				return err
			}
			return keep(c, o, args)
		},
	}
	keepFlags(c, &args)
	c.Flags().StringVar(&args.Change.Method, "method", "", "how; wiped needs it")
	c.Flags().StringVar(&on, "on", "", "when, such as 2026-08-31 (default: now)")
	return c
}

func retireCommand(o *options) *cobra.Command {
	args := app.RegisterArguments{Change: register.Change{What: register.Retire}}
	var on string
	c := &cobra.Command{
		Use:   "retire TAG",
		Short: "Record that a device is not in use any more",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) (err error) {
			args.Change.Tag = rest[0]
			if args.Change.Date, err = register.ParseDate(on); err != nil {
				return err
			}
			return keep(c, o, args)
		},
	}
	keepFlags(c, &args)
	c.Flags().StringVar(&on, "on", "", "the day, such as 2026-08-31")
	cobra.CheckErr(c.MarkFlagRequired("on"))
	return c
}

func recoveryCommand(o *options) *cobra.Command {
	args := app.RegisterArguments{Change: register.Change{What: register.Recovery}}
	c := &cobra.Command{
		Use:   "recovery-key TAG held|not-held",
		Short: "Record whether the school holds a device's recovery key; never the key itself",
		Args:  cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, rest []string) error {
			args.Change.Tag, args.Change.Escrow = rest[0], register.Escrow(rest[1])
			return keep(c, o, args)
		},
	}
	keepFlags(c, &args)
	return c
}

func investigationCommand(o *options) *cobra.Command {
	args := app.RegisterArguments{Change: register.Change{What: register.Investigate}}
	c := &cobra.Command{
		Use:   "investigation TAG on|off",
		Short: "Say that found media are plugged into this machine and no other",
		Args:  cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, rest []string) error {
			if rest[1] != "on" && rest[1] != "off" {
				return fmt.Errorf("say on or off, not %.20q", rest[1])
			}
			args.Change.Tag, args.Change.On = rest[0], rest[1] == "on"
			return keep(c, o, args)
		},
	}
	keepFlags(c, &args)
	return c
}
