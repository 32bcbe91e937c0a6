package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"sync"

	"github.com/caretaker-school/caretaker/shared/proof"
)

// Copy is what a ledger holds at one moment, ready to be copied while appends go
// on: every file that the others cannot be made from, each as far as it was
// written then. Purges wait until Close.
type Copy struct {
	Size       uint64       // entries
	Root       proof.Digest // of their tree
	Checkpoint []byte       // the last that was given, as a rule of this size
	Files      []CopyFile

	disk    disk
	release func()
}

// CopyFile is a file of a copy: its name below the ledger's folder, with
// slashes, and how many of its bytes belong to the copy.
type CopyFile struct {
	Name string
	Size int64

	path string
	data []byte // all of it, if it is not read from the disk
}

// Copy begins a copy. Nothing that is appended later is part of it. The caller
// must close it.
func (l *Ledger) Copy(ctx context.Context) (_ *Copy, err error) {
	l.forgetting.Lock() // files of bodies stay what they are
	c := &Copy{disk: l.disk, release: sync.OnceFunc(l.forgetting.Unlock)}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	var seen published
	var ends map[drawer]bodyEnd
	var keeps map[drawer]kept
	err = l.between(ctx, func() error {
		if _, err := l.Checkpoint(ctx); err != nil { // such as on a full disk: the last one does
			l.log.Warn("ledger: no checkpoint of the present size could be given for a copy", "err", err)
		}
		seen, ends, keeps = l.view(), maps.Clone(l.fold.ends), maps.Clone(l.kept)
		l.checkpoints.Lock()
		defer l.checkpoints.Unlock()
		c.Checkpoint = bytes.Clone(l.latest.signed)
		c.add(checkpointsFile, l.latest.end)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("begin a copy of the ledger: %w", err)
	}
	c.Size, c.Root = seen.size, seen.tree.root()
	if c.Checkpoint != nil {
		c.Files = append(c.Files, CopyFile{Name: checkpointFile, Size: int64(len(c.Checkpoint)), data: c.Checkpoint})
	}
	return c, c.list(seen, ends, keeps)
}

// list lists the segments and the files of bodies.
func (c *Copy) list(seen published, ends map[drawer]bodyEnd, keeps map[drawer]kept) error {
	for n, first := range seen.starts {
		size := seen.end.offset
		if uint32(n) != seen.end.segment {
			var err error
			if size, err = c.disk.size(segmentName(first)); err != nil {
				return err
			}
		}
		c.add(segmentName(first), size)
	}
	for _, w := range slices.SortedFunc(maps.Keys(keeps), drawer.compare) {
		size, err := c.disk.size(w.kept())
		if err != nil {
			return err
		}
		c.add(w.kept(), size)
	}
	for _, w := range slices.SortedFunc(maps.Keys(ends), drawer.compare) {
		c.add(w.bodies(), ends[w].offset)
	}
	return nil
}

func (c *Copy) add(name string, size int64) {
	if size > 0 {
		c.Files = append(c.Files, CopyFile{Name: filepath.ToSlash(name), Size: size, path: name})
	}
}

// Bytes is how much there is to copy.
func (c *Copy) Bytes() (sum int64) {
	for _, f := range c.Files {
		sum += f.Size
	}
	return sum
}

// Each calls visit for every file in turn, with its bytes.
func (c *Copy) Each(visit func(f CopyFile, r io.Reader) error) error {
	for _, f := range c.Files {
		if err := c.one(f, visit); err != nil {
			return err
		}
	}
	return nil
}

func (c *Copy) one(f CopyFile, visit func(CopyFile, io.Reader) error) (err error) {
	if f.data != nil {
		return visit(f, bytes.NewReader(f.data))
	}
	open, err := c.disk.open(f.path, false)
	if err != nil {
		return fmt.Errorf("copy %s: %w", f.path, err)
	}
	defer func() { err = errors.Join(err, open.Close()) }()
	return visit(f, io.NewSectionReader(open, 0, f.Size))
}

// Close lets purges go on.
func (c *Copy) Close() { c.release() }
