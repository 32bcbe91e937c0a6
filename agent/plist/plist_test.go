package plist

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const head = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">`

func TestPlistsOfBothForms(t *testing.T) {
	want := map[string]any{
		"text": "Grüße", "long": strings.Repeat("x", 20), "number": int64(250790436864), "negative": int64(-1), "yes": true, "no": false,
		"part": 0.5, "at": time.Date(2026, 11, 18, 6, 12, 0, 0, time.UTC), "bytes": []byte{1, 2, 3}, "list": []any{"a", map[string]any{"b": int64(2)}},
	}
	asXML := head + `<dict><key>text</key><string>Grüße</string><key>long</key><string>xxxxxxxxxxxxxxxxxxxx</string>
		<key>number</key><integer>250790436864</integer><key>negative</key><integer>-1</integer><key>yes</key><true/><key>no</key><false/>
		<key>part</key><real>0.5</real><key>at</key><date>2026-11-18T06:12:00Z</date><key>bytes</key><data>AQ
		ID</data><key>list</key><array><string>a</string><dict><key>b</key><integer>2</integer></dict></array></dict></plist>`
	for name, data := range map[string][]byte{"XML": []byte(asXML), "binary": binaryOf(want), "XML again": Encode(want)} {
		got, err := Parse(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(got, any(want)); diff != "" {
			t.Errorf("%s: got -, want +\n%s", name, diff)
		}
	}
}

// binaryOf writes the binary form of a property list, for tests.
func binaryOf(root any) []byte {
	w := &plistWriter{}
	top := w.object(root)
	out := []byte("bplist00")
	var table []byte
	for _, o := range w.objects {
		table = binary.BigEndian.AppendUint32(table, uint32(len(out)))
		out = append(out, o...)
	}
	at := len(out)
	out = append(out, table...)
	out = append(out, 0, 0, 0, 0, 0, 0, 4, 2)
	for _, n := range []int{len(w.objects), top, at} {
		out = binary.BigEndian.AppendUint64(out, uint64(n))
	}
	return out
}

type plistWriter struct{ objects [][]byte }

func (w *plistWriter) object(v any) int {
	n := len(w.objects)
	w.objects = append(w.objects, nil)
	w.objects[n] = w.encode(v)
	return n
}

func (w *plistWriter) encode(v any) []byte {
	sized := func(kind byte, n int) []byte {
		if n < 15 {
			return []byte{kind<<4 | byte(n)}
		}
		return binary.BigEndian.AppendUint32([]byte{kind<<4 | 15, 0x12}, uint32(n))
	}
	refs := func(list []int) (b []byte) {
		for _, r := range list {
			b = binary.BigEndian.AppendUint16(b, uint16(r))
		}
		return b
	}
	switch v := v.(type) {
	case bool:
		if v {
			return []byte{9}
		}
		return []byte{8}
	case int64:
		return binary.BigEndian.AppendUint64([]byte{0x13}, uint64(v))
	case float64:
		return binary.BigEndian.AppendUint64([]byte{0x23}, 0x3fe0000000000000) // 0.5
	case time.Time:
		seconds := v.Sub(time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)).Seconds()
		return binary.BigEndian.AppendUint64([]byte{0x33}, floatBits(seconds))
	case []byte:
		return append(sized(4, len(v)), v...)
	case string:
		if strings.Trim(v, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == "" {
			return append(sized(5, len(v)), v...)
		}
		b := sized(6, len([]rune(v)))
		for _, r := range v {
			b = binary.BigEndian.AppendUint16(b, uint16(r))
		}
		return b
	case []any:
		var list []int
		for _, x := range v {
			list = append(list, w.object(x))
		}
		return append(sized(0xa, len(v)), refs(list)...)
	case map[string]any:
		var keys, values []int
		for key, x := range v {
			keys, values = append(keys, w.object(key)), append(values, w.object(x))
		}
		return append(append(sized(0xd, len(v)), refs(keys)...), refs(values)...)
	}
	panic(fmt.Sprintf("a property list holds no %v", reflect.TypeOf(v)))
}

func floatBits(f float64) uint64 {
	var b bytes.Buffer
	if err := binary.Write(&b, binary.BigEndian, f); err != nil {
		panic(err)
	}
	return binary.BigEndian.Uint64(b.Bytes())
}

// TestPlistsThatGrowAreRefused: a list of lists that are all the same one is a
// few hundred bytes, and without a bound more than there is memory.
func TestPlistsThatGrowAreRefused(t *testing.T) {
	const lists, wide = 12, 60
	out := []byte("bplist00")
	var table []byte
	for i := range lists {
		table = append(table, byte(len(out)>>8), byte(len(out)))
		out = append(out, 0xaf, 0x10, wide)
		for range wide {
			out = append(out, byte(min(i+1, lists)))
		}
	}
	table = append(table, byte(len(out)>>8), byte(len(out)))
	out = append(out, 9)
	at := len(out)
	out = append(append(out, table...), 0, 0, 0, 0, 0, 0, 2, 1)
	for _, n := range []int{lists + 1, 0, at} {
		out = binary.BigEndian.AppendUint64(out, uint64(n))
	}
	if _, err := Parse(out); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a list that grows to %d^%d items: %v", wide, lists, err)
	}
	deep := head + strings.Repeat("<array>", 1000) + strings.Repeat("</array>", 1000) + "</plist>"
	if _, err := Parse([]byte(deep)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("lists within lists: %v", err)
	}
}

// TestPlistsThatWereCutAreRefused cuts both forms at every byte.
func TestPlistsThatWereCutAreRefused(t *testing.T) {
	want := map[string]any{"name": "Firefox", "list": []any{int64(1), true}}
	asXML := head + "<dict><key>name</key><string>Firefox</string><key>list</key><array><integer>1</integer><true/></array></dict></plist>"
	for _, data := range [][]byte{[]byte(asXML), binaryOf(want)} {
		for n := range data {
			if got, err := Parse(data[:n]); err == nil {
				t.Errorf("%d of %d bytes are %v", n, len(data), got)
			}
		}
	}
}

// FuzzPlistAgainstXML: what is read as XML is XML.
func FuzzPlistAgainstXML(f *testing.F) {
	f.Add(head + "<dict/></plist>")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := parseXML([]byte(text)); err != nil {
			return
		}
		d := xml.NewDecoder(strings.NewReader(text))
		for {
			token, err := d.Token()
			if err != nil {
				t.Fatalf("it is no XML: %v", err)
			}
			if end, ok := token.(xml.EndElement); ok && end.Name.Local == "plist" {
				return
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(head + "<dict><key>a</key><array><string>b</string><true/></array></dict></plist>"))
	f.Add(binaryOf(map[string]any{"CFBundleName": "Firefox", "list": []any{int64(1), true, "ü", []byte{1}}}))
	f.Add([]byte("bplist00"))
	f.Add([]byte(head + strings.Repeat("<array>", 70)))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := Parse(data)
		if err != nil {
			return
		}
		// What XML cannot hold, such as a control character, it holds as
		// another: from then on it stays the same.
		once, err := Parse(Encode(v))
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		twice, err := Parse(Encode(once))
		if err != nil || !bytes.Equal(Encode(once), Encode(twice)) {
			t.Errorf("%v becomes %v: %v", once, twice, err)
		}
	})
}
