package ledger

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// Progress is how far a verification has come.
type Progress struct{ Entries, Of uint64 }

// VerifyOptions configures a verification; the zero value checks everything
// that needs no device's key.
type VerifyOptions struct {
	// Check is called for every entry in order. It may read the entry's
	// sections, and returns how many signatures it found to be good.
	Check func(ctx context.Context, r Record) (signatures uint64, err error)
	// Progress is called now and then.
	Progress func(Progress)
}

// VerifyReport says what was checked. After an error it says how far all was
// well.
type VerifyReport struct {
	Entries     uint64       `json:"entries"`
	Root        proof.Digest `json:"root"`
	Bodies      uint64       `json:"bodies"`      // whose hash is the one that their entry names
	Forgotten   uint64       `json:"forgotten"`   // sections of which the hash alone is left
	Statements  uint64       `json:"statements"`  // that agree with their envelope
	Signatures  uint64       `json:"signatures"`  // that Check found to be good
	Gaps        uint64       `json:"gaps"`        // statements that do not follow their subject's last
	Checkpoints uint64       `json:"checkpoints"` // that were given, and agree with the tree
	Proven      bool         `json:"proven"`      // they are signed by a key that was given to us
}

// Verify reads the whole ledger, as it is when the call begins, and checks
// that every byte is what was written: envelopes against the tree, the tree
// against every checkpoint that was given, bodies against their hashes, each
// report against the one before. Its error is, or wraps, a *CorruptError that
// names the first byte that is not.
func (l *Ledger) Verify(ctx context.Context, o VerifyOptions) (VerifyReport, error) {
	l.forgetting.Lock() // files of bodies stay what they are
	defer l.forgetting.Unlock()
	c := newChecker(ctx, l, o)
	err := l.between(ctx, func() error {
		c.seen, c.ends = l.view(), maps.Clone(l.fold.ends)
		return nil
	})
	if err == nil {
		err = c.all()
	}
	if err = errors.Join(err, c.close()); err != nil {
		return c.report, fmt.Errorf("verify ledger: %w", err)
	}
	return c.report, nil
}

// checker walks a ledger once.
type checker struct {
	ctx    context.Context //nolint:containedctx // of the one Verify that it is made for
	l      *Ledger
	o      VerifyOptions
	seen   published
	ends   map[drawer]bodyEnd
	report VerifyReport
	tree   tree
	chain  map[subjectKey]link
	bodies map[drawer]*bodyCursor

	hashes, rows *bufio.Reader // what is stored, read along
	derivation   []byte        // hashes of the entry at hand
	given        []proof.Checkpoint
}

// link is the last statement of a subject.
type link struct {
	sequence uint64
	hash     proof.Digest
	index    Index
}

func newChecker(ctx context.Context, l *Ledger, o VerifyOptions) *checker {
	return &checker{ctx: ctx, l: l, o: o, chain: map[subjectKey]link{}, bodies: map[drawer]*bodyCursor{}}
}

func (c *checker) all() error {
	c.hashes = bufio.NewReaderSize(io.NewSectionReader(c.l.hashes, 0, storedHashes(c.seen.size)), 64<<10)
	c.rows = bufio.NewReaderSize(io.NewSectionReader(c.l.entries, 0, int64(c.seen.size)*entryInfoSize), 64<<10)
	if err := c.readCheckpoints(); err != nil {
		return err
	}
	if err := c.passCheckpoints(); err != nil {
		return err
	}
	err := c.l.disk.walk(c.seen.starts, 0, spot{}, c.seen.end, c.entry)
	if err != nil {
		return err
	}
	if c.report.Entries != c.seen.size {
		return &CorruptError{
			File: segmentsDir, Entry: Index(c.report.Entries), Known: true,
			Err: fmt.Errorf("the segments hold %d entries of %d", c.report.Entries, c.seen.size),
		}
	}
	if len(c.given) > 0 {
		return &CorruptError{
			File: checkpointsFile,
			Err:  fmt.Errorf("a checkpoint of %d entries was given, but the ledger has %d", c.given[0].Size, c.seen.size),
		}
	}
	c.report.Root = c.tree.root()
	if c.o.Progress != nil {
		c.o.Progress(Progress{c.seen.size, c.seen.size})
	}
	return c.leftOver()
}

func (c *checker) close() error {
	var errs []error
	for _, b := range c.bodies {
		errs = append(errs, b.close())
	}
	return errors.Join(errs...)
}

// entry checks one envelope and all that hangs on it.
func (c *checker) entry(r Record, at spot, _ int64) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	corrupt := func(err error) error {
		return &CorruptError{File: segmentName(c.seen.starts[at.segment]), Offset: at.offset, Entry: r.Index, Known: true, Err: err}
	}
	if r.Envelope.School != c.l.o.School {
		return corrupt(fmt.Errorf("it is of school %q, but the ledger of %q", r.Envelope.School, c.l.o.School))
	}
	if err := c.derived(r, at); err != nil {
		return err
	}
	if err := c.statement(r); err != nil {
		return corrupt(err)
	}
	for n := range r.Envelope.Sections {
		if err := c.section(r, n); err != nil {
			return err
		}
	}
	if c.o.Check != nil {
		good, err := c.o.Check(c.ctx, r)
		if err != nil {
			return corrupt(err)
		}
		c.report.Signatures += good
	}
	c.report.Entries++
	if c.o.Progress != nil && c.report.Entries%4096 == 0 {
		c.o.Progress(Progress{c.report.Entries, c.seen.size})
	}
	return c.passCheckpoints()
}

// derived compares the tree and the row of an entry with what is stored.
func (c *checker) derived(r Record, at spot) error {
	first := storedHashes(c.tree.size)
	c.derivation = c.tree.add(c.derivation[:0], tlog.Hash(proof.LeafHash(r.Encoded)))
	for n := range len(c.derivation) / tlog.HashSize {
		var stored tlog.Hash
		if _, err := io.ReadFull(c.hashes, stored[:]); err != nil {
			return &CorruptError{File: hashesFile, Offset: first, Entry: r.Index, Known: true, Err: fmt.Errorf("read it: %w", err)}
		}
		if !bytes.Equal(stored[:], c.derivation[n*tlog.HashSize:][:tlog.HashSize]) {
			return &CorruptError{
				File: hashesFile, Offset: first + int64(n)*tlog.HashSize, Entry: r.Index, Known: true,
				Err: fmt.Errorf("the stored hash is not that of the envelopes up to entry %d; if its segment is whole, close the ledger and delete %s: it is made again", r.Index, hashesFile),
			}
		}
	}
	row := make([]byte, entryInfoSize)
	if _, err := io.ReadFull(c.rows, row); err != nil {
		return &CorruptError{File: entriesFile, Offset: int64(r.Index) * entryInfoSize, Entry: r.Index, Known: true, Err: fmt.Errorf("read it: %w", err)}
	}
	want := entryInfo{segment: at.segment, offset: uint32(at.offset)}
	if len(r.Envelope.Statement) > 0 {
		want.sequence = r.Envelope.Sequence
		if last, ok := c.chain[keyOf(r.Envelope)]; ok {
			want.previous = uint64(last.index) + 1
		}
	}
	if readEntryInfo(row) != want {
		return &CorruptError{
			File: entriesFile, Offset: int64(r.Index) * entryInfoSize, Entry: r.Index, Known: true,
			Err: fmt.Errorf("its row does not say where entry %d lies; close the ledger and delete %s: it is made again", r.Index, entriesFile),
		}
	}
	return nil
}

// statement checks that a statement says what its envelope says, and that it
// follows the one before.
func (c *checker) statement(r Record) error {
	if len(r.Envelope.Statement) == 0 {
		return nil
	}
	if err := r.Envelope.CheckStatement(); err != nil {
		return err
	}
	c.report.Statements++
	key, sequence := keyOf(r.Envelope), r.Envelope.Sequence
	last, ok := c.chain[key]
	if ok && sequence <= last.sequence {
		return fmt.Errorf("it has sequence %d, but entry %d of the same subject has %d", sequence, last.index, last.sequence)
	}
	next := link{sequence: sequence, index: r.Index}
	if r.Envelope.Kind == proof.KindReport {
		report, err := proof.DecodeReportStatement(r.Envelope.Statement)
		if err != nil {
			return err
		}
		if sequence != last.sequence+1 || report.Previous != last.hash { // both zero before the first
			c.report.Gaps++
		}
		next.hash = proof.HashReport(r.Envelope.Statement)
	}
	c.chain[key] = next
	return nil
}

// section checks one body, reading its file along.
func (c *checker) section(r Record, n int) error {
	w := drawerOf(r.Envelope, n)
	b, ok := c.bodies[w]
	if !ok {
		var err error
		if b, err = c.l.openCursor(w, c.ends[w].offset); err != nil {
			return err
		}
		c.bodies[w] = b
	}
	there, err := b.check(r, n)
	if err != nil {
		return err
	}
	if there {
		c.report.Bodies++
	} else {
		c.report.Forgotten++
	}
	return nil
}

// readCheckpoints reads every checkpoint that was given.
func (c *checker) readCheckpoints() (err error) {
	c.l.checkpoints.Lock()
	end := c.l.latest.end
	alone, err := c.l.disk.readAll(checkpointFile, maxNote)
	c.l.checkpoints.Unlock()
	if err != nil {
		return fmt.Errorf("read %s: %w", checkpointFile, err)
	}
	f, err := c.l.disk.open(checkpointsFile, end == 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", checkpointsFile, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if size, err := f.Size(); err != nil || size < end {
		return errors.Join(err, &CorruptError{File: checkpointsFile, Offset: size, Err: fmt.Errorf("it has %d bytes, but had %d", size, end)})
	}
	found := len(alone) == 0
	scanner := durable.NewScanner(f, 0, end, maxNote)
	for scanner.Scan() {
		cp, err := openCheckpoint(c.l.o, scanner.Payload())
		if err == nil && len(c.given) > 0 && cp.Size <= c.given[len(c.given)-1].Size {
			err = errors.New("it does not follow the one before")
		}
		if err != nil {
			return &CorruptError{File: checkpointsFile, Offset: scanner.Offset(), Err: err}
		}
		c.given = append(c.given, cp)
		found = found || bytes.Equal(alone, scanner.Payload())
	}
	if err := scanner.Err(); err != nil {
		return &CorruptError{File: checkpointsFile, Offset: scanner.Next(), Err: err}
	}
	if !found {
		return &CorruptError{File: checkpointFile, Err: fmt.Errorf("it is not among the %s that were given", checkpointsFile)}
	}
	c.report.Proven = c.l.o.Verifier != nil && len(c.given) > 0
	// Checkpoints given since the call began are of entries that it does not see.
	for len(c.given) > 0 && c.given[len(c.given)-1].Size > c.seen.size {
		c.given = c.given[:len(c.given)-1]
	}
	return nil
}

// passCheckpoints compares the tree with the checkpoints of its present size.
func (c *checker) passCheckpoints() error {
	for len(c.given) > 0 && c.given[0].Size == c.tree.size {
		if c.given[0].Root != c.tree.root() {
			return &CorruptError{
				File: checkpointsFile,
				Err:  fmt.Errorf("the first %d entries are not those of the checkpoint that was given for them", c.tree.size),
			}
		}
		c.given = c.given[1:]
		c.report.Checkpoints++
	}
	return nil
}

// leftOver checks that no file of bodies holds more than the entries name, and
// that none is there without an entry.
func (c *checker) leftOver() error {
	for _, b := range c.bodies {
		if err := b.atEnd(); err != nil {
			return err
		}
	}
	all, err := c.l.disk.drawers("seg", "kept")
	if err != nil {
		return err
	}
	for _, w := range all {
		if c.bodies[w] != nil {
			continue
		}
		b, err := c.l.openCursor(w, c.ends[w].offset)
		if err != nil {
			return err
		}
		if err := errors.Join(b.atEnd(), b.close()); err != nil {
			return err
		}
	}
	return nil
}
