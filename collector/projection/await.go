package projection

import (
	"context"
	"errors"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Await waits until the view of a school holds the first entries of its ledger; with
// none, until it knows the school.
// What is waited for is folded in at once, without giving way to the door. The
// error is why the view does not grow, or that of ctx.
func (p *Projection) Await(ctx context.Context, school posture.SchoolID, entries uint64) error {
	for _, f := range p.folders {
		if f.school.ID == school {
			return f.came.await(ctx, entries)
		}
	}
	return nil
}

// errAbandoned says that nobody follows the ledger any more.
var errAbandoned = errors.New("the record is not followed any more")

// Abandon tells all who wait that nothing will be folded in by this projection
// any more. It must not run beside Run, and nothing is done with the projection
// after it.
func (p *Projection) Abandon() {
	for _, f := range p.folders {
		f.came.stop(errAbandoned)
	}
}

// await waits until as many entries are in the view.
func (c *came) await(ctx context.Context, entries uint64) error {
	for {
		there, changed, err := c.ask(entries)
		if there || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ask reports whether as many entries are in the view. If they are not it has
// them folded in without delay, and returns what is closed when there is news.
func (c *came) ask(entries uint64) (there bool, changed <-chan struct{}, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known && c.folded >= entries {
		return true, nil, nil
	}
	if c.stopped != nil {
		return false, nil, c.stopped
	}
	if entries > c.wanted {
		c.wanted = entries
		c.news()
	}
	if c.changed == nil {
		c.changed = make(chan struct{})
	}
	return false, c.changed, nil
}

// hurried reports whether somebody waits for an entry that is not in the view,
// and returns what is closed when that may have changed.
func (c *came) hurried() (bool, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changed == nil {
		c.changed = make(chan struct{})
	}
	return c.wanted > c.folded, c.changed
}

// news tells all who wait. The caller holds mu.
func (c *came) news() {
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}
