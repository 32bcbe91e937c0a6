package update

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/publisher"
	"github.com/caretaker-school/caretaker/shared/publisher/publishertest"
)

var now = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

const system = "linux-amd64"

var quiet = slog.New(slog.DiscardHandler)

// counter is a collector, honest or not.
type counter struct {
	release func() (publisher.Metadata, bool, error)
	part    func(version, system string, offset uint64) ([]byte, error)
}

func (c *counter) Release(context.Context, uint64) (publisher.Metadata, bool, error) {
	return c.release()
}

func (c *counter) Part(_ context.Context, version, system string, offset uint64) ([]byte, error) {
	return c.part(version, system, offset)
}

// honest gives what a publisher's folder holds.
func honest(t *testing.T, p *publishertest.Press) *counter {
	return &counter{
		release: func() (publisher.Metadata, bool, error) { return p.Metadata(), true, nil },
		part: func(version, system string, offset uint64) ([]byte, error) {
			r, _, err := publisher.Check(p.Trusted(), publisher.Metadata{}, p.Metadata(), time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			program, _ := r.Program(system)
			data, err := os.ReadFile(filepath.Join(string(p.Dir), publisher.ProgramPath(version, program)))
			if err != nil {
				return nil, err
			}
			return data[offset:min(int(offset)+5, len(data))], nil
		},
	}
}

// laptop is an agent of v1.0.0 with a state folder.
type laptop struct {
	t       *testing.T
	folder  Folder
	this    Installed
	source  Source
	trouble atomic.Pointer[string]
}

func newLaptop(t *testing.T, p *publishertest.Press) *laptop {
	t.Helper()
	state := t.TempDir()
	if err := os.Chmod(state, 0o711); err != nil {
		t.Fatal(err)
	}
	return &laptop{t: t, folder: Where(state), this: Installed{Version: "v1.0.0", System: system, Root: p.Trusted()}, source: honest(t, p)}
}

func (l *laptop) updater(at time.Time) *updater {
	return &updater{Config{
		Folder: l.folder, Installed: l.this, Source: l.source, Clock: clock.System{}, Now: func() time.Time { return at }, Log: quiet,
		Tell: func(s string) { l.trouble.Store(&s) },
	}}
}

// takes has the laptop try once what is offered.
func (l *laptop) takes(at time.Time, want error) {
	l.t.Helper()
	if _, err := l.updater(at).attempt(l.t.Context()); !errors.Is(err, want) {
		l.t.Fatalf("got %v, want %v", err, want)
	}
}

// lasts notes that a version has lasted.
func (l *laptop) lasts(version string) {
	l.t.Helper()
	if err := l.folder.Lasts(version); err != nil {
		l.t.Fatal(err)
	}
}

// trusts has a version placed by the one that runs, and reported.
func (l *laptop) trusts(p *publishertest.Press, running, version string, at time.Time) {
	l.t.Helper()
	base := l.this
	l.this.Version = running
	p.Publish(version, nil)
	l.takes(at, ErrPlaced)
	l.this = base
	l.expect(at, version)
	if err := l.folder.Accept(version); err != nil {
		l.t.Fatal(err)
	}
}

// starts says which version the installed program becomes; "" for itself.
func (l *laptop) starts(at time.Time) string {
	l.t.Helper()
	path, err := l.folder.Choose(l.this, at, quiet)
	if err != nil {
		l.t.Fatal(err)
	}
	if path == "" {
		return ""
	}
	return filepath.Base(filepath.Dir(path))
}

func (l *laptop) expect(at time.Time, want ...string) {
	l.t.Helper()
	for i, w := range want {
		if got := l.starts(at); got != w {
			l.t.Fatalf("start %d: got %q, want %q", i+1, got, w)
		}
	}
}

func TestReleaseIsTakenTriedAndKept(t *testing.T) {
	p := publishertest.New(t, now)
	l := newLaptop(t, p)
	l.expect(now, "")
	p.Publish("v1.2.0", nil)
	l.takes(now, ErrPlaced)
	l.expect(now, "v1.2.0", "v1.2.0")
	info, err := os.Stat(l.folder.path("v1.2.0", programFile))
	if err != nil || info.Mode().Perm() != 0o755 && runtime.GOOS != "windows" {
		t.Fatalf("got %v, %v", info, err)
	}
	if err := l.folder.Accept("v1.2.0"); err != nil {
		t.Fatal(err)
	}
	// From then on it starts as often as it likes, a summer later too.
	for range 2 * MostFalls {
		l.expect(now.AddDate(3, 0, 0), "v1.2.0")
		l.lasts("v1.2.0")
	}
	// The next one fails its trial, and the one before is there.
	base := l.this
	l.this.Version = "v1.2.0"
	p.Publish("v1.3.0", nil)
	l.takes(now, ErrPlaced)
	l.this = base
	l.expect(now, "v1.3.0", "v1.3.0", "v1.3.0", "v1.2.0", "v1.2.0")
	failed := l.folder.LastFailed()
	if failed == nil || failed.Version != "v1.3.0" || failed.Times != 1 || !strings.Contains(failed.Reason, "did not report") {
		t.Errorf("got %+v", failed)
	}
	if _, err := os.Stat(l.folder.path("v1.3.0")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what failed is still there: %v", err)
	}
	// An installer brings a newer one: what came before is removed.
	l.this.Version = "v2.0.0"
	l.expect(now, "")
	if entries, _ := filepath.Glob(l.folder.path("v*")); len(entries) > 0 {
		t.Errorf("left: %v", entries)
	}
}

// A version that was tried, reported, and does not last any more: the one that
// reported before it runs again, and never do two take turns.
func TestVersionThatDoesNotLastGoesBack(t *testing.T) {
	p := publishertest.New(t, now)
	l := newLaptop(t, p)
	l.trusts(p, "v1.0.0", "v1.1.0", now)
	l.trusts(p, "v1.1.0", "v1.2.0", now)
	falls := func(at time.Time, version, then string) {
		t.Helper()
		for range MostFalls {
			l.expect(at, version)
		}
		l.expect(at, then)
		failed := l.folder.LastFailed()
		if failed == nil || failed.Version != version || !strings.Contains(failed.Reason, "ended 5 times in a row soon after its start") {
			t.Errorf("got %+v", failed)
		}
	}
	// To have lasted once is enough.
	for range MostFalls - 1 {
		l.expect(now, "v1.2.0")
	}
	l.lasts("v1.2.0")
	at := time.Now() // by which is counted when it may be tried again
	falls(at, "v1.2.0", "v1.1.0")
	// It is offered still: tried again a day later, three times in all, however
	// often it reports.
	again := func(at time.Time) string {
		t.Helper()
		l.lasts("v1.1.0")
		this := l.this
		l.this.Version = "v1.1.0"
		_, err := l.updater(at).attempt(t.Context())
		l.this = this
		if errors.Is(err, ErrPlaced) {
			return ""
		}
		return err.Error()
	}
	if why := again(at); !strings.Contains(why, "is tried again after") {
		t.Errorf("at once: %s", why)
	}
	for try := 2; try <= mostTries; try++ {
		r, err := l.folder.record()
		if err != nil {
			t.Fatal(err)
		}
		r.Failed[len(r.Failed)-1].At = at.Add(-tryAgain)
		if err := l.folder.save(r, recordFile); err != nil {
			t.Fatal(err)
		}
		if why := again(at); why != "" {
			t.Fatalf("try %d: %s", try, why)
		}
		l.expect(at, "v1.2.0")
		if err := l.folder.Accept("v1.2.0"); err != nil {
			t.Fatal(err)
		}
		if failed := l.folder.LastFailed(); failed != nil {
			t.Errorf("while it runs it is said to have failed: %+v", failed)
		}
		falls(at, "v1.2.0", "v1.1.0")
	}
	if why := again(at); !strings.Contains(why, "tried 3 times and is not tried again") {
		t.Errorf("after three times: %s", why)
	}
	// The one before does not last either: the installed one runs, for as long as
	// nothing newer comes.
	l.lasts("v1.1.0")
	falls(at, "v1.1.0", "")
	l.expect(at, "", "", "", "", "", "")
	if why := again(at); !strings.Contains(why, "tried 3 times and is not tried again") {
		t.Errorf("with another that failed since: %s", why)
	}
	if left, _ := filepath.Glob(l.folder.path("v*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// What is to be started and is not as it was taken gives its place to the one
// before.
func TestVersionThatWasChangedGoesBackToTheOneBefore(t *testing.T) {
	p := publishertest.New(t, now)
	l := newLaptop(t, p)
	l.trusts(p, "v1.0.0", "v1.1.0", now)
	l.trusts(p, "v1.1.0", "v1.2.0", now)
	if err := os.WriteFile(l.folder.path("v1.2.0", programFile), []byte("program v1.2."), 0o755); err != nil {
		t.Fatal(err)
	}
	l.expect(now, "v1.1.0")
	// And all of them go when they are to.
	if err := l.folder.Forget(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(string(l.folder))
	if err != nil || len(entries) != 1 || entries[0].Name() != heldFile {
		t.Errorf("left: %v, %v", entries, err)
	}
	l.expect(now, "")
}

// A supervisor runs here until another is there, and what is there until another
// is; what fails it leaves to whoever starts it again.
func TestStayerRunsWhatIsToRun(t *testing.T) {
	p := publishertest.New(t, now)
	l := newLaptop(t, p)
	p.Publish("v1.1.0", nil)
	crashed := errors.New("exit status 2")
	for name, c := range map[string]struct {
		placed []error // of the program that was placed, at each start
		want   error
		ran    string
	}{
		"it crashes":               {[]error{crashed}, crashed, "here v1.1.0"},
		"it goes back":             {[]error{ErrBack}, nil, "here v1.1.0 here"},
		"it ends for nothing else": {[]error{ErrBack, nil}, nil, "here v1.1.0 here"},
	} {
		var ran []string
		l := newLaptop(t, p)
		s := Stayer{
			Folder: l.folder, Installed: l.this, Clock: clock.System{}, Log: quiet,
			Here: func(ctx context.Context) error {
				ran = append(ran, "here")
				if len(ran) > 1 {
					return nil
				}
				_, err := l.updater(now).attempt(ctx)
				return err
			},
			Placed: func(_ context.Context, path string) error {
				version := filepath.Base(filepath.Dir(path))
				ran = append(ran, version)
				err := c.placed[len(ran)-2]
				if errors.Is(err, ErrBack) {
					err = errors.Join(err, l.folder.GoBack(version, "it ran and did not report", now))
				}
				return err
			},
		}
		if err := s.Run(t.Context()); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
		if got := strings.Join(ran, " "); got != c.ran {
			t.Errorf("%s: ran %q, want %q", name, got, c.ran)
		}
	}
	// Told to end while another would start, it starts none.
	ctx, cancel := context.WithCancel(t.Context())
	s := Stayer{
		Folder: l.folder, Installed: l.this, Clock: clock.System{}, Log: quiet,
		Here:   func(context.Context) error { cancel(); return ErrPlaced },
		Placed: func(context.Context, string) error { t.Error("it starts another"); return nil },
	}
	if err := s.Run(ctx); !errors.Is(err, ErrPlaced) {
		t.Errorf("got %v", err)
	}
}

func TestVersionThatFailedIsTriedThreeTimesAndNoMore(t *testing.T) {
	p := publishertest.New(t, now)
	l := newLaptop(t, p)
	p.Publish("v1.2.0", nil)
	for try := 1; try <= mostTries; try++ {
		l.takes(now, ErrPlaced)
		if err := l.folder.GoBack("v1.2.0", "it ran and did not report", time.Now().Add(-tryAgain*time.Duration(mostTries+1-try))); err != nil {
			t.Fatal(err)
		}
		l.expect(now, "")
	}
	if _, err := l.updater(now).attempt(t.Context()); err == nil || !strings.Contains(err.Error(), "tried 3 times and is not tried again") {
		t.Errorf("got %v", err)
	}
	if err := l.folder.GoBack("v1.3.0", "it ran and did not report", time.Now()); err != nil {
		t.Fatal(err)
	}
	p.Publish("v1.3.0", nil)
	if _, err := l.updater(now).attempt(t.Context()); err == nil || !strings.Contains(err.Error(), "is tried again after") {
		t.Errorf("got %v", err)
	}
	p.Publish("v1.4.0", nil) // what mends it need not wait
	l.takes(now, ErrPlaced)
}

// Whoever holds the whole collector sends what they like: nothing of it is ever
// started.
func TestNothingOfAnAttackersRuns(t *testing.T) {
	p, thief := publishertest.New(t, now), publishertest.New(t, now)
	p.Publish("v1.1.0", nil)
	old := p.Metadata()
	p.Publish("v1.2.0", nil)
	thief.Publish("v9.0.0", nil)
	evil := func(_, _ string, offset uint64) ([]byte, error) {
		whole := []byte("evil of 14 byt")
		return whole[min(int(offset), len(whole)):], nil
	}
	offer := func(m publisher.Metadata) func() (publisher.Metadata, bool, error) {
		return func() (publisher.Metadata, bool, error) { return m, true, nil }
	}
	oneKey := publishertest.New(t, now)
	oneKey.Release("v9.0.0", nil)
	mixed := p.Metadata()
	mixed.Targets = thief.Metadata().Targets
	rooted := thief.Metadata()
	rooted.Roots = append(rooted.Roots, thief.Metadata().Roots...)
	noLinux := publishertest.New(t, now)
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("for Windows"), 0o755); err != nil {
		t.Fatal(err)
	}
	ours := honest(t, p).part
	for name, attack := range map[string]struct {
		source counter
		want   error // nil: any
	}{
		"a release of their own":        {counter{offer(thief.Metadata()), evil}, publisher.ErrNotSigned},
		"and their root beside it":      {counter{offer(rooted), evil}, publisher.ErrNotSigned},
		"ours, with their programs":     {counter{offer(p.Metadata()), evil}, publisher.ErrNotSigned},
		"our word, with their list":     {counter{offer(mixed), evil}, publisher.ErrNotSigned},
		"nothing at all":                {counter{offer(publisher.Metadata{}), evil}, publisher.ErrMalformed},
		"a part that is too long":       {counter{offer(p.Metadata()), func(_, _ string, _ uint64) ([]byte, error) { return make([]byte, MaxPart+1), nil }}, publisher.ErrNotSigned},
		"more than there is":            {counter{offer(p.Metadata()), func(_, _ string, _ uint64) ([]byte, error) { return make([]byte, 15), nil }}, publisher.ErrNotSigned},
		"parts without end, of nothing": {counter{offer(p.Metadata()), func(_, _ string, _ uint64) ([]byte, error) { return nil, nil }}, publisher.ErrNotSigned},
		"a part again and again":        {counter{offer(p.Metadata()), func(v, s string, _ uint64) ([]byte, error) { return ours(v, s, 0) }}, publisher.ErrNotSigned},
		"a program that ends in between": {counter{offer(p.Metadata()), func(v, s string, o uint64) ([]byte, error) {
			if o >= 5 {
				return nil, errors.New("gone")
			}
			return ours(v, s, o)
		}}, nil},
		"the program of another system": {counter{offer(p.Metadata()), func(_, _ string, o uint64) ([]byte, error) {
			return []byte("program v1.1.0")[o:], nil
		}}, publisher.ErrNotSigned},
	} {
		l := newLaptop(t, p)
		l.source = &attack.source
		placed, err := l.updater(now).attempt(t.Context())
		if err == nil || errors.Is(err, ErrPlaced) || attack.want != nil && !errors.Is(err, attack.want) {
			t.Errorf("%s: got %v, %v, want %v", name, placed, err, attack.want)
		}
		l.expect(now, "")
	}

	l := newLaptop(t, p)
	l.takes(now, ErrPlaced)
	l.expect(now, "v1.2.0")
	l.source = &counter{offer(old), ours} // an old release, as it was signed
	l.takes(now, publisher.ErrOlder)

	// One that is older than what runs, by a laptop that has forgotten what it saw.
	l = newLaptop(t, p)
	l.this.Version = "v1.5.0"
	l.takes(now, nil)
	l.expect(now, "")

	// A system for which there is none.
	noLinux.Publish("v1.2.0", map[string]string{"windows-amd64": program})
	l = newLaptop(t, noLinux)
	if _, err := l.updater(now).attempt(t.Context()); err == nil || !strings.Contains(err.Error(), "no program for this system") {
		t.Errorf("got %v", err)
	}

	// One of the publisher's people alone, with the key that says what is current.
	for i, signs := range [][]int{{0, 3}, {3}, {}} {
		p := publishertest.New(t, now)
		p.Release("v9.0.0", nil)
		p.Sign(signs...)
		l := newLaptop(t, p)
		if l.takes(now, publisher.ErrNotSigned); l.starts(now) != "" {
			t.Errorf("%d: it runs", i)
		}
	}
}

// Whoever can write the state folder has nothing of theirs started either.
func TestNothingThatWasPlacedByOthersRuns(t *testing.T) {
	p, thief := publishertest.New(t, now), publishertest.New(t, now)
	p.Publish("v1.2.0", nil)
	thief.Publish("v9.0.0", nil)
	for name, change := range map[string]func(l *laptop) error{
		"another program": func(l *laptop) error {
			return os.WriteFile(l.folder.path("v1.2.0", programFile), []byte("evil of 14 byt"), 0o755)
		},
		"a longer program": func(l *laptop) error {
			return os.WriteFile(l.folder.path("v1.2.0", programFile), []byte("program v1.2.0 and more"), 0o755)
		},
		"another signature": func(l *laptop) error { return l.folder.save(thief.Metadata(), "v1.2.0", signedFile) },
		"none":              func(l *laptop) error { return os.Remove(l.folder.path("v1.2.0", signedFile)) },
		"a name that leads elsewhere": func(l *laptop) error {
			return l.folder.save(record{Current: "../../../bin"}, recordFile)
		},
		"a version that it is not": func(l *laptop) error {
			return errors.Join(os.Rename(l.folder.path("v1.2.0"), l.folder.path("v7.0.0")), l.folder.save(record{Current: "v7.0.0"}, recordFile))
		},
		"a folder for all": func(l *laptop) error { return os.Chmod(l.folder.path("v1.2.0"), 0o777) },
	} {
		if name == "a folder for all" && runtime.GOOS == "windows" {
			continue // a mode says nothing there; shared/durable tests access lists
		}
		l := newLaptop(t, p)
		l.takes(now, ErrPlaced)
		if err := change(l); err != nil {
			t.Fatal(err)
		}
		if got := l.starts(now); got != "" {
			t.Errorf("%s: %s is started", name, got)
		}
	}
	l := newLaptop(t, p)
	l.takes(now, ErrPlaced)
	if err := os.WriteFile(l.folder.path(recordFile), []byte(`{"current":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if path, err := l.folder.Choose(l.this, now, quiet); path != "" || err == nil {
		t.Errorf("a record that cannot be read: got %q, %v", path, err)
	}
	for name, this := range map[string]Installed{
		"without a root":    {Version: "v1.0.0", System: system},
		"built by hand":     {Version: "3890d18-dirty", System: system, Root: p.Trusted()},
		"of another system": {Version: "v1.0.0", System: "linux-arm64", Root: p.Trusted()},
		"of another root":   {Version: "v1.0.0", System: system, Root: thief.Trusted()},
	} {
		l := newLaptop(t, p)
		l.takes(now, ErrPlaced)
		l.this = this
		if got := l.starts(now); got != "" {
			t.Errorf("%s: starts %s", name, got)
		}
	}
}

func TestExpiredWordStopsNothing(t *testing.T) {
	p := publishertest.New(t, now)
	l := newLaptop(t, p)
	p.Publish("v1.2.0", nil)
	september := now.AddDate(0, 10, 0)
	l.takes(september, publisher.ErrExpired)
	l.expect(september, "")
	if err := p.Dir.Refresh(september.AddDate(0, 1, 0)); err != nil {
		t.Fatal(err)
	}
	p.Sign(3)
	l.takes(september, ErrPlaced)
	l.expect(september.AddDate(5, 0, 0), "v1.2.0")
}

func TestFetchingGoesOnWhereItWasLeft(t *testing.T) {
	p := publishertest.New(t, now)
	l := newLaptop(t, p)
	p.Publish("v1.2.0", nil)
	whole, asked := honest(t, p), []uint64{}
	cut := errors.New("the line is cut")
	broken := true
	l.source = &counter{whole.release, func(v, s string, offset uint64) ([]byte, error) {
		asked = append(asked, offset)
		if offset == 10 && broken {
			broken = false
			return nil, cut
		}
		return whole.part(v, s, offset)
	}}
	l.takes(now, cut)
	l.takes(now, ErrPlaced)
	if want := []uint64{0, 5, 10, 10}; !slices.Equal(asked, want) {
		t.Errorf("got %v, want %v", asked, want)
	}
}

func TestWatchOfATrial(t *testing.T) {
	p := publishertest.New(t, now)
	for _, c := range []struct {
		name, version string
		reports       bool
	}{{"it reports", "v1.2.0", true}, {"it does not", "v1.3.0", false}} {
		name, version, reports := c.name, c.version, c.reports
		l := newLaptop(t, p)
		p.Publish(version, nil)
		if err := errors.Join(l.folder.make(), l.folder.save(record{Trial: &trial{Version: version, Starts: 1}}, recordFile)); err != nil {
			t.Fatal(err)
		}
		synctest.Test(t, func(t *testing.T) {
			reported := make(chan struct{}, 1)
			if reports {
				reported <- struct{}{}
			}
			err := Watch(t.Context(), l.folder, version, reported, clock.System{}, quiet)
			r, failed := l.folder.record()
			if failed != nil {
				t.Fatal(failed)
			}
			if reports && (err != nil || r.Current != version || r.Trial != nil) {
				t.Errorf("%s: got %v, %+v", name, err, r)
			}
			if !reports && (!errors.Is(err, ErrBack) || r.Failed == nil || r.Trial != nil) {
				t.Errorf("%s: got %v, %+v", name, err, r)
			}
			if err := Watch(t.Context(), l.folder, version, nil, clock.System{}, quiet); err != nil {
				t.Errorf("on no trial: got %v", err)
			}
			if r, err := l.folder.record(); err != nil || r.Starts != 0 {
				t.Errorf("%s: after it has lasted: got %+v, %v", name, r, err)
			}
		})
	}
}

// What is offered is asked for at some moment within the time, and again when the
// collector has no room.
func TestRunSpreadsAndWaits(t *testing.T) {
	p := publishertest.New(t, now)
	l := newLaptop(t, p)
	p.Publish("v1.2.0", nil)
	synctest.Test(t, func(t *testing.T) {
		whole, busy := honest(t, p), 3
		l.source = &counter{whole.release, func(v, s string, offset uint64) ([]byte, error) {
			if busy > 0 {
				busy--
				return nil, ErrBusy
			}
			return whole.part(v, s, offset)
		}}
		offered := make(chan Offer, 2)
		offered <- Offer{Version: "v0.9.0", Within: time.Hour}
		offered <- Offer{Version: "v1.2.0", Within: time.Hour}
		c := l.updater(now).Config
		c.Offered = offered
		began := time.Now()
		if err := Run(t.Context(), c); !errors.Is(err, ErrPlaced) {
			t.Fatalf("got %v", err)
		}
		if took := time.Since(began); took < 3*busyPause || took > time.Hour+3*busyPause {
			t.Errorf("it took %s", took)
		}
	})
}

// What later versions write is read by the installed one, as it was always.
func TestFormOfTheRecord(t *testing.T) {
	golden := `{"current":"v1.2.0","before":"v1.1.0","starts":1,"trial":{"version":"v1.3.0","starts":2},"failed":[{"version":"v1.2.5","reason":"it was started 3 times","at":"2026-11-23T09:00:00Z","times":1}]}`
	var r record
	if err := json.Unmarshal([]byte(golden), &r); err != nil {
		t.Fatal(err)
	}
	if data, err := json.Marshal(r); err != nil || string(data) != golden {
		t.Errorf("got %s, %v", data, err)
	}
}

func FuzzRecord(f *testing.F) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"current":"v1.2.0","trial":{"version":"v1.3.0","starts":2}}`))
	f.Add([]byte(`{"trial":{"version":"../x"},"failed":[{"times":-1}]}`))
	f.Add([]byte(`{"current":"v1.2.0","before":"v1.2.0","starts":-1}`))
	f.Add([]byte(`{"current":"v1.2.0","before":"v1.1.0","starts":9}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		state := t.TempDir()
		if err := os.Chmod(state, 0o711); err != nil {
			t.Fatal(err)
		}
		folder := Where(state)
		if err := folder.make(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(folder.path(recordFile), bytes.Clone(data), 0o600); err != nil {
			t.Fatal(err)
		}
		path, err := folder.Choose(Installed{Version: "v1.0.0", System: system, Root: key.Public().(ed25519.PublicKey)}, now, quiet)
		if path != "" {
			t.Errorf("starts %s, %v", path, err)
		}
	})
}
