package system

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
)

// learnPartitions takes from a reading where partitions begin on the disks of
// a Windows machine: what lies there is read through the whole disk.
func (s *scrubber) learnPartitions(r *reading) {
	if r.Rows == string(DiskVolumes) && r.List != nil {
		for _, row := range *r.List {
			at, disks := row["Offset"].Number, row["Disks"].Numbers
			if at != nil && len(disks) == 1 {
				s.partition("/device/PhysicalDrive"+strconv.FormatInt(disks[0], 10), *at)
			}
		}
	}
	if r.Base64 == nil || !strings.HasPrefix(r.Part, "/device/PhysicalDrive") {
		return
	}
	data, err := base64.StdEncoding.DecodeString(*r.Base64)
	switch {
	case err != nil:
	case (r.Offset == 0 || len(data) == 512) && len(data) >= 512 && string(data[510:512]) == "\x55\xaa":
		// A table by itself is that of a partition that holds others.
		s.partition(r.Part, r.Offset)
		for entry := data[446:510]; len(entry) > 0; entry = entry[16:] {
			s.partition(r.Part, r.Offset+512*int64(binary.LittleEndian.Uint32(entry[8:])))
		}
	case isPartitionTable(r.Offset, data):
		for ; len(data) >= partitionEntry; data = data[partitionEntry:] {
			if first := binary.LittleEndian.Uint64(data[32:]); first < 1<<50 {
				s.partition(r.Part, r.Offset/2*int64(first))
			}
		}
	}
}

// partition notes where a partition begins. One that would begin within the
// table of partitions is none: it stands there for programs that know no GPT.
func (s *scrubber) partition(disk string, start int64) {
	if start >= 16<<10 {
		s.starts[disk] = append(s.starts[disk], start)
	}
}

// inPartition returns an offset on a disk as one in the partition there, if it
// is known to be in one.
func (s *scrubber) inPartition(disk string, offset int64) int64 {
	start := int64(0)
	for _, at := range s.starts[disk] {
		if at <= offset {
			start = max(start, at)
		}
	}
	return offset - start
}

// device scrubs the bytes of a disk, a volume or a partition.
func (s *scrubber) device(r *reading, data []byte) []byte {
	kept := keepHeaders(data, s.inPartition(r.Part, r.Offset))
	if isPartitionTable(r.Offset, data) {
		s.partitionIDs(kept, data)
	}
	return kept
}

// partitionEntry is the size of an entry in a table of partitions (GPT).
const partitionEntry = 128

// isPartitionTable tells the table of partitions by its place: it is read only
// after its signature. The head of a Linux file system lies at the same place
// of a partition, and has a mark of its own: of ext or F2FS.
func isPartitionTable(offset int64, data []byte) bool {
	return (offset == 2*512 || offset == 2*4096) &&
		!(len(data) >= 58 && string(data[56:58]) == "\x53\xef") && !bytes.HasPrefix(data, []byte("\x10\x20\xf5\xf2"))
}

// partitionIDs puts into the entries of a table what the identifiers of their
// partitions are called elsewhere: Windows' volumes have the same.
func (s *scrubber) partitionIDs(kept, data []byte) {
	for at := 0; at+partitionEntry <= len(data); at += partitionEntry {
		id := data[at+16 : at+32]
		if slices.ContainsFunc(id, func(b byte) bool { return b != 0 }) {
			copy(kept[at+16:], guidBytes(s.shape(guidText(id), true)))
		}
	}
}

// guidBytes is the inverse of guidText.
func guidBytes(text string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || len(b) != 16 {
		return nil
	}
	slices.Reverse(b[:4])
	slices.Reverse(b[4:6])
	slices.Reverse(b[6:8])
	return b
}
