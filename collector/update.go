package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/release"
)

func updateCommand(o *options) *cobra.Command {
	return group("update", "New versions of the agent: take in what the publisher signed, offer it in rings, stop",
		updateAdd(o), updateOffer(o), updateStop(o), updateShow(o))
}

func updateAdd(o *options) *cobra.Command {
	var args app.UpdateArguments
	return &cobra.Command{
		Use:   "add DIR",
		Short: "Take in a release, as the publisher gave it out, to be offered",
		Long: "Add takes in a release's folder, which the collector's account must be able to read. Every part of it must be\n" +
			"signed by the publisher whose keys this program was built with. Nothing is offered to anybody by that.",
		Example: "  caretaker-collector update add /srv/caretaker-agent-v1.2.0",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			folder, err := filepath.Abs(rest[0])
			if err != nil {
				return fmt.Errorf("find the release: %w", err)
			}
			args.Folder = folder
			return operate(c, o, "update.add", args, func(k release.Kept) {
				fmt.Fprintf(c.OutOrStdout(), "Took in %s, for %s. Laptops take it until %s. Offer it with update offer.\n",
					k.Version, strings.Join(k.Systems, ", "), when(k.Until))
			})
		},
	}
}

func updateOffer(o *options) *cobra.Command {
	var args app.UpdateArguments
	var key string
	c := &cobra.Command{
		Use:   "offer VERSION",
		Short: "Offer a release to some laptops, and to more with each day",
		Long: "Offer has laptops told of a release. They take it if the publisher signed it and it is newer than what they run.\n" +
			"Begin with a few: which come first is by chance, or a group. A new offer takes the place of the one before.",
		Example: "  caretaker-collector update offer v1.2.0 --share 5 --per-day 20\n" +
			"  caretaker-collector update offer v1.2.0 --group \"IT room\" --share 100",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) (err error) {
			args.Offer.Version = rest[0]
			if args.Key, err = keyIn(key); err != nil {
				return err
			}
			return operate(c, o, "update.offer", args, func(s release.Standing) { showUpdate(c.OutOrStdout(), s) })
		},
	}
	schoolFlag(c, &args.School)
	keyFlag(c, &key)
	c.Flags().IntVar(&args.Offer.Share, "share", 10, "to how many of a hundred laptops")
	c.Flags().IntVar(&args.Offer.PerDay, "per-day", 0, "to how many of a hundred more with each day")
	c.Flags().StringVar(&args.Offer.Group, "group", "", "to laptops of this group alone")
	c.Flags().StringVar(&args.Reason, "reason", "", "why, for the record")
	return c
}

func updateStop(o *options) *cobra.Command {
	var args app.UpdateArguments
	var key string
	c := &cobra.Command{
		Use:   "stop",
		Short: "Offer no release any more: laptops that have not taken it stay as they are",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if args.Key, err = keyIn(key); err != nil {
				return err
			}
			return operate(c, o, "update.stop", args, func(s release.Standing) { showUpdate(c.OutOrStdout(), s) })
		},
	}
	schoolFlag(c, &args.School)
	keyFlag(c, &key)
	c.Flags().StringVar(&args.Reason, "reason", "", "why, for the record")
	return c
}

func updateShow(o *options) *cobra.Command {
	var args app.UpdateArguments
	c := &cobra.Command{
		Use:   "show",
		Short: "Show which releases there are, which is offered to whom, and which versions run",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return operate(c, o, "update.show", args, func(s release.Standing) { showUpdate(c.OutOrStdout(), s) })
		},
	}
	schoolFlag(c, &args.School)
	return c
}

func showUpdate(w io.Writer, s release.Standing) {
	if !s.Trusted {
		fmt.Fprintln(w, "This collector was built without its publisher's keys: it can take in no release.")
	}
	for _, k := range s.Releases {
		state := "laptops take it until " + when(k.Until)
		if k.Over {
			state = "no laptop takes it any more, since " + when(k.Until)
		}
		fmt.Fprintf(w, "Release %s (%s): %s\n", k.Version, strings.Join(k.Systems, ", "), state)
	}
	switch {
	case s.Offer.Version == "" && s.Entry == 0:
		fmt.Fprintln(w, "Nothing is offered.")
	case s.Offer.Version == "":
		fmt.Fprintf(w, "Nothing is offered. Stopped %s by %s: %s\n", when(s.At), s.By, s.Reason)
	default:
		to := "all laptops"
		if s.Offer.Group != "" {
			to = "the group " + s.Offer.Group
		}
		fmt.Fprintf(w, "Offered: %s, to %d of a hundred of %s now", s.Offer.Version, s.Share, to)
		if s.Offer.PerDay > 0 && s.Share < 100 {
			fmt.Fprintf(w, ", %d more with each day", s.Offer.PerDay)
		}
		fmt.Fprintf(w, ". Since %s, by %s: %s\n", when(s.At), s.By, s.Reason)
	}
	for _, r := range s.Runs {
		fmt.Fprintf(w, "%6d run %s\n", r.Devices, r.Version)
	}
	if s.Silent > 0 {
		fmt.Fprintf(w, "%6d have not connected since the collector was started\n", s.Silent)
	}
	if s.Fixed > 0 {
		fmt.Fprintf(w, "%6d take no release by themselves: their installer brings new versions\n", s.Fixed)
	}
	for _, f := range s.Failed {
		fmt.Fprintf(w, "%6d did not take %s: %s\n", f.Devices, f.Version, f.Why)
	}
}
