package app

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"

	"github.com/caretaker-school/caretaker/agent/assess"
	"github.com/caretaker-school/caretaker/agent/enroll"
	"github.com/caretaker-school/caretaker/agent/spool"
	"github.com/caretaker-school/caretaker/agent/uplink"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/proof"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// twin is the state of a machine that keeps its name, and what another said
// under it meanwhile.
type twin struct {
	t    *testing.T
	s    state
	key  *identity.DeviceKey
	kept enroll.Kept
}

// newTwin has report 2 acknowledged, report 3, its contact and report 4 waiting,
// and report 5 on its way into the spool. Up to report 6 others are recorded.
func newTwin(t *testing.T) *twin {
	t.Helper()
	w := &twin{t: t, s: state{t.TempDir()}, kept: enroll.Kept{Recorded: 6, Hash: sha256.Sum256([]byte("recorded"))}}
	var err error
	w.key, err = identity.MakeDeviceKey(filepath.Join(w.s.dir, "device.pem"))
	must(t, err)
	held, err := spool.Open(w.s.path(spoolFolder), spool.Options{})
	must(t, err)
	hash := proof.Digest(sha256.Sum256([]byte("report 2")))
	chain := assess.Chain{Sequence: 2, Sections: []assess.ChainSection{{Ref: proof.SectionRef{Name: "system", Class: proof.Kept, Carried: 1}}, {Ref: proof.SectionRef{Name: "media", Class: proof.Kept, Carried: 2}}}}
	var last spool.Item
	for n := uint64(3); n <= 5; n++ {
		if last.Message != nil {
			_, err := held.Put(last)
			must(t, err)
		}
		carried := proof.Section{Name: "media", Class: proof.Kept, Body: []byte{byte(n)}}
		chain.Sequence, chain.Sections[1].Ref = n, carried.Ref(0, n)
		statement, err := proof.ReportStatement{
			School: "hollybank", Device: "d1", Sequence: n, Previous: hash, MadeAt: n, Sections: []proof.SectionRef{chain.Sections[0].Ref, chain.Sections[1].Ref},
		}.Encode()
		must(t, err)
		hash = proof.HashReport(statement)
		signature, err := w.key.Sign(hash)
		must(t, err)
		last.Position = spool.Position{Sequence: n}
		last.Message, err = uplink.EncodeReport(statement, signature, []proof.Section{carried})
		must(t, err)
		if n == 3 {
			_, err = held.Put(last)
			must(t, err)
			statement, err := proof.ContactStatement{School: "hollybank", Device: "d1", Report: n, Hash: hash, Count: 1, MadeAt: n}.Encode()
			must(t, err)
			signature, err := w.key.Sign(proof.HashContact(statement))
			must(t, err)
			last.Contact = 1
			last.Message, err = uplink.EncodeContact(statement, signature)
			must(t, err)
		}
	}
	chain.Previous = hash
	must(t, w.s.save(chainFile, position{
		Chain: chain, Events: []carriedEvents{{2, 7}, {4, 9}}, EventsDone: 5, Pending: &pending{Position: last.Position, Message: last.Message},
	}))
	must(t, w.s.publish(running{Acknowledged: 2}))
	return w
}

func (w *twin) renumber() {
	w.t.Helper()
	must(w.t, renumber(w.s, w.kept, w.key.Sign, slog.New(slog.DiscardHandler)))
}

// said is one statement that waits, without its signature, which was checked.
type said struct {
	Position spool.Position
	Report   *proof.ReportStatement
	Contact  *proof.ContactStatement
	Bodies   []string
}

// stands returns what waits, and where the chain stands.
func (w *twin) stands() (list []said, p position) {
	w.t.Helper()
	for _, left := range []string{newSpool, oldSpool, newChain} {
		if _, err := os.Stat(w.s.path(left)); !errors.Is(err, fs.ErrNotExist) {
			w.t.Errorf("%s is left: %v", left, err)
		}
	}
	found, err := w.s.load(chainFile, &p)
	if must(w.t, err); !found {
		w.t.Fatal("there is no chain")
	}
	items, err := waitingItems(w.s, position{}, slog.New(slog.DiscardHandler))
	must(w.t, err)
	for _, it := range items {
		var m pb.AgentMessage
		must(w.t, proto.Unmarshal(it.Message, &m))
		one := said{Position: it.Position}
		var hash proof.Digest
		var signature []byte
		if c := m.GetContact(); c != nil {
			st, err := proof.DecodeContactStatement(c.GetStatement())
			must(w.t, err)
			one.Contact, hash, signature = &st, proof.HashContact(c.GetStatement()), c.GetSignature()
		} else {
			st, err := proof.DecodeReportStatement(m.GetReport().GetStatement())
			must(w.t, err)
			one.Report, hash, signature = &st, proof.HashReport(m.GetReport().GetStatement()), m.GetReport().GetSignature()
			for _, s := range m.GetReport().GetSections() {
				one.Bodies = append(one.Bodies, s.GetName()+" "+string(s.GetBody()))
			}
		}
		must(w.t, proof.VerifyStatement(w.key.Public(), hash, signature))
		list = append(list, one)
	}
	return list, p
}

// TestWhatWaitsIsNumberedAnew: the same statements follow what is recorded, in
// order, each naming the one before it.
func TestWhatWaitsIsNumberedAnew(t *testing.T) {
	w := newTwin(t)
	w.renumber()
	must(t, swap(w.s, w.kept))
	list, p := w.stands()
	previous, at := w.kept.Hash, 0
	for _, want := range []spool.Position{{Sequence: 7}, {Sequence: 7, Contact: 1}, {Sequence: 8}, {Sequence: 9}} {
		if at == len(list) {
			t.Fatalf("%d statements wait", at)
		}
		one := list[at]
		at++
		switch {
		case one.Position != want:
			t.Errorf("%+v waits, want %+v", one.Position, want)
		case one.Contact != nil:
			if one.Contact.Report != want.Sequence || one.Contact.Hash != previous || one.Contact.Count != want.Contact {
				t.Errorf("the contact is %+v", one.Contact)
			}
		default:
			if one.Report.Sequence != want.Sequence || one.Report.Previous != previous || one.Report.Sections[0].Carried != 1 || one.Report.Sections[1].Carried != want.Sequence {
				t.Errorf("the report is %+v", one.Report)
			}
			encoded, err := one.Report.Encode()
			must(t, err)
			previous = proof.HashReport(encoded)
		}
	}
	if len(list) != at {
		t.Errorf("%d statements wait", len(list))
	}
	if p.Chain.Sequence != 9 || p.Chain.Previous != previous || !p.Chain.Full || p.Pending != nil || p.Chain.Sections[0].Ref.Carried != 1 || p.Chain.Sections[1].Ref.Carried != 9 {
		t.Errorf("the chain stands at %+v", p.Chain)
	}
	if diff := cmp.Diff([]carriedEvents{{2, 7}, {8, 9}}, p.Events); diff != "" {
		t.Error(diff)
	}
	var run running
	if _, err := w.s.load(statusFile, &run); err != nil || run.Acknowledged != 6 {
		t.Errorf("acknowledged is %d, %v", run.Acknowledged, err)
	}
}

// TestNumberingAnewGoesOnWhereItEnded has the machine lose its power between
// any two steps: what waits is the same in the end.
func TestNumberingAnewGoesOnWhereItEnded(t *testing.T) {
	whole := newTwin(t)
	whole.renumber()
	must(t, swap(whole.s, whole.kept))
	wantList, wantAt := whole.stands()
	moves := func(n int) func(*twin) {
		return func(w *twin) {
			w.renumber()
			for _, move := range [][2]string{{spoolFolder, oldSpool}, {newSpool, spoolFolder}, {newChain, chainFile}}[:n] {
				must(w.t, os.Rename(w.s.path(move[0]), w.s.path(move[1])))
			}
			must(w.t, swap(w.s, w.kept))
		}
	}
	for name, run := range map[string]func(*twin){
		"amid what is prepared": func(w *twin) {
			w.renumber()
			files, err := filepath.Glob(filepath.Join(w.s.path(newSpool), "*"))
			must(w.t, err)
			for _, f := range files[:len(files)/2] {
				must(w.t, os.Remove(f))
			}
			must(w.t, os.Remove(w.s.path(newChain)))
			w.renumber()
			must(w.t, swap(w.s, w.kept))
		},
		"before it is known to be prepared": func(w *twin) {
			w.renumber()
			w.renumber()
			must(w.t, swap(w.s, w.kept))
		},
		"before anything is in place":      moves(0),
		"with no spool":                    moves(1),
		"with the new spool":               moves(2),
		"with the new chain":               moves(3),
		"after a spool of an earlier time": func(w *twin) { must(w.t, os.MkdirAll(w.s.path(filepath.Join(oldSpool, "x")), 0o700)); moves(0)(w) },
		"when all is done": func(w *twin) {
			moves(0)(w)
			must(w.t, swap(w.s, w.kept))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newTwin(t)
			run(w)
			list, at := w.stands()
			if diff := cmp.Diff(wantList, list); diff != "" {
				t.Errorf("other statements wait: %s", diff)
			}
			if diff := cmp.Diff(wantAt, at, cmpopts.IgnoreFields(position{}, "Upkeep")); diff != "" {
				t.Errorf("the chain stands elsewhere: %s", diff)
			}
		})
	}
}
