package beds

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"
)

const sector = 512

// gpt returns the first sectors of a disk of the given size with partitions of
// the given numbers of sectors, one after the other from 1 MiB on.
func gpt(t *testing.T, disk int64, partitions ...uint64) []byte {
	t.Helper()
	last := uint64(disk/sector) - 1
	entries := make([]byte, 128*128)
	at := uint64(1 << 20 / sector)
	for i, size := range partitions {
		e := entries[i*128:]
		// Microsoft's basic data, which Linux uses for files too.
		copy(e, []byte{0xA2, 0xA0, 0xD0, 0xEB, 0xE5, 0xB9, 0x33, 0x44, 0x87, 0xC0, 0x68, 0xB6, 0xB7, 0x26, 0x99, 0xC7})
		e[16] = byte(i + 1) // an identifier of its own
		binary.LittleEndian.PutUint64(e[32:], at)
		binary.LittleEndian.PutUint64(e[40:], at+size-1)
		at += size
	}
	var head bytes.Buffer
	head.WriteString("EFI PART")
	for _, v := range []any{
		uint32(0x00010000), uint32(92), uint32(0), uint32(0), // version, size, checksum, reserved
		uint64(1), last, uint64(34), last - 33, // this header, the other, first and last usable
		[16]byte{0xCA, 0x7E}, uint64(2), uint32(128), uint32(128), crc32.ChecksumIEEE(entries),
	} {
		must(t, binary.Write(&head, binary.LittleEndian, v))
	}
	header := head.Bytes()
	binary.LittleEndian.PutUint32(header[16:], crc32.ChecksumIEEE(header))

	image := make([]byte, 34*sector)
	copy(image[446:], []byte{0, 0, 2, 0, 0xEE, 0xFF, 0xFF, 0xFF, 1, 0, 0, 0})
	binary.LittleEndian.PutUint32(image[446+12:], uint32(last))
	image[510], image[511] = 0x55, 0xAA
	copy(image[sector:], header)
	copy(image[2*sector:], entries)
	return image
}

// partitioned puts a volume into the only partition of a stick, from 1 MiB on,
// as sticks are sold.
func partitioned(volume []byte) []byte {
	image := make([]byte, 1<<20)
	entry := image[446:]
	entry[4] = 0x07 // NTFS, exFAT or what looks like neither
	binary.LittleEndian.PutUint32(entry[8:], 1<<20/sector)
	binary.LittleEndian.PutUint32(entry[12:], uint32(len(volume)/sector))
	image[510], image[511] = 0x55, 0xAA
	return append(image, volume...)
}
