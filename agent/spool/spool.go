// Package spool keeps what the agent wants to say until the collector has
// acknowledged it: a durable first-in-first-out queue of encoded statements
// that survives kill -9 and a power cut.
//
// It is bounded. When it is full it drops the oldest statement and counts it;
// it never drops silently, and it never knows what a statement means.
//
// Each statement is a file of its own, written whole or not at all. At a few
// statements an hour that costs nothing, there is no log to compact, and one
// damaged file loses one statement.
package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/caretaker-school/caretaker/shared/durable"
)

// DefaultLimit is the number of bytes that statements may take up in all
// unless Options say otherwise: years of reports from a laptop that is used.
const DefaultLimit = 64 << 20

// MaxMessage is the size of the largest statement in bytes.
const MaxMessage = 16 << 20

// Position orders statements: by the report's sequence, and after the report
// its contacts by their count.
type Position struct {
	Sequence uint64 // of the report, or of the report that a contact confirms
	Contact  uint64 // count of the contact; 0 for the report itself
}

// Before reports whether p comes before o.
func (p Position) Before(o Position) bool {
	return p.Sequence < o.Sequence || p.Sequence == o.Sequence && p.Contact < o.Contact
}

// Item is one statement, encoded for the wire.
type Item struct {
	Position
	Message []byte
}

// Stats says what waits.
type Stats struct {
	Waiting int      // statements
	Bytes   int64    // that they take up
	Dropped uint64   // statements that a full spool dropped or a damaged disk lost, ever
	Last    Position // of the newest statement; zero if none waits
}

// Options configures a spool.
type Options struct {
	Limit int64        // bytes; 0 means DefaultLimit
	Log   *slog.Logger // receives a word on everything that was lost; nil discards it
}

// Spool is safe for use by several goroutines.
type Spool struct {
	dir   string
	limit int64
	log   *slog.Logger
	wake  chan struct{} // holds a token after a Put

	mu      sync.Mutex // guards all below and the folder
	held    []held     // in order
	bytes   int64
	dropped uint64
}

// held is a statement that waits, without its message.
type held struct {
	Position
	size int64
}

// Open opens the spool in dir, and makes it if it is not there.
func Open(dir string, o Options) (*Spool, error) {
	s := &Spool{dir: dir, limit: o.Limit, log: o.Log, wake: make(chan struct{}, 1)}
	if s.limit == 0 {
		s.limit = DefaultLimit
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the spool: %w", err)
	}
	if err := s.readDropped(); err != nil {
		return nil, err
	}
	if err := s.readHeld(); err != nil {
		return nil, err
	}
	if len(s.held) > 0 {
		s.wake <- struct{}{}
	}
	return s, nil
}

// Wake returns a channel that receives after something was put.
func (s *Spool) Wake() <-chan struct{} { return s.wake }

// Put adds a statement. When it returns nil the statement survives a power
// cut. A contact replaces an earlier contact of the same report, which it
// says again; a statement that is already held is replaced by itself. It
// returns how many statements were dropped to make room.
func (s *Spool) Put(item Item) (dropped uint64, err error) {
	if len(item.Message) > MaxMessage {
		return 0, fmt.Errorf("put report %d into the spool: it has %d bytes, more than the %d allowed", item.Sequence, len(item.Message), MaxMessage)
	}
	payload := binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(item.Message)), item.Contact)
	frame := durable.AppendFrame(nil, append(payload, item.Message...))
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.dropped
	for len(s.held) > 0 && s.bytes+int64(len(frame)) > s.limit {
		if err := s.drop(s.held[0], "the spool was full"); err != nil {
			return s.dropped - before, err
		}
	}
	if err := durable.WriteFile(s.path(item.Position), frame, 0o600); err != nil {
		return s.dropped - before, fmt.Errorf("put report %d into the spool: %w", item.Sequence, err)
	}
	s.forget(item.Position)
	s.held = slices.Insert(s.held, s.search(item.Position), held{item.Position, int64(len(frame))})
	s.bytes += int64(len(frame))
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return s.dropped - before, nil
}

// After returns the first statement after a position, and false if there is
// none. The zero Position comes before all.
func (s *Spool) After(p Position) (Item, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		at := s.search(p)
		if at < len(s.held) && s.held[at].Position == p {
			at++
		}
		if at == len(s.held) {
			return Item{}, false, nil
		}
		h := s.held[at]
		message, err := s.read(h.Position)
		if err == nil {
			return Item{h.Position, message}, true, nil
		}
		if !lost(err) {
			return Item{}, false, fmt.Errorf("read report %d from the spool: %w", h.Sequence, err)
		}
		if err := s.drop(h, "its file is damaged"); err != nil {
			return Item{}, false, err
		}
	}
}

// search returns where in the list a position is, or would be.
func (s *Spool) search(p Position) int {
	at, _ := slices.BinarySearchFunc(s.held, p, compare)
	return at
}

// lost reports whether a file that could not be read never will be: it is
// damaged, gone, or lies where the disk cannot read any more. Anything else,
// such as a program that keeps it open, may pass.
func lost(err error) bool {
	var damaged *durable.CorruptError
	return errors.As(err, &damaged) || errors.Is(err, io.EOF) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EIO)
}

// Acknowledge forgets all statements up to and including a position.
func (s *Spool) Acknowledge(p Position) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.held) > 0 && !p.Before(s.held[0].Position) {
		if err := durable.Remove(s.path(s.held[0].Position)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("forget report %d, which the collector has: %w", s.held[0].Sequence, err)
		}
		s.forget(s.held[0].Position)
	}
	// A removal that a power cut undoes means only that it is sent twice.
	return nil
}

// Stats says what waits.
func (s *Spool) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := Stats{Waiting: len(s.held), Bytes: s.bytes, Dropped: s.dropped}
	if len(s.held) > 0 {
		stats.Last = s.held[len(s.held)-1].Position
	}
	return stats
}

// drop counts a statement as lost and removes it. It counts first: a crash in
// between counts it twice rather than never.
func (s *Spool) drop(h held, why string) error {
	count := binary.BigEndian.AppendUint64(nil, s.dropped+1)
	if err := durable.WriteFile(s.droppedPath(), durable.AppendFrame(nil, count), 0o600); err != nil {
		return fmt.Errorf("count a dropped report: %w", err)
	}
	s.dropped++
	s.log.Warn("statement lost from the spool", "why", why, "sequence", h.Sequence, "contact", h.Contact)
	if err := durable.Remove(s.path(h.Position)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("drop report %d: %w", h.Sequence, err)
	}
	s.forget(h.Position)
	return nil
}

// forget takes what lies in the same file as p out of the list: the same
// report, or a contact of it.
func (s *Spool) forget(p Position) {
	first := Position{Sequence: p.Sequence, Contact: min(p.Contact, 1)}
	at := s.search(first)
	if at == len(s.held) || fileName(s.held[at].Position) != fileName(p) {
		return
	}
	s.bytes -= s.held[at].size
	switch {
	case len(s.held) == 1:
		s.held = nil
	case at == 0:
		s.held = s.held[1:] // what is most frequent by far moves nothing
	default:
		s.held = slices.Delete(s.held, at, at+1)
	}
}

func (s *Spool) read(p Position) ([]byte, error) {
	f, err := os.Open(s.path(p))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	payload, err := durable.ReadFrame(f, 0, MaxMessage+8)
	if err != nil {
		return nil, err
	}
	if len(payload) < 8 || binary.BigEndian.Uint64(payload) != p.Contact {
		return nil, &durable.CorruptError{Reason: "it does not hold what it is named for"}
	}
	return payload[8:], nil
}

func (s *Spool) readHeld() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("read the spool: %w", err)
	}
	for _, e := range entries {
		p, ok := parseFileName(e.Name())
		if !ok {
			continue
		}
		size, count, err := s.header(e.Name())
		h := held{Position{p.Sequence, count}, size}
		switch {
		case err != nil && lost(err) || err == nil && (count == 0) != (p.Contact == 0):
			if err := s.drop(held{Position: p}, "its file is damaged"); err != nil {
				return err
			}
		case err != nil:
			return fmt.Errorf("read the spool: %w", err)
		default:
			s.held = append(s.held, h)
			s.bytes += h.size
		}
	}
	slices.SortFunc(s.held, func(a, b held) int { return compare(a, b.Position) })
	return nil
}

// header reads the size of a statement's file and its contact's count.
func (s *Spool) header(name string) (size int64, count uint64, err error) {
	f, err := os.Open(filepath.Join(s.dir, name))
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, 0, err
	}
	var head [durable.FrameHeader + 8]byte
	if n, err := f.ReadAt(head[:], 0); n < len(head) {
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, 0, err
		}
		return 0, 0, &durable.CorruptError{Reason: "it is too short"}
	}
	return info.Size(), binary.BigEndian.Uint64(head[durable.FrameHeader:]), nil
}

// readDropped reads how many statements were dropped. Where that is damaged it
// begins anew, with a word: what waits is worth more than the count.
func (s *Spool) readDropped() error {
	f, err := os.Open(s.droppedPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read how many reports were dropped: %w", err)
	}
	defer f.Close()
	count, err := durable.ReadFrame(f, 0, 8)
	switch {
	case err == nil && len(count) == 8:
		s.dropped = binary.BigEndian.Uint64(count)
	case err == nil || lost(err):
		s.log.Warn("how many statements were ever lost is not known any more", "file", s.droppedPath(), "reason", err)
	default:
		return fmt.Errorf("read how many reports were dropped: %w", err)
	}
	return nil
}

func (s *Spool) path(p Position) string { return filepath.Join(s.dir, fileName(p)) }

func (s *Spool) droppedPath() string { return filepath.Join(s.dir, "dropped") }

// fileName names a statement's file. A report's contacts share one file: the
// newest says all that earlier ones said.
func fileName(p Position) string {
	if p.Contact == 0 {
		return fmt.Sprintf("%020d.report", p.Sequence)
	}
	return fmt.Sprintf("%020d.contact", p.Sequence)
}

// parseFileName reads a name that fileName made. The count of a contact is
// not in it, and is given as 1.
func parseFileName(name string) (Position, bool) {
	digits, kind, ok := strings.Cut(name, ".")
	if !ok || len(digits) != 20 {
		return Position{}, false
	}
	var p Position
	if n, err := fmt.Sscanf(digits, "%020d", &p.Sequence); err != nil || n != 1 {
		return Position{}, false
	}
	if kind == "contact" {
		p.Contact = 1
	}
	return p, fileName(p) == name
}

func compare(h held, p Position) int {
	switch {
	case h.Before(p):
		return -1
	case p.Before(h.Position):
		return 1
	}
	return 0
}
