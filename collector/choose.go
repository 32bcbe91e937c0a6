package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/app"
)

func policyChoose(o *options) *cobra.Command {
	var args app.ChooseArguments
	var media, programs, portable string
	c := &cobra.Command{
		Use:   "choose",
		Short: "Choose what the school allows of programs and removable media, and put that in force",
		Long: "Choose what the school allows of programs and removable media. The source policies leave it open, so every school\n" +
			"chooses all three, with the policy in force or the shipped one as the rest:\n" +
			"  --media              record, encrypted, registered (and encrypted), or ban\n" +
			"  --programs           installed programs: record, deny (those on a list), or allow (only those on a list)\n" +
			"  --portable-programs  programs in people's folders: the same\n" +
			"Look first at what that would find: policy preview. Lists of programs are parameters of the policy's file.",
		Example: "  caretaker-collector policy choose --media encrypted --programs deny --portable-programs allow",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			args.Choices = map[string]string{"media": media, "programs": programs, "portablePrograms": portable}
			return operate(c, o, "policy.choose", args, func(a app.PublishAnswer) {
				fmt.Fprintf(c.OutOrStdout(), "Published %s as number %d: media %s, programs %s, portable programs %s.\n", a.Name, a.Number, media, programs, portable)
				showLoosening(c.OutOrStdout(), a.Looser, a.Unclear)
			})
		},
	}
	schoolFlag(c, &args.School)
	f := c.Flags()
	f.StringVar(&media, "media", "", "record, encrypted, registered or ban")
	f.StringVar(&programs, "programs", "", "record, deny or allow")
	f.StringVar(&portable, "portable-programs", "", "record, deny or allow")
	f.StringVar(&args.ApprovedOn, "approved-on", "", "the day on which the school agreed to it, such as 2026-11-22")
	f.StringVar(&args.ReviewBy, "review-by", "", "the day by which it is to be looked at again")
	f.StringVar(&args.Reason, "reason", "", "why, for the record")
	need(c, "media", "programs", "portable-programs")
	return c
}
