package system

import (
	"bufio"
	"cmp"
	"crypto/sha1" //nolint:gosec // what catalogues from before Windows 8 list programs by
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"io"
	"slices"
)

// imageDigest is what a catalogue lists a program by: a hash of the file
// without its checksum and its signature.
type imageDigest struct {
	sha256 [sha256.Size]byte
	sha1   [sha1.Size]byte
}

// digestImage reads a program once for both hashes. It reports false for a file
// that is not laid out as linkers do, or ends within a block of 8 bytes: what
// Windows makes of those is Windows' to say.
//
// The layout is that of Microsoft's "Windows Authenticode Portable Executable
// Signature Format".
func digestImage(f io.ReaderAt, size int64) (d imageDigest, ok bool, err error) {
	skip, end, ok, err := imageParts(f, size)
	if err != nil || !ok {
		return d, false, err
	}
	modern, old := sha256.New(), sha1.New() //nolint:gosec // as above
	both := io.MultiWriter(modern, old)
	at := int64(0)
	for _, hole := range append(skip, [2]int64{end, end}) {
		part := bufio.NewReaderSize(io.NewSectionReader(f, at, hole[0]-at), 64<<10)
		if n, err := part.WriteTo(both); err != nil || n != hole[0]-at {
			return d, false, cmp.Or(err, io.ErrUnexpectedEOF)
		}
		at = hole[1]
	}
	for h, into := range map[hash.Hash][]byte{modern: d.sha256[:], old: d.sha1[:]} {
		copy(into, h.Sum(nil))
	}
	return d, true, nil
}

// imageParts returns the places that are left out of a program's hash, and
// where what is hashed ends.
func imageParts(f io.ReaderAt, size int64) (skip [][2]int64, end int64, ok bool, err error) {
	const (
		mostHeader = 64 << 10
		coff       = 24 // the mark "PE", and the header of the object file
		pe32, pe64 = 0x10b, 0x20b
		section    = 40
	)
	head := make([]byte, min(size, mostHeader))
	if n, err := f.ReadAt(head, 0); n < len(head) {
		return nil, 0, false, cmp.Or(err, io.ErrUnexpectedEOF)
	}
	word := func(at int) int64 {
		if at < 0 || at+4 > len(head) {
			return -1
		}
		return int64(binary.LittleEndian.Uint32(head[at:]))
	}
	start := int(word(0x3c))
	if len(head) < 0x40 || start < 0x40 || start+coff+96 > len(head) || string(head[start:start+4]) != "PE\x00\x00" {
		return nil, 0, false, nil
	}
	optional := start + coff
	directories := map[uint16]int{pe32: 96, pe64: 112}[binary.LittleEndian.Uint16(head[optional:])]
	if directories == 0 || word(optional+directories-4) < 5 {
		return nil, 0, false, nil // of another kind, or without a place for a signature
	}
	checksum, signature := optional+64, optional+directories+4*8
	skip = [][2]int64{{int64(checksum), int64(checksum) + 4}, {int64(signature), int64(signature) + 8}}
	end = size
	if at, length := word(signature), word(signature+4); at > 0 && length > 0 {
		if at+length != size {
			return nil, 0, false, nil
		}
		end = at
	} else if at < 0 || size%8 != 0 {
		return nil, 0, false, nil
	}
	count := int(binary.LittleEndian.Uint16(head[start+6:]))
	table := optional + int(binary.LittleEndian.Uint16(head[start+20:]))
	if count == 0 || table+count*section > len(head) {
		return nil, 0, false, nil
	}
	parts := make([][2]int64, 0, count)
	for n := range count {
		if length := word(table + n*section + 16); length > 0 {
			parts = append(parts, [2]int64{word(table + n*section + 20), length})
		}
	}
	slices.SortFunc(parts, func(a, b [2]int64) int { return cmp.Compare(a[0], b[0]) })
	next := word(optional + 60) // the headers
	for _, p := range parts {
		if p[0] != next {
			return nil, 0, false, nil // a gap or an overlap
		}
		next += p[1]
	}
	return skip, end, int64(signature)+8 <= end && next <= end, nil
}
