package proof

import (
	"errors"
	"fmt"
	"math"

	"golang.org/x/mod/sumdb/tlog"
)

// Inclusion proves that a leaf is in the tree of a checkpoint (RFC 6962,
// section 2.1.1). Its JSON travels in evidence.
type Inclusion struct {
	Index uint64   `json:"index"` // of the entry, from 0
	Size  uint64   `json:"size"`  // of the checkpoint's tree
	Path  []Digest `json:"path"`  // from the leaf's neighbour to the top
}

// Consistency proves that the tree of a newer checkpoint begins with that of
// an older one (RFC 6962, section 2.1.2).
type Consistency struct {
	Older uint64   `json:"older"` // size of the older tree, at least 1
	Newer uint64   `json:"newer"` // size of the newer tree
	Path  []Digest `json:"path"`
}

// maxPath bounds a proof: more than any tree of 2^63 leaves can need.
const maxPath = 128

var errTooLong = errors.New("the proof is longer than any can be")

// Verify returns nil if p proves that the entry whose leaf hash is leaf stands
// at p.Index of the tree of size p.Size with that root. Size and root must come
// from a checkpoint that the caller trusts.
func (p Inclusion) Verify(leaf, root Digest) error {
	if p.Index >= p.Size || p.Size > math.MaxInt64 {
		return fmt.Errorf("check inclusion: a tree of %d entries has none at %d", p.Size, p.Index)
	}
	if len(p.Path) > maxPath {
		return fmt.Errorf("check inclusion: %w", errTooLong)
	}
	err := tlog.CheckRecord(hashes(p.Path), int64(p.Size), tlog.Hash(root), int64(p.Index), tlog.Hash(leaf))
	if err != nil {
		return fmt.Errorf("check inclusion of entry %d: %w", p.Index, err)
	}
	return nil
}

// Verify returns nil if p proves that the tree with root newer begins with the
// tree with root older.
func (p Consistency) Verify(older, newer Digest) error {
	if p.Older < 1 || p.Older > p.Newer || p.Newer > math.MaxInt64 {
		return fmt.Errorf("check consistency: sizes %d and %d do not follow each other", p.Older, p.Newer)
	}
	if len(p.Path) > maxPath {
		return fmt.Errorf("check consistency: %w", errTooLong)
	}
	err := tlog.CheckTree(hashes(p.Path), int64(p.Newer), tlog.Hash(newer), int64(p.Older), tlog.Hash(older))
	if err != nil {
		return fmt.Errorf("check consistency of sizes %d and %d: %w", p.Older, p.Newer, err)
	}
	return nil
}

func hashes(path []Digest) []tlog.Hash {
	out := make([]tlog.Hash, len(path))
	for i, d := range path {
		out[i] = tlog.Hash(d)
	}
	return out
}
