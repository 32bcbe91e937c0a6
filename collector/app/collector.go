package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
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

// open takes the data folder and opens all that is in it. A second collector
// on the same folder is refused.
func open(ctx context.Context, data string, secure bool, clk clock.Clock, log *slog.Logger) (_ *collector, err error) {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	c := &collector{data: data, clock: clk, log: log, rebuilds: make(chan chan<- error)}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	unlock, err := durable.Lock(filepath.Join(data, lockFile))
	if err != nil {
		return nil, fmt.Errorf("take the data folder %s: %w", data, err)
	}
	c.close = append(c.close, unlock)
	if err := c.readServed(); err != nil {
		return nil, err
	}
	found, err := enroll.LoadSchools(data)
	if err != nil {
		return nil, err
	}
	for _, s := range found {
		if err := c.openSchool(ctx, s); err != nil {
			return nil, fmt.Errorf("open %s: %w", s.Name, err)
		}
	}
	if c.access, err = access.Open(filepath.Join(data, accessFolder), access.Options{Clock: clk, Logger: log, Secure: secure}); err != nil {
		return nil, err
	}
	return c, c.openView()
}

func (c *collector) openSchool(ctx context.Context, found *enroll.School) error {
	s := &school{School: found}
	var err error
	if s.verifier, err = found.Key.Verifier(); err != nil {
		return err
	}
	signer, err := found.Key.Signer()
	if err != nil {
		return err
	}
	s.ledger, err = ledger.Open(found.LedgerDir(), ledger.Options{School: string(found.ID), Signer: signer, Verifier: s.verifier.Note, Log: c.log})
	if err != nil {
		return err
	}
	c.close = append(c.close, s.ledger.Close)
	for _, word := range s.ledger.Report().Torn {
		c.log.Warn("ledger repaired after a crash", "school", found.ID, "what", word)
	}
	s.roster, err = roster.Open(ctx, roster.Options{
		School: found.ID, Ledger: s.ledger, Verifier: s.verifier, Snapshot: found.SnapshotFile(), Log: c.log,
	})
	if err != nil {
		return err
	}
	c.schools = append(c.schools, s)
	return nil
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
	made := sha256.Sum256(compiled)
	c.view, err = view.Open(filepath.Join(c.data, viewFolder), view.Options{
		Facts: projection.NewFacts(sources), Made: hex.EncodeToString(made[:]), Log: c.log,
	})
	if err != nil {
		return err
	}
	c.close = append(c.close, c.view.Close)
	c.projection, err = projection.New(projection.Options{View: c.view, Schools: sources, Baseline: baseline, Clock: c.clock, Log: c.log})
	return err
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
	if name == "" && len(c.schools) == 1 {
		return c.schools[0], nil
	}
	var all []*enroll.School
	for _, s := range c.schools {
		all = append(all, s.School)
	}
	if found, ok := enroll.FindSchool(all, name); ok {
		return c.byID(found.ID), nil
	}
	switch {
	case len(c.schools) == 0:
		return nil, fmt.Errorf("there is no school in %s yet: make one with init --school NAME", c.data)
	case name == "":
		return nil, fmt.Errorf("there are %d schools: say which with --school", len(c.schools))
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
