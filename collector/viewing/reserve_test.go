package viewing

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// put puts looks of a device each into a reserve, a minute apart.
func put(t *testing.T, r *Reserve, names ...string) (want []Seen) {
	t.Helper()
	for n, name := range names {
		one := Seen{Look: Look{By: "Morgan Ellis", Way: Page, What: Device, Name: name}, At: start.Add(time.Duration(n) * time.Minute)}
		if err := r.Put(one.Look, one.At); err != nil {
			t.Fatal(err)
		}
		want = append(want, one)
	}
	return want
}

func reserveAt(t *testing.T, path string) *Reserve {
	t.Helper()
	r, err := OpenReserve(path)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// settled returns what a reserve has recorded.
func settled(t *testing.T, r *Reserve) (got []Seen) {
	t.Helper()
	if err := r.Settle(func(all []Seen) error { got = slices.Clone(all); return nil }); err != nil {
		t.Fatal(err)
	}
	return got
}

// TestWhatWaitsIsRecordedOnce: after a restart, in its order and at its time, and
// not again.
func TestWhatWaitsIsRecordedOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "looks-waiting")
	want := put(t, reserveAt(t, path), "d-014", "d-015", "d-016")
	r := reserveAt(t, path)
	if r.Waiting() != len(want) {
		t.Errorf("%d wait, want %d", r.Waiting(), len(want))
	}
	full := errors.New("no space left on device")
	if err := r.Settle(func([]Seen) error { return full }); !errors.Is(err, full) || r.Waiting() != len(want) {
		t.Fatalf("what could not be recorded: %v, and %d wait", err, r.Waiting())
	}
	if diff := cmp.Diff(want, settled(t, r)); diff != "" {
		t.Errorf("recorded: %s", diff)
	}
	for what, r := range map[string]*Reserve{"the same": r, "after a restart": reserveAt(t, path)} {
		if again := settled(t, r); len(again) != 0 {
			t.Errorf("%s: recorded again: %+v", what, again)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) != reserveSize || strings.Contains(string(data), "Morgan") {
		t.Errorf("the file of %d bytes still names who looked", len(data))
	}
	put(t, r, "d-1") // shorter than what stood there
	if got := settled(t, reserveAt(t, path)); len(got) != 1 {
		t.Errorf("got %+v, want the one that waits", got)
	}
}

// TestAReserveTakesNoMoreOfTheDisk: its file is as long as it was made, however
// much waits; when it is full that is said.
func TestAReserveTakesNoMoreOfTheDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "looks-waiting")
	r := reserveAt(t, path)
	long := Look{By: strings.Repeat("m", 200), Way: Page, What: Incident, Name: "2026-03"}
	for range MostDevices {
		long.Devices = append(long.Devices, "dabcdefghijklmnop")
	}
	var err error
	count := 0
	for ; err == nil; count++ {
		if count > reserveSize {
			t.Fatal("it is never full")
		}
		err = r.Put(long, start)
	}
	if !errors.Is(err, ErrReserveFull) || r.Waiting() != count-1 {
		t.Errorf("%v after %d, and %d wait", err, count, r.Waiting())
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() != reserveSize {
		t.Errorf("the file: %v, %v", info, err)
	}
}

// TestADamagedReserve: what a crash left after the last look is none; damage before
// a look is said, with its place, and nothing is overwritten.
func TestADamagedReserve(t *testing.T) {
	path := filepath.Join(t.TempDir(), "looks-waiting")
	r := reserveAt(t, path)
	put(t, r, "d-014", "d-015")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	second := r.used / 2
	for what, c := range map[string]struct {
		at      int64
		waiting int
		words   string
	}{
		"torn":    {second + 20, 1, ""},
		"damaged": {20, 0, "at byte 0"},
	} {
		hurt := slices.Clone(whole)
		hurt[c.at] ^= 1
		if err := os.WriteFile(path, hurt, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := OpenReserve(path)
		switch {
		case c.words != "":
			if err == nil || !strings.Contains(err.Error(), c.words) {
				t.Errorf("%s: %v, want %q", what, err, c.words)
			}
		case err != nil || r.Waiting() != c.waiting:
			t.Errorf("%s: %v, %d wait, want %d", what, err, r.Waiting(), c.waiting)
		}
	}
}

// FuzzReserve: whatever stands in the file is read or refused, and what is read is
// what a look may be.
func FuzzReserve(f *testing.F) {
	path := filepath.Join(f.TempDir(), "looks-waiting")
	r, err := OpenReserve(path)
	if err != nil {
		f.Fatal(err)
	}
	if err := r.Put(Look{By: "Morgan Ellis", Way: Page, What: Device, Name: "d-014"}, start); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole[:200])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		r := &Reserve{path: "looks-waiting"}
		if err := r.read(data); err != nil {
			return
		}
		for _, one := range r.waiting {
			if err := one.Check(); err != nil {
				t.Errorf("%+v was read: %v", one, err)
			}
		}
	})
}
