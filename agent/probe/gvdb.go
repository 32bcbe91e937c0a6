package probe

import (
	"encoding/binary"
	"strings"
)

// GVDB is the file of hashed keys and values in which dconf keeps settings:
//
//	8 bytes  "GVariant"
//	4 bytes  version, 0
//	4 bytes  options
//	8 bytes  start and end of the root table
//
// A table has a number of words of a Bloom filter, a number of buckets, both
// filled with 32-bit words, then items of 24 bytes: hash, parent item, start
// and size of the last part of the key, type, start and end of the value. The
// key is the parent's key and that part. Values ('v') are serialised variants,
// 'H' is a table inside.
const (
	gvdbLimit = 4 << 20 // bytes of a file
	gvdbItems = 65_536  // of one table
	gvdbDepth = 64      // parents of one key
	gvdbItem  = 24
)

// gvdbTable is a table's keys, with the bytes of their values.
type gvdbTable struct {
	values map[string][]byte
	tables map[string]*gvdbTable
}

// parseGVDB reads a little-endian file, the only kind that our processors write.
func parseGVDB(data []byte) (*gvdbTable, error) {
	if len(data) < 24 || len(data) > gvdbLimit || string(data[:8]) != "GVariant" || binary.LittleEndian.Uint32(data[8:]) != 0 {
		return nil, errUnknown
	}
	budget := gvdbItems
	return gvdbRead(data, binary.LittleEndian.Uint32(data[16:]), binary.LittleEndian.Uint32(data[20:]), 2, &budget)
}

func gvdbRange(data []byte, start, end uint32) ([]byte, bool) {
	if start > end || uint64(end) > uint64(len(data)) {
		return nil, false
	}
	return data[start:end], true
}

func gvdbRead(data []byte, start, end uint32, depth int, budget *int) (*gvdbTable, error) {
	table, ok := gvdbRange(data, start, end)
	if !ok || len(table) < 8 {
		return nil, errUnknown
	}
	bloom, buckets := uint64(binary.LittleEndian.Uint32(table)&(1<<27-1)), uint64(binary.LittleEndian.Uint32(table[4:]))
	head := 8 + 4*(bloom+buckets)
	if head > uint64(len(table)) {
		return nil, errUnknown
	}
	items := table[head:]
	n := len(items) / gvdbItem
	if *budget -= n; *budget < 0 || len(items)%gvdbItem != 0 {
		return nil, errUnknown
	}
	t := &gvdbTable{values: map[string][]byte{}, tables: map[string]*gvdbTable{}}
	for i := range n {
		item := items[i*gvdbItem:]
		kind := item[14]
		if kind != 'v' && kind != 'H' {
			continue
		}
		key, err := gvdbKey(data, items, i)
		if err != nil {
			return nil, err
		}
		from, to := binary.LittleEndian.Uint32(item[16:]), binary.LittleEndian.Uint32(item[20:])
		if kind == 'H' {
			if depth == 0 {
				return nil, errUnknown
			}
			if t.tables[key], err = gvdbRead(data, from, to, depth-1, budget); err != nil {
				return nil, err
			}
			continue
		}
		value, ok := gvdbRange(data, from, to)
		if !ok {
			return nil, errUnknown
		}
		t.values[key] = value
	}
	return t, nil
}

func gvdbKey(data, items []byte, i int) (string, error) {
	var parts []string
	size := 0
	for range gvdbDepth {
		item := items[i*gvdbItem:]
		start := binary.LittleEndian.Uint32(item[8:])
		length := binary.LittleEndian.Uint16(item[12:])
		part, ok := gvdbRange(data, start, start+uint32(length))
		if size += len(part); !ok || size > 4096 {
			return "", errUnknown
		}
		parts = append(parts, string(part))
		parent := binary.LittleEndian.Uint32(item[4:])
		if parent == 1<<32-1 {
			for a, b := 0, len(parts)-1; a < b; a, b = a+1, b-1 {
				parts[a], parts[b] = parts[b], parts[a]
			}
			return strings.Join(parts, ""), nil
		}
		if uint64(parent) >= uint64(len(items)/gvdbItem) {
			return "", errUnknown
		}
		i = int(parent)
	}
	return "", errUnknown
}

// variant splits a serialised variant into its bytes and its type.
func variant(b []byte) (data []byte, kind string) {
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] == 0 {
			return b[:i], string(b[i+1:])
		}
	}
	return nil, ""
}

// variantBool reads a variant of a boolean.
func variantBool(b []byte) (value, ok bool) {
	data, kind := variant(b)
	if kind != "b" || len(data) != 1 || data[0] > 1 {
		return false, false
	}
	return data[0] == 1, true
}

// variantUint32 reads a variant of a 32-bit unsigned number.
func variantUint32(b []byte) (uint32, bool) {
	data, kind := variant(b)
	if kind != "u" || len(data) != 4 {
		return 0, false
	}
	return binary.LittleEndian.Uint32(data), true
}
