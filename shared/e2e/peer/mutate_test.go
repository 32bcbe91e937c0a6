package peer

import (
	"bytes"
	"fmt"
	"math"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// broken is one way in which the bytes of a message are not as they should be.
type broken struct {
	name string
	data []byte
}

// breaks returns every way to break a message: cut after each byte, and each of
// its fields in turn of another type, too long, twice, missing, or beside one
// that nobody knows.
func breaks(t testing.TB, m proto.Message) []broken {
	t.Helper()
	data := encode(t, m)
	var all []broken
	for i := range data {
		all = append(all, broken{fmt.Sprintf("cut after %d bytes", i), data[:i]})
	}
	eachField(data, m.ProtoReflect().Descriptor(), "", func(b []byte) []byte { return b }, func(f field) {
		for _, by := range f.replacements() {
			all = append(all, broken{f.path + ": " + by.name, f.with(by.data)})
		}
	})
	deep := []byte{}
	for range 10_000 {
		deep = protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), deep)
	}
	return append(all,
		broken{"a field of the number zero", append(bytes.Clone(data), 0, 0)},
		broken{"the end of a group", protowire.AppendTag(bytes.Clone(data), 5, protowire.EndGroupType)},
		broken{"a type that is none", append(bytes.Clone(data), 1<<3|7)},
		broken{"a million empty messages", append(bytes.Clone(data), bytes.Repeat([]byte{0x12, 0}, 1<<17)...)},
		broken{"ten thousand messages in each other", deep},
		broken{"ten thousand groups in each other", bytes.Repeat([]byte{900&0x7f<<3 | 3}, 10_000)},
	)
}

// field is one field of an encoded message, wherever it lies in it.
type field struct {
	path   string
	number protowire.Number
	kind   protowire.Type
	whole  []byte                    // tag and value
	with   func(other []byte) []byte // the message with other bytes in the field's place
}

// eachField calls visit for each field of a message and of those within it.
func eachField(data []byte, of protoreflect.MessageDescriptor, path string, wrap func([]byte) []byte, visit func(field)) {
	for at := 0; at < len(data); {
		number, kind, n := protowire.ConsumeTag(data[at:])
		size := n + protowire.ConsumeFieldValue(number, kind, data[at+n:])
		before, whole, after := data[:at], data[at:at+size], data[at+size:]
		with := func(other []byte) []byte { return wrap(bytes.Join([][]byte{before, other, after}, nil)) }
		d := of.Fields().ByNumber(number)
		name := path + string(d.Name())
		visit(field{name, number, kind, whole, with})
		if d.Message() != nil {
			inner, _ := protowire.ConsumeBytes(whole[n:])
			eachField(inner, d.Message(), name+".", func(b []byte) []byte {
				return with(protowire.AppendBytes(protowire.AppendTag(nil, number, kind), b))
			}, visit)
		}
		at += size
	}
}

// replacements returns what may come in the place of a field.
func (f field) replacements() []broken {
	tag := func(kind protowire.Type) []byte { return protowire.AppendTag(nil, f.number, kind) }
	unknown := protowire.AppendString(protowire.AppendTag(nil, 900, protowire.BytesType), "new")
	all := []broken{
		{"missing", nil},
		{"twice", bytes.Repeat(f.whole, 2)},
		{"a hundred times", bytes.Repeat(f.whole, 100)},
		{"beside an unknown one", append(bytes.Clone(f.whole), unknown...)},
		{"a number in its place", protowire.AppendVarint(tag(protowire.VarintType), math.MaxUint64)},
		{"four bytes in its place", protowire.AppendFixed32(tag(protowire.Fixed32Type), math.MaxUint32)},
		{"eight bytes in its place", protowire.AppendFixed64(tag(protowire.Fixed64Type), math.MaxUint64)},
		{"a group in its place", protowire.AppendTag(tag(protowire.StartGroupType), f.number, protowire.EndGroupType)},
		{"a group without end", tag(protowire.StartGroupType)},
		{"a number without end", append(tag(protowire.VarintType), bytes.Repeat([]byte{0xff}, 11)...)},
		{"a length beyond the message", protowire.AppendVarint(tag(protowire.BytesType), 1<<20)},
		{"a length beyond all", protowire.AppendVarint(tag(protowire.BytesType), math.MaxUint64)},
		{"bytes in its place", protowire.AppendBytes(tag(protowire.BytesType), bytes.Repeat([]byte{0xff, 0xfe}, 40))},
		{"empty", protowire.AppendBytes(tag(protowire.BytesType), nil)},
	}
	if f.kind == protowire.BytesType {
		all = append(all, broken{"20 KB in its place", protowire.AppendBytes(tag(protowire.BytesType), bytes.Repeat([]byte("x"), 20<<10))})
	}
	if f.kind == protowire.VarintType {
		all = append(all,
			broken{"zero", protowire.AppendVarint(tag(protowire.VarintType), 0)},
			broken{"the largest with a sign", protowire.AppendVarint(tag(protowire.VarintType), math.MaxInt64)},
			broken{"the smallest with a sign", protowire.AppendVarint(tag(protowire.VarintType), 1<<63)},
		)
	}
	return all
}

// some returns every case, or every nth of them if there is no time for all.
func some(all []broken, n int) []broken {
	if thorough() {
		return all
	}
	var part []broken
	for i := 0; i < len(all); i += n {
		part = append(part, all[i])
	}
	return part
}
