package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/shared/durable"
)

func open(t *testing.T, dir string, limit int64) *Spool {
	t.Helper()
	s, err := Open(dir, Options{Limit: limit})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t *testing.T, s *Spool, sequence, contact uint64, message string) uint64 {
	t.Helper()
	dropped, err := s.Put(Item{Position{sequence, contact}, []byte(message)})
	if err != nil {
		t.Fatal(err)
	}
	return dropped
}

// all reads everything that waits, in order.
func all(t testing.TB, s *Spool) []string {
	t.Helper()
	var got []string
	for p := (Position{}); ; {
		item, ok, err := s.After(p)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return got
		}
		got = append(got, fmt.Sprintf("%d.%d %s", item.Sequence, item.Contact, item.Message))
		p = item.Position
	}
}

func equal(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWhatWasPutSurvivesAReopen(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 0)
	put(t, s, 2, 0, "second")
	put(t, s, 1, 0, "first")
	put(t, s, 1, 7, "still so")
	equal(t, all(t, open(t, dir, 0)), "1.0 first", "1.7 still so", "2.0 second")
}

func TestAContactReplacesTheOneBefore(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 0)
	put(t, s, 1, 1, "at nine")
	put(t, s, 1, 2, "at ten")
	equal(t, all(t, s), "1.2 at ten")
	equal(t, all(t, open(t, dir, 0)), "1.2 at ten")
	if got := s.Stats(); got.Waiting != 1 || got.Dropped != 0 {
		t.Errorf("got %+v, want one statement and none dropped", got)
	}
}

func TestOnlyWhatIsAcknowledgedIsForgotten(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 0)
	put(t, s, 1, 0, "a")
	put(t, s, 1, 3, "b")
	put(t, s, 2, 0, "c")
	put(t, s, 2, 5, "d")
	if err := s.Acknowledge(Position{2, 4}); err != nil { // an earlier contact than the one that waits
		t.Fatal(err)
	}
	equal(t, all(t, s), "2.5 d")
	equal(t, all(t, open(t, dir, 0)), "2.5 d")
	if err := s.Acknowledge(Position{2, 5}); err != nil {
		t.Fatal(err)
	}
	if got := s.Stats(); got.Waiting != 0 || got.Bytes != 0 {
		t.Errorf("got %+v, want nothing", got)
	}
}

func TestAFullSpoolDropsTheOldestAndCountsIt(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 100)
	var dropped uint64
	for i := range uint64(5) {
		dropped += put(t, s, i+1, 0, strings.Repeat("x", 20)) // 36 bytes each
	}
	if dropped != 3 {
		t.Errorf("dropped %d, want 3", dropped)
	}
	again := open(t, dir, 100)
	if got := again.Stats(); got.Dropped != 3 || got.Waiting != 2 || got.Bytes > 100 {
		t.Errorf("got %+v, want 3 dropped and 2 waiting within 100 bytes", got)
	}
	if item, ok, err := again.After(Position{}); err != nil || !ok || item.Sequence != 4 {
		t.Errorf("the oldest is %v %v %v, want report 4", item.Position, ok, err)
	}
}

func TestADamagedFileLosesOneStatementAndIsCounted(t *testing.T) {
	for _, damage := range []struct {
		name string
		do   func([]byte) []byte
	}{
		{"cut in the header", func(b []byte) []byte { return b[:5] }},
		{"cut in the message", func(b []byte) []byte { return b[:len(b)-1] }},
		{"empty", func([]byte) []byte { return nil }},
		{"a changed bit", func(b []byte) []byte { b[len(b)-1] ^= 4; return b }},
	} {
		t.Run(damage.name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir, 0)
			put(t, s, 1, 0, "first")
			put(t, s, 2, 0, "second")
			path := s.path(Position{1, 0})
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, damage.do(data), 0o600); err != nil {
				t.Fatal(err)
			}
			again := open(t, dir, 0)
			equal(t, all(t, again), "2.0 second")
			if got := again.Stats().Dropped; got != 1 {
				t.Errorf("%d lost, want 1", got)
			}
		})
	}
}

func TestWhatCannotBeWrittenIsAnErrorAndLosesNothing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 0)
	put(t, s, 1, 0, "first")
	// A folder in the file's place fails the rename for root too.
	if err := os.Mkdir(s.path(Position{2, 0}), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(Item{Position{2, 0}, []byte("second")}); err == nil {
		t.Fatal("a report was put that could not be written")
	}
	equal(t, all(t, s), "1.0 first")
	if _, err := s.Put(Item{Position{3, 0}, make([]byte, MaxMessage+1)}); err == nil {
		t.Error("a statement larger than allowed was put")
	}
}

// TestKilled kills a process that puts statements and checks that each one it
// announced is there.
func TestKilled(t *testing.T) {
	if dir := os.Getenv("SPOOL_DIR"); dir != "" {
		s := open(t, dir, 0)
		for i := uint64(1); ; i++ {
			put(t, s, i, 0, strings.Repeat(fmt.Sprint(i%10), 5000))
			fmt.Printf("put %d\n", i)
		}
	}
	for round := range 3 {
		dir := t.TempDir()
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
		cmd.Env = append(os.Environ(), "SPOOL_DIR="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		announced := uint64(0)
		for range 10 + 7*round {
			var n uint64
			if _, err := fmt.Fscanf(out, "put %d\n", &n); err != nil {
				t.Fatal(err)
			}
			announced = n
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
		s := open(t, dir, 0)
		p := Position{}
		for i := uint64(1); i <= announced; i++ {
			item, ok, err := s.After(p)
			if err != nil || !ok || item.Sequence != i || !bytes.Equal(item.Message, bytes.Repeat([]byte(fmt.Sprint(i%10)), 5000)) {
				t.Fatalf("report %d of %d announced: got %d %v %v", i, announced, item.Sequence, ok, err)
			}
			p = item.Position
		}
		if got := s.Stats().Dropped; got != 0 {
			t.Errorf("%d lost", got)
		}
	}
}

func TestFileNamesAreRead(t *testing.T) {
	for _, p := range []Position{{0, 0}, {12, 0}, {12, 1}, {1<<64 - 1, 0}} {
		if got, ok := parseFileName(fileName(p)); !ok || got != p {
			t.Errorf("parseFileName(%q) = %v, %v", fileName(p), got, ok)
		}
	}
	for _, name := range []string{"dropped", "1.report", "00000000000000000001.report.tmp", "0000000000000000000x.report", "99999999999999999999.report"} {
		if p, ok := parseFileName(name); ok {
			t.Errorf("parseFileName(%q) = %v", name, p)
		}
	}
}

// TestAnyOrderOfUse holds the spool against a list.
func TestAnyOrderOfUse(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		s, err := Open(dir, Options{})
		if err != nil {
			rt.Fatal(err)
		}
		model := map[string]held{}
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			p := Position{rapid.Uint64Range(1, 4).Draw(rt, "sequence"), rapid.Uint64Range(0, 3).Draw(rt, "contact")}
			switch rapid.IntRange(0, 2).Draw(rt, "what") {
			case 0:
				if _, err := s.Put(Item{p, []byte("m")}); err != nil {
					rt.Fatal(err)
				}
				model[fileName(p)] = held{Position: p}
			case 1:
				if err := s.Acknowledge(p); err != nil {
					rt.Fatal(err)
				}
				for name, h := range model {
					if !p.Before(h.Position) {
						delete(model, name)
					}
				}
			case 2:
				if s, err = Open(dir, Options{}); err != nil {
					rt.Fatal(err)
				}
			}
			if got := s.Stats(); got.Waiting != len(model) || got.Dropped != 0 {
				rt.Fatalf("got %+v, want %d waiting", got, len(model))
			}
		}
	})
}

func FuzzDamagedFile(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0, 8, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, fileName(Position{3, 0})), content, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		got := all(t, s)
		if len(got)+int(s.Stats().Dropped) != 1 {
			t.Errorf("%d read and %d counted as lost, want 1 in all", len(got), s.Stats().Dropped)
		}
		if _, err := os.Stat(filepath.Join(dir, fileName(Position{3, 0}))); len(got) == 0 && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the damaged file is still there: %v", err)
		}
	})
}

// TestAFileThatIsGoneLosesOneStatement: what never can be read again holds back
// nothing that follows.
func TestAFileThatIsGoneLosesOneStatement(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 0)
	put(t, s, 1, 0, "one")
	put(t, s, 2, 0, "two")
	if err := os.Remove(filepath.Join(dir, "00000000000000000001.report")); err != nil {
		t.Fatal(err)
	}
	equal(t, all(t, s), "2.0 two")
	if got := s.Stats(); got.Dropped != 1 || got.Last != (Position{Sequence: 2}) {
		t.Errorf("got %+v", got)
	}
	// A count that is damaged is no reason to keep the rest.
	if err := os.WriteFile(filepath.Join(dir, "dropped"), []byte("?"), 0o600); err != nil {
		t.Fatal(err)
	}
	equal(t, all(t, open(t, dir, 0)), "2.0 two")
}

// BenchmarkDrain empties a spool as the uplink does: what a statement takes
// must not depend on how many wait.
func BenchmarkDrain(b *testing.B) {
	for _, n := range []uint64{1_000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			dir := b.TempDir()
			for b.Loop() {
				b.StopTimer()
				for i := range n {
					payload := append(make([]byte, 8), "a report"...)
					name := filepath.Join(dir, fileName(Position{Sequence: i + 1}))
					if err := os.WriteFile(name, durable.AppendFrame(nil, payload), 0o600); err != nil {
						b.Fatal(err)
					}
				}
				s, err := Open(dir, Options{})
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				var cursor Position
				for {
					item, ok, err := s.After(cursor)
					if err != nil {
						b.Fatal(err)
					}
					if !ok {
						break
					}
					cursor = item.Position
					if err := s.Acknowledge(cursor); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/statement")
		})
	}
}
