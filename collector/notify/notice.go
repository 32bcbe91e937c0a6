package notify

import (
	"crypto/sha256"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// What says what became of the breaches that are told together.
type What string

// What is told.
const (
	Opened    What = "opened"    // policy breaches are open
	Escalated What = "escalated" // they were told before, and matter more by now
	Reported  What = "reported"  // somebody reported something without signing in, and nobody has looked at it
	Disputed  What = "disputed"  // somebody says that a recorded fact is wrong, and nobody has answered
	Monthly   What = "month"     // a month is over; its rule is the month, such as 2026-10
	Lost      What = "lost"      // an incident says that something is lost; its number is the rule

	// The regulator was not told of an incident, whose number is the rule, nor was
	// it decided that this need not be; and the hours for that end within a day,
	// within six hours, or have ended.
	DueInDay   What = "due-24h"
	DueInHours What = "due-6h"
	Overdue    What = "overdue"
)

// aboutDeadline reports whether it is about the hours in which the regulator has
// to be told.
func (w What) aboutDeadline() bool { return w == DueInDay || w == DueInHours || w == Overdue }

// pressing reports whether it is told at any hour, holidays or not: hours are
// running out, or may be.
func (w What) pressing() bool { return w.aboutDeadline() || w == Reported }

// rests is for how long what joins a cause that was told at once waits for the
// digest. A report may be the one that matters, whatever came before it.
func (w What) rests() time.Duration {
	if w == Reported {
		return time.Hour
	}
	return causeRests
}

// Cause is what one rule finds at one school: one line, on however many
// laptops. It names no person and no file, and laptops by their asset tags
// alone.
type Cause struct {
	What        What             `json:"what"`
	Rule        string           `json:"rule"`
	Title       string           `json:"title"`
	Severity    posture.Severity `json:"severity"` // the gravest
	Laptops     int              `json:"laptops"`
	Tags        []string         `json:"tags,omitempty"`     // asset tags, the first few
	Since       time.Time        `json:"since"`              // when the first of them failed
	Reports     int              `json:"reports,omitempty"`  // of what was reported without signing in
	Disputes    int              `json:"disputes,omitempty"` // of recorded facts that are disputed
	Counts      []Count          `json:"counts,omitempty"`   // of a month
	Signed      bool             `json:"signed,omitempty"`   // of a month only that reports are there which were signed
	Due         time.Time        `json:"due,omitzero"`       // until when the regulator has to be told
	Silent      bool             `json:"silent,omitempty"`
	Urgent      bool             `json:"urgent,omitempty"`
	Remediation string           `json:"remediation,omitempty"`
}

// Part is what a notice says of one school.
type Part struct {
	School posture.SchoolID `json:"school"`
	Name   string           `json:"name"`
	Causes []Cause          `json:"causes"`
}

// Notice is one message to one channel. Its identifier stays the same however
// often it is sent, so that a receiver can drop what it has.
type Notice struct {
	ID      string    `json:"id"`
	At      time.Time `json:"at"`
	Digest  bool      `json:"digest"` // the day's; otherwise it could not wait
	Test    bool      `json:"test,omitempty"`
	Parts   []Part    `json:"parts"`
	Pages   string    `json:"pages,omitempty"` // where the pages are
	Laptops int       `json:"laptops"`
	// Checkpoints are given away, for whoever keeps them to prove later that
	// nothing before them was rewritten.
	Checkpoints []Given `json:"checkpoints,omitempty"`
}

// mostTags bounds how many laptops a line names.
const mostTags = 10

// key stands for one breach: its school, device, rule, subject and number.
type key [16]byte

func keyOf(school posture.SchoolID, b *view.Breach) key {
	h := sha256.New()
	for _, part := range []string{string(school), string(b.Device), b.Rule, b.Subject.Kind, b.Subject.Key, strconv.Itoa(b.Number)} {
		h.Write([]byte(strconv.Itoa(len(part)) + ":" + part))
	}
	return key(h.Sum(nil)[:16])
}

// item is one breach that may have to be told.
type item struct {
	key      key
	severity posture.Severity
	breach   *view.Breach
	what     What      // "" if it is known from what was told before
	due      time.Time // of what is about a deadline
	counts   []Count   // of a month
	// sleeps says that it fell silent while the school was closed, which has not
	// been open for a day since: whoever switches it on then needs no letter.
	sleeps bool
}

// rule is what has to be known of a rule to tell of it.
type rule struct {
	encryption bool // it is about data that must be unreadable when lost
}

// encryptionClauses are the clauses of the schools' policies by which data that
// leaves the school is encrypted: shared/docs/rules.md.
var encryptionClauses = []string{"C1", "C2", "C3", "C4"}

func ruleOf(clauses []string) rule {
	return rule{encryption: slices.ContainsFunc(clauses, func(c string) bool { return slices.Contains(encryptionClauses, c) })}
}

// urgent reports whether a breach is told in holidays too: data could be read
// by whoever finds the laptop or the stick. Of one that is only silent nothing
// has shown that.
func urgent(r rule, b *view.Breach) bool { return r.encryption && !b.Silent }

// atOnce reports whether a breach does not wait for the day's digest.
func atOnce(r rule, b *view.Breach) bool {
	return b.Severity == posture.Critical && !b.Silent || urgent(r, b) && b.Severity >= posture.High
}

// told is the table of who is told what: those who can act on it.
var told = map[access.Role]func(what What, r rule, b *view.Breach) bool{
	// Whether the regulator is told, and what is answered to who disputes, is for the data-protection officer and the
	// head to decide.
	access.Administrator: func(what What, _ rule, _ *view.Breach) bool {
		return !what.aboutDeadline() && what != Monthly && what != Disputed
	},
	access.Technician: func(what What, _ rule, _ *view.Breach) bool {
		return !what.aboutDeadline() && what != Monthly && what != Disputed
	},
	access.DPO: func(what What, r rule, _ *view.Breach) bool {
		return r.encryption || what.aboutDeadline() || what == Monthly || what == Disputed
	},
	access.Head: func(what What, _ rule, b *view.Breach) bool {
		return what == Lost || what == Monthly || what == Disputed || what.aboutDeadline() || (what == Escalated || what == Reported) && b.Severity == posture.Critical
	},
	// Without its counts: see withoutCounts.
	access.Governor: func(what What, _ rule, _ *view.Breach) bool { return what == Monthly },
}

func tells(r access.Role) bool { return told[r] != nil }

// Roles lists the roles for which there are notices.
func Roles() (list []access.Role) {
	for _, r := range access.Roles() {
		if tells(r) {
			list = append(list, r)
		}
	}
	return list
}

func rolesTold() string {
	var names []string
	for _, r := range Roles() {
		names = append(names, string(r))
	}
	return strings.Join(names, ", ")
}

// causes groups items of one school by cause, gravest first. rules are the
// school's.
func causes(items []item, known map[key]mark, rules map[string]rule) []Cause {
	type place struct {
		rule string
		what What
	}
	groups := map[place]*Cause{}
	devices := map[place]map[posture.DeviceID]bool{}
	for _, it := range items {
		b := it.breach
		at := place{b.Rule, whatOf(it, known)}
		c := groups[at]
		if c == nil {
			c = &Cause{What: at.what, Rule: b.Rule, Title: b.Title, Since: b.FirstFailed, Silent: b.Silent && !b.Over, Remediation: b.Remediation}
			groups[at], devices[at] = c, map[posture.DeviceID]bool{}
		}
		c.Severity, c.Due = max(c.Severity, b.Severity), it.due
		if b.FirstFailed.Before(c.Since) {
			c.Since = b.FirstFailed
		}
		c.Silent = c.Silent && b.Silent && !b.Over
		c.Urgent = c.Urgent || urgent(rules[b.Rule], b)
		if c.Remediation != b.Remediation {
			c.Remediation = "" // laptops of several systems: the page says it for each
		}
		switch {
		case at.what == Reported:
			c.Reports++
		case at.what == Disputed:
			c.Disputes++
		case at.what == Monthly:
			c.Counts = it.counts
		case !at.what.aboutDeadline() && !devices[at][b.Device]:
			devices[at][b.Device] = true
			c.Laptops++
			if b.AssetTag != "" {
				c.Tags = append(c.Tags, b.AssetTag)
			}
		}
	}
	list := make([]Cause, 0, len(groups))
	for _, c := range groups {
		slices.Sort(c.Tags)
		c.Tags = c.Tags[:min(len(c.Tags), mostTags)]
		list = append(list, *c)
	}
	slices.SortFunc(list, func(a, b Cause) int {
		switch {
		case a.Severity != b.Severity:
			return int(b.Severity) - int(a.Severity)
		case a.Rule != b.Rule:
			return strings.Compare(a.Rule, b.Rule)
		}
		return strings.Compare(string(a.What), string(b.What))
	})
	return list
}

// whatOf says whether a breach is told for the first time.
func whatOf(it item, known map[key]mark) What {
	if it.what != "" {
		return it.what
	}
	if _, before := known[it.key]; before {
		return Escalated
	}
	return Opened
}
