package notify

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// moment writes a time with its zone, as everything for people does.
func moment(t time.Time, zone *time.Location) string {
	return t.In(zone).Format("Mon 2 Jan 2006 15:04 MST")
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
	causes, first := 0, ""
	for _, p := range n.Parts {
		for _, c := range p.Causes {
			if causes++; causes == 1 {
				first = c.Headline()
			}
		}
	}
	where := fmt.Sprintf("%d schools", len(n.Parts))
	if len(n.Parts) == 1 {
		where = n.Parts[0].Name
	}
	if causes == 1 {
		return where + ": " + first
	}
	return fmt.Sprintf("%s: %d policy breaches to look at", where, causes)
}

// Headline says a cause in one line.
func (c Cause) Headline() string {
	switch {
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

// link leads to the page of a school's breaches; "" if it is not known where the
// pages are.
func (n Notice) link(p Part) string {
	if n.Pages == "" {
		return ""
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
	if n.Digest {
		what = "What is new since the last notice."
	}
	fmt.Fprintf(&w, "%s\n%s\n", moment(n.At, zone), what)
	for _, p := range n.Parts {
		fmt.Fprintf(&w, "\n%s\n%s\n", p.Name, strings.Repeat("-", len([]rune(p.Name))))
		for _, c := range p.Causes {
			fmt.Fprintf(&w, "\n%s\n  %s\n", c.Headline(), c.Detail(zone))
			if c.Remediation != "" {
				fmt.Fprintf(&w, "  What to do: %s\n", c.Remediation)
			}
		}
		if link := n.link(p); link != "" {
			fmt.Fprintf(&w, "\n  %s\n", link)
		}
	}
	fmt.Fprintf(&w, "\nThis is what laptops reported, as evidence and not as a certificate. Each breach is told once,\nand again only if it comes to matter more.\nNotice %s\n", n.ID)
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
