package wire

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Limits on one message of the stream.
const (
	MaxMessage  = 16 << 20 // bytes; the sum of a full report's sections fits
	MaxSections = 64       // sections that one report carries
)

// Limits on texts, in bytes of UTF-8.
const (
	maxWord = 64   // words of closed or nearly closed lists
	maxName = 256  // names that people or makers chose
	maxText = 1024 // sentences
)

// Limits on lists inside an item.
const (
	maxGaps       = 64
	maxPartitions = 128
	maxTallies    = 64
)

// reserve is what a section keeps free for what is not in its list of items.
const reserve = 40 << 10

// budget bounds one list that is being encoded.
type budget struct {
	items int
	bytes int
}

// take reports whether there is room for one more item of that size.
func (b *budget) take(size int) bool {
	size += 4 // its tag and length
	if b.items < 1 || b.bytes < size {
		return false
	}
	b.items--
	b.bytes -= size
	return true
}

// limit returns how many messages a repeated field may hold in one body,
// wherever they lie in it.
func (s section) limit(field protoreflect.FullName) int {
	switch field.Name() {
	case "gaps":
		return 2 * maxGaps // the executables' section has two origins
	case "partitions":
		return maxPartitions * 16
	case "scripts":
		return maxTallies
	}
	return s.items
}

// checkLists counts the messages of every repeated field before any of them is
// decoded, because a few bytes on the wire can become a large structure in
// memory.
func checkLists(data []byte, of protoreflect.MessageDescriptor, limit func(protoreflect.FullName) int, seen map[protoreflect.FullName]int) error {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		size := protowire.ConsumeFieldValue(number, kind, data)
		if size < 0 {
			return protowire.ParseError(size)
		}
		field := of.Fields().ByNumber(number)
		if field != nil && field.Message() != nil && kind == protowire.BytesType {
			if field.IsList() {
				seen[field.FullName()]++
				if most := limit(field.FullName()); seen[field.FullName()] > most {
					return fmt.Errorf("it has more than %d %s", most, field.Name())
				}
			}
			inner, _ := protowire.ConsumeBytes(data)
			if err := checkLists(inner, field.Message(), limit, seen); err != nil {
				return err
			}
		}
		data = data[size:]
	}
	return nil
}
