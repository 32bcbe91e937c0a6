package app

import (
	"context"
	"runtime/debug"
	"testing"
	"time"

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
	for set, want := range map[int]int{77: 77, 400: 400, garbageByRule: garbage} {
		before := debug.SetGCPercent(set)
		back := collectSooner()
		during := debug.SetGCPercent(set)
		debug.SetGCPercent(during)
		back()
		after := debug.SetGCPercent(before)
		if during != want || after != set {
			t.Errorf("of GOGC %d: %d during and %d afterwards, want %d and %d", set, during, after, want, set)
		}
	}
}
