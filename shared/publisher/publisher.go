// Package publisher verifies what the publisher of Caretaker has signed: the
// releases of the agent. Signatures, thresholds, the change of keys and the rise
// of versions follow The Update Framework (TUF); beyond that a release is one
// version of one program, for each system that it was built for.
//
// It never signs anything, never fetches anything and never runs anything: no key
// of the publisher's is ever near a collector or a laptop.
package publisher

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/semver"
)

// Why a release is not taken.
var (
	// ErrNoRoot means that this program was built without the publisher's root,
	// and so believes nobody.
	ErrNoRoot = errors.New("this program was built without its publisher's keys, so it takes no releases")
	// ErrExpired means that the publisher's word is too old to act upon. What
	// runs goes on.
	ErrExpired = errors.New("what the publisher signed has expired")
	// ErrNotSigned means that too few of the publisher's keys signed it, or that
	// it is not what they signed.
	ErrNotSigned = errors.New("the publisher has not signed this")
	// ErrOlder means that it is older than what was seen before.
	ErrOlder = errors.New("it is older than what the publisher signed last")
	// ErrMalformed means that it is not made as a release is.
	ErrMalformed = errors.New("this is no release")
)

// Bounds of what is read before it is known who signed it, in bytes, and how
// often the publisher may have changed its keys.
const (
	MaxRoot      = 64 << 10
	MaxTimestamp = 16 << 10
	MaxSnapshot  = 64 << 10
	MaxTargets   = 256 << 10
	MaxRoots     = 64
	// MaxProgram bounds a program.
	MaxProgram = 64 << 20
)

// Metadata is what comes with a release and says what it is. Roots are those that
// follow the one that is trusted already, in their order.
type Metadata struct {
	Roots     [][]byte `json:"roots,omitempty"`
	Timestamp []byte   `json:"timestamp"`
	Snapshot  []byte   `json:"snapshot"`
	Targets   []byte   `json:"targets"`
}

// Program is a release's program for one system.
type Program struct {
	Platform string // such as "linux-amd64"
	Length   int64
	SHA256   [32]byte
}

// Release is one version of the agent as the publisher signed it.
type Release struct {
	Version  string // such as "v1.2.0"
	Programs []Program
	Expires  time.Time // from when on it is not taken any more
}

// Program returns the program for a system.
func (r Release) Program(platform string) (Program, bool) {
	i := slices.IndexFunc(r.Programs, func(p Program) bool { return p.Platform == platform })
	if i < 0 {
		return Program{}, false
	}
	return r.Programs[i], true
}

// Newer reports whether version a is newer than b. A version that is not one,
// such as that of a program that was built by hand, is newer than nothing, and
// nothing is newer than it.
func Newer(a, b string) bool {
	return semver.IsValid(a) && semver.IsValid(b) && semver.Compare(a, b) > 0
}

// IsVersion reports whether a program of that version can have releases that
// follow it.
func IsVersion(v string) bool { return semver.IsValid(v) }

// Check verifies offered metadata: that root, or a root that follows from it,
// names the keys whose threshold has signed each part, and that no part is older
// than in held, which was checked before (its zero value: nothing was). It
// returns the release and what to hold from now on.
//
// now is the time by which the publisher's word must not have expired; the zero
// time asks nothing of that kind, and is for what was taken in time.
func Check(root []byte, held, offered Metadata, now time.Time) (r Release, taken Metadata, err error) {
	if err := offered.bounded(); err != nil {
		return Release{}, Metadata{}, err
	}
	c, err := newChain(root)
	if err != nil {
		return Release{}, Metadata{}, err
	}
	_ = c.follow(held.Roots) // what does not follow any more says nothing
	if err := c.follow(offered.Roots); err != nil {
		return Release{}, Metadata{}, err
	}
	t, err := c.current(offered, c.seen(held), now)
	if err != nil {
		return Release{}, Metadata{}, err
	}
	if r, err = t.release(); err != nil {
		return Release{}, Metadata{}, err
	}
	return r, Metadata{Roots: c.roots, Timestamp: offered.Timestamp, Snapshot: offered.Snapshot, Targets: offered.Targets}, nil
}

// RootVersion returns the version of the root that follows from root by held, so
// that only later ones need be asked for.
func RootVersion(root []byte, held Metadata) (int64, error) {
	c, err := newChain(root)
	if err != nil {
		return 0, err
	}
	_ = c.follow(held.Roots)
	return c.last.Version, nil
}

func (m Metadata) bounded() error {
	most := func(what string, data []byte, most int) error {
		if len(data) == 0 || len(data) > most {
			return fmt.Errorf("%w: its %s has %d bytes, and may have %d", ErrMalformed, what, len(data), most)
		}
		return nil
	}
	if len(m.Roots) > MaxRoots {
		return fmt.Errorf("%w: it changes keys %d times", ErrMalformed, len(m.Roots))
	}
	for _, r := range m.Roots {
		if err := most("root", r, MaxRoot); err != nil {
			return err
		}
	}
	return errors.Join(most("timestamp", m.Timestamp, MaxTimestamp), most("snapshot", m.Snapshot, MaxSnapshot), most("targets", m.Targets, MaxTargets))
}

// seen is how far the publisher had come in what is held.
type seen struct{ timestamp, snapshot, targets int64 }

// seen reads how far that was. Keys that were changed since do not know it: then
// it says nothing.
func (c *chain) seen(held Metadata) (s seen) {
	var t, n listed
	if held.Timestamp == nil || c.open(held.Timestamp, roleTimestamp, &t) != nil {
		return s
	}
	s.timestamp, s.snapshot = t.Version, t.Meta[snapshotFile].Version
	if held.Snapshot != nil && c.open(held.Snapshot, roleSnapshot, &n) == nil {
		s.targets = n.Meta[targetsFile].Version
	}
	return s
}

// How parts of the metadata call each other.
const (
	snapshotFile = "snapshot.json"
	targetsFile  = "targets.json"
)

// checked is metadata that was verified.
type checked struct {
	targets
	until time.Time // the soonest end of what was verified
}

// current verifies, part by part, what is offered as the publisher's last word.
func (c *chain) current(offered Metadata, s seen, now time.Time) (t checked, err error) {
	var timestamp, snapshot listed
	t.until = c.last.Expires
	for _, part := range []struct {
		role   string
		data   []byte
		v      interface{ head() header }
		least  int64               // version; 0: any
		within func() (file, bool) // what the part before says of it; nil: nothing does
	}{
		{roleTimestamp, offered.Timestamp, &timestamp, s.timestamp, nil},
		{roleSnapshot, offered.Snapshot, &snapshot, s.snapshot, func() (file, bool) { f, ok := timestamp.Meta[snapshotFile]; return f, ok }},
		{roleTargets, offered.Targets, &t.targets, s.targets, func() (file, bool) { f, ok := snapshot.Meta[targetsFile]; return f, ok }},
	} {
		if err := c.open(part.data, part.role, part.v); err != nil {
			return checked{}, fmt.Errorf("take the publisher's %s: %w", part.role, err)
		}
		h := part.v.head()
		if h.Expires.Before(t.until) {
			t.until = h.Expires
		}
		if h.Version < part.least {
			return checked{}, fmt.Errorf("take the publisher's %s: %w: %d after %d", part.role, ErrOlder, h.Version, part.least)
		}
		if part.within == nil {
			continue
		}
		f, ok := part.within()
		if !ok {
			return checked{}, fmt.Errorf("take the publisher's %s: %w: what comes before names none", part.role, ErrMalformed)
		}
		if f.Version != h.Version {
			return checked{}, fmt.Errorf("take the publisher's %s: %w: %d where %d is the current one", part.role, ErrOlder, h.Version, f.Version)
		}
		if err := f.holds(part.data); err != nil {
			return checked{}, fmt.Errorf("take the publisher's %s: %w", part.role, err)
		}
	}
	if !now.IsZero() && !now.Before(t.until) {
		return checked{}, fmt.Errorf("%w: it was good until %s", ErrExpired, t.until.Format(time.RFC3339))
	}
	return t, nil
}

// programName is how targets are called: caretaker-agent/v1.2.0/linux-amd64.
const programName = "caretaker-agent"

// TargetName returns the name of a program in the publisher's list.
func TargetName(version, platform string) string { return programName + "/" + version + "/" + platform }

// release makes a release of metadata that was verified.
func (t checked) release() (Release, error) {
	r := Release{Expires: t.until}
	for name, file := range t.Targets {
		sum, err := hex.DecodeString(file.Hashes["sha256"])
		parts := strings.Split(name, "/")
		switch {
		case len(parts) != 3 || parts[0] != programName || !IsPlatform(parts[2]):
			return Release{}, fmt.Errorf("%w: its list of programs holds %.80q", ErrMalformed, name)
		case semver.Canonical(parts[1]) != parts[1] || parts[1] == "" || len(parts[1]) > 40:
			return Release{}, fmt.Errorf("%w: %.80q is no version", ErrMalformed, parts[1])
		case r.Version != "" && r.Version != parts[1]:
			return Release{}, fmt.Errorf("%w: it holds both %s and %s", ErrMalformed, r.Version, parts[1])
		case file.Length <= 0 || file.Length > MaxProgram || err != nil || len(sum) != 32:
			return Release{}, fmt.Errorf("%w: the length or the hash of %s is not right", ErrMalformed, name)
		}
		r.Version = parts[1]
		r.Programs = append(r.Programs, Program{Platform: parts[2], Length: file.Length, SHA256: [32]byte(sum)})
	}
	if r.Version == "" {
		return Release{}, fmt.Errorf("%w: its list of programs is empty", ErrMalformed)
	}
	slices.SortFunc(r.Programs, func(a, b Program) int { return strings.Compare(a.Platform, b.Platform) })
	return r, nil
}

// IsPlatform reports whether there are releases for a system of that name.
func IsPlatform(s string) bool {
	system, architecture, ok := strings.Cut(s, "-")
	return ok && slices.Contains([]string{"linux", "windows", "darwin"}, system) && slices.Contains([]string{"amd64", "arm64"}, architecture)
}
