package ledger_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/ledger/ledgertest"
	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// The folder in which the test binary, started again by TestKilled, appends
// until it is killed.
const childVariable = "CARETAKER_LEDGER_CHILD"

// TestKilled kills a process that appends, again and again: what it printed as
// acknowledged is in the ledger exactly once.
func TestKilled(t *testing.T) {
	if dir := os.Getenv(childVariable); dir != "" {
		appendUntilKilled(t, dir)
		return
	}
	rounds := 4
	if thorough() {
		rounds = 100
	}
	dir := t.TempDir()
	acked := map[string]bool{}
	for round := range rounds {
		for _, line := range killedChild(t, dir, 20+rand.IntN(200)) {
			acked[line] = true
		}
		l, err := ledger.Open(dir, ledgertest.Options(t))
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		found := map[string]int{}
		for r, err := range l.Entries(t.Context(), 0, ledger.Index(l.Size())) {
			if err != nil {
				t.Fatal(err)
			}
			found[fmt.Sprintf("%s %d %d", r.Envelope.Subject, r.Envelope.Sequence, r.Index)]++
		}
		for line := range acked {
			if found[line] != 1 {
				t.Errorf("round %d: %q was acknowledged and is there %d times", round, line, found[line])
			}
		}
		if _, err := l.Verify(t.Context(), ledger.VerifyOptions{}); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

// killedChild runs the child, kills it after some lines, and returns them all.
func killedChild(t *testing.T, dir string, after int) (lines []string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
	cmd.Env = append(os.Environ(), childVariable+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	scanner := bufio.NewScanner(out)
	for scanner.Scan() {
		if line, ok := strings.CutPrefix(scanner.Text(), "acked "); ok {
			lines = append(lines, line)
		}
		if len(lines) == after {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the child ended by itself")
	}
	if len(lines) < after {
		t.Fatalf("the child ended after %d lines of %d", len(lines), after)
	}
	return lines
}

func appendUntilKilled(t *testing.T, dir string) {
	o := ledgertest.Options(t)
	o.SegmentBytes, o.SnapshotEvery = 64<<10, 50
	l, err := ledger.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	first := l.Size()
	var out sync.Mutex
	var wg sync.WaitGroup
	for n := range 8 {
		d := ledgertest.NewDevice(t, fmt.Sprintf("dev-%d-%d", first, n))
		wg.Go(func() {
			for k := uint64(0); ; k++ {
				e := d.Usual(t, ledgertest.Start+k*ledgertest.Day/50, k)
				got, err := l.Append(context.Background(), e)
				if err != nil {
					t.Error(err)
					return
				}
				if k%9 == 0 {
					if _, err := l.Checkpoint(context.Background()); err != nil {
						t.Error(err)
						return
					}
				}
				out.Lock()
				fmt.Printf("acked %s %d %d\n", d.ID, e.Envelope.Sequence, got[0])
				out.Unlock()
			}
		})
	}
	wg.Wait()
}

func TestOneAtATime(t *testing.T) {
	dir := t.TempDir()
	l, err := ledger.Open(dir, ledgertest.Options(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Open(dir, ledgertest.Options(t)); !errors.Is(err, durable.ErrHeld) {
		t.Errorf("opened twice: got %v, want ErrHeld", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

func TestOtherSchool(t *testing.T) {
	dir := t.TempDir()
	l, err := ledger.Open(dir, ledgertest.Options(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), ledgertest.Plain(ledgertest.Start, 1)); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Open(dir, ledger.Options{School: "oakfield"}); err == nil {
		t.Error("opened the ledger of one school as another's")
	}
}

// TestOlderCopy puts an older copy of the segments under a checkpoint that was
// given since: the ledger must not be shorter in silence, even if everything
// that can be made again is gone.
func TestOlderCopy(t *testing.T) {
	dir := t.TempDir()
	d := ledgertest.NewDevice(t, "dev-014")
	const segment = "segments/0000000000000000.seg"
	var copies [][]byte
	for n := range uint64(3) {
		l, err := ledger.Open(dir, ledgertest.Options(t))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Append(t.Context(), d.Report(t, ledgertest.Start+n)); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(dir, segment))
		if err != nil {
			t.Fatal(err)
		}
		copies = append(copies, data)
	}
	for _, name := range []string{"hashes", "entries", "subjects", "mark"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, segment), copies[1], 0o600); err != nil {
		t.Fatal(err)
	}
	var c *ledger.CorruptError
	_, err := ledger.Open(dir, ledgertest.Options(t))
	if !errors.As(err, &c) || !strings.Contains(err.Error(), "shorter than its checkpoint") {
		t.Errorf("got %v, want a word that it is shorter than its checkpoint", err)
	}
	if err := os.WriteFile(filepath.Join(dir, segment), copies[2], 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(dir, ledgertest.Options(t))
	if err != nil {
		t.Fatal(err)
	}
	report, err := l.Verify(t.Context(), ledger.VerifyOptions{})
	if err != nil || report.Checkpoints != 3 || !report.Proven || report.Entries != 3 || report.Gaps != 0 {
		t.Errorf("got %+v, %v", report, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestVerifySignatures checks every report's signature through the hook, and
// that a false one is named.
func TestVerifySignatures(t *testing.T) {
	l, err := ledger.Open(t.TempDir(), ledgertest.Options(t))
	if err != nil {
		t.Fatal(err)
	}
	d := ledgertest.NewDevice(t, "dev-014")
	check := func(_ context.Context, r ledger.Record) (uint64, error) {
		return 1, proof.VerifyStatement(&d.Key.PublicKey, proof.HashReport(r.Envelope.Statement), r.Envelope.Signature)
	}
	var last ledger.Progress
	o := ledger.VerifyOptions{Check: check, Progress: func(p ledger.Progress) { last = p }}
	for n := range uint64(3) {
		if _, err := l.Append(t.Context(), d.Usual(t, ledgertest.Start, n)); err != nil {
			t.Fatal(err)
		}
	}
	report, err := l.Verify(t.Context(), o)
	if err != nil || report.Signatures != 3 || report.Statements != 3 || report.Bodies != 9 || last.Entries != 3 {
		t.Errorf("got %+v, %v, progress %v", report, err, last)
	}
	false3 := d.Usual(t, ledgertest.Start, 3)
	false3.Envelope.Signature = []byte("not one")
	if _, err := l.Append(t.Context(), false3); err != nil {
		t.Fatal(err)
	}
	var c *ledger.CorruptError
	if _, err := l.Verify(t.Context(), o); !errors.As(err, &c) || !c.Known || c.Entry != 3 {
		t.Errorf("got %v, want entry 3 named", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
