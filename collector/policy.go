package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/fault"
	"github.com/caretaker-school/caretaker/collector/rulebook"
	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/policy"
)

func policyCommand(o *options) *cobra.Command {
	return group("policy", "The school's rules", policyCheck(o), policyCompile(), policyShow(o), policyDiff(o), policyPreview(o),
		policyDraft(o), policyDrafts(o), policyApprove(o), policyWithdraw(o), policyApprovers(o), policyPublish(o), policyRollback(o), policyChoose(o))
}

func policyCheck(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Say everything that is wrong with a policy",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			source, err := os.ReadFile(args[0])
			if err != nil {
				return fmt.Errorf("read the policy: %w", err)
			}
			problems, err := rulebook.Check(args[0], source)
			if err != nil {
				return err
			}
			if o.json {
				if problems == nil {
					problems = []fault.Fault{}
				}
				if err := printJSON(c, problems); err != nil {
					return err
				}
			} else if len(problems) == 0 {
				fmt.Fprintf(c.OutOrStdout(), "%s is good.\n", args[0])
			} else {
				for _, p := range problems {
					fmt.Fprintln(c.OutOrStdout(), p)
				}
			}
			if len(problems) > 0 {
				return errBad
			}
			return nil
		},
	}
}

func policyCompile() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "compile FILE",
		Short: "Compile a policy for caretaker-agent check --policy",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			source, err := os.ReadFile(args[0])
			if err != nil {
				return fmt.Errorf("read the policy: %w", err)
			}
			compiled, err := rulebook.Compile(args[0], source)
			if err != nil {
				return err
			}
			body, err := policy.Encode(compiled)
			if err != nil {
				return err
			}
			if out == "" {
				out = strings.TrimSuffix(args[0], filepath.Ext(args[0])) + ".policy"
			}
			if out == "-" {
				_, err := c.OutOrStdout().Write(body)
				return err
			}
			if err := durable.WriteFile(out, body, fs.FileMode(0o644)); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "Compiled %s into %s.\n", count(len(compiled.Rules), "rule", "rules"), out)
			return nil
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "file to write (default: FILE with the ending .policy); - for standard output")
	return c
}

func policyShow(o *options) *cobra.Command {
	var args app.PolicyArguments
	c := &cobra.Command{
		Use:   "show [NUMBER]",
		Short: "Show the policy in force, or an earlier one",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			if len(rest) == 1 {
				n, err := strconv.ParseUint(rest[0], 10, 64)
				if err != nil {
					return fmt.Errorf("a policy has a whole number, not %q", rest[0])
				}
				args.Number = n
			}
			return operate(c, o, "policy.show", args, func(p policy.Policy) { showPolicy(c.OutOrStdout(), p) })
		},
	}
	schoolFlag(c, &args.School)
	return c
}

func showPolicy(w io.Writer, p policy.Policy) {
	fmt.Fprintf(w, "%s, number %d: %s\n\n", p.Name, p.Number, p.Title)
	for _, r := range p.Rules {
		fmt.Fprintf(w, "%-7s %-9s %-8s %s\n", r.ID, r.Severity, r.Side, r.Title)
	}
}

func policyPublish(o *options) *cobra.Command {
	var args app.PublishArguments
	c := &cobra.Command{
		Use:   "publish FILE",
		Short: "Put a policy in force: it is numbered, signed and sent to the laptops",
		Long: "Put a policy in force: it is numbered, signed and sent to the laptops. Look first at what it would find:\n" +
			"policy preview. With --draft the text of a draft is published; where the school asks for two people, only a\n" +
			"text that another account has approved is.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			if (len(rest) == 1) == (args.Draft != "") {
				return fmt.Errorf("name a file, or a draft with --draft")
			}
			if len(rest) == 1 {
				source, err := os.ReadFile(rest[0])
				if err != nil {
					return fmt.Errorf("read the policy: %w", err)
				}
				args.File, args.Source = filepath.Base(rest[0]), source
			}
			return operate(c, o, "policy.publish", args, func(a app.PublishAnswer) {
				fmt.Fprintf(c.OutOrStdout(), "Published %s as number %d, with %s.\n", a.Name, a.Number, count(a.Rules, "rule", "rules"))
				showLoosening(c.OutOrStdout(), a.Looser, a.Unclear)
			})
		},
	}
	schoolFlag(c, &args.School)
	c.Flags().StringVar(&args.Draft, "draft", "", "name of a draft to publish")
	c.Flags().StringVar(&args.ApprovedOn, "approved-on", "", "the day on which the school agreed to it, such as 2026-11-22")
	c.Flags().StringVar(&args.ReviewBy, "review-by", "", "the day by which it is to be looked at again")
	c.Flags().StringVar(&args.Reason, "reason", "", "why, for the record")
	return c
}

func policyDiff(o *options) *cobra.Command {
	var args app.DiffArguments
	c := &cobra.Command{
		Use:   "diff FILE|NUMBER",
		Short: "Say in words what changes from the policy in force to another",
		Long: "Say in words what changes from the policy in force, or the one of --from, to a file that is not published\n" +
			"or to a number. Where it can be told, each change says whether the rules become tighter or looser.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			n, err := strconv.ParseUint(rest[0], 10, 64)
			if args.To = n; err != nil {
				if args.Source, err = os.ReadFile(rest[0]); err != nil {
					return fmt.Errorf("read the policy: %w", err)
				}
				args.File = filepath.Base(rest[0])
			}
			return operate(c, o, "policy.diff", args, func(a app.DiffAnswer) { showDiff(c, a) })
		},
	}
	schoolFlag(c, &args.School)
	c.Flags().Uint64Var(&args.From, "from", 0, "number of the policy to begin with (default: the one in force)")
	return c
}

func showDiff(c *cobra.Command, a app.DiffAnswer) {
	w := c.OutOrStdout()
	to := a.File
	if to == "" {
		to = fmt.Sprintf("policy %d", a.To)
	}
	if len(a.Changes) == 0 {
		fmt.Fprintf(w, "Nothing changes from policy %d to %s.\n", a.From, to)
		return
	}
	fmt.Fprintf(w, "From policy %d to %s:\n", a.From, to)
	for _, d := range a.Changes {
		subject := d.Rule + d.Parameter
		if subject != "" {
			subject += " "
		}
		direction := ""
		if d.Direction != rulebook.Either {
			direction = " (" + strings.ToUpper(string(d.Direction)) + ")"
		}
		fmt.Fprintf(w, "  %s%s%s\n", subject, d.Words, direction)
	}
}

func policyRollback(o *options) *cobra.Command {
	var args app.PolicyArguments
	c := &cobra.Command{
		Use:   "rollback NUMBER",
		Short: "Publish the text of an earlier policy again, under a new number",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			n, err := strconv.ParseUint(rest[0], 10, 64)
			if err != nil || n == 0 {
				return fmt.Errorf("a policy that was published has a number from 1, not %q", rest[0])
			}
			args.Number = n
			return operate(c, o, "policy.rollback", args, func(a app.PublishAnswer) {
				fmt.Fprintf(c.OutOrStdout(), "Published the text of policy %d again, as number %d.\n", n, a.Number)
			})
		},
	}
	schoolFlag(c, &args.School)
	return c
}
