package breach

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// heardAt follows a breach whose grace counts time online through the moments at
// which its device is heard from. It fails at the first of them.
func heardAt(grace time.Duration, moments ...time.Time) Breach {
	var b Breach
	var online time.Duration
	var last time.Time
	for i, at := range moments {
		online += Credit(last, at)
		last = at
		if i == 0 {
			b = b.After(Event{
				What: Failed, Order: 1, At: at, Received: at, Online: online,
				Terms: Terms{Severity: posture.High, Grace: grace, Waits: true},
			})
		}
		b = b.Heard(online, at)
	}
	return b
}

// after are moments after start.
func after(minutes ...int) []time.Time {
	var list []time.Time
	for _, m := range minutes {
		list = append(list, start.Add(time.Duration(m)*time.Minute))
	}
	return list
}

func TestGraceWaitsForTheDevice(t *testing.T) {
	for _, row := range []struct {
		name    string
		grace   time.Duration
		minutes []int
		ends    int // minutes; -1: not known
	}{
		{"heard once", 4 * time.Hour, []int{0}, -1},
		{"heard every hour", 4 * time.Hour, []int{0, 60, 120, 180}, 240},
		{"and on", 4 * time.Hour, []int{0, 60, 120, 180, 240, 300}, 240},
		{"an hour is left", 4 * time.Hour, []int{0, 60, 120, 179}, -1},
		{"switched off for a week", 4 * time.Hour, []int{0, 60, 10_000, 10_060}, 10_120},
		{"heard every three hours", 2 * time.Hour, []int{0, 180}, 240},
		{"heard together", 4 * time.Hour, []int{0, 0, 0, 0, 0}, -1},
		{"within the hour", 30 * time.Minute, []int{0}, 30},
		{"seconds late", 2 * time.Hour, []int{0, 61}, 121},
	} {
		b := heardAt(row.grace, after(row.minutes...)...)
		want := start.Add(time.Duration(row.ends) * time.Minute)
		if row.ends < 0 {
			want = time.Time{}
		}
		if got := b.GraceEnds(nil); !got.Equal(want) {
			t.Errorf("%s: it ends at %s, want %s", row.name, got, want)
		}
		if got := b.Status(start.AddDate(1, 0, 0), nil); (got == Pending) != (row.ends < 0) {
			t.Errorf("%s: after a year of silence it is %s", row.name, got)
		}
	}
}

// TestAnotherGrace: the terms of a failure may change while it stands.
func TestAnotherGrace(t *testing.T) {
	b := heardAt(4*time.Hour, after(0, 60, 120)...)
	again := func(b Breach, order uint64, terms Terms) Breach {
		return b.After(Event{What: Failed, Order: order, At: start.Add(2 * time.Hour), Online: time.Hour, Terms: terms}).Heard(2*time.Hour, start.Add(2*time.Hour))
	}
	ended := again(b, 2, Terms{Severity: posture.Critical})
	if got := ended.Status(start.Add(2*time.Hour), nil); got != Open {
		t.Errorf("without grace it is %s", got)
	}
	waits := again(ended, 3, Terms{Grace: 24 * time.Hour, Waits: true})
	if got := waits.Status(start.Add(2*time.Hour), nil); got != Pending || waits.Online.Since != 0 {
		t.Errorf("with 24 hours it is %s, since %s online", got, waits.Online.Since)
	}
	short := again(waits, 4, Terms{Grace: time.Hour, Waits: true})
	if got, want := short.GraceEnds(nil), start.Add(time.Hour); !got.Equal(want) {
		t.Errorf("with an hour it ends at %s, want %s", got, want)
	}
	plain := (Breach{}).After(failed(1, start, Terms{Grace: time.Hour}))
	late := again(plain, 2, Terms{Grace: 24 * time.Hour, Waits: true})
	if late.Online.Since != time.Hour || !late.Waiting() {
		t.Errorf("counted from its first failure on: %+v", late.Online)
	}
}

// TestAClockThatWasSetBack: the collector's clock was a year ahead for a while.
func TestAClockThatWasSetBack(t *testing.T) {
	moments := after(0, 60, 525_600, 120, 180)
	if got, want := heardAt(4*time.Hour, moments...).GraceEnds(nil), start.Add(4*time.Hour); got.After(want) || got.IsZero() {
		t.Errorf("it ends at %s, later than %s", got, want)
	}
}

// TestMoreTimeOnlineNeverExtendsGrace: whenever a device is heard from once more,
// its grace ends no later; nothing that is heard after its end was known moves it;
// and it is never shorter than as much plain time.
func TestMoreTimeOnlineNeverExtendsGrace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		grace := time.Duration(rapid.IntRange(1, 30*60).Draw(t, "grace")) * time.Minute
		moments := []int{0}
		for _, m := range rapid.SliceOfN(rapid.IntRange(0, 200), 0, 60).Draw(t, "heard") {
			moments = append(moments, moments[len(moments)-1]+m)
		}
		var known time.Time
		for n := range moments {
			ends := heardAt(grace, after(moments[:n+1]...)...).GraceEnds(nil)
			if !known.IsZero() && !ends.Equal(known) {
				t.Fatalf("it was to end at %s, and then at %s", known, ends)
			}
			if known = ends; !ends.IsZero() && ends.Before(start.Add(grace)) {
				t.Fatalf("it ends at %s, before %s have passed", ends, grace)
			}
		}
		more := append(slices.Clone(moments), rapid.SliceOfN(rapid.IntRange(0, 12_000), 1, 10).Draw(t, "more")...)
		slices.Sort(more)
		ends := heardAt(grace, after(more...)...).GraceEnds(nil)
		if !known.IsZero() && (ends.IsZero() || ends.After(known)) {
			t.Fatalf("heard from more often it ends at %s, not at %s", ends, known)
		}
		twice := heardAt(grace, after(slices.Sorted(slices.Values(slices.Concat(moments, moments)))...)...)
		if got := twice.GraceEnds(nil); !got.Equal(known) {
			t.Fatalf("with everything sent twice it ends at %s, not at %s", got, known)
		}
	})
}

// TestAWrongClockCostsAnHourAtMost: the collector's clock is off for a while, by
// minutes or by years. Where it is set back by just as much as has passed nobody
// can know how much that was; nothing else is lost.
func TestAWrongClockCostsAnHourAtMost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		grace := time.Duration(rapid.IntRange(1, 10*60).Draw(t, "grace")) * time.Minute
		moments := []int{0}
		for _, m := range rapid.SliceOfN(rapid.IntRange(0, 200), 1, 60).Draw(t, "heard") {
			moments = append(moments, moments[len(moments)-1]+m)
		}
		right := heardAt(grace+OnlineFor, after(moments...)...).GraceEnds(nil)
		wrong := slices.Clone(moments)
		from := rapid.IntRange(1, len(wrong)).Draw(t, "from")
		to := rapid.IntRange(from, len(wrong)).Draw(t, "to")
		off := rapid.SampledFrom([]int{-10_000, -500, -61, 61, 500, 10_000, 5_000_000}).Draw(t, "off")
		for i := from; i < to; i++ {
			wrong[i] += off
		}
		last := start.Add(time.Duration(moments[len(moments)-1]) * time.Minute)
		b := heardAt(grace, after(wrong...)...)
		if to < len(wrong) && !right.IsZero() && right.Before(last) && b.Status(last, nil) != Open {
			t.Fatalf("by a right clock an hour more ended at %s, and at %s it is %s: %+v", right, last, b.Status(last, nil), b.Online)
		}
	})
}
