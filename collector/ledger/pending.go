package ledger

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/caretaker-school/caretaker/shared/proof"
)

type place struct{}
type files interface{}

// Ledger is one school's ledger, open for appending. It is safe for
// concurrent use.
type Ledger struct{}

// Open opens the ledger in dir, making it if there is none.
func Open(dir string, o Options) (*Ledger, error) { return nil, errors.ErrUnsupported }

// Report says what Open found and repaired.
func (l *Ledger) Report() OpenReport { return OpenReport{} }

// Close ends the ledger; appends that wait fail with ErrClosed.
func (l *Ledger) Close() error { return errors.ErrUnsupported }

// Append records entries in order and returns their indexes once they are
// synced to disk. A statement that is recorded already keeps its index.
func (l *Ledger) Append(ctx context.Context, entries ...Entry) ([]Index, error) {
	return nil, errors.ErrUnsupported
}

// Size returns the number of entries that are synced.
func (l *Ledger) Size() uint64 { return 0 }

// Read returns the entry at index i.
func (l *Ledger) Read(ctx context.Context, i Index) (Record, error) {
	return Record{}, errors.ErrUnsupported
}

// Entries yields the entries from first to before end, then stops.
func (l *Ledger) Entries(ctx context.Context, first, end Index) iter.Seq2[Record, error] { return nil }

// Follow yields the entries from first on and waits for more until ctx ends.
func (l *Ledger) Follow(ctx context.Context, first Index) iter.Seq2[Record, error] { return nil }

// Body returns the body of the nth section of the entry at index i.
func (l *Ledger) Body(ctx context.Context, i Index, n int) ([]byte, error) {
	return nil, errors.ErrUnsupported
}

// Section returns the nth section of a record, salt and body included.
func (l *Ledger) Section(ctx context.Context, r Record, n int) (proof.Section, error) {
	return proof.Section{}, errors.ErrUnsupported
}

// Checkpoint signs the present size and root, records that it was given, and
// returns it as a signed note.
func (l *Ledger) Checkpoint(ctx context.Context) ([]byte, error) { return nil, errors.ErrUnsupported }

// ProveInclusion proves that entry i is among the first size entries.
func (l *Ledger) ProveInclusion(i Index, size uint64) (proof.Inclusion, error) {
	return proof.Inclusion{}, errors.ErrUnsupported
}

// ProveConsistency proves that the first older entries begin the first newer.
func (l *Ledger) ProveConsistency(older, newer uint64) (proof.Consistency, error) {
	return proof.Consistency{}, errors.ErrUnsupported
}

// Stored is a body that is not forgotten, with the entry that it came with.
type Stored struct {
	Record  Record
	Number  int // of the section in the entry
	Section proof.Section
}

// Purge says what Forget did, in counts only. Its JSON is the body of the
// purge entry's section "purge".
type Purge struct {
	Class          proof.Class `json:"class"`
	Month          string      `json:"month"` // such as "2026-10"
	Forgotten      uint64      `json:"forgotten"`
	ForgottenBytes uint64      `json:"forgottenBytes"`
	Kept           uint64      `json:"kept"`
	KeptBytes      uint64      `json:"keptBytes"`
}

// Month is a month of UTC in which entries were received.
type Month struct {
	Year  int
	Month time.Month
}

// Months returns the months of a class of which bodies are held.
func (l *Ledger) Months(class proof.Class) ([]Month, error) { return nil, errors.ErrUnsupported }

// Bodies yields the bodies that are held of a class and month, in order.
func (l *Ledger) Bodies(ctx context.Context, class proof.Class, month Month) iter.Seq2[Stored, error] {
	return nil
}

// Forget forgets the bodies of a class and month but those that keep returns
// true for. The entry that records it is made by record from the counts.
func (l *Ledger) Forget(ctx context.Context, class proof.Class, month Month,
	keep func(Stored) bool, record func(Purge) (Entry, error),
) (Purge, error) {
	return Purge{}, errors.ErrUnsupported
}

// Progress is how far a verification has come.
type Progress struct{ Entries, Of uint64 }

// VerifyOptions configures a verification; the zero value checks everything
// that needs no key.
type VerifyOptions struct {
	// Signature checks the signature of an entry that has a statement. It is
	// called in order. Nil leaves signatures unchecked, and the report says so.
	Signature func(Record) error
	// Progress is called now and then.
	Progress func(Progress)
}

// VerifyReport says what was checked.
type VerifyReport struct {
	Entries     uint64       `json:"entries"`
	Root        proof.Digest `json:"root"`
	Bodies      uint64       `json:"bodies"`      // whose digest matches
	Forgotten   uint64       `json:"forgotten"`   // whose hash alone is left
	Statements  uint64       `json:"statements"`  // whose content agrees with their envelope
	Signatures  uint64       `json:"signatures"`  // of statements, that were checked
	Gaps        uint64       `json:"gaps"`        // places where a subject's statements are not consecutive
	Checkpoints uint64       `json:"checkpoints"` // that were given and agree with the tree
	Proven      bool         `json:"proven"`      // the latest checkpoint is signed by a key that we were given
}

// Verify reads the whole ledger and checks that every byte is what was
// written. Its error is a *CorruptError that names the first that is not.
func (l *Ledger) Verify(ctx context.Context, o VerifyOptions) (VerifyReport, error) {
	return VerifyReport{}, errors.ErrUnsupported
}
