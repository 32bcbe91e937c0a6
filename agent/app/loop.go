package app

import (
	"context"
	"errors"
	"io/fs"
	"runtime/debug"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/agent/assess"
	"github.com/caretaker-school/caretaker/agent/system"
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
	// farthest is by how many reports a collector may be ahead: more than a
	// laptop makes in its life, so that no number is ever used up.
	farthest = 1 << 20
	// longestSleep is how long it waits at most without a look at the clock,
	// which may have been set, or gone on while the machine slept.
	longestSleep = 15 * time.Minute
	// storeAgain and storeAtLast bound the pause after something could not be
	// stored.
	storeAgain  = time.Minute
	storeAtLast = 16 * time.Minute
)

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

func (s *service) diskChanged(e system.Event) {
	if e.Untold != nil {
		s.log.Warn("this system does not tell of disks that come and go; they are looked for every minute", "reason", e.Untold)
	}
	signal(s.disks)
}

func (s *service) programsChanged(struct{}) { signal(s.files) }

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// loop assesses when something is due and says so, until ctx ends. What cannot
// be stored, as on a full disk, is tried again, at longer and longer intervals;
// nothing is said meanwhile, and nothing that was said is lost.
func (s *service) loop(ctx context.Context) error {
	pause := storeAgain
	for {
		err := s.work(ctx)
		if ctx.Err() != nil {
			s.leave()
			return nil //nolint:nilerr // it was told to end, and what was not stored is made anew
		}
		if err == nil {
			pause = storeAgain
			if s.wait(ctx) {
				continue
			}
			s.leave()
			return nil
		}
		s.log.Error("what the agent has to say cannot be stored; it is tried again", "reason", err, "in", pause)
		s.inbox.report(func(r *running) { r.Fault = err.Error() })
		timer, stop := s.clock.After(pause)
		select {
		case <-ctx.Done():
			stop()
			s.leave()
			return nil
		case <-timer:
		}
		pause = min(2*pause, storeAtLast)
	}
}

// wait returns true when there may be something to do, false when ctx ends.
func (s *service) wait(ctx context.Context) bool {
	now := wall(s.clock)
	timer, stop := s.clock.After(min(max(s.next(now).Sub(now), 0), longestSleep))
	defer stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer:
	case <-s.inbox.wake:
	case <-s.woken:
	case <-s.disks:
		now = wall(s.clock)
		s.schedule.hurry(s.plugs.at(now, settling), wire.Media, wire.Encryption)
	case <-s.files:
		now = wall(s.clock)
		s.schedule.hurry(s.installs.at(now, settling), wire.Programs, wire.Security)
	}
	return true
}

// next returns when there is something to do, seen at now.
func (s *service) next(now time.Time) time.Time {
	next := s.schedule.next(now)
	if !s.asked.due.IsZero() {
		next = earlier(next, s.asked.at(now, s.asks.every))
	}
	if rest := s.restUntil.Sub(now); rest > 0 && rest <= retryAfter && next.Before(s.restUntil) {
		next = s.restUntil
	}
	if s.position.Chain.Sequence > 0 && s.position.Chain.Confirms() {
		next = earlier(next, s.contactDue(now))
	}
	return next
}

// contactDue returns when the next statement is to be made whatever happens,
// seen at now. A last one that lies ahead was made before the clock was set
// back.
func (s *service) contactDue(now time.Time) time.Time {
	if s.lastSaid.After(now) {
		return now
	}
	return s.lastSaid.Add(contactEvery)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// work does what is to be done now. What fails for want of an answer is tried
// again; only what cannot be stored is an error.
func (s *service) work(ctx context.Context) error {
	if err := s.flush(); err != nil {
		return err
	}
	now := wall(s.clock)
	s.listenTo(s.inbox.take(), now)
	resting := s.restUntil.Sub(now) > 0 && s.restUntil.Sub(now) <= retryAfter
	asked := !s.asked.due.IsZero() && !s.asked.at(now, s.asks.every).After(now)
	if !resting && (asked || !s.schedule.next(now).After(now)) {
		defer debug.FreeOSMemory() // what it took is not needed again for long
		return s.round(ctx, now, asked)
	}
	if s.position.Chain.Confirms() && !s.contactDue(now).After(now) {
		draft, chain, err := s.position.Chain.Contact(nil, s.moment(now, s.inbox.currentTerms()))
		if err != nil {
			return err
		}
		return s.say(draft, chain)
	}
	return nil
}

// listenTo takes in what the collector said: what it asks for is done at once a
// few times, and then once in a while.
func (s *service) listenTo(t taken, now time.Time) {
	s.settle(t.acked)
	full := t.full
	if dropped := s.spool.Stats().Dropped; dropped != s.position.Dropped {
		// What was lost may have carried sections and events.
		s.position.Dropped, s.position.Events, full = dropped, nil, true
	}
	if made := s.position.Chain.Sequence; t.recorded > made && t.recorded-made <= farthest {
		s.log.Warn("the collector has later reports than this laptop made, whose state must have been restored; its reports go on behind them",
			"made", made, "recorded", t.recorded)
		s.position.Chain, full = s.position.Chain.Behind(t.recorded), true
		s.position.Upkeep.StateLostAt = now
		s.schedule.hurry(now, wire.System)
	}
	s.position.Chain.Full = s.position.Chain.Full || full
	s.asked.assess = s.asked.assess || t.assessNow
	if (full || t.judge || t.assessNow) && s.asked.due.IsZero() {
		s.asked.due = s.asks.at(now, 0)
	}
}

// round makes one assessment and says what came of it. What is due is read, and
// everything if that was asked for or what was read last cannot be used.
func (s *service) round(ctx context.Context, now time.Time, asked bool) error {
	before, found, err := s.state.lastRead()
	if err != nil {
		s.log.Warn("what was read last cannot be used; everything is read anew", "reason", err)
	}
	if err != nil || s.looked && !found || asked && s.asked.assess {
		s.schedule.hurry(now, s.schedule.all()...)
	}
	due := s.schedule.take(now)
	s.drain(due)
	terms := s.inbox.currentTerms()
	m := s.moment(now.Truncate(time.Millisecond), terms)
	outcome, err := s.assessor.assess(ctx, m.MadeAt, due, terms, before, s.position, !s.looked)
	if err != nil {
		return s.failed(ctx, due, err)
	}
	if err := s.tell(outcome); err != nil {
		s.schedule.hurry(now, due...)
		return err
	}
	// What was read is stored first: it must never be older than what was said.
	if err := s.state.save(sectionsFile, lastRead{outcome.Bodies, outcome.Memory}); err != nil {
		s.schedule.hurry(now, due...)
		return err
	}
	s.looked, s.restUntil = true, time.Time{}
	if asked || !s.asked.assess {
		s.asked = wishes{}
	}
	s.position.MediaLog = outcome.MediaLog
	m.Witness, m.Policy = s.inbox.lastWitness(), outcome.Policy
	draft, chain, err := s.position.Chain.Next(outcome.Bodies, m, salt)
	if err != nil {
		return s.failed(ctx, due, err)
	}
	if slices.ContainsFunc(draft.Sections, func(b proof.Section) bool { return b.Name == wire.MediaEvents }) {
		s.position.Events = append(s.position.Events, carriedEvents{draft.Sequence, outcome.LastEvent})
	}
	if err := s.say(draft, chain); err != nil {
		return err
	}
	s.inbox.report(func(r *running) { r.AssessedAt, r.Fault, r.Self = s.clock.Now(), outcome.PolicyTrouble, &outcome.Self })
	return nil
}

// tell says what an assessment had to do without, and keeps what it could not
// read.
func (s *service) tell(o assess.Outcome) error {
	if o.PolicyTrouble != "" {
		s.log.Error("the policy in force cannot be read; another judges until the school gives one that can", "reason", o.PolicyTrouble, "judges", o.Policy)
	} else {
		s.inbox.judgedBy(o.Policy)
	}
	if o.MediaTrouble == "" {
		return nil
	}
	if err := s.state.save(mediaLogFile, s.position.MediaLog); err != nil {
		return err
	}
	s.log.Error("the log of media cannot be read and begins anew; what came and went and was not reported is lost",
		"reason", o.MediaTrouble, "kept", s.state.path(mediaLogFile))
	return nil
}

// failed has what was due read again after a while.
func (s *service) failed(ctx context.Context, due []string, err error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // it was told to end
	}
	s.log.Error("assessment failed; it is tried again", "reason", err, "in", retryAfter)
	s.inbox.report(func(r *running) { r.Fault = err.Error() })
	now := wall(s.clock)
	s.restUntil = now.Add(retryAfter)
	s.schedule.hurry(s.restUntil, due...)
	return nil
}

// drain forgets changes that were told before what they are about is read.
func (s *service) drain(due []string) {
	has := func(a, b string) bool { return slices.Contains(due, a) && slices.Contains(due, b) }
	if has(wire.Media, wire.Encryption) {
		forget(s.disks)
	}
	if has(wire.Programs, wire.Security) {
		forget(s.files)
	}
}

func forget(c <-chan struct{}) {
	select {
	case <-c:
	default:
	}
}
