package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/ledger/ledgertest"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// thorough reports whether every byte and bit is to be tried, which takes
// minutes, and not a sample.
func thorough() bool { return os.Getenv("CARETAKER_THOROUGH") != "" }

var errFull = errors.New("no space left on device")

// story is what happens to a small ledger: appends, a checkpoint, a purge and
// more appends. It notes what was acknowledged.
type story struct {
	t        *testing.T
	device   *ledgertest.Device
	acked    map[ledger.Index]ledger.Entry
	pending  []ledger.Entry // not acknowledged, to be sent again
	purged   bool           // the purge of the first month was acknowledged
	checked  uint64         // size of the last checkpoint that was given
	received uint64
}

const secret = "a medium of September"

func newStory(t *testing.T) *story {
	return &story{t: t, device: ledgertest.NewDevice(t, "dev-014"), acked: map[ledger.Index]ledger.Entry{}, received: ledgertest.Start}
}

func smallOptions(t testing.TB, d *ledger.MemoryDisk) ledger.Options {
	o := ledgertest.Options(t)
	o.SegmentBytes, o.SnapshotEvery = 2500, 5
	return o.On(d)
}

// next makes the next report.
func (s *story) next() ledger.Entry {
	s.received += 8 * ledgertest.Day
	n := s.received
	what := "encryption"
	if ledger.MonthOf(s.received).Month == 9 {
		what = secret
	}
	return s.device.Report(s.t, s.received,
		ledgertest.Section("encryption", proof.Posture, fmt.Appendf(nil, "state %d", n), n),
		ledgertest.Section("media", proof.Media, []byte(what), n))
}

// append sends what waits and one more.
func (s *story) append(l *ledger.Ledger, count int) error {
	for range count {
		s.pending = append(s.pending, s.next())
	}
	for len(s.pending) > 0 {
		n := min(2, len(s.pending))
		got, err := l.Append(context.Background(), s.pending[:n]...)
		if err != nil {
			return err
		}
		for k, i := range got {
			s.acked[i] = s.pending[k]
		}
		s.pending = s.pending[n:]
	}
	return nil
}

// begin begins some appends without waiting, and then waits for each: none may
// be recorded without those before it.
func (s *story) begin(l *ledger.Ledger, count int) error {
	for range count {
		s.pending = append(s.pending, s.next())
	}
	var begun []*ledger.Pending
	var last *ledger.Pending
	var failed error
	for _, e := range s.pending {
		if last, failed = l.Begin(context.Background(), last, e); failed != nil {
			break
		}
		begun = append(begun, last)
	}
	var refused error
	for _, p := range begun {
		got, err := p.Wait(context.Background())
		switch {
		case err != nil:
			refused = errors.Join(refused, err)
		case refused != nil:
			s.t.Errorf("entry %d is recorded, and what it follows is not: %v", got[0], refused)
		default:
			s.acked[got[0]] = s.pending[0]
			s.pending = s.pending[1:]
		}
	}
	return errors.Join(refused, failed)
}

// unbroken checks that no report of the story's device is missing before
// another.
func (s *story) unbroken(l *ledger.Ledger) error {
	var last uint64
	for r, err := range l.Entries(context.Background(), 0, ledger.Index(l.Size())) {
		if err != nil {
			return err
		}
		if r.Envelope.Kind != proof.KindReport {
			continue
		}
		if r.Envelope.Sequence != last+1 {
			return fmt.Errorf("report %d follows report %d", r.Envelope.Sequence, last)
		}
		last++
	}
	return nil
}

func (s *story) checkpoint(l *ledger.Ledger) error {
	signed, err := l.Checkpoint(context.Background())
	if err != nil {
		return err
	}
	c, err := proof.ReadCheckpoint(signed)
	s.checked = c.Size
	return err
}

func (s *story) purge(l *ledger.Ledger) error {
	_, err := l.Forget(context.Background(), proof.Media, ledger.Month{Year: 2026, Month: 9},
		func(b ledger.Stored) bool { return b.Record.Envelope.Sequence == 2 },
		func(p ledger.Purge) (ledger.Entry, error) { return ledgertest.Purge(s.received, p) })
	if err == nil || errors.Is(err, ledger.ErrNothingToForget) {
		s.purged = true
		return nil
	}
	return err
}

// tell tells the story on a ledger that is open, as far as it goes.
func (s *story) tell(l *ledger.Ledger) error {
	steps := []func() error{
		func() error { return s.append(l, 3) },
		func() error { return s.checkpoint(l) },
		func() error { return s.append(l, 4) },
		func() error { return s.purge(l) },
		func() error { return s.append(l, 3) },
		func() error { return s.checkpoint(l) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// holds checks that a ledger holds what was acknowledged.
func (s *story) holds(l *ledger.Ledger, d *ledger.MemoryDisk) error {
	if l.Size() < s.checked {
		return fmt.Errorf("%d entries, but a checkpoint was given of %d", l.Size(), s.checked)
	}
	for i, e := range s.acked {
		r, err := l.Read(context.Background(), i)
		if err != nil {
			return err
		}
		if r.Envelope.Sequence != e.Envelope.Sequence || proof.LeafHash(r.Encoded) != leaf(e) {
			return fmt.Errorf("entry %d is not the one that was acknowledged", i)
		}
		for n, want := range e.Sections {
			got, err := l.Section(context.Background(), r, n)
			if errors.Is(err, ledger.ErrForgotten) && string(want.Body) == secret && e.Envelope.Sequence != 2 {
				continue
			}
			if err != nil || !got.Equal(want) {
				return fmt.Errorf("section %d of entry %d is not the one that was acknowledged: %w", n, i, err)
			}
		}
	}
	if _, err := l.Verify(context.Background(), ledger.VerifyOptions{}); err != nil {
		return err
	}
	if err := s.unbroken(l); err != nil {
		return err
	}
	if s.purged {
		kept := 0
		for _, name := range d.Names() {
			kept += strings.Count(string(d.File(name)), secret)
		}
		if kept != 1 {
			return fmt.Errorf("%d bodies of the purged month are on disk, want the one that was kept", kept)
		}
	}
	return nil
}

func leaf(e ledger.Entry) proof.Digest {
	encoded, err := e.Envelope.Encode()
	if err != nil {
		return proof.Digest{}
	}
	return proof.LeafHash(encoded)
}

// TestPowerCut cuts the power at every call that changes the disk.
func TestPowerCut(t *testing.T) {
	seeds := 2
	if thorough() {
		seeds = 40
	}
	for seed := range uint64(seeds) {
		for at := 1; ; at++ {
			if !powerCut(t, seed, at) {
				break
			}
			if t.Failed() {
				return
			}
		}
	}
}

// powerCut reports whether the story has a call of that number.
func powerCut(t *testing.T, seed uint64, at int) bool {
	d := ledger.NewMemoryDisk()
	d.FailAt, d.Fault = at, ledger.ErrPower
	s := newStory(t)
	chance := rand.New(rand.NewPCG(seed, uint64(at)))
	l, err := ledger.Open("ledger", smallOptions(t, d))
	if err == nil {
		err = s.tell(l)
		err = errors.Join(err, l.Close())
	}
	if err == nil {
		return false
	}
	d = d.Restart(chance)
	if seed%2 == 1 { // and again while it recovers
		d.FailAt, d.Fault = 1+chance.IntN(10), ledger.ErrPower
		if l, err := ledger.Open("ledger", smallOptions(t, d)); err == nil {
			if l.Close() == nil {
				d.FailAt = 0
			}
		}
		d = d.Restart(chance)
	}
	l, err = ledger.Open("ledger", smallOptions(t, d))
	if err != nil {
		t.Errorf("seed %d, cut at call %d: open again: %v", seed, at, err)
		return true
	}
	if err := s.holds(l, d); err != nil {
		t.Errorf("seed %d, cut at call %d: %v (%+v)", seed, at, err, l.Report())
	}
	s.finish(l, d, fmt.Sprintf("seed %d, cut at call %d", seed, at))
	return true
}

// TestBegunAppendsFail has appends begun one after another, and each call that
// changes the disk fail once, as if it were full, or as if the power were cut.
// How many share a sync is chance.
func TestBegunAppendsFail(t *testing.T) {
	seeds := 2
	if thorough() {
		seeds = 20
	}
	for seed := range uint64(seeds) {
		for at := 1; begunFails(t, seed, at) && !t.Failed(); at++ {
		}
	}
}

// begunFails reports whether the story has a call of that number.
func begunFails(t *testing.T, seed uint64, at int) bool {
	d := ledger.NewMemoryDisk()
	d.FailAt, d.Fault = at, []error{errFull, ledger.ErrPower}[seed%2]
	s, where := newStory(t), fmt.Sprintf("seed %d, call %d", seed, at)
	l, err := ledger.Open("ledger", smallOptions(t, d))
	if err == nil {
		err = errors.Join(s.append(l, 1), s.begin(l, 7), s.begin(l, 5))
		_ = s.begin(l, 3) // goes on, or says that it is closed
		err = errors.Join(err, l.Close())
	}
	if err == nil && d.Calls() < at {
		return false
	}
	d = d.Restart(rand.New(rand.NewPCG(seed, uint64(at))))
	if l, err = ledger.Open("ledger", smallOptions(t, d)); err != nil {
		t.Errorf("%s: open again: %v", where, err)
		return true
	}
	if err := s.holds(l, d); err != nil {
		t.Errorf("%s: %v (%+v)", where, err, l.Report())
	}
	s.finish(l, d, where)
	return true
}

// finish tells the rest of the story on a ledger that was repaired.
func (s *story) finish(l *ledger.Ledger, d *ledger.MemoryDisk, where string) {
	for _, step := range []func() error{
		func() error { return s.append(l, 2) }, func() error { return s.purge(l) },
		func() error { return s.checkpoint(l) }, func() error { return s.holds(l, d) }, l.Close,
	} {
		if err := step(); err != nil {
			s.t.Errorf("%s: go on afterwards: %v (%+v)", where, err, l.Report())
			return
		}
	}
	l, err := ledger.Open("ledger", smallOptions(s.t, d))
	if err != nil {
		s.t.Errorf("%s: open once more: %v", where, err)
		return
	}
	if r := l.Report(); len(r.Torn)+len(r.Rebuilt)+len(r.Purges) > 0 {
		s.t.Errorf("%s: a ledger that was closed needed repair: %+v", where, r)
	}
	if err := errors.Join(s.holds(l, d), l.Close()); err != nil {
		s.t.Errorf("%s: after opening once more: %v", where, err)
	}
}

// TestFailedCall makes every call that changes the disk fail once, as on a full
// disk. Nothing that was acknowledged may be lost, and the ledger goes on or
// says that it must be opened again.
func TestFailedCall(t *testing.T) {
	for at := 1; ; at++ {
		d := ledger.NewMemoryDisk()
		d.FailAt, d.Fault = at, errFull
		s := newStory(t)
		where := fmt.Sprintf("call %d failed", at)
		l, err := ledger.Open("ledger", smallOptions(t, d))
		if err == nil {
			if err = s.tell(l); err != nil && !errors.Is(err, errFull) {
				t.Fatalf("%s: got %v, want the disk's own word", where, err)
			}
			again := s.append(l, 1)
			if again != nil && err != nil && !errors.Is(again, ledger.ErrClosed) {
				t.Fatalf("%s: appending again: got %v, want success or ErrClosed", where, again)
			}
			err = errors.Join(err, again, l.Close())
		}
		if err == nil && d.Calls() < at {
			return
		}
		l, err = ledger.Open("ledger", smallOptions(t, d))
		if err != nil {
			t.Fatalf("%s: open again: %v", where, err)
		}
		if err := s.holds(l, d); err != nil {
			t.Fatalf("%s: %v (%+v)", where, err, l.Report())
		}
		s.finish(l, d, where)
	}
}

// closedLedger returns the disk of a ledger that was closed in order, and what
// it holds.
func closedLedger(t *testing.T) (*ledger.MemoryDisk, *story, proof.Digest) {
	t.Helper()
	d := ledger.NewMemoryDisk()
	s := newStory(t)
	l, err := ledger.Open("ledger", smallOptions(t, d))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.tell(l); err != nil {
		t.Fatal(err)
	}
	_, root := l.Root()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return d, s, root
}

// whole opens a ledger that was tampered with and reports what is wrong; nil
// means that nothing is missing from it.
func whole(t *testing.T, d *ledger.MemoryDisk, s *story, root proof.Digest) error {
	l, err := ledger.Open("ledger", smallOptions(t, d))
	if err != nil {
		return err
	}
	err = s.holds(l, d)
	if _, r := l.Root(); err == nil && r != root {
		t.Errorf("the ledger opens and verifies, with another root")
	}
	return errors.Join(err, l.Close())
}

// named fails the test unless damage to a file was named, or did no harm.
func named(t *testing.T, file, what string, err error) {
	t.Helper()
	var c *ledger.CorruptError
	if err != nil && (!errors.As(err, &c) || c.File == "") {
		t.Errorf("%s: got %v, want an error that names the file", what, err)
	}
	if err == nil || what == "removed" {
		return
	}
	if want := strings.TrimPrefix(file, "ledger/"); c.File != want && c.File != "segments" && !strings.HasPrefix(want, "checkpoint") {
		t.Errorf("%s: got %v, want an error that names %s", what, err, want)
	}
	if !c.Known && strings.HasSuffix(c.File, ".seg") && !strings.Contains(err.Error(), "bytes, but had") {
		t.Errorf("%s: got %v, want an error that names the entry", what, err)
	}
}

// TestTruncated cuts every file of a closed ledger at every byte.
func TestTruncated(t *testing.T) {
	d, s, root := closedLedger(t)
	harmless := map[string]bool{}
	for _, name := range d.Names() {
		size := len(d.File(name))
		for at := 0; at < size; at += step(size) {
			c := d.Clone()
			c.SetFile(name, c.File(name)[:at])
			err := whole(t, c, s, root)
			named(t, name, fmt.Sprintf("%s cut at byte %d of %d", name, at, size), err)
			if err == nil {
				harmless[name] = true
			}
		}
	}
	checkHarmless(t, harmless)
}

// TestFlipped flips bits of every file of a closed ledger.
func TestFlipped(t *testing.T) {
	d, s, root := closedLedger(t)
	harmless := map[string]bool{}
	for _, name := range d.Names() {
		size := len(d.File(name)) * 8
		for at := 0; at < size; at += step(size) {
			bit := at
			if !thorough() {
				bit = min(at+at%7, size-1)
			}
			c := d.Clone()
			c.File(name)[bit/8] ^= 1 << (bit % 8)
			err := whole(t, c, s, root)
			named(t, name, fmt.Sprintf("%s with bit %d of byte %d flipped", name, bit%8, bit/8), err)
			if err == nil {
				harmless[name] = true
			}
		}
	}
	checkHarmless(t, harmless)
}

func step(size int) int {
	if thorough() {
		return 1
	}
	return max(1, size/31)
}

// checkHarmless fails the test if damage to a file that nothing can make again
// did no harm.
func checkHarmless(t *testing.T, harmless map[string]bool) {
	t.Helper()
	for name := range harmless {
		switch strings.TrimPrefix(name, "ledger/") {
		case "hashes", "entries", "subjects", "mark", "checkpoint", "bodies/media/2026-09.at":
		default:
			t.Errorf("damage to %s went unseen", name)
		}
	}
}

// TestMissing removes every file of a closed ledger in turn.
func TestMissing(t *testing.T) {
	d, s, root := closedLedger(t)
	harmless := map[string]bool{}
	for _, name := range d.Names() {
		c := d.Clone()
		if err := c.Remove(name); err != nil {
			t.Fatal(err)
		}
		err := whole(t, c, s, root)
		named(t, name, "removed", err)
		if err == nil {
			harmless[name] = true
		}
	}
	checkHarmless(t, harmless)
}

// TestTornTail damages the last batch of a ledger that was never closed: what
// is cut is said, and all before it is there.
func TestTornTail(t *testing.T) {
	d := ledger.NewMemoryDisk()
	o := ledgertest.Options(t).On(d)
	l, err := ledger.Open("ledger", o)
	if err != nil {
		t.Fatal(err)
	}
	s := newStory(t)
	if err := s.append(l, 4); err != nil {
		t.Fatal(err)
	}
	const name = "ledger/segments/0000000000000000.seg"
	before := len(d.File(name))
	if _, err := l.Append(t.Context(), s.next(), s.next(), s.next()); err != nil {
		t.Fatal(err)
	}
	size := len(d.File(name))
	crashed := d.Clone() // as kill -9 leaves it
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for at := before; at < size; at += step(size - before) {
		for _, damage := range []func([]byte) []byte{
			func(b []byte) []byte { return b[:at] },
			func(b []byte) []byte { b[at] ^= 0x10; return b },
		} {
			c := crashed.Clone()
			c.SetFile(name, damage(c.File(name)))
			again, err := ledger.Open("ledger", ledgertest.Options(t).On(c))
			if err != nil {
				t.Fatalf("tail damaged at byte %d: %v", at, err)
			}
			if n := again.Size(); n < 4 || n > 6 || at > before && len(again.Report().Torn) == 0 {
				t.Errorf("tail damaged at byte %d: %d entries, and said %q", at, n, again.Report().Torn)
			}
			if err := errors.Join(s.holds(again, c), again.Close()); err != nil {
				t.Errorf("tail damaged at byte %d: %v", at, err)
			}
		}
	}
	l, err = ledger.Open("ledger", o)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.holds(l, d), l.Close()); err != nil {
		t.Error(err)
	}
}
