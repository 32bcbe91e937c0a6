package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// maxNote bounds a signed checkpoint on disk.
const maxNote = 4096

// latest is the last checkpoint that was given.
type latest struct {
	signed []byte // nil if none was
	size   uint64
	end    int64 // of the file of all checkpoints
}

// Checkpoint signs the present size and root, records durably that they were
// given, and returns them as a signed note. If nothing was appended since the
// last, it returns that one.
func (l *Ledger) Checkpoint(ctx context.Context) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if l.o.Signer == nil {
		return nil, errors.New("give a checkpoint: the ledger was opened without the school's key")
	}
	l.checkpoints.Lock()
	defer l.checkpoints.Unlock()
	size, root := l.Root()
	if l.latest.signed != nil && l.latest.size == size {
		return l.latest.signed, nil
	}
	if err := l.failed(); err != nil {
		return nil, fmt.Errorf("give a checkpoint: %w", err)
	}
	signed, err := proof.SignCheckpoint(proof.Checkpoint{Origin: proof.Origin(l.o.School), Size: size, Root: root}, l.o.Signer)
	if err != nil {
		return nil, err
	}
	frame := durable.AppendFrame(nil, signed)
	if err := l.disk.appendAt(checkpointsFile, l.latest.end, frame); err != nil {
		return nil, fmt.Errorf("record a checkpoint: %w", err)
	}
	if err := l.disk.files.Replace(l.disk.path(checkpointFile), signed); err != nil {
		return nil, fmt.Errorf("record a checkpoint: %w", err)
	}
	l.latest = latest{signed: signed, size: size, end: l.latest.end + int64(len(frame))}
	return signed, nil
}

// LatestCheckpoint returns the last checkpoint that was given, or nil.
func (l *Ledger) LatestCheckpoint() []byte {
	l.checkpoints.Lock()
	defer l.checkpoints.Unlock()
	return bytes.Clone(l.latest.signed)
}

// appendAt writes at the end of a file and syncs it.
func (d disk) appendAt(name string, offset int64, data []byte) (err error) {
	f, err := d.open(name, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.WriteAt(data, offset); err != nil {
		return errors.Join(err, f.Truncate(offset))
	}
	if err := f.Sync(); err != nil || offset > 0 {
		return err
	}
	return d.files.SyncDir(d.dir)
}

// checkCheckpoint refuses a ledger that is shorter than, or differs from, the
// latest checkpoint that was given for it.
func (l *Ledger) checkCheckpoint() error {
	alone, err := l.disk.readAll(checkpointFile, maxNote)
	if err != nil {
		return fmt.Errorf("read %s: %w", checkpointFile, err)
	}
	given, err := l.disk.readCheckpoints()
	if err != nil {
		return err
	}
	var sizes [2]uint64
	for n, signed := range [][]byte{alone, given.last} {
		if len(signed) == 0 {
			continue
		}
		name := []string{checkpointFile, checkpointsFile}[n]
		c, err := openCheckpoint(l.o, signed)
		if err != nil {
			return &CorruptError{File: name, Err: fmt.Errorf("it, or the school's key, is not what it was: %w", err)}
		}
		if err := l.agreesWith(name, c); err != nil {
			return err
		}
		sizes[n] = c.Size
		if l.latest.signed == nil || c.Size > l.latest.size {
			l.latest.signed, l.latest.size = signed, c.Size
		}
	}
	// Each is recorded among all before it stands alone.
	switch {
	case len(alone) > 0 && sizes[0] > sizes[1], sizes[0] == sizes[1] && !bytes.Equal(alone, given.last):
		return &CorruptError{
			File: checkpointsFile, Offset: given.end,
			Err: fmt.Errorf("the latest checkpoint, of %d entries, is not among those that were given", sizes[0]),
		}
	case given.end < given.size:
		l.report.Torn = append(l.report.Torn, fmt.Sprintf("%s: %d bytes from byte %d on, never given", checkpointsFile, given.size-given.end, given.end))
		if _, err := l.disk.cut(checkpointsFile, given.end); err != nil {
			return err
		}
	}
	l.latest.end = given.end
	return nil
}

// openCheckpoint reads a checkpoint, and checks its signature if the key is
// known.
func openCheckpoint(o Options, signed []byte) (proof.Checkpoint, error) {
	if o.Verifier != nil {
		return proof.OpenCheckpoint(signed, o.Verifier, proof.Origin(o.School))
	}
	c, err := proof.ReadCheckpoint(signed)
	if err == nil && c.Origin != proof.Origin(o.School) {
		err = fmt.Errorf("it is of %q, not of %q", c.Origin, proof.Origin(o.School))
	}
	return c, err
}

func (l *Ledger) agreesWith(name string, c proof.Checkpoint) error {
	size := l.fold.tree.size
	if c.Size > size {
		return &CorruptError{
			File: segmentsDir, Entry: Index(size), Known: true,
			Err: fmt.Errorf("the ledger is shorter than its %s: it has %d entries of %d", name, size, c.Size),
		}
	}
	root, err := tlog.TreeHash(int64(c.Size), l.tlogHashes())
	if err != nil {
		return fmt.Errorf("compute the tree of the latest checkpoint: %w", err)
	}
	if proof.Digest(root) != c.Root {
		return &CorruptError{File: name, Err: fmt.Errorf("%w of this checkpoint, which has %d", errOtherTree, c.Size)}
	}
	return nil
}

// errOtherTree means that the stored hashes do not give a checkpoint's root.
var errOtherTree = errors.New("the entries are not those")

// given is what the file of all checkpoints holds.
type given struct {
	last []byte // nil if there is none
	end  int64  // of the last whole one
	size int64  // more than end if one was not written to its end
}

// readCheckpoints reads all checkpoints that were given.
func (d disk) readCheckpoints() (g given, err error) {
	f, err := d.open(checkpointsFile, false)
	if missing(err) {
		return g, nil
	}
	if err != nil {
		return g, fmt.Errorf("open %s: %w", checkpointsFile, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if g.size, err = f.Size(); err != nil {
		return g, fmt.Errorf("measure %s: %w", checkpointsFile, err)
	}
	scanner := durable.NewScanner(f, 0, g.size, maxNote)
	for scanner.Scan() {
		g.last = bytes.Clone(scanner.Payload())
	}
	g.end = scanner.Next()
	var torn *durable.TornError
	if err := scanner.Err(); err != nil && !errors.As(err, &torn) {
		return g, &CorruptError{File: checkpointsFile, Offset: g.end, Err: err}
	}
	return g, nil
}
