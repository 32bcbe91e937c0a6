package ledger_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/ledger/ledgertest"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// mediaReport makes a report whose one body tells its month and number.
func mediaReport(t *testing.T, d *ledgertest.Device, receivedAt, n uint64) ledger.Entry {
	t.Helper()
	body := fmt.Appendf(nil, "stick %d of %s;", n, ledger.MonthOf(receivedAt))
	return d.Report(t, receivedAt, ledgertest.Section("media", proof.Media, body, n))
}

// onDisk returns the bodies of a month that any file holds.
func onDisk(d *ledger.MemoryDisk, month string) int {
	n := 0
	for _, name := range d.Names() {
		n += strings.Count(string(d.File(name)), "of "+month+";")
	}
	return n
}

func TestForget(t *testing.T) {
	disk := ledger.NewMemoryDisk()
	o := smallOptions(t, disk)
	l, err := ledger.Open("ledger", o)
	if err != nil {
		t.Fatal(err)
	}
	d := ledgertest.NewDevice(t, "dev-014")
	for n := range uint64(12) { // six in September, six in October
		if _, err := l.Append(t.Context(), mediaReport(t, d, ledgertest.Start+n*5*ledgertest.Day, n)); err != nil {
			t.Fatal(err)
		}
	}
	september := ledger.Month{Year: 2026, Month: 9}
	forget := func(month ledger.Month, keep ...uint64) (ledger.Purge, error) {
		return l.Forget(t.Context(), proof.Media, month, func(b ledger.Stored) bool {
			for _, n := range keep {
				if b.Record.Envelope.Sequence == n {
					return true
				}
			}
			return false
		}, func(p ledger.Purge) (ledger.Entry, error) {
			return ledgertest.Purge(ledgertest.Start+90*ledgertest.Day, p)
		})
	}
	steps := []struct {
		name  string
		month ledger.Month
		keep  []uint64
		want  ledger.Purge
		err   error
		left  int
	}{
		{
			name: "two are held", month: september, keep: []uint64{2, 5}, left: 2,
			want: ledger.Purge{Class: "media", Month: "2026-09", Forgotten: 4, ForgottenBytes: 76, Kept: 2, KeptBytes: 38},
		},
		{name: "the same again", month: september, keep: []uint64{2, 5}, left: 2, err: ledger.ErrNothingToForget},
		{
			name: "one hold ended", month: september, keep: []uint64{5}, left: 1,
			want: ledger.Purge{Class: "media", Month: "2026-09", Forgotten: 1, ForgottenBytes: 19, Kept: 1, KeptBytes: 19},
		},
		{name: "a month without bodies", month: ledger.Month{Year: 2025, Month: 9}, left: 1, err: ledger.ErrNothingToForget},
		{
			name: "the last hold ended", month: september, left: 0,
			want: ledger.Purge{Class: "media", Month: "2026-09", Forgotten: 1, ForgottenBytes: 19},
		},
	}
	for _, step := range steps {
		size, root := l.Root()
		got, err := forget(step.month, step.keep...)
		if !errors.Is(err, step.err) || got != step.want {
			t.Fatalf("%s: got %+v, %v, want %+v, %v", step.name, got, err, step.want, step.err)
		}
		if n := onDisk(disk, "2026-09"); n != step.left {
			t.Fatalf("%s: %d bodies of September are on disk, want %d", step.name, n, step.left)
		}
		if n := onDisk(disk, "2026-10"); n != 6 {
			t.Fatalf("%s: %d bodies of October are on disk, want 6", step.name, n)
		}
		if _, err := l.Verify(t.Context(), ledger.VerifyOptions{}); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if newSize, newRoot := l.Root(); newSize > size {
			p, err := l.ProveConsistency(size, newSize)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Verify(root, newRoot); err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if l, err = ledger.Open("ledger", o); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
	}
	if _, err := l.Body(t.Context(), 0, 0); !errors.Is(err, ledger.ErrForgotten) {
		t.Errorf("the body of a forgotten section: got %v, want ErrForgotten", err)
	}
	months, err := l.Months(proof.Media)
	if err != nil || fmt.Sprint(months) != "[2026-10]" {
		t.Errorf("months with media: got %v, %v, want October alone", months, err)
	}
	t.Run("a late report of a forgotten month", func(t *testing.T) {
		late := mediaReport(t, d, ledgertest.Start, 99)
		got, err := l.Append(t.Context(), late)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := l.Body(t.Context(), got[0], 0); err != nil || string(b) != string(late.Sections[0].Body) {
			t.Fatalf("got %q, %v", b, err)
		}
		seen := 0
		for s, err := range l.Bodies(t.Context(), proof.Media, september) {
			if err != nil || s.Record.Index != got[0] {
				t.Fatalf("got the body of entry %d, %v, want that of entry %d", s.Record.Index, err, got[0])
			}
			seen++
		}
		if seen != 1 {
			t.Fatalf("got %d bodies of September, want 1", seen)
		}
		disk.Remove("ledger/subjects")
		if _, err := forget(september); err != nil {
			t.Fatal(err)
		}
		if n := onDisk(disk, "2026-09"); n != 0 {
			t.Errorf("%d bodies of September are on disk, want none", n)
		}
	})
	if _, err := l.Verify(t.Context(), ledger.VerifyOptions{}); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestForgetRefuses(t *testing.T) {
	disk := ledger.NewMemoryDisk()
	l, err := ledger.Open("ledger", smallOptions(t, disk))
	if err != nil {
		t.Fatal(err)
	}
	d := ledgertest.NewDevice(t, "dev-014")
	if _, err := l.Append(t.Context(), mediaReport(t, d, ledgertest.Start, 1)); err != nil {
		t.Fatal(err)
	}
	none := func(ledger.Stored) bool { return false }
	month := ledger.Month{Year: 2026, Month: 9}
	failed := errors.New("the salt could not be made")
	for name, test := range map[string]struct {
		class  proof.Class
		record func(ledger.Purge) (ledger.Entry, error)
	}{
		"what stays":             {proof.Kept, func(p ledger.Purge) (ledger.Entry, error) { return ledgertest.Purge(ledgertest.Start, p) }},
		"an entry of other kind": {proof.Media, func(ledger.Purge) (ledger.Entry, error) { return ledgertest.Plain(ledgertest.Start, 1), nil }},
		"no entry":               {proof.Media, func(ledger.Purge) (ledger.Entry, error) { return ledger.Entry{}, failed }},
	} {
		if _, err := l.Forget(t.Context(), test.class, month, none, test.record); err == nil {
			t.Errorf("%s: forgotten, want an error", name)
		}
		if n := onDisk(disk, "2026-09"); n != 1 {
			t.Errorf("%s: %d bodies are on disk, want 1", name, n)
		}
	}
	if _, err := l.Verify(t.Context(), ledger.VerifyOptions{}); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range disk.Names() {
		if strings.HasSuffix(name, ".draft") || strings.HasSuffix(name, ".ready") {
			t.Errorf("%s was left behind", name)
		}
	}
}
