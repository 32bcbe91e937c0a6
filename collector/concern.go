package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/view"
)

func concernCommand(o *options) *cobra.Command {
	c := group("concern", "What people report without signing in, such as that a laptop was lost",
		concernList(o), concernShow(o), concernAside(o), concernAddress(o))
	c.Long = "What people report without signing in, at the school's own address on the pages: that a laptop was lost or\n" +
		"stolen, that something is suspicious, or that a stick was found. Nothing follows from that by itself. Somebody\n" +
		"looks, and opens an incident (incident open --concern REFERENCE) or sets it aside."
	return c
}

func concernList(o *options) *cobra.Command {
	args := app.ConcernArguments{Waiting: true}
	var all bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List what nobody has looked at yet, what waits longest first",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			args.Waiting = !all
			defer noteBehind(c, o, args.School)
			return operate(c, o, "concern.list", args, func(p view.ConcernPage) {
				for _, one := range p.Concerns {
					fmt.Fprintf(c.OutOrStdout(), "%-10s %-12s %s\n", one.ID, one.Kind, concernStands(one))
				}
				if p.Next != "" {
					fmt.Fprintf(c.OutOrStdout(), "There are more: --after %q\n", p.Next)
				}
			})
		},
	}
	schoolFlag(c, &args.School)
	c.Flags().BoolVar(&all, "all", false, "those too that somebody has looked at, the newest first")
	c.Flags().StringVar(&args.After, "after", "", "go on after this place, as an earlier answer named it")
	c.Flags().IntVar(&args.Limit, "limit", 100, "how many at most")
	return c
}

// concernStands says in a line where a report stands.
func concernStands(c view.Concern) string {
	line := "reported " + when(c.Raised)
	switch {
	case c.Case != "":
		return line + "; incident " + c.Incident
	case !c.Waiting():
		return line + "; set aside " + when(c.Aside.At)
	}
	return line + "; nobody has looked at it yet"
}

func concernShow(o *options) *cobra.Command {
	var args app.ConcernArguments
	c := &cobra.Command{
		Use:   "show REFERENCE",
		Short: "Show what was reported, and what became of it",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			args.References = rest
			defer noteBehind(c, o, args.School)
			return operate(c, o, "concern.show", args, func(one view.Concern) { showConcern(c.OutOrStdout(), one) })
		},
	}
	schoolFlag(c, &args.School)
	return c
}

func showConcern(w io.Writer, c view.Concern) {
	fmt.Fprintf(w, "Report %s: %s, %s\n", c.ID, c.Kind, concernStands(c))
	if c.Forgotten {
		fmt.Fprintln(w, "What was told is forgotten.")
		return
	}
	for _, line := range []struct{ name, text string }{
		{"What the sticker says", c.Thing},
		{"What happened", c.Words},
		{"Told by", c.From},
		{"To be reached", c.Reach},
		{"Signed in as", c.By},
		{"Set aside by " + c.Aside.By, c.Aside.Reason},
	} {
		if line.text != "" {
			fmt.Fprintf(w, "%s: %s\n", line.name, line.text)
		}
	}
}

func concernAside(o *options) *cobra.Command {
	var args app.ConcernArguments
	c := &cobra.Command{
		Use:   "set-aside REFERENCE...",
		Short: "Record that somebody looked at a report, and that nothing follows",
		Long: "Record that somebody looked at what was reported, and why nothing follows. An incident can be opened because of\n" +
			"it all the same, if it turns out otherwise.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			args.References = rest
			return operate(c, o, "concern.set-aside", args, func(a app.ConcernAnswer) {
				fmt.Fprintf(c.OutOrStdout(), "Set aside, entry %d.\n", a.Entry)
			})
		},
	}
	schoolFlag(c, &args.School)
	c.Flags().StringVar(&args.Reason, "reason", "", "what came of looking, such as \"rung back: it was in the cupboard\"")
	need(c, "reason")
	return c
}

func concernAddress(o *options) *cobra.Command {
	var args app.ConcernArguments
	c := &cobra.Command{
		Use:   "address",
		Short: "Say where people of the school report without signing in, or make another address",
		Long: "Say where people of the school report without signing in: the end of an address on the pages, for posters and\n" +
			"stickers. It is made up, so that nobody comes there by chance. Make another (--renew) if it is misused: then what\n" +
			"is printed has to be printed anew.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return operate(c, o, "concern.address", args, func(a view.ConcernAddress) {
				fmt.Fprintf(c.OutOrStdout(), "/report/%s, since %s\n", a.Address, when(a.Since))
			})
		},
	}
	schoolFlag(c, &args.School)
	c.Flags().BoolVar(&args.Renew, "renew", false, "make another address; the one before leads nowhere from then on")
	c.Flags().StringVar(&args.Reason, "reason", "", "why, with --renew")
	return c
}
