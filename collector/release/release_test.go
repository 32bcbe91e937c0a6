package release

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/publisher"
	"github.com/caretaker-school/caretaker/shared/publisher/publishertest"
)

// open opens a store of its own.
func open(t *testing.T, root []byte) *Store {
	t.Helper()
	s, bad, err := Open(Options{Folder: filepath.Join(t.TempDir(), "releases"), Root: root, Clock: clock.System{}})
	if err != nil || bad != nil {
		t.Fatal(err, bad)
	}
	return s
}

func TestReleaseIsTakenInAndGivenInParts(t *testing.T) {
	p := publishertest.New(t, time.Now())
	program := filepath.Join(t.TempDir(), "program")
	whole := bytes.Repeat([]byte("caretaker "), 60_000)
	if err := os.WriteFile(program, whole, 0o755); err != nil {
		t.Fatal(err)
	}
	p.Publish("v1.2.0", map[string]string{"linux-amd64": program})
	s := open(t, p.Trusted())
	if _, err := s.Add(string(p.Dir)); err != nil {
		t.Fatal(err)
	}
	again, bad, err := Open(s.o) // as after a restart
	if err != nil || bad != nil || len(again.List()) != 1 || again.List()[0].Version != "v1.2.0" {
		t.Fatalf("got %v, %v, %+v", err, bad, again.List())
	}
	var got []byte
	for len(got) < len(whole) {
		part, err := again.Part(t.Context(), "v1.2.0", "linux-amd64", uint64(len(got)))
		if err != nil || len(part) == 0 || len(part) > MaxPart {
			t.Fatalf("got %d bytes, %v", len(part), err)
		}
		got = append(got, part...)
	}
	if !bytes.Equal(got, whole) {
		t.Error("what is given is another")
	}
	for _, ask := range []struct {
		version, system string
		offset          uint64
	}{{"v1.2.0", "linux-amd64", uint64(len(whole))}, {"v1.2.0", "linux-arm64", 0}, {"../v1.2.0", "linux-amd64", 0}, {"v1.3.0", "linux-amd64", 0}, {"v1.2.0", "linux-amd64", 1 << 63}} {
		if part, err := again.Part(t.Context(), ask.version, ask.system, ask.offset); !errors.Is(err, ErrUnknown) {
			t.Errorf("%+v: got %d bytes, %v", ask, len(part), err)
		}
	}
	if m, err := again.Metadata("v1.2.0", 0); err != nil || len(m.Roots) != 1 {
		t.Errorf("got %d roots, %v", len(m.Roots), err)
	}
	if m, err := again.Metadata("v1.2.0", 1); err != nil || len(m.Roots) != 0 {
		t.Errorf("got %d roots, %v", len(m.Roots), err)
	}
}

func TestWhatIsNotSignedIsNotTakenIn(t *testing.T) {
	p, thief := publishertest.New(t, time.Now()), publishertest.New(t, time.Now())
	p.Publish("v1.2.0", nil)
	thief.Publish("v9.0.0", nil)
	s := open(t, p.Trusted())
	for name, c := range map[string]struct {
		dir  func() string
		want error
	}{
		"another publisher's": {func() string { return string(thief.Dir) }, publisher.ErrNotSigned},
		"nothing":             {t.TempDir, os.ErrNotExist},
		"of one key alone": {func() string {
			p := publishertest.New(t, time.Now())
			p.Release("v1.3.0", nil)
			p.Sign(0, 3)
			return string(p.Dir)
		}, publisher.ErrNotSigned},
		"expired": {func() string {
			old := publishertest.New(t, time.Now().AddDate(-2, 0, 0))
			old.Publish("v1.3.0", nil)
			s, _, _ := Open(Options{Folder: t.TempDir(), Root: old.Trusted(), Clock: clock.System{}})
			if _, err := s.Add(string(old.Dir)); !errors.Is(err, publisher.ErrExpired) {
				t.Errorf("expired: got %v", err)
			}
			return string(old.Dir)
		}, publisher.ErrNotSigned},
	} {
		if _, err := s.Add(c.dir()); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	if len(s.List()) != 0 {
		t.Errorf("taken in: %+v", s.List())
	}
	if _, err := open(t, nil).Add(string(p.Dir)); !errors.Is(err, publisher.ErrNoRoot) {
		t.Errorf("without a root: got %v", err)
	}
	// A program that was changed in the folder, and a release that is older.
	r, err := s.Add(string(p.Dir))
	if err != nil {
		t.Fatal(err)
	}
	before := t.TempDir()
	if err := os.CopyFS(before, os.DirFS(string(p.Dir))); err != nil {
		t.Fatal(err)
	}
	p.Publish("v1.3.0", nil)
	if _, err := s.Add(string(p.Dir)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(before); !errors.Is(err, publisher.ErrOlder) {
		t.Errorf("an older one: got %v", err)
	}
	program, _ := r.Program("linux-amd64")
	if err := os.WriteFile(filepath.Join(before, publisher.ProgramPath("v1.2.0", program)), []byte("evil of 14 byt"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, p.Trusted()).Add(before); !errors.Is(err, publisher.ErrNotSigned) {
		t.Errorf("a program that was changed: got %v", err)
	}
}

func TestTurnsAreBounded(t *testing.T) {
	p := publishertest.New(t, time.Now())
	p.Publish("v1.2.0", nil)
	s := open(t, p.Trusted())
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		gone := 0
		for range 20 {
			if err := s.turn(t.Context(), MaxPart); err != nil {
				t.Fatal(err)
			}
			gone += MaxPart
		}
		if least := time.Duration(float64(gone-UsualRate-MaxPart) / UsualRate * float64(time.Second)); time.Since(began) < least {
			t.Errorf("%d bytes went in %s", gone, time.Since(began))
		}
		s.pace.ReserveN(time.Now(), UsualRate) // many others have asked
		for range 30 {
			s.pace.ReserveN(time.Now(), UsualRate)
		}
		if err := s.turn(t.Context(), MaxPart); !errors.Is(err, ErrBusy) {
			t.Errorf("got %v", err)
		}
	})
}

func TestRingsWiden(t *testing.T) {
	since := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	o := Offer{Version: "v1.2.0", Share: 10, PerDay: 20}
	if err := o.Check(); err != nil {
		t.Fatal(err)
	}
	in := func(o Offer, at time.Time) map[posture.DeviceID]bool {
		all := map[posture.DeviceID]bool{}
		for i := range 1000 {
			id := posture.DeviceID("d" + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676)))
			if o.Includes(id, nil, since, at) {
				all[id] = true
			}
		}
		return all
	}
	last := map[posture.DeviceID]bool{}
	for day, want := range []int{10, 30, 50, 70, 90, 100, 100} {
		at := since.AddDate(0, 0, day)
		if got := o.ShareAt(since, at); got != want {
			t.Errorf("after %d days: got %d, want %d", day, got, want)
		}
		now := in(o, at)
		if n := len(now); n < want*10-60 || n > want*10+60 {
			t.Errorf("after %d days %d of 1000 are offered it", day, n)
		}
		for id := range last {
			if !now[id] {
				t.Errorf("after %d days %s is offered it no more", day, id)
			}
		}
		last = now
	}
	if len(in(o, since.Add(-time.Hour))) != 0 || len(in(Offer{}, since)) != 0 {
		t.Error("offered before its time, or after the stop")
	}
	o.Group = "Year 6"
	if o.Includes("d", nil, since, since.AddDate(1, 0, 0)) || !o.Includes("d", []string{"Year 6"}, since, since.AddDate(1, 0, 0)) {
		t.Error("a group is not kept to")
	}
}

func TestCensus(t *testing.T) {
	var c Census
	c.Heard("hollybank", "a", Runs{Version: "v1.2.0", System: "linux-amd64"})
	c.Heard("hollybank", "b", Runs{Version: "v1.1.0", System: "linux-amd64", Untaken: "v1.2.0", Why: "it was started 3 times"})
	c.Heard("hollybank", "c", Runs{Version: "v1.1.0"})
	c.Heard("oakfield", "d", Runs{Version: "v9.0.0"})
	var s Standing
	c.Count("hollybank", func(yield func(posture.DeviceID) bool) {
		for _, id := range []posture.DeviceID{"a", "b", "c", "d"} {
			if !yield(id) {
				return
			}
		}
	}, &s)
	if len(s.Runs) != 2 || s.Runs[0] != (Count{"v1.2.0", 1}) || s.Runs[1] != (Count{"v1.1.0", 2}) || s.Silent != 1 || s.Fixed != 1 ||
		len(s.Failed) != 1 || s.Failed[0] != (Failure{"v1.2.0", "it was started 3 times", 1}) {
		t.Errorf("got %+v", s)
	}
}
