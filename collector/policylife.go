package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/clock"
)

func policyPreview(o *options) *cobra.Command {
	var args app.PreviewArguments
	c := &cobra.Command{
		Use:   "preview FILE|NUMBER",
		Short: "Say what a policy would find on every laptop now, before anybody is told",
		Long: "Say what a policy would find on every laptop now, and which breaches would open and close compared with\n" +
			"the policy in force. It is judged from what the laptops last reported: what is not known, or is too old,\n" +
			"is not proven. Nothing is recorded, and nobody is told. With --draft the text of a draft is previewed.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			if (len(rest) == 1) == (args.Draft != "") {
				return fmt.Errorf("name a file or a number, or a draft with --draft")
			}
			if len(rest) == 1 {
				if err := textOf(rest[0], &args); err != nil {
					return err
				}
			}
			return showingPreview(c, o, args)
		},
	}
	schoolFlag(c, &args.School)
	c.Flags().StringVar(&args.Draft, "draft", "", "name of a draft to preview")
	c.Flags().IntVar(&args.Days, "days", 0, "judge the reports of as many days too, as far as they are held")
	return c
}

// textOf reads a policy from a file, or takes the number of one.
func textOf(name string, args *app.PreviewArguments) (err error) {
	if args.Number, err = strconv.ParseUint(name, 10, 64); err == nil {
		return nil
	}
	if args.Source, err = os.ReadFile(name); err != nil {
		return fmt.Errorf("read the policy: %w", err)
	}
	args.File = filepath.Base(name)
	return nil
}

func showingPreview(c *cobra.Command, o *options, args app.PreviewArguments) error {
	ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt)
	defer stop()
	args.ID = rand.Text()
	told := func(done, total int) { fmt.Fprintf(c.ErrOrStderr(), "\r%d of %d devices judged ", done, total) }
	if !terminal(c.ErrOrStderr()) {
		told = func(int, int) {}
	}
	answer, err := preview(ctx, o, args, told)
	if terminal(c.ErrOrStderr()) {
		fmt.Fprint(c.ErrOrStderr(), "\r\033[K")
	}
	if err != nil {
		return err
	}
	if o.json {
		return printJSON(c, answer)
	}
	showPreview(c.OutOrStdout(), answer)
	return nil
}

func preview(ctx context.Context, o *options, args app.PreviewArguments, told func(done, total int)) (view.Preview, error) {
	return app.Preview(ctx, o.data, args, told, clock.System{})
}

// terminal reports whether a person watches what is written.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// showPreview prints counts first, then the rules of which something changes, and
// their devices.
func showPreview(w io.Writer, p view.Preview) {
	from := fmt.Sprintf("policy %d", p.From)
	if p.From == 0 {
		from = "the baseline"
	}
	fmt.Fprintf(w, "%s, compared with %s, on %s as they last reported:\n", p.Title, from, count(p.Devices, "device", "devices"))
	fmt.Fprintf(w, "  %s would open (%d after a grace), %d would close, on %s.\n",
		count(p.Opens, "breach", "breaches"), p.Pending, p.Closes, count(p.Affected, "device", "devices"))
	for i, words := range p.Below {
		if i == 0 {
			fmt.Fprintln(w, "  IT ASKS LESS THAN THE BASELINE OF THE SCHOOL'S TRUST, which has to allow that before it is published:")
		}
		fmt.Fprintf(w, "    %s\n", words)
	}
	if p.Silent > 0 {
		fmt.Fprintf(w, "  %s not been heard from lately: what they last reported may not be so any more.\n", have(p.Silent))
	}
	if p.Unheard > 0 {
		fmt.Fprintf(w, "  %s never reported: only the school's own rules are judged there.\n", have(p.Unheard))
	}
	if p.Revoked > 0 {
		fmt.Fprintf(w, "  %s been revoked and are left out.\n", have(p.Revoked))
	}
	fmt.Fprintf(w, "\n%-8s %-30s  %-30s\n", "", "Now", "With this policy")
	fmt.Fprintf(w, "%-8s %8s %9s %11s  %8s %9s %11s  %7s %7s\n", "Rule", "met", "not met", "not proven", "met", "not met", "not proven", "opens", "closes")
	for _, r := range p.Rules {
		mark := ""
		switch {
		case r.New:
			mark = "  new"
		case r.Gone:
			mark = "  no longer a rule"
		}
		fmt.Fprintf(w, "%-8s %8d %9d %11d  %8d %9d %11d  %7d %7d%s\n", r.Rule, r.Before.Met, r.Before.NotMet, r.Before.NotProven,
			r.After.Met, r.After.NotMet, r.After.NotProven, r.Opens, r.Closes, mark)
	}
	showHistory(w, p.History)
	for _, r := range p.Rules {
		if r.Touched > 0 {
			showPreviewRule(w, r)
		}
	}
}

func showHistory(w io.Writer, h *view.PreviewHistory) {
	if h == nil {
		return
	}
	fmt.Fprintf(w, "\nIn the %s since %s (%s of the %d asked for", count(h.Reports, "report", "reports"), when(h.From), count(h.Days, "day", "days"), h.Asked)
	if h.Cut != "" {
		fmt.Fprintf(w, ": %s", h.Cut)
	}
	fmt.Fprintln(w, "), these rules would have been failed:")
	if h.Partly > 0 {
		fmt.Fprintf(w, "  Of %s not all is held any more: what was in them is not known.\n", count(h.Partly, "report", "reports"))
	}
	for _, r := range h.Rules {
		fmt.Fprintf(w, "  %-8s on %s, of which %d in the last report too\n", r.Rule, count(r.Devices, "device", "devices"), r.Now)
	}
}

func have(n int) string { return count(n, "device has", "devices have") }

func showPreviewRule(w io.Writer, r view.PreviewRule) {
	fmt.Fprintf(w, "\n%s %s (%s): %d open, %d close, on %s\n", r.Rule, r.Title, r.Severity, r.Opens, r.Closes, count(r.Touched, "device", "devices"))
	for _, d := range r.Listed {
		for _, b := range d.Breaches {
			what := "opens"
			if b.Closes {
				what = "closes"
			}
			fmt.Fprintf(w, "  %-20s %-7s %-8s %-8s %s\n", d.Hostname, what, b.Status, b.Severity, b.Subject.Label)
		}
		if more := d.Opens + d.Closes - len(d.Breaches); more > 0 {
			fmt.Fprintf(w, "  %-20s and %d more\n", d.Hostname, more)
		}
	}
	if more := r.Touched - len(r.Listed); more > 0 {
		fmt.Fprintf(w, "  and %s more\n", count(more, "device", "devices"))
	}
}

func policyDraft(o *options) *cobra.Command {
	var args app.PreviewArguments
	var key string
	c := &cobra.Command{
		Use:   "draft FILE",
		Short: "Record a text as a draft, for another person to approve",
		Long: "Record a text as a draft. Nobody is judged by it until it is published. Another person approves exactly\n" +
			"this text: a draft of the same name with another text is another draft, and not approved.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) (err error) {
			if err := textOf(rest[0], &args); err != nil {
				return err
			}
			if args.Source == nil {
				return fmt.Errorf("a draft is made of a file: the text of an earlier policy comes back with rollback")
			}
			if args.Draft == "" {
				args.Draft = draftName(rest[0])
			}
			if args.Key, err = keyIn(key); err != nil {
				return err
			}
			return operate(c, o, "policy.draft", args, func(d decision.Draft) {
				fmt.Fprintf(c.OutOrStdout(), "Drafted %s: %s, with %s, text %s.\n", d.Name, d.Title, count(d.Rules, "rule", "rules"), short(d))
			})
		},
	}
	schoolFlag(c, &args.School)
	c.Flags().StringVar(&args.Draft, "name", "", "name of the draft (default: that of the file)")
	keyFlag(c, &key)
	reasonFlag(c, &args.Reason)
	return c
}

func draftName(file string) string {
	name := strings.ToLower(strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)))
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, name)
}

func short(d decision.Draft) string { return fmt.Sprintf("%x", d.Digest[:6]) }

func keyFlag(c *cobra.Command, key *string) {
	c.Flags().StringVar(key, "key", "", "file with an access key of the account that decides; - for standard input")
}

func reasonFlag(c *cobra.Command, reason *string) {
	c.Flags().StringVar(reason, "reason", "", "why, for the record")
	_ = c.MarkFlagRequired("reason") // it is there: the line above says so
}

// keyIn reads an access key from a file, so that it does not stand in the history
// of a shell.
func keyIn(file string) (string, error) {
	var data []byte
	var err error
	switch file {
	case "":
		return "", nil
	case "-":
		data, err = io.ReadAll(io.LimitReader(os.Stdin, 4096))
	default:
		data, err = os.ReadFile(file)
	}
	if err != nil {
		return "", fmt.Errorf("read the access key: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

func policyDrafts(o *options) *cobra.Command {
	var args app.PreviewArguments
	c := &cobra.Command{
		Use:   "drafts",
		Short: "List the drafts, and how the policy in force came to be",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return operate(c, o, "policy.drafts", args, func(a app.PolicyStanding) { showStanding(c.OutOrStdout(), a) })
		},
	}
	schoolFlag(c, &args.School)
	return c
}

func showStanding(w io.Writer, a app.PolicyStanding) {
	switch p := a.Publication; {
	case a.Number == 0:
		fmt.Fprintln(w, "The baseline is in force: this school has published no policy.")
	case p == nil:
		fmt.Fprintf(w, "Policy %d is in force; who published it is not recorded.\n", a.Number)
	default:
		fmt.Fprintf(w, "Policy %d is in force, published by %s on %s; drafted by %s, %s.\n", p.Number, p.By, when(p.At), p.Drafter, approvedBy(*p))
		if p.Unapproved {
			fmt.Fprintln(w, "  THE SCHOOL ASKED FOR TWO PEOPLE, AND NO SECOND ONE IS RECORDED.")
		}
		showLoosening(w, p.Looser, p.Unclear)
		if p.ApprovedOn != "" {
			fmt.Fprintf(w, "  The school agreed to it on %s.\n", p.ApprovedOn)
		}
		if p.ReviewBy != "" {
			due := ""
			if a.ReviewDue {
				due = ": THE REVIEW IS OVERDUE"
			}
			fmt.Fprintf(w, "  It is to be looked at again by %s%s.\n", p.ReviewBy, due)
		}
	}
	fmt.Fprintf(w, "It takes %s to publish a policy.\n", count(a.Approvers, "person", "people"))
	if a.OneAskedBy != "" {
		fmt.Fprintf(w, "  %s has asked that one be enough; another account has to agree.\n", a.OneAskedBy)
	}
	for _, d := range a.Drafts {
		fmt.Fprintf(w, "\n%s  %s, with %s, text %s\n  drafted by %s on %s: %s\n", d.Name, d.Title, count(d.Rules, "rule", "rules"), short(d), d.By, when(d.At), d.Reason)
		showLoosening(w, d.Looser, d.Unclear)
		showBelow(w, d)
		for _, approval := range d.Approvals {
			fmt.Fprintf(w, "  approved by %s on %s: %s\n", approval.By, when(approval.At), approval.Reason)
		}
	}
}

// showLoosening says which rules ask less than the ones before.
func showLoosening(w io.Writer, looser, unclear []string) {
	if len(looser) > 0 {
		fmt.Fprintf(w, "  Asks less than before: %s.\n", strings.Join(looser, ", "))
	}
	if len(unclear) > 0 {
		fmt.Fprintf(w, "  Cannot be told from the texts whether it asks less: %s.\n", strings.Join(unclear, ", "))
	}
}

func approvedBy(p decision.Publication) string {
	if p.Approver == "" {
		return "approved by nobody else"
	}
	return fmt.Sprintf("approved by %s on %s", p.Approver, when(p.ApprovedAt))
}

func policyApprove(o *options) *cobra.Command {
	var args app.PreviewArguments
	var key string
	c := &cobra.Command{
		Use:   "approve DRAFT",
		Short: "Approve a draft as a second person, with an access key of one's account",
		Long: "Approve a draft as a second person. Whoever has a shell on the collector is one operator and never a second\n" +
			"person, so this takes an access key of an account that may approve, in a file.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) (err error) {
			args.Draft = rest[0]
			if args.Key, err = keyIn(key); err != nil {
				return err
			}
			return operate(c, o, "policy.approve", args, func(d decision.Draft) {
				fmt.Fprintf(c.OutOrStdout(), "Approved %s, text %s.\n", d.Name, short(d))
			})
		},
	}
	schoolFlag(c, &args.School)
	keyFlag(c, &key)
	reasonFlag(c, &args.Reason)
	return c
}

func policyWithdraw(o *options) *cobra.Command {
	var args app.PreviewArguments
	c := &cobra.Command{
		Use:   "withdraw DRAFT",
		Short: "Take a draft back",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			args.Draft = rest[0]
			return operate(c, o, "policy.withdraw", args, func(d decision.Draft) { fmt.Fprintf(c.OutOrStdout(), "Withdrew %s.\n", d.Name) })
		},
	}
	schoolFlag(c, &args.School)
	reasonFlag(c, &args.Reason)
	return c
}

func policyApprovers(o *options) *cobra.Command {
	var args app.PreviewArguments
	var key string
	c := &cobra.Command{
		Use:   "approvers 1|2",
		Short: "Say how many people it takes to publish a policy",
		Long: "Say how many people it takes to publish a policy. Two holds from now on. One holds once a second account has\n" +
			"asked for it too, within 30 days.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) (err error) {
			if args.Approvers, err = strconv.Atoi(rest[0]); err != nil || args.Approvers < 1 || args.Approvers > 2 {
				return fmt.Errorf("it takes 1 person to publish a policy, or 2, not %q", rest[0])
			}
			if args.Key, err = keyIn(key); err != nil {
				return err
			}
			return operate(c, o, "policy.approvers", args, func(a app.PolicyStanding) { showStanding(c.OutOrStdout(), a) })
		},
	}
	schoolFlag(c, &args.School)
	keyFlag(c, &key)
	reasonFlag(c, &args.Reason)
	return c
}
