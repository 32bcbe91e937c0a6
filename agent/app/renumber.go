package app

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/caretaker-school/caretaker/agent/enroll"
	"github.com/caretaker-school/caretaker/agent/spool"
	"github.com/caretaker-school/caretaker/agent/uplink"
	"github.com/caretaker-school/caretaker/shared/proof"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// Two machines that answered to one name have used the same numbers. The one
// that keeps the name says what it kept to say behind what is recorded: the
// statements are the same, with other numbers, and signed once more.

// renumbering carries what waits over to its new numbers.
type renumbering struct {
	after uint64 // the last report that is in the record as this machine made it
	by    uint64 // how much is added to the numbers of those after it
	hash  proof.Digest
	sign  func(proof.Digest) ([]byte, error)
}

// item returns a statement under its new number; ok is false if it says nothing
// that is not recorded.
func (r *renumbering) item(it spool.Item) (out spool.Item, ok bool, err error) {
	if it.Sequence <= r.after {
		return out, false, nil
	}
	var m pb.AgentMessage
	if err := proto.Unmarshal(it.Message, &m); err != nil {
		return out, false, fmt.Errorf("number report %d anew: %w", it.Sequence, err)
	}
	out.Position = spool.Position{Sequence: it.Sequence + r.by, Contact: it.Contact}
	if c := m.GetContact(); c != nil {
		out.Message, err = r.contact(c)
	} else {
		out.Message, err = r.report(m.GetReport())
	}
	if err != nil {
		return out, false, fmt.Errorf("number report %d anew: %w", it.Sequence, err)
	}
	return out, true, nil
}

func (r *renumbering) report(m *pb.Report) ([]byte, error) {
	st, err := proof.DecodeReportStatement(m.GetStatement())
	if err != nil {
		return nil, err
	}
	st.Sequence, st.Previous = st.Sequence+r.by, r.hash
	for i := range st.Sections {
		st.Sections[i].Carried = r.number(st.Sections[i].Carried)
	}
	statement, err := st.Encode()
	if err != nil {
		return nil, err
	}
	r.hash = proof.HashReport(statement)
	signature, err := r.sign(r.hash)
	if err != nil {
		return nil, err
	}
	sections := make([]proof.Section, len(m.GetSections()))
	for i, s := range m.GetSections() {
		sections[i] = proof.Section{Name: s.GetName(), Body: s.GetBody()}
		copy(sections[i].Salt[:], s.GetSalt())
	}
	return uplink.EncodeReport(statement, signature, sections)
}

func (r *renumbering) contact(m *pb.Contact) ([]byte, error) {
	st, err := proof.DecodeContactStatement(m.GetStatement())
	if err != nil {
		return nil, err
	}
	st.Report, st.Hash = st.Report+r.by, r.hash
	statement, err := st.Encode()
	if err != nil {
		return nil, err
	}
	signature, err := r.sign(proof.HashContact(statement))
	if err != nil {
		return nil, err
	}
	return uplink.EncodeContact(statement, signature)
}

// number returns the new number of a report.
func (r *renumbering) number(n uint64) uint64 {
	if n > r.after {
		return n + r.by
	}
	return n
}

// position returns where the chain stands by the new numbers. The next report
// carries everything: what this machine carried last is not what is recorded.
func (r *renumbering) position(p position) position {
	p.Chain.Sequence, p.Chain.Previous, p.Chain.Full = r.number(p.Chain.Sequence), r.hash, true
	p.Chain.Sections = slices.Clone(p.Chain.Sections)
	for i := range p.Chain.Sections {
		p.Chain.Sections[i].Ref.Carried = r.number(p.Chain.Sections[i].Ref.Carried)
	}
	p.Events = slices.Clone(p.Events)
	for i := range p.Events {
		p.Events[i].Sequence = r.number(p.Events[i].Sequence)
	}
	p.Pending, p.Dropped = nil, 0
	return p
}

// Names of what is being put in place of the spool and of the chain.
const (
	newSpool = spoolFolder + ".new"
	oldSpool = spoolFolder + ".old"
	newChain = "chain.new.json"
)

// renumber prepares what waits under its new numbers, beside the old. It may be
// interrupted, and is then begun anew.
func renumber(s state, kept enroll.Kept, sign func(proof.Digest) ([]byte, error), log *slog.Logger) error {
	var p position
	if _, err := s.load(chainFile, &p); err != nil {
		return err
	}
	var run running
	if _, err := s.load(statusFile, &run); err != nil {
		log.Warn("a file of the agent's state cannot be read and begins anew", "reason", err)
	}
	items, err := waitingItems(s, p, log)
	if err != nil {
		return err
	}
	r := renumbering{after: min(run.Acknowledged, kept.Recorded), hash: kept.Hash, sign: sign}
	for _, it := range items { // recorded, and never acknowledged
		if it.Contact == 0 && it.Sequence <= kept.Recorded && nameOf(it) == kept.Hash {
			r.after = it.Sequence
		}
	}
	r.by = kept.Recorded - r.after
	if err := os.RemoveAll(s.path(newSpool)); err != nil {
		return fmt.Errorf("number anew what waits: %w", err)
	}
	fresh, err := spool.Open(s.path(newSpool), spool.Options{Log: log})
	if err != nil {
		return err
	}
	for _, it := range items {
		out, ok, err := r.item(it)
		if err == nil && ok {
			_, err = fresh.Put(out)
		}
		if err != nil {
			return err
		}
	}
	log.Info("what waits is said behind what is recorded", "statements", fresh.Stats().Waiting, "recorded", kept.Recorded)
	return s.save(newChain, r.position(p))
}

// waitingItems returns what waits to be sent, the statement that was on its way
// into the spool included.
func waitingItems(s state, p position, log *slog.Logger) (items []spool.Item, err error) {
	held, err := spool.Open(s.path(spoolFolder), spool.Options{Log: log})
	if err != nil {
		return nil, err
	}
	if p.Pending != nil {
		if _, err := held.Put(spool.Item{Position: p.Pending.Position, Message: p.Pending.Message}); err != nil {
			return nil, err
		}
	}
	var at spool.Position
	for {
		it, ok, err := held.After(at)
		if err != nil || !ok {
			return items, err
		}
		items, at = append(items, it), it.Position
	}
}

// nameOf returns by what name the next report names this one; zero if that
// cannot be read.
func nameOf(it spool.Item) proof.Digest {
	var m pb.AgentMessage
	if err := proto.Unmarshal(it.Message, &m); err != nil || m.GetReport() == nil {
		return proof.Digest{}
	}
	return proof.HashReport(m.GetReport().GetStatement())
}

// swap puts what was prepared in place. It may be interrupted, and goes on.
func swap(s state, kept enroll.Kept) error {
	move := func(from, to string) error {
		err := os.Rename(s.path(from), s.path(to))
		if errors.Is(err, os.ErrNotExist) {
			return nil // it was done
		}
		return err
	}
	if _, err := os.Stat(s.path(newSpool)); err == nil {
		err := errors.Join(os.RemoveAll(s.path(oldSpool)), move(spoolFolder, oldSpool), move(newSpool, spoolFolder))
		if err != nil {
			return fmt.Errorf("put what waits in place: %w", err)
		}
	}
	if err := errors.Join(move(newChain, chainFile), os.RemoveAll(s.path(oldSpool))); err != nil {
		return fmt.Errorf("put what waits in place: %w", err)
	}
	var run running
	if _, err := s.load(statusFile, &run); err != nil {
		return nil //nolint:nilerr // it begins anew
	}
	run.Acknowledged = kept.Recorded
	return s.publish(run)
}
