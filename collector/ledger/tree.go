package ledger

import (
	"fmt"
	"io"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/caretaker-school/caretaker/shared/proof"
)

// tree is the right edge of a Merkle tree: all that is needed to append to it
// and to know its root.
type tree struct {
	size uint64
	edge [64]tlog.Hash // at each level, the last node that is complete
}

// add appends a leaf to the tree, and to stored the hashes to be stored for it.
func (t *tree) add(stored []byte, leaf tlog.Hash) []byte {
	stored = append(stored, leaf[:]...)
	level := 0
	for n := t.size; n&1 != 0; n >>= 1 {
		left := t.edge[level]
		t.edge[level] = leaf
		leaf = tlog.NodeHash(left, leaf)
		stored = append(stored, leaf[:]...)
		level++
	}
	t.edge[level] = leaf
	t.size++
	return stored
}

// root returns the hash of the whole tree.
func (t *tree) root() proof.Digest {
	if t.size == 0 {
		empty, _ := tlog.TreeHash(0, nil) // reads nothing and cannot fail
		return proof.Digest(empty)
	}
	level := bits.TrailingZeros64(t.size)
	h := t.edge[level]
	for level++; t.size>>level != 0; level++ {
		if t.size>>level&1 != 0 {
			h = tlog.NodeHash(t.edge[level], h)
		}
	}
	return proof.Digest(h)
}

// loadTree reads the right edge of the tree of a size from its stored hashes.
func loadTree(size uint64, r tlog.HashReader) (tree, error) {
	t := tree{size: size}
	var levels []int
	var indexes []int64
	for level := 0; size>>level != 0; level++ {
		levels = append(levels, level)
		indexes = append(indexes, tlog.StoredHashIndex(level, int64(size>>level)-1))
	}
	if len(indexes) == 0 {
		return t, nil
	}
	hashes, err := r.ReadHashes(indexes)
	if err != nil {
		return tree{}, err
	}
	for i, level := range levels {
		t.edge[level] = hashes[i]
	}
	return t, nil
}

// storedHashes is the number of bytes of stored hashes of a tree of a size.
func storedHashes(size uint64) int64 { return tlog.StoredHashCount(int64(size)) * tlog.HashSize }

// hashReader reads stored hashes from their file.
type hashReader struct{ file io.ReaderAt }

// ReadHashes implements tlog.HashReader.
func (r hashReader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if _, err := r.file.ReadAt(out[i][:], index*tlog.HashSize); err != nil {
			return nil, fmt.Errorf("read hash %d of the tree: %w", index, err)
		}
	}
	return out, nil
}
