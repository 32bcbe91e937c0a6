package system

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
)

// What drivers of disks answer is parsed here, on every system.

var errShortAnswer = errors.New("the driver's answer is too short")

// descriptor is a STORAGE_DEVICE_DESCRIPTOR.
type descriptor struct {
	bus                               uint32 // STORAGE_BUS_TYPE
	removable                         bool
	vendor, product, revision, serial string // "" if not told
}

func parseDescriptor(data []byte) (descriptor, error) {
	if len(data) < 36 {
		return descriptor{}, errShortAnswer
	}
	text := func(field int) string {
		at := binary.LittleEndian.Uint32(data[field:])
		if at < 36 || uint64(at) >= uint64(len(data)) {
			return ""
		}
		s, _, _ := bytes.Cut(data[at:], []byte{0})
		return deviceText(s)
	}
	return descriptor{
		bus: binary.LittleEndian.Uint32(data[28:]), removable: data[10] != 0,
		vendor: text(12), product: text(16), revision: text(20), serial: text(24),
	}, nil
}

// deviceText returns a text of a device, in ASCII, without what fills its
// field.
func deviceText(s []byte) string {
	s, _, _ = bytes.Cut(s, []byte{0})
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, string(s)))
}

// partition is a PARTITION_INFORMATION_EX.
type partition struct {
	style        uint32 // 0 MBR, 1 GPT, 2 raw
	offset, size int64
	number       uint32
	kind         string // "" for raw
	active       bool   // of MBR alone
}

func parsePartition(data []byte) (partition, error) {
	if len(data) < 48 {
		return partition{}, errShortAnswer
	}
	p := partition{
		style:  binary.LittleEndian.Uint32(data),
		offset: int64(binary.LittleEndian.Uint64(data[8:])),
		size:   int64(binary.LittleEndian.Uint64(data[16:])),
		number: binary.LittleEndian.Uint32(data[24:]),
	}
	if p.offset < 0 || p.size < 0 {
		return partition{}, errors.New("the driver's answer has a partition of no possible size")
	}
	switch p.style {
	case 0:
		p.kind, p.active = fmt.Sprintf("%02X", data[32]), data[33] != 0
	case 1:
		p.kind = guidText(data[32:48])
	}
	return p, nil
}

// guidText writes the 16 bytes of a GUID as Windows' documents do, without
// braces.
func guidText(b []byte) string {
	return fmt.Sprintf("%08X-%04X-%04X-%04X-%012X",
		binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint16(b[4:]), binary.LittleEndian.Uint16(b[6:]), b[8:10], b[10:16])
}

// parseExtents returns the numbers of the disks in VOLUME_DISK_EXTENTS, each
// once, in the order given.
func parseExtents(data []byte) ([]int64, error) {
	if len(data) < 8 {
		return nil, errShortAnswer
	}
	count := binary.LittleEndian.Uint32(data)
	if uint64(count)*24+8 > uint64(len(data)) {
		return nil, errShortAnswer
	}
	if count == 0 {
		return nil, errors.New("the driver names no disk")
	}
	var disks []int64
	seen := map[int64]bool{}
	for i := range count {
		disk := int64(binary.LittleEndian.Uint32(data[8+24*i:]))
		if !seen[disk] {
			disks = append(disks, disk)
		}
		seen[disk] = true
	}
	return disks, nil
}

// parseGeometry returns the size of a sector and of the whole disk from
// DISK_GEOMETRY_EX.
func parseGeometry(data []byte) (sector, size int64, err error) {
	if len(data) < 32 {
		return 0, 0, errShortAnswer
	}
	sector = int64(binary.LittleEndian.Uint32(data[20:]))
	whole := binary.LittleEndian.Uint64(data[24:])
	if sector < 512 || sector > 1<<16 || sector&(sector-1) != 0 || whole > math.MaxInt64 {
		return 0, 0, fmt.Errorf("the driver tells of %d sectors' bytes and %d in all", sector, whole)
	}
	return sector, int64(whole), nil
}

// Where the answer to nvmeQuestion holds the controller's own description,
// and in that its serial number, as NVM Express says.
const (
	nvmeIdentify   = 48
	nvmeAnswer     = nvmeIdentify + 4096
	nvmeSerial     = 4
	nvmeSerialEnds = 24
)

// nvmeQuestion is a STORAGE_PROPERTY_QUERY for what an NVMe controller says of
// itself.
func nvmeQuestion() []byte {
	q := make([]byte, nvmeAnswer)
	for i, field := range []uint32{
		49, 0, // StorageAdapterProtocolSpecificProperty, PropertyStandardQuery
		3, 1, 1, 0, 40, 4096, // ProtocolTypeNvme, NVMeDataTypeIdentify, of the controller; from where, how much
	} {
		binary.LittleEndian.PutUint32(q[4*i:], field)
	}
	return q
}

// parseNVMe returns the serial number from the answer to nvmeQuestion.
func parseNVMe(data []byte) (string, error) {
	if len(data) < nvmeIdentify+nvmeSerialEnds {
		return "", errShortAnswer
	}
	from := uint64(binary.LittleEndian.Uint32(data[8+16:])) + 8
	if from < nvmeIdentify || from+nvmeSerialEnds > uint64(len(data)) {
		return "", errShortAnswer
	}
	serial := deviceText(data[from+nvmeSerial : from+nvmeSerialEnds])
	if serial == "" {
		return "", errors.New("the controller tells no serial number")
	}
	return serial, nil
}

// alignedSpan returns the whole sectors in which some bytes of a disk lie,
// none of them behind its end.
func alignedSpan(offset int64, length int, sector, size int64) (from, to int64) {
	if offset >= size || length <= 0 {
		return 0, 0
	}
	end := size
	if int64(length) < size-offset {
		end = offset + int64(length)
	}
	from = offset - offset%sector
	to = end + (sector-end%sector)%sector
	return from, min(to, size)
}
