package view

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/calendar"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// CalendarRow is a term calendar that a school set.
type CalendarRow struct {
	Number int           `json:"number"` // from 1
	Entry  uint64        `json:"entry"`  // where the ledger has it
	By     string        `json:"by"`
	At     time.Time     `json:"at"`
	Reason string        `json:"reason"`
	Name   string        `json:"name"`
	Zone   string        `json:"zone"`
	From   calendar.Date `json:"from"` // the first day that it speaks of
	To     calendar.Date `json:"to"`   // the last
	Source string        `json:"source"`
}

// An edition is all that is known of a school's days from one entry of its
// ledger on: each calendar that it set adds to those before. A breach whose
// grace counts school days is kept in the totals and among the turns by one
// edition, which its row names; 0 is that of no calendar.
type edition struct {
	number uint64 // the entry, and one
	days   *calendar.Calendar
}

// calendars keeps what was read of the schools' calendars. What an entry says
// never changes.
type calendars struct {
	mu sync.Mutex
	of map[posture.SchoolID][]edition
}

// editions returns what is known of a school's days, the latest last.
func (v *View) editions(txn *badger.Txn, school posture.SchoolID) ([]edition, error) {
	prefix := key(school, famCalendar)
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	defer it.Close()
	v.terms.mu.Lock()
	defer v.terms.mu.Unlock()
	known := v.terms.of[school]
	n := 0
	for it.Rewind(); it.Valid(); it.Next() {
		k := it.Item().Key()[len(prefix):]
		if len(k) != 8 {
			return nil, fmt.Errorf("read a calendar: %q is not its place", k)
		}
		number := binary.BigEndian.Uint64(k) + 1
		if n < len(known) && known[n].number == number {
			n++
			continue
		}
		var row CalendarRow
		if err := it.Item().Value(func(data []byte) error { return json.Unmarshal(data, &row) }); err != nil {
			return nil, fmt.Errorf("read a calendar: %w", err)
		}
		next, err := following(known[:n], row)
		if err != nil {
			return nil, err
		}
		known, n = append(known[:n:n], next), n+1
	}
	if v.terms.of == nil {
		v.terms.of = map[posture.SchoolID][]edition{}
	}
	v.terms.of[school] = known[:n:n]
	return known[:n:n], nil
}

// following returns the edition that a calendar makes of those before it.
func following(before []edition, row CalendarRow) (edition, error) {
	c, err := calendar.Parse("calendar", []byte(row.Source))
	if err != nil {
		return edition{}, fmt.Errorf("read calendar %d: %w", row.Number, err)
	}
	return edition{number: row.Entry + 1, days: calendar.Join(latest(before).days, c)}, nil
}

func latest(list []edition) edition {
	if len(list) == 0 {
		return edition{}
	}
	return list[len(list)-1]
}

// calendar returns what is known of a school's days; nil if nothing is.
func (v *View) calendar(txn *badger.Txn, school posture.SchoolID) (*calendar.Calendar, error) {
	list, err := v.editions(txn, school)
	return latest(list).days, err
}

// daysOf returns what an edition knows.
func (tx *Tx) daysOf(number uint64) (*calendar.Calendar, error) {
	if number == 0 {
		return nil, nil //nolint:nilnil // no calendar is one that knows nothing
	}
	i, ok := slices.BinarySearchFunc(tx.terms, number, func(e edition, n uint64) int {
		return int(min(max(int64(e.number)-int64(n), -1), 1))
	})
	if !ok {
		return nil, fmt.Errorf("a breach turns by the calendar of entry %d, which has no row", number-1)
	}
	return tx.terms[i].days, nil
}

// turnsBy returns the edition by which a breach turns.
func (tx *Tx) turnsBy(b breach.Breach) uint64 {
	if !b.Terms.Pauses || b.Terms.Waits || b.FirstFailed.IsZero() || !b.ResolvedAt.IsZero() {
		return 0
	}
	return latest(tx.terms).number
}

// Terms returns what is known of the school's days; nil if nothing is.
func (tx *Tx) Terms() *calendar.Calendar { return latest(tx.terms).days }

// PutCalendar records a calendar that the school set, and moves the breaches
// whose grace counts school days to it. Its number follows from those before.
func (tx *Tx) PutCalendar(row CalendarRow) error {
	if at := slices.IndexFunc(tx.terms, func(e edition) bool { return e.number == row.Entry+1 }); at >= 0 {
		return tx.retime() // folded in before, in part or whole
	}
	row.Number = len(tx.terms) + 1
	next, err := following(tx.terms, row)
	if err != nil {
		return err
	}
	if err := tx.room(roomy + len(row.Source)*2); err != nil {
		return err
	}
	// Breaches that were changed and not written yet turn by what was known.
	if err := tx.flush(); err != nil {
		return err
	}
	if err := tx.putJSON(number(key(tx.school, famCalendar), row.Entry), row); err != nil {
		return err
	}
	tx.terms = append(slices.Clone(tx.terms), next)
	return tx.retime()
}

// retimed is how many breaches retime looks at in one go.
const retimed = 500

// retime moves every breach that turns by an older edition to the latest one.
// A large school is moved in parts; each breach is counted by the edition that
// its own row names, so that what is counted between two parts is right for it.
func (tx *Tx) retime() error {
	prefix := key(tx.school, famCase)
	for from := prefix; from != nil; {
		if err := tx.flush(); err != nil {
			return err
		}
		clear(tx.held.cases)
		var moved []breach.Breach
		var err error
		if moved, from, err = tx.outdated(prefix, from); err != nil {
			return err
		}
		for _, b := range moved {
			if err := tx.PutCase(b, b, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// outdated lists breaches from a key on that turn by another edition than they
// should, and where to go on; nil at the end.
func (tx *Tx) outdated(prefix, from []byte) (list []breach.Breach, next []byte, err error) {
	it := tx.txn.NewIterator(badger.IteratorOptions{Prefix: prefix, PrefetchValues: true, PrefetchSize: 100})
	defer it.Close()
	seen := 0
	for it.Seek(from); it.Valid(); it.Next() {
		if seen++; seen > retimed {
			return list, bytes.Clone(it.Item().Key()), nil
		}
		var b breach.Breach
		var by uint64
		err := it.Item().Value(func(data []byte) error { return decode(data, breachRow{&b, &by}) })
		if err != nil {
			return nil, nil, fmt.Errorf("read a breach: %w", err)
		}
		if by != tx.turnsBy(b) {
			list = append(list, b)
		}
	}
	return list, nil, nil
}

// Calendar is what is known of a school's days.
type Calendar struct {
	School posture.SchoolID `json:"school"`
	At     time.Time        `json:"at"`    // the moment asked about
	Today  calendar.Day     `json:"today"` // the day that it is then at the school
	// Warning says in a sentence what people should do about the calendar; it is
	// empty if nothing.
	Warning string          `json:"warning,omitempty"`
	Spans   []calendar.Span `json:"spans"` // every day that is known; of each day the newest calendar counts
	// History lists the calendars that the school set, the newest first.
	History []CalendarRow `json:"history"`
}

// Terms returns what is known of a school's days, for whoever asks whether
// people are to be left in peace; nil if nothing is.
func (q *Queries) Terms(ctx context.Context, school posture.SchoolID) (*calendar.Calendar, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var days *calendar.Calendar
	err := q.view.db.View(func(txn *badger.Txn) (err error) {
		days, err = q.view.calendar(txn, school)
		return err
	})
	return days, err
}

// Calendar returns what is known of a school's days at a moment.
func (q *Queries) Calendar(ctx context.Context, school posture.SchoolID, now time.Time) (Calendar, error) {
	answer := Calendar{School: school, At: now, History: []CalendarRow{}}
	err := q.read(ctx, school, now, func(r *reader) error {
		answer.Today, answer.Warning, answer.Spans = r.terms.On(now), r.terms.Warning(now), r.terms.Spans()
		return r.each(key(school, famCalendar), nil, true, func(_ []byte, item *badger.Item) (bool, error) {
			var row CalendarRow
			if err := item.Value(func(data []byte) error { return json.Unmarshal(data, &row) }); err != nil {
				return false, fmt.Errorf("read a calendar: %w", err)
			}
			answer.History = append(answer.History, row)
			return true, nil
		})
	})
	slices.Reverse(answer.History)
	return answer, err
}
