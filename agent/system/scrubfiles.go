package system

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"strings"
)

// scrubPasswd empties the comment of each user, which holds full names, rooms
// and telephone numbers.
func scrubPasswd(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		field := strings.Split(line, ":")
		if len(field) == 7 {
			field[4] = ""
			line = strings.Join(field, ":")
		}
		b.WriteString(line)
	}
	return b.String()
}

// scrubShadow empties password hashes of all but what a probe needs: whether
// there is one, of which method, and whether it is locked.
func scrubShadow(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		field := strings.SplitN(line, ":", 3)
		if len(field) > 1 {
			field[1] = scrubHash(field[1])
			line = strings.Join(field, ":")
		}
		b.WriteString(line)
	}
	return b.String()
}

func scrubHash(hash string) string {
	rest := strings.TrimLeft(hash, "!*")
	mark := hash[:len(hash)-len(rest)]
	if rest == "" {
		return mark
	}
	if method, _, ok := strings.Cut(strings.TrimPrefix(rest, "$"), "$"); ok && strings.HasPrefix(rest, "$") && len(method) <= 8 {
		return mark + "$" + method + "$scrubbed"
	}
	return mark + "scrubbed"
}

// udevKeys are what is kept of udev's record of a device.
var udevKeys = []string{
	"ID_BUS", "ID_TYPE", "ID_VENDOR", "ID_VENDOR_ID", "ID_MODEL", "ID_MODEL_ID", "ID_REVISION", "ID_USB_DRIVER",
	"ID_USB_TYPE", "ID_USB_VENDOR", "ID_USB_VENDOR_ID", "ID_USB_MODEL", "ID_USB_MODEL_ID", "ID_SERIAL_SHORT",
	"ID_FS_TYPE", "ID_FS_USAGE", "ID_FS_VERSION", "ID_FS_UUID", "ID_PART_TABLE_TYPE", "ID_PART_ENTRY_TYPE",
	"ID_PART_ENTRY_NUMBER", "ID_CDROM", "ID_CDROM_MEDIA", "ID_DRIVE_THUMB", "ID_ATA", "DM_UUID",
}

// scrubUdev keeps the lines of a udev record that say what a device is.
func scrubUdev(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		for _, key := range udevKeys {
			if strings.HasPrefix(line, "E:"+key+"=") {
				b.WriteString(line)
			}
		}
	}
	return b.String()
}

// span is a run of bytes of a disk.
type span struct{ from, to int64 }

// headers are the bytes by which a disk's or partition's format is told. Of a
// disk nothing else is kept: its first sectors hold labels, serial numbers and
// the salts of passwords.
var headers = []span{
	{0, 8},                 // LUKS and its version; a jump, the start of FAT and NTFS
	{3, 11},                // -FVE-FS-, MSWIN4.1, NTFS, EXFAT
	{32, 36},               // NXSB: APFS
	{54, 62},               // FAT12, FAT16
	{82, 90},               // FAT32
	{160, 176}, {424, 440}, // BitLocker's own GUID, the same on every disk
	{446, 512},                 // table of partitions and its signature
	{512, 520},                 // EFI PART; LABELONE of LVM
	{536, 544},                 // LVM2 001
	{1024, 1028},               // HFS+, F2FS
	{1080, 1082}, {1116, 1128}, // ext2, ext3, ext4 and their features
	{3204, 3208},               // F2FS and its features
	{4086, 4096},               // SWAPSPACE2
	{4096, 4100}, {4120, 4136}, // RAID, bcache
	{0x3ff6, 0x4000}, {0xfff6, 0x10000}, // SWAPSPACE2 of larger pages
	{0x4000, 0x4008},                   // second header of LUKS2
	{0x8001, 0x8006}, {0x9001, 0x9006}, // CD001, NSR02: discs
	{0x10040, 0x10048}, // btrfs
}

// binary scrubs content that is not text, and reports whether any of it may
// be kept. Of a disk the headers stay; of a file outside the system's own
// folders, nothing.
func (s *scrubber) binary(r *reading) bool {
	data, err := base64.StdEncoding.DecodeString(*r.Base64)
	if err != nil {
		return false
	}
	switch {
	case r.Part != "" && (below("/dev", r.Part) || below("/device", r.Part)):
		encoded := base64.StdEncoding.EncodeToString(s.device(r, data))
		r.Base64 = &encoded
		return true
	case r.File != "" && isSerial(r.File):
		return false
	}
	name := r.File + r.Part
	for _, dir := range []string{"/sys", "/proc", "/var/lib/clamav", "/usr", "/boot"} {
		if below(dir, name) {
			return true
		}
	}
	return r.Ask != ""
}

// keepHeaders zeroes what is not a header.
func keepHeaders(data []byte, offset int64) []byte {
	kept := make([]byte, len(data))
	keep := func(from, to int64) {
		from, to = max(from-offset, 0), min(to-offset, int64(len(data)))
		if from < to {
			copy(kept[from:to], data[from:to])
		}
	}
	for _, h := range headers {
		keep(h.from, h.to)
	}
	if offset == 0 && bytes.HasPrefix(data, []byte("LUKS\xba\xbe")) {
		clear(kept[min(8, len(kept)):min(luks2Area, len(kept))]) // salts, digests and identifiers lie in these spans
		if bytes.HasPrefix(data[6:], []byte("\x00\x01")) {
			keep(8, 104) // cipher, mode and hash; LUKS2 has its label there
		}
	}
	if at := luks2Area - offset; at >= 0 && at < int64(len(data)) {
		copy(kept[at:], reduceLUKS2(data[at:]))
	}
	switch {
	case offset == 0 && bytes.HasPrefix(data, []byte("LUKS\xba\xbe\x00\x02")):
		keep(8, 24)   // size and sequence
		keep(72, 104) // method of the checksum
		checkLUKS2(kept)
	case offset == 0 && len(data) > 36 && string(data[32:36]) == "NXSB":
		keep(16, 24)     // transaction
		keep(36, 48)     // block size and count
		keep(104, 120)   // where newer copies are
		keep(1296, 1312) // whether there is a key bag
	case bytes.HasPrefix(data, []byte("-FVE-FS-")):
		keepFVE(kept, data)
	case isPartitionTable(offset, data):
		clear(kept) // names lie in these spans
		for i := int64(0); i < int64(len(data)); i += partitionEntry {
			keep(offset+i, offset+i+16)    // the type of each, the same on every disk
			keep(offset+i+32, offset+i+48) // where it lies
		}
	}
	if offset == 0 {
		keepPlaces(keep, data)
	}
	return kept
}

// keepPlaces keeps where the rest of a header lies.
func keepPlaces(keep func(from, to int64), data []byte) {
	at := func(offset int, magic string) bool {
		return len(data) >= offset+len(magic) && string(data[offset:offset+len(magic)]) == magic
	}
	switch {
	case at(3, "-FVE-FS-"):
		keep(176, 200)
	case at(3, "MSWIN4.1"):
		keep(440, 464)
	}
	for _, block := range []int64{512, 4096} {
		if at(int(block), "EFI PART") {
			keep(block, block+8)
			keep(block+72, block+88)
		}
	}
}

// keepFVE keeps of BitLocker's metadata its state, its cipher and the kinds of
// its protectors.
func keepFVE(kept, data []byte) {
	const start, end = 112, 64 // of the entries; of the header that has their size
	if len(data) < start {
		return
	}
	copy(kept[:16], data[:16])
	copy(kept[64:76], data[64:76])
	copy(kept[100:102], data[100:102])
	size := int(binary.LittleEndian.Uint32(data[64:]))
	for at := start; at+36 <= min(len(data), end+size); {
		length := int(binary.LittleEndian.Uint16(data[at:]))
		if length < 8 {
			return
		}
		copy(kept[at:at+8], data[at:at+8])
		if data[at+2] == 2 && length >= 36 {
			copy(kept[at+34:at+36], data[at+34:at+36])
		}
		at += length
	}
}

// checkLUKS2 gives a scrubbed header, if it is there as a whole, a checksum
// that is right for what was kept.
func checkLUKS2(kept []byte) {
	if len(kept) < luks2Area {
		return
	}
	size := binary.BigEndian.Uint64(kept[8:])
	if size <= luks2Area || size > uint64(len(kept)) || !bytes.HasPrefix(kept[72:], []byte("sha256\x00")) {
		return
	}
	sum := sha256.Sum256(kept[:size])
	copy(kept[448:], sum[:])
}

// luks2Area is where a LUKS2 header holds its JSON document.
const luks2Area = 4096

// reduceLUKS2 keeps of a LUKS2 document how the data is encrypted and by what
// kinds of token it is unlocked: no salt, no digest, no key.
func reduceLUKS2(area []byte) []byte {
	text, _, _ := bytes.Cut(area, []byte{0})
	var document struct {
		Segments map[string]struct {
			Type       string   `json:"type"`
			Offset     string   `json:"offset"`
			Size       string   `json:"size"`
			Encryption string   `json:"encryption,omitempty"`
			SectorSize int      `json:"sector_size,omitempty"`
			Flags      []string `json:"flags,omitempty"`
		} `json:"segments"`
		Keyslots map[string]struct {
			Type string `json:"type"`
			Mode string `json:"mode,omitempty"` // of a change under way
		} `json:"keyslots,omitempty"`
		Config struct {
			Requirements *struct {
				Mandatory []string `json:"mandatory,omitempty"`
			} `json:"requirements,omitempty"`
		} `json:"config"`
		Tokens map[string]struct {
			Type string `json:"type"`
		} `json:"tokens,omitempty"`
	}
	if json.Unmarshal(text, &document) != nil || len(document.Segments) == 0 {
		return nil
	}
	reduced, err := json.Marshal(document)
	if err != nil || len(reduced) > len(text) {
		return nil
	}
	return reduced
}
