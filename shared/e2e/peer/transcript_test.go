package peer

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/enroll"
	"github.com/caretaker-school/caretaker/collector/intake"
	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// transcripts is where recorded exchanges lie, a folder for each version of
// the wire or of what is said on it: see the README there.
const transcripts = "../../wire/testdata/transcripts"

// versions lists the recorded versions.
func versions(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(transcripts)
	must(t, err)
	var all []string
	for _, e := range entries {
		if e.IsDir() {
			all = append(all, e.Name())
		}
	}
	if len(all) == 0 {
		t.Fatal("there is no recorded exchange")
	}
	return all
}

// said is one recorded message.
type said struct {
	by   string // "agent" or "collector"
	what string // in a word, such as "hello"
	data []byte // of the message, without gRPC's prefix
}

// exchange is one recorded call.
type exchange struct {
	method string
	at     time.Time // by both clocks
	said   []said
}

// write puts an exchange into a file: what it is in the first lines, and then
// each message as a line that says whose it is and lines of hexadecimal digits.
func (e exchange) write(t *testing.T, path string) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "method %s\nclock %s\n", e.method, e.at.Format(time.RFC3339Nano))
	for _, s := range e.said {
		fmt.Fprintf(&b, "\n%s: %s\n", s.by, s.what)
		for rest := hex.EncodeToString(s.data); rest != ""; {
			n := min(96, len(rest))
			fmt.Fprintln(&b, rest[:n])
			rest = rest[n:]
		}
	}
	must(t, os.WriteFile(path, []byte(b.String()), 0o644))
}

func readExchange(t *testing.T, path string) exchange {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	var e exchange
	for i, block := range strings.Split(strings.TrimSpace(string(text)), "\n\n") {
		head, rest, _ := strings.Cut(block, "\n")
		if i == 0 {
			e.method = strings.TrimPrefix(head, "method ")
			e.at, err = time.Parse(time.RFC3339Nano, strings.TrimPrefix(rest, "clock "))
			must(t, err)
			continue
		}
		by, what, _ := strings.Cut(head, ": ")
		data, err := hex.DecodeString(strings.ReplaceAll(rest, "\n", ""))
		must(t, err)
		e.said = append(e.said, said{by, what, data})
	}
	return e
}

// exchanges returns the recorded calls of a version, by name.
func exchanges(t *testing.T, version string) map[string]exchange {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(transcripts, version, "*.txt"))
	must(t, err)
	all := map[string]exchange{}
	for _, path := range paths {
		all[strings.TrimSuffix(filepath.Base(path), ".txt")] = readExchange(t, path)
	}
	if len(all) == 0 {
		t.Fatalf("version %s holds no exchange", version)
	}
	return all
}

// of returns the messages of one side.
func (e exchange) of(by string) []said {
	var all []said
	for _, s := range e.said {
		if s.by == by {
			all = append(all, s)
		}
	}
	return all
}

// one returns the only message of a name.
func (e exchange) one(t *testing.T, what string) []byte {
	t.Helper()
	for _, s := range e.said {
		if s.what == what {
			return s.data
		}
	}
	t.Fatalf("the exchange holds no %s", what)
	return nil
}

// desk is a collector that serves the one school of a data folder.
type desk struct {
	t       *testing.T
	clock   *clocktest.Driven
	place   *place
	intake  *intake.Intake
	address string
	stop    func()
}

// serve serves a data folder until the test or stop ends it.
func serve(t *testing.T, data string, at time.Time) *desk {
	t.Helper()
	schools, err := enroll.LoadSchools(data)
	must(t, err)
	if len(schools) != 1 {
		t.Fatalf("there are %d schools in %s", len(schools), data)
	}
	d := &desk{t: t, clock: clocktest.NewDriven(at)}
	ctx, cancel := context.WithCancel(context.Background())
	d.place = openPlace(t, ctx, schools[0])
	log := slog.New(loud{t})
	d.intake = intake.New(intake.Options{
		Name:    "collector",
		Schools: []intake.School{{ID: d.place.ID, Authority: d.place.Authority, Roster: d.place.roster, Ledger: d.place.ledger}},
		Desk:    enroll.NewService([]enroll.Desk{{School: schools[0], Roster: d.place.roster, Ledger: d.place.ledger}}, "collector", d.clock, log),
		Clock:   d.clock, Log: log,
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	d.address = listener.Addr().String()
	var running sync.WaitGroup
	for _, part := range []func() error{func() error { return d.intake.Serve(ctx, listener) }, func() error { return d.place.roster.Run(ctx) }} {
		running.Go(func() {
			if err := part(); err != nil {
				t.Error(err)
			}
		})
	}
	d.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		must(t, d.place.ledger.Close())
	})
	t.Cleanup(d.stop)
	return d
}

// recorded is what lies beside a version's exchanges: the device's key and the
// school's data folder as it was before the first stream.
type recorded struct {
	version string
	key     *identity.DeviceKey
	calls   map[string]exchange
}

func readRecorded(t *testing.T, version string) recorded {
	t.Helper()
	key, err := identity.LoadDeviceKey(filepath.Join(transcripts, version, "device.key.pem"))
	must(t, err)
	return recorded{version, key, exchanges(t, version)}
}

// data returns a copy of the school's data folder.
func (r recorded) data(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	must(t, os.CopyFS(dir, os.DirFS(filepath.Join(transcripts, r.version, "data"))))
	return dir
}

// streams returns the names of the recorded streams, in their order.
func (r recorded) streams() []string {
	var names []string
	for name, e := range r.calls {
		if e.method == connectMethod {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// device is the recorded device as a peer of a collector.
func (r recorded) device(t *testing.T, d *desk) *attacker {
	t.Helper()
	answer := r.enrolled(t)
	return &attacker{
		signer: &signer{t: t, school: d.place.ID, id: posture.DeviceID(answer.GetDevice()), key: r.key},
		w:      &world{t: t, address: d.address}, place: d.place, der: answer.GetCertificate(), authority: answer.GetAuthority(),
	}
}
