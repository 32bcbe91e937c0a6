// Package plist reads and writes Apple's property lists, as XML and binary.
//
// One lies in every application, so that whoever made the application made it:
// what is read is bounded in depth and in size, and a list that was cut is an
// error. It knows no more than the values themselves.
package plist

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
)

// Bounds on a property list: a few bytes must not become gigabytes.
const (
	maxDepth = 64
	maxNodes = 400_000
	maxBytes = 32 << 20 // of texts and data, which the binary form may name many times
)

// The ways in which a property list cannot be read.
var (
	ErrUnknown  = errors.New("it is not a property list that is understood")
	ErrTooLarge = errors.New("the property list grows beyond bounds")
)

// Parse reads a property list. A value is a string, int64, float64, bool,
// time.Time, []byte, []any or map[string]any.
func Parse(data []byte) (any, error) {
	if bytes.HasPrefix(data, []byte("bplist00")) {
		return parseBinary(data)
	}
	return parseXML(data)
}

// budget bounds what one property list may grow to.
type budget struct{ nodes, bytes int }

func (b *budget) take(depth int) error {
	if b.nodes++; b.nodes > maxNodes || depth > maxDepth {
		return ErrTooLarge
	}
	return nil
}

type xmlReader struct {
	budget
	tokens *xml.Decoder
}

// parseXML reads the XML form: <plist>, one value, </plist>.
func parseXML(data []byte) (any, error) {
	p := xmlReader{tokens: xml.NewDecoder(bytes.NewReader(data))}
	start, err := p.next()
	if err != nil || start == nil || start.Name.Local != "plist" {
		return nil, ErrUnknown
	}
	if start, err = p.next(); err != nil || start == nil {
		return nil, ErrUnknown
	}
	value, err := p.value(start, 0)
	if err != nil {
		return nil, err
	}
	if end, err := p.next(); err != nil || end != nil {
		return nil, ErrUnknown // it was cut, or goes on
	}
	return value, nil
}

// next returns the next element that begins, or nil where one ends.
func (p *xmlReader) next() (*xml.StartElement, error) {
	for {
		token, err := p.tokens.Token()
		if err != nil {
			return nil, ErrUnknown
		}
		switch t := token.(type) {
		case xml.StartElement:
			return &t, nil
		case xml.EndElement:
			return nil, nil
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return nil, ErrUnknown
			}
		}
	}
}

func (p *xmlReader) value(start *xml.StartElement, depth int) (any, error) {
	if err := p.take(depth); err != nil {
		return nil, err
	}
	switch start.Name.Local {
	case "dict":
		return p.dict(depth)
	case "array":
		list := []any{}
		for {
			e, err := p.next()
			if err != nil || e == nil {
				return list, err
			}
			v, err := p.value(e, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
	}
	content, err := p.content()
	if err != nil {
		return nil, err
	}
	return scalar(start.Name.Local, content)
}

func (p *xmlReader) dict(depth int) (any, error) {
	d := map[string]any{}
	for {
		e, err := p.next()
		if err != nil || e == nil {
			return d, err
		}
		if e.Name.Local != "key" {
			return nil, ErrUnknown
		}
		key, err := p.content()
		if err != nil {
			return nil, err
		}
		if e, err = p.next(); err != nil || e == nil {
			return nil, ErrUnknown
		}
		v, err := p.value(e, depth+1)
		if err != nil {
			return nil, err
		}
		d[key] = v
	}
}

// content returns the text up to the end of the element that began.
func (p *xmlReader) content() (string, error) {
	var b strings.Builder
	for {
		token, err := p.tokens.Token()
		if err != nil {
			return "", ErrUnknown
		}
		switch t := token.(type) {
		case xml.CharData:
			b.Write(t)
		case xml.EndElement:
			return b.String(), nil
		case xml.StartElement:
			return "", ErrUnknown
		}
	}
}

func scalar(kind, content string) (any, error) {
	trimmed := strings.TrimSpace(content)
	switch kind {
	case "string":
		return content, nil
	case "true", "false":
		return kind == "true", nil
	case "integer":
		n, err := strconv.ParseInt(trimmed, 0, 64)
		if err != nil {
			u, err := strconv.ParseUint(trimmed, 0, 64)
			if err != nil {
				return nil, ErrUnknown
			}
			return int64(u), nil // an address or a set of bits
		}
		return n, nil
	case "real":
		f, err := strconv.ParseFloat(trimmed, 64)
		if err != nil {
			return nil, ErrUnknown
		}
		return f, nil
	case "date":
		t, err := time.Parse(time.RFC3339, trimmed)
		if err != nil {
			return nil, ErrUnknown
		}
		return t.UTC(), nil
	case "data":
		data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(content), ""))
		if err != nil {
			return nil, ErrUnknown
		}
		return data, nil
	}
	return nil, ErrUnknown
}

// binaryReader reads the binary form: objects, a table of where they lie, and a
// trailer of 32 bytes that says how to read both.
type binaryReader struct {
	budget
	data    []byte // without the trailer
	offsets []byte
	width   int // bytes of an offset
	refs    int // bytes of a reference to an object
}

func parseBinary(data []byte) (any, error) {
	const trailer = 32
	if len(data) < 8+trailer {
		return nil, ErrUnknown
	}
	end := data[len(data)-trailer:]
	count, top, table := binary.BigEndian.Uint64(end[8:]), binary.BigEndian.Uint64(end[16:]), binary.BigEndian.Uint64(end[24:])
	p := binaryReader{data: data[:len(data)-trailer], width: int(end[6]), refs: int(end[7])}
	if p.width < 1 || p.width > 8 || p.refs < 1 || p.refs > 8 || count > maxNodes || table > uint64(len(p.data)) ||
		count*uint64(p.width) > uint64(len(p.data))-table || top >= count {
		return nil, ErrUnknown
	}
	p.offsets = p.data[table : table+count*uint64(p.width)]
	p.data = p.data[:table]
	return p.object(top, 0)
}

func bigEndian(b []byte) uint64 {
	var n uint64
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}

func (p *binaryReader) object(ref uint64, depth int) (any, error) {
	if err := p.take(depth); err != nil {
		return nil, err
	}
	if ref >= uint64(len(p.offsets)/p.width) {
		return nil, ErrUnknown
	}
	at := bigEndian(p.offsets[int(ref)*p.width:][:p.width])
	if at >= uint64(len(p.data)) {
		return nil, ErrUnknown
	}
	kind, rest := p.data[at], p.data[at+1:]
	switch kind {
	case 0x08, 0x09:
		return kind == 0x09, nil
	case 0x33:
		return date(rest)
	}
	count := uint64(kind & 0x0f)
	switch kind >> 4 {
	case 0x1, 0x2:
		return number(kind, rest)
	case 0x4, 0x5, 0x6, 0xa, 0xd:
		if count == 0x0f {
			var err error
			if count, rest, err = countOf(rest); err != nil {
				return nil, err
			}
		}
	}
	switch kind >> 4 {
	case 0x4, 0x5:
		if count > uint64(len(rest)) {
			return nil, ErrUnknown
		}
		if p.bytes += int(count); p.bytes > maxBytes {
			return nil, ErrTooLarge
		}
		if kind>>4 == 0x4 {
			return bytes.Clone(rest[:count]), nil
		}
		return strings.ToValidUTF8(string(rest[:count]), "?"), nil
	case 0x6:
		return p.utf16(rest, count)
	case 0x8:
		return "", nil // a UID of an archive, which says nothing here
	case 0xa:
		return p.array(rest, count, depth)
	case 0xd:
		return p.dict(rest, count, depth)
	}
	return nil, ErrUnknown
}

func countOf(b []byte) (uint64, []byte, error) {
	if len(b) == 0 || b[0]>>4 != 1 || b[0]&0x0f > 3 {
		return 0, nil, ErrUnknown
	}
	n := 1 << (b[0] & 0x0f)
	if len(b) < 1+n {
		return 0, nil, ErrUnknown
	}
	return bigEndian(b[1 : 1+n]), b[1+n:], nil
}

func number(kind byte, b []byte) (any, error) {
	n := 1 << (kind & 0x0f)
	if kind&0x0f > 4 || len(b) < n {
		return nil, ErrUnknown
	}
	if kind>>4 == 1 {
		return int64(bigEndian(b[max(n-8, 0):n])), nil
	}
	switch n {
	case 4:
		return float64(math.Float32frombits(binary.BigEndian.Uint32(b))), nil
	case 8:
		return math.Float64frombits(binary.BigEndian.Uint64(b)), nil
	}
	return nil, ErrUnknown
}

// date reads seconds since 2001.
func date(b []byte) (any, error) {
	if len(b) < 8 {
		return nil, ErrUnknown
	}
	seconds := math.Float64frombits(binary.BigEndian.Uint64(b))
	if !(math.Abs(seconds) < 9e9) {
		return nil, ErrUnknown
	}
	return time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(seconds) * time.Second), nil
}

func (p *binaryReader) utf16(b []byte, count uint64) (any, error) {
	if count > uint64(len(b)/2) {
		return nil, ErrUnknown
	}
	if p.bytes += 4 * int(count); p.bytes > maxBytes {
		return nil, ErrTooLarge
	}
	units := make([]uint16, count)
	for i := range units {
		units[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units)), nil
}

func (p *binaryReader) array(b []byte, count uint64, depth int) (any, error) {
	if count > uint64(len(b)/p.refs) {
		return nil, ErrUnknown
	}
	list := []any{}
	for i := range int(count) {
		v, err := p.object(bigEndian(b[i*p.refs:][:p.refs]), depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

func (p *binaryReader) dict(b []byte, count uint64, depth int) (any, error) {
	if count > uint64(len(b)/(2*p.refs)) {
		return nil, ErrUnknown
	}
	d := map[string]any{}
	for i := range int(count) {
		key, err := p.object(bigEndian(b[i*p.refs:][:p.refs]), depth+1)
		if err != nil {
			return nil, err
		}
		name, ok := key.(string)
		if !ok {
			return nil, ErrUnknown
		}
		if d[name], err = p.object(bigEndian(b[(int(count)+i)*p.refs:][:p.refs]), depth+1); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// Encode writes a value that Parse returned as XML, its keys sorted.
func Encode(value any) []byte {
	var b bytes.Buffer
	b.WriteString(xml.Header + `<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">` + "\n<plist version=\"1.0\">\n")
	encode(&b, value)
	b.WriteString("</plist>\n")
	return b.Bytes()
}

func encode(b *bytes.Buffer, value any) {
	element := func(name, content string) {
		b.WriteString("<" + name + ">")
		_ = xml.EscapeText(b, []byte(content)) // a buffer takes everything
		b.WriteString("</" + name + ">\n")
	}
	switch v := value.(type) {
	case string:
		element("string", v)
	case int64:
		element("integer", strconv.FormatInt(v, 10))
	case float64:
		element("real", strconv.FormatFloat(v, 'g', -1, 64))
	case bool:
		fmt.Fprintf(b, "<%t/>\n", v)
	case time.Time:
		element("date", v.UTC().Format(time.RFC3339))
	case []byte:
		element("data", base64.StdEncoding.EncodeToString(v))
	case []any:
		b.WriteString("<array>\n")
		for _, x := range v {
			encode(b, x)
		}
		b.WriteString("</array>\n")
	case map[string]any:
		b.WriteString("<dict>\n")
		for _, key := range slices.Sorted(maps.Keys(v)) {
			element("key", key)
			encode(b, v[key])
		}
		b.WriteString("</dict>\n")
	}
}
