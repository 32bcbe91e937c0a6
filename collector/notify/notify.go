// Package notify tells people of policy breaches: what is open, and what
// matters more by now, grouped by cause, to those who can act on it, once a day
// and in term time; at once, and in holidays too, only where data could be read
// by whoever finds a laptop or a stick, or while the hours run out in which the
// regulator has to be told. To those who keep them elsewhere it gives signed
// checkpoints of the record. Once a month it sends those who answer for a school the
// month's counts.
//
// What was told is a record of its own that survives restarts and a view that
// is made again: a notice that was delivered is never sent as another one. A
// notice that could not be delivered is sent again, later and later, until it
// is, or is given up and its breaches told by the next.
//
// It never decides where a breach stands, never names a person, a file or a
// program, and holds nothing else up: a receiver that does not answer is waited
// for by nobody.
package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Source answers what stands at a school. *view.Queries is most of one.
type Source interface {
	Schools(ctx context.Context) ([]view.School, error)
	Overview(ctx context.Context, school posture.SchoolID, now time.Time) (view.Overview, error)
	Breaches(ctx context.Context, school posture.SchoolID, query view.BreachQuery, now time.Time) (view.BreachPage, error)
	Concerns(ctx context.Context, school posture.SchoolID, query view.ConcernQuery, now time.Time) (view.ConcernPage, error)
	Incidents(ctx context.Context, school posture.SchoolID, query view.IncidentQuery, now time.Time) (view.IncidentPage, error)
	Disputes(ctx context.Context, school posture.SchoolID, query view.DisputeQuery, now time.Time) (view.DisputePage, error)
	// LastMonth sums up the last month that is over, by the school's own zone, and in
	// which anything was heard.
	LastMonth(ctx context.Context, school posture.SchoolID, now time.Time) (MonthSummary, error)
	// Whole returns a mark of how the rows of a school were made, and whether
	// they are of all that was recorded until a moment ago. What is read between
	// two calls with one mark is of one making.
	Whole(school posture.SchoolID) (mark uint64, whole bool)
	// Checkpoint signs what a school's record holds now; nil if it holds nothing.
	Checkpoint(ctx context.Context, school posture.SchoolID) ([]byte, error)
}

// Calendar says when people are left alone. With urgent it is asked about what
// is told in holidays too.
type Calendar interface {
	Quiet(school posture.SchoolID, at time.Time, urgent bool) bool
	// Open returns for how much of the time between two moments a school was not
	// known to be closed.
	Open(school posture.SchoolID, from, to time.Time) time.Duration
}

// Always is the calendar of schools of which none is known: nothing is quiet.
type Always struct{}

// Quiet implements Calendar.
func (Always) Quiet(posture.SchoolID, time.Time, bool) bool { return false }

// Open implements Calendar.
func (Always) Open(_ posture.SchoolID, from, to time.Time) time.Duration { return to.Sub(from) }

// Options are what Open needs. All are required.
type Options struct {
	Dir      string // which it makes
	Source   Source
	Calendar Calendar
	Clock    clock.Clock
	Log      *slog.Logger
}

// The pace at which it works.
const (
	tick     = time.Minute
	lookEach = 5 * time.Minute
	// deadline is for how long one attempt at a delivery may last.
	deadline = time.Minute
	// firstPause doubles with each failure up to longestPause.
	firstPause   = time.Minute
	longestPause = time.Hour
	// givenUpAfter is for how long one notice is tried.
	givenUpAfter = 72 * time.Hour
	leastTries   = 10
)

// Teller tells. It is safe for use by many goroutines.
type Teller struct {
	o    Options
	wake chan struct{}

	mu       sync.Mutex // guards all below
	zone     *time.Location
	settings Settings
	book     *book
	broken   error // why nothing can be told; nil while it can
	first    map[string]*time.Time
	sending  map[string]bool
	failures map[Kind]int
	looked   time.Time
	complete map[posture.SchoolID]int32 // day on which all of a school was last seen
	tidied   int32                      // day
}

// Open opens the record of what was told. What keeps it from opening stops
// notices alone: Trouble says so, and the collector goes on.
func Open(o Options) *Teller {
	t := &Teller{
		o: o, wake: make(chan struct{}, 1), zone: time.UTC, book: &book{channels: map[string]*state{}},
		first: map[string]*time.Time{}, sending: map[string]bool{}, failures: map[Kind]int{}, complete: map[posture.SchoolID]int32{},
	}
	t.broken = t.open()
	return t
}

func (t *Teller) open() error {
	if err := os.MkdirAll(t.o.Dir, 0o700); err != nil {
		return fmt.Errorf("make the folder of notices: %w", err)
	}
	settings, err := readSettings(t.o.Dir)
	if err != nil {
		return err
	}
	b, err := openBook(filepath.Join(t.o.Dir, bookFile))
	if err != nil {
		return fmt.Errorf("no notices are sent, for it is not known which were: %w", err)
	}
	t.settings, t.book = settings, b
	return nil
}

// Close closes the record. It must not run beside Run.
func (t *Teller) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.book.close()
}

// SetZone sets the zone in which notices show times and the digest is due.
func (t *Teller) SetZone(zone *time.Location) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.zone = zone
}

// Run tells until ctx ends.
func (t *Teller) Run(ctx context.Context) error {
	var under sync.WaitGroup
	defer under.Wait()
	if err := t.Trouble(); err != nil {
		t.o.Log.Error("no notices are sent", "reason", err)
	}
	for {
		minute, stop := t.o.Clock.After(tick) // from before the turn: a long one is followed at once
		if err := t.turn(ctx, &under); err != nil && ctx.Err() == nil {
			t.o.Log.Error("notices could not be prepared", "reason", err)
		}
		select {
		case <-ctx.Done():
			stop()
			return nil
		case <-t.wake:
			stop()
		case <-minute:
		}
	}
}

// Trouble says why nothing can be told; nil while it can.
func (t *Teller) Trouble() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.broken
}

// turn does what is due: it looks what stands, puts notices on their way, and
// sends those whose time has come.
func (t *Teller) turn(ctx context.Context, under *sync.WaitGroup) error {
	now := t.o.Clock.Now()
	t.mu.Lock()
	idle := t.broken != nil || len(t.settings.Channels) == 0
	due := t.due(now)
	channels := slices.Clone(t.settings.Channels)
	t.mu.Unlock()
	if idle {
		return nil
	}
	var failed error
	if due {
		looks, err := t.look(ctx, channels, now)
		if err != nil {
			failed = err
		}
		if err := t.prepare(looks, now); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	t.send(ctx, under, now)
	return failed
}

// due reports whether it is time to look what stands. The caller holds mu.
func (t *Teller) due(now time.Time) bool {
	since := now.Sub(t.looked)
	return since >= lookEach || since < 0 || t.boundary(now).After(t.looked)
}

// look looks what stands at every school of which somebody is told.
func (t *Teller) look(ctx context.Context, channels []Channel, now time.Time) ([]look, error) {
	schools, err := t.o.Source.Schools(ctx)
	if err != nil {
		return nil, err
	}
	var looks []look
	var failed error
	for _, s := range schools {
		if !slices.ContainsFunc(channels, func(c Channel) bool { return c.covers(s.ID) }) {
			continue
		}
		l, err := t.lookAt(ctx, s, channels, now)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("see what stands at school %s: %w", s.ID, err))
		}
		l.given = t.checkpoint(ctx, s, channels, now)
		looks = append(looks, l)
	}
	return looks, failed
}

// lookAt looks what stands at one school. What was read while its view was made
// again is not used: a breach that was settled long ago stands in it for a
// moment.
func (t *Teller) lookAt(ctx context.Context, s view.School, channels []Channel, now time.Time) (look, error) {
	l := look{
		school: s.ID, name: s.Name, rules: map[string]rule{},
		quiet: t.o.Calendar.Quiet(s.ID, now, false), still: t.o.Calendar.Quiet(s.ID, now, true),
	}
	before, whole := t.o.Source.Whole(s.ID)
	if !whole {
		return l, nil
	}
	o, err := t.o.Source.Overview(ctx, s.ID, now)
	if err != nil {
		return l, err
	}
	for _, r := range o.Rules {
		l.rules[r.Rule] = ruleOf(r.Clauses)
	}
	var seen []key
	for q := (view.BreachQuery{Limit: 500}); ; {
		page, err := t.o.Source.Breaches(ctx, s.ID, q, now)
		if err != nil {
			return l, err
		}
		for i := range page.Breaches {
			b := &page.Breaches[i]
			it := item{key: keyOf(s.ID, b), severity: b.Severity, breach: b}
			it.sleeps = b.Silent && t.o.Calendar.Quiet(s.ID, b.FirstFailed, false) && t.o.Calendar.Open(s.ID, b.FirstFailed, now) < waking
			seen = append(seen, it.key)
			if b.Status.Stands() && len(l.items) < 4*mostItems && t.unknown(channels, it) {
				l.items = append(l.items, it)
			}
		}
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	incidents, err := t.incidents(ctx, s.ID, now)
	if err != nil {
		return l, err
	}
	concerns, err := t.concerns(ctx, s.ID, now)
	if err != nil {
		return l, err
	}
	month, err := t.month(ctx, s.ID, now)
	if err != nil {
		return l, err
	}
	disputes, err := t.disputes(ctx, s.ID, now)
	if err != nil {
		return l, err
	}
	for _, it := range slices.Concat(month, disputes) {
		seen = append(seen, it.key)
		l.items = append(l.items, it)
	}
	for _, it := range slices.Concat(incidents, concerns) {
		seen = append(seen, it.key)
		l.rules[it.breach.Rule] = rule{encryption: true}
		l.items = append(l.items, it)
	}
	if after, whole := t.o.Source.Whole(s.ID); after != before || !whole {
		return look{school: s.ID, name: s.Name}, nil
	}
	l.ready = true
	t.note(s.ID, seen, now)
	return l, nil
}

// unknown reports whether a breach was not told to every channel.
func (t *Teller) unknown(channels []Channel, it item) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.ContainsFunc(channels, func(c Channel) bool { return !t.book.of(c.ID).known(it.key, it.severity) })
}

// note notes that all of a school was seen, and what stood there.
func (t *Teller) note(school posture.SchoolID, seen []key, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.complete[school] = day(now)
	for _, c := range t.settings.Channels {
		s := t.book.of(c.ID)
		for _, k := range seen {
			s.see(k, day(now))
		}
	}
}

// prepare puts the notices that are due on their way. A channel that waits for
// one to be delivered gets no other.
func (t *Teller) prepare(looks []look, now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.looked = now
	for _, c := range t.settings.Channels {
		s := t.book.of(c.ID)
		if s.pending != nil {
			continue
		}
		if t.first[c.ID] == nil {
			t.first[c.ID] = &time.Time{}
		}
		p, digest := t.plan(c, s, looks, t.first[c.ID], now)
		switch {
		case len(p.items) > 0 || len(p.notice.Checkpoints) > 0:
			if err := t.enqueue(c, s, p); err != nil {
				return err
			}
		case digest:
			if err := t.book.write(entry{Digested: &settled{Channel: c.ID, At: now}}); err != nil {
				return err
			}
		}
	}
	return t.tidy(looks, now)
}

func (t *Teller) enqueue(c Channel, s *state, p planned) (err error) {
	q := &queued{Channel: c.ID, Notice: p.notice, Causes: p.causes}
	if q.Notice.ID, err = random(16); err != nil {
		return err
	}
	for _, it := range p.items {
		before := byte(untold)
		if m, ok := s.marks[it.key]; ok {
			before = byte(m.severity)
		}
		q.Keys = append(q.Keys, it.key[:]...)
		q.Severities, q.Before = append(q.Severities, byte(it.severity)), append(q.Before, before)
	}
	if err := t.book.write(entry{Queued: q}); err != nil {
		return err
	}
	*t.first[c.ID] = time.Time{}
	return nil
}

// tidy writes the record whole once a day, and when much was added. What has
// not stood for long is forgotten only if all schools were seen that day.
func (t *Teller) tidy(looks []look, now time.Time) error {
	today := day(now)
	if t.book.file == nil || today == t.tidied && t.book.size < 2*t.book.base+1<<20 {
		return nil
	}
	seen := len(looks) > 0 && !slices.ContainsFunc(looks, func(l look) bool { return t.complete[l.school] != today })
	if seen {
		for _, s := range t.book.channels {
			s.forget(today)
		}
	}
	if err := t.book.compact(); err != nil {
		return err
	}
	t.tidied = today
	return nil
}
