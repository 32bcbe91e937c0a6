package roster_test

import (
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// TestNumbersAfterARestore: policies and assignments go on above what a restore
// says, once; a device that has what was lost is known, and no other is.
func TestNumbersAfterARestore(t *testing.T) {
	b := newBook(t)
	snapshot := filepath.Join(b.dir, "snapshot")
	made, taken, at := monday.Add(-time.Hour), monday.Add(-10*time.Minute), monday
	b.append(b.enrolment("d1", "t1"), b.assignment("d1", 3, posture.SchoolSingleUser), b.enrolment("d2", "t1"), b.policy(4))
	r := b.open("")
	if r.NextPolicy() != 5 || r.NextAssignment("d1") != 4 || r.Overtaken("d1", 9) {
		t.Errorf("before: %d, %d, %v", r.NextPolicy(), r.NextAssignment("d1"), r.Overtaken("d1", 9))
	}
	b.append(must(b.maker.Restored(roster.RestoredFrom(made, taken, at))))
	b.snapshot(snapshot)
	for from, r := range map[string]*roster.Roster{"the ledger": b.open(""), "a snapshot": b.open(snapshot)} {
		if r.NextPolicy() != 61 || r.NextAssignment("d1") != 61 {
			t.Errorf("from %s: policy %d and assignment %d follow; want 61", from, r.NextPolicy(), r.NextAssignment("d1"))
		}
		for _, c := range []struct {
			device posture.DeviceID
			has    uint64
			want   bool
		}{{"d1", 2, false}, {"d1", 3, false}, {"d1", 4, true}, {"d1", 1 << 63, true}, {"d2", 4, false}, {"d3", 4, false}} {
			if got := r.Overtaken(c.device, c.has); got != c.want {
				t.Errorf("from %s: %s, which has %d, is overtaken: %v", from, c.device, c.has, got)
			}
		}
		if last, ok := r.LastRestored(); !ok || !last.Taken.Equal(taken) || !last.At.Equal(at) {
			t.Errorf("from %s: it was restored: %+v, %v", from, last, ok)
		}
	}
	b.append(b.assignment("d1", 61, posture.SchoolSingleUser), b.policy(61))
	if r := b.open(""); r.NextPolicy() != 62 || r.NextAssignment("d1") != 62 || r.Overtaken("d1", 1<<63) {
		t.Errorf("after: %d, %d, %v", r.NextPolicy(), r.NextAssignment("d1"), r.Overtaken("d1", 1<<63))
	}
}

// TestNoNumberIsGivenTwice: whichever of its backups a record is restored from, and
// in which order, a number that it gives after a restore was never given before.
func TestNoNumberIsGivenTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type branch struct {
			last, above uint64 // above is of a restore after the last number, or 0
			at          time.Time
		}
		now, highest := monday, uint64(0)
		b := branch{at: now}
		backups := []branch{b}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Minute + time.Duration(rapid.IntRange(0, 100_000).Draw(t, "seconds"))*time.Second)
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				b.at = now
				backups = append(backups, b)
			case 1:
				b = rapid.SampledFrom(backups).Draw(t, "backup")
				b.above = max(b.above, roster.RestoredFrom(monday, b.at, now).Above)
			default:
				b.last, b.above = max(b.last, b.above)+1, 0
				if b.last <= highest {
					t.Fatalf("%d was given, and %d was before", b.last, highest)
				}
				highest = b.last
			}
		}
	})
}

func FuzzRestored(f *testing.F) {
	entry := must(roster.Maker{School: school}.Restored(roster.RestoredFrom(monday, monday, monday.AddDate(1, 0, 0))))
	f.Add(entry.Sections[0].Body)
	f.Add([]byte(`{"above":18446744073709551615}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if r, err := roster.DecodeRestored(body); err == nil && r.Above+1 < r.Above {
			t.Errorf("a number runs over after %d", r.Above)
		}
	})
}
