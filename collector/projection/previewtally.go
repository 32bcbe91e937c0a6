package projection

import (
	"slices"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/calendar"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// chunk is what a preview found of some devices.
type chunk struct {
	days *calendar.Calendar // the school's

	looked, revoked, unheard, silent, affected int
	rules                                      map[string]*ruleChunk
}

// ruleChunk is what it found of one rule on them.
type ruleChunk struct {
	before, after  view.StandingCount
	opens, pending int
	closes         int
	graver, milder int
	touched        int
	listed         []view.PreviewDevice
}

func (c *chunk) rule(id string) *ruleChunk {
	r, ok := c.rules[id]
	if !ok {
		r = &ruleChunk{}
		c.rules[id] = r
	}
	return r
}

// compare adds up what becomes of one device's breaches.
func (c *chunk) compare(row view.DeviceRow, before, after []breach.Breach, now time.Time) {
	touched := map[string]*view.PreviewDevice{}
	entry := func(rule string) *view.PreviewDevice {
		d, ok := touched[rule]
		if !ok {
			d = &view.PreviewDevice{ID: row.ID, Hostname: row.Hostname}
			touched[rule] = d
		}
		return d
	}
	stood := make(map[breach.Key]breach.Breach, len(before))
	for _, b := range before {
		if stands(b, now) {
			stood[b.Key] = b
		}
	}
	for _, b := range after {
		was, did := stood[b.Key]
		does := stands(b, now)
		switch {
		case does && !did:
			c.opens(entry(b.Rule), b, now)
		case did && !does:
			c.closes(entry(b.Rule), was, now)
		case did && does && b.Severity(now) > was.Severity(now):
			c.rule(b.Rule).graver++
		case did && does && b.Severity(now) < was.Severity(now):
			c.rule(b.Rule).milder++
		}
	}
	if len(touched) > 0 {
		c.affected++
	}
	for rule, d := range touched {
		r := c.rule(rule)
		r.touched++
		r.listed = append(r.listed, *d)
	}
}

func (c *chunk) opens(d *view.PreviewDevice, b breach.Breach, now time.Time) {
	r := c.rule(b.Rule)
	r.opens++
	if b.Status(now, c.days) == breach.Pending {
		r.pending++
	}
	d.Opens++
	c.show(d, b, false, now)
}

func (c *chunk) closes(d *view.PreviewDevice, b breach.Breach, now time.Time) {
	c.rule(b.Rule).closes++
	d.Closes++
	c.show(d, b, true, now)
}

func (c *chunk) show(d *view.PreviewDevice, b breach.Breach, closes bool, now time.Time) {
	if len(d.Breaches) < mostBreaches {
		d.Breaches = append(d.Breaches, view.PreviewBreach{
			Subject: posture.Subject{Kind: b.Kind, Key: b.ID, Label: b.Terms.Label}, Closes: closes,
			Status: b.Status(now, c.days), Severity: b.Severity(now), Message: b.Terms.Message,
		})
	}
}

// tally is a preview as it is added up.
type tally struct {
	trial *trial
	chunk
}

func newTally(t *trial) *tally {
	return &tally{trial: t, chunk: chunk{rules: map[string]*ruleChunk{}}}
}

func (t *tally) add(c *chunk) {
	t.looked, t.revoked, t.unheard = t.looked+c.looked, t.revoked+c.revoked, t.unheard+c.unheard
	t.silent, t.affected = t.silent+c.silent, t.affected+c.affected
	for id, r := range c.rules {
		into := t.rule(id)
		into.before, into.after = sum(into.before, r.before), sum(into.after, r.after)
		into.opens, into.pending, into.closes = into.opens+r.opens, into.pending+r.pending, into.closes+r.closes
		into.graver, into.milder, into.touched = into.graver+r.graver, into.milder+r.milder, into.touched+r.touched
		slices.SortFunc(r.listed, func(a, b view.PreviewDevice) int { return strings.Compare(string(a.ID), string(b.ID)) })
		room := max(0, mostListed-len(into.listed))
		into.listed = append(into.listed, r.listed[:min(room, len(r.listed))]...)
	}
}

func sum(a, b view.StandingCount) view.StandingCount {
	return view.StandingCount{
		Met: a.Met + b.Met, NotMet: a.NotMet + b.NotMet, NotProven: a.NotProven + b.NotProven, Exempt: a.Exempt + b.Exempt, NotFor: a.NotFor + b.NotFor,
	}
}

// answer puts the sums into words.
func (t *tally) answer() view.Preview {
	words, wordsNew := &t.trial.words, &t.trial.wordsNew
	p := view.Preview{
		School: t.trial.school.ID, At: t.trial.Now, From: words.Number, Name: wordsNew.Name, Title: wordsNew.Title, Entries: t.trial.folded,
		Devices: t.looked - t.revoked, Revoked: t.revoked, Unheard: t.unheard, Silent: t.silent, Affected: t.affected,
		Rules: []view.PreviewRule{},
	}
	add := func(r view.Rule) {
		c := t.rule(r.ID)
		_, had := words.Rule(r.ID)
		_, has := wordsNew.Rule(r.ID)
		p.Rules = append(p.Rules, view.PreviewRule{
			Rule: r.ID, Title: r.Title, Severity: r.Severity, New: !had, Gone: !has, Before: c.before, After: c.after,
			Opens: c.opens, Pending: c.pending, Closes: c.closes, Graver: c.graver, Milder: c.milder, Listed: c.listed, Touched: c.touched,
		})
	}
	for _, r := range wordsNew.Rules {
		add(r)
	}
	for _, r := range words.Rules {
		if _, has := wordsNew.Rule(r.ID); !has {
			add(r)
		}
	}
	for _, r := range t.rules {
		p.Opens, p.Pending, p.Closes = p.Opens+r.opens, p.Pending+r.pending, p.Closes+r.closes
	}
	return p
}
