package roster

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// Doubt says that two machines answer to the name of one device, or how they
// were told apart without anybody's decision. Its entry's subject is the device.
type Doubt struct {
	Device posture.DeviceID `json:"device"`
	What   string           `json:"what"`
	Why    string           `json:"why,omitempty"` // of what was noticed
	// Sequence is the number under which two statements were signed, and
	// Statement the one that is not in the record: both signatures are by the
	// device's key, which proves that it was used twice.
	Sequence  uint64 `json:"sequence,omitempty"`
	Contact   bool   `json:"contact,omitempty"` // Statement is that of a contact
	Statement []byte `json:"statement,omitempty"`
	Signature []byte `json:"signature,omitempty"`
	// Keeps is the hash of the key by which the machine asked that keeps the
	// name, and Agree are the numbers of its firmware that are as they were.
	Keeps string   `json:"keeps,omitempty"`
	Agree []string `json:"agree,omitempty"`
}

// What a Doubt says.
const (
	DoubtNoticed = "noticed"
	DoubtSettled = "settled"
)

// Why two machines are taken to answer to one name.
const (
	DoubtFork     = "fork"     // two statements of one number were signed
	DoubtStreams  = "streams"  // a stream of an earlier boot came back after one of a later
	DoubtHardware = "hardware" // a report comes from a computer with other numbers in its firmware
)

// DecodeDoubt reads the body of a doubt.
func DecodeDoubt(body []byte) (Doubt, error) { return named[Doubt](SectionDoubt, body) }

// Doubt returns the entry that says that two machines answer to one name, or
// that it is settled. beside it may say more, such as which reports are missing.
func (m Maker) Doubt(d Doubt, now time.Time, beside ...proof.Section) (ledger.Entry, error) {
	section, err := Section(SectionDoubt, proof.Kept, d)
	if err != nil {
		return ledger.Entry{}, err
	}
	return m.Entry(proof.KindGap, string(d.Device), now, append(beside, section)...), nil
}

// machineKinds are the numbers of a computer's firmware by which it is known
// again, as wire.System says them.
var machineKinds = [...]string{"system-uuid", "system-serial", "board-serial", "chassis-serial"}

// Machine are the keyed hashes of those numbers; of one that is not known, zero.
type Machine [len(machineKinds)][16]byte

// MachineOf reads what a section of the system says of the computer. What cannot
// be read is not known.
func MachineOf(section []byte) (m Machine) {
	var facts posture.Facts
	if err := wire.DecodeSection(wire.System, section, time.Time{}, &facts, nil); err != nil || len(facts.System.Items) != 1 {
		return m
	}
	s := facts.System.Items[0]
	var words []string
	for _, r := range []posture.Reading[string]{s.SystemUUID, s.SystemSerial, s.BoardSerial, s.ChassisSerial} {
		word := ""
		if r.Known() {
			word = r.Value
		}
		words = append(words, word)
	}
	return ParseMachine(words)
}

// ParseMachine reads the hashes as an agent says them. What is none is not known.
func ParseMachine(words []string) (m Machine) {
	for i, w := range words[:min(len(words), len(m))] {
		if raw, err := hex.DecodeString(w); err == nil && len(raw) == len(m[i]) {
			m[i] = [16]byte(raw)
		}
	}
	return m
}

// Compare names the numbers that are the same in both and those that are known
// of both and differ.
func (m Machine) Compare(o Machine) (agree, differ []string) {
	for i, kind := range machineKinds {
		switch {
		case m[i] == [16]byte{} || o[i] == [16]byte{}:
		case m[i] == o[i]:
			agree = append(agree, kind)
		default:
			differ = append(differ, kind)
		}
	}
	return agree, differ
}

// Same reports whether more numbers are the same than differ; Other whether more
// differ. Where nothing is known of both, neither is so.
func (m Machine) Same(o Machine) bool {
	agree, differ := m.Compare(o)
	return len(agree) > len(differ)
}

// Other is the opposite of Same where something is known of both.
func (m Machine) Other(o Machine) bool {
	agree, differ := m.Compare(o)
	return len(differ) > len(agree)
}

// Machine returns what is known of the computer that a device was when it first
// reported; zero if nothing is.
func (r *Roster) Machine(id posture.DeviceID) Machine {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if d, ok := r.devices[id]; ok {
		return d.Machine
	}
	return Machine{}
}

// Keeps reports whether the machine that asked by a key is the one that keeps
// the device's name.
func (r *Roster) Keeps(id posture.DeviceID, key string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	d, ok := r.devices[id]
	return ok && key != "" && d.Keeps == key
}

// HasKept reports whether some machine was said to keep the device's name.
func (r *Roster) HasKept(id posture.DeviceID) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	d, ok := r.devices[id]
	return ok && d.Keeps != ""
}

// MayPart reports whether the machine that asked by a key may become a device of
// its own.
func (r *Roster) MayPart(id posture.DeviceID, key string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	d, ok := r.devices[id]
	return ok && slices.Contains(d.Parts, key)
}

// mostParts bounds how many machines may be told to leave one name.
const mostParts = 100

// foldMachine learns from a report what computer the device is: what it was
// first said to be stays, whatever a later one says.
func (r *Roster) foldMachine(ctx context.Context, rec ledger.Record) error {
	n := slices.IndexFunc(rec.Envelope.Sections, func(s proof.SectionRef) bool { return s.Name == wire.System })
	if n < 0 {
		return nil
	}
	r.mu.RLock()
	d, ok := r.devices[posture.DeviceID(rec.Envelope.Subject)]
	learns := ok && len(d.LostBy) == 0 && d.DoubtIn == 0 && slices.Contains(d.Machine[:], [16]byte{})
	r.mu.RUnlock()
	if !learns {
		return nil
	}
	body, err := r.o.Ledger.Body(ctx, rec.Index, n)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		if !errors.Is(err, ledger.ErrForgotten) {
			r.o.Log.Error("which computer a device is cannot be read", "school", r.o.School, "entry", rec.Index, "error", err)
		}
		return nil
	}
	m := MachineOf(body)
	r.change(rec.Envelope.Subject, func(d *record) {
		if d.Machine.Other(m) {
			return
		}
		for i, number := range m {
			if d.Machine[i] == [16]byte{} {
				d.Machine[i] = number
			}
		}
	})
	return nil
}

// foldDoubt takes in that two machines answer to a name, or that it is settled.
func (r *Roster) foldDoubt(rec ledger.Record, body []byte) error {
	d, err := decode[Doubt](body)
	if err != nil {
		return err
	}
	if string(d.Device) != rec.Envelope.Subject {
		return fmt.Errorf("it is about device %.70q, not %s", string(d.Device), rec.Envelope.Subject)
	}
	r.change(rec.Envelope.Subject, func(known *record) {
		switch d.What {
		case DoubtNoticed:
			if known.DoubtIn == 0 {
				known.DoubtIn, known.Keeps = uint64(rec.Index)+1, ""
			}
		case DoubtSettled:
			known.settle(d.Keeps)
		default:
			return
		}
		r.news.add(d.Device)
		r.tell()
	})
	return nil
}

// settle takes in which machine keeps the name.
func (d *record) settle(keeps string) {
	d.DoubtIn, d.Keeps = 0, keeps
}

// tellApart takes in what somebody decided about machines that answer to one
// name. By whoever looks at a computer it may be the same after its main board
// was replaced: its numbers are learned anew.
func (d *record) tellApart(c admission.Change) {
	switch {
	case c.Keeps:
		d.settle(c.Key)
		d.Machine = Machine{}
		d.Parts = slices.DeleteFunc(d.Parts, func(key string) bool { return key == c.Key })
	case !slices.Contains(d.Parts, c.Key) && len(d.Parts) < mostParts:
		d.Parts = append(d.Parts, c.Key)
	}
}

// Strange reports whether a section of the system comes from another computer
// than the device was first said to be.
func (r *Roster) Strange(id posture.DeviceID, section []byte) bool {
	known := r.Machine(id)
	if known == (Machine{}) {
		return false
	}
	return known.Other(MachineOf(section))
}
