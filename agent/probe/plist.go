package probe

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Bounds on a property list. One lies in every application, so that whoever
// made the application made it: a few bytes must not become gigabytes.
const (
	plistDepth = 64
	plistNodes = 400_000
	plistBytes = 32 << 20 // of texts and data, which the binary form may name many times
)

var errPlist = errors.New("it is not a property list that is understood")

// dictionary is one dictionary of a property list or of a JSON document. Its values
// are string, int64, float64, bool, time.Time, []byte, []any or dictionary.
type dictionary map[string]any

// parsePlist reads a property list, as XML or binary, whose root is a
// dictionary.
func parsePlist(data []byte) (dictionary, error) {
	root, err := parsePlistValue(data)
	if err != nil {
		return nil, err
	}
	d, ok := root.(dictionary)
	if !ok {
		return nil, errPlist
	}
	return d, nil
}

// parsePlists reads a property list whose root is a list of dictionaries.
func parsePlists(data []byte) ([]dictionary, error) {
	root, err := parsePlistValue(data)
	if err != nil {
		return nil, err
	}
	list, ok := root.([]any)
	if !ok {
		return nil, errPlist
	}
	return dictionaries(list)
}

func parsePlistValue(data []byte) (any, error) {
	if bytes.HasPrefix(data, []byte("bplist00")) {
		return parseBinaryPlist(data)
	}
	return parseXMLPlist(data)
}

// parseJSON reads a JSON document whose root is an object.
func parseJSON(data []byte) (dictionary, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var root map[string]any
	if err := d.Decode(&root); err != nil || root == nil {
		return nil, errUnknown
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errUnknown
	}
	return fromJSON(root).(dictionary), nil
}

func fromJSON(v any) any {
	switch v := v.(type) {
	case map[string]any:
		d := make(dictionary, len(v))
		for key, value := range v {
			d[key] = fromJSON(value)
		}
		return d
	case []any:
		for i := range v {
			v[i] = fromJSON(v[i])
		}
		return v
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	}
	return v
}

// valueOf returns a value of a dictionary. That there is none is Unsupported:
// this system does not tell. One of another type is Unreadable.
func valueOf[T any](d dictionary, key string) posture.Reading[T] {
	v, ok := d[key]
	if !ok {
		return unsupported[T]()
	}
	if t, ok := v.(T); ok {
		return posture.Read(t)
	}
	return posture.Unread[T](posture.Unreadable)
}

// text returns a string; "" if there is none.
func (d dictionary) text(key string) string {
	s, _ := d[key].(string)
	return s
}

// flag returns a yes or no. Preferences write it as a number, too.
func (d dictionary) flag(key string) posture.Reading[bool] {
	if n, ok := d[key].(int64); ok {
		return posture.Read(n != 0)
	}
	return valueOf[bool](d, key)
}

// is reports whether a yes or no is there and is yes.
func (d dictionary) is(key string) bool { return d.flag(key) == posture.Read(true) }

// list returns the dictionaries of a list: none if there is no such list, an
// error if it holds anything else.
func (d dictionary) list(key string) ([]dictionary, error) {
	v, ok := d[key]
	if !ok {
		return nil, nil
	}
	list, ok := v.([]any)
	if !ok {
		return nil, errPlist
	}
	return dictionaries(list)
}

func dictionaries(list []any) ([]dictionary, error) {
	out := make([]dictionary, 0, len(list))
	for _, v := range list {
		d, ok := v.(dictionary)
		if !ok {
			return nil, errPlist
		}
		out = append(out, d)
	}
	return out, nil
}

// texts returns the strings of a list.
func (d dictionary) texts(key string) []string {
	list, _ := d[key].([]any)
	var out []string
	for _, v := range list {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// plistBudget bounds what one property list may grow to.
type plistBudget struct{ nodes, bytes int }

func (b *plistBudget) take(depth int) error {
	if b.nodes++; b.nodes > plistNodes || depth > plistDepth {
		return system.ErrTooLarge
	}
	return nil
}

type xmlPlist struct {
	plistBudget
	tokens *xml.Decoder
}

// parseXMLPlist reads the XML form: <plist>, one value, </plist>.
func parseXMLPlist(data []byte) (any, error) {
	p := xmlPlist{tokens: xml.NewDecoder(bytes.NewReader(data))}
	start, err := p.next()
	if err != nil || start == nil || start.Name.Local != "plist" {
		return nil, errPlist
	}
	if start, err = p.next(); err != nil || start == nil {
		return nil, errPlist
	}
	value, err := p.value(start, 0)
	if err != nil {
		return nil, err
	}
	if end, err := p.next(); err != nil || end != nil {
		return nil, errPlist // it was cut, or goes on
	}
	return value, nil
}

// next returns the next element that begins, or nil where one ends.
func (p *xmlPlist) next() (*xml.StartElement, error) {
	for {
		token, err := p.tokens.Token()
		if err != nil {
			return nil, errPlist
		}
		switch t := token.(type) {
		case xml.StartElement:
			return &t, nil
		case xml.EndElement:
			return nil, nil
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return nil, errPlist
			}
		}
	}
}

func (p *xmlPlist) value(start *xml.StartElement, depth int) (any, error) {
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
	return plistScalar(start.Name.Local, content)
}

func (p *xmlPlist) dict(depth int) (any, error) {
	d := dictionary{}
	for {
		e, err := p.next()
		if err != nil || e == nil {
			return d, err
		}
		if e.Name.Local != "key" {
			return nil, errPlist
		}
		key, err := p.content()
		if err != nil {
			return nil, err
		}
		if e, err = p.next(); err != nil || e == nil {
			return nil, errPlist
		}
		v, err := p.value(e, depth+1)
		if err != nil {
			return nil, err
		}
		d[key] = v
	}
}

// content returns the text up to the end of the element that began.
func (p *xmlPlist) content() (string, error) {
	var b strings.Builder
	for {
		token, err := p.tokens.Token()
		if err != nil {
			return "", errPlist
		}
		switch t := token.(type) {
		case xml.CharData:
			b.Write(t)
		case xml.EndElement:
			return b.String(), nil
		case xml.StartElement:
			return "", errPlist
		}
	}
}

func plistScalar(kind, content string) (any, error) {
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
				return nil, errPlist
			}
			return int64(u), nil // an address or a set of bits
		}
		return n, nil
	case "real":
		f, err := strconv.ParseFloat(trimmed, 64)
		if err != nil {
			return nil, errPlist
		}
		return f, nil
	case "date":
		t, err := time.Parse(time.RFC3339, trimmed)
		if err != nil {
			return nil, errPlist
		}
		return t.UTC(), nil
	case "data":
		data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(content), ""))
		if err != nil {
			return nil, errPlist
		}
		return data, nil
	}
	return nil, errPlist
}

// binaryPlist reads the binary form: objects, a table of where they lie, and a
// trailer of 32 bytes that says how to read both.
type binaryPlist struct {
	plistBudget
	data    []byte // without the trailer
	offsets []byte
	width   int // bytes of an offset
	refs    int // bytes of a reference to an object
}

func parseBinaryPlist(data []byte) (any, error) {
	const trailer = 32
	if len(data) < 8+trailer {
		return nil, errPlist
	}
	end := data[len(data)-trailer:]
	count, top, table := binary.BigEndian.Uint64(end[8:]), binary.BigEndian.Uint64(end[16:]), binary.BigEndian.Uint64(end[24:])
	p := binaryPlist{data: data[:len(data)-trailer], width: int(end[6]), refs: int(end[7])}
	if p.width < 1 || p.width > 8 || p.refs < 1 || p.refs > 8 || count > plistNodes || table > uint64(len(p.data)) ||
		count*uint64(p.width) > uint64(len(p.data))-table || top >= count {
		return nil, errPlist
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

func (p *binaryPlist) object(ref uint64, depth int) (any, error) {
	if err := p.take(depth); err != nil {
		return nil, err
	}
	if ref >= uint64(len(p.offsets)/p.width) {
		return nil, errPlist
	}
	at := bigEndian(p.offsets[int(ref)*p.width:][:p.width])
	if at >= uint64(len(p.data)) {
		return nil, errPlist
	}
	kind, rest := p.data[at], p.data[at+1:]
	switch kind {
	case 0x08, 0x09:
		return kind == 0x09, nil
	case 0x33:
		return plistDate(rest)
	}
	count := uint64(kind & 0x0f)
	switch kind >> 4 {
	case 0x1, 0x2:
		return plistNumber(kind, rest)
	case 0x4, 0x5, 0x6, 0xa, 0xd:
		if count == 0x0f {
			var err error
			if count, rest, err = plistCount(rest); err != nil {
				return nil, err
			}
		}
	}
	switch kind >> 4 {
	case 0x4, 0x5:
		if count > uint64(len(rest)) {
			return nil, errPlist
		}
		if p.bytes += int(count); p.bytes > plistBytes {
			return nil, system.ErrTooLarge
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
	return nil, errPlist
}

func plistCount(b []byte) (uint64, []byte, error) {
	if len(b) == 0 || b[0]>>4 != 1 || b[0]&0x0f > 3 {
		return 0, nil, errPlist
	}
	n := 1 << (b[0] & 0x0f)
	if len(b) < 1+n {
		return 0, nil, errPlist
	}
	return bigEndian(b[1 : 1+n]), b[1+n:], nil
}

func plistNumber(kind byte, b []byte) (any, error) {
	n := 1 << (kind & 0x0f)
	if kind&0x0f > 4 || len(b) < n {
		return nil, errPlist
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
	return nil, errPlist
}

// plistDate reads seconds since 2001.
func plistDate(b []byte) (any, error) {
	if len(b) < 8 {
		return nil, errPlist
	}
	seconds := math.Float64frombits(binary.BigEndian.Uint64(b))
	if !(math.Abs(seconds) < 9e9) {
		return nil, errPlist
	}
	return time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(seconds) * time.Second), nil
}

func (p *binaryPlist) utf16(b []byte, count uint64) (any, error) {
	if count > uint64(len(b)/2) {
		return nil, errPlist
	}
	if p.bytes += 4 * int(count); p.bytes > plistBytes {
		return nil, system.ErrTooLarge
	}
	units := make([]uint16, count)
	for i := range units {
		units[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units)), nil
}

func (p *binaryPlist) array(b []byte, count uint64, depth int) (any, error) {
	if count > uint64(len(b)/p.refs) {
		return nil, errPlist
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

func (p *binaryPlist) dict(b []byte, count uint64, depth int) (any, error) {
	if count > uint64(len(b)/(2*p.refs)) {
		return nil, errPlist
	}
	d := dictionary{}
	for i := range int(count) {
		key, err := p.object(bigEndian(b[i*p.refs:][:p.refs]), depth+1)
		if err != nil {
			return nil, err
		}
		name, ok := key.(string)
		if !ok {
			return nil, errPlist
		}
		if d[name], err = p.object(bigEndian(b[(int(count)+i)*p.refs:][:p.refs]), depth+1); err != nil {
			return nil, err
		}
	}
	return d, nil
}
