package main

import (
	"bytes"
	"cmp"
	"debug/macho"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"slices"
)

// pageBits is to what each part is aligned: to 16 KiB, the larger of the two
// processors' pages.
const pageBits = 14

// join writes one program that runs on each processor of the given ones, as Apple's
// header <mach-o/fat.h> says: in network byte order the magic number and the number
// of parts; of each its processor, its kind, where it begins, its length and to
// what it is aligned; then the parts.
func join(w io.Writer, programs []string) error {
	type part struct {
		cpu, kind uint32
		data      []byte
	}
	var parts []part
	for _, name := range programs {
		data, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("join programs: %w", err)
		}
		f, err := macho.NewFile(bytes.NewReader(data))
		if err != nil {
			return fmt.Errorf("join programs: %s: %w", name, err)
		}
		parts = append(parts, part{uint32(f.Cpu), f.SubCpu, data})
	}
	slices.SortFunc(parts, func(a, b part) int { return cmp.Compare(a.cpu, b.cpu) })
	header := binary.BigEndian.AppendUint32(nil, macho.MagicFat)
	header = binary.BigEndian.AppendUint32(header, uint32(len(parts)))
	var body []byte
	for i, p := range parts {
		if i > 0 && p.cpu == parts[i-1].cpu {
			return fmt.Errorf("join programs: two of them are for %s", macho.Cpu(p.cpu))
		}
		at := pageEnd(8 + 20*len(parts))
		if i > 0 {
			at = pageEnd(len(body))
		}
		for _, field := range []int{int(p.cpu), int(p.kind), at, len(p.data), pageBits} {
			header = binary.BigEndian.AppendUint32(header, uint32(field))
		}
		body = append(append(body, make([]byte, at-len(body))...), p.data...)
	}
	copy(body, header)
	if _, err := w.Write(body); err != nil {
		return fmt.Errorf("join programs: %w", err)
	}
	return nil
}

// pageEnd is n, or the next page's beginning.
func pageEnd(n int) int {
	const page = 1 << pageBits
	return (n + page - 1) / page * page
}
