package wire

import (
	"google.golang.org/protobuf/encoding/protowire"
)

// Split takes the body of a section apart into the things in its list and the
// rest, as they are encoded: the same thing has the same bytes in every body. ok
// is false for a section that has no such list, and for a body that DecodeSection
// might refuse for its form or size: it says why.
func Split(name string, data []byte) (items [][]byte, rest []byte, ok bool) {
	s, known := find(name)
	if !known || len(data) > s.most {
		return nil, nil, false
	}
	list := s.blank().ProtoReflect().Descriptor().Fields().ByName("items")
	if list == nil || !list.IsList() || list.Message() == nil {
		return nil, nil, false
	}
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return nil, nil, false
		}
		size := protowire.ConsumeFieldValue(number, kind, data[n:])
		if size < 0 {
			return nil, nil, false
		}
		if number == list.Number() && kind == protowire.BytesType {
			item, _ := protowire.ConsumeBytes(data[n:])
			items = append(items, item)
		} else {
			rest = append(rest, data[:n+size]...)
		}
		data = data[n+size:]
	}
	return items, rest, len(items) <= s.items
}

// Join puts a body together from what Split returned: the rest, and any of the
// things in the order in which they came.
func Join(name string, items [][]byte, rest []byte) []byte {
	s, known := find(name)
	if !known {
		return nil
	}
	list := s.blank().ProtoReflect().Descriptor().Fields().ByName("items")
	if list == nil {
		return rest
	}
	body := append([]byte(nil), rest...)
	for _, item := range items {
		body = protowire.AppendBytes(protowire.AppendTag(body, list.Number(), protowire.BytesType), item)
	}
	return body
}
