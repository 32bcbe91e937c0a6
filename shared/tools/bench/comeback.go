package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// The first morning of term: how many laptops come back, within which time, each
// with how many reports that wait: a school day on which something was found or
// mended every half an hour.
const (
	returning   = 10_000
	returnTime  = time.Minute
	waitingEach = 12
	// tokens and enrolling are how ten thousand enrol in an afternoon: a token
	// admits fifty in a second.
	tokens    = 4
	enrolling = 60 // in a second, asked for
)

// comeBack measures how long ten thousand laptops take to enrol, and until all that
// they say on the first morning of term is recorded, and shown. The laptops are
// simulated on the same machine.
func (b *bench) comeBack(ctx context.Context) (rows []row, err error) {
	s, err := b.newSchool(ctx, "return")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.remove()) }()
	var made []string
	for range tokens {
		token, err := s.token(ctx, returning/tokens)
		if err != nil {
			return nil, err
		}
		made = append(made, token)
	}
	collector, err := s.collect(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		_, stopped := collector.stop()
		err = errors.Join(err, stopped)
	}()
	enrolled, err := s.run(ctx, returning, "enroll", "--token", strings.Join(made, ","), "--per-second", fmt.Sprint(enrolling))
	if err != nil {
		return nil, err
	}
	if _, err := quiet(ctx, collector.pid()); err != nil {
		return nil, err
	}
	before, err := s.recorded(ctx)
	if err != nil {
		return nil, err
	}
	back, shown, err := s.morning(ctx, collector.pid())
	if err != nil {
		return nil, err
	}
	after, err := s.recorded(ctx)
	if err != nil {
		return nil, err
	}
	if got := after.Entries - before.Entries; got < back.Reports || after.Shown != after.Entries {
		return nil, fmt.Errorf("of %d reports %d are recorded, and %d of %d entries are shown", back.Reports, got, after.Shown, after.Entries)
	}
	note := fmt.Sprintf("%d laptops within %s, each with %d reports that wait; %d entries more in the record, all of them shown", returning, returnTime, waitingEach, after.Entries-before.Entries)
	return []row{
		{what: "collector: 10,000 laptops enrol", ours: enrolled.Seconds, unit: "s", limit: 300, want: atMost, bound: 1},
		{what: "collector: 10,000 laptops return, until the last report is recorded", ours: back.Seconds, unit: "s", limit: 120, want: atMost, bound: 1, note: note},
		{what: "collector: the same, until it is shown", ours: shown, unit: "s", limit: 120, want: atMost, bound: 1},
	}, nil
}

// morning has the laptops come back to a collector of a process. shown is how many
// seconds it took until the collector was done with what they said.
func (s *school) morning(ctx context.Context, pid int) (a fleetAnswer, shown float64, err error) {
	fleet, err := launch(ctx, s.dir, s.b.fleet, s.fleetArgs(returning, "return", "--reports", fmt.Sprint(waitingEach), "--within", returnTime.String())...)
	if err != nil {
		return a, 0, err
	}
	defer func() {
		_, left := fleet.leave()
		err = errors.Join(err, left)
	}()
	if _, err := fleet.line(); err != nil {
		return a, 0, err
	}
	if _, err := fmt.Fprintln(fleet.stdin); err != nil {
		return a, 0, fmt.Errorf("have the laptops come back: %w", err)
	}
	line, err := fleet.line()
	if err != nil {
		return a, 0, err
	}
	if err := json.Unmarshal([]byte(line), &a); err != nil {
		return a, 0, fmt.Errorf("read what the fleet printed: %w", err)
	}
	behind, err := quiet(ctx, pid)
	return a, a.Seconds + behind.Seconds(), errors.Join(err, a.check())
}

// standing is how much a collector has recorded, and how much of it is shown.
type standing struct {
	Entries int64 `json:"entries"`
	Shown   int64 `json:"shown"`
}

func (s *school) recorded(ctx context.Context) (standing, error) {
	var all []standing
	if err := callJSON(ctx, &all, s.b.collector, "status", "--data", s.data, "--json"); err != nil {
		return standing{}, err
	}
	if len(all) != 1 {
		return standing{}, fmt.Errorf("the collector has %d schools", len(all))
	}
	return all[0], nil
}
