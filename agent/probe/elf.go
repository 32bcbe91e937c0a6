package probe

import (
	"encoding/binary"
	"io"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// elfHeader is what is needed of the head of an ELF file.
type elfHeader struct {
	order            binary.ByteOrder
	wide             bool // 64 bits
	kind, machine    uint16
	entry, programs  uint64 // address of the first instruction, offset of the program headers
	count, entrySize int    // of program headers
}

func elfHeaderOf(head []byte) (elfHeader, bool) {
	if len(head) < 20 || string(head[:4]) != "\x7fELF" {
		return elfHeader{}, false
	}
	h := elfHeader{wide: head[4] == 2, order: binary.LittleEndian}
	if head[4] != 1 && head[4] != 2 || head[5] != 1 && head[5] != 2 {
		return elfHeader{}, false
	}
	if head[5] == 2 {
		h.order = binary.BigEndian
	}
	h.kind, h.machine = h.order.Uint16(head[16:]), h.order.Uint16(head[18:])
	switch {
	case h.wide && len(head) >= 64:
		h.entry, h.programs = h.order.Uint64(head[24:]), h.order.Uint64(head[32:])
		h.entrySize, h.count = int(h.order.Uint16(head[54:])), int(h.order.Uint16(head[56:]))
	case !h.wide && len(head) >= 52:
		h.entry, h.programs = uint64(h.order.Uint32(head[24:])), uint64(h.order.Uint32(head[28:]))
		h.entrySize, h.count = int(h.order.Uint16(head[42:])), int(h.order.Uint16(head[44:]))
	}
	return h, true
}

const (
	elfExecutable = 2 // ET_EXEC
	elfShared     = 3 // ET_DYN: a library or a position-independent program
	elfDynamic    = 2 // PT_DYNAMIC
	elfInterp     = 3 // PT_INTERP
)

// identifyELF counts ET_EXEC, and of ET_DYN what has an entry and is a
// program: it names a loader, or is marked as a static position-independent
// program, or has no dynamic section, as packed programs do. The rest are
// libraries. The format carries no product name and no signature.
func identifyELF(f io.ReaderAt, head []byte) (program, error) {
	h, ok := elfHeaderOf(head)
	if !ok {
		return program{}, nil
	}
	p := program{
		format: posture.ELF, product: posture.Read(""), version: posture.Read(""),
		signature: posture.Read(posture.Unsigned), signer: posture.Read(""),
	}
	// AppImage writes "AI" and its type, 1 or 2, into the padding of the
	// identification. Its names lie in a compressed image behind it.
	if head[8] == 'A' && head[9] == 'I' && (head[10] == 1 || head[10] == 2) {
		p.format = posture.AppImage
		p.product, p.version, p.signer = unsupported[string](), unsupported[string](), unsupported[string]()
		p.signature = unsupported[posture.SignatureState]()
		return p, nil
	}
	switch h.kind {
	case elfExecutable:
		return p, nil
	case elfShared:
		runs, err := elfRuns(f, h)
		if runs {
			return p, nil
		}
		return program{}, err
	}
	return program{}, nil
}

func elfRuns(f io.ReaderAt, h elfHeader) (bool, error) {
	size := 32
	if h.wide {
		size = 56
	}
	if h.entry == 0 || h.entrySize != size || h.count == 0 || h.count > 128 || h.programs > 1<<40 {
		return false, nil
	}
	table, err := readAt(f, int64(h.programs), size*h.count)
	if err != nil {
		return false, err
	}
	dynamic := false
	for ; len(table) >= size; table = table[size:] {
		switch h.order.Uint32(table) {
		case elfInterp:
			return true, nil
		case elfDynamic:
			dynamic = true
			pie, err := elfStaticPIE(f, h, table)
			if pie || err != nil {
				return pie, err
			}
		}
	}
	return !dynamic, nil
}

// elfStaticPIE looks for DF_1_PIE among the flags of the dynamic section.
func elfStaticPIE(f io.ReaderAt, h elfHeader, segment []byte) (bool, error) {
	const (
		flags1 = 0x6ffffffb // DT_FLAGS_1
		pie    = 0x08000000 // DF_1_PIE
	)
	var offset, length uint64
	width := 8
	if h.wide {
		offset, length = h.order.Uint64(segment[8:]), h.order.Uint64(segment[32:])
		width = 16
	} else {
		offset, length = uint64(h.order.Uint32(segment[4:])), uint64(h.order.Uint32(segment[16:]))
	}
	if offset > 1<<40 {
		return false, nil
	}
	table, err := readAt(f, int64(offset), int(min(length, 64<<10)))
	if err != nil {
		return false, err
	}
	for ; len(table) >= width; table = table[width:] {
		var tag, value uint64
		if h.wide {
			tag, value = h.order.Uint64(table), h.order.Uint64(table[8:])
		} else {
			tag, value = uint64(h.order.Uint32(table)), uint64(h.order.Uint32(table[4:]))
		}
		if tag == 0 {
			return false, nil
		}
		if tag == flags1 {
			return value&pie != 0, nil
		}
	}
	return false, nil
}
