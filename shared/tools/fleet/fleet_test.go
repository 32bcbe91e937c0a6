package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	collector "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/shared/clock"
)

// TestFleetReportsToARealCollector has a few laptops send a burst, live a
// quick day and stay connected, and finds each report in the ledger once.
func TestFleetReportsToARealCollector(t *testing.T) {
	const laptops = 4
	data := filepath.Join(t.TempDir(), "data")
	ask(t, data, "init", collector.InitArguments{School: "Hollybank Primary School"}, &collector.InitAnswer{})
	address := collect(t, data)
	var token collector.TokenAnswer
	ask(t, data, "token.create", collector.TokenArguments{
		Uses: laptops, Lifetime: time.Hour, Ownership: "school-single-user", Addresses: []string{address},
	}, &token)

	dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
	next := func() *fleet { return newFleet(dir, "../../e2e/testdata/machines", clock.System{}, log) }
	for range 2 { // the second time they are enrolled already
		if err := next().enrol(t.Context(), laptops, []string{token.Token}, 1000); err != nil {
			t.Fatal(err)
		}
	}
	var made int64
	f := next()
	var took time.Duration
	if err := f.burst(t.Context(), laptops, 5, func() error { return nil }, func(d time.Duration) error { took = d; return nil }); err != nil || took <= 0 {
		t.Fatalf("a burst of %s: %v", took, err)
	}
	made += f.counts.Reports.Load()
	f = next()
	if err := f.day(t.Context(), laptops, profiles()["september"], 1, 1e6); err != nil {
		t.Fatal(err)
	}
	made += f.counts.Reports.Load()
	f = next()
	ctx, stop := context.WithCancel(t.Context())
	if err := f.idle(ctx, laptops, 0, func() error { stop(); return nil }); err != nil {
		t.Fatal(err)
	}
	made += f.counts.Reports.Load()
	if f.counts.Welcomes.Load() != laptops || made < laptops*10 {
		t.Errorf("%d streams were answered and %d reports made", f.counts.Welcomes.Load(), made)
	}

	var verified collector.LedgerReport
	ask(t, data, "ledger.verify", collector.LedgerArguments{}, &verified)
	var entries []collector.EntryView
	ask(t, data, "ledger.show", collector.LedgerArguments{Count: 10_000}, &entries)
	recorded := int64(0)
	for _, e := range entries {
		switch e.Kind {
		case "report":
			recorded++
		case "gap":
			t.Errorf("a gap was recorded: %+v", e)
		}
	}
	if !verified.Good || recorded != made {
		t.Errorf("the ledger is good: %t, and has %d reports of %d", verified.Good, recorded, made)
	}
}

func ask(t *testing.T, data, operation string, arguments, answer any) {
	t.Helper()
	if err := collector.Do(t.Context(), data, operation, arguments, answer, clock.System{}); err != nil {
		t.Fatalf("%s: %v", operation, err)
	}
}

// collect runs a collector until the test ends and returns its address for
// laptops.
func collect(t *testing.T, data string) string {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- collector.Run(ctx, collector.Config{
			Data: data, Agents: "127.0.0.1:0", Web: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler),
			Ready: func(agents, _ string) { ready <- agents },
		}, clock.System{})
	}()
	select {
	case address := <-ready:
		t.Cleanup(func() {
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
		return address
	case err := <-ended:
		stop()
		t.Fatalf("the collector did not start: %v", err)
		return ""
	}
}
