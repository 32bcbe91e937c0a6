package notify

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// moment writes a time with its zone, as everything for people does.
func moment(t time.Time, zone *time.Location) string {
	return t.In(zone).Format("Mon 2 Jan 2006 15:04 MST")
}

func reports(n int) string {
	if n == 1 {
		return "1 report"
	}
	return fmt.Sprintf("%d reports", n)
}

func laptops(n int) string {
	if n == 1 {
		return "1 laptop"
	}
	return fmt.Sprintf("%d laptops", n)
}

// Subject says in one line what a notice is about. It names no laptop: subjects
// are shown on locked screens.
func (n Notice) Subject() string {
	if n.Test {
		return "Caretaker: a test, nothing happened"
	}
	causes, first, month, what := 0, "", "", "policy breaches"
	for _, p := range n.Parts {
		for _, c := range p.Causes {
			if c.What == Monthly {
				month = c.Headline()
				continue
			}
			if causes++; causes == 1 {
				first = c.Headline()
			}
			if c.What != Opened && c.What != Escalated {
				what = "things"
			}
		}
	}
	if causes == 0 && month != "" {
		causes, first = 1, month
	}
	if causes == 0 && len(n.Checkpoints) > 0 {
		return n.checkpointSubject()
	}
	where := fmt.Sprintf("%d schools", len(n.Parts))
	if len(n.Parts) == 1 {
		where = n.Parts[0].Name
	}
	if causes == 1 {
		return where + ": " + first
	}
	return fmt.Sprintf("%s: %d %s to look at", where, causes, what)
}

// checkpointSubject is the subject of what tells of no breach.
func (n Notice) checkpointSubject() string {
	what := "checkpoint of the record"
	if slices.ContainsFunc(n.Checkpoints, func(g Given) bool { return g.Missing != "" }) {
		what = "no checkpoint of the record could be made"
	}
	if len(n.Checkpoints) == 1 {
		return n.Checkpoints[0].Name + ": " + what
	}
	return fmt.Sprintf("%d schools: %s", len(n.Checkpoints), what)
}

// Headline says a cause in one line.
func (c Cause) Headline() string {
	switch {
	case c.What == DueInDay:
		return "Less than 24 hours to tell the regulator, or to decide not to: " + c.Title
	case c.What == DueInHours:
		return "Less than 6 hours to tell the regulator, or to decide not to: " + c.Title
	case c.What == Overdue:
		return "The 72 hours to tell the regulator have ended, and it is not recorded that this was done or need not be: " + c.Title
	case c.What == Reported:
		return "Reported without signing in, and not yet looked at: " + reports(c.Reports)
	case c.What == Disputed:
		return "Said to be wrong, and to be answered within a month: " + disputed(c.Disputes)
	case c.What == Monthly:
		return "Summary of " + c.Title
	case c.What == Lost:
		return "Reported lost: " + c.Title
	case c.Silent:
		return fmt.Sprintf("Nothing heard in time from %s: %s (%s, %s)", laptops(c.Laptops), c.Title, c.Rule, c.Severity)
	case c.What == Escalated:
		return fmt.Sprintf("Now %s, not met on %s: %s (%s)", c.Severity, laptops(c.Laptops), c.Title, c.Rule)
	}
	return fmt.Sprintf("Not met on %s: %s (%s, %s)", laptops(c.Laptops), c.Title, c.Rule, c.Severity)
}

// Detail says since when, and on which laptops as far as they have asset tags.
func (c Cause) Detail(zone *time.Location) string {
	if c.What.aboutDeadline() {
		return "Aware since " + moment(c.Since, zone) + "; the 72 hours end " + moment(c.Due, zone) + "."
	}
	if c.What == Monthly {
		return c.monthDetail()
	}
	if c.What == Disputed {
		if c.Disputes > 1 {
			return "The first was disputed " + moment(c.Since, zone) + ". The pages say what, and until when each is to be answered."
		}
		return "It was disputed " + moment(c.Since, zone) + ". The pages say what, and until when it is to be answered."
	}
	if c.What == Reported {
		if c.Reports > 1 {
			return "The first was made " + moment(c.Since, zone) + ". Nobody has checked what they say."
		}
		return "It was made " + moment(c.Since, zone) + ". Nobody has checked what it says."
	}
	since := "Since " + moment(c.Since, zone)
	if c.Laptops > 1 {
		since = "The first since " + moment(c.Since, zone)
	}
	if c.Silent {
		since = "Not proven since " + moment(c.Since, zone)
	}
	if len(c.Tags) == 0 {
		return since + "."
	}
	tags := strings.Join(c.Tags, ", ")
	if others := c.Laptops - len(c.Tags); others > 0 {
		tags += fmt.Sprintf(" and %d more", others)
	}
	return since + ": " + tags + "."
}

// ofLaptops reports whether it is what laptops reported, and not people.
func (c Cause) ofLaptops() bool {
	return !c.What.pressing() && c.What != Lost && c.What != Monthly && c.What != Disputed
}

// link leads to the page of a school's breaches; "" if it is not known where the
// pages are.
func (n Notice) link(p Part) string {
	monthly := func(c Cause) bool { return c.What == Monthly }
	if n.Pages == "" {
		return ""
	}
	if i := slices.IndexFunc(p.Causes, monthly); i >= 0 && len(p.Causes) == 1 {
		return n.monthLink(p, p.Causes[i])
	}
	if !slices.ContainsFunc(p.Causes, func(c Cause) bool { return c.What != Disputed && c.What != Monthly }) {
		return n.disputeLink(p)
	}
	if !slices.ContainsFunc(p.Causes, Cause.ofLaptops) {
		return strings.TrimSuffix(n.Pages, "/") + "/schools/" + url.PathEscape(string(p.School)) + "/incidents"
	}
	return strings.TrimSuffix(n.Pages, "/") + "/schools/" + url.PathEscape(string(p.School)) + "/breaches"
}

// Text is a notice for people to read.
func (n Notice) Text(zone *time.Location) string {
	var w strings.Builder
	if n.Test {
		fmt.Fprintf(&w, "This is a test of the way for notices, made %s. Nothing happened.\n", moment(n.At, zone))
		return w.String()
	}
	what := "This could not wait for the day's digest."
	switch {
	case len(n.Parts) == 0:
		what = "This tells of no breach. It is sent so that you would notice if it stopped coming."
	case n.Digest:
		what = "What is new since the last notice."
	}
	fmt.Fprintf(&w, "%s\n%s\n", moment(n.At, zone), what)
	if n.Laptops > 1 && len(n.Parts) == 1 && len(n.Parts[0].Causes) == 1 {
		fmt.Fprintf(&w, "%s, one cause.\n", laptops(n.Laptops))
	}
	for _, p := range n.Parts {
		fmt.Fprintf(&w, "\n%s\n%s\n", p.Name, strings.Repeat("-", len([]rune(p.Name))))
		for _, c := range p.Causes {
			fmt.Fprintf(&w, "\n%s\n  %s\n", c.Headline(), c.Detail(zone))
			if c.Remediation != "" {
				fmt.Fprintf(&w, "  What to do: %s\n", c.Remediation)
			}
			if link := n.monthLink(p, c); c.What == Monthly && link != "" && len(p.Causes) > 1 {
				fmt.Fprintf(&w, "  %s\n", link)
			}
			if link := n.disputeLink(p); c.What == Disputed && link != "" && link != n.link(p) {
				fmt.Fprintf(&w, "  %s\n", link)
			}
		}
		if link := n.link(p); link != "" {
			fmt.Fprintf(&w, "\n  %s\n", link)
		}
	}
	for _, g := range n.Checkpoints {
		w.WriteString(g.text())
	}
	if len(n.Parts) == 0 {
		fmt.Fprintf(&w, "\nNotice %s\n", n.ID)
		return w.String()
	}
	ending := "This is what laptops reported, as evidence and not as a certificate. Each breach is told once,\nand again only if it comes to matter more."
	if !slices.ContainsFunc(n.Parts, func(p Part) bool { return slices.ContainsFunc(p.Causes, Cause.ofLaptops) }) {
		ending = "This is told once, and again only if it comes to matter more."
	}
	if !slices.ContainsFunc(n.Parts, func(p Part) bool {
		return slices.ContainsFunc(p.Causes, func(c Cause) bool { return c.What != Monthly })
	}) {
		ending = "This is sent once a month."
	}
	fmt.Fprintf(&w, "\n%s\nNotice %s\n", ending, n.ID)
	return w.String()
}

// urgency is the severity of syslog: 2 critical to 6 informational.
func urgency(s posture.Severity) int {
	switch s {
	case posture.Critical:
		return 2
	case posture.High:
		return 3
	case posture.Moderate:
		return 4
	case posture.Low:
		return 5
	}
	return 6
}
