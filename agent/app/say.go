package app

import (
	"crypto/rand"
	"fmt"
	"time"

	"github.com/caretaker-school/caretaker/agent/assess"
	"github.com/caretaker-school/caretaker/agent/spool"
	"github.com/caretaker-school/caretaker/agent/uplink"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// say signs a statement and has it stored and queued. From here on it is the
// one of its number, whatever fails.
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
	s.position.Upkeep.seen(s.alive())
	s.lastSaid = wall(s.clock)
	s.inbox.firstSaid(p.Position)
	return s.flush()
}

// flush stores the statement that was made last with the chain that it makes,
// and puts it into the spool. After a crash it may be there already, or even be
// acknowledged: saying it twice is harmless.
func (s *service) flush() error {
	p := s.position.Pending
	if p == nil {
		return nil
	}
	if err := s.state.save(chainFile, s.position); err != nil {
		return err
	}
	if _, err := s.spool.Put(spool.Item{Position: p.Position, Message: p.Message}); err != nil {
		return err
	}
	s.position.Pending = nil
	s.inbox.report(func(r *running) {
		stats := s.spool.Stats() // not before: what was acknowledged meanwhile must not count again
		r.Waiting, r.Dropped = stats.Waiting, stats.Dropped
	})
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
// The boot is asked for each time, so that a clock that was set in between
// shows.
func (s *service) moment(at time.Time, t terms) assess.Moment {
	m := assess.Moment{
		School: s.device.School, Device: s.device.Device, Policy: t.number, Assignment: t.assignment.Number,
		MadeAt: at, Witness: s.inbox.lastWitness(),
	}
	if boot, uptime, err := s.boot(); err == nil {
		m.Boot, m.Uptime = boot, uptime
		s.inbox.clockSeen(wall(s.clock).Add(-uptime))
	}
	return m
}

// salt makes the salt of one section.
func salt() [proof.SaltSize]byte {
	var b [proof.SaltSize]byte
	_, _ = rand.Read(b[:]) // it never fails: it ends the program if the system gives no randomness
	return b
}
