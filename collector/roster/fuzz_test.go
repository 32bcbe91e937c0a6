package roster_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/durable"
)

// FuzzSnapshot finds anything in the place of the roster's snapshot, with
// checksums that are right: it is used if it fits the ledger, and passed over
// otherwise.
func FuzzSnapshot(f *testing.F) {
	k := newBook(f)
	k.append(k.enrolment("d1", "t"))
	path := filepath.Join(k.dir, "snapshot")
	good := k.snapshot(path)
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, durable.AppendFrame(nil, bytes.Clone(data)), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := roster.Open(context.Background(), roster.Options{
			School: school, Ledger: k.ledger, Verifier: k.verifier, Snapshot: path, Log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatalf("a snapshot kept the roster from opening: %v", err)
		}
		if err := r.CatchUp(context.Background()); err != nil {
			t.Fatal(err)
		}
	})
}

// snapshot returns what a roster saves when it is stopped.
func (b *book) snapshot(path string) []byte {
	b.t.Helper()
	r := b.open(path)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.Run(ctx); err != nil {
		b.t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		b.t.Fatal(err)
	}
	defer file.Close()
	data, err := durable.ReadFrame(file, 0, 1<<20)
	if err != nil {
		b.t.Fatal(err)
	}
	return data
}
