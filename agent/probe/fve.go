package probe

import (
	"encoding/binary"
	"encoding/hex"
	"errors"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// The signatures and identifiers of BitLocker volumes.
const (
	fveSignature = "-FVE-FS-"
	fveGUID      = "3bd66749292ed84a8399f6a339e3d001" // the metadata's places follow it

	fveBlockSize = 64 << 10
)

var errFVE = errors.New("the BitLocker metadata is damaged")

func isBitLocker(head []byte) bool {
	return string(head[3:11]) == fveSignature || isBitLockerToGo(head)
}

// isBitLockerToGo recognises a removable medium, which looks like FAT.
func isBitLockerToGo(head []byte) bool {
	return string(head[3:11]) == "MSWIN4.1" && hex.EncodeToString(head[424:440]) == fveGUID
}

// bitLockerVolume reads the first of the three copies of the metadata that can
// be understood. A volume whose key lies in the clear is open to anyone.
func bitLockerVolume(dev image, head []byte) (header, error) {
	places := 176
	switch {
	case isBitLockerToGo(head):
		places = 440
	case hex.EncodeToString(head[160:176]) != fveGUID:
		return header{}, errFVE // Windows Vista, or a volume that is encrypted as it is written
	}
	err := errFVE
	for i := range 3 {
		offset := binary.LittleEndian.Uint64(head[places+8*i:])
		if offset < 512 || offset > 1<<53 {
			continue
		}
		block, readErr := dev.part(int64(offset), fveBlockSize)
		if readErr != nil {
			return header{}, readErr
		}
		var m fveMetadata
		if m, err = parseFVE(block); err == nil {
			return m.header()
		}
	}
	return header{}, err
}

// fveMetadata is what the metadata of a BitLocker volume says in the clear.
type fveMetadata struct {
	state, next uint16
	cipher      uint16
	guid        string
	protectors  []uint16
}

func parseFVE(block []byte) (fveMetadata, error) {
	const header, entries = 64, 64 + 48
	if len(block) < entries || string(block[:8]) != fveSignature || binary.LittleEndian.Uint16(block[10:]) != 2 {
		return fveMetadata{}, errFVE
	}
	m := fveMetadata{
		state:  binary.LittleEndian.Uint16(block[12:]),
		next:   binary.LittleEndian.Uint16(block[14:]),
		cipher: binary.LittleEndian.Uint16(block[header+36:]),
		guid:   uuidText(block[header+16:]),
	}
	size := binary.LittleEndian.Uint32(block[header:])
	if size < 48 || int64(header)+int64(size) > int64(len(block)) {
		return fveMetadata{}, errFVE
	}
	rest := block[entries : header+int(size)]
	for len(rest) >= 8 {
		length := int(binary.LittleEndian.Uint16(rest))
		if length == 0 {
			break
		}
		if length < 8 || length > len(rest) {
			return fveMetadata{}, errFVE
		}
		kind, value := binary.LittleEndian.Uint16(rest[2:]), binary.LittleEndian.Uint16(rest[4:])
		if kind == 2 && value == 8 { // a copy of the volume's key behind one protector
			if length < 8+28 {
				return fveMetadata{}, errFVE
			}
			m.protectors = append(m.protectors, binary.LittleEndian.Uint16(rest[8+26:]))
		}
		rest = rest[length:]
	}
	if len(m.protectors) == 0 {
		return fveMetadata{}, errFVE
	}
	return m, nil
}

var fveCiphers = map[uint16]string{
	0x8000: "aes-cbc-128-diffuser", 0x8001: "aes-cbc-256-diffuser",
	0x8002: "aes-cbc-128", 0x8003: "aes-cbc-256", 0x8004: "aes-xts-128", 0x8005: "aes-xts-256",
}

func (m fveMetadata) header() (header, error) {
	const decrypted, encrypted = 1, 4
	h := header{
		content: holdsEncrypted, format: "BitLocker", uuid: m.guid, method: "BitLocker",
		protection: posture.Read(posture.ProtectionLocked),
		cipher:     posture.Unread[string](posture.Unreadable),
	}
	switch {
	case m.state == encrypted && m.next == encrypted:
		h.encryption = posture.Read(posture.Encrypted)
	case m.next == encrypted:
		h.encryption = posture.Read(posture.Encrypting)
	case m.next == decrypted:
		h.encryption = posture.Read(posture.Decrypting)
	default:
		return header{}, errFVE
	}
	for _, p := range m.protectors {
		if p == 0 {
			h.protection = posture.Read(posture.ProtectionClearKey)
		}
	}
	if name := fveCiphers[m.cipher]; name != "" {
		h.cipher = posture.Read(name)
	}
	return h, nil
}
