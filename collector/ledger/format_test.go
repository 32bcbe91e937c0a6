package ledger

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// write makes golden files that are not there yet; it never changes one.
var write = flag.Bool("write", false, "write golden files that are missing")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name+".hex")
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) && *write {
		var b strings.Builder
		for rest := hex.EncodeToString(got); rest != ""; {
			n := min(64, len(rest))
			b.WriteString(rest[:n] + "\n")
			rest = rest[n:]
		}
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	want, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got\n%x\nwant\n%x", name, got, want)
	}
}

// exampleEntries are two decisions and a purge, the same every time.
func exampleEntries() []Entry {
	section := func(name string, class proof.Class, body string) proof.Section {
		s := proof.Section{Name: name, Class: class, Body: []byte(body)}
		copy(s.Salt[:], body)
		return s
	}
	entry := func(kind proof.Kind, subject string, receivedAt uint64, s proof.Section) Entry {
		return Entry{Sections: []proof.Section{s}, Envelope: proof.Envelope{
			Kind: kind, School: "hollybank", Subject: subject, ReceivedAt: receivedAt,
			Intake: "collector", Sections: []proof.SectionRef{s.Ref(0, 0)},
		}}
	}
	const september = 1_788_249_600_000
	return []Entry{
		entry(proof.KindDecision, "person:head", september, section("decision", proof.People, `{"kind":"exempt"}`)),
		entry(proof.KindDecision, "person:head", september+40*86_400_000, section("decision", proof.People, `{"kind":"acknowledge"}`)),
	}
}

// TestGoldenFiles holds every file that stays to bytes that never change.
func TestGoldenFiles(t *testing.T) {
	d := NewMemoryDisk()
	l, err := Open("ledger", Options{School: "hollybank"}.On(d))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), exampleEntries()...); err != nil {
		t.Fatal(err)
	}
	_, err = l.Forget(t.Context(), proof.People, Month{2026, 9}, func(Stored) bool { return false }, func(Purge) (Entry, error) {
		e := exampleEntries()[0]
		e.Sections[0].Name, e.Sections[0].Class = "purge", proof.Kept
		e.Envelope.Kind, e.Envelope.Subject, e.Envelope.Sections[0] = proof.KindPurge, "", e.Sections[0].Ref(0, 0)
		return e, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"segment": "segments/0000000000000000.seg", "bodies": "bodies/people/2026-10.seg",
		"kept": "bodies/people/2026-09.kept", "hashes": "hashes", "entries": "entries", "subjects": "subjects",
	} {
		golden(t, name, d.File(filepath.Join("ledger", path)))
	}
}

func FuzzReadEnvelope(f *testing.F) {
	e := exampleEntries()[0]
	encoded, err := e.Envelope.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(appendEnvelope(nil, encoded, []place{{12, 34}})[durable.FrameHeader:])
	f.Add([]byte{0, 0, 0, 1, 1, 0, 0})
	f.Fuzz(func(t *testing.T, payload []byte) {
		r, err := readEnvelope(7, bytes.Clone(payload))
		if err != nil {
			return
		}
		if again := appendEnvelope(nil, r.Encoded, r.places); !bytes.Equal(again[durable.FrameHeader:], payload) {
			t.Errorf("read %x, wrote %x", payload, again)
		}
	})
}

func FuzzReadBody(f *testing.F) {
	f.Add(appendBody(nil, 3, 1, exampleEntries()[0].Sections[0])[durable.FrameHeader:])
	f.Fuzz(func(t *testing.T, payload []byte) {
		b, err := readBody(payload)
		if err != nil {
			return
		}
		again := appendBody(nil, b.entry, b.number, proof.Section{Salt: b.salt, Body: b.body})
		if !bytes.Equal(again[durable.FrameHeader:], payload) {
			t.Errorf("read %x, wrote %x", payload, again)
		}
	})
}

func FuzzReadSnapshot(f *testing.F) {
	g := newFold()
	g.ends[drawer{proof.People, Month{2026, 9}}] = bodyEnd{120, 3}
	g.subjects[subjectKey{1}] = position{4, 3}
	f.Add(g.snapshot())
	f.Add([]byte(snapshotLabel))
	f.Fuzz(func(_ *testing.T, data []byte) {
		_, _, _ = readSnapshot(data) // must not panic or take memory that is not there
		sealed := newFold().snapshot()
		_, _, _ = readSnapshot(append(data, sealed[len(sealed)-32:]...))
	})
}

func FuzzReadKept(f *testing.F) {
	f.Add(kept{before: 3, count: 1, forgotten: 2}.frame(), keptRow{3, 1, place{4, 5}}.bytes(), mark{number: 2}.bytes())
	f.Fuzz(func(t *testing.T, head, row, slot []byte) {
		if k, err := readKept(bytes.NewReader(head), "kept"); err == nil && !bytes.HasPrefix(head, k.frame()) {
			t.Errorf("read %x, wrote %x", head, k.frame())
		}
		if r, err := readKeptRow(bytes.NewReader(row), "at", 0); err == nil && !bytes.HasPrefix(row, r.bytes()) {
			t.Errorf("read %x, wrote %x", row, r.bytes())
		}
		if m, ok := readMark(slot); ok && !bytes.Equal(m.bytes(), slot) {
			t.Errorf("read %x, wrote %x", slot, m.bytes())
		}
	})
}

// FuzzOpen opens a ledger with a segment of anything: it is read, cut or
// refused, and what opens verifies.
func FuzzOpen(f *testing.F) {
	d := NewMemoryDisk()
	l, err := Open("ledger", Options{School: "hollybank"}.On(d))
	if err != nil {
		f.Fatal(err)
	}
	if _, err := l.Append(f.Context(), exampleEntries()...); err != nil {
		f.Fatal(err)
	}
	if err := l.Close(); err != nil {
		f.Fatal(err)
	}
	const segment = "ledger/segments/0000000000000000.seg"
	for _, name := range []string{"mark", "subjects", "hashes", "entries"} {
		if err := d.Remove("ledger/" + name); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(d.File(segment))
	f.Add(d.File(segment)[:100])
	f.Fuzz(func(t *testing.T, data []byte) {
		c := d.Clone()
		c.SetFile(segment, bytes.Clone(data))
		l, err := Open("ledger", Options{School: "hollybank"}.On(c))
		if err != nil {
			return
		}
		if _, err := l.Verify(t.Context(), VerifyOptions{}); err != nil {
			t.Log(err) // bodies may not be those of the segment; nothing may panic
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestSubjectsAreCompact measures what a subject costs in memory and on disk.
func TestSubjectsAreCompact(t *testing.T) {
	const subjects = 100_000
	f := newFold()
	for n := range uint64(subjects) {
		f.subjects[keyOf(proof.Envelope{Kind: proof.KindReport, Subject: strings.Repeat("d", 8) + hex.EncodeToString([]byte{byte(n >> 16), byte(n >> 8), byte(n)})})] = position{n, Index(n)}
	}
	data := f.snapshot()
	if len(data) > subjects*33 {
		t.Errorf("%d subjects take %d bytes on disk", subjects, len(data))
	}
	again, root, err := readSnapshot(data)
	if err != nil || len(again.subjects) != subjects || root != f.tree.root() {
		t.Fatalf("got %d subjects, %v", len(again.subjects), err)
	}
	if !bytes.Equal(again.snapshot(), data) {
		t.Error("what was read is not what was written")
	}
}
