package probe

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// content is what the header of a partition or disk says that it holds.
type content int

const (
	holdsUnknown    content = iota // something that is not recognised
	holdsNothing                   // zeros wherever a header could be
	holdsFilesystem                // files in the clear, but for what encryption says
	holdsEncrypted                 // an encrypted volume; what is in it cannot be seen
	holdsMember                    // a part of a RAID, a volume group or a pool
	holdsSwap
	holdsTable // partitions
)

// header is what was recognised at the start of a partition or disk.
type header struct {
	content    content
	format     string // as blkid names it, such as "ext4" or "crypto_LUKS"
	uuid       string // as udev writes it; "" if the format has none
	encryption posture.Reading[posture.EncryptionState]
	protection posture.Reading[posture.ProtectionState]
	method     string // "" if unencrypted
	cipher     posture.Reading[string]
}

const headSize = 8192 // holds the headers of all formats but a few

// errAmbiguous says that two formats lay claim to the same bytes.
var errAmbiguous = errors.New("more than one format is there")

// readHeader recognises what a partition or disk holds. What it does not
// recognise is holdsUnknown, which may be anything, a VeraCrypt volume too;
// what it recognises but cannot understand is an error.
func readHeader(dev image) (header, error) {
	head, err := dev.part(0, headSize)
	if err != nil {
		return header{}, err
	}
	if len(head) < headSize { // a small device: no format needs less room
		head = append(bytes.Clone(head), make([]byte, headSize-len(head))...)
	}
	h, found, err := recogniseEncrypted(dev, head)
	if !found {
		h, found, err = recogniseHead(dev, head)
	}
	if !found {
		h, found, err = recogniseFurther(dev)
	}
	switch {
	case err != nil:
		return header{}, err
	case found:
		return h, nil
	case string(head[510:512]) == "\x55\xaa":
		return header{content: holdsTable, format: "dos"}, nil
	}
	return emptyOrUnknown(dev, head)
}

// recogniseEncrypted looks for the headers of encrypted volumes. One that lies
// beside a filesystem is not believed: it may be left over, or put there.
func recogniseEncrypted(dev image, head []byte) (header, bool, error) {
	var h header
	var err error
	switch {
	case string(head[:6]) == luksMagic:
		h, err = luksVolume(dev)
	case isBitLocker(head):
		h, err = bitLockerVolume(dev, head)
	default:
		return header{}, false, nil
	}
	if err == nil && isExt(head) {
		err = errAmbiguous
	}
	return h, true, err
}

func luksVolume(dev image) (header, error) {
	l, err := readLUKS(dev)
	if err != nil {
		return header{}, err
	}
	h := header{
		content: holdsEncrypted, format: "crypto_LUKS", uuid: l.uuid,
		encryption: posture.Read(l.state), protection: posture.Read(posture.ProtectionLocked),
		method: fmt.Sprintf("LUKS%d", l.version), cipher: posture.Read(l.cipher),
	}
	if l.state == posture.Unencrypted {
		h.protection = posture.Read(posture.ProtectionOff)
	}
	return h, nil
}

// inTheClear is the header of something that is not encrypted.
func inTheClear(c content, format, uuid string) header {
	return header{
		content: c, format: format, uuid: uuid,
		encryption: posture.Read(posture.Unencrypted), protection: posture.Read(posture.ProtectionOff),
		cipher: posture.Read(""),
	}
}

// member is the header of a part of something larger: what that holds has to
// be seen from above.
func member(format string) header {
	return header{
		content: holdsMember, format: format,
		encryption: posture.Unread[posture.EncryptionState](posture.NotVisible),
		protection: posture.Unread[posture.ProtectionState](posture.NotVisible),
		cipher:     posture.Unread[string](posture.NotVisible),
	}
}

// recogniseHead looks for the formats whose header lies in the first bytes.
func recogniseHead(dev image, head []byte) (header, bool, error) {
	at := func(offset int, magic string) bool {
		return string(head[offset:offset+len(magic)]) == magic
	}
	switch {
	case at(512+24, "LVM2 001") && at(512, "LABELONE"), at(24, "LVM2 001") && at(0, "LABELONE"):
		return member("LVM2_member"), true, nil
	case at(4096, "\xfc\x4e\x2b\xa9"), at(0, "\xfc\x4e\x2b\xa9"):
		return member("linux_raid_member"), true, nil
	case at(4096+24, "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81"):
		return member("bcache"), true, nil
	case at(32, "NXSB"):
		h, err := apfsContainer(dev, head)
		return h, true, err
	case isExt(head):
		return extFilesystem(head), true, nil
	case at(1024, "\x10\x20\xf5\xf2"):
		return f2fsFilesystem(head), true, nil
	case at(1024, "\xe2\xe1\xf5\xe0"):
		return inTheClear(holdsFilesystem, "erofs", uuidText(head[1024+48:])), true, nil
	case at(1024, "H+"), at(1024, "HX"):
		return inTheClear(holdsFilesystem, "hfsplus", ""), true, nil
	case at(0, "XFSB"):
		return inTheClear(holdsFilesystem, "xfs", uuidText(head[32:])), true, nil
	case at(0, "hsqs"):
		return inTheClear(holdsFilesystem, "squashfs", ""), true, nil
	case at(3, "NTFS    "):
		return inTheClear(holdsFilesystem, "ntfs", fmt.Sprintf("%016X", binary.LittleEndian.Uint64(head[72:]))), true, nil
	case at(3, "EXFAT   "):
		return inTheClear(holdsFilesystem, "exfat", serialText(head[100:])), true, nil
	case at(3, "ReFS\x00\x00\x00\x00"):
		return inTheClear(holdsFilesystem, "refs", ""), true, nil
	case at(82, "FAT32   ") && at(510, "\x55\xaa"):
		return inTheClear(holdsFilesystem, "vfat", serialText(head[67:])), true, nil
	case (at(54, "FAT12   ") || at(54, "FAT16   ") || at(54, "FAT     ")) && at(510, "\x55\xaa"):
		return inTheClear(holdsFilesystem, "vfat", serialText(head[39:])), true, nil
	case at(4096-10, "SWAPSPACE2"), at(4096-10, "SWAP-SPACE"):
		return inTheClear(holdsSwap, "swap", uuidText(head[1024+12:])), true, nil
	}
	return header{}, false, nil
}

// recogniseFurther looks for the formats whose header lies further in.
func recogniseFurther(dev image) (header, bool, error) {
	btrfs, err := dev.part(64<<10, 4096)
	if err != nil {
		return header{}, false, err
	}
	if len(btrfs) == 4096 && string(btrfs[64:72]) == "_BHRfS_M" {
		return inTheClear(holdsFilesystem, "btrfs", uuidText(btrfs[32:])), true, nil
	}
	disc, err := dev.part(32<<10, 4096)
	if err != nil {
		return header{}, false, err
	}
	if len(disc) > 6 {
		switch string(disc[1:6]) {
		case "CD001":
			return inTheClear(holdsFilesystem, "iso9660", ""), true, nil
		case "BEA01":
			return inTheClear(holdsFilesystem, "udf", ""), true, nil
		}
	}
	label, err := zfsLabel(dev)
	if err != nil {
		return header{}, false, err
	}
	if label.pool != "" {
		return member("zfs_member"), true, nil
	}
	return swapOfLargePages(dev)
}

// swapOfLargePages looks for swap made by a kernel with pages above 4 KiB.
func swapOfLargePages(dev image) (header, bool, error) {
	for _, page := range []int64{8 << 10, 16 << 10, 64 << 10} {
		magic, err := dev.part(page-10, 10)
		if err != nil {
			return header{}, false, err
		}
		if string(magic) == "SWAPSPACE2" {
			return inTheClear(holdsSwap, "swap", ""), true, nil
		}
	}
	return header{}, false, nil
}

// emptyOrUnknown tells zeros from what is not recognised.
func emptyOrUnknown(dev image, head []byte) (header, error) {
	unknown := header{
		content:    holdsUnknown,
		encryption: posture.Unread[posture.EncryptionState](posture.Unreadable),
		protection: posture.Unread[posture.ProtectionState](posture.Unreadable),
		cipher:     posture.Unread[string](posture.Unreadable),
	}
	for _, offset := range []int64{16 << 10, 32 << 10, 64 << 10} {
		more, err := dev.part(offset, 4096)
		if err != nil {
			return header{}, err
		}
		if !zeros(more) {
			return unknown, nil
		}
	}
	if zeros(head) {
		unknown.content = holdsNothing
	}
	return unknown, nil
}

func zeros(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

func isExt(head []byte) bool { return head[1024+56] == 0x53 && head[1024+57] == 0xef }

// extFilesystem reads a superblock of ext2, ext3 or ext4. A filesystem that
// has the encrypt feature has, or had, folders under fscrypt; which ones
// cannot be told from outside.
func extFilesystem(head []byte) header {
	super := head[1024:2048]
	compatible := binary.LittleEndian.Uint32(super[0x5c:])
	incompatible := binary.LittleEndian.Uint32(super[0x60:])
	format := "ext2"
	switch {
	case incompatible&^0x17 != 0: // anything newer than filetype, compression, recovery and meta_bg
		format = "ext4"
	case compatible&0x4 != 0: // a journal
		format = "ext3"
	}
	h := inTheClear(holdsFilesystem, format, uuidText(super[0x68:]))
	if incompatible&0x10000 != 0 {
		return withFscrypt(h)
	}
	return h
}

func f2fsFilesystem(head []byte) header {
	super := head[1024:]
	h := inTheClear(holdsFilesystem, "f2fs", uuidText(super[108:]))
	if binary.LittleEndian.Uint32(super[2180:])&0x1 != 0 {
		return withFscrypt(h)
	}
	return h
}

func withFscrypt(h header) header {
	h.encryption = posture.Read(posture.Partial)
	h.protection = posture.Read(posture.ProtectionOn)
	h.method = "fscrypt"
	h.cipher = posture.Unread[string](posture.NotVisible)
	return h
}

// supportsFscrypt reports whether folders of a filesystem can be encrypted one
// by one, which only its superblock tells.
func supportsFscrypt(filesystem string) bool {
	return filesystem == "ext4" || filesystem == "f2fs" || filesystem == "ubifs"
}

// uuidText writes 16 bytes as 8-4-4-4-12 hexadecimal digits, "" if all are zero.
func uuidText(b []byte) string {
	if len(b) < 16 || zeros(b[:16]) {
		return ""
	}
	h := hex.EncodeToString(b[:16])
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

// serialText writes the serial number of FAT and exFAT.
func serialText(b []byte) string {
	n := binary.LittleEndian.Uint32(b)
	return fmt.Sprintf("%04X-%04X", n>>16, n&0xffff)
}

// isDamaged reports whether a header was read, and is not as it should be.
func isDamaged(err error) bool {
	for _, damaged := range []error{errLUKS, errNoLUKS, errFVE, errAPFS, errZFS, errAmbiguous} {
		if errors.Is(err, damaged) {
			return true
		}
	}
	return false
}

// headerAbsence names the reason behind an error of readHeader.
func headerAbsence(err error) posture.Absence {
	if notThere(err) {
		return posture.NotVisible // the device has no node, as in a container
	}
	return system.Absence(err)
}
