package system

import (
	"encoding/binary"
	"fmt"
	"io/fs"
)

// Attributes and tags of files on Windows, as they stand on its disks.
const (
	attributeDirectory = 0x10
	attributeReparse   = 0x400
)

// listed is one name in a folder, as Windows tells it of the folder's handle.
type listed struct {
	name              []byte // UTF-16, little-endian
	attributes, tag   uint32
	id                fileID
	size              int64
	modified, changed int64 // as in FileIdentity
}

// fileID is what a file system calls a file: 128 bits, of which most use 64.
type fileID struct{ low, high uint64 }

// identity makes a FileIdentity of what was listed in a volume.
func (e *listed) identity(volume uint64) FileIdentity {
	return FileIdentity{
		Device: volume ^ e.id.high, Inode: e.id.low, Size: e.size, Modified: e.modified, Changed: e.changed,
	}
}

// isDots tells the folder itself and the one above it.
func (e *listed) isDots() bool {
	return len(e.name) == 2 && e.name[0] == '.' && e.name[1] == 0 ||
		len(e.name) == 4 && e.name[0] == '.' && e.name[1] == 0 && e.name[2] == '.' && e.name[3] == 0
}

// isName reports whether it is a name of one thing in the folder, and not one
// by which Windows would look elsewhere. No folder of Windows' own has others,
// but that of a stick that was made to hurt might.
func (e *listed) isName() bool {
	const longest = 2 * 255 // bytes
	if len(e.name) == 0 || len(e.name)%2 != 0 || len(e.name) > longest {
		return false
	}
	for n := e.name; len(n) > 0; n = n[2:] {
		switch binary.LittleEndian.Uint16(n) {
		case 0, '\\', '/', ':':
			return false
		}
	}
	return true
}

// fileTime turns Windows' count of 100 ns since 1601 into nanoseconds since
// 1970; 0, which means that there is none, stays 0.
func fileTime(t int64) int64 {
	const from1601to1970 = 116444736000000000
	if t == 0 {
		return 0
	}
	return (t - from1601to1970) * 100
}

// Where things stand in FILE_ID_BOTH_DIR_INFO and FILE_ID_EXTD_DIR_INFO: alike
// up to the length of the name and the tag.
const (
	listedModified   = 24
	listedChanged    = 32
	listedSize       = 40
	listedAttributes = 56
	listedNameLength = 60
	listedEASize     = 64 // the tag of a reparse point, in the shorter form
	listedTag        = 68 // the tag in the longer form
	listedBothID     = 96
	listedBothName   = 104
	listedExtdID     = 72
	listedExtdName   = 88
)

// cutListed takes the first entry off a listing, in the longer form or in the
// shorter one.
func cutListed(b []byte, long bool) (e listed, rest []byte, err error) {
	id, name := listedBothID, listedBothName
	if long {
		id, name = listedExtdID, listedExtdName
	}
	if len(b) < name {
		return e, nil, fmt.Errorf("a listing of a folder ends early: %w", fs.ErrInvalid)
	}
	le := binary.LittleEndian
	next, length := uint64(le.Uint32(b)), uint64(le.Uint32(b[listedNameLength:]))
	end := uint64(name) + length
	if end > uint64(len(b)) || next != 0 && (next < end || next > uint64(len(b))) {
		return e, nil, fmt.Errorf("a listing of a folder makes no sense: %w", fs.ErrInvalid)
	}
	e = listed{
		name: b[name:end], attributes: le.Uint32(b[listedAttributes:]), id: fileID{low: le.Uint64(b[id:])},
		size:     int64(le.Uint64(b[listedSize:])),
		modified: fileTime(int64(le.Uint64(b[listedModified:]))), changed: fileTime(int64(le.Uint64(b[listedChanged:]))),
	}
	tag := listedEASize
	if long {
		tag, e.id.high = listedTag, le.Uint64(b[id+8:])
	}
	if e.attributes&attributeReparse != 0 {
		e.tag = le.Uint32(b[tag:])
	}
	if next != 0 {
		rest = b[next:]
	}
	return e, rest, nil
}
