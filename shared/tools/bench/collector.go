package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/shared/clock"
)

// How many laptops report at once, how often each, and how many messages each
// sends where nothing is done with them.
//
// A laptop has 32 reports on their way at once: sixty each are sent in the
// rhythm of acknowledgements, and take several seconds on two cores, beside
// which the beginning and the end are nothing.
const (
	reporting   = 1000
	reportsEach = 60
	bareEach    = 200
)

// reports measures how many reports in a second a collector verifies, syncs
// and acknowledges, and the limits that it cannot pass.
func (b *bench) reports(ctx context.Context) (rows []row, err error) {
	s, err := b.newSchool(ctx, "reports")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.remove()) }()
	if err := s.enrol(ctx, reporting); err != nil {
		return nil, err
	}
	whole, folded, checked, err := s.bursts(ctx)
	if err != nil {
		return nil, err
	}
	door, err := s.door(ctx)
	if err != nil {
		return nil, err
	}
	size := int(whole.Bytes / whole.Reports)
	appended, err := appends(b.dir, reporting, size)
	if err != nil {
		return nil, err
	}
	streamed, err := s.streams(ctx, reporting, bareEach, size)
	if err != nil {
		return nil, err
	}
	tightest, name := checked, "signatures checked"
	for other, rate := range map[string]float64{"bare TLS streams": streamed, "grouped, synced appends": appended} {
		if rate < tightest {
			tightest, name = rate, other
		}
	}
	// A report needs all three and shares the machine with the laptops, so
	// that nothing can do better than one limit after the other.
	inTurn := 1 / (1/checked + 1/streamed + 1/appended)
	told := fmt.Sprintf("limits of the same run: %.0f signatures checked/s on all cores, %.0f messages/s over bare TLS streams, %.0f grouped and synced appends/s; %d bytes each; processor time of a report: %s",
		checked, streamed, appended, size, whole.cost())
	return []row{
		{what: "collector: durable, verified reports at 1,000 streams", ours: whole.rate(), unit: "/s", limit: tightest, against: name, want: atLeast, bound: 0.5, note: told},
		{what: "collector: the same, without the view", ours: door.rate(), unit: "/s", limit: tightest, against: name, want: justTold, note: "processor time of a report: " + door.cost()},
		{what: "collector: the same, without the view", ours: door.rate(), unit: "/s", limit: inTurn, against: "the three limits, one after the other", want: justTold},
		{what: "collector: reports shown in the view", ours: folded, unit: "/s", want: justTold},
	}, nil
}

// bursts is the middle one of three bursts, by what each was of the signatures
// that could be checked just before and after it: a virtual machine gives now
// more and now less, and a limit of another minute is none of this one.
func (s *school) bursts(ctx context.Context) (v volley, folded, checked float64, err error) {
	type round struct {
		volley
		folded, checked float64
	}
	before, err := verifications()
	if err != nil {
		return v, 0, 0, err
	}
	var rounds [3]round
	for i := range rounds {
		r := &rounds[i]
		if r.volley, r.folded, err = s.burst(ctx); err != nil {
			return v, 0, 0, err
		}
		after, err := verifications()
		if err != nil {
			return v, 0, 0, err
		}
		r.checked, before = (before+after)/2, after
	}
	slices.SortFunc(rounds[:], func(a, b round) int { return cmp.Compare(a.rate()/a.checked, b.rate()/b.checked) })
	middle := rounds[len(rounds)/2]
	return middle.volley, middle.folded, middle.checked, nil
}

// burst has the laptops report to a collector of its own process. folded is
// how many reports in a second are in the view at the end.
func (s *school) burst(ctx context.Context) (v volley, folded float64, err error) {
	collector, err := s.collect(ctx)
	if err != nil {
		return v, 0, err
	}
	defer func() {
		_, stopped := collector.stop()
		err = errors.Join(err, stopped)
	}()
	// The first reports carry everything and are few in a laptop's life.
	if _, err := s.run(ctx, reporting, "burst", "--reports", "1"); err != nil {
		return v, 0, err
	}
	if _, err := quiet(ctx, collector.pid()); err != nil {
		return v, 0, err
	}
	if v, err = s.fire(ctx, collector.pid(), ""); err != nil {
		return v, 0, err
	}
	behind, err := quiet(ctx, collector.pid())
	return v, float64(v.Reports) / (v.Seconds + behind.Seconds()), err
}

// door has the laptops report to the collector's rooms that take reports in,
// in this process.
func (s *school) door(ctx context.Context) (v volley, err error) {
	err = s.serve(ctx, clock.System{}, func() error {
		v, err = s.fire(ctx, os.Getpid(), s.b.profiles)
		return err
	})
	return v, err
}

// volley is what the laptops sent all at once, and the processor time of both
// sides from the starting shot to the end.
type volley struct {
	fleetAnswer
	collector, laptops time.Duration
}

func (v volley) rate() float64 { return float64(v.Reports) / v.Seconds }

func (v volley) cost() string {
	each := func(d time.Duration) int64 { return d.Microseconds() / max(v.Reports, 1) }
	return fmt.Sprintf("%d µs at the collector, %d µs at the laptops", each(v.collector), each(v.laptops))
}

// fire has the laptops send to a collector of a process. Reports are made and
// spooled, and streams opened, before the shot: laptops that come back in
// September have them ready. With a folder for profiles, this process is
// profiled, and the laptops'.
func (s *school) fire(ctx context.Context, pid int, profiles string) (v volley, err error) {
	args := []string{"--reports", fmt.Sprint(reportsEach), "--wait"}
	if profiles != "" {
		args = append(args, "--profile", filepath.Join(profiles, "laptops.pprof"))
	}
	fleet, err := launch(ctx, s.dir, s.b.fleet, s.fleetArgs(reporting, "burst", args...)...)
	if err != nil {
		return v, err
	}
	defer func() {
		_, left := fleet.leave()
		err = errors.Join(err, left)
	}()
	if _, err := fleet.line(); err != nil {
		return v, err
	}
	if profiles != "" {
		stop, err := profile(filepath.Join(profiles, "collector.pprof"))
		if err != nil {
			return v, err
		}
		defer func() { err = errors.Join(err, stop()) }()
	}
	spent, err := bothTimes(pid, fleet.pid())
	if err != nil {
		return v, err
	}
	if _, err := fmt.Fprintln(fleet.stdin); err != nil {
		return v, fmt.Errorf("give the starting shot: %w", err)
	}
	line, err := fleet.line()
	if err != nil {
		return v, err
	}
	all, err := bothTimes(pid, fleet.pid())
	if err != nil {
		return v, err
	}
	v.collector, v.laptops = all[0]-spent[0], all[1]-spent[1]
	if err := json.Unmarshal([]byte(line), &v.fleetAnswer); err != nil {
		return v, fmt.Errorf("read what the fleet printed: %w", err)
	}
	return v, v.check()
}

func bothTimes(collector, laptops int) (times [2]time.Duration, err error) {
	for i, pid := range []int{collector, laptops} {
		if times[i], _, err = processorTime(pid); err != nil {
			return times, err
		}
	}
	return times, nil
}

// profile begins a profile of this process.
func profile(name string) (stop func() error, err error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("make a profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(fmt.Errorf("make a profile: %w", err), f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}

// quiet waits until a process does nothing any more and returns how long it
// still worked.
func quiet(ctx context.Context, pid int) (time.Duration, error) {
	const look = 250 * time.Millisecond
	began, still := time.Now(), 0
	last, _, err := processorTime(pid)
	for err == nil && still < 4 {
		if err = pause(ctx, look); err != nil {
			break
		}
		var now time.Duration
		if now, _, err = processorTime(pid); err == nil {
			still++
			if now-last > look/20 {
				still = 0
			}
			last = now
		}
	}
	return time.Since(began) - time.Duration(still)*look, err
}

// How many laptops are connected and idle, and how long a collector is left
// alone before its memory is read: longer than the two minutes after which the
// Go runtime collects by itself.
const (
	idling  = 5000
	settles = 150 * time.Second
)

// memory measures what a collector needs for each laptop that is connected and
// has nothing to say.
func (b *bench) memory(ctx context.Context) (rows []row, err error) {
	s, err := b.newSchool(ctx, "memory")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.remove()) }()
	empty, err := s.weigh(ctx, 0, 5*time.Second)
	if err != nil {
		return nil, err
	}
	if err := s.enrol(ctx, idling); err != nil {
		return nil, err
	}
	// Each sends its first report and goes, so that a collector that is started
	// afterwards holds what it needs and nothing that is left of them.
	if _, err := s.weigh(ctx, idling, 0); err != nil {
		return nil, err
	}
	known, err := s.weigh(ctx, 0, 5*time.Second)
	if err != nil {
		return nil, err
	}
	connected, err := s.weigh(ctx, idling, settles)
	if err != nil {
		return nil, err
	}
	const kilobyte = 1000
	return []row{
		{
			what: "collector: memory of a connected, idle laptop", ours: (connected - empty) / idling / kilobyte, unit: "KB", limit: 52, want: atMost, bound: 1,
			note: fmt.Sprintf("resident: %.0f MiB without laptops, %.0f MiB with %d that are known, %.0f MiB when they are connected", empty/mebibyte, known/mebibyte, idling, connected/mebibyte),
		},
		{what: "collector: of which the connection", ours: (connected - known) / idling / kilobyte, unit: "KB", want: justTold},
	}, nil
}

// weigh starts a collector, connects n laptops, leaves them alone for a while
// and returns what the collector has resident.
func (s *school) weigh(ctx context.Context, n int, wait time.Duration) (memory float64, err error) {
	collector, err := s.collect(ctx)
	if err != nil {
		return 0, err
	}
	defer func() {
		_, stopped := collector.stop()
		err = errors.Join(err, stopped)
	}()
	if n > 0 {
		fleet, err := launch(ctx, s.dir, s.b.fleet, s.fleetArgs(n, "idle")...)
		if err != nil {
			return 0, err
		}
		defer func() {
			_, left := fleet.leave()
			err = errors.Join(err, left)
		}()
		line, err := fleet.line()
		if err != nil {
			return 0, err
		}
		var a fleetAnswer
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			return 0, fmt.Errorf("read what the fleet printed: %w", err)
		}
	}
	if _, err := quiet(ctx, collector.pid()); err != nil {
		return 0, err
	}
	if err := pause(ctx, wait); err != nil {
		return 0, err
	}
	return resident(collector.pid())
}
