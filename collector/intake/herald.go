package intake

import (
	"context"
	"time"

	"github.com/caretaker-school/caretaker/collector/roster"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// wants is what is to be said to a device beside answers to its messages.
type wants struct {
	documents  bool // a policy or an assignment newer than its own
	checkpoint bool
	assess     string         // the request, "" for none
	contact    roster.Contact // up to which contacts are recorded
	closed     bool           // nothing more may be said
}

func (w wants) empty() bool { return w == wants{} || w.closed }

// want has something said to the device, without waiting for it.
func (s *session) want(w wants) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wants.closed {
		return
	}
	s.wants.documents = s.wants.documents || w.documents
	s.wants.checkpoint = s.wants.checkpoint || w.checkpoint
	if w.assess != "" {
		s.wants.assess = w.assess
	}
	if !s.wants.contact.Covers(w.contact) {
		s.wants.contact = w.contact
	}
	// Before the hello is answered, nothing else is said.
	if s.saying != nil || s.hello == nil || s.wants.empty() {
		return
	}
	s.saying = make(chan struct{})
	go s.say(s.saying) // end waits for it
}

// assess asks the device for an assessment, and its next stream if this one turns
// out to be dead.
func (s *session) assess(request string) {
	s.mu.Lock()
	s.unanswered = request
	s.mu.Unlock()
	s.want(wants{assess: request})
}

// say sends what is wanted until there is nothing more. If that fails, the
// stream is at its end, and its handler notices.
func (s *session) say(done chan struct{}) {
	defer close(done)
	for {
		s.mu.Lock()
		w := s.wants
		if w.empty() {
			s.saying = nil
			s.mu.Unlock()
			return
		}
		s.wants = wants{}
		s.mu.Unlock()
		for _, m := range s.messages(w) {
			if s.send(m) != nil {
				s.mu.Lock()
				s.wants, s.saying = wants{closed: true}, nil
				s.mu.Unlock()
				return
			}
		}
	}
}

// messages are what says what is wanted. A lost device is told only what was
// recorded of what it said: it is given nothing. One that was found is asked
// for everything, because what it said meanwhile shows nowhere.
func (s *session) messages(w wants) []*pb.CollectorMessage {
	standing, ok := s.school.Roster.Standing(s.id)
	if !ok || standing.Revoked || standing.Doubted {
		s.conn.Close() // that is news, and it is told when it comes again
		return nil
	}
	if standing.Lost {
		w.assess, w.documents, w.checkpoint = "", false, false
	}
	if still := s.school.Still; still != nil && still(s.id) {
		w.assess, w.documents = "", false
	}
	var out []*pb.CollectorMessage
	if w.documents && standing.Behind {
		out = append(out, &pb.CollectorMessage{Message: &pb.CollectorMessage_SendFull{SendFull: &pb.SendFull{Reason: "found"}}})
	}
	if w.contact != (roster.Contact{}) {
		out = append(out, &pb.CollectorMessage{Message: &pb.CollectorMessage_Acknowledge{
			Acknowledge: &pb.Acknowledge{Sequence: w.contact.Report, Contact: w.contact.Count},
		}})
	}
	if w.assess != "" {
		out = append(out, &pb.CollectorMessage{Message: &pb.CollectorMessage_AssessNow{AssessNow: &pb.AssessNow{Request: w.assess}}})
	}
	if w.documents {
		out = append(out, s.newer()...)
		out = append(out, s.offer()...)
	}
	if w.checkpoint {
		if note := s.school.checkpoint(s.stream.Context()); note != nil {
			out = append(out, &pb.CollectorMessage{Message: &pb.CollectorMessage_Checkpoint{Checkpoint: &pb.Checkpoint{Note: string(note)}}})
		}
	}
	return out
}

// newer returns the policy and the assignment in force, if the device has older
// ones.
func (s *session) newer() []*pb.CollectorMessage {
	ctx := s.stream.Context()
	var out []*pb.CollectorMessage
	s.mu.Lock()
	has := s.has
	s.mu.Unlock()
	d, ok := s.school.Roster.Device(s.id)
	if !ok {
		return nil
	}
	if number := s.school.Roster.Policy(); number > has.policy {
		signed, err := s.school.Roster.PolicyDocument(ctx)
		if err != nil {
			s.school.in.o.Log.Error("policy not sent", "school", s.school.ID, "device", s.id, "error", err)
		} else {
			out = append(out, &pb.CollectorMessage{Message: &pb.CollectorMessage_Policy{Policy: &pb.SignedDocument{Document: signed}}})
			has.policy = number
		}
	}
	if d.Assignment > has.assignment {
		signed, err := s.school.Roster.AssignmentDocument(ctx, s.id)
		if err != nil {
			s.school.in.o.Log.Error("assignment not sent", "school", s.school.ID, "device", s.id, "error", err)
		} else {
			out = append(out, &pb.CollectorMessage{Message: &pb.CollectorMessage_Assignment{Assignment: &pb.SignedDocument{Document: signed}}})
			has.assignment = d.Assignment
		}
	}
	s.mu.Lock()
	s.has = has
	s.mu.Unlock()
	return out
}

// Checkpoints are given at the start of each stream and every hour. Devices
// that come in a crowd are given the same one.
const (
	checkpointEvery = time.Hour
	checkpointLasts = time.Minute
)

// checkpoint returns a signed checkpoint that is not old; nil if there is none.
func (s *school) checkpoint(ctx context.Context) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.in.o.Clock.Now()
	if age := now.Sub(s.givenAt); s.given != nil && age >= 0 && age < checkpointLasts {
		return s.given
	}
	note, err := s.Ledger.Checkpoint(context.WithoutCancel(ctx)) // others are given it too
	if err != nil {
		s.in.o.Log.Error("checkpoint not made", "school", s.ID, "error", err)
		return nil
	}
	s.given, s.givenAt = note, now
	return note
}

// herald tells a school's connected devices what has changed, and every hour
// gives them a checkpoint, and a document that could not be read before.
func (s *school) herald(ctx context.Context) error {
	hour, stop := s.in.o.Clock.After(checkpointEvery)
	defer func() { stop() }()
	for {
		changed := s.Roster.Changed()
		s.announce(s.Roster.Changes())
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-hour:
			s.tell(wants{documents: true, checkpoint: true})
			hour, stop = s.in.o.Clock.After(checkpointEvery)
		}
	}
}

// announce tells those devices whom a change concerns: while thousands enrol,
// the others hear nothing of it.
func (s *school) announce(c roster.Changes) {
	if c.Everybody {
		s.tell(wants{documents: true})
		return
	}
	for _, id := range c.Devices {
		s.mu.Lock()
		session := s.sessions[id]
		s.mu.Unlock()
		if session != nil {
			session.want(wants{documents: true})
		}
	}
}

func (s *school) tell(w wants) {
	s.mu.Lock()
	all := make([]*session, 0, len(s.sessions))
	for _, session := range s.sessions {
		all = append(all, session)
	}
	s.mu.Unlock()
	for _, session := range all {
		session.want(w)
	}
}

// sweep closes connections whose peer does not make itself known, and streams
// that do not begin with a hello, in time.
func (in *Intake) sweep(ctx context.Context, d *door) error {
	for {
		tick, stop := in.o.Clock.After(in.o.Limits.Handshake / 2)
		select {
		case <-ctx.Done():
			stop()
			return nil
		case <-tick:
		}
		now := in.o.Clock.Now()
		d.closeLate(now)
		late := now.Add(-in.o.Limits.Handshake)
		for _, s := range in.all() {
			s.closeSilent(late)
		}
	}
}

func (s *school) closeSilent(late time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, session := range s.sessions {
		session.mu.Lock()
		silent := session.hello == nil && !session.since.After(late)
		session.mu.Unlock()
		if silent {
			session.conn.Close()
		}
	}
}
