package app

import (
	"context"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
)

func TestMemoryIsGivenBackWhenItIsQuiet(t *testing.T) {
	const mb = 1 << 20
	for name, c := range map[string]struct {
		spare, allocated uint64
		idle             bool
	}{
		"nothing spare":            {trimLeast - 1, 0, false},
		"quiet":                    {200 * mb, mb, true},
		"a busy minute":            {200 * mb, 300 * mb, false},
		"soon needed again":        {200 * mb, 21 * mb, false},
		"a school's hourly murmur": {200 * mb, 19 * mb, true},
	} {
		earlier := memory{allocated: 7 * mb}
		if got := (memory{allocated: 7*mb + c.allocated, spare: c.spare}).idle(earlier); got != c.idle {
			t.Errorf("%s: given back: %t, want %t", name, got, c.idle)
		}
	}
	if m := readMemory(); m.allocated == 0 {
		t.Error("the runtime no longer says what is allocated")
	}
}

func TestTrimEndsAndLooksEachMinute(t *testing.T) {
	c := clocktest.NewDriven(time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- trim(ctx, c) }()
	c.Advance(trimEvery)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestOperatorsGOGCHasTheLastWord(t *testing.T) {
	for _, set := range []int{25, 400} {
		before := debug.SetGCPercent(set)
		stop := collectInTime(128<<20, clock.System{})
		during := debug.SetGCPercent(set)
		stop()
		if after := debug.SetGCPercent(before); during != set || after != set {
			t.Errorf("of GOGC %d: %d during and %d afterwards", set, during, after)
		}
	}
}

func TestGarbageFollowsWhatIsInUse(t *testing.T) {
	const mb = 1 << 20
	at := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	for live, want := range map[uint64]int{0: garbageMost, mb: garbageMost, 64 * mb: 200, 256 * mb: garbage, 4096 * mb: garbage} {
		if got := (&pace{room: 384 * mb}).after(memory{live: live}, at); got != want {
			t.Errorf("of %d MB in use: %d %%, want %d %%", live/mb, got, want)
		}
	}
	p, allocated := pace{room: 384 * mb}, uint64(0)
	for _, c := range []struct {
		name       string
		live, came uint64
		took       time.Duration
		want       int
	}{
		{"a start, a little at a time", 64 * mb, mb, time.Millisecond, 200},
		{"reports", 64 * mb, 128 * mb, time.Second, 600},
		{"more of them", 70 * mb, 128 * mb, time.Second, 548},
		{"laptops as fast", 128 * mb, 128 * mb, time.Second, 100},
		{"reports, seldom", 128 * mb, 128 * mb, time.Minute, 100},
		{"reports again", 128 * mb, 128 * mb, time.Second / 2, 300},
		{"quiet", 128 * mb, 20 * mb, 2 * time.Minute, 100},
	} {
		at, allocated = at.Add(c.took), allocated+c.came
		if got := p.after(memory{live: c.live, allocated: allocated}, at); got != c.want {
			t.Errorf("%s: %d %%, want %d %%", c.name, got, c.want)
		}
	}
	for machine, want := range map[uint64]uint64{0: 128, 512 * mb: 64, 4096 * mb: 256, 8192 * mb: 384, 65536 * mb: 384} {
		if got := roomFor(machine); got != want*mb {
			t.Errorf("on a machine of %d MB: %d bytes, want %d MB", machine/mb, got, want)
		}
	}

	before := debug.SetGCPercent(garbageByRule)
	defer debug.SetGCPercent(before)
	stop := collectInTime(8*mb, clock.System{})
	much := make([]byte, 32*mb)
	changed := func() bool {
		now := debug.SetGCPercent(garbage)
		debug.SetGCPercent(now)
		return now == garbage
	}
	for !changed() { // until a collection has seen what is in use
		runtime.GC()
	}
	runtime.KeepAlive(much)
	stop()
	runtime.GC()
	if after := debug.SetGCPercent(garbageByRule); after != garbageByRule {
		t.Errorf("afterwards it is %d %%", after)
	}
}
