package system

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"unicode/utf16"
)

// The types of a value in the registry that mean something here.
const (
	regNone      = 0
	regText      = 1
	regExpand    = 2
	regBinary    = 3
	regNumber    = 4
	regBigEndian = 5
	regLink      = 6
	regTexts     = 7
	regResources = 8 // and the two after it
	regLong      = 11
)

var errMalformed = errors.New("it is not of the size that its type has")

// registryValue interprets the bytes of a value by their type, and reports
// whether it is of a type that is kept.
func registryValue(kind uint32, data []byte) (Value, bool) {
	switch {
	case kind == regLink, kind >= regResources && kind < regLong:
		return Value{}, false
	case kind == regText, kind == regExpand:
		return TextValue(firstText(utf16Units(data))), true
	case kind == regTexts:
		return TextsValue(allTexts(utf16Units(data))), true
	case (kind == regNumber || kind == regBigEndian) && len(data) != 4, kind == regLong && len(data) != 8:
		return FailedValue(errMalformed), true
	case kind == regNumber:
		return NumberValue(int64(binary.LittleEndian.Uint32(data))), true
	case kind == regBigEndian:
		return NumberValue(int64(binary.BigEndian.Uint32(data))), true
	case kind == regLong:
		n := binary.LittleEndian.Uint64(data)
		if n > math.MaxInt64 {
			return FailedValue(ErrTooLarge), true
		}
		return NumberValue(int64(n)), true
	}
	return BytesValue(data), true // binary, none, and the types of device properties
}

// utf16Units returns the units of a text in UTF-16. A last odd byte is none.
func utf16Units(data []byte) []uint16 {
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(data[2*i:])
	}
	return units
}

// firstText returns the text up to the first zero, if there is one: whoever
// wrote the value may have forgotten it, or left something behind it.
func firstText(units []uint16) string {
	if i := slices.Index(units, 0); i >= 0 {
		units = units[:i]
	}
	return string(utf16.Decode(units))
}

// allTexts returns the texts of a list, which ends with an empty one.
func allTexts(units []uint16) []string {
	list := []string{}
	for len(units) > 0 && units[0] != 0 {
		text := units
		if i := slices.Index(units, 0); i >= 0 {
			text, units = units[:i], units[i+1:]
		} else {
			units = nil
		}
		list = append(list, string(utf16.Decode(text)))
	}
	return list
}
