package system

import (
	"encoding/binary"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
)

// field sets a number of 4 bytes in an answer.
func field(b []byte, at int, n uint32) { binary.LittleEndian.PutUint32(b[at:], n) }

func TestParseDescriptor(t *testing.T) {
	data := make([]byte, 80)
	data[10] = 1
	field(data, 12, 40)
	field(data, 16, 49)
	field(data, 20, 0)
	field(data, 24, 66)
	field(data, 28, 7)
	copy(data[40:], "SanDisk \x00Cruzer Blade    \x004C530001\x00")
	got, err := parseDescriptor(data)
	want := descriptor{bus: 7, removable: true, vendor: "SanDisk", product: "Cruzer Blade", serial: "4C530001"}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, at := range []uint32{0xffffffff, 80, 4} {
		field(data, 24, at)
		if got, err := parseDescriptor(data); err != nil || got.serial != "" {
			t.Errorf("a serial number at %d: got %q, %v", at, got.serial, err)
		}
	}
	if _, err := parseDescriptor(data[:35]); err == nil {
		t.Error("a short answer was taken")
	}
}

func TestParsePartition(t *testing.T) {
	data := make([]byte, 144)
	field(data, 8, 1<<20)
	field(data, 20, 3) // the higher half of the size
	field(data, 24, 2)
	data[32], data[33] = 7, 1
	got, err := parsePartition(data)
	if want := (partition{offset: 1 << 20, size: 3 << 32, number: 2, kind: "07", active: true}); err != nil || got != want {
		t.Errorf("MBR: got %+v, %v, want %+v", got, err, want)
	}
	field(data, 0, 1)
	raw, err := hex.DecodeString("a4bb94ded106404da16abfd50179d6ac")
	if err != nil {
		t.Fatal(err)
	}
	copy(data[32:], raw)
	got, err = parsePartition(data)
	if err != nil || got.kind != "DE94BBA4-06D1-4D40-A16A-BFD50179D6AC" || got.active {
		t.Errorf("GPT: got %+v, %v", got, err)
	}
	field(data, 0, 2)
	if got, err := parsePartition(data); err != nil || got.kind != "" || got.style != 2 {
		t.Errorf("raw: got %+v, %v", got, err)
	}
	field(data, 20, 0x80000000)
	if got, err := parsePartition(data); err == nil {
		t.Errorf("a size below nothing: got %+v", got)
	}
}

func TestParseExtents(t *testing.T) {
	data := make([]byte, 8+3*24)
	field(data, 0, 3)
	field(data, 8+24, 5)
	if got, err := parseExtents(data); err != nil || !reflect.DeepEqual(got, []int64{0, 5}) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, count := range []uint32{0, 4, 0xffffffff} {
		field(data, 0, count)
		if got, err := parseExtents(data); err == nil {
			t.Errorf("%d extents in %d bytes: got %v", count, len(data), got)
		}
	}
}

func TestParseGeometry(t *testing.T) {
	data := make([]byte, 40)
	field(data, 20, 4096)
	field(data, 28, 1)
	if sector, size, err := parseGeometry(data); err != nil || sector != 4096 || size != 1<<32 {
		t.Errorf("got %d, %d, %v", sector, size, err)
	}
	for _, sector := range []uint32{0, 100, 513, 1 << 20} {
		field(data, 20, sector)
		if _, _, err := parseGeometry(data); err == nil {
			t.Errorf("sectors of %d bytes were taken", sector)
		}
	}
}

func TestParseNVMe(t *testing.T) {
	if q := nvmeQuestion(); len(q) != nvmeAnswer || q[0] != 49 || q[8] != 3 {
		t.Errorf("the question: got %v", q[:48])
	}
	data := make([]byte, nvmeAnswer)
	field(data, 24, 40)
	copy(data[48+4:], "S4EVNF0M123456A     SAMSUNG MZVLB")
	if got, err := parseNVMe(data); err != nil || got != "S4EVNF0M123456A" {
		t.Errorf("got %q, %v", got, err)
	}
	field(data, 24, 5000)
	if got, err := parseNVMe(data); err == nil {
		t.Errorf("an answer behind its end: got %q", got)
	}
	if _, err := parseNVMe(make([]byte, nvmeAnswer)); err == nil {
		t.Error("an empty answer was taken")
	}
}

func TestAlignedSpan(t *testing.T) {
	for _, c := range []struct {
		offset, length, sector, size, from, to int64
	}{
		{0, 1, 512, 1 << 20, 0, 512},
		{3, 8, 512, 1 << 20, 0, 512},
		{510, 4, 512, 1 << 20, 0, 1024},
		{4096, 4096, 4096, 1 << 20, 4096, 8192},
		{1<<20 - 3, 100, 512, 1 << 20, 1<<20 - 512, 1 << 20},
		{1000, 100, 4096, 1025, 0, 1025},
		{1 << 20, 1, 512, 1 << 20, 0, 0},
		{1 << 62, 1 << 30, 512, 1 << 20, 0, 0},
		{5, 0, 512, 1 << 20, 0, 0},
	} {
		if from, to := alignedSpan(c.offset, int(c.length), c.sector, c.size); from != c.from || to != c.to {
			t.Errorf("%+v: got %d, %d", c, from, to)
		}
	}
}

func FuzzStorage(f *testing.F) {
	for _, size := range []int{0, 8, 40, 80, 144, nvmeAnswer} {
		f.Add(make([]byte, size), int64(3), 600)
	}
	f.Fuzz(func(t *testing.T, data []byte, offset int64, length int) {
		if d, err := parseDescriptor(data); err == nil && strings.ContainsRune(d.vendor+d.product+d.revision+d.serial, 0) {
			t.Errorf("a zero in %+v", d)
		}
		if p, err := parsePartition(data); err == nil && (p.size < 0 || p.offset < 0) {
			t.Errorf("partition %+v", p)
		}
		if disks, err := parseExtents(data); err == nil && len(disks) == 0 {
			t.Error("a volume on no disk")
		}
		_, _ = parseNVMe(data)
		_, _, _ = parseGeometry(data)
		if offset < 0 || length < 0 {
			return
		}
		const size = 1 << 30
		from, to := alignedSpan(offset, length, 512, size)
		if from%512 != 0 || to%512 != 0 || to > size || from < to && (from > offset || to < min(offset+int64(length), size)) {
			t.Errorf("%d bytes from %d: got %d to %d", length, offset, from, to)
		}
	})
}
