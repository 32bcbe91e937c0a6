package system

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// smbios is what is kept of what a computer's maker wrote into its firmware. A
// text that is not there is "".
type smbios struct {
	manufacturer, model, version string
	chassis                      uint8  // type of case, without the lock bit; 0 if it is not told
	uuid                         string // as Linux writes it
	serial, board, enclosure     string // serial numbers of the computer, its board and its case
}

// parseSMBIOS parses what Windows gives for the firmware table 'RSMB': a head
// of 8 bytes, and the structures.
func parseSMBIOS(data []byte) (smbios, error) {
	const head = 8
	malformed := errors.New("the firmware's table is malformed")
	if len(data) < head {
		return smbios{}, malformed
	}
	size, ordered := binary.LittleEndian.Uint32(data[4:]), data[1] > 2 || data[1] == 2 && data[2] >= 6
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
			found.take(kind, fields, texts, ordered)
		}
		seen[kind] = true
	}
	if !seen[1] && !seen[3] {
		return smbios{}, malformed
	}
	return found, nil
}

// take takes what is kept from one structure. ordered says that the UUID's
// first numbers stand with their last byte first, as they do since version 2.6.
func (s *smbios) take(kind byte, fields []byte, texts []string, ordered bool) {
	text := func(at int) string {
		if at >= len(fields) || fields[at] == 0 || int(fields[at]) > len(texts) {
			return ""
		}
		return strings.TrimSpace(strings.ToValidUTF8(texts[fields[at]-1], ""))
	}
	switch kind {
	case 1:
		s.manufacturer, s.model, s.version, s.serial = text(4), text(5), text(6), text(7)
		if len(fields) >= 24 {
			s.uuid = uuidText([16]byte(fields[8:24]), ordered)
		}
	case 2:
		s.board = text(7)
	case 3:
		if len(fields) > 5 {
			s.chassis = fields[5] & 0x7f
		}
		s.enclosure = text(7)
	}
}

func uuidText(b [16]byte, ordered bool) string {
	if ordered {
		b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7] = b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6]
	}
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
