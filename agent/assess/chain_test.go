package assess

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
)

var monday = time.Date(2026, 11, 23, 8, 5, 0, 0, time.UTC)

// counter gives salts that can be told apart.
func counter() func() [proof.SaltSize]byte {
	n := uint64(0)
	return func() [proof.SaltSize]byte {
		n++
		var b [proof.SaltSize]byte
		binary.BigEndian.PutUint64(b[:], n)
		return b
	}
}

func moment(at time.Time) Moment {
	return Moment{School: "hollybank", Device: "hb-lt-014", MadeAt: at, Boot: "b1", Uptime: time.Hour}
}

func bodies(at time.Time, encryption, findings string) []wire.Body {
	return []wire.Body{
		{Name: wire.Encryption, Class: proof.Posture, Data: []byte(encryption), ReadAt: at},
		{Name: wire.Findings, Class: proof.Posture, Data: []byte(findings), ReadAt: at},
	}
}

func next(t *testing.T, c Chain, b []wire.Body, m Moment, salt func() [proof.SaltSize]byte) (Draft, Chain) {
	t.Helper()
	d, after, err := c.Next(b, m, salt)
	if err != nil {
		t.Fatal(err)
	}
	return d, after
}

func statement(t *testing.T, d Draft) proof.ReportStatement {
	t.Helper()
	s, err := proof.DecodeReportStatement(d.Statement)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func names(sections []proof.Section) []string {
	var n []string
	for _, s := range sections {
		n = append(n, s.Name)
	}
	return n
}

func TestAReportCarriesWhatChangedAndNamesTheRest(t *testing.T) {
	salt := counter()
	first, c := next(t, Chain{}, bodies(monday, "none", "fail"), moment(monday), salt)
	second, c := next(t, c, bodies(monday.Add(time.Hour), "full", "fail"), moment(monday.Add(time.Hour)), salt)

	if got := names(first.Sections); !slices.Equal(got, []string{wire.Encryption, wire.Findings}) {
		t.Errorf("the first report carries %v, want everything", got)
	}
	if got := names(second.Sections); !slices.Equal(got, []string{wire.Encryption}) {
		t.Errorf("the second report carries %v, want encryption", got)
	}
	one, two := statement(t, first), statement(t, second)
	if two.Previous != first.Hash || two.Sequence != 2 || c.Previous != second.Hash {
		t.Error("the second report does not follow the first")
	}
	if two.Sections[1].Digest != one.Sections[1].Digest || two.Sections[1].Carried != 1 {
		t.Error("the second report does not name the findings that the first carried")
	}
	if got, want := two.Sections[1].ReadAt, uint64(monday.Add(time.Hour).UnixMilli()); got != want {
		t.Errorf("the findings were read at %d, want %d", got, want)
	}
}

func TestNothingNewIsAContact(t *testing.T) {
	salt := counter()
	first, c := next(t, Chain{}, bodies(monday, "full", "pass"), moment(monday), salt)
	later := monday.Add(time.Hour)
	d, c := next(t, c, bodies(later, "full", "pass"), moment(later), salt)
	if !d.Contact || d.Sequence != 1 || len(d.Sections) != 0 {
		t.Fatalf("got %+v, want a contact after report 1", d)
	}
	s, err := proof.DecodeContactStatement(d.Statement)
	if err != nil {
		t.Fatal(err)
	}
	want := proof.ContactStatement{
		School: "hollybank", Device: "hb-lt-014", Report: 1, Hash: first.Hash, Count: 1,
		MadeAt: uint64(later.UnixMilli()), Boot: "b1", Uptime: 3_600_000, ReadAt: uint64(later.UnixMilli()),
	}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Error(diff)
	}
	// A contact without an assessment cannot say that anything was read since.
	d, c, err = c.Contact(nil, moment(later.Add(time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	if s, err = proof.DecodeContactStatement(d.Statement); err != nil || s.Count != 2 || s.ReadAt != uint64(later.UnixMilli()) {
		t.Errorf("got count %d, read at %d, %v", s.Count, s.ReadAt, err)
	}
	if _, _, err := (Chain{}).Contact(nil, moment(monday)); err == nil {
		t.Error("a contact was drafted before any report")
	}
	_ = c
}

func TestWhatCannotBeLeftOutIsAReport(t *testing.T) {
	same := bodies(monday, "full", "pass")
	for _, test := range []struct {
		name    string
		change  func(*Chain, *Moment, *[]wire.Body)
		carries []string
	}{
		{"everything is asked for", func(c *Chain, _ *Moment, _ *[]wire.Body) { c.Full = true }, []string{wire.Encryption, wire.Findings}},
		{"another policy judged", func(_ *Chain, m *Moment, _ *[]wire.Body) { m.Policy = 7 }, nil},
		{"a section is gone", func(_ *Chain, _ *Moment, b *[]wire.Body) { *b = (*b)[:1] }, nil},
		{"a medium came", func(_ *Chain, _ *Moment, b *[]wire.Body) {
			*b = append(slices.Clone(*b), wire.Body{Name: wire.MediaEvents, Class: proof.Media, Data: []byte("attach")})
		}, []string{wire.MediaEvents}},
	} {
		t.Run(test.name, func(t *testing.T) {
			salt := counter()
			_, c := next(t, Chain{}, same, moment(monday), salt)
			m, b := moment(monday), same
			test.change(&c, &m, &b)
			d, after := next(t, c, b, m, salt)
			if d.Contact || d.Sequence != 2 || !slices.Equal(names(d.Sections), test.carries) {
				t.Errorf("got contact %v, report %d with %v, want report 2 with %v", d.Contact, d.Sequence, names(d.Sections), test.carries)
			}
			if after.Full {
				t.Error("the report after asks for everything again")
			}
		})
	}
}

func TestEventsAreSaidOnce(t *testing.T) {
	salt := counter()
	events := append(bodies(monday, "full", "pass"), wire.Body{Name: wire.MediaEvents, Class: proof.Media, Data: []byte("attach")})
	_, c := next(t, Chain{}, events, moment(monday), salt)
	if d, _ := next(t, c, bodies(monday, "full", "pass"), moment(monday), salt); !d.Contact {
		t.Error("the end of the events made a report")
	}
}

// TestAnyChainHoldsTogether checks, for any changes, that every statement
// follows the one before, and that each section it names was carried by the
// report that it says, with that very hash.
func TestAnyChainHoldsTogether(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		salt, c := counter(), Chain{}
		carried := map[uint64]map[string]proof.Digest{}
		var last proof.Digest
		for i := range rapid.IntRange(1, 20).Draw(rt, "assessments") {
			at := monday.Add(time.Duration(i) * time.Hour)
			word := rapid.SampledFrom([]string{"none", "partial", "full"})
			c.Full = c.Full || rapid.IntRange(0, 9).Draw(rt, "full") == 0
			d, after, err := c.Next(bodies(at, word.Draw(rt, "encryption"), word.Draw(rt, "findings")), moment(at), salt)
			if err != nil {
				rt.Fatal(err)
			}
			if c = after; d.Contact {
				continue
			}
			s, err := proof.DecodeReportStatement(d.Statement)
			if err != nil {
				rt.Fatal(err)
			}
			if s.Previous != last || s.Sequence != uint64(len(carried)+1) {
				rt.Fatalf("report %d does not follow", s.Sequence)
			}
			last = d.Hash
			carried[s.Sequence] = map[string]proof.Digest{}
			for _, section := range d.Sections {
				carried[s.Sequence][section.Name] = section.Digest()
			}
			for _, ref := range s.Sections {
				if carried[ref.Carried][ref.Name] != ref.Digest {
					rt.Fatalf("report %d names %s as carried by %d, which it was not", s.Sequence, ref.Name, ref.Carried)
				}
			}
		}
	})
}
