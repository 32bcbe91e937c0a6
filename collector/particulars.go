package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/particulars"
	"github.com/caretaker-school/caretaker/collector/view"
)

func particularsCommand(o *options) *cobra.Command {
	return group("particulars", "Who the school is for data protection: its officer, whom to tell of a loss, its lawful basis",
		particularsShow(o), particularsSet(o))
}

func particularsShow(o *options) *cobra.Command {
	var args app.ParticularsArguments
	c := &cobra.Command{
		Use:     "show",
		Short:   "Show who the school is for data protection",
		Example: "  caretaker-collector particulars show",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return operate(c, o, "particulars.show", args, func(p view.Particulars) { showParticulars(c.OutOrStdout(), p) })
		},
	}
	schoolFlag(c, &args.School)
	return c
}

// particularsFlag is one flag of set, and the text that it changes.
type particularsFlag struct {
	name, help string
	of         func(*particulars.Particulars) *string
}

func particularsFlags() []particularsFlag {
	type said = particulars.Particulars
	return []particularsFlag{
		{"controller", "who is responsible, with an address", func(p *said) *string { return &p.Controller }},
		{"officer", "name of the data-protection officer", func(p *said) *string { return &p.Officer.Name }},
		{"officer-mail", "their address for mail", func(p *said) *string { return &p.Officer.Mail }},
		{"officer-phone", "their phone", func(p *said) *string { return &p.Officer.Phone }},
		{"loss", "whom to tell when a laptop or stick is lost: a name or a role", func(p *said) *string { return &p.Loss.Who }},
		{"loss-phone", "their phone", func(p *said) *string { return &p.Loss.Phone }},
		{"loss-after-hours", "their phone out of hours", func(p *said) *string { return &p.Loss.After }},
		{"registration", "the school's number with the regulator", func(p *said) *string { return &p.Registration }},
		{"regulator", "to whom people can complain, such as \"Information Commissioner's Office, ico.org.uk\"", func(p *said) *string { return &p.Regulator }},
		{"basis", "the lawful basis, such as \"Public task (UK GDPR, article 6(1)(e))\"", func(p *said) *string { return &p.Basis }},
	}
}

func particularsSet(o *options) *cobra.Command {
	var args app.ParticularsArguments
	var key string
	var processors, policies []string
	c := &cobra.Command{
		Use:   "set",
		Short: "Say who the school is for data protection: what is not given stays as it is",
		Long: "Set says who the school is for data protection. Pages about a loss, and the school's privacy notice, show it.\n" +
			"What is not given stays as it is; \"\" takes something back. Lists are given whole.",
		Example: "  caretaker-collector particulars set --officer \"Robin Hale\" --officer-mail dpo@hollybank.example \\\n" +
			"      --loss \"School office\" --loss-phone \"01632 960100\" --processor \"Northfield IT; looks after the collector; at the school\" \\\n" +
			"      --policy \"Data protection policy; https://hollybank.example/policies/data\"",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if args.Key, err = keyIn(key); err != nil {
				return err
			}
			var was view.Particulars
			if err := ask(c, o, "particulars.show", args, &was); err != nil {
				return err
			}
			args.Said, args.Was = was.Particulars, was.Entry
			for _, f := range particularsFlags() {
				if c.Flags().Changed(f.name) {
					*f.of(&args.Said), _ = c.Flags().GetString(f.name)
				}
			}
			if c.Flags().Changed("processor") {
				if args.Said.Processors, err = readProcessors(processors); err != nil {
					return err
				}
			}
			if c.Flags().Changed("policy") {
				if args.Said.Policies, err = readLinks(policies); err != nil {
					return err
				}
			}
			return operate(c, o, "particulars.set", args, func(p view.Particulars) { showParticulars(c.OutOrStdout(), p) })
		},
	}
	schoolFlag(c, &args.School)
	keyFlag(c, &key)
	for _, f := range particularsFlags() {
		c.Flags().String(f.name, "", f.help)
	}
	c.Flags().StringArrayVar(&processors, "processor", nil, "somebody else who handles the data: \"NAME; WHAT FOR; WHERE\"; can be given several times")
	c.Flags().StringArrayVar(&policies, "policy", nil, "a policy of the school's own: \"WORDS; ADDRESS\"; can be given several times")
	c.Flags().StringVar(&args.Reason, "reason", "", "why, for the record")
	return c
}

// inParts splits "a; b; c" into so many parts. Nothing given takes a list back.
func inParts(list []string, n int, like string) (all [][]string, err error) {
	for _, one := range list {
		if one == "" {
			continue
		}
		parts := strings.SplitN(one, ";", n)
		if len(parts) != n {
			return nil, fmt.Errorf("%.60q is not of the form %s", one, like)
		}
		for i := range parts {
			parts[i] = strings.TrimSpace(parts[i])
		}
		all = append(all, parts)
	}
	return all, nil
}

func readProcessors(list []string) (out []particulars.Processor, err error) {
	all, err := inParts(list, 3, `"NAME; WHAT FOR; WHERE"`)
	for _, p := range all {
		out = append(out, particulars.Processor{Name: p[0], For: p[1], Where: p[2]})
	}
	return out, err
}

func readLinks(list []string) (out []particulars.Link, err error) {
	all, err := inParts(list, 2, `"WORDS; ADDRESS"`)
	for _, p := range all {
		out = append(out, particulars.Link{Words: p[0], Address: p[1]})
	}
	return out, err
}

func showParticulars(w io.Writer, p view.Particulars) {
	if p.Entry == 0 {
		fmt.Fprintln(w, "The school has not said who answers for data protection. Say it with particulars set.")
		return
	}
	rows := [][2]string{
		{"Responsible", p.Controller},
		{"Data-protection officer", p.OfficerLine()},
		{"Tell of a loss", p.LossLine()},
		{"Registered as", p.Registration},
		{"Regulator", p.Regulator},
		{"Lawful basis", p.Basis},
	}
	for _, one := range p.Processors {
		rows = append(rows, [2]string{"Processor", one.Name + ": " + one.For + "; " + one.Where})
	}
	for _, one := range p.Policies {
		rows = append(rows, [2]string{"Policy", one.Words + ": " + one.Address})
	}
	for _, row := range rows {
		fmt.Fprintf(w, "%-24s %s\n", row[0], cmp.Or(row[1], "not said"))
	}
	fmt.Fprintf(w, "Said %s by %s: %s\n", when(p.At), cmp.Or(p.By, "somebody whom the record has forgotten"), p.Reason)
}
