package system

import (
	"encoding/binary"
	"errors"
	"strings"
)

// linkTarget returns what a reparse point of Windows' points to, if it is a
// link or a junction.
func linkTarget(data []byte) (string, error) {
	const junction, link = 0xa0000003, 0xa000000c
	malformed := errors.New("its reparse point is malformed")
	if len(data) < 16 {
		return "", malformed
	}
	names, relative := data[16:], false
	switch binary.LittleEndian.Uint32(data) {
	case junction:
	case link:
		if len(data) < 20 {
			return "", malformed
		}
		names, relative = data[20:], data[16]&1 != 0
	default:
		return "", errors.New("it is a reparse point, but neither a link nor a junction")
	}
	from, size := int(binary.LittleEndian.Uint16(data[8:])), int(binary.LittleEndian.Uint16(data[10:]))
	if from+size > len(names) {
		return "", malformed
	}
	target := firstText(utf16Units(names[from : from+size]))
	if !relative {
		target = strings.TrimPrefix(target, `\??\`)
		if len(target) >= 2 && isLetter(target[0]) && target[1] == ':' {
			target = "/" + target
		}
	}
	return strings.ReplaceAll(target, `\`, "/"), nil
}
