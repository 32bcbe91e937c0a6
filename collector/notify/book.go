package notify

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// book is what was told: for each channel the breaches that were, the notice
// that is on its way, and when the last digest was made. It is a file of framed
// records of its own, beside the ledger and the view, so that neither a restart
// nor a view that is made again tells anything twice. Each change is on the disk
// before it counts. It is not safe for use by many goroutines.
type book struct {
	path     string
	file     *os.File // nil until the first change
	size     int64    // of what is good in it
	base     int64    // of it when it was last written whole
	channels map[string]*state
	log      []Logged // oldest first
	late     []entry  // happened, and could not be written yet
}

// state is what was told to one channel.
type state struct {
	marks     map[key]mark
	pending   *queued // on its way; nil if nothing is
	attempts  int     // that failed, of the pending
	next      time.Time
	why       string
	failing   time.Time // when the first of them failed
	digested  time.Time
	given     time.Time            // when checkpoints were last put on their way
	causes    map[string]time.Time // when each was last told at once
	delivered int
	last      time.Time // when the last notice was delivered
}

// mark says that a breach was told.
type mark struct {
	severity posture.Severity
	seen     int32 // day since 1970 on which it last stood
}

// queued is a notice on its way with the breaches that it tells.
type queued struct {
	Channel    string   `json:"channel"`
	Notice     Notice   `json:"notice"`
	Keys       []byte   `json:"keys"`       // 16 bytes each
	Severities []byte   `json:"severities"` // one each
	Before     []byte   `json:"before"`     // the severity that was told before; untold if none was
	Causes     []string `json:"causes,omitempty"`
}

const untold = 255

// Logged is a notice that was delivered, or given up.
type Logged struct {
	ID        string    `json:"id"`
	Channel   string    `json:"channel"`
	Made      time.Time `json:"made"`
	Subject   string    `json:"subject"`
	Delivered time.Time `json:"delivered,omitzero"` // zero: it was given up
	GivenUp   time.Time `json:"givenUp,omitzero"`
	Attempts  int       `json:"attempts"` // that failed
	Why       string    `json:"why,omitempty"`
}

// entry is one record of the file: one field is set.
type entry struct {
	Format    int          `json:"format,omitempty"`
	Queued    *queued      `json:"queued,omitempty"`
	Delivered *settled     `json:"delivered,omitempty"`
	Failed    *failed      `json:"failed,omitempty"`
	GivenUp   *settled     `json:"givenUp,omitempty"`
	Digested  *settled     `json:"digested,omitempty"` // the day had nothing to tell
	Removed   *settled     `json:"removed,omitempty"`
	State     *stateRecord `json:"state,omitempty"`
	Log       *Logged      `json:"log,omitempty"`
}

type settled struct {
	Channel string    `json:"channel"`
	At      time.Time `json:"at"`
}

type failed struct {
	Channel string    `json:"channel"`
	At      time.Time `json:"at"`
	Next    time.Time `json:"next"`
	Why     string    `json:"why"`
}

// stateRecord is a channel's state when the file was last written whole.
type stateRecord struct {
	Channel    string               `json:"channel"`
	Keys       []byte               `json:"keys"`
	Severities []byte               `json:"severities"`
	Seen       []int32              `json:"seen"`
	Attempts   int                  `json:"attempts,omitempty"`
	Next       time.Time            `json:"next,omitzero"`
	Why        string               `json:"why,omitempty"`
	Failing    time.Time            `json:"failing,omitzero"`
	Digested   time.Time            `json:"digested,omitzero"`
	Given      time.Time            `json:"given,omitzero"`
	Causes     map[string]time.Time `json:"causes,omitempty"`
	Delivered  int                  `json:"delivered,omitempty"`
	Last       time.Time            `json:"last,omitzero"`
	Pending    *queued              `json:"pending,omitempty"`
}

const (
	bookFile   = "told"
	bookFormat = 1
	mostRecord = 64 << 20
	mostLogged = 500
	keySize    = len(key{})
)

// openBook reads what was told. A record that a crash cut short was of
// something that had not happened yet; any other damage is an error, for to
// begin anew would tell everything again.
func openBook(path string) (*book, error) {
	b := &book{path: path, channels: map[string]*state{}}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open the record of what was told: %w", err)
	}
	if err := b.read(f); err != nil {
		return nil, errors.Join(fmt.Errorf("read the record of what was told, %s: %w", path, err), f.Close())
	}
	if b.size == 0 { // it begins anew, with its format
		return b, f.Close()
	}
	b.file = f
	return b, nil
}

func (b *book) read(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	s := durable.NewScanner(f, 0, info.Size(), mostRecord)
	for first := true; s.Scan(); first = false {
		var e entry
		if err := json.Unmarshal(s.Payload(), &e); err != nil {
			return fmt.Errorf("the record at byte %d: %w", s.Offset(), err)
		}
		if first && e.Format != bookFormat {
			return fmt.Errorf("its format is %d, and this program reads %d", e.Format, bookFormat)
		}
		if err := b.apply(e); err != nil {
			return fmt.Errorf("the record at byte %d: %w", s.Offset(), err)
		}
	}
	if _, torn := errors.AsType[*durable.TornError](s.Err()); s.Err() != nil && !torn {
		return s.Err()
	}
	b.size, b.base = s.Next(), s.Next()
	return f.Truncate(b.size)
}

// write makes a change durable, and then makes it.
func (b *book) write(e entry) error {
	if err := b.catchUp(); err != nil {
		return err
	}
	if err := b.append(e); err != nil {
		return err
	}
	return b.apply(e)
}

// happened makes a change that the world has seen already. Where it cannot be
// written it counts all the same, and is written later; only if the program is
// killed before that it happens once more.
func (b *book) happened(e entry) error {
	if err := b.apply(e); err != nil {
		return err
	}
	b.late = append(b.late, e)
	return b.catchUp()
}

// catchUp writes what could not be written before.
func (b *book) catchUp() error {
	for len(b.late) > 0 {
		if err := b.append(b.late[0]); err != nil {
			return err
		}
		b.late = b.late[1:]
	}
	return nil
}

func (b *book) append(e entry) error {
	if b.file == nil {
		if err := b.replace(frame(nil, entry{Format: bookFormat})); err != nil {
			return err
		}
	}
	data := frame(nil, e)
	_, err := b.file.WriteAt(data, b.size)
	if err == nil {
		err = durable.SyncData(b.file)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("record what is told: %w", err), b.file.Truncate(b.size))
	}
	b.size += int64(len(data))
	return nil
}

// frame appends a record. Its types are ours, so that encoding them cannot fail.
func frame(dst []byte, e entry) []byte {
	data, err := json.Marshal(e)
	if err != nil {
		panic("encode what is told: " + err.Error())
	}
	return durable.AppendFrame(dst, data)
}

// replace writes the file whole.
func (b *book) replace(data []byte) error {
	if b.file != nil {
		b.file.Close()
		b.file = nil
	}
	if err := durable.WriteFile(b.path, data, 0o600); err != nil {
		return fmt.Errorf("record what was told: %w", err)
	}
	f, err := os.OpenFile(b.path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("record what was told: %w", err)
	}
	b.file, b.size, b.base = f, int64(len(data)), int64(len(data))
	return nil
}

// compact writes the file whole, without what is over.
func (b *book) compact() error {
	data := frame(nil, entry{Format: bookFormat})
	for _, id := range slices.Sorted(maps.Keys(b.channels)) {
		data = frame(data, entry{State: b.channels[id].record(id)})
	}
	for _, l := range b.log {
		data = frame(data, entry{Log: &l})
	}
	if err := b.replace(data); err != nil {
		return err
	}
	b.late = nil // it is in what was written
	return nil
}

func (b *book) close() error {
	if b.file == nil {
		return nil
	}
	return errors.Join(b.catchUp(), b.file.Close())
}

// of returns a channel's state.
func (b *book) of(channel string) *state {
	s := b.channels[channel]
	if s == nil {
		s = &state{marks: map[key]mark{}, causes: map[string]time.Time{}}
		b.channels[channel] = s
	}
	return s
}

// apply makes a change in memory.
func (b *book) apply(e entry) error {
	switch {
	case e.Queued != nil:
		return b.of(e.Queued.Channel).queue(e.Queued)
	case e.Delivered != nil:
		b.settle(e.Delivered, false)
	case e.GivenUp != nil:
		b.settle(e.GivenUp, true)
	case e.Failed != nil:
		b.of(e.Failed.Channel).fail(e.Failed)
	case e.Digested != nil:
		b.of(e.Digested.Channel).digested = e.Digested.At
	case e.Removed != nil:
		delete(b.channels, e.Removed.Channel)
	case e.State != nil:
		return b.of(e.State.Channel).restore(e.State)
	case e.Log != nil:
		b.note(*e.Log)
	}
	return nil
}

func (b *book) note(l Logged) {
	b.log = append(b.log, l)
	if over := len(b.log) - mostLogged; over > 0 {
		b.log = slices.Delete(b.log, 0, over)
	}
}

// settle ends the way of the pending notice.
func (b *book) settle(s *settled, givenUp bool) {
	st := b.of(s.Channel)
	q := st.pending
	if q == nil {
		return
	}
	l := Logged{ID: q.Notice.ID, Channel: s.Channel, Made: q.Notice.At, Subject: q.Notice.Subject(), Attempts: st.attempts, Why: st.why}
	if givenUp {
		l.GivenUp = s.At
		st.takeBack(q)
	} else {
		l.Delivered = s.At
		st.delivered++
		st.last = s.At
	}
	b.note(l)
	st.pending, st.attempts, st.next, st.why, st.failing = nil, 0, time.Time{}, "", time.Time{}
}
