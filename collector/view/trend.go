package view

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/collector/calendar"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// CountedDay is where a school stood at the end of one of its days, or stands
// now: counts alone. It says what was known then, of what had been received.
// There is none for a day on which nothing was heard: it would say no more than
// that.
type CountedDay struct {
	Date        calendar.Date `json:"date"`
	At          time.Time     `json:"at"` // the last moment of the day, or now
	Devices     int           `json:"devices"`
	Silent      int           `json:"silent"` // not heard from for longer than the policy allows
	Policy      uint64        `json:"policy"`
	Rules       []CountedRule `json:"rules"` // every rule of the policy, in its order
	Encryption  Encryption    `json:"encryption"`
	Definitions Ages          `json:"definitions"`
}

// CountedRule counts devices by where they stand on a rule.
type CountedRule struct {
	Rule      string `json:"rule"`
	Met       int    `json:"met"`
	NotMet    int    `json:"notMet"`
	NotProven int    `json:"notProven"`
	Exempt    int    `json:"exempt"`
	NotFor    int    `json:"notApplicable"`
}

// Covered is how many devices the rule is for.
func (c CountedRule) Covered() int { return c.Met + c.NotMet + c.NotProven + c.Exempt }

// On returns what is counted of a rule; ok is false if it was not in the policy.
func (d CountedDay) On(rule string) (c CountedRule, ok bool) {
	for _, r := range d.Rules {
		if r.Rule == rule {
			return r, true
		}
	}
	return CountedRule{}, false
}

func (d *CountedDay) code(c *coder) {
	date := int64(d.Date)
	c.signed(&date)
	d.Date = calendar.Date(date)
	c.instant(&d.At)
	codeInt(c, &d.Devices)
	codeInt(c, &d.Silent)
	c.count(&d.Policy)
	codeList(c, &d.Rules, func(r *CountedRule) {
		codeText(c, &r.Rule)
		for _, n := range []*int{&r.Met, &r.NotMet, &r.NotProven, &r.Exempt, &r.NotFor} {
			codeInt(c, n)
		}
	})
	e, a := &d.Encryption, &d.Definitions
	for _, n := range []*int{
		&e.Proven, &e.Open, &e.Unproven, &e.Listed, &e.ListedOpen, &e.ListedUnsure,
		&a.Day, &a.Days, &a.Week, &a.Month, &a.Older, &a.Current, &a.Outdated, &a.None, &a.Unproven,
	} {
		codeInt(c, n)
	}
}

func countedKey(school posture.SchoolID, d calendar.Date) []byte {
	return number(key(school, famCounted), uint64(max(0, d)))
}

func managedKey(school posture.SchoolID, tag string) []byte {
	return text(key(school, famManaged), register.Key(tag))
}

// midnight is the moment at which a day begins at the school.
func midnight(days *calendar.Calendar, d calendar.Date) time.Time {
	t := d.Time()
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, days.Zone())
}

// SameDay reports whether a moment lies on the school's day that is open, or on
// the one before it, as what was received around midnight may: an entry of it is
// folded in without a word about days.
func (tx *Tx) SameDay(at time.Time) bool {
	day := uint64(max(0, tx.Terms().On(at).Date))
	return tx.open > 0 && (day == tx.open || day+1 == tx.open)
}

// Reach counts the day that is open if a moment lies after it, and opens that of
// the moment. It must come before anything else in a transaction. A clock that
// was set back by more than a day opens the day that it shows: what is counted
// of days that are yet to come is counted again when they have come.
func (tx *Tx) Reach(ctx context.Context, at time.Time) error {
	day := uint64(max(0, tx.Terms().On(at).Date))
	was := tx.open
	switch {
	case was == 0 || day+1 < was:
		tx.open = day
		return nil
	case day <= was:
		return nil
	}
	tx.open = day
	r := &reader{ctx: ctx, txn: tx.txn, school: School{ID: tx.school}, terms: tx.Terms()}
	if err := r.load(); err != nil {
		return fmt.Errorf("count a day of school %s: %w", tx.school, err)
	}
	from, to := midnight(r.terms, calendar.Date(was)), midnight(r.terms, calendar.Date(day))
	heard, ok, err := r.lastHeard(to)
	if err != nil || !ok || heard.Before(from) {
		return err
	}
	d, err := r.countedOn(r.terms.On(heard).Date)
	if err != nil {
		return err
	}
	return tx.PutCounted(d)
}

// PutCounted records the counts of a day.
func (tx *Tx) PutCounted(d CountedDay) error {
	return tx.put(countedKey(tx.school, d.Date), encode(&d))
}

// KeepCounted records the counts of a day that the record keeps.
func (tx *Tx) KeepCounted(d CountedDay) error {
	if err := tx.room(roomy); err != nil {
		return err
	}
	tx.kept = max(tx.kept, uint64(max(0, d.Date)))
	return tx.PutCounted(d)
}

// lastHeard returns when the school last heard from any device before a moment;
// ok is false if it never did.
func (r *reader) lastHeard(before time.Time) (heard time.Time, ok bool, err error) {
	prefix := key(r.school.ID, famHeard)
	it := r.txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	defer it.Close()
	it.Seek(number(bytes.Clone(prefix), ^(ms(before) - 1)))
	if !it.Valid() {
		return heard, false, nil
	}
	k := it.Item().Key()[len(prefix):]
	if len(k) < 8 {
		return heard, false, fmt.Errorf("read when a device was heard from: %w", errRow)
	}
	heard = at(^binary.BigEndian.Uint64(k))
	return heard, !heard.IsZero(), nil
}

// countedOn counts where the school stood at the end of a day, from the rows as
// they are.
func (r *reader) countedOn(day calendar.Date) (CountedDay, error) {
	then := *r
	then.now = midnight(r.terms, day+1).Add(-time.Millisecond)
	then.nowMs = ms(then.now)
	then.counts = r.counts.clone()
	return then.counted()
}

// counted counts where the school stands at the reader's moment.
func (r *reader) counted() (CountedDay, error) {
	o, err := r.overview()
	if err != nil {
		return CountedDay{}, err
	}
	d := CountedDay{
		Date: r.terms.On(r.now).Date, At: r.now.UTC(), Devices: o.Devices, Silent: o.Silent, Policy: o.Policy, Rules: []CountedRule{},
	}
	for _, c := range o.Rules {
		d.Rules = append(d.Rules, CountedRule{c.Rule, c.Met, c.NotMet, c.NotProven, c.Exempt, c.NotFor})
	}
	if d.Encryption, d.Definitions, err = r.gauges(); err != nil {
		return d, err
	}
	return d, r.listedDisks(&d.Encryption)
}

// listedDisks counts what lists say of the encryption of what no agent covers.
func (r *reader) listedDisks(e *Encryption) error {
	return r.each(key(r.school.ID, famManaged), nil, false, func(k []byte, _ *badger.Item) (bool, error) {
		var a register.Asset
		ok, err := r.getJSON(append(key(r.school.ID, famAsset), k...), &a)
		if err != nil || !ok {
			return false, errors.Join(err, fmt.Errorf("read asset %q: %w", k, errRow))
		}
		one, err := r.registered(a)
		if err != nil || one.Listed == nil || one.Cover != ByImport && one.Cover != StaleImport {
			return true, err
		}
		switch one.Listed.Says[0].Standing { // what it says of encryption comes first
		case Met:
			e.Listed++
		case NotMet:
			e.ListedOpen++
		case NotProven, Exempt, NotFor:
			e.ListedUnsure++
		}
		return true, nil
	})
}

// Trend is where a school stood on its days. A day that is not among them is one
// of which nothing is known.
type Trend struct {
	School posture.SchoolID `json:"school"`
	Zone   string           `json:"zone"` // of the days
	From   calendar.Date    `json:"from"`
	To     calendar.Date    `json:"to"`
	Days   []CountedDay     `json:"days"` // in their order
	// Now is where it stands at the moment of asking; it is the last of Days too if
	// something was heard today.
	Now CountedDay `json:"now"`
	// Titles are the words of the rules that are counted.
	Titles map[string]string `json:"titles"`
	// Terms are those that the school's calendar knows, whatever days were asked
	// for, and Closed its holidays and closed days.
	Terms  []calendar.Span `json:"terms"`
	Closed []calendar.Span `json:"closed"`
}

// mostCounted is how many days a question about a trend may span: somewhat more
// than five years.
const mostCounted = 2000

// ErrSpan says that a question about a trend is of too many days, or of none.
var ErrSpan = fmt.Errorf("a trend is of at most %d days, and its last is not before its first", mostCounted)

// Trend returns where a school stood on each of its days from one to another,
// both included.
func (q *Queries) Trend(ctx context.Context, school posture.SchoolID, from, to calendar.Date, now time.Time) (Trend, error) {
	if to < from || to-from >= mostCounted {
		return Trend{}, ErrSpan
	}
	t := Trend{School: school, From: from, To: to, Days: []CountedDay{}, Titles: map[string]string{}, Terms: []calendar.Span{}, Closed: []calendar.Span{}}
	err := q.read(ctx, school, now, func(r *reader) (err error) {
		t.Zone, t.Terms = r.terms.Zone().String(), append(t.Terms, r.terms.Terms()...)
		for _, s := range r.terms.Spans() {
			if s.Kind == calendar.Holiday || s.Kind == calendar.Closed {
				t.Closed = append(t.Closed, s)
			}
		}
		today := r.terms.On(now).Date
		if err := r.storedDays(&t, min(to, today-1)); err != nil {
			return err
		}
		if t.Now, err = r.atOnce(); err != nil {
			return err
		}
		if err := r.openDays(&t, today); err != nil {
			return err
		}
		return r.titles(t.Titles)
	})
	return t, err
}

// atOnce counts where the school stands now.
func (r *reader) atOnce() (CountedDay, error) {
	then := *r
	then.counts = r.counts.clone()
	return then.counted()
}

// storedDays adds the days that were counted, up to one.
func (r *reader) storedDays(t *Trend, to calendar.Date) error {
	prefix := key(r.school.ID, famCounted)
	return r.eachFrom(prefix, countedKey(r.school.ID, t.From), true, func(k []byte, item *badger.Item) (bool, error) {
		if len(k) != 8 || binary.BigEndian.Uint64(k) > uint64(max(0, to)) {
			return false, nil
		}
		var d CountedDay
		if err := item.Value(func(data []byte) error { return decode(data, &d) }); err != nil {
			return false, fmt.Errorf("read a counted day: %w", err)
		}
		t.Days = append(t.Days, d)
		return true, nil
	})
}

// openDays adds the last day on which something was heard, if it is not counted
// yet, and today.
func (r *reader) openDays(t *Trend, today calendar.Date) error {
	heard, ok, err := r.lastHeard(r.now.Add(time.Millisecond))
	if err != nil || !ok {
		return err
	}
	switch day := r.terms.On(heard).Date; {
	case day < t.From || day > t.To:
		return nil
	case day == today:
		t.Days = append(t.Days, t.Now)
	case len(t.Days) == 0 || t.Days[len(t.Days)-1].Date < day:
		d, err := r.countedOn(day)
		if err != nil {
			return err
		}
		t.Days = append(t.Days, d)
	}
	return nil
}

// titles gives every rule the words that its latest policy has for it.
func (r *reader) titles(into map[string]string) error {
	return r.each(key(r.school.ID, famPolicy), nil, true, func(k []byte, item *badger.Item) (bool, error) {
		var p Policy
		if err := item.Value(func(data []byte) error { return unmarshal(data, &p) }); err != nil {
			return false, fmt.Errorf("read policy %q: %w", k, err)
		}
		for _, rule := range p.Rules {
			into[rule.ID] = rule.Title
		}
		return true, nil
	})
}

// NotKept returns the days that were counted and of which the record does not
// keep the counts yet.
func (q *Queries) NotKept(ctx context.Context, school posture.SchoolID, now time.Time) ([]CountedDay, error) {
	var t Trend
	err := q.read(ctx, school, now, func(r *reader) error {
		var c reached
		if _, err := r.get(key(school, famNext), func(data []byte) error { c = decodeReached(data); return nil }); err != nil {
			return err
		}
		t.From = calendar.Date(c.kept) + 1
		return r.storedDays(&t, r.terms.On(now).Date-1)
	})
	return t.Days, err
}

// Week is a week of a trend, from Monday on.
type Week struct {
	From, To calendar.Date
	Last     *CountedDay // the last of its days on which something was heard; nil: nothing was
}

// Weeks groups the days of a trend. What is yet to come is in none.
func (t Trend) Weeks() (list []Week) {
	next := 0
	last := min(t.To, t.Now.Date)
	for from := t.From; from <= last; {
		monday := from - calendar.Date((int(from.Weekday())+6)%7)
		w := Week{From: from, To: min(monday+6, last)}
		for ; next < len(t.Days) && t.Days[next].Date <= w.To; next++ {
			w.Last = &t.Days[next]
		}
		list = append(list, w)
		from = w.To + 1
	}
	return list
}
