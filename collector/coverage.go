package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/durable"
)

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
	fmt.Fprintf(w, "%s.\n", c.Words())
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
