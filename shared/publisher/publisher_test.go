package publisher_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"github.com/caretaker-school/caretaker/shared/publisher"
	"github.com/caretaker-school/caretaker/shared/publisher/publishertest"
)

var now = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

// press is the tests' publisher.
type press struct {
	*publishertest.Press
	t *testing.T
}

func newPress(t *testing.T) *press { return &press{publishertest.New(t, now), t} }

func (p *press) check(held, offered publisher.Metadata, at time.Time, want error) (publisher.Release, publisher.Metadata) {
	p.t.Helper()
	r, taken, err := publisher.Check(p.Trusted(), held, offered, at)
	if !errors.Is(err, want) {
		p.t.Fatalf("got %v, want %v", err, want)
	}
	if held.Timestamp == nil {
		if other := reference(p.Trusted(), offered, at); (other == nil) != (err == nil) {
			p.t.Errorf("the reference says %v, and this says %v", other, err)
		}
	}
	if want != nil && (r.Version != "" || taken.Targets != nil) {
		p.t.Fatalf("refused, and yet it is %+v", r)
	}
	return r, taken
}

var nothing publisher.Metadata

// reference is the same question to the reference implementation of TUF.
func reference(root []byte, m publisher.Metadata, at time.Time) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it falls over: %v", p)
		}
	}()
	if len(m.Targets) > publisher.MaxTargets || len(m.Roots) > publisher.MaxRoots {
		return errors.New("it is not given so much")
	}
	set, err := trustedmetadata.New(root)
	if err != nil {
		return err
	}
	set.RefTime = at
	for _, r := range m.Roots {
		parsed, err := metadata.Root().FromBytes(r)
		if err != nil {
			return err
		}
		if parsed.Signed.Version <= set.Root.Signed.Version {
			continue
		}
		if _, err := set.UpdateRoot(r); err != nil {
			return err
		}
	}
	if _, err := set.UpdateTimestamp(m.Timestamp); err != nil {
		return err
	}
	if _, err := set.UpdateSnapshot(m.Snapshot, false); err != nil {
		return err
	}
	t, err := set.UpdateTargets(m.Targets)
	if err == nil && len(t.Signed.Targets) == 0 {
		err = errors.New("it holds nothing")
	}
	return err
}

func TestReleaseIsTakenAndOnlyRises(t *testing.T) {
	p := newPress(t)
	p.Release("v1.2.0", nil)
	p.Sign(0, 2, 3)
	first := p.Metadata()
	r, held := p.check(nothing, first, now, nil)
	program, ok := r.Program("linux-amd64")
	if r.Version != "v1.2.0" || !ok || program.SHA256 != sha256.Sum256([]byte("program v1.2.0")) || len(r.Programs) != 2 || !r.Expires.Equal(now.AddDate(0, 6, 0)) {
		t.Fatalf("got %+v", r)
	}
	if _, err := os.Stat(filepath.Join(string(p.Dir), filepath.FromSlash(publisher.ProgramPath(r.Version, program)))); err != nil {
		t.Fatal(err)
	}
	p.check(held, first, now, nil) // the same again
	p.Release("v1.3.0", nil)
	p.Sign(1, 2, 3)
	r, held = p.check(held, p.Metadata(), now, nil)
	if r.Version != "v1.3.0" {
		t.Fatalf("got %+v", r)
	}
	p.check(held, first, now, publisher.ErrOlder)
	mixed := p.Metadata()
	mixed.Targets = first.Targets
	p.check(held, mixed, now, publisher.ErrOlder)
	mixed = p.Metadata()
	mixed.Snapshot = first.Snapshot
	p.check(held, mixed, now, publisher.ErrOlder)
}

func TestTooFewOrOthersSign(t *testing.T) {
	for name, who := range map[string][]int{"nobody": {}, "one key and what is current": {0, 3}, "only what is current": {3}, "not that it is current": {0, 1, 2}} {
		p := newPress(t)
		p.Release("v1.2.0", nil)
		p.Sign(who...)
		t.Log(name)
		p.check(nothing, p.Metadata(), now, publisher.ErrNotSigned)
	}
	// A stranger's repository, whole and in order.
	p, stranger := newPress(t), newPress(t)
	p.Release("v1.2.0", nil)
	p.Sign(0, 1, 3)
	stranger.Release("v9.0.0", nil)
	stranger.Sign(0, 1, 3)
	p.check(nothing, stranger.Metadata(), now, publisher.ErrNotSigned)
	// With the stranger's root offered as what follows ours.
	stranger.Root(stranger.Keys, now.AddDate(5, 0, 0))
	stranger.Sign(0, 1)
	p.check(nothing, stranger.Metadata(), now, publisher.ErrNotSigned)
	// The stranger holds the key that says what is current: a release is none of its matters.
	thief := newPress(t)
	thief.Keys[3] = p.Keys[3]
	thief.Release("v9.0.0", nil)
	thief.Sign(0, 1)
	forged := thief.Metadata()
	ours := p.Metadata()
	ours.Targets = forged.Targets
	p.check(nothing, ours, now, publisher.ErrNotSigned)
}

func TestRolesAreNotMixed(t *testing.T) {
	p := newPress(t)
	p.Release("v1.2.0", nil)
	p.Sign(0, 1, 3)
	m := p.Metadata()
	for name, mixed := range map[string]publisher.Metadata{
		"the root as the list of programs": {Timestamp: m.Timestamp, Snapshot: m.Snapshot, Targets: m.Roots[0]},
		"the snapshot as the list":         {Timestamp: m.Timestamp, Snapshot: m.Snapshot, Targets: m.Snapshot},
		"the list as the snapshot":         {Timestamp: m.Timestamp, Snapshot: m.Targets, Targets: m.Targets},
		"the timestamp as the snapshot":    {Timestamp: m.Timestamp, Snapshot: m.Timestamp, Targets: m.Targets},
		"the list as a root":               {Roots: [][]byte{m.Targets}, Timestamp: m.Timestamp, Snapshot: m.Snapshot, Targets: m.Targets},
	} {
		if r, _, err := publisher.Check(p.Trusted(), nothing, mixed, now); err == nil {
			t.Errorf("%s: taken as %+v", name, r)
		}
	}
}

func TestNothingThatWasChangedIsTaken(t *testing.T) {
	p := newPress(t)
	p.Release("v1.2.0", nil)
	p.Sign(0, 1, 3)
	m := p.Metadata()
	longer := m
	longer.Targets = append(bytes.Clone(m.Targets), bytes.Repeat([]byte(" "), publisher.MaxTargets)...)
	p.check(nothing, longer, now, publisher.ErrMalformed)
	many := m
	many.Roots = make([][]byte, publisher.MaxRoots+1)
	p.check(nothing, many, now, publisher.ErrMalformed)
	for _, part := range []*[]byte{&m.Timestamp, &m.Snapshot, &m.Targets} {
		whole := *part
		*part = nil
		p.check(nothing, m, now, publisher.ErrMalformed)
		*part = whole[:len(whole)/2]
		if r, _, err := publisher.Check(p.Trusted(), nothing, m, now); err == nil {
			t.Errorf("half of it is taken as %+v", r)
		}
		*part = bytes.Replace(whole, []byte(`"version": 1`), []byte(`"version": 2`), 1)
		if bytes.Equal(*part, whole) {
			t.Fatalf("nothing was changed in %s", whole)
		}
		if r, _, err := publisher.Check(p.Trusted(), nothing, m, now); err == nil {
			t.Errorf("what was changed is taken as %+v", r)
		}
		*part = whole
	}
	p.check(nothing, m, now, nil)
}

func TestExpiredIsNotTakenAndThenTakenAgain(t *testing.T) {
	p := newPress(t)
	p.Release("v1.2.0", nil)
	p.Sign(0, 1, 3)
	_, held := p.check(nothing, p.Metadata(), now, nil)
	p.Release("v1.3.0", nil)
	p.Sign(0, 1, 3)
	september := now.AddDate(0, 10, 0)
	p.check(held, p.Metadata(), september, publisher.ErrExpired)
	p.check(held, p.Metadata(), time.Time{}, nil) // what was taken in time stays taken
	if err := p.Dir.Refresh(september.AddDate(0, 1, 0)); err != nil {
		t.Fatal(err)
	}
	p.check(held, p.Metadata(), september, publisher.ErrNotSigned)
	p.Sign(3)
	if r, _ := p.check(held, p.Metadata(), september, nil); r.Version != "v1.3.0" {
		t.Errorf("got %+v", r)
	}
}

func TestKeysAreChanged(t *testing.T) {
	p := newPress(t)
	p.Release("v1.2.0", nil)
	p.Sign(0, 1, 3)
	_, held := p.check(nothing, p.Metadata(), now, nil)
	old := p.Keys
	stolen := p.Metadata()
	p.Keys = []ed25519.PrivateKey{old[0], publishertest.Key(t), publishertest.Key(t), publishertest.Key(t)}
	p.Root(p.Keys, now.AddDate(5, 0, 0))
	p.Release("v1.3.0", nil)
	p.Sign(0, 1, 2, 3)
	p.check(held, p.Metadata(), now, publisher.ErrNotSigned) // one of the keys before has signed the new root, and two must
	if _, err := p.Dir.Sign(old[1]); err != nil {
		t.Fatal(err)
	}
	r, held := p.check(held, p.Metadata(), now, nil)
	if r.Version != "v1.3.0" {
		t.Fatalf("got %+v", r)
	}
	if n, err := publisher.RootVersion(p.Trusted(), held); n != 2 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	p.check(held, stolen, now, publisher.ErrNotSigned) // the keys before count no more
	p.check(nothing, p.Metadata(), now, nil)           // one that was away follows both
}

func TestWhatIsNoRelease(t *testing.T) {
	p := newPress(t)
	if err := p.Dir.Release("v1.2.0", nil, p.Lasts); err != nil {
		t.Fatal(err)
	}
	p.Sign(0, 1, 3)
	p.check(nothing, p.Metadata(), now, publisher.ErrMalformed)
	if _, _, err := publisher.Check(nil, nothing, p.Metadata(), now); !errors.Is(err, publisher.ErrNoRoot) {
		t.Errorf("got %v", err)
	}
	p.Release("v1.3.0", nil)
	for _, version := range []string{"v1.3.0", "v1.2.9", "1.4.0", "", "v2"} {
		if err := p.Dir.Release(version, nil, p.Lasts); err == nil && version != "v2" {
			t.Errorf("%q follows v1.3.0", version)
		}
	}
	for _, c := range []struct {
		a, b string
		want bool
	}{{"v1.2.0", "v1.1.9", true}, {"v1.2.0", "v1.2.0", false}, {"v1.2.0", "3890d18-dirty", false}, {"unknown", "v1.0.0", false}, {"v1.2.0", "v1.2.0-4-gabcdef", true}} {
		if got := publisher.Newer(c.a, c.b); got != c.want {
			t.Errorf("%s newer than %s: got %v", c.a, c.b, got)
		}
	}
}

// Whatever a collector sends, nothing is taken that the publisher has not signed,
// and nothing falls over.
func FuzzCheck(f *testing.F) {
	p := publishertest.New(f, now)
	program := filepath.Join(f.TempDir(), "program")
	if err := os.WriteFile(program, []byte("program"), 0o755); err != nil {
		f.Fatal(err)
	}
	p.Publish("v1.2.0", map[string]string{"linux-amd64": program})
	m := p.Metadata()
	trusted := p.Trusted()
	f.Add(m.Roots[0], m.Timestamp, m.Snapshot, m.Targets)
	f.Add([]byte(`{}`), []byte(`{"signed":{"_type":"timestamp","meta":{"snapshot.json":null}},"signatures":[]}`), []byte(`{"signed":null}`), []byte(`[]`))
	f.Fuzz(func(t *testing.T, root, timestamp, snapshot, targets []byte) {
		r, _, err := publisher.Check(trusted, nothing, publisher.Metadata{Roots: [][]byte{root}, Timestamp: timestamp, Snapshot: snapshot, Targets: targets}, now)
		if other := reference(trusted, publisher.Metadata{Roots: [][]byte{root}, Timestamp: timestamp, Snapshot: snapshot, Targets: targets}, now); err == nil && other != nil {
			t.Errorf("taken, and the reference says %v", other)
		}
		if err == nil && (r.Version != "v1.2.0" || len(r.Programs) != 1 || r.Programs[0].SHA256 != sha256.Sum256([]byte("program"))) {
			t.Errorf("taken: %+v", r)
		}
	})
}
