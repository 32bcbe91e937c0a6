package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/enroll"
	"github.com/caretaker-school/caretaker/collector/intake"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/projection"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/collector/rulebook"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// The collector's folder, beside the schools' own.
const (
	lockFile     = "lock"
	viewFolder   = "view"
	accessFolder = "access"
	servedFile   = "served.json" // where it last served, for tokens
)

// collector is an open data folder: every school with its ledger and roster,
// and the view of all of them.
type collector struct {
	data       string
	clock      clock.Clock
	log        *slog.Logger
	schools    []*school
	view       *view.View
	projection *projection.Projection
	access     *access.Access
	served     served
	running    bool       // it serves; it was not opened for one operation
	publishing sync.Mutex // held while a policy gets its number
	founding   sync.Mutex // held while a school gets its name
	rebuilds   chan chan<- error
	door       *intake.Intake // nil unless running
	close      []func() error // run last first
}

// school is one school at work.
type school struct {
	*enroll.School
	ledger   *ledger.Ledger
	roster   *roster.Roster
	verifier identity.SchoolVerifier
}

// served is where the collector was last reached.
type served struct {
	Agents string `json:"agents"`
}

// take takes the data folder, which must be there, and finds the schools in it.
// A second collector on the same folder is refused.
func take(data string, clk clock.Clock, log *slog.Logger) (_ *collector, found []*enroll.School, err error) {
	if info, err := os.Stat(data); errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("there is no data folder %s: make one with init --school NAME", data)
	} else if err != nil {
		return nil, nil, fmt.Errorf("open the data folder: %w", err)
	} else if !info.IsDir() {
		return nil, nil, fmt.Errorf("open the data folder: %s is not a folder", data)
	}
	unlock, err := durable.Lock(filepath.Join(data, lockFile))
	if err != nil {
		return nil, nil, fmt.Errorf("take the data folder %s: %w", data, err)
	}
	c := &collector{data: data, clock: clk, log: log, rebuilds: make(chan chan<- error), close: []func() error{unlock}}
	if found, err = enroll.LoadSchools(data); err != nil {
		return nil, nil, errors.Join(err, c.Close())
	}
	return c, found, nil
}

// open takes the data folder and opens all that is in it.
func open(ctx context.Context, data string, secure bool, clk clock.Clock, log *slog.Logger) (_ *collector, err error) {
	c, found, err := take(data, clk, log)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	if err := c.readServed(); err != nil {
		return nil, err
	}
	for _, f := range found {
		s, err := c.openLedger(f)
		if err != nil {
			return nil, err
		}
		s.roster, err = roster.Open(ctx, roster.Options{
			School: s.ID, Ledger: s.ledger, Verifier: s.verifier, Snapshot: s.SnapshotFile(), Log: c.log,
		})
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", s.Name, err)
		}
	}
	if c.access, err = access.Open(filepath.Join(data, accessFolder), access.Options{Clock: clk, Logger: log, Secure: secure}); err != nil {
		return nil, err
	}
	return c, c.openView()
}

// openLedger opens a school's ledger, and nothing else of it.
func (c *collector) openLedger(found *enroll.School) (s *school, err error) {
	s = &school{School: found}
	defer func() {
		if err != nil {
			err = fmt.Errorf("open %s: %w", found.Name, err)
		}
	}()
	if s.verifier, err = found.Key.Verifier(); err != nil {
		return nil, err
	}
	signer, err := found.Key.Signer()
	if err != nil {
		return nil, err
	}
	s.ledger, err = ledger.Open(found.LedgerDir(), ledger.Options{School: string(found.ID), Signer: signer, Verifier: s.verifier.Note, Log: c.log})
	if err != nil {
		return nil, err
	}
	c.close = append(c.close, s.ledger.Close)
	c.schools = append(c.schools, s)
	return s, nil
}

func (c *collector) openView() error {
	baseline, _, err := rulebook.Baseline()
	if err != nil {
		return err
	}
	compiled, err := policy.Encode(baseline)
	if err != nil {
		return err
	}
	var sources []projection.School
	for _, s := range c.schools {
		sources = append(sources, projection.School{ID: s.ID, Name: s.Name, Ledger: s.ledger, Verifier: s.verifier})
	}
	if err := c.room(); err != nil {
		return err
	}
	made := sha256.Sum256(compiled)
	c.view, err = view.Open(filepath.Join(c.data, viewFolder), view.Options{
		Facts: projection.NewFacts(sources), Made: hex.EncodeToString(made[:]), Log: c.log,
	})
	if err != nil {
		return err
	}
	c.close = append(c.close, c.closeView)
	c.projection, err = projection.New(projection.Options{
		View: c.view, Schools: sources, Baseline: baseline, Room: c.room, Clock: c.clock, Log: c.log,
	})
	return err
}

// viewRoom is what must be free on the disk before anything is written to the
// view, in bytes. Its database writes through mapped memory, where a full disk
// is no error but the end of the program; this is more than it writes between
// two looks, what it does by itself included.
const viewRoom = 96 << 20

// room says why nothing may be written to the view now.
func (c *collector) room() error {
	free, err := durable.Free(c.data)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	if err == nil && free < viewRoom {
		err = fmt.Errorf("the disk of %s is full: what the pages show needs at least %d MB free; make room, and nothing is lost", c.data, viewRoom>>20)
	}
	return err
}

// closeView closes the view in order, which writes, or leaves it as a crash
// would: it is read again or made again then.
func (c *collector) closeView() error {
	if err := c.room(); err != nil {
		c.log.Warn("the view was not closed in order", "reason", err)
		return nil
	}
	return c.view.Close()
}

// Close closes everything, last opened first.
func (c *collector) Close() error {
	var err error
	for i := len(c.close) - 1; i >= 0; i-- {
		err = errors.Join(err, c.close[i]())
	}
	c.close = nil
	return err
}

// school returns the school of a name or identifier; the only one if none is
// named.
func (c *collector) school(name string) (*school, error) {
	var all []*enroll.School
	for _, s := range c.schools {
		all = append(all, s.School)
	}
	found, err := c.choose(all, name)
	if err != nil {
		return nil, err
	}
	return c.byID(found.ID), nil
}

// choose is school among those that were found, opened or not.
func (c *collector) choose(all []*enroll.School, name string) (*enroll.School, error) {
	if name == "" && len(all) == 1 {
		return all[0], nil
	}
	found, ok := enroll.FindSchool(all, name)
	switch {
	case ok:
		return found, nil
	case len(all) == 0:
		return nil, fmt.Errorf("there is no school in %s yet: make one with init --school NAME", c.data)
	case name == "":
		return nil, fmt.Errorf("there are %d schools: say which with --school", len(all))
	}
	return nil, fmt.Errorf("there is no school %q", name)
}

func (c *collector) byID(id posture.SchoolID) *school {
	for _, s := range c.schools {
		if s.ID == id {
			return s
		}
	}
	return nil
}

func (c *collector) readServed() error {
	data, err := os.ReadFile(filepath.Join(c.data, servedFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(data, &c.served)
	}
	if err != nil {
		return fmt.Errorf("read where the collector last served: %w", err)
	}
	return nil
}

func (c *collector) writeServed(agents string) error {
	c.served.Agents = agents
	data, err := json.Marshal(c.served)
	if err != nil {
		return fmt.Errorf("remember where the collector serves: %w", err)
	}
	if err := durable.WriteFile(filepath.Join(c.data, servedFile), data, 0o600); err != nil {
		return fmt.Errorf("remember where the collector serves: %w", err)
	}
	return nil
}

// DefaultData is the folder of the collector's state where the installers put
// it.
func DefaultData() string {
	switch runtime.GOOS {
	case "windows":
		return os.ExpandEnv(`${ProgramData}\Caretaker\collector`)
	case "darwin":
		return "/Library/Application Support/Caretaker/collector"
	}
	return "/var/lib/caretaker-collector"
}
