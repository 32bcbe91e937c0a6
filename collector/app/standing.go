package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/certificate"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/projection"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/web"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// queries are the view's, of every school that the collector has: also one of
// which nothing has been worked in yet.
type queries struct {
	*view.Queries
	c *collector
}

// Schools implements web.Queries.
func (q queries) Schools(ctx context.Context) ([]view.School, error) {
	schools, err := q.Queries.Schools(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range q.c.all() {
		if !slices.ContainsFunc(schools, func(s view.School) bool { return s.ID == r.id }) {
			schools = append(schools, view.School{ID: r.id, Name: r.name})
		}
	}
	slices.SortFunc(schools, func(a, b view.School) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return schools, nil
}

// Record implements web.Records.
func (c *collector) Record(id posture.SchoolID) web.Record {
	r := c.byID(id)
	if r == nil {
		return web.Record{}
	}
	r.mu.RLock()
	s, stop, refused, damage, reserve := r.school, r.stopped, r.refused, r.damage, r.reserve
	r.mu.RUnlock()
	var out web.Record
	if refused != nil {
		out.Refused, out.RefusedFor = refused.at, plainly(refused.err)
	}
	if stop != nil {
		out.Stopped, out.Reason, out.Again = stop.at, plainly(stop.err), !stop.damaged()
		if damaged(stop.err) {
			damage = stop.err
		}
	}
	if s != nil {
		for _, f := range s.roster.Forgotten() {
			out.Forgotten = append(out.Forgotten, web.Forgotten{At: f.At, Class: f.Class, Month: f.Month, Reason: f.Reason, Item: f.Item})
		}
	}
	if s != nil && stop == nil {
		p := s.projection.Progress(id)
		out.Behind, out.Waiting = p.BehindSince, p.Recorded-p.Folded
		switch {
		case damaged(p.Err):
			damage = p.Err
		case p.Err != nil && !p.BehindSince.IsZero():
			out.Failing = plainly(p.Err)
		}
		if latest := s.roster.Latest(); c.clock.Now().Before(latest.Add(-clockTolerance)) {
			out.ClockBack = latest
		}
	}
	out.Damage = damageOf(damage)
	if reserve != nil {
		out.LooksWaiting = reserve.Waiting()
	}
	return out
}

// clockTolerance is how far a clock may be set back without a word, such as
// when it was a little fast.
const clockTolerance = 5 * time.Minute

// damaged reports whether an error is about a part of a record that cannot be
// read: one that stops it, or one that was passed over.
func damaged(err error) bool { return damageOf(err) != nil }

func damageOf(err error) *web.Damage {
	if corrupt, ok := errors.AsType[*ledger.CorruptError](err); ok {
		return &web.Damage{File: corrupt.File, Offset: corrupt.Offset, Entry: uint64(corrupt.Entry), Known: corrupt.Known, What: plainly(corrupt.Err)}
	}
	if passed, ok := errors.AsType[*projection.DamageError](err); ok {
		return &web.Damage{Entry: passed.First, Known: true, More: passed.Entries - 1, What: passed.What}
	}
	return nil
}

// plainly is an error on one line, without what was joined to it.
func plainly(err error) string {
	first, _, _ := strings.Cut(err.Error(), "\n")
	return strings.TrimSuffix(first, ".")
}

// SchoolStatus is how a school's record stands, for the command line.
type SchoolStatus struct {
	School    posture.SchoolID `json:"school"`
	Name      string           `json:"name"`
	Recording bool             `json:"recording"` // what laptops report is being recorded
	Entries   uint64           `json:"entries"`   // of the record; 0 if it is not open
	Shown     uint64           `json:"shown"`     // of these, in what pages and lists show
	Behind    time.Time        `json:"behind,omitzero"`
	Since     time.Time        `json:"since,omitzero"` // when Trouble began, if that is known
	Trouble   []string         `json:"trouble,omitempty"`
	Damage    *DamageView      `json:"damage,omitempty"`
	Policy    string           `json:"policy,omitempty"`   // what should be done about the policy, in a sentence
	Calendar  string           `json:"calendar,omitempty"` // what should be done about the term calendar, in a sentence
	Covered   string           `json:"covered,omitempty"`  // what answers for its devices, in a sentence
	Coverage  *view.Coverage   `json:"coverage,omitempty"` // the same in numbers, without the list of gaps
	ClockBack time.Time        `json:"clockBack,omitzero"` // the record has an entry of then, and the clock says it is earlier
	// Certificate is that of the pages, the same for every school; nil if they are
	// served without one, or by nobody.
	Certificate *certificate.State `json:"certificate,omitempty"`
}

// Well reports whether all is recorded, nothing is known to be damaged, and
// what is not shown yet is about to be.
func (s SchoolStatus) Well() bool {
	return s.Recording && len(s.Trouble) == 0 && s.Damage == nil && s.ClockBack.IsZero()
}

// DamageView names a part of a record that cannot be read.
type DamageView struct {
	File   string        `json:"file,omitempty"` // below the school's ledger; "" if What says where
	Offset int64         `json:"offset"`
	Entry  *ledger.Index `json:"entry,omitempty"`
	More   int           `json:"more,omitempty"` // further entries that are damaged
	What   string        `json:"what"`
}

// String says what is damaged, and where.
func (d *DamageView) String() string {
	where := d.What
	if d.File != "" {
		where = fmt.Sprintf("%s, byte %d: %s", d.File, d.Offset, d.What)
		if d.Entry != nil {
			where = fmt.Sprintf("entry %d, %s", *d.Entry, where)
		}
	}
	if d.More > 0 {
		where += fmt.Sprintf("; %d more entries are damaged", d.More)
	}
	return where
}

// status says how every school's record stands.
func (c *collector) status(ctx context.Context) ([]SchoolStatus, error) {
	list := []SchoolStatus{}
	for _, r := range c.all() {
		one, err := c.statusOf(ctx, r)
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, nil
}

// statusOf says how one school's record stands.
func (c *collector) statusOf(ctx context.Context, r *record) (SchoolStatus, error) {
	w := c.Record(r.id)
	one := SchoolStatus{School: r.id, Name: r.name, Recording: w.Stopped.IsZero() && w.Refused.IsZero(), Behind: w.Behind, ClockBack: w.ClockBack}
	if s := r.present(); s != nil {
		p := s.projection.Progress(r.id)
		one.Entries, one.Shown = p.Recorded, p.Folded
	}
	if !w.Stopped.IsZero() {
		one.Since = w.Stopped
		one.Trouble = append(one.Trouble, w.Reason)
	}
	if !w.Refused.IsZero() {
		one.Since = w.Refused
		one.Trouble = append(one.Trouble, "what laptops report could not be recorded: "+w.RefusedFor)
	}
	if w.LooksWaiting > 0 {
		one.Trouble = append(one.Trouble, fmt.Sprintf("%d looks at devices wait until they can be recorded", w.LooksWaiting))
	}
	if w.Failing != "" {
		one.Trouble = append(one.Trouble, "what is recorded cannot be shown: "+w.Failing)
	}
	if d := w.Damage; d != nil {
		one.Damage = &DamageView{File: d.File, Offset: d.Offset, More: d.More, What: d.What}
		if d.Known {
			entry := ledger.Index(d.Entry)
			one.Damage.Entry = &entry
		}
	}
	days, err := c.view.Queries().Terms(ctx, r.id)
	if err != nil {
		return one, err
	}
	one.Calendar = days.Warning(c.clock.Now())
	one.Policy = c.policyWarning(ctx, r)
	if one.Coverage, err = c.covered(ctx, r.id); err != nil {
		return one, err
	}
	if one.Coverage != nil {
		one.Covered = one.Coverage.Words()
	}
	one.Certificate = c.certificateNow()
	one.Trouble = append(one.Trouble, c.noticeTrouble(r.id)...)
	for _, err := range c.unreadable() {
		one.Trouble = append(one.Trouble, plainly(err))
	}
	return one, nil
}

// unreadable says what of how people are known cannot be read. It is the same
// whether there are restricted incidents or not.
func (c *collector) unreadable() []error {
	list := c.access.Trouble()
	if err := c.seniors.Trouble(); err != nil {
		list = append(list, err)
	}
	return list
}
