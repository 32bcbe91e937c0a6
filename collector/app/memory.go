package app

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"

	"github.com/shirou/gopsutil/v3/mem"

	"github.com/caretaker-school/caretaker/shared/clock"
)

// A collector is quiet most of the day and busy when lessons begin. Its memory
// is that of the connected laptops, and should not stay for the rest of the
// day what it was in the busiest minute.

// garbage is how much may lie about before it is collected, in per cent of
// what is in use: half of Go's own, so that the peak of a large school is a
// fifth lower. Of a small one a share of the machine's memory may always be: to
// collect oftener costs a sixth of the work of taking in reports and saves
// little. Who runs the collector with another GOGC than Go's own 100 has the
// last word; a GOMEMLIMIT holds whatever these say.
const (
	garbage       = 50
	garbageMost   = 1000
	garbageByRule = 100
)

// roomFor returns how many bytes of garbage may always lie about on a machine
// with so much memory: 64 to 384 MiB, and 128 where it is not known.
func roomFor(machine uint64) uint64 {
	const mb = 1 << 20
	if machine == 0 {
		return 128 * mb
	}
	return min(max(machine/16, 64*mb), 384*mb)
}

// room is roomFor this machine.
func room() uint64 {
	m, err := mem.VirtualMemory()
	if err != nil {
		return roomFor(0)
	}
	return roomFor(m.Total)
}

// garbageFor returns the per cent for so many bytes in use, and room.
func garbageFor(live, room uint64) int {
	return int(min(max(garbage, room*100/max(live, 1)), garbageMost))
}

// collectInTime has the collector of garbage follow what is in use, after each
// collection, until stop is called. So many bytes of it may always lie about.
func collectInTime(room uint64) (stop func()) {
	before := debug.SetGCPercent(garbage)
	if before != garbageByRule {
		debug.SetGCPercent(before)
		return func() {}
	}
	var mu sync.Mutex // guards what follows
	stopped, now := false, 0
	follow := func() (again bool) {
		mu.Lock()
		defer mu.Unlock()
		if want := garbageFor(readMemory().live, room); !stopped && want != now {
			now = want
			debug.SetGCPercent(want)
		}
		return !stopped
	}
	follow()
	afterEachCollection(follow)
	return func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		debug.SetGCPercent(before)
	}
}

// leftover is something that nothing uses, and so is gone after a collection.
type leftover struct{ _ *leftover }

// afterEachCollection calls do until it returns false.
func afterEachCollection(do func() (again bool)) {
	runtime.AddCleanup(new(leftover), func(do func() bool) {
		if do() {
			afterEachCollection(do)
		}
	}, do)
}

const (
	trimEvery = time.Minute
	trimLeast = 16 << 20 // bytes that are not worth the work
	trimAhead = 10       // looks for which free memory is kept at the present pace
)

// trim gives free memory back to the system when it has become quiet: memory
// that would not be used again in ten minutes at the pace of the last. It
// returns only what nothing uses; nothing is moved out of memory.
func trim(ctx context.Context, c clock.Clock) error {
	last := readMemory()
	for {
		tick, stop := c.After(trimEvery)
		select {
		case <-ctx.Done():
			stop()
			return nil
		case <-tick:
		}
		now := readMemory()
		if now.idle(last) {
			debug.FreeOSMemory()
			now = readMemory()
		}
		last = now
	}
}

// memory is what the Go runtime says of it, in bytes.
type memory struct {
	allocated uint64 // ever
	live      uint64 // in use at the last collection
	spare     uint64 // held and used by nothing, or by nothing any more
}

func readMemory() memory {
	s := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/gc/heap/live:bytes"},
	}
	metrics.Read(s)
	var n [4]uint64
	for i := range s {
		if s[i].Value.Kind() == metrics.KindUint64 {
			n[i] = s[i].Value.Uint64()
		}
	}
	return memory{allocated: n[0], live: n[3], spare: n[1] + n[2] - min(n[2], n[3])}
}

// idle reports whether so little was allocated since an earlier look that what
// is spare can go.
func (m memory) idle(earlier memory) bool {
	return m.spare >= trimLeast && (m.allocated-earlier.allocated)*trimAhead < m.spare
}
