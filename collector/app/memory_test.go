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
	before := debug.SetGCPercent(77)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	t.Setenv("GOGC", "77")
	collectSooner()()
	if got := debug.SetGCPercent(77); got != 77 {
		t.Errorf("with GOGC in the environment: got %d", got)
	}
	t.Setenv("GOGC", "")
	back := collectSooner()
	if got := debug.SetGCPercent(garbage); got != garbage {
		t.Errorf("without it: got %d, want %d", got, garbage)
	}
	back()
	if got := debug.SetGCPercent(77); got != 77 {
		t.Errorf("afterwards: got %d, want what it was", got)
	}
}
