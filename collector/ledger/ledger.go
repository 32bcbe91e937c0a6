// Package ledger is the school's append-only record: every entry that was
// ever accepted, in one order, under one Merkle tree.
//
// An entry is acknowledged only when it is synced to disk, sent twice it is
// recorded once, and its envelope is never changed or removed. Bodies of
// sections lie apart, by retention class and month, so that they can be
// forgotten without hurting the tree.
//
// The package never opens a body, never reads the clock, never makes a random
// number and offers no update: whatever the caller does not say is not
// written, so that several collectors given the same order write the same
// bytes. shared/docs/formats.md describes every file.
package ledger

import (
	"errors"
	"fmt"
	"log/slog"

	"golang.org/x/mod/sumdb/note"

	"github.com/caretaker-school/caretaker/shared/proof"
)

// Index is an entry's place in the ledger, counted from 0.
type Index uint64

// Entry is what is appended: an envelope and the sections that it names, in
// the same order.
type Entry struct {
	Envelope proof.Envelope
	Sections []proof.Section
}

// Record is an entry as the ledger holds it. Its sections are read apart.
type Record struct {
	Index    Index
	Envelope proof.Envelope
	Encoded  []byte // the envelope's bytes: the leaf of the tree
	places   []place
}

// Options configures a ledger. Only School is required.
type Options struct {
	// School owns the ledger; an entry of another school is refused.
	School string
	// Signer signs checkpoints with the school's key. Without it the ledger
	// gives none.
	Signer note.Signer
	// Verifier checks the checkpoints found on disk. Without it they are
	// compared with the tree, but their origin is not proven.
	Verifier note.Verifier
	// Log receives a word on everything that was repaired. Nil discards it.
	Log *slog.Logger
	// SegmentBytes is the size at which a segment of envelopes is full; 0
	// means 64 MiB. It must not change over the life of a ledger that is
	// compared byte for byte with another.
	SegmentBytes int64
	// BatchBytes bounds the bytes written under one sync; 0 means 8 MiB.
	BatchBytes int64
	// PendingBytes bounds the bytes of appends that wait for a sync; 0 means
	// 64 MiB. Further appends wait for room, or for their context to end.
	PendingBytes int64
	// SnapshotEvery is the number of entries after which the index of
	// subjects is saved, so that opening reads no more than these; 0 means
	// 65,536.
	SnapshotEvery uint64

	// Wrote is called when a batch could not be written, such as on a full disk,
	// and with nil when one is again. It must not wait for the ledger.
	Wrote func(error)
	// Aside leaves the folder as it is: it need not be writable, nobody is kept
	// out, and all that is written is kept in memory and gone with Close. It is
	// for verifying a copy.
	Aside bool

	files files // nil means the operating system's
}

// Errors that callers tell apart.
var (
	// ErrConflict means that the subject already has another statement under
	// the same sequence.
	ErrConflict = errors.New("another statement is recorded under this sequence")
	// ErrOrder means that the subject has a later statement, and none under
	// this sequence.
	ErrOrder = errors.New("a later statement of this subject is recorded, and none under this sequence")
	// ErrFalse means that an entry is not what its statement or its envelope
	// says: it was not made by this program, or not sent as it was signed.
	ErrFalse = errors.New("the entry is not what it says")
	// ErrForgotten means that the body was forgotten; its hash stays.
	ErrForgotten = errors.New("this body was forgotten")
	// ErrNotFound means that the ledger has no such entry or section.
	ErrNotFound = errors.New("the ledger holds no such entry")
	// ErrClosed means that the ledger was closed, or failed to write and must
	// be opened again.
	ErrClosed = errors.New("the ledger is closed")
)

// OpenReport says what Open found and repaired.
type OpenReport struct {
	Entries uint64   // that the ledger holds
	Torn    []string // tails that a crash left and Open cut, in words
	Rebuilt []string // disposable files that were missing or wrong, in words
	Purges  []string // purges that a crash interrupted, and how they ended
}

// CorruptError names the first byte that is not what was written.
type CorruptError struct {
	File   string // below the ledger's folder
	Offset int64
	Entry  Index // the entry concerned, if Known
	Known  bool
	Err    error // what is wrong
}

func (e *CorruptError) Error() string {
	if e.Known {
		return fmt.Sprintf("entry %d, in %s: %v", e.Entry, e.File, e.Err)
	}
	return e.File + ": " + e.Err.Error()
}

// Unwrap returns what is wrong.
func (e *CorruptError) Unwrap() error { return e.Err }
