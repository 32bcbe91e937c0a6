package system

import (
	"encoding/binary"
	"reflect"
	"testing"
	"unicode/utf8"
)

// units returns a text as the registry holds it.
func units(s string) []byte {
	var b []byte
	for _, r := range s {
		b = binary.LittleEndian.AppendUint16(b, uint16(r))
	}
	return b
}

func TestRegistryValue(t *testing.T) {
	for _, c := range []struct {
		kind uint32
		data []byte
		want Value
	}{
		{regText, units("a\x00"), TextValue("a")},
		{regText, units("a"), TextValue("a")},
		{regText, units("a\x00b\x00"), TextValue("a")},
		{regText, nil, TextValue("")},
		{regText, []byte{'a'}, TextValue("")},
		{regText, []byte{0, 0xd8, 'x', 0}, TextValue("\ufffdx")},
		{regExpand, units("%x%\x00"), TextValue("%x%")},
		{regTexts, units("a\x00bc\x00\x00"), TextsValue([]string{"a", "bc"})},
		{regTexts, units("a\x00\x00b\x00\x00"), TextsValue([]string{"a"})},
		{regTexts, units("a"), TextsValue([]string{"a"})},
		{regTexts, nil, TextsValue(nil)},
		{regNumber, []byte{1, 2, 0, 0}, NumberValue(0x201)},
		{regBigEndian, []byte{1, 2, 0, 0}, NumberValue(0x1020000)},
		{regNumber, nil, FailedValue(errMalformed)},
		{regLong, []byte{1, 0, 0, 0}, FailedValue(errMalformed)},
		{regLong, []byte{0, 0, 0, 0, 0, 0, 0, 0x80}, FailedValue(ErrTooLarge)},
		{regNone, []byte{1}, BytesValue([]byte{1})},
		{regBinary, nil, BytesValue(nil)},
		{0xffff0010, []byte{1, 2}, BytesValue([]byte{1, 2})}, // a time among a device's properties
	} {
		if got, ok := registryValue(c.kind, c.data); !ok || !reflect.DeepEqual(got, c.want) {
			t.Errorf("type %#x of %v: got %+v, %v, want %+v", c.kind, c.data, got, ok, c.want)
		}
	}
	for _, kind := range []uint32{regLink, regResources, regResources + 1, regResources + 2} {
		if got, ok := registryValue(kind, []byte{1, 2}); ok {
			t.Errorf("type %d: got %+v, want it left out", kind, got)
		}
	}
}

func TestLinkTarget(t *testing.T) {
	junction := func(target string) []byte {
		b := binary.LittleEndian.AppendUint32(nil, 0xa0000003)
		b = append(b, 0, 0, 0, 0, 0, 0)
		b = binary.LittleEndian.AppendUint16(b, uint16(2*len(target)))
		return append(append(b, 0, 0, 0, 0), units(target)...)
	}
	link := func(target string, relative byte) []byte {
		b := junction(target)
		b[0] = 0x0c
		return append(append(b[:16:16], relative, 0, 0, 0), b[16:]...)
	}
	for _, c := range []struct {
		data []byte
		want string
	}{
		{junction(`\??\D:\Users`), "/D:/Users"},
		{junction(`\??\Volume{0a}\`), "Volume{0a}/"},
		{link(`\??\C:\x`, 0), "/C:/x"},
		{link(`..\x\y`, 1), "../x/y"},
		{link(`\??\UNC\server\share`, 0), "UNC/server/share"},
	} {
		if got, err := linkTarget(c.data); err != nil || got != c.want {
			t.Errorf("%q: got %q, %v, want %q", c.data, got, err, c.want)
		}
	}
	short := junction("abc")
	for _, bad := range [][]byte{nil, short[:15], short[:len(short)-1], append([]byte{0x1b, 0, 0, 0x80}, short[4:]...), link("x", 0)[:18]} {
		if got, err := linkTarget(bad); err == nil {
			t.Errorf("%q: got %q, want an error", bad, got)
		}
	}
}

func FuzzRegistryValue(f *testing.F) {
	f.Add(uint32(regText), units("a\x00b"))
	f.Add(uint32(regTexts), units("a\x00b\x00\x00"))
	f.Add(uint32(regNumber), []byte{1, 2, 3, 4})
	f.Add(uint32(0xa000000c), []byte("\x0c\x00\x00\xa0\x08\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x01\x00\x00\x00x\x00"))
	f.Fuzz(func(t *testing.T, kind uint32, data []byte) {
		v, ok := registryValue(kind, data)
		if !ok {
			return
		}
		if v.IsNull() || v.Text != nil && !utf8.ValidString(*v.Text) || len(v.Bytes) > len(data) {
			t.Errorf("type %d of %v became %+v", kind, data, v)
		}
		_, _ = linkTarget(data)
	})
}
