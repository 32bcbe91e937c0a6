package roster_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// FuzzSnapshot finds anything in the place of the roster's snapshot, with
// checksums that are right: it is used if it fits the ledger, and passed over
// otherwise.
func FuzzSnapshot(f *testing.F) {
	k := newBook(f)
	k.append(k.enrolment("d1", "t"))
	path := filepath.Join(k.dir, "snapshot")
	good := k.snapshot(path)
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, durable.AppendFrame(nil, bytes.Clone(data)), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := roster.Open(context.Background(), roster.Options{
			School: school, Ledger: k.ledger, Verifier: k.verifier, Snapshot: path, Log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatalf("a snapshot kept the roster from opening: %v", err)
		}
		if err := r.CatchUp(context.Background()); err != nil {
			t.Fatal(err)
		}
	})
}

// snapshot returns what a roster saves when it is stopped.
func (b *book) snapshot(path string) []byte {
	b.t.Helper()
	r := b.open(path)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.Run(ctx); err != nil {
		b.t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		b.t.Fatal(err)
	}
	defer file.Close()
	data, err := durable.ReadFrame(file, 0, 1<<20)
	if err != nil {
		b.t.Fatal(err)
	}
	return data
}

// FuzzDoubt reads anything as what is said of two machines with one name: what is
// read is a doubt that is read the same again.
func FuzzDoubt(f *testing.F) {
	section, err := roster.Section(roster.SectionDoubt, proof.Kept, roster.Doubt{
		Device: "d1", What: roster.DoubtNoticed, Why: roster.DoubtFork, Sequence: 3, Statement: []byte{1}, Signature: []byte{2},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(section.Body)
	f.Add([]byte(`{"device":"d1","what":"settled"}`))
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := roster.DecodeDoubt(body)
		if err != nil {
			return
		}
		section, err := roster.Section(roster.SectionDoubt, proof.Kept, d)
		if err != nil {
			t.Fatal(err)
		}
		again, err := roster.DecodeDoubt(section.Body)
		if err != nil || again.Device != d.Device || again.What != d.What || again.Sequence != d.Sequence || !bytes.Equal(again.Statement, d.Statement) {
			t.Errorf("it read %+v, and then %+v, %v", d, again, err)
		}
	})
}

// FuzzMachineOf reads anything as what a report says of the computer: a computer
// is never another than itself, and one of which nothing is known is no other's.
func FuzzMachineOf(f *testing.F) {
	hash := strings.Repeat("0f", 16)
	all := posture.System{Platform: posture.Windows, SystemUUID: posture.Read(hash), SystemSerial: posture.Read(hash), BoardSerial: posture.Read(hash), ChassisSerial: posture.Read(hash)}
	odd := posture.System{Platform: posture.Linux, SystemUUID: posture.Read(hash[2:]), SystemSerial: posture.Read("no number"), BoardSerial: posture.Unread[string](posture.Denied)}
	for _, seed := range []posture.Answer[posture.System]{
		posture.Found("firmware", all), posture.Found("firmware", odd), posture.Found("firmware", all, odd), posture.NotFound[posture.System]("firmware", posture.Denied),
	} {
		bodies, err := wire.EncodeFacts(posture.Facts{System: seed}, nil)
		if err != nil {
			f.Fatal(err)
		}
		for _, b := range bodies {
			if b.Name == wire.System {
				f.Add(b.Data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, section []byte) {
		m := roster.MachineOf(section)
		if m.Other(m) || m.Same(roster.Machine{}) || m.Other(roster.Machine{}) || m.Same(m) != (m != roster.Machine{}) {
			t.Errorf("it read %x", m)
		}
	})
}
