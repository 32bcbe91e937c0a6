package app

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/caretaker-school/caretaker/agent/enroll"
	"github.com/caretaker-school/caretaker/agent/spool"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// inbox holds what the collector has said until the agent's loop comes by, and
// stores what must not be lost at once. It implements uplink.Handler.
type inbox struct {
	state  state
	device *enroll.Device
	log    *slog.Logger
	now    func() time.Time
	// waiting returns how many statements wait in the spool.
	waiting func() int
	wake    chan struct{} // holds a token when something has come

	mu    sync.Mutex // guards all below
	terms terms
	judge bool // the terms changed: judge again
	full  bool // the next report must carry everything
	hurry bool // assess everything at once
	acked spool.Position
	wit   proof.Witness
	run   running
}

// taken is what the loop takes out of the inbox.
type taken struct {
	judge, full, assessNow bool
	acked                  spool.Position
}

func (b *inbox) take() taken {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := taken{b.judge, b.full, b.hurry, b.acked}
	b.judge, b.full, b.hurry = false, false, false
	return t
}

// put changes the inbox and wakes the loop.
func (b *inbox) put(change func()) {
	b.mu.Lock()
	change()
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *inbox) currentTerms() terms {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.terms
}

func (b *inbox) witness() proof.Witness {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.wit
}

// report changes what the service says of itself and writes it for
// ReadStatus. That it cannot be written is no reason to stop.
func (b *inbox) report(change func(*running)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.run)
	if err := b.state.save(statusFile, b.run); err != nil {
		b.log.Warn("status not written", "reason", err)
	}
}

// Welcomed implements uplink.Handler.
func (b *inbox) Welcomed(collector time.Time, skew time.Duration) error {
	if err := b.device.Heard(collector, b.now()); err != nil {
		return err
	}
	if skew.Abs() > 5*time.Minute {
		b.log.Warn("the clocks of this device and of the collector differ", "by", skew.Round(time.Second))
	}
	b.report(func(r *running) { r.Connected, r.Trouble = true, "" })
	return nil
}

// Ended implements uplink.Handler.
func (b *inbox) Ended(reason error) {
	b.report(func(r *running) { r.Connected, r.Trouble = false, reason.Error() })
}

// Acknowledged implements uplink.Handler.
func (b *inbox) Acknowledged(p spool.Position) error {
	waiting := b.waiting()
	b.report(func(r *running) { r.ReportedAt, r.Acknowledged, r.Waiting = b.now(), p.Sequence, waiting })
	b.put(func() {
		if b.acked.Before(p) {
			b.acked = p
		}
	})
	return nil
}

// Policy implements uplink.Handler.
func (b *inbox) Policy(document []byte) error { return b.document(enroll.Policy, document) }

// Assignment implements uplink.Handler.
func (b *inbox) Assignment(document []byte) error { return b.document(enroll.Assignment, document) }

// document puts what the school has signed in force: its signature is checked,
// and its number must rise.
func (b *inbox) document(kind string, document []byte) error {
	switch _, err := b.device.Take(kind, document); {
	case errors.Is(err, enroll.ErrNotNewer):
		b.log.Warn("document passed over", "reason", err)
		return nil
	case err != nil:
		return err
	}
	terms, err := loadTerms(b.device)
	if err != nil {
		return err
	}
	b.log.Info("document taken", "kind", kind, "policy", terms.number, "assignment", terms.assignment.Number)
	b.put(func() { b.terms, b.judge = terms, true })
	b.report(func(r *running) { r.Policy = terms.number })
	return nil
}

// Checkpoint implements uplink.Handler. A checkpoint of a smaller ledger than
// the last one is passed over: this device remembers.
func (b *inbox) Checkpoint(c proof.Checkpoint) error {
	last := b.witness()
	if c.Size < last.Size || c.Size == last.Size && !last.Root.IsZero() && c.Root != last.Root {
		b.log.Warn("checkpoint passed over: it contradicts an earlier one", "size", c.Size, "earlier", last.Size)
		return nil
	}
	w := proof.Witness{Size: c.Size, Root: c.Root}
	if err := b.state.save(witnessFile, w); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wit = w
	return nil
}

// SendFull implements uplink.Handler.
func (b *inbox) SendFull(reason string) error {
	b.log.Info("the collector asks for everything", "reason", reason)
	b.put(func() { b.full = true })
	return nil
}

// AssessNow implements uplink.Handler.
func (b *inbox) AssessNow(request string) error {
	b.log.Info("the collector asks for an assessment", "request", request)
	b.put(func() { b.hurry = true })
	return nil
}
