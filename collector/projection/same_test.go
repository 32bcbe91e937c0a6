package projection

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/view"
)

// with opens a view of a school that is folded by some workers and with some
// memory.
func with(tb cleaner, s *school, workers, memory int) fixture {
	f := open(tb, s)
	f.folders[0].workers, f.folders[0].memories = workers, newMemories(memory)
	return f
}

// differences lists the rows that only one of two views has.
func differences(a, b string) string {
	rows := func(s string) []string { return strings.Split(s, "\n") }
	var out []string
	for _, row := range rows(a) {
		if !slices.Contains(rows(b), row) {
			out = append(out, "\nfirst:  "+row)
		}
	}
	for _, row := range rows(b) {
		if !slices.Contains(rows(a), row) {
			out = append(out, "\nsecond: "+row)
		}
	}
	return strings.Join(out, "")
}

// sampled picks some of the histories of a property that takes long, or all of
// them where the tests are to be thorough.
func sampled(t *rapid.T) bool {
	return os.Getenv("CARETAKER_THOROUGH") != "" || rapid.SampledFrom([]bool{false, false, false, false, true}).Draw(t, "sampled")
}

// TestWorkersAndMemoryMakeNoDifference folds random histories with different
// numbers of workers, memories of different sizes and steps of different
// lengths: the views are the same to the byte.
func TestWorkersAndMemoryMakeNoDifference(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		if !sampled(rt) {
			return
		}
		s := newSchool(t, "hollybank")
		followed := with(rt, s, rapid.IntRange(1, 4).Draw(rt, "workers"), 8<<20)
		followed.catchUp(t)
		history(t, rt, s, func() {
			for range rapid.IntRange(0, 1).Draw(rt, "steps") {
				if _, err := followed.folders[0].step(t.Context(), rapid.Uint64Range(1, 9).Draw(rt, "size")); err != nil {
					rt.Fatal(err)
				}
			}
		})
		followed.catchUp(t)
		want := followed.dump(t, s)
		plain := with(rt, s, 1, 0)
		plain.catchUp(t)
		if got := plain.dump(t, s); got != want {
			rt.Fatalf("one worker and no memory, followed: %s", differences(got, want))
		}
		if n := len(plain.folders[0].memories.of); n != 0 {
			rt.Fatalf("%d memories were kept without room for one", n)
		}
		small := with(rt, s, 3, rapid.IntRange(3000, 12_000).Draw(rt, "memory"))
		small.catchUp(t)
		if got := small.dump(t, s); got != want {
			rt.Fatalf("a small memory, followed: %s", differences(got, want))
		}
	})
}

// TestMemoryIsBounded reports from more laptops than fit: the memory keeps to
// its bound, and holds as many as it says.
func TestMemoryIsBounded(t *testing.T) {
	s := newSchool(t, "hollybank")
	const most = 40_000
	f := with(t, s, 2, most)
	var laptops []*laptop
	for i := range 60 {
		l := s.enrol(t, string(rune('a'+i%26))+string(rune('a'+i/26)), term)
		laptops = append(laptops, l)
		l.report(t, term, term)
	}
	for _, l := range laptops {
		swap(l)
		l.report(t, term.Add(hour), term.Add(hour))
		f.catchUp(t)
		size := 0
		for _, m := range f.folders[0].memories.of {
			size += m.size
		}
		if size > most || size != f.folders[0].memories.size {
			t.Fatalf("the memories hold %d bytes and say %d, of at most %d", size, f.folders[0].memories.size, most)
		}
	}
	if len(f.folders[0].memories.of) < 3 {
		t.Errorf("only %d devices are remembered", len(f.folders[0].memories.of))
	}
}

// TestWhatIsRememberedIsNotReadAgain counts what is read of a report that
// carries everything but media and findings.
func TestWhatIsRememberedIsNotReadAgain(t *testing.T) {
	s := newSchool(t, "hollybank")
	f := with(t, s, 1, 1<<20)
	l := s.enrol(t, "hb-lt-014", term)
	usual(l)
	l.report(t, term, term)
	f.catchUp(t)
	for n := range 3 {
		swap(l)
		at := term.Add(time.Duration(n+1) * time.Minute)
		l.report(t, at, at)
		before := s.ledger.reads()
		f.catchUp(t)
		if got := s.ledger.reads() - before; got > 3 {
			t.Errorf("report %d: %d bodies were read, want its own three", n+2, got)
		}
	}
	var row view.DeviceRow
	if err := f.view.Update(s.id, func(tx *view.Tx) (err error) { row, _, err = tx.Device(l.id); return err }); err != nil {
		t.Fatal(err)
	}
	if len(row.Disagreements) != 0 {
		t.Errorf("disagreements: %v", row.Disagreements)
	}
}
