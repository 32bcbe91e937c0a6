package evidence

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/dispute"
	"github.com/caretaker-school/caretaker/collector/ledger"
)

// Disputed is that somebody said that a fact about the device is wrong, and what
// the school answered: up to when the evidence was made, whatever moment it is of.
// Who said so is not here.
type Disputed struct {
	Entry  uint64         `json:"entry"`
	At     time.Time      `json:"at"`
	About  dispute.About  `json:"about"`
	Rule   string         `json:"rule,omitempty"`
	Fact   uint64         `json:"fact,omitempty"`  // the entry that held it then; 0: none is known
	Words  string         `json:"words,omitempty"` // none: they are forgotten
	Due    string         `json:"due"`             // the last day on which it is answered
	Answer *DisputeAnswer `json:"answer,omitempty"`
	id     string         // by which an answer names it
}

// DisputeAnswer is what the school answered.
type DisputeAnswer struct {
	Entry   uint64          `json:"entry"`
	At      time.Time       `json:"at"`
	Outcome dispute.Outcome `json:"outcome"`
	Words   string          `json:"words,omitempty"`
}

// disputes takes what was said of facts about the device, and answered: from where
// the view knows it, and from what the view has not taken in yet.
func (g *gathering) disputes(ctx context.Context) error {
	ids := map[string]bool{}
	for _, i := range slices.Sorted(slices.Values(g.q.Disputed)) {
		if i >= g.size {
			continue
		}
		r, err := g.Ledger.Read(ctx, ledger.Index(i))
		if err == nil {
			err = g.dispute(ctx, r, ids)
		}
		if err != nil {
			return err
		}
	}
	for r, err := range g.Ledger.Entries(ctx, ledger.Index(min(g.q.Folded, g.size)), ledger.Index(g.size)) {
		if err == nil {
			err = g.dispute(ctx, r, ids)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// dispute takes an entry if it is of a dispute about the device. ids are those
// that were taken.
func (g *gathering) dispute(ctx context.Context, r ledger.Record, ids map[string]bool) error {
	body, ok, err := g.decided(ctx, r, dispute.Section)
	if err != nil || !ok {
		return err
	}
	c, err := dispute.Decode(body)
	if err != nil || ids[c.ID] && c.What == dispute.Raise || !ids[c.ID] && (c.What == dispute.Answer || c.Device != g.q.Device) {
		return nil //nolint:nilerr // what is not understood is not shown either
	}
	ids[c.ID] = true
	e, err := g.takeRecord(r)
	if err != nil {
		return err
	}
	return g.bodies(ctx, e, dispute.Section, dispute.SectionWords)
}

// addDispute takes in that a fact about the device is disputed, or the answer. The
// first answer counts.
func (o *opened) addDispute(e entry, body, text []byte) error {
	c, err := dispute.Decode(body)
	if err != nil {
		return err
	}
	var words string
	if text != nil {
		if words, err = dispute.DecodeWords(text); err != nil {
			return err
		}
	}
	at := moment(e.envelope.ReceivedAt)
	i := slices.IndexFunc(o.disputed, func(d Disputed) bool { return d.id == c.ID })
	switch {
	case c.What == dispute.Raise && c.Device != o.bundle.Device:
		return fmt.Errorf("it disputes a fact about %.70q", string(c.Device))
	case c.What == dispute.Raise && i >= 0:
		return fmt.Errorf("dispute %s is there already", c.ID)
	case c.What == dispute.Raise:
		o.disputed = append(o.disputed, Disputed{Entry: e.index, At: at, About: c.About, Rule: c.Rule, Fact: c.Fact, Words: words, Due: c.Due, id: c.ID})
	case i < 0:
		return fmt.Errorf("it answers dispute %s, which is not here", c.ID)
	case o.disputed[i].Answer == nil:
		o.disputed[i].Answer = &DisputeAnswer{Entry: e.index, At: at, Outcome: c.Outcome, Words: words}
	}
	return nil
}

// disputes writes what was said to be wrong, beside the answer and never in its
// place.
func (p *page) disputes() {
	if len(p.s.Disputed) == 0 {
		return
	}
	p.begin("Disputed: somebody says that this is recorded wrongly")
	for _, d := range p.s.Disputed {
		about := d.About.Words()
		if d.Rule != "" {
			about += " (" + d.Rule + ")"
		}
		if d.Fact > 0 {
			about += fmt.Sprintf(", as entry %d has it", d.Fact)
		}
		p.line("%s. Said %s (entry %d): %s", visible(about), p.time(d.At), d.Entry, quoted(d.Words))
		if a := d.Answer; a != nil {
			p.line("  %s %s (entry %d): %s", a.Outcome.Words(), p.time(a.At), a.Entry, quoted(a.Words))
		} else {
			p.line("  Not answered when this was made; due by %s.", dayWords(d.Due))
		}
	}
}

// quoted is what somebody wrote, or that it is forgotten.
func quoted(words string) string {
	if words == "" {
		return "the words are forgotten."
	}
	return "“" + visible(words) + "”"
}

// dayWords writes a day with the day of the week.
func dayWords(day string) string {
	d, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return visible(day)
	}
	return d.Format("Mon 2 Jan 2006")
}
