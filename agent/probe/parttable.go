package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// partitionTable is the types of a disk's partitions, by number.
type partitionTable struct {
	types map[int]string // a GUID in lower case, or the two digits of an MBR type
	err   error
}

// The types of partition that hold no files of people.
const (
	typeESP       = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
	typeBootExtra = "bc13c2ff-59e6-4262-a352-b275fd6f7172"
	mbrESP        = "ef"
)

var typesWithoutFiles = map[string]bool{
	"e3c9e316-0b5c-4db8-817d-f92df00215ae": true, // Microsoft reserved
	"de94bba4-06d1-4d40-a16a-bfd50179d6ac": true, // Windows recovery
	"21686148-6449-6e6f-744e-656564454649": true, // BIOS boot
	"9e1a2d38-c612-4316-aa26-8b49521e5a8b": true, // PowerPC boot
	"27":                                   true, // Windows recovery
	"05":                                   true, // extended
	"0f":                                   true,
	"85":                                   true,
}

func isBootType(t string) bool { return t == typeESP || t == typeBootExtra || t == mbrESP }

var errTable = errors.New("the partition table is damaged")

// typeOf returns the type of a partition; "" if its disk has no table that
// knows it.
func (s *survey) typeOf(ctx context.Context, d *device) (string, error) {
	if d.disk == "" {
		return "", nil
	}
	disk := s.tree.devices[d.disk]
	if disk == nil || d.part == 0 {
		return "", errTable
	}
	table, done := s.tables[d.disk]
	if !done {
		var dev image
		dev, table.err = s.image(ctx, disk)
		if table.err == nil {
			block := readAttribute(ctx, s.sys, disk.path+"/queue/logical_block_size").number()
			size := int64(512)
			if block.Known() && block.Value == 4096 {
				size = block.Value
			}
			table.types, table.err = readTable(dev, size)
		}
		s.tables[d.disk] = table
	}
	return table.types[d.part], table.err
}

// tablePart is one entry of a partition table.
type tablePart struct {
	number      int
	kind        string // as in partitionTable
	id          string // what tells it apart: its GUID, or that of its table with its number
	start, size int64  // bytes
}

// readTable reads a GPT, or the four primary partitions of an MBR.
func readTable(dev image, block int64) (map[int]string, error) {
	head, err := dev.part(0, int(2*block))
	if err != nil {
		return nil, err
	}
	if int64(len(head)) < 2*block || string(head[510:512]) != "\x55\xaa" {
		return nil, errTable
	}
	list := mbrParts(head, block)
	if isGPT(head[block:]) {
		if list, err = gptParts(dev, head[block:], block); err != nil {
			return nil, err
		}
	}
	types := map[int]string{}
	for _, p := range list {
		types[p.number] = p.kind
	}
	return types, nil
}

func isGPT(head []byte) bool { return string(head[:8]) == "EFI PART" }

// mbrParts reads the four entries of an MBR.
func mbrParts(head []byte, block int64) []tablePart {
	var list []tablePart
	for i := range 4 {
		entry := head[446+16*i:]
		if entry[4] != 0 {
			list = append(list, tablePart{
				number: i + 1, kind: hexByte(entry[4]), id: serialText(head[440:]) + "-" + strconv.Itoa(i+1),
				start: int64(binary.LittleEndian.Uint32(entry[8:])) * block,
				size:  int64(binary.LittleEndian.Uint32(entry[12:])) * block,
			})
		}
	}
	return list
}

// gptParts reads the entries of a GPT.
func gptParts(dev image, gpt []byte, block int64) ([]tablePart, error) {
	start := binary.LittleEndian.Uint64(gpt[72:])
	count, size := binary.LittleEndian.Uint32(gpt[80:]), binary.LittleEndian.Uint32(gpt[84:])
	if start < 2 || start > 1<<20 || count > 1024 || size < 128 || size > 1024 || size%8 != 0 {
		return nil, errTable
	}
	entries, err := dev.part(int64(start)*block, int(count*size))
	if err != nil {
		return nil, err
	}
	var list []tablePart
	for i := 0; i+int(size) <= len(entries); i += int(size) {
		entry := entries[i:]
		guid := guidText(entry)
		if guid == "" {
			continue
		}
		p := tablePart{number: i/int(size) + 1, kind: guid, id: guidText(entry[16:])}
		first, last := binary.LittleEndian.Uint64(entry[32:]), binary.LittleEndian.Uint64(entry[40:])
		if first <= last && last < 1<<50 { // else it is nowhere
			p.start, p.size = int64(first)*block, int64(last-first+1)*block
		}
		list = append(list, p)
	}
	return list, nil
}

// extendedTypes are the MBR types of a partition that holds others.
var extendedTypes = map[string]bool{"05": true, "0f": true, "85": true}

const mbrProtective = "ee" // says that there is a GPT

// diskParts reads the partitions of a whole disk with a sector size, as the
// kernel of Linux does and with its numbers; none if it is not partitioned.
func diskParts(dev image, sector int64) ([]tablePart, error) {
	head, err := dev.part(0, int(2*sector))
	if err != nil {
		return nil, err
	}
	if int64(len(head)) < 2*sector || string(head[510:512]) != "\x55\xaa" {
		return nil, nil
	}
	list := mbrParts(head, sector)
	for i := range 4 {
		if flag := head[446+16*i]; flag != 0 && flag != 0x80 {
			return nil, nil // the start of a filesystem, which ends alike
		}
	}
	if slices.ContainsFunc(list, func(p tablePart) bool { return p.kind == mbrProtective }) {
		if !isGPT(head[sector:]) {
			return nil, errTable
		}
		return gptParts(dev, head[sector:], sector)
	}
	var all []tablePart
	next := 5
	for _, p := range list {
		switch {
		case p.size == 0 || p.start == 0:
		case extendedTypes[p.kind]:
			logical, err := logicalParts(dev, p, sector, next)
			if err != nil {
				return nil, err
			}
			all, next = append(all, logical...), next+len(logical)
		default:
			all = append(all, p)
		}
	}
	return all, nil
}

// logicalParts follows the chain of tables in an extended partition.
func logicalParts(dev image, extended tablePart, sector int64, number int) ([]tablePart, error) {
	const most = 124
	var list []tablePart
	at := extended.start
	for range most {
		head, err := dev.part(at, 512)
		if err != nil {
			return nil, err
		}
		if len(head) < 512 || string(head[510:512]) != "\x55\xaa" {
			return nil, errTable
		}
		further := int64(0)
		for _, p := range mbrParts(head, sector) {
			switch {
			case p.size == 0:
			case extendedTypes[p.kind]:
				further = extended.start + p.start
			default:
				n := number + len(list)
				list = append(list, tablePart{
					number: n, kind: p.kind, id: extended.id + "-" + strconv.Itoa(n), start: at + p.start, size: p.size,
				})
			}
		}
		if further == 0 {
			return list, nil
		}
		if further <= at {
			return nil, errTable // in a circle
		}
		at = further
	}
	return nil, errTable
}

func hexByte(b byte) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[b>>4], digits[b&15]})
}

// guidText writes 16 bytes as a GUID: its first three numbers are little-endian.
func guidText(b []byte) string {
	if len(b) < 16 {
		return ""
	}
	return strings.ToLower(uuidText([]byte{
		b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6],
		b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15],
	}))
}
