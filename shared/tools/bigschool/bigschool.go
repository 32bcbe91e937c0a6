// Package bigschool writes the record of a school as large as a county's, as
// its intake would have written it: a device after the other enrols, is
// assigned, reports what it found, and is entered in the register.
//
// It is for measuring and for tests of weight. It never judges anything but by
// the policy's own evaluation, and writes nothing but a ledger.
package bigschool

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/enroll"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/policy/baseline"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// Options say how large the school is.
type Options struct {
	Data    string // the collector's folder
	Name    string // of the school
	Devices int
	Now     time.Time          // most were heard from an hour before, some six weeks before
	Said    func(done, of int) // told how far it is; nil tells nobody
}

// together is how many devices are written at once: the ledger syncs once for
// them all.
const together = 1000

// Hostname returns what a device is called; its tag in the register is the same
// in capitals.
func Hostname(n int) string { return fmt.Sprintf("hb-lt-%06d", n) }

// Tag returns the tag of a device in the register.
func Tag(n int) string { return fmt.Sprintf("HB-%06d", n) }

// Device returns the identifier of a device.
func Device(n int) posture.DeviceID { return posture.DeviceID(fmt.Sprintf("d-%06d", n)) }

// writer writes the record of one school.
type writer struct {
	Options
	school *enroll.School
	maker  roster.Maker
	ledger *ledger.Ledger
	kinds  []kind
}

// Write makes a school in a collector's folder and writes its record. No
// collector may run on the folder.
func Write(ctx context.Context, o Options) (school posture.SchoolID, err error) {
	began := o.Now.Add(-60 * 24 * time.Hour)
	own, err := enroll.CreateSchool(o.Data, o.Name, began)
	if err != nil {
		return "", err
	}
	verifier, err := own.Key.Verifier()
	if err != nil {
		return "", err
	}
	signer, err := own.Key.Signer()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(own.LedgerDir()), 0o700); err != nil {
		return "", fmt.Errorf("write a large school: %w", err)
	}
	l, err := ledger.Open(own.LedgerDir(), ledger.Options{School: string(own.ID), Signer: signer, Verifier: verifier.Note})
	if err != nil {
		return "", err
	}
	w := &writer{Options: o, school: own, maker: roster.Maker{School: own.ID, Intake: "bigschool"}, ledger: l}
	err = w.write(ctx, began)
	if closed := l.Close(); err == nil {
		err = closed
	}
	return own.ID, err
}

func (w *writer) write(ctx context.Context, began time.Time) error {
	loaded, err := baseline.Load()
	if err != nil {
		return err
	}
	if w.kinds, err = kinds(loaded, w.Now); err != nil {
		return err
	}
	steps := []struct {
		at   time.Time
		make func(n int, at time.Time) ([]ledger.Entry, error)
	}{{began, w.enrol}, {w.Now.Add(-silence), w.earlier}, {w.Now.Add(-fresh), w.report}}
	for step, s := range steps {
		for first := 0; first < w.Devices; first += together {
			last := min(first+together, w.Devices)
			if err := w.batch(ctx, first, last, s.at, s.make); err != nil {
				return err
			}
			if w.Said != nil {
				w.Said(step*w.Devices+last, len(steps)*w.Devices)
			}
		}
	}
	return w.register(ctx, w.Now.Add(-fresh/2))
}

// batch writes the entries of some devices, in their order.
func (w *writer) batch(ctx context.Context, first, last int, at time.Time, entriesOf func(n int, at time.Time) ([]ledger.Entry, error)) error {
	made := slices.Repeat([][]ledger.Entry{nil}, last-first)
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for n := first; n < last; n++ {
		g.Go(func() (err error) {
			// A device a millisecond after the other, as intake would stamp them.
			made[n-first], err = entriesOf(n, at.Add(time.Duration(n)*time.Millisecond))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("write a large school: %w", err)
	}
	entries := slices.Concat(made...)
	if len(entries) == 0 {
		return nil
	}
	_, err := w.ledger.Append(ctx, entries...)
	return err
}

var ownAssignment = policy.Assignment{Number: 1, Ownership: posture.SchoolSingleUser}

// enrol makes the entries of a device's enrolment and its assignment.
func (w *writer) enrol(n int, at time.Time) ([]ledger.Entry, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	certificate, err := w.school.Authority.Issue(Device(n), &key.PublicKey, at)
	if err != nil {
		return nil, err
	}
	enrolment, err := roster.Section(roster.SectionEnrolment, proof.Kept, roster.Enrolment{
		Device: Device(n), Certificate: certificate, Ownership: posture.SchoolSingleUser, Platform: posture.Linux, AgentVersion: "1.0.0",
	})
	if err != nil {
		return nil, err
	}
	named, err := wire.EncodeFacts(posture.Facts{System: posture.Found("enrolment", posture.System{Hostname: Hostname(n), Platform: posture.Linux})}, nil)
	if err != nil {
		return nil, err
	}
	system, err := roster.RawSection(named[0].Name, proof.Kept, named[0].Data)
	if err != nil {
		return nil, err
	}
	assignment, _, err := w.maker.Assignment(w.school.Key, roster.Assignment{Device: Device(n), Assignment: ownAssignment}, at)
	if err != nil {
		return nil, err
	}
	return []ledger.Entry{w.maker.Entry(proof.KindEnrolment, string(Device(n)), at, enrolment, system), assignment}, nil
}

// earlier makes the only report of a device of which nothing was heard since.
func (w *writer) earlier(n int, at time.Time) ([]ledger.Entry, error) {
	if k := w.kinds[n%len(w.kinds)]; k.silent {
		return w.told(n, k, at)
	}
	return nil, nil
}

// report makes the report of a device that talks.
func (w *writer) report(n int, at time.Time) ([]ledger.Entry, error) {
	if k := w.kinds[n%len(w.kinds)]; !k.silent {
		return w.told(n, k, at)
	}
	return nil, nil
}

// told makes a device's report of what it is like.
func (w *writer) told(n int, k kind, at time.Time) ([]ledger.Entry, error) {
	bodies, err := k.as(Hostname(n))
	if err != nil {
		return nil, err
	}
	madeAt := uint64(k.at.UnixMilli())
	st := proof.ReportStatement{
		School: string(w.school.ID), Device: string(Device(n)), Sequence: 1, Assignment: ownAssignment.Number,
		MadeAt: madeAt, Boot: "boot-1", Uptime: uint64(time.Hour.Milliseconds()),
	}
	e := ledger.Entry{Envelope: proof.Envelope{
		Kind: proof.KindReport, School: string(w.school.ID), Subject: string(Device(n)), Sequence: 1, ReceivedAt: uint64(at.UnixMilli()), Intake: "bigschool",
		Signature: []byte{1}, // who signed it was intake's to ask
	}}
	for _, b := range bodies {
		section, err := roster.RawSection(b.Name, b.Class, b.Data)
		if err != nil {
			return nil, err
		}
		ref := section.Ref(0, 1)
		if !b.ReadAt.IsZero() {
			ref.ReadAt = uint64(b.ReadAt.UnixMilli())
		}
		st.Sections, e.Sections = append(st.Sections, ref), append(e.Sections, section)
	}
	e.Envelope.Sections = st.Sections
	if e.Envelope.Statement, err = st.Encode(); err != nil {
		return nil, err
	}
	return []ledger.Entry{e}, nil
}

// assetsInOne is how many devices one list of the register names.
const assetsInOne = 2000

// register enters every device in the register, and beside each hundred one
// that has no agent.
func (w *writer) register(ctx context.Context, at time.Time) error {
	for first := 0; first < w.Devices; first += assetsInOne {
		change := register.Change{What: register.Import, AsOf: at}
		for n := first; n < min(first+assetsInOne, w.Devices); n++ {
			change.Items = append(change.Items, register.Item{Tag: Tag(n), Device: Device(n), Description: register.Description{
				What: "Laptop", Class: posture.SchoolSingleUser, Group: fmt.Sprintf("Trolley %d", n/30),
			}})
			if n%100 == 0 {
				change.Items = append(change.Items, register.Item{Tag: Tag(n) + "-T", Description: register.Description{What: "Tablet", Class: posture.SchoolMultiUser}})
			}
		}
		d := decision.Decision{Kind: decision.Register, By: "technician", At: at, Reason: "The school's list of devices."}
		var salts [2][proof.SaltSize]byte
		for i := range salts {
			if _, err := rand.Read(salts[i][:]); err != nil {
				return fmt.Errorf("salt a list of devices: %w", err)
			}
		}
		sections, err := decision.RegisterSections(d, change, salts)
		if err != nil {
			return err
		}
		if _, err := w.ledger.Append(ctx, w.maker.Entry(proof.KindDecision, "technician", at, sections...)); err != nil {
			return err
		}
	}
	return nil
}
