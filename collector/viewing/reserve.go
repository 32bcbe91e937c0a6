package viewing

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caretaker-school/caretaker/collector/body"
	"github.com/caretaker-school/caretaker/shared/durable"
)

// reserveSize is how much a school's reserve takes of the disk for good: some
// fifteen hundred looks, weeks of a school's.
const reserveSize = 256 << 10

// ErrReserveFull says that as many looks wait as there is room for.
var ErrReserveFull = errors.New("as many looks wait to be recorded as there is room kept for")

// Reserve keeps the looks of one school that its record cannot take at present, for
// want of room or because it is stopped, until it can. What they need of the disk
// was taken when the reserve was made: on the disk they are written over zeros, so
// that a full one takes them. (A file system that never writes over anything, such
// as Btrfs, may refuse them none the less; then nothing is shown.)
//
// The file is records of package durable, one a look, and zeros after them.
type Reserve struct {
	path string

	mu      sync.Mutex // guards the file and what follows
	waiting []Seen
	used    int64

	count atomic.Int64 // of waiting: whoever is asked to record them may ask
}

// reserved is one look that waits.
type reserved struct {
	Look Look      `json:"look"`
	At   time.Time `json:"at"`
}

// Check reports what is wrong with it.
func (r reserved) Check() error {
	if r.At.IsZero() {
		return errors.New("a look was at some time")
	}
	return r.Look.Check()
}

var waitingBody = body.Of[reserved]{What: "a look that waits", Most: mostBody + 100}

// OpenReserve opens a school's reserve, which is made if it is not there.
func OpenReserve(path string) (*Reserve, error) {
	r := &Reserve{path: path}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, r.make()
	}
	if err == nil {
		err = r.read(data)
	}
	if err != nil {
		return nil, fmt.Errorf("read the looks that wait to be recorded: %w", err)
	}
	return r, nil
}

// make takes the room on the disk, with nothing that waits in it.
func (r *Reserve) make() error {
	if err := durable.WriteFile(r.path, make([]byte, reserveSize), 0o600); err != nil {
		return fmt.Errorf("make the reserve for looks: %w", err)
	}
	return nil
}

// read reads what waits. What follows the last whole record is zeros, or what was
// being written when the power failed: nobody was shown anything for that.
func (r *Reserve) read(data []byte) error {
	records := durable.NewScanner(bytes.NewReader(data), 0, int64(len(data)), waitingBody.Most)
	for records.Scan() {
		one, err := waitingBody.Decode(records.Payload())
		if err != nil {
			return fmt.Errorf("%s at byte %d: %w", r.path, records.Offset(), err)
		}
		r.waiting = append(r.waiting, Seen{Look: one.Look, At: one.At})
	}
	r.used = records.Next()
	r.count.Store(int64(len(r.waiting)))
	if _, torn := errors.AsType[*durable.TornError](records.Err()); records.Err() != nil && !torn {
		return fmt.Errorf("%s: %w", r.path, records.Err())
	}
	return nil
}

// Put returns once a look is on disk.
func (r *Reserve) Put(l Look, at time.Time) error {
	data, err := waitingBody.Encode(reserved{Look: l, At: at})
	if err != nil {
		return err
	}
	frame := durable.AppendFrame(nil, data)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.used+int64(len(frame)) > reserveSize {
		return ErrReserveFull
	}
	if err := r.write(frame, r.used); err != nil {
		return fmt.Errorf("keep a look until it can be recorded: %w", err)
	}
	r.waiting = append(r.waiting, Seen{Look: l, At: at})
	r.used += int64(len(frame))
	r.count.Add(1)
	return nil
}

// Waiting returns how many looks wait.
func (r *Reserve) Waiting() int { return int(r.count.Load()) }

// Settle has record record what waits, all of it or nothing, and forgets it then.
// After a crash between the two it is recorded twice, which is better than never.
func (r *Reserve) Settle(record func([]Seen) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) == 0 {
		return nil
	}
	if err := record(r.waiting); err != nil {
		return err
	}
	if err := r.make(); err != nil { // a new file, so that a crash leaves all of them or none
		if over := r.write(make([]byte, r.used), 0); over != nil {
			return fmt.Errorf("forget the looks that waited: %w", errors.Join(err, over))
		}
	}
	r.waiting, r.used = nil, 0
	r.count.Store(0)
	return nil
}

// write writes over a part of the file and returns once it is on disk.
func (r *Reserve) write(data []byte, at int64) (err error) {
	f, err := os.OpenFile(r.path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.WriteAt(data, at); err != nil {
		return err
	}
	return durable.SyncData(f)
}
