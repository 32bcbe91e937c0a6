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
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/enroll"
	"github.com/caretaker-school/caretaker/collector/intake"
	"github.com/caretaker-school/caretaker/collector/notify"
	"github.com/caretaker-school/caretaker/collector/release"
	"github.com/caretaker-school/caretaker/collector/rulebook"
	"github.com/caretaker-school/caretaker/collector/saved"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/policy"
)

// The collector's folder, beside the schools' own.
const (
	lockFile     = "lock"
	viewFolder   = "view"
	accessFolder = "access"
	servedFile   = "served.json" // where it last served, for tokens
)

// collector is an open data folder: every school with its record, and the view
// of all of them.
type collector struct {
	data       string
	clock      clock.Clock
	log        *slog.Logger
	baseline   *policy.Policy
	view       *view.View
	access     *access.Access
	seniors    *access.Seniors
	saved      *saved.Store
	notices    *notify.Teller
	served     served
	givenTo    string // folder for checkpoints; "": none is given away
	aside      bool   // the folder cannot be written, and is read only
	running    bool   // it serves; it was not opened for one operation
	previews   previews
	trials     *trials         // previews that pages ask for
	unlocking  sync.Mutex      // held while a senior's key is opened
	publishing sync.Mutex      // held while a policy gets its number
	founding   sync.Mutex      // held while a school gets its name
	recalling  sync.Mutex      // held while a school is folded as it was
	signing    sync.Mutex      // held while the report of a term is signed: two signatures are two people
	raising    sync.Mutex      // held while something is reported without signing in
	keeping    sync.Mutex      // held while something is recorded in a register
	door       *intake.Intake  // nil unless running
	desks      *enroll.Service // nil unless running
	releases   *release.Store  // of the agent
	census     release.Census  // what laptops run
	updates    Updates
	certified  certified      // where the pages' certificate comes from; nil unless running with one
	close      []func() error // run last first

	mu      sync.RWMutex  // guards all below
	records []*record     // of every school in the folder, by identifier
	begin   func(*record) // has a record kept; nil unless running
}

// served is where the collector was last reached.
type served struct {
	Agents string `json:"agents"`
}

// take takes the data folder, which must be there, and finds the schools in it.
// A second collector on the same folder is refused, and so is a folder that
// cannot be written, unless it may be left aside and only read.
func take(data string, aside bool, clk clock.Clock, log *slog.Logger) (*collector, error) {
	if err := restored(data); err != nil {
		return nil, err
	}
	return takeAnyway(data, aside, clk, log)
}

// takeAnyway is take for a folder that is being restored.
func takeAnyway(data string, aside bool, clk clock.Clock, log *slog.Logger) (_ *collector, err error) {
	info, err := os.Stat(data)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no data folder %s: make one with init --school NAME", data)
	case err != nil:
		return nil, fmt.Errorf("open the data folder: %w", err)
	case !info.IsDir():
		return nil, fmt.Errorf("open the data folder: %s is not a folder", data)
	}
	c := &collector{data: data, clock: clk, log: log, trials: newTrials()}
	unlock, err := durable.Lock(filepath.Join(data, lockFile))
	switch {
	case err == nil:
		c.close = append(c.close, unlock, func() error { return handOver(data) })
	case aside && (errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission)):
		c.aside = true
	case errors.Is(err, syscall.EROFS):
		return nil, fmt.Errorf("the data folder %s is on a disk that cannot be written, and nothing can be recorded there: %w", data, err)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("the data folder %s belongs to another account: run this as that account, or give it the folder: %w", data, err)
	default:
		return nil, fmt.Errorf("take the data folder %s: %w", data, err)
	}
	found, unreadable, err := enroll.FindSchools(data)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	for _, s := range found {
		c.records = append(c.records, &record{id: s.ID, name: s.Name, found: s})
	}
	for _, u := range unreadable {
		c.records = append(c.records, &record{id: u.ID, name: u.Name, stopped: &stopped{at: clk.Now(), err: u}})
	}
	slices.SortFunc(c.records, func(a, b *record) int { return strings.Compare(string(a.id), string(b.id)) })
	return c, nil
}

// open takes the data folder and opens all that is in it. A school whose record
// cannot be opened does not keep the others from their work.
func open(ctx context.Context, data string, secure bool, clk clock.Clock, log *slog.Logger) (_ *collector, err error) {
	c, err := take(data, false, clk, log)
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
	if c.access, err = access.Open(filepath.Join(data, accessFolder), access.Options{Clock: clk, Logger: log, Secure: secure}); err != nil {
		return nil, err
	}
	c.seniors = access.OpenSeniors(filepath.Join(data, accessFolder))
	c.saved = saved.In(filepath.Join(data, "saved"))
	if c.baseline, _, err = rulebook.Baseline(); err != nil {
		return nil, err
	}
	if err := c.openView(); err != nil {
		return nil, err
	}
	c.openNotices()
	if err := c.openReleases(Updates{}); err != nil {
		return nil, err
	}
	for _, r := range c.records {
		c.rollAuthority(r)
		c.open(ctx, r)
		if why := r.why(); why != nil {
			c.log.Error("a school's record is stopped", "school", r.id, "name", r.name, "reason", why.err)
		}
	}
	return c, ctx.Err()
}

func (c *collector) openView() error {
	compiled, err := policy.Encode(c.baseline)
	if err != nil {
		return err
	}
	if err := c.room(); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(c.data, pastFolder)); err != nil { // a crash may have left it
		return fmt.Errorf("remove a school as it was: %w", err)
	}
	made := sha256.Sum256(compiled)
	c.view, err = view.Open(filepath.Join(c.data, viewFolder), view.Options{Facts: c, Made: hex.EncodeToString(made[:]), Log: c.log})
	if err != nil {
		return err
	}
	c.close = append(c.close, c.closeView)
	return nil
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
	for _, r := range c.all() {
		err = errors.Join(err, r.close())
	}
	for i := len(c.close) - 1; i >= 0; i-- {
		err = errors.Join(err, c.close[i]())
	}
	c.close = nil
	return err
}

func (c *collector) readServed() error {
	data, err := os.ReadFile(filepath.Join(c.data, servedFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read where the collector last served: %w", err)
	}
	if err := json.Unmarshal(data, &c.served); err != nil { // it is written anew at the next start; until then tokens ask for an address
		c.log.Warn("what was noted of where the collector last served cannot be read", "reason", err)
		c.served = served{}
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
