package projection

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/calendar"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// A preview folds what the collector holds of every device in by a policy that
// is not published, with the same code that folds reports in, and throws the
// rows away: what it says is what publishing then finds, if the devices are as
// they were. It writes nothing, and runs beside the projection.

// Draft is a policy of which one wants to know what it would find.
type Draft struct {
	Policy   *policy.Policy // its number does not matter
	Now      time.Time
	Days     int                   // for how many days back its findings are looked for in reports too; 0: none
	Progress func(done, total int) // is called with how many devices are judged; nil: nobody asks
}

// ErrMoved says that the school's policy or view was replaced while a preview was
// made.
var ErrMoved = errors.New("the school's policy or what is shown of it was replaced meanwhile: ask again")

const (
	chunkDevices = 32 // judged in one look at the view
	mostListed   = 100
	mostBreaches = 5 // shown of one rule on one device
)

// trial is one preview being made.
type trial struct {
	Draft
	school   School
	view     *view.View
	log      *slog.Logger
	baseline *prepared
	current  *prepared // the policy in force
	drafted  *prepared
	words    view.Policy // of the policy in force, ready for standings
	wordsNew view.Policy // of the drafted one
	reads    uint16      // sections that its rules read, a bit each
	distinct *distinct
	folded   uint64
}

// Preview works out what a drafted policy would find at a school.
func (p *Projection) Preview(ctx context.Context, school posture.SchoolID, d Draft) (view.Preview, error) {
	i := slices.IndexFunc(p.folders, func(f *folder) bool { return f.school.ID == school })
	if i < 0 {
		return view.Preview{}, fmt.Errorf("school %s is not followed", school)
	}
	t := &trial{Draft: d, school: p.folders[i].school, view: p.view, log: p.log, baseline: p.baseline}
	total, err := t.prepare(ctx)
	if err != nil {
		return view.Preview{}, fmt.Errorf("preview a policy: %w", err)
	}
	made := newTally(t)
	if err := t.run(ctx, p.workers, total, made); err != nil {
		return view.Preview{}, fmt.Errorf("preview a policy: %w", err)
	}
	answer := made.answer()
	if d.Days > 0 {
		if answer.History, err = t.history(ctx); err != nil {
			return view.Preview{}, fmt.Errorf("preview a policy over the last days: %w", err)
		}
	}
	return answer, nil
}

// prepare makes both policies ready, and returns how many devices there are.
func (t *trial) prepare(ctx context.Context) (total int, err error) {
	var days *calendar.Calendar
	err = t.view.Try(t.school.ID, func(tx *view.Tx) (err error) {
		t.current, err = t.folder(nil).current(ctx, tx)
		t.folded, total, days = tx.Next(), tx.DeviceCount(), tx.Terms()
		return err
	})
	if err != nil {
		return 0, err
	}
	drafted := *t.Policy
	drafted.Number = t.current.words.Number + 1
	if t.drafted, err = prepare(&drafted); err != nil {
		return 0, err
	}
	t.words, t.wordsNew = t.current.words, t.drafted.words
	t.words.Rules, t.wordsNew.Rules = slices.Clone(t.words.Rules), slices.Clone(t.wordsNew.Rules)
	t.words.Ready(days)
	t.wordsNew.Ready(days)
	for _, r := range t.drafted.device {
		t.reads |= r.reads
	}
	t.distinct, err = newDistinct(t.drafted)
	return total, err
}

// folder makes what folds devices in, by a policy or by that of the school.
func (t *trial) folder(by *prepared) *folder {
	return &folder{
		school: t.school, view: t.view, log: t.log, policies: map[uint64]*prepared{0: t.baseline},
		memories: newMemories(0), noted: map[uint64]bool{}, drafted: by,
	}
}

// run judges every device, some at a time and chunk by chunk, and adds up what is
// found in the order of the devices.
func (t *trial) run(ctx context.Context, workers, total int, into *tally) error {
	g, working := errgroup.WithContext(ctx)
	g.SetLimit(max(1, workers))
	merge := &merger{into: into, waiting: map[int]*chunk{}, total: total, told: t.Progress}
	after := posture.DeviceID("")
	for n := 0; working.Err() == nil; n++ {
		var ids []posture.DeviceID
		err := t.view.Try(t.school.ID, func(tx *view.Tx) error {
			if tx.CurrentPolicy() != t.current.words.Number || tx.Next() < t.folded {
				return ErrMoved
			}
			ids = tx.Devices(after, chunkDevices)
			return nil
		})
		if err != nil {
			return errors.Join(err, g.Wait())
		}
		if len(ids) == 0 {
			break
		}
		after = ids[len(ids)-1]
		g.Go(func() error {
			c := &chunk{rules: map[string]*ruleChunk{}}
			if err := t.chunk(working, ids, c); err != nil {
				return err
			}
			merge.add(n, c)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// chunk judges some devices.
func (t *trial) chunk(ctx context.Context, ids []posture.DeviceID, c *chunk) error {
	return t.view.Try(t.school.ID, func(tx *view.Tx) error {
		if tx.CurrentPolicy() != t.current.words.Number || tx.Next() < t.folded {
			return ErrMoved
		}
		now, then := t.folder(t.current), t.folder(t.drafted)
		for _, id := range ids {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := t.device(ctx, tx, now, then, id, c); err != nil {
				return fmt.Errorf("judge device %s: %w", id, err)
			}
		}
		return nil
	})
}

// device judges one device as if it reported what is held of it.
func (t *trial) device(ctx context.Context, tx *view.Tx, now, then *folder, id posture.DeviceID, c *chunk) error {
	row, ok, err := tx.Device(id)
	if err != nil || !ok {
		return err
	}
	c.looked++
	if !row.RevokedAt.IsZero() {
		c.revoked++
		return nil
	}
	at := order(1<<40, 0)
	j, err := now.judge(ctx, tx, row, t.Now, at)
	if err != nil {
		return err
	}
	for _, rule := range j.policy.lapses {
		if err := j.lapse(rule); err != nil {
			return err
		}
	}
	before, err := tx.Cases(id)
	if err != nil {
		return err
	}
	x, err := t.examine(ctx, tx, row)
	if err != nil {
		return err
	}
	if j, err = then.judge(ctx, tx, row, t.Now, at+1<<stepBits); err != nil {
		return err
	}
	j.row.ObservedAt = t.Now
	if row.LastReport > 0 {
		if err := j.device(x); err != nil {
			return err
		}
	} else {
		c.unheard++
	}
	if err := j.school(x.assignment); err != nil {
		return err
	}
	after, err := tx.Cases(id)
	if err != nil {
		return err
	}
	v := tx.Vector(tx.Forget(j.row.Vector, j.gone), j.tallies).Ended(t.Now)
	if t.Now.After(row.LastContact.Add(t.wordsNew.Silence)) {
		c.silent++
	}
	for i := range t.words.Rules {
		r := &t.words.Rules[i]
		c.rule(r.ID).before.Add(tx.Standing(row.Vector, &t.words, r, t.Now))
	}
	for i := range t.wordsNew.Rules {
		r := &t.wordsNew.Rules[i]
		c.rule(r.ID).after.Add(tx.Standing(v, &t.wordsNew, r, t.Now))
	}
	c.days = tx.Terms()
	c.compare(row, before, after, t.Now)
	return nil
}

// examine reads what is held of a device, as far as the drafted policy reads it,
// and judges it at the moment of the preview by the device's own clock. What is
// not held any more, or damaged, is not known.
func (t *trial) examine(ctx context.Context, tx *view.Tx, row view.DeviceRow) (*examined, error) {
	x := &examined{question: question{places: row.Places, named: t.drafted, madeAt: t.Now.Add(row.Clock.Skew)}}
	var err error
	if x.assignment, _, err = tx.Assignment(row.ID, row.Assignment); err != nil {
		return nil, err
	}
	if row.LastReport == 0 {
		return x, nil
	}
	held := row.HeldAt.Add(row.Clock.Skew)
	for _, p := range row.Places {
		n, ok := sectionNumber(p.Name)
		if !ok || t.reads&(1<<n) == 0 {
			continue
		}
		if err := t.section(ctx, p, n, x.assignment, &x.facts); err != nil {
			return nil, err
		}
		if readAt := p.ReadAt; !row.HeldAt.IsZero() {
			dateSection(&x.facts, n, later(readAt, held))
		}
	}
	if t.reads&(1<<mediaEventsSection) != 0 {
		if err := t.events(ctx, row, &x.facts); err != nil {
			return nil, err
		}
	}
	x.findings = t.drafted.loaded.Evaluate(x.assignment, x.facts, x.madeAt)
	return x, nil
}

// section reads one section of what is held.
func (t *trial) section(ctx context.Context, p view.Place, n int, by policy.Assignment, into *posture.Facts) error {
	data, what, _, err := fetch(ctx, t.school.Ledger, nil, p)
	switch {
	case err != nil:
		return err
	case what == damaged:
		spoilSection(into, n)
	case what == held:
		if err := wire.DecodeSection(p.Name, t.distinct.thin(n, by, data), p.ReadAt, into, nil); err != nil {
			spoilSection(into, n)
		}
	}
	return nil
}

// events says that no media came and went, if the last report has no section of
// any and lacks none either.
func (t *trial) events(ctx context.Context, row view.DeviceRow, into *posture.Facts) error {
	if slices.ContainsFunc(row.Places, func(p view.Place) bool { return p.Name == wire.MediaEvents }) {
		return nil
	}
	none, err := saysNoEvents(ctx, t.school.Ledger, row.Entry)
	if err != nil || !none {
		return err
	}
	into.MediaEvents = posture.Answer[posture.MediumEvent]{Absent: posture.None, ReadAt: row.ReportedAt}
	return nil
}

// merger adds up chunks in their order.
type merger struct {
	told  func(done, total int)
	total int

	mu      sync.Mutex
	into    *tally
	waiting map[int]*chunk
	next    int
	done    int
}

func (m *merger) add(n int, c *chunk) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting[n] = c
	for {
		c, ok := m.waiting[m.next]
		if !ok {
			break
		}
		delete(m.waiting, m.next)
		m.next++
		m.into.add(c)
	}
	m.done += c.looked
	if m.told != nil {
		m.told(m.done, max(m.total, m.done))
	}
}

// stands reports whether a breach stands at a moment.
func stands(b breach.Breach, now time.Time) bool {
	switch b.Status(now, nil) { // in grace or past it, it stands
	case breach.Pending, breach.Open, breach.Acknowledged, breach.Exempt:
		return true
	case breach.NotYet, breach.Resolved:
	}
	return false
}
