package intake

import (
	"context"
	"slices"

	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// Two machines with one key, such as a disk that was copied after its laptop had
// enrolled, are noticed by what one machine never does: it never signs two
// statements of one number, no boot of it comes back after a later one, and the
// numbers in its firmware stay. From then on neither is heard: nothing of either
// is recorded or acknowledged, so that each keeps what it has to say until it is
// known which is which.

var errTwice = refuse("twice", "two machines answer to this device's name: this one is to ask who it is")

// doubt records that two machines answer to the device's name, and ends the
// stream. beside it may say more.
func (s *session) doubt(ctx context.Context, d roster.Doubt, beside ...proof.Section) error {
	if err := s.grounded(ctx); err != nil {
		return s.failed("record the reports before", err)
	}
	s.hush()                   // or the news of it would end the stream before it is told why
	s.school.forgetBoots(s.id) // it begins anew once they are told apart
	d.Device, d.What = s.id, roster.DoubtNoticed
	entry, err := s.school.maker.Doubt(d, s.now(), beside...)
	if err == nil {
		err = s.append(ctx, entry)
	}
	if err == nil {
		err = s.school.Roster.CatchUp(context.WithoutCancel(ctx))
	}
	if err != nil {
		return s.failed("record that two machines answer to one name", err)
	}
	return errTwice
}

// conflict records that two statements of one number were signed: this one, and
// the one that is in the record.
func (s *session) conflict(ctx context.Context, d roster.Doubt) error {
	d.Why = roster.DoubtFork
	gap, err := roster.Section(roster.SectionGap, proof.Kept, roster.Gap{From: d.Sequence, To: d.Sequence, Reason: roster.GapConflict})
	if err != nil {
		return s.failed("record that a report is not the one known", err)
	}
	return s.doubt(ctx, d, gap)
}

// strange reports whether a report says that it comes from another computer than
// the device is.
func (s *session) strange(sections []proof.Section) bool {
	return slices.ContainsFunc(sections, func(c proof.Section) bool {
		return c.Name == wire.System && s.school.Roster.Strange(s.id, c.Body)
	})
}

// mostBoots is how many boots of a device are remembered. They are kept in
// memory alone: two machines take turns within minutes.
const mostBoots = 4

// cameBack notes with which boot a device says hello, and reports whether that
// is one before the last: its machine was started anew since, so that another
// must be speaking.
func (s *school) cameBack(id posture.DeviceID, boot string) bool {
	if boot == "" {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.boots[id]
	at := slices.Index(known, boot)
	switch {
	case at < 0:
		if len(known) >= mostBoots {
			known = known[1:]
		}
		s.boots[id] = append(slices.Clone(known), boot)
	case at < len(known)-1:
		return true
	}
	return false
}

func (s *school) forgetBoots(id posture.DeviceID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.boots, id)
}

// Part implements the Uplink service.
func (in *Intake) Part(ctx context.Context, m *pb.PartRequest) (*pb.PartResponse, error) {
	v, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	return in.o.Desk.Part(ctx, v.who, m)
}
