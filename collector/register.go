package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
)

func registerCommand(o *options) *cobra.Command {
	return group("register", "The school's register of devices: what there is, who has it, and what became of it",
		importCommand(o), assetListCommand(o), assetShowCommand(o), coverageCommand(o), exportCommand(o),
		tieCommand(o), changeCommand(o, change{
			use: "untie TAG", short: "Say that an asset is not the enrolled device that it was tied to", what: register.Untie,
		}),
		allocateCommand(o), guestNoticeCommand(o),
		handBackCommand(o), leftCommand(o), staysCommand(o), doneCommand(o), signCommand(o),
		changeCommand(o, change{
			use: "wiped TAG", short: "Record that a device was wiped, and how", what: register.Wiped, dated: true, method: true,
			long: "That it was wiped is what you say: nothing on the device can prove it.",
		}),
		retireCommand(o), recoveryCommand(o), investigationCommand(o), listsLastCommand(o), acknowledgedCommand(o), acknowledgementsCommand(o))
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
			"is; managed is what looks after a device that can have no agent, such as \"Google Admin\"; and encrypted (yes, no or\n" +
			"by default), enrolled (yes or no) and seen (a day) are what that says of it. Such a list counts for a time from the\n" +
			"day on which it was true (--as-of), and one that is older than what is known already is refused. serial is the\n" +
			"device's own serial number, as its maker gives it: no two devices have one.\n" +
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

// timeOf reads a time as people write it, in the zone of commands; "" is
// the zero time.
func timeOf(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, homeZone(time.Now())); err == nil {
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
	f.BoolVar(&args.BySerial, "by-serial", false, "only what was admitted by its serial number alone, and nobody has looked at since")
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
	if a.Serial != "" {
		fmt.Fprintf(w, "Serial number: %s.\n", a.Serial)
	}
	if !a.BySerial.IsZero() {
		fmt.Fprintf(w, "Admitted as this asset by its serial number alone, %s: look at it, and say that it is with register tie.\n", when(a.BySerial))
	}
	fmt.Fprintf(w, "Covered: %s. Host %s, last heard %s.\n", a.Cover, a.Hostname, when(a.LastContact))
	if l := a.Listed; l != nil {
		for _, s := range l.Says {
			fmt.Fprintf(w, "%s: %s.\n", standingWords(s.Standing), s.Words)
		}
		if !l.Stale {
			fmt.Fprintf(w, "The list counts until %s.\n", when(l.Until))
		}
	}
	if a.Held != nil {
		fmt.Fprintf(w, "With %s since %s.\n", holder(a), when(a.Held.From))
		showLoan(w, a)
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
		fmt.Fprintf(w, "Found media are plugged into this machine, since %s.\n", when(a.InvestigationAt))
	}
	if l := a.Leaver; l != nil {
		verb := "left"
		if a.Leaves {
			verb = "leaves"
		}
		fmt.Fprintf(w, "%s %s %s.\n", l.Role, verb, when(l.Left))
		for _, d := range l.Done {
			fmt.Fprintf(w, "  done: %s, %s %s\n", d.Step, when(d.At), d.Method)
		}
		for _, s := range l.Missing() {
			fmt.Fprintf(w, "  to do: %s\n", s)
		}
		fmt.Fprintf(w, "  signatures: %d of 2\n", len(l.Signed))
	}
}

// change is a command that records a change of one asset.
type change struct {
	use, short, long, example string
	what                      register.What
	dated, method             bool
}

func changeCommand(o *options, ch change) *cobra.Command {
	var args app.RegisterArguments
	c := &cobra.Command{
		Use: ch.use, Short: ch.short, Long: strings.TrimSpace(ch.short + ".\n" + ch.long), Example: ch.example, Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) (err error) {
			args.Change.What, args.Change.Tag = ch.what, rest[0]
			return keep(c, o, args)
		},
	}
	keepFlags(c, &args)
	if ch.dated {
		c.Flags().StringVar(&args.On, "on", "", "when it happened, such as 2026-08-31 (default: now)")
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

func listsLastCommand(o *options) *cobra.Command {
	args := app.RegisterArguments{Change: register.Change{What: register.ListsLast}}
	c := &cobra.Command{
		Use:   "lists-last DAYS",
		Short: "Say for how many days a list of devices that no agent covers counts",
		Long: "Say for how many days a list of devices that no agent covers counts, from the day on which it was true. After\n" +
			"that what it says is not proven, until a newer list is imported. Unless it is said here, it is 30 days.",
		Example: "  caretaker-collector register lists-last 14",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			days, err := strconv.Atoi(rest[0])
			if err != nil {
				return fmt.Errorf("%.40q is no number of days", rest[0])
			}
			args.Change.Days = days
			return keep(c, o, args)
		},
	}
	keepFlags(c, &args)
	return c
}

// standingWords says how something stands, in the words of the pages.
func standingWords(s view.Standing) string {
	switch s {
	case view.Met:
		return "Met"
	case view.NotMet:
		return "Not met"
	default:
		return "Not proven"
	}
}

func investigationCommand(o *options) *cobra.Command {
	args := app.RegisterArguments{Change: register.Change{What: register.Investigate}}
	c := &cobra.Command{
		Use:   "investigation TAG on|off",
		Short: "Say that found media are plugged into this machine and no other",
		Long: "Say that found media are plugged into this machine and no other. Rules about media are not for it then, and it opens\n" +
			"nothing of theirs. It is told when it is connected; until it has said that it knows, plug nothing in.",
		Example: "  caretaker-collector register investigation HB-PC-001 on",
		Args:    cobra.ExactArgs(2),
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
