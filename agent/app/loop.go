package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/agent/assess"
	"github.com/caretaker-school/caretaker/agent/spool"
	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/agent/uplink"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
)

const (
	// contactEvery is how often the agent says that nothing has changed. Each
	// time leaves a hash in the ledger for good.
	contactEvery = time.Hour
	// settling is how long it waits after a disk or a package list changed,
	// since neither changes once.
	settling = 2 * time.Second
	// retryAfter is how long it waits after an assessment that failed.
	retryAfter = 5 * time.Minute
)

const spoolFolder = "spool"

// listen runs a source of changes until ctx ends. Without it the agent still
// looks at its usual times, so that a source that fails is told and no more.
func listen[E any](ctx context.Context, s *service, what string, source func(context.Context, func(E)) error, changed func(E)) {
	err := source(ctx, changed)
	switch {
	case err == nil || ctx.Err() != nil:
	case errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrNotExist):
		s.log.Info("this system does not tell of changes; they are looked for at the usual times", "of", what)
	default:
		s.log.Warn("changes are looked for at the usual times only", "of", what, "reason", err)
	}
}

func (s *service) diskChanged(system.Event) { signal(s.disks) }
func (s *service) programsChanged(struct{}) { signal(s.files) }

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// loop assesses when something is due and says so, until ctx ends.
func (s *service) loop(ctx context.Context) error {
	for {
		now := s.clock.Now()
		next := s.schedule.next(now)
		if contact := s.lastSaid.Add(contactEvery); s.position.Chain.Sequence > 0 && contact.Before(next) {
			next = contact
		}
		timer, stop := s.clock.After(max(next.Sub(now), 0))
		select {
		case <-ctx.Done():
			stop()
			return nil
		case <-timer:
		case <-s.inbox.wake:
		case <-s.disks:
			s.schedule.hurry(s.clock.Now().Add(settling), wire.Media, wire.Encryption)
		case <-s.files:
			s.schedule.hurry(s.clock.Now().Add(settling), wire.Programs, wire.Security)
		}
		stop()
		if err := s.work(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// work does what is to be done now. What fails for want of an answer is tried
// again; only what cannot be stored is an error.
func (s *service) work(ctx context.Context) error {
	t := s.inbox.take()
	s.settle(t.acked)
	s.position.Chain.Full = s.position.Chain.Full || t.full
	now := s.clock.Now()
	if t.assessNow {
		s.schedule.hurry(now, s.schedule.all()...)
	}
	due := s.schedule.take(now)
	switch {
	case len(due) > 0 || t.judge || t.full:
		return s.round(ctx, due)
	case s.position.Chain.Sequence > 0 && !now.Before(s.lastSaid.Add(contactEvery)):
		draft, chain, err := s.position.Chain.Contact(nil, s.moment(now, s.inbox.currentTerms()))
		if err != nil {
			return err
		}
		return s.say(draft, chain)
	}
	return nil
}

// round makes one assessment and says what came of it.
func (s *service) round(ctx context.Context, due []string) error {
	terms := s.inbox.currentTerms()
	outcome, err := s.assessor.assess(ctx, due, terms, s.state.sections(), s.position, !s.looked)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		s.log.Error("assessment failed; it is tried again", "reason", err)
		s.inbox.report(func(r *running) { r.Trouble = err.Error() })
		s.schedule.hurry(s.clock.Now().Add(retryAfter), due...)
		return nil
	}
	s.looked = true
	s.position.MediaLog = outcome.MediaLog
	draft, chain, err := s.position.Chain.Next(outcome.Bodies, s.moment(outcome.At, terms), salt)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(draft.Sections, func(b proof.Section) bool { return b.Name == wire.MediaEvents }) {
		s.position.Events = append(s.position.Events, carriedEvents{draft.Sequence, outcome.LastEvent})
	}
	if err := s.say(draft, chain); err != nil {
		return err
	}
	if err := s.state.save(sectionsFile, outcome.Bodies); err != nil {
		return err
	}
	s.inbox.report(func(r *running) { r.AssessedAt = s.clock.Now() })
	return nil
}

// say signs a statement, stores it with the chain that it makes, and queues
// it.
func (s *service) say(d assess.Draft, chain assess.Chain) error {
	signature, err := s.device.Key.Sign(d.Hash)
	if err != nil {
		return fmt.Errorf("sign report %d: %w", d.Sequence, err)
	}
	p := &pending{Position: spool.Position{Sequence: d.Sequence}}
	if d.Contact {
		p.Contact = chain.Contacts
		p.Message, err = uplink.EncodeContact(d.Statement, signature)
	} else {
		p.Message, err = uplink.EncodeReport(d.Statement, signature, d.Sections)
	}
	if err != nil {
		return err
	}
	s.position.Chain, s.position.Pending = chain, p
	if err := s.state.save(chainFile, s.position); err != nil {
		return err
	}
	s.lastSaid = s.clock.Now()
	return s.queuePending()
}

// queuePending puts the statement that was made last into the spool. After a
// crash it may be there already, or even be acknowledged: saying it twice is
// harmless.
func (s *service) queuePending() error {
	p := s.position.Pending
	if p == nil {
		return nil
	}
	dropped, err := s.spool.Put(spool.Item{Position: p.Position, Message: p.Message})
	if err != nil {
		return err
	}
	if dropped > 0 {
		s.position.Chain.Full = true // the collector will miss what was dropped
	}
	s.position.Pending = nil
	stats := s.spool.Stats()
	s.inbox.report(func(r *running) { r.Waiting, r.Dropped = stats.Waiting, stats.Dropped })
	return nil
}

// settle notes which media events the collector has.
func (s *service) settle(acked spool.Position) {
	for len(s.position.Events) > 0 && s.position.Events[0].Sequence <= acked.Sequence {
		s.position.EventsDone = max(s.position.EventsDone, s.position.Events[0].Last)
		s.position.Events = s.position.Events[1:]
	}
}

// moment is the circumstances of a statement that speaks of the time at. For a
// report that is when its facts were asked for, to the millisecond: whoever
// judges them again must do it as of the same moment, and by the same terms.
func (s *service) moment(at time.Time, t terms) assess.Moment {
	m := assess.Moment{
		School: s.device.School, Device: s.device.Device, Policy: t.number, Assignment: t.assignment.Number,
		MadeAt: at, Boot: s.boot, Witness: s.inbox.witness(),
	}
	if !s.booted.IsZero() {
		m.Uptime = max(m.MadeAt.Sub(s.booted), 0)
	}
	return m
}

// salt makes the salt of one section.
func salt() [proof.SaltSize]byte {
	var b [proof.SaltSize]byte
	_, _ = rand.Read(b[:]) // it never fails: it ends the program if the system gives no randomness
	return b
}
