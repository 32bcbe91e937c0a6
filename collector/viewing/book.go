package viewing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrUnrecorded says that a look cannot be recorded, so that nothing is shown.
var ErrUnrecorded = errors.New("it cannot be recorded who looks at this, so it is not shown")

// For how long somebody who looks at the same in the same way again takes the same
// look. A page that is open fetches itself whenever something changes, and a
// program asks as often as it was told to: that they looked is what counts, and not
// how often.
const (
	Span        = time.Hour
	ProgramSpan = 24 * time.Hour
)

// Lasts is for how long a look counts for those that follow.
func (w Way) Lasts() time.Duration {
	if w == Program {
		return ProgramSpan
	}
	return Span
}

// mostRecent bounds how many looks are remembered. Whoever looks again at what was
// dropped is recorded again.
const mostRecent = 20_000

// Book has looks of one school recorded, each before what was looked at is shown.
type Book struct {
	record func(ctx context.Context, l Look, at time.Time) error

	mu     sync.Mutex
	recent map[string]*noted // by what makes two looks the same
}

// noted is a look that is recorded, or is being recorded until done is closed.
type noted struct {
	at    time.Time
	until time.Time // the first moment at which it is another look
	done  chan struct{}
	err   error // once done is closed
}

// NewBook returns the book of a school. record returns once a look is on disk.
func NewBook(record func(ctx context.Context, l Look, at time.Time) error) *Book {
	return &Book{record: record, recent: map[string]*noted{}}
}

// Look returns nil once it is recorded that somebody looks, by this look or by one
// shortly before, and ErrUnrecorded if that cannot be.
func (b *Book) Look(ctx context.Context, l Look, now time.Time) error {
	if l.What == Nobody {
		return nil
	}
	id, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnrecorded, err)
	}
	n, mine := b.note(string(id), l.Way, now)
	if mine {
		// Others may wait for it, so it goes on if whoever asked first has gone.
		n.err = b.record(context.WithoutCancel(ctx), l, now)
		if n.err != nil {
			b.drop(string(id), n)
		}
		close(n.done)
	}
	select {
	case <-n.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if n.err != nil {
		return fmt.Errorf("%w: %w", ErrUnrecorded, n.err)
	}
	return nil
}

// note returns the look that this one is a part of; mine says that it is the first
// of it, and is to be recorded.
func (b *Book) note(id string, w Way, now time.Time) (n *noted, mine bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	// A clock that was put back makes it another look.
	if n, ok := b.recent[id]; ok && !now.Before(n.at) && now.Before(n.until) {
		return n, false
	}
	if len(b.recent) >= mostRecent {
		b.clear(now)
	}
	n = &noted{at: now, until: now.Add(w.Lasts()), done: make(chan struct{})}
	b.recent[id] = n
	return n, true
}

// clear drops what is over, and everything if that is not enough.
func (b *Book) clear(now time.Time) {
	for id, n := range b.recent {
		if !now.Before(n.until) {
			delete(b.recent, id)
		}
	}
	if len(b.recent) >= mostRecent {
		clear(b.recent)
	}
}

func (b *Book) drop(id string, n *noted) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.recent[id] == n {
		delete(b.recent, id)
	}
}
