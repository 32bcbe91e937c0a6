package projection

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/calendar"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/collector/view"
)

// What days ended with is written into the purge that forgets what they were
// counted from. Where the days before it are counted again, from what is left,
// its counts replace them.

// keepsDays takes in what a purge says of days.
func (f *folder) keepsDays(ctx context.Context, tx *view.Tx, r ledger.Record) error {
	for i, s := range r.Envelope.Sections {
		if !roster.IsDays(s.Name) {
			continue
		}
		data, err := ownBody(ctx, f.school.Ledger, r, i)
		if errors.Is(err, ledger.ErrForgotten) {
			continue
		}
		if err != nil {
			return err
		}
		d, err := roster.DecodeDays(data)
		if err != nil {
			return &notUnderstoodError{err}
		}
		for _, one := range d.Days {
			counted, err := countedOf(d.Rules, one)
			if err != nil {
				return &notUnderstoodError{err}
			}
			if err := tx.KeepCounted(counted); err != nil {
				return err
			}
		}
	}
	return nil
}

// DaysOf returns days as the record keeps them.
func DaysOf(list []view.CountedDay) roster.Days {
	d := roster.Days{Rules: []string{}, Days: []roster.Day{}}
	for _, c := range list {
		for _, r := range c.Rules {
			if !slices.Contains(d.Rules, r.Rule) {
				d.Rules = append(d.Rules, r.Rule)
			}
		}
	}
	for _, c := range list {
		e, a := c.Encryption, c.Definitions
		one := roster.Day{
			Date: c.Date.String(), At: c.At, Devices: c.Devices, Silent: c.Silent, Policy: c.Policy, Rules: make([][]int, len(d.Rules)), Order: []int{},
			Disks:       []int{e.Proven, e.Open, e.Unproven, e.Listed, e.ListedOpen, e.ListedUnsure},
			Definitions: []int{a.Day, a.Days, a.Week, a.Month, a.Older, a.Current, a.Outdated, a.None, a.Unproven},
		}
		for _, r := range c.Rules {
			n := slices.Index(d.Rules, r.Rule)
			one.Rules[n], one.Order = []int{r.Met, r.NotMet, r.NotProven, r.Exempt, r.NotFor}, append(one.Order, n)
		}
		d.Days = append(d.Days, one)
	}
	return d
}

// countedOf is the inverse of DaysOf for one day.
func countedOf(rules []string, d roster.Day) (view.CountedDay, error) {
	date, err := time.Parse(time.DateOnly, d.Date)
	if err != nil {
		return view.CountedDay{}, fmt.Errorf("read the day %.20q: %w", d.Date, err)
	}
	c := view.CountedDay{Date: calendar.DateOf(date), At: d.At.UTC(), Devices: d.Devices, Silent: d.Silent, Policy: d.Policy}
	for _, n := range d.Order {
		r := d.Rules[n]
		c.Rules = append(c.Rules, view.CountedRule{Rule: rules[n], Met: r[0], NotMet: r[1], NotProven: r[2], Exempt: r[3], NotFor: r[4]})
	}
	k, a := d.Disks, d.Definitions
	c.Encryption = view.Encryption{Proven: k[0], Open: k[1], Unproven: k[2], Listed: k[3], ListedOpen: k[4], ListedUnsure: k[5]}
	c.Definitions = view.Ages{Day: a[0], Days: a[1], Week: a[2], Month: a[3], Older: a[4], Current: a[5], Outdated: a[6], None: a[7], Unproven: a[8]}
	return c, nil
}
