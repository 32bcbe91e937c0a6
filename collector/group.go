package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/shared/posture"
)

func classCommand(o *options) *cobra.Command {
	var args app.GroupArguments
	c := &cobra.Command{
		Use:   "class CLASS DEVICE...",
		Short: "Say of which class laptops are: school-single-user, school-multi-user or authorised",
		Long: "Say of which class laptops are, by identifier, host name or asset tag: school-single-user, school-multi-user or\n" +
			"authorised. Rules are for classes. What belongs to a pupil, a member of staff or a visitor gets no agent.",
		Example: "  caretaker-collector device class school-multi-user HB-LT-014 HB-LT-015 --reason \"they are on the trolley now\"",
		Args:    cobra.MinimumNArgs(2),
		RunE: func(c *cobra.Command, rest []string) error {
			args.Class, args.Devices = posture.Ownership(rest[0]), rest[1:]
			return grouping(c, o, &args, "device.class")
		},
	}
	groupFlags(c, &args)
	return c
}

func groupCommand(o *options) *cobra.Command {
	return group("group", "Groups of laptops, by which rules and exemptions are chosen", groupList(o),
		groupChange(o, "add", "Say that laptops are in a group"), groupChange(o, "remove", "Say that laptops are in a group no more"), groupImport(o))
}

func groupList(o *options) *cobra.Command {
	var args app.ListArguments
	c := &cobra.Command{
		Use:   "list",
		Short: "List the groups and their laptops",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return operate(c, o, "group.list", args, func(l app.GroupList) {
				for _, g := range l.Groups {
					fmt.Fprintf(c.OutOrStdout(), "%s: %s\n", g.Name, count(len(g.Devices), "laptop", "laptops"))
					for _, d := range g.Devices {
						due := ""
						if d.Due {
							due = "  (has not heard of it yet)"
						}
						fmt.Fprintf(c.OutOrStdout(), "  %-38s %s%s\n", d.ID, d.Hostname, due)
					}
				}
			})
		},
	}
	schoolFlag(c, &args.School)
	return c
}

func groupChange(o *options, use, short string) *cobra.Command {
	var args app.GroupArguments
	c := &cobra.Command{
		Use:   use + " GROUP DEVICE...",
		Short: short,
		Long: short + ", by identifier, host name or asset tag. Conditions of rules ask for\n" +
			"\"name\" in device.groups. A laptop that leaves a group is covered by its exemptions no more.",
		Example: fmt.Sprintf("  caretaker-collector group %s \"Science lab\" HB-LT-014 HB-LT-015 --reason \"they moved in September\"", use),
		Args:    cobra.MinimumNArgs(2),
		RunE: func(c *cobra.Command, rest []string) error {
			args.Devices = rest[1:]
			if use == "add" {
				args.Add = rest[:1]
			} else {
				args.Remove = rest[:1]
			}
			return grouping(c, o, &args, "group."+use)
		},
	}
	groupFlags(c, &args)
	return c
}

func groupImport(o *options) *cobra.Command {
	var args app.GroupArguments
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Say of which class and groups laptops are by a list in CSV",
		Long: "Say of which class and groups laptops are by a list in CSV, whose head names its columns: device (identifier, host\n" +
			"name or asset tag), class, and groups, parted by semicolons. A laptop is then in those groups and no other. A column\n" +
			"that the list does not have changes nothing. Nothing is recorded unless every line is good.",
		Example: "  caretaker-collector group import groups.csv --reason \"the new school year\"",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) (err error) {
			if args.Source, err = os.ReadFile(rest[0]); err != nil {
				return fmt.Errorf("read the list: %w", err)
			}
			args.File = filepath.Base(rest[0])
			return grouping(c, o, &args, "group.import")
		},
	}
	groupFlags(c, &args)
	return c
}

func groupFlags(c *cobra.Command, args *app.GroupArguments) {
	schoolFlag(c, &args.School)
	keyFlag(c, &args.Key)
	reasonFlag(c, &args.Reason)
}

func grouping(c *cobra.Command, o *options, args *app.GroupArguments, operation string) (err error) {
	if args.Key, err = keyIn(args.Key); err != nil {
		return err
	}
	return operate(c, o, operation, args, func(a app.GroupAnswer) {
		for _, d := range a.Changed {
			groups := "in no group"
			if len(d.Assignment.Groups) > 0 {
				groups = "in " + strings.Join(d.Assignment.Groups, ", ")
			}
			fmt.Fprintf(c.OutOrStdout(), "%s: %s, %s (entry %d). It is told when it is connected.\n", d.Device, d.Assignment.Ownership, groups, d.Entry)
		}
		if a.Same > 0 {
			fmt.Fprintf(c.OutOrStdout(), "%s so already.\n", map[bool]string{true: "1 laptop was", false: fmt.Sprintf("%d laptops were", a.Same)}[a.Same == 1])
		}
	})
}
