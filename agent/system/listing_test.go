package system

import (
	"encoding/binary"
	"testing"
	"unicode/utf16"
)

// listedAs writes an entry as Windows does, with room for the next.
func listedAs(name string, long, last bool, attributes, tag uint32) []byte {
	start, id := listedBothName, listedBothID
	if long {
		start, id = listedExtdName, listedExtdID
	}
	b := make([]byte, start)
	for _, u := range utf16.Encode([]rune(name)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	le := binary.LittleEndian
	le.PutUint32(b[listedNameLength:], uint32(len(b)-start))
	le.PutUint32(b[listedAttributes:], attributes)
	le.PutUint64(b[listedSize:], 7)
	le.PutUint64(b[listedChanged:], 116444736000000010)
	le.PutUint64(b[id:], 42)
	if long {
		le.PutUint64(b[id+8:], 43)
		le.PutUint32(b[listedTag:], tag)
	} else {
		le.PutUint32(b[listedEASize:], tag)
	}
	if !last {
		b = append(b, make([]byte, (8-len(b)%8)%8)...)
		le.PutUint32(b, uint32(len(b)))
	}
	return b
}

func TestListingsAreCut(t *testing.T) {
	for _, long := range []bool{true, false} {
		b := append(listedAs(".", long, false, attributeDirectory, 9), listedAs("a:b", long, false, 0, 9)...)
		b = append(b, listedAs("Bwrdd Gwaith", long, true, attributeReparse, 0xa000000c)...)
		for _, want := range []struct {
			length     int
			dots, name bool
			tag        uint32
		}{{2, true, true, 0}, {6, false, false, 0}, {24, false, true, 0xa000000c}} {
			e, rest, err := cutListed(b, long)
			must(t, err)
			if len(e.name) != want.length || e.isDots() != want.dots || e.isName() != want.name || e.tag != want.tag || e.changed != 1000 || e.modified != 0 {
				t.Errorf("long %v: got %+v", long, e)
			}
			id := e.identity(1)
			if id.Inode != 42 || id.Size != 7 || long != (id.Device == 1^43) {
				t.Errorf("long %v: got %+v", long, id)
			}
			b = rest
		}
		if len(b) != 0 {
			t.Errorf("%d bytes are left", len(b))
		}
	}
}

func FuzzListing(f *testing.F) {
	for _, long := range []bool{true, false} {
		f.Add(append(listedAs("letter.odt", long, false, 0x20, 0), listedAs("..", long, true, attributeDirectory, 0)...), long)
		f.Add(listedAs(`..\out`, long, true, 0, 0), long)
		f.Add(listedAs("cut", long, true, 0, 0)[:80], long)
	}
	f.Fuzz(func(t *testing.T, b []byte, long bool) {
		for rest := b; len(rest) > 0; {
			e, after, err := cutListed(rest, long)
			if err != nil {
				return
			}
			if e.isName() {
				for i := 0; i < len(e.name); i += 2 {
					if c := binary.LittleEndian.Uint16(e.name[i:]); c == 0 || c == '\\' || c == '/' || c == ':' {
						t.Fatalf("%x gives the name %x", b, e.name)
					}
				}
			}
			if len(after) >= len(rest) {
				t.Fatalf("%x leaves %d of %d bytes", b, len(after), len(rest))
			}
			rest = after
		}
	})
}
