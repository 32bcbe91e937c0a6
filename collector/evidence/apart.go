package evidence

import (
	"context"
	"slices"

	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/ledger"
)

// lately looks for when the device was marked lost in entries of which the view
// takes no account yet: while that is made anew, what a lost device said must
// prove no more than at any other time. Of one that the view knows to be lost the
// end is believed once the view has it.
func (g *gathering) lately(ctx context.Context) error {
	if slices.ContainsFunc(g.q.Apart, func(a Apart) bool { return a.To == 0 }) {
		return nil
	}
	apart, by := slices.Clone(g.q.Apart), map[string]bool{}
	for r, err := range g.Ledger.Entries(ctx, ledger.Index(min(g.q.Folded, g.size)), ledger.Index(g.size)) {
		if err != nil {
			return err
		}
		c, ok, err := g.incident(ctx, r)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		was := len(by) > 0
		for _, l := range c.Links {
			switch {
			case l.What != incident.Device || l.Device != g.q.Device:
			case c.What == incident.Found:
				delete(by, c.ID)
			case l.Lost:
				by[c.ID] = true
			}
		}
		switch is := len(by) > 0; {
		case is && !was:
			apart = append(apart, Apart{From: uint64(r.Index) + 1})
		case was && !is:
			apart[len(apart)-1].To = uint64(r.Index) + 1
		}
	}
	g.q.Apart = apart
	return nil
}

// incident returns the change of an incident that an entry records; ok is false if
// it records none that can be read.
func (g *gathering) incident(ctx context.Context, r ledger.Record) (c incident.Change, ok bool, err error) {
	body, ok, err := g.decided(ctx, r, incident.Section)
	if err != nil || !ok {
		return c, false, err
	}
	c, err = incident.Decode(body)
	return c, err == nil, nil // what is not understood is not shown either
}
