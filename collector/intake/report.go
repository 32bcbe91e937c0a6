package intake

import (
	"context"
	"errors"
	"time"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// report checks a report, has it recorded, and acknowledges it.
//
// Whatever a device of the school has signed is recorded, also when reports
// before it are missing: then the ledger says which, and the device is asked
// for everything. What was not recorded is never acknowledged.
func (s *session) report(ctx context.Context, m *pb.Report) error {
	statement, hash, err := s.verifyReport(m)
	if err != nil {
		return err
	}
	entry, err := s.entry(statement, m)
	if err != nil {
		return err
	}
	if statement.Sequence <= s.device.Last {
		if err := s.grounded(ctx); err != nil {
			return s.failed("record the reports before", err)
		}
		return s.again(ctx, statement, entry)
	}
	if s.strange(entry.Sections) {
		return s.doubt(ctx, roster.Doubt{Why: roster.DoubtHardware, Sequence: statement.Sequence, Statement: m.GetStatement(), Signature: m.GetSignature()})
	}
	gap, missing := s.gap(statement)
	unknown, err := s.unknown(ctx, statement, missing)
	if err != nil {
		return s.failed("read the report before", err)
	}
	if missing {
		err = s.appendAfter(ctx, gap, entry)
	} else {
		err = s.begin(ctx, statement.Sequence, reportSize(m), entry)
	}
	if err != nil {
		return s.notRecorded(statement.Sequence, err)
	}
	s.device.Last, s.device.Hash, s.sections = statement.Sequence, hash, statement.Sections
	if full(statement) {
		s.asked = false
	}
	if !missing && !unknown {
		return nil // it is acknowledged when it is synced
	}
	if err := s.grounded(ctx); err != nil {
		return s.failed("record the report", err)
	}
	if missing {
		if err := s.acknowledge(statement.Sequence, 0); err != nil {
			return err
		}
	}
	switch {
	case unknown && missing:
		return s.sendFull("gap")
	case unknown:
		return s.sendFull("unknown-section")
	}
	return nil
}

// notRecorded ends the stream: it is the device's fault, or ours.
func (s *session) notRecorded(sequence uint64, err error) error {
	if errors.Is(err, ledger.ErrFalse) {
		return refuse("malformed", "report %d is not as it was signed: %s", sequence, wire.Visible(err.Error(), 300))
	}
	return s.failed("record the report", err)
}

// appendAfter records a report and, before it, which are missing.
func (s *session) appendAfter(ctx context.Context, gap roster.Gap, entry ledger.Entry) error {
	if err := s.grounded(ctx); err != nil {
		return err
	}
	said, err := s.school.maker.Gap(s.id, gap, s.now())
	if err != nil {
		return err
	}
	return s.append(ctx, said, entry)
}

// reportSize is about what a report has on the wire.
func reportSize(m *pb.Report) int {
	size := len(m.GetStatement()) + len(m.GetSignature())
	for _, s := range m.GetSections() {
		size += len(s.GetName()) + len(s.GetSalt()) + len(s.GetBody())
	}
	return size
}

func (s *session) now() time.Time { return s.school.in.o.Clock.Now() }

// verifyReport reads a statement that this device has signed.
func (s *session) verifyReport(m *pb.Report) (proof.ReportStatement, proof.Digest, error) {
	statement, err := proof.DecodeReportStatement(m.GetStatement())
	if err != nil {
		return statement, proof.Digest{}, refuse("malformed", "a report's statement cannot be read: %s", wire.Visible(err.Error(), 300))
	}
	if err := s.mine(statement.School, statement.Device); err != nil {
		return statement, proof.Digest{}, err
	}
	hash := proof.HashReport(m.GetStatement())
	if proof.VerifyStatement(s.device.Key, hash, m.GetSignature()) != nil {
		return statement, hash, refuse("signature", "report %d is not signed by this device's key", statement.Sequence)
	}
	if statement.Sequence == 0 {
		return statement, hash, refuse("malformed", "a report has no number")
	}
	return statement, hash, nil
}

// mine refuses a statement that names another than the certificate does.
func (s *session) mine(school, device string) error {
	if posture.SchoolID(school) != s.school.ID || posture.DeviceID(device) != s.id {
		return refuse("malformed", "a statement names another device or school than the certificate")
	}
	return nil
}

// entry makes the ledger's entry of a report: the bodies must be those that the
// statement says come with it. That they are not others of the same name the
// ledger finds out, which hashes them.
func (s *session) entry(statement proof.ReportStatement, m *pb.Report) (ledger.Entry, error) {
	e := ledger.Entry{Envelope: proof.Envelope{
		Kind: proof.KindReport, School: statement.School, Subject: statement.Device, Sequence: statement.Sequence,
		ReceivedAt: uint64(s.now().UnixMilli()), Intake: s.school.maker.Intake,
		Statement: m.GetStatement(), Signature: m.GetSignature(),
	}}
	bodies := m.GetSections()
	e.Envelope.Sections, e.Sections = make([]proof.SectionRef, 0, len(bodies)), make([]proof.Section, 0, len(bodies))
	for _, ref := range statement.Sections {
		if err := checkRef(ref, statement.Sequence); err != nil {
			return e, err
		}
		if ref.Carried != statement.Sequence {
			continue
		}
		if len(bodies) == 0 || bodies[0].GetName() != ref.Name || len(bodies[0].GetSalt()) != proof.SaltSize {
			return e, refuse("malformed", "report %d does not carry section %s, which it says it carries", statement.Sequence, ref.Name)
		}
		section := proof.Section{Name: ref.Name, Class: ref.Class, Salt: [proof.SaltSize]byte(bodies[0].GetSalt()), Body: bodies[0].GetBody()}
		bodies = bodies[1:]
		e.Envelope.Sections, e.Sections = append(e.Envelope.Sections, ref), append(e.Sections, section)
	}
	if len(bodies) > 0 {
		return e, refuse("malformed", "report %d carries a section that its statement does not name", statement.Sequence)
	}
	return e, nil
}

// checkRef refuses a reference that would be kept longer than it may, or that
// points into the future.
func checkRef(ref proof.SectionRef, sequence uint64) error {
	class, known := wire.Class(ref.Name)
	switch {
	case ref.Carried == 0 || ref.Carried > sequence:
		return refuse("malformed", "section %s of report %d says that report %d carried it", ref.Name, sequence, ref.Carried)
	case known && ref.Class != class:
		return refuse("malformed", "section %s has the retention class %d, not %d", ref.Name, ref.Class, class)
	case !known && ref.Class != proof.Posture && ref.Class != proof.Media && ref.Class != proof.Inventory:
		return refuse("malformed", "section %s has the retention class %d, which no device may choose", ref.Name, ref.Class)
	}
	return nil
}

func full(statement proof.ReportStatement) bool {
	for _, ref := range statement.Sections {
		if ref.Carried != statement.Sequence {
			return false
		}
	}
	return true
}

// gap returns which reports are missing before one that is new.
func (s *session) gap(statement proof.ReportStatement) (roster.Gap, bool) {
	next := s.device.Last + 1
	switch {
	case statement.Sequence == next && (statement.Previous == s.device.Hash || s.device.Last == 0):
		return roster.Gap{}, false
	case statement.Sequence == next:
		// It follows another report than the one that is recorded.
		return roster.Gap{From: s.device.Last, To: s.device.Last, Reason: roster.GapConflict}, true
	}
	g := roster.Gap{From: next, To: statement.Sequence - 1, Reason: roster.GapUnknown}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.hello.GetAcknowledged() >= next:
		g.Reason = roster.GapRestored
	case s.hello.GetDropped() > 0:
		g.Reason = roster.GapDropped
	}
	return g, true
}

// unknown reports whether the statement relies on a body that the ledger never
// got, as far as the report before tells.
func (s *session) unknown(ctx context.Context, statement proof.ReportStatement, missing bool) (bool, error) {
	if full(statement) {
		return false, nil
	}
	if missing {
		return true, nil
	}
	if s.sections == nil {
		var err error
		if s.sections, err = s.school.Roster.Sections(ctx, s.device); err != nil {
			return false, err
		}
	}
	for _, ref := range statement.Sections {
		if ref.Carried != statement.Sequence && !named(s.sections, ref) {
			return true, nil
		}
	}
	return false, nil
}

func named(refs []proof.SectionRef, want proof.SectionRef) bool {
	for _, r := range refs {
		if r.Name == want.Name {
			return r.Digest == want.Digest && r.Class == want.Class && r.Carried == want.Carried
		}
	}
	return false
}

// again deals with a report whose number is recorded already: sent again after
// a lost acknowledgement, or another one of the same number.
func (s *session) again(ctx context.Context, statement proof.ReportStatement, entry ledger.Entry) error {
	err := s.append(ctx, entry)
	switch {
	case err == nil || errors.Is(err, ledger.ErrOrder):
		// ErrOrder: it fills a gap too late. The gap is recorded, and this
		// report can not be any more.
		return s.acknowledge(s.device.Last, 0)
	case !errors.Is(err, ledger.ErrConflict):
		return s.notRecorded(statement.Sequence, err)
	}
	return s.conflict(ctx, roster.Doubt{Sequence: statement.Sequence, Statement: entry.Envelope.Statement, Signature: entry.Envelope.Signature})
}
