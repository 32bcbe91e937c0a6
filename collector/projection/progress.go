package projection

import (
	"sync"
	"time"

	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Progress says how far the view of a school has come. Pages and the command
// line say so when it is behind for more than a few seconds, or Err is set:
// what they show is then older than what laptops were told is recorded.
type Progress struct {
	Folded   uint64 // entries of the ledger that the view holds
	Recorded uint64 // entries of the ledger
	// BehindSince is since when something that is recorded has waited to be in
	// the view, by the collector's clock; zero while nothing waits.
	BehindSince time.Time
	// Again is how often the view was thrown away and begun again since the
	// collector was started: what was read of it between two looks is of one
	// making only if this has not changed, and Folded has not gone back.
	Again uint64
	// Err is why the view does not grow, or a *DamageError about what it was
	// made without; nil if it is whole as far as Folded says.
	Err error
}

// Behind returns how long the view has been behind.
func (p Progress) Behind(now time.Time) time.Duration {
	if p.BehindSince.IsZero() {
		return 0
	}
	return max(0, now.Sub(p.BehindSince))
}

// Progress returns how far the view of a school has come. It may be called at
// any time. Of a school that is not followed it says nothing.
func (p *Projection) Progress(school posture.SchoolID) Progress {
	for _, f := range p.folders {
		if f.school.ID == school {
			return f.came.report(f.school.Ledger.Size(), p.clock.Now())
		}
	}
	return Progress{}
}

// came is how far one school's view has come. It is written by what folds and
// read by whoever asks.
type came struct {
	mu      sync.Mutex
	known   bool // the view knows the school, if nothing else of it
	folded  uint64
	again   uint64    // times it was thrown away
	behind  time.Time // zero: it was not behind when it was last looked
	stopped error
	damage  *DamageError  // nil: none
	wanted  uint64        // somebody waits for the entries before this one, or did
	changed chan struct{} // closed, and dropped, when any of this changes; nil: nobody has asked for it
}

// to notes that the first entries are in the view, of as many as are recorded.
func (c *came) to(folded, recorded uint64, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.folded, c.known = folded, c.known || folded > 0
	c.look(recorded, now)
	c.news()
}

// anew notes that what was folded in is about to be thrown away.
func (c *came) anew() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.folded, c.known = 0, false
	c.again++
}

// introduced notes that the view knows the school.
func (c *came) introduced() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known = true
	c.news()
}

// by returns how many entries are in the view.
func (c *came) by() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.folded
}

// waits notes that everything was folded in that was recorded by a moment.
func (c *came) waits(since time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.behind.IsZero() && c.behind.Before(since) {
		c.behind = since
	}
}

// look notes whether the view is behind. The caller holds mu.
func (c *came) look(recorded uint64, now time.Time) {
	switch {
	case c.folded >= recorded:
		c.behind = time.Time{}
	case c.behind.IsZero():
		c.behind = now
	}
}

// stop notes why the view does not grow; nil: it does.
func (c *came) stop(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = err
	c.news()
}

// lack notes what the view is made without.
func (c *came) lack(d view.Damage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.damage = nil
	if d.Entries > 0 {
		c.damage = &DamageError{Entries: d.Entries, First: d.First, What: d.What}
	}
}

func (c *came) report(recorded uint64, now time.Time) Progress {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.look(recorded, now)
	p := Progress{Folded: c.folded, Recorded: max(recorded, c.folded), BehindSince: c.behind, Again: c.again, Err: c.stopped}
	if p.Err == nil && c.damage != nil {
		p.Err = c.damage
	}
	return p
}
