package probe

import (
	"encoding/binary"
	"errors"

	"github.com/caretaker-school/caretaker/shared/posture"
)

var errAPFS = errors.New("the APFS container is damaged")

// apfsContainer reads the superblock of an APFS container and its newer copies
// in the checkpoint area. A container without a key bag has no encrypted
// volume. With one, which of its volumes are encrypted is written deeper than
// is read here, so that it is not known.
func apfsContainer(dev image, head []byte) (header, error) {
	const maxCheckpoints = 256
	size := int64(binary.LittleEndian.Uint32(head[36:]))
	count := int64(binary.LittleEndian.Uint32(head[104:]))
	base := int64(binary.LittleEndian.Uint64(head[112:]))
	if size < 4096 || size > 65536 || count < 1 || count > maxCheckpoints || base < 1 || base > 1<<40 {
		// A checkpoint area in pieces has the top bit of its count set.
		return header{}, errAPFS
	}
	keyBag := binary.LittleEndian.Uint64(head[1304:]) != 0
	newest := binary.LittleEndian.Uint64(head[16:])
	for i := range count {
		block, err := dev.part((base+i)*size, 4096)
		if err != nil {
			return header{}, err
		}
		if len(block) < 4096 || string(block[32:36]) != "NXSB" {
			continue
		}
		if transaction := binary.LittleEndian.Uint64(block[16:]); transaction >= newest {
			newest = transaction
			keyBag = binary.LittleEndian.Uint64(block[1304:]) != 0
		}
	}
	h := inTheClear(holdsFilesystem, "apfs", uuidText(head[72:]))
	if keyBag {
		h.encryption = posture.Unread[posture.EncryptionState](posture.Unreadable)
		h.protection = posture.Unread[posture.ProtectionState](posture.Unreadable)
		h.cipher = posture.Unread[string](posture.Unreadable)
		h.method = "APFS"
	}
	return h, nil
}
