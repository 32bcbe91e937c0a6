package intake

import (
	"context"
	"sync"

	"github.com/caretaker-school/caretaker/collector/ledger"
)

// Reports that one device may have on their way to the disk: more than its
// uplink leaves unanswered, and no more than a fraction of what all may have.
const (
	mostFlying      = 64
	mostFlyingBytes = 1 << 20
)

// mostUnsaid is how many recorded reports may wait for their acknowledgement
// while more of the same device are on their way or at hand: half of what its
// uplink leaves unanswered, so that it never stands still.
const mostUnsaid = 16

// flights are a session's reports that were handed to the ledger and are not
// acknowledged yet. The handler adds to them and goes on to the next message,
// while a goroutine that lives only as long as there are any waits for the
// sync and acknowledges the newest of those that it covers: one answer for
// many, as one sync is.
type flights struct {
	mu      sync.Mutex      // guards all below
	last    *ledger.Pending // the newest; nil if none is on its way
	flying  []flight        // oldest first
	bytes   int             // of these
	landing chan struct{}   // closed when the goroutine ends; nil if there is none
	landed  chan struct{}   // holds a token after some have landed
	err     error           // why one was not recorded, and none after it
	unsaid  int             // recorded and not acknowledged
	newest  uint64          // of these
	busy    bool            // the handler is at a message, and looks at unsaid after it
}

type flight struct {
	pending  *ledger.Pending
	sequence uint64
	bytes    int
}

// begin hands a report to the ledger. It waits only while too much of this
// device is on its way.
func (s *session) begin(ctx context.Context, sequence uint64, size int, entry ledger.Entry) error {
	f := &s.flights
	if err := s.room(ctx, size); err != nil {
		return err
	}
	f.mu.Lock()
	after, err := f.last, f.err
	f.mu.Unlock()
	if err != nil {
		return err
	}
	// It ends only when it is recorded or not, even if the device has gone:
	// the device's next stream waits for this one, and must know.
	p, err := s.school.Ledger.Begin(context.WithoutCancel(ctx), after, entry)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last, f.flying = p, append(f.flying, flight{p, sequence, size})
	f.bytes += size
	if f.landing == nil {
		f.landing = make(chan struct{})
		go s.land(f.landing) // land, here and in hush, waits for it
	}
	return nil
}

// room waits until another report may be on its way.
func (s *session) room(ctx context.Context, size int) error {
	f := &s.flights
	for {
		f.mu.Lock()
		free := len(f.flying) == 0 || len(f.flying) < mostFlying && f.bytes+size <= mostFlyingBytes
		err := f.err
		f.mu.Unlock()
		if free || err != nil {
			return err
		}
		select {
		case <-f.landed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// land acknowledges what is synced until nothing is on its way.
func (s *session) land(done chan struct{}) {
	defer close(done)
	f := &s.flights
	for {
		oldest, ok := f.oldest()
		if !ok {
			return
		}
		_, err := oldest.Wait(context.Background()) // the ledger answers, also when it is closed
		newest, say := f.settle(err)
		if err != nil {
			if s.stream.Context().Err() == nil {
				s.school.in.o.Log.Error("report not recorded", "school", s.school.ID, "device", s.id, "error", err)
			}
			s.conn.Close() // the device comes again and sends what was not acknowledged
		} else if say && s.acknowledge(newest, 0) != nil {
			continue // the stream is at its end, and its handler notices
		}
	}
}

// at says whether the handler is at a message. When it is done with one it
// acknowledges what was left for it to say.
func (s *session) at(message bool) error {
	f := &s.flights
	f.mu.Lock()
	f.busy = message
	say := !message && f.unsaid > 0 && len(f.flying) == 0
	newest := f.newest
	if say {
		f.unsaid = 0
	}
	f.mu.Unlock()
	if say {
		return s.acknowledge(newest, 0)
	}
	return nil
}

// oldest returns what is to be waited for next; if there is nothing, whoever
// asks ends.
func (f *flights) oldest() (*ledger.Pending, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.flying) == 0 {
		f.last, f.flying, f.landing = nil, nil, nil
		return nil, false
	}
	return f.flying[0].pending, true
}

// settle takes away the oldest, of which err says whether it is recorded, and
// with it those after it that are recorded too. It returns the newest of all
// that are, and whether that is to be said now.
func (f *flights) settle(err error) (newest uint64, say bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 1
	for err == nil && n < len(f.flying) && f.flying[n].pending.Recorded() {
		n++
	}
	if err == nil {
		f.unsaid, f.newest = f.unsaid+n, f.flying[n-1].sequence
	}
	for _, gone := range f.flying[:n] {
		f.bytes -= gone.bytes
	}
	f.flying = f.flying[n:]
	if f.err == nil {
		f.err = err
	}
	select {
	case f.landed <- struct{}{}:
	default:
	}
	if f.unsaid == 0 || f.unsaid < mostUnsaid && (f.busy || len(f.flying) > 0) {
		return 0, false
	}
	f.unsaid = 0
	return f.newest, true
}

// grounded waits until nothing is on its way, so that what is acknowledged
// next is on disk.
func (s *session) grounded(ctx context.Context) error {
	f := &s.flights
	if err := s.at(false); err != nil {
		return err
	}
	f.mu.Lock()
	landing := f.landing
	f.mu.Unlock()
	if landing != nil {
		select {
		case <-landing:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}
