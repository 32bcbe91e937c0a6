package system

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
)

// smbios is what is kept of what a computer's maker wrote into its firmware.
// Its serial numbers are not among it. A text that is not there is "".
type smbios struct {
	manufacturer, model, version string
	chassis                      uint8 // type of case, without the lock bit; 0 if it is not told
}

// parseSMBIOS parses what Windows gives for the firmware table 'RSMB': a head
// of 8 bytes, and the structures.
func parseSMBIOS(data []byte) (smbios, error) {
	const head = 8
	malformed := errors.New("the firmware's table is malformed")
	if len(data) < head {
		return smbios{}, malformed
	}
	size := binary.LittleEndian.Uint32(data[4:])
	data = data[head:]
	if uint64(size) > uint64(len(data)) {
		return smbios{}, malformed
	}
	data = data[:size]
	var found smbios
	seen := map[byte]bool{}
	for len(data) >= 4 {
		kind, length := data[0], int(data[1])
		if length < 4 || length > len(data) {
			return smbios{}, malformed
		}
		fields, rest := data[:length], data[length:]
		end := bytes.Index(rest, []byte{0, 0})
		if end < 0 {
			return smbios{}, malformed
		}
		texts := strings.Split(string(rest[:end]), "\x00")
		data = rest[end+2:]
		if kind == 127 { // the end
			break
		}
		if !seen[kind] { // the first of a kind is the computer's own
			found.take(kind, fields, texts)
		}
		seen[kind] = true
	}
	if !seen[1] && !seen[3] {
		return smbios{}, malformed
	}
	return found, nil
}

// take takes what is kept from one structure.
func (s *smbios) take(kind byte, fields []byte, texts []string) {
	text := func(at int) string {
		if at >= len(fields) || fields[at] == 0 || int(fields[at]) > len(texts) {
			return ""
		}
		return strings.TrimSpace(strings.ToValidUTF8(texts[fields[at]-1], ""))
	}
	switch kind {
	case 1:
		s.manufacturer, s.model, s.version = text(4), text(5), text(6)
	case 3:
		if len(fields) > 5 {
			s.chassis = fields[5] & 0x7f
		}
	}
}
