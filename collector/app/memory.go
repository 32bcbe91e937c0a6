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

// There is all of the room only in a flood: so much is used every second, and
// nothing of it stays. So it is when reports come. When laptops come, what stays
// of them and what does not lie side by side, and the gaps that are left stay
// too: 5,000 laptops that came with 384 MiB of room held a quarter more for
// good. An end of the flood is noticed by Go's own collection of every two
// minutes.
const (
	roomBefore = 128 << 20
	floods     = 64 << 20 // bytes in a second
	floodLeast = 16 << 20 // bytes between two collections by which it can be told
)

// pace is what is remembered from one collection to the next.
type pace struct {
	room uint64 // what there is of it on this machine, in bytes
	last memory
	at   time.Time
}

// after returns the per cent of garbage that may lie about after a collection.
func (p *pace) after(now memory, at time.Time) int {
	room := min(p.room, roomBefore)
	came, took := now.allocated-p.last.allocated, at.Sub(p.at)
	if came >= floodLeast && float64(came) >= floods*took.Seconds() && now.live <= p.last.live+p.last.live/8 {
		room = p.room
	}
	p.last, p.at = now, at
	return int(min(max(garbage, room*100/max(now.live, 1)), garbageMost))
}

// collectInTime has the collector of garbage follow what is in use, after each
// collection, until stop is called. So many bytes of it may lie about.
func collectInTime(room uint64, c clock.Clock) (stop func()) {
	before := debug.SetGCPercent(garbage)
	if before != garbageByRule {
		debug.SetGCPercent(before)
		return func() {}
	}
	var mu sync.Mutex // guards what follows
	stopped, now, pace := false, 0, pace{room: room}
	follow := func() (again bool) {
		mu.Lock()
		defer mu.Unlock()
		if want := pace.after(readMemory(), c.Now()); !stopped && want != now {
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
