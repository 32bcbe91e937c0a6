package ledger_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/ledger/ledgertest"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// TestCopyWhileAppending: a copy holds what the ledger held when it was begun,
// holds included, and nothing of what was appended while it was made; and it is
// whole.
func TestCopyWhileAppending(t *testing.T) {
	o := ledgertest.Options(t)
	o.SegmentBytes = 3000
	l, err := ledger.Open(t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d := ledgertest.NewDevice(t, "dev-014")
	more := func(from, to uint64) {
		t.Helper()
		for n := from; n < to; n++ {
			if _, err := l.Append(t.Context(), mediaReport(t, d, ledgertest.Start+n*5*ledgertest.Day, n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	more(0, 12)
	_, err = l.Forget(t.Context(), proof.Media, ledger.Month{Year: 2026, Month: 9}, func(b ledger.Stored) bool {
		return b.Record.Envelope.Sequence == 3
	}, func(p ledger.Purge) (ledger.Entry, error) {
		return ledgertest.Purge(ledgertest.Start+90*ledgertest.Day, p)
	})
	if err != nil {
		t.Fatal(err)
	}
	size, root := l.Root()
	c, err := l.Copy(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.Size != size || c.Root != root || c.Checkpoint == nil {
		t.Fatalf("the copy has %d entries, and the ledger %d", c.Size, size)
	}
	dir := t.TempDir()
	sum := int64(0)
	err = c.Each(func(f ledger.CopyFile, r io.Reader) error {
		more(20+uint64(sum), 21+uint64(sum))
		data, err := io.ReadAll(r)
		if err != nil || int64(len(data)) != f.Size {
			t.Fatalf("%s: got %d bytes, %v, want %d", f.Name, len(data), err, f.Size)
		}
		sum += f.Size
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		return os.WriteFile(path, data, 0o600)
	})
	if err != nil || sum != c.Bytes() {
		t.Fatalf("got %d bytes, %v, want %d", sum, err, c.Bytes())
	}
	if l.Size() == size {
		t.Error("nothing was appended meanwhile")
	}
	again, err := ledger.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if v, err := again.Verify(t.Context(), ledger.VerifyOptions{}); err != nil || v.Entries != size || v.Root != root || v.Checkpoints == 0 || v.Forgotten == 0 {
		t.Errorf("got %+v, %v", v, err)
	}
	if got := again.LatestCheckpoint(); string(got) != string(c.Checkpoint) {
		t.Error("its checkpoint is another")
	}
}
