package probe

import (
	"context"
	"encoding/binary"
	"errors"
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

// readTable reads a GPT, or the four primary partitions of an MBR.
func readTable(dev image, block int64) (map[int]string, error) {
	head, err := dev.part(0, int(2*block))
	if err != nil {
		return nil, err
	}
	if int64(len(head)) < 2*block || string(head[510:512]) != "\x55\xaa" {
		return nil, errTable
	}
	types := map[int]string{}
	if string(head[block:block+8]) != "EFI PART" {
		for i := range 4 {
			entry := head[446+16*i:]
			if entry[4] != 0 {
				types[i+1] = hexByte(entry[4])
			}
		}
		return types, nil
	}
	gpt := head[block:]
	start := binary.LittleEndian.Uint64(gpt[72:])
	count, size := binary.LittleEndian.Uint32(gpt[80:]), binary.LittleEndian.Uint32(gpt[84:])
	if start < 2 || start > 1<<20 || count > 1024 || size < 128 || size > 1024 || size%8 != 0 {
		return nil, errTable
	}
	entries, err := dev.part(int64(start)*block, int(count*size))
	if err != nil {
		return nil, err
	}
	for i := 0; i+int(size) <= len(entries); i += int(size) {
		if guid := guidText(entries[i:]); guid != "" {
			types[i/int(size)+1] = guid
		}
	}
	return types, nil
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
