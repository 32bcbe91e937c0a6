package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/viewing"
)

func viewsCommand(o *options) *cobra.Command {
	return group("views", "Who looked at laptops, and at what concerns people", viewsListCommand(o))
}

func viewsListCommand(o *options) *cobra.Command {
	var args app.ViewsArguments
	var what, from, to string
	c := &cobra.Command{
		Use:   "list",
		Short: "List who looked at what, the newest first",
		Long: "List who looked at what. Whoever looks at a laptop, or at a list that says who has what, is recorded before\n" +
			"they see it, whether on a page, by a program or by a command; and so is this. Looks at the same within an\n" +
			"hour, or by a program within a day, are one. Who looked at a restricted incident is told to those whom it\n" +
			"names, by restricted show. At a school the data-protection officer and the head read this on their page.",
		Example: "  caretaker-collector views list --device hb-lt-014 --from 2026-11-01\n" +
			"  caretaker-collector views list --by \"Morgan Ellis\" --what evidence",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			args.What = viewing.What(what)
			if args.From, err = timeOf(from); err != nil {
				return err
			}
			if args.To, err = timeOf(to); err != nil {
				return err
			}
			return operate(c, o, "views.list", args, func(p view.LookPage) { showViews(c.OutOrStdout(), p) })
		},
	}
	var known []string
	for _, w := range viewing.All() {
		known = append(known, string(w))
	}
	schoolFlag(c, &args.School)
	f := c.Flags()
	f.StringVar(&args.Device, "device", "", "only looks at this laptop, at evidence of it, and at single things that name it")
	f.StringVar(&args.Person, "person", "", "only looks at laptops that this person had at the time, as the register calls them")
	f.StringVar(&args.By, "by", "", "only looks by this account; by an operator of the console, console:NAME")
	f.StringVar(&what, "what", "", "only looks at one of "+strings.Join(known, ", "))
	f.StringVar(&from, "from", "", "only looks from then on, such as 2026-11-01")
	f.StringVar(&to, "to", "", "only looks before then")
	f.StringVar(&args.After, "after", "", "go on after this place, as an earlier answer named it")
	f.IntVar(&args.Limit, "limit", 100, "how many at most")
	return c
}

func showViews(w io.Writer, p view.LookPage) {
	for _, l := range p.Looks {
		fmt.Fprintf(w, "%s  %s  %s: %s\n", when(l.At), l.By, l.How(), l.Shown())
		for _, at := range l.Showed {
			fmt.Fprintf(w, "    %s%s\n", strings.TrimSpace(at.AssetTag+" "+at.Hostname), inBrackets(at.Had()))
		}
	}
	switch {
	case len(p.Looks) == 0 && p.Next == "":
		fmt.Fprintln(w, "Nobody did.")
	case p.Next != "":
		fmt.Fprintf(w, "There are earlier ones: --after %s\n", p.Next)
	}
}
