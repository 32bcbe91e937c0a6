package ledgertest

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// Ledger is what every implementation offers, whatever gives its entries
// their order.
type Ledger interface {
	Append(ctx context.Context, entries ...ledger.Entry) ([]ledger.Index, error)
	Begin(ctx context.Context, after *ledger.Pending, entries ...ledger.Entry) (*ledger.Pending, error)
	Read(ctx context.Context, i ledger.Index) (ledger.Record, error)
	Entries(ctx context.Context, first, end ledger.Index) iter.Seq2[ledger.Record, error]
	Follow(ctx context.Context, first ledger.Index) iter.Seq2[ledger.Record, error]
	Section(ctx context.Context, r ledger.Record, n int) (proof.Section, error)
	Size() uint64
	Root() (uint64, proof.Digest)
	Checkpoint(ctx context.Context) ([]byte, error)
	ProveInclusion(i ledger.Index, size uint64) (proof.Inclusion, error)
	ProveConsistency(older, newer uint64) (proof.Consistency, error)
	Verify(ctx context.Context, o ledger.VerifyOptions) (ledger.VerifyReport, error)
	Close() error
}

// Test runs the conformance test. open opens the ledger of School in a folder,
// with Keys; opening a folder again finds what was appended.
func Test(t *testing.T, open func(t *testing.T, dir string) Ledger) {
	tests := map[string]func(*testing.T, *fixture){
		"read what was appended":     readBack,
		"twice is once":              twiceIsOnce,
		"conflict and order":         conflictAndOrder,
		"all or none":                allOrNone,
		"begun one after another":    begun,
		"nothing after a refusal":    nothingAfterARefusal,
		"foreign and false entries":  foreignEntries,
		"follow":                     follow,
		"many at once":               manyAtOnce,
		"proofs":                     proofs,
		"found again after opening":  foundAgain,
		"same order, same tree":      sameOrderSameTree,
		"ended contexts and closing": endedContexts,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := &fixture{open: open, dir: t.TempDir()}
			f.start(t)
			t.Cleanup(func() { f.verifyAndClose(t) })
			test(t, f)
		})
	}
}

type fixture struct {
	Ledger
	open func(t *testing.T, dir string) Ledger
	dir  string
}

func (f *fixture) start(t *testing.T) { f.Ledger = f.open(t, f.dir) }

func (f *fixture) verifyAndClose(t *testing.T) {
	if f.Ledger == nil {
		return
	}
	report, err := f.Verify(context.Background(), ledger.VerifyOptions{})
	if err != nil {
		t.Errorf("verify: %v", err)
	}
	if report.Entries != f.Size() {
		t.Errorf("verified %d entries of %d", report.Entries, f.Size())
	}
	if err := f.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	f.Ledger = nil
}

func (f *fixture) append(t *testing.T, entries ...ledger.Entry) []ledger.Index {
	t.Helper()
	indexes, err := f.Append(t.Context(), entries...)
	if err != nil {
		t.Fatal(err)
	}
	return indexes
}

// compare reads an entry and all of its sections and compares it.
func (f *fixture) compare(t *testing.T, i ledger.Index, want ledger.Entry) {
	t.Helper()
	r, err := f.Read(t.Context(), i)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want.Envelope, r.Envelope); d != "" {
		t.Fatalf("envelope %d (-want +got):\n%s", i, d)
	}
	for n, s := range want.Sections {
		got, err := f.Section(t.Context(), r, n)
		if err != nil {
			t.Fatal(err)
		}
		if !got.Equal(s) {
			t.Fatalf("section %d of entry %d: got %v, want %v", n, i, got, s)
		}
	}
}

func readBack(t *testing.T, f *fixture) {
	d := NewDevice(t, "dev-014")
	entries := []ledger.Entry{d.Usual(t, Start, 1), Plain(Start+1, 2), d.Usual(t, Start+45*Day, 3), d.Report(t, Start+46*Day)}
	got := f.append(t, entries...)
	if want := []ledger.Index{0, 1, 2, 3}; !slices.Equal(got, want) {
		t.Fatalf("got indexes %v, want %v", got, want)
	}
	for i, e := range entries {
		f.compare(t, ledger.Index(i), e)
	}
	if _, err := f.Read(t.Context(), 4); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("reading beyond the end: got %v, want ErrNotFound", err)
	}
	var seen []ledger.Index
	for r, err := range f.Entries(t.Context(), 1, 3) {
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, r.Index)
	}
	if want := []ledger.Index{1, 2}; !slices.Equal(seen, want) {
		t.Errorf("got entries %v, want %v", seen, want)
	}
}

func twiceIsOnce(t *testing.T, f *fixture) {
	d := NewDevice(t, "dev-014")
	var entries []ledger.Entry
	for n := range uint64(20) {
		entries = append(entries, d.Usual(t, Start+n, n))
	}
	f.append(t, entries...)
	for i, e := range entries {
		e.Envelope.ReceivedAt += Day // it came again, later
		if got := f.append(t, e); got[0] != ledger.Index(i) {
			t.Errorf("appended again: got index %d, want %d", got[0], i)
		}
	}
	e := d.Usual(t, Start, 99)
	if got := f.append(t, e, e); got[0] != 20 || got[1] != 20 {
		t.Errorf("appended twice in one call: got %v, want 20 twice", got)
	}
	if f.Size() != 21 {
		t.Errorf("got %d entries, want 21", f.Size())
	}
}

func conflictAndOrder(t *testing.T, f *fixture) {
	d, twin := NewDevice(t, "dev-014"), NewDevice(t, "dev-014")
	f.append(t, d.Usual(t, Start, 1))
	if _, err := f.Append(t.Context(), twin.Usual(t, Start, 2)); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("another statement under a sequence: got %v, want ErrConflict", err)
	}
	late := d.Usual(t, Start, 3)
	f.append(t, d.Usual(t, Start, 4))
	if _, err := f.Append(t.Context(), late); !errors.Is(err, ledger.ErrOrder) {
		t.Errorf("a statement that comes too late: got %v, want ErrOrder", err)
	}
	if f.Size() != 2 {
		t.Errorf("got %d entries, want 2", f.Size())
	}
}

func allOrNone(t *testing.T, f *fixture) {
	d, twin := NewDevice(t, "dev-014"), NewDevice(t, "dev-014")
	first, second := d.Usual(t, Start, 1), d.Usual(t, Start, 2)
	f.append(t, first)
	other := NewDevice(t, "dev-015").Usual(t, Start, 1)
	if _, err := f.Append(t.Context(), other, second, twin.Usual(t, Start, 9)); !errors.Is(err, ledger.ErrConflict) {
		t.Fatalf("got %v, want ErrConflict", err)
	}
	if f.Size() != 1 {
		t.Fatalf("got %d entries after a refused append, want 1", f.Size())
	}
	if got := f.append(t, second, other); got[0] != 1 || got[1] != 2 {
		t.Errorf("got indexes %v after a refused append, want 1 and 2", got)
	}
}

// begin begins appends, each after the one before.
func (f *fixture) begin(t *testing.T, entries ...ledger.Entry) []*ledger.Pending {
	t.Helper()
	var all []*ledger.Pending
	var last *ledger.Pending
	for _, e := range entries {
		p, err := f.Begin(t.Context(), last, e)
		if err != nil {
			t.Fatal(err)
		}
		all, last = append(all, p), p
	}
	return all
}

func begun(t *testing.T, f *fixture) {
	d := NewDevice(t, "dev-014")
	var entries []ledger.Entry
	for n := range uint64(40) {
		entries = append(entries, d.Usual(t, Start+n, n))
	}
	all := f.begin(t, entries...)
	for i := len(all) - 1; i >= 0; i-- { // when the last is recorded, all before it are
		got, err := all[i].Wait(t.Context())
		if err != nil || len(got) != 1 || got[0] != ledger.Index(i) || !all[i].Recorded() {
			t.Fatalf("begun as number %d: got %v, %v, recorded %t", i, got, err, all[i].Recorded())
		}
		f.compare(t, ledger.Index(i), entries[i])
	}
}

// nothingAfterARefusal: what was begun after an append that is refused is not
// recorded either, and can be begun again.
func nothingAfterARefusal(t *testing.T, f *fixture) {
	d, twin, other := NewDevice(t, "dev-014"), NewDevice(t, "dev-014"), NewDevice(t, "dev-015")
	first, second, third := d.Usual(t, Start, 1), d.Usual(t, Start, 2), d.Usual(t, Start, 3)
	all := f.begin(t, first, twin.Usual(t, Start, 9), second, third)
	apart := f.begin(t, other.Usual(t, Start, 1))
	for i, p := range all {
		_, err := p.Wait(t.Context())
		if (i == 0) != (err == nil) || i > 0 && (!errors.Is(err, ledger.ErrConflict) || p.Recorded()) {
			t.Errorf("begun as number %d: got %v", i, err)
		}
	}
	if _, err := apart[0].Wait(t.Context()); err != nil {
		t.Errorf("another's append: %v", err)
	}
	if f.Size() != 2 {
		t.Errorf("got %d entries, want 2", f.Size())
	}
	if got, err := f.begin(t, second, third)[1].Wait(t.Context()); err != nil || got[0] != 3 {
		t.Errorf("begun again: got %v, %v", got, err)
	}
}

func foreignEntries(t *testing.T, f *fixture) {
	d := NewDevice(t, "dev-014")
	spoil := map[string]func(*ledger.Entry){
		"another school":         func(e *ledger.Entry) { e.Envelope.School = "oakfield" },
		"another device":         func(e *ledger.Entry) { e.Envelope.Subject = "dev-015" },
		"another sequence":       func(e *ledger.Entry) { e.Envelope.Sequence++ },
		"a body changed":         func(e *ledger.Entry) { e.Sections[1].Body = []byte("other") },
		"a body missing":         func(e *ledger.Entry) { e.Sections = e.Sections[:2] },
		"no signature":           func(e *ledger.Entry) { e.Envelope.Signature = nil },
		"a statement cut short":  func(e *ledger.Entry) { e.Envelope.Statement = e.Envelope.Statement[:40] },
		"sections not its own":   func(e *ledger.Entry) { e.Envelope.Sections = e.Envelope.Sections[:2]; e.Sections = e.Sections[:2] },
		"received out of nature": func(e *ledger.Entry) { e.Envelope.ReceivedAt = 1 << 60 },
	}
	for name, change := range spoil {
		e := d.Usual(t, Start, 1)
		change(&e)
		if got, err := f.Append(t.Context(), e); err == nil {
			t.Errorf("%s: appended as %v, want an error", name, got)
		}
		if p, err := f.Begin(t.Context(), nil, e); err == nil {
			t.Errorf("%s: begun as %v, want an error", name, p)
		}
	}
	if f.Size() != 0 {
		t.Errorf("got %d entries, want none", f.Size())
	}
}

func follow(t *testing.T, f *fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	d := NewDevice(t, "dev-014")
	f.append(t, d.Usual(t, Start, 1), d.Usual(t, Start, 2))
	seen := make(chan ledger.Record)
	ended := make(chan error, 1)
	go func() {
		for r, err := range f.Follow(ctx, 1) {
			if err != nil {
				ended <- err
				return
			}
			seen <- r
		}
	}()
	for i := ledger.Index(1); i < 30; i++ {
		if r := <-seen; r.Index != i {
			t.Fatalf("followed entry %d, want %d", r.Index, i)
		}
		f.append(t, d.Usual(t, Start, uint64(i)+2))
	}
	cancel()
	for {
		select {
		case <-seen: // what was appended last
			continue
		case err := <-ended:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("follow ended with %v, want context.Canceled", err)
			}
		}
		return
	}
}

func manyAtOnce(t *testing.T, f *fixture) {
	const devices, reports = 16, 12
	var wg sync.WaitGroup
	where := make([][]ledger.Index, devices)
	sent := make([][]ledger.Entry, devices)
	for n := range devices {
		d := NewDevice(t, string(rune('a'+n)))
		for k := range uint64(reports) {
			sent[n] = append(sent[n], d.Usual(t, Start+k, k))
		}
		wg.Go(func() {
			for _, e := range sent[n] {
				indexes, err := f.Append(t.Context(), e)
				if err != nil {
					t.Errorf("append: %v", err)
					return
				}
				where[n] = append(where[n], indexes...)
			}
		})
	}
	wg.Wait()
	if f.Size() != devices*reports {
		t.Fatalf("got %d entries, want %d", f.Size(), devices*reports)
	}
	for n := range devices {
		for k, i := range where[n] {
			f.compare(t, i, sent[n][k])
		}
	}
}

func proofs(t *testing.T, f *fixture) {
	d := NewDevice(t, "dev-014")
	_, verifier := Keys(t)
	var given []proof.Checkpoint
	for n := range uint64(17) {
		f.append(t, d.Usual(t, Start, n))
		signed, err := f.Checkpoint(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c, err := proof.OpenCheckpoint(signed, verifier, proof.Origin(School))
		if err != nil {
			t.Fatal(err)
		}
		given = append(given, c)
	}
	for _, c := range given {
		for i := range c.Size {
			p, err := f.ProveInclusion(ledger.Index(i), c.Size)
			if err != nil {
				t.Fatal(err)
			}
			r, err := f.Read(t.Context(), ledger.Index(i))
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Verify(proof.LeafHash(r.Encoded), c.Root); err != nil {
				t.Errorf("entry %d of %d: %v", i, c.Size, err)
			}
		}
		for _, older := range given[:c.Size] {
			p, err := f.ProveConsistency(older.Size, c.Size)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Verify(older.Root, c.Root); err != nil {
				t.Errorf("%d in %d: %v", older.Size, c.Size, err)
			}
		}
	}
	if _, err := f.ProveInclusion(3, 100); err == nil {
		t.Error("proved an entry in a tree that there is not yet")
	}
}

func foundAgain(t *testing.T, f *fixture) {
	d := NewDevice(t, "dev-014")
	var entries []ledger.Entry
	for n := range uint64(9) {
		e := d.Usual(t, Start+n*20*Day, n)
		entries = append(entries, e)
		f.append(t, e)
		_, root := f.Root()
		f.verifyAndClose(t)
		f.start(t)
		if size, again := f.Root(); size != n+1 || again != root {
			t.Fatalf("opened again: got %d entries with root %v, want %d with %v", size, again, n+1, root)
		}
	}
	for i, e := range entries {
		f.compare(t, ledger.Index(i), e)
		if got := f.append(t, e); got[0] != ledger.Index(i) {
			t.Errorf("appended again after opening: got index %d, want %d", got[0], i)
		}
	}
}

func sameOrderSameTree(t *testing.T, f *fixture) {
	d := NewDevice(t, "dev-014")
	other := &fixture{open: f.open, dir: t.TempDir()}
	other.start(t)
	t.Cleanup(func() { other.verifyAndClose(t) })
	var entries []ledger.Entry
	for n := range uint64(10) {
		entries = append(entries, d.Usual(t, Start+n*Day, n))
	}
	f.append(t, entries...)
	for _, e := range entries {
		other.append(t, e)
	}
	size, root := f.Root()
	if n, r := other.Root(); n != size || r != root {
		t.Errorf("one by one gave %d entries with root %v, at once %d with %v", n, r, size, root)
	}
}

func endedContexts(t *testing.T, f *fixture) {
	d := NewDevice(t, "dev-014")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e := d.Usual(t, Start, 1)
	if _, err := f.Append(ctx, e); !errors.Is(err, context.Canceled) {
		t.Errorf("append with an ended context: got %v, want context.Canceled", err)
	}
	f.append(t, e)
	if f.Size() != 1 {
		t.Errorf("got %d entries, want 1", f.Size())
	}
	f.verifyAndClose(t)
	l := f.open(t, f.dir)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), d.Usual(t, Start, 2)); !errors.Is(err, ledger.ErrClosed) {
		t.Errorf("append after closing: got %v, want ErrClosed", err)
	}
	f.start(t)
}
