package notify

import (
	"errors"
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// each calls f with every breach of a queued notice.
func (q *queued) each(f func(k key, severity, before byte)) error {
	n := len(q.Severities)
	if len(q.Keys) != n*keySize || len(q.Before) != n {
		return errors.New("a notice's breaches are not whole")
	}
	for i := range n {
		f(key(q.Keys[i*keySize:(i+1)*keySize]), q.Severities[i], q.Before[i])
	}
	return nil
}

// queue puts a notice on its way: its breaches count as told, because it is
// sent until it is delivered or given up.
func (s *state) queue(q *queued) error {
	today := day(q.Notice.At)
	if err := q.each(func(k key, severity, _ byte) { s.marks[k] = mark{posture.Severity(severity), today} }); err != nil {
		return err
	}
	s.pending, s.attempts, s.next, s.why, s.failing = q, 0, time.Time{}, "", time.Time{}
	if q.Notice.Digest {
		s.digested = q.Notice.At
	}
	if len(q.Notice.Checkpoints) > 0 {
		s.given = q.Notice.At
	}
	for _, c := range q.Causes {
		s.causes[c] = q.Notice.At
	}
	for c, at := range s.causes {
		if q.Notice.At.Sub(at) > causeRests {
			delete(s.causes, c)
		}
	}
	return nil
}

// takeBack has the breaches of a notice that never arrived count as they did
// before it, so that they are part of another.
func (s *state) takeBack(q *queued) {
	if len(q.Notice.Checkpoints) > 0 {
		s.given = time.Time{}
	}
	// The lengths were checked when it was queued.
	_ = q.each(func(k key, _, before byte) {
		if before == untold {
			delete(s.marks, k)
			return
		}
		s.marks[k] = mark{posture.Severity(before), s.marks[k].seen}
	})
}

func (s *state) fail(f *failed) {
	if s.pending == nil {
		return
	}
	if s.attempts == 0 {
		s.failing = f.At
	}
	s.attempts++
	s.next, s.why = f.Next, f.Why
}

// known reports whether a breach was told at its severity, or a graver one.
func (s *state) known(k key, severity posture.Severity) bool {
	m, ok := s.marks[k]
	return ok && m.severity >= severity
}

// see notes that a breach stands.
func (s *state) see(k key, today int32) {
	if m, ok := s.marks[k]; ok && m.seen < today {
		m.seen = today
		s.marks[k] = m
	}
}

// forget drops what has not stood for long: the same breach can come back for a
// day after it was resolved, and later only as another one.
func (s *state) forget(today int32) {
	for k, m := range s.marks {
		if today-m.seen > markRests {
			delete(s.marks, k)
		}
	}
}

const (
	// markRests is for how many days it is remembered that a breach was told
	// after it was last seen to stand.
	markRests = 60
	// causeRests is for how long what joins a cause that was told at once waits
	// for the digest.
	causeRests = 24 * time.Hour
)

func day(t time.Time) int32 { return int32(t.Unix() / (24 * 60 * 60)) }

func (s *state) record(channel string) *stateRecord {
	r := &stateRecord{
		Channel: channel, Attempts: s.attempts, Next: s.next, Why: s.why, Failing: s.failing, Digested: s.digested, Given: s.given,
		Causes: s.causes, Delivered: s.delivered, Last: s.last, Pending: s.pending,
	}
	for k, m := range s.marks {
		r.Keys = append(r.Keys, k[:]...)
		r.Severities = append(r.Severities, byte(m.severity))
		r.Seen = append(r.Seen, m.seen)
	}
	return r
}

func (s *state) restore(r *stateRecord) error {
	if len(r.Keys) != len(r.Severities)*keySize || len(r.Seen) != len(r.Severities) {
		return errors.New("what was told to a channel is not whole")
	}
	if r.Pending != nil {
		if err := r.Pending.each(func(key, byte, byte) {}); err != nil {
			return err
		}
	}
	for i, severity := range r.Severities {
		s.marks[key(r.Keys[i*keySize:(i+1)*keySize])] = mark{posture.Severity(severity), r.Seen[i]}
	}
	s.attempts, s.next, s.why, s.failing, s.digested = r.Attempts, r.Next, r.Why, r.Failing, r.Digested
	s.given, s.delivered, s.last, s.pending = r.Given, r.Delivered, r.Last, r.Pending
	if r.Causes != nil {
		s.causes = r.Causes
	}
	return nil
}
