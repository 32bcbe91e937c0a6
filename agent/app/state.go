package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/caretaker-school/caretaker/agent/assess"
	"github.com/caretaker-school/caretaker/agent/spool"
	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// The files in the state folder beside those of agent/enroll and the spool.
const (
	lockFile          = "lock"
	spoolFolder       = "spool"
	chainFile         = "chain.json"         // position
	mediaLogFile      = "media-log.damaged"  // a log of media that could not be read
	sectionsFile      = "sections.json"      // what was read last
	knownFile         = "known.bin"          // executables seen before, by identity
	statusFile        = "status.json"        // what the service says of itself
	witnessFile       = "witness.json"       // the last checkpoint given
	contradictionFile = "contradiction.json" // two checkpoints that cannot both be true
)

// position is what the agent must never lose between two reports: where its
// chain stands, and the log of media with what of it was reported. Pending is
// written before a statement goes to the spool and cleared after, so that a
// crash between the two is made good at the next start.
type position struct {
	Chain    assess.Chain    `json:"chain"`
	MediaLog json.RawMessage `json:"mediaLog,omitempty"`
	// Events says which report carried the events up to which number, for
	// reports that are not acknowledged yet.
	Events []carriedEvents `json:"events,omitempty"`
	// EventsDone is the number of the last event that the collector has.
	EventsDone uint64   `json:"eventsDone"`
	Dropped    uint64   `json:"dropped"` // what the spool had dropped when that was last looked at
	Upkeep     upkeep   `json:"upkeep,omitzero"`
	Pending    *pending `json:"pending,omitempty"`
}

type carriedEvents struct {
	Sequence uint64 `json:"sequence"`
	Last     uint64 `json:"last"`
}

// eventsAfter returns the number of the last event that need not be carried
// again: a full report carries all that the collector may not have.
func (p position) eventsAfter() uint64 {
	if n := len(p.Events); n > 0 && !p.Chain.Full {
		return p.Events[n-1].Last
	}
	return p.EventsDone
}

// eventsTaken returns the highest number that any report gave to an event.
func (p position) eventsTaken() uint64 {
	if n := len(p.Events); n > 0 {
		return max(p.EventsDone, p.Events[n-1].Last)
	}
	return p.EventsDone
}

// pending is a signed statement on its way into the spool.
type pending struct {
	spool.Position
	Message []byte `json:"message"`
}

// state is the agent's folder.
type state struct{ dir string }

func (s state) path(name string) string { return filepath.Join(s.dir, name) }

// load reads a JSON file of the state folder into v, and reports whether it
// was there.
func (s state) load(name string, v any) (bool, error) {
	data, err := os.ReadFile(s.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the agent's state: %w", err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return false, fmt.Errorf("read the agent's state: %s: %w", s.path(name), err)
	}
	return true, nil
}

// save writes v as a JSON file of the state folder, durably.
func (s state) save(name string, v any) error { return s.write(name, v, 0o600) }

// publish writes what the service says of itself, which everybody on this machine
// may read.
func (s state) publish(r running) error { return s.write(statusFile, r, 0o644) }

// open lets everybody reach what is published in the folder, by its name.
// What else lies there is the service's own by the mode of each file.
func (s state) open() error {
	if err := os.Chmod(s.dir, 0o711); err != nil {
		return fmt.Errorf("open the agent's state folder for its status: %w", err)
	}
	return nil
}

func (s state) write(name string, v any, mode fs.FileMode) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write the agent's state: %s: %w", name, err)
	}
	if err := durable.WriteFile(s.path(name), data, mode); err != nil {
		return fmt.Errorf("write the agent's state: %w", err)
	}
	return nil
}

// lastRead is what was read last.
type lastRead struct {
	Bodies []wire.Body     `json:"bodies"`
	Memory json.RawMessage `json:"memory,omitempty"` // what spares asking again
}

// lastRead returns what was read last, and whether there is any.
func (s state) lastRead() (r lastRead, found bool, err error) {
	if found, err = s.load(sectionsFile, &r); err != nil {
		return lastRead{}, false, err
	}
	return r, found, nil
}

// witness is the last checkpoint given, with the note that the school signed.
type witness struct {
	proof.Witness
	Note string `json:"note"`
}

// contradiction is two checkpoints, signed by the school, that were given in
// this order and cannot both be true.
type contradiction struct {
	First string    `json:"first"`
	Then  string    `json:"then"`
	At    time.Time `json:"at"` // when the second was given
}
