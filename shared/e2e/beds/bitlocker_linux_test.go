package beds

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The ways in which a volume's key is kept, as BitLocker numbers them.
const (
	behindClearKey   = 0x0000
	behindRecovery   = 0x0800
	behindPassphrase = 0x2000
)

// bitLocker returns the first 4 MiB of a volume that Windows encrypted whole:
// its header and the three copies of what says how it is encrypted. It is made
// by the published description of the format (libbde's), for nothing but
// Windows makes one; what would be files is zeros. To go is how Windows writes
// it on removable media, where the header looks like FAT's.
func bitLocker(toGo bool, protectors ...uint16) []byte {
	volume := make([]byte, 4<<20)
	guid := []byte{0x3B, 0xD6, 0x67, 0x49, 0x29, 0x2E, 0xD8, 0x4A, 0x83, 0x99, 0xF6, 0xA3, 0x39, 0xE3, 0xD0, 0x01}
	copy(volume, "\xEB\x58\x90-FVE-FS-")
	at := 160
	if toGo {
		copy(volume[3:], "MSWIN4.1")
		at = 424
	}
	binary.LittleEndian.PutUint16(volume[11:], 512) // bytes of a sector
	volume[13] = 8                                  // sectors of a cluster
	volume[21] = 0xF8                               // a disk
	copy(volume[at:], guid)
	copy(volume[510:], "\x55\xAA")
	metadata := fve(uint64(len(volume)), protectors)
	for i, place := range fvePlaces {
		binary.LittleEndian.PutUint64(volume[at+16+8*i:], place)
		copy(volume[place:], metadata)
	}
	return volume
}

// fvePlaces are where the three copies lie.
var fvePlaces = [3]uint64{1 << 20, 2 << 20, 3 << 20}

// fve returns what says how a volume is encrypted, and how its key is kept.
func fve(size uint64, protectors []uint16) []byte {
	var entries []byte
	for i, p := range protectors {
		key := make([]byte, 28) // a GUID, when it was made, and how it is kept
		key[0] = byte(i + 1)
		binary.LittleEndian.PutUint16(key[26:], p)
		entries = append(entries, fveEntry(2, 8, append(key, fveEntry(0, 5, make([]byte, 56))...))...)
	}
	entries = append(entries, fveEntry(3, 5, make([]byte, 56))...) // the key of the volume's content
	place := make([]byte, 16)                                      // where its own first sectors are kept
	binary.LittleEndian.PutUint64(place, 1<<20+64<<10)
	binary.LittleEndian.PutUint64(place[8:], 8192)
	entries = append(entries, fveEntry(15, 15, place)...)

	block := make([]byte, 64+48, 64<<10)
	copy(block, "-FVE-FS-")
	binary.LittleEndian.PutUint16(block[10:], 2) // version
	binary.LittleEndian.PutUint16(block[12:], 4) // it is encrypted
	binary.LittleEndian.PutUint16(block[14:], 4) // and stays so
	binary.LittleEndian.PutUint64(block[16:], size)
	binary.LittleEndian.PutUint32(block[28:], 16) // sectors that are kept elsewhere
	for i, place := range fvePlaces {
		binary.LittleEndian.PutUint64(block[32+8*i:], place)
	}
	binary.LittleEndian.PutUint64(block[56:], 1<<20+64<<10)
	header := block[64:]
	binary.LittleEndian.PutUint32(header, uint32(48+len(entries)))
	binary.LittleEndian.PutUint32(header[4:], 1)
	binary.LittleEndian.PutUint32(header[8:], 48)
	binary.LittleEndian.PutUint32(header[12:], uint32(48+len(entries)))
	copy(header[16:], "Hollybank no. 7.")
	binary.LittleEndian.PutUint16(header[36:], 0x8004) // AES-XTS, 128 bits
	return append(block, entries...)
}

func fveEntry(kind, value uint16, data []byte) []byte {
	head := make([]byte, 8)
	for i, v := range []uint16{uint16(8 + len(data)), kind, value, 1} {
		binary.LittleEndian.PutUint16(head[2*i:], v)
	}
	return append(head, data...)
}

// TestTheBitLockerHeadersAreTakenForSuch: what the guest's sticks carry is a
// BitLocker volume to cryptsetup, which was made for real ones.
func TestTheBitLockerHeadersAreTakenForSuch(t *testing.T) {
	needBeds(t)
	for name, v := range map[string]struct {
		toGo       bool
		protectors []uint16
		want       []string
	}{
		"to go":       {true, []uint16{behindPassphrase, behindRecovery}, []string{"passphrase", "recovery passphrase"}},
		"a clear key": {false, []uint16{behindRecovery, behindClearKey}, []string{"recovery passphrase", "clear key"}},
	} {
		image := filepath.Join(t.TempDir(), "image")
		must(t, os.WriteFile(image, bitLocker(v.toGo, v.protectors...), 0o600))
		out, err := exec.Command("cryptsetup", "bitlkDump", image).CombinedOutput()
		if err != nil {
			t.Fatalf("%s is no BitLocker volume to cryptsetup: %v\n%s", name, err, out)
		}
		var got []string
		for _, m := range regexp.MustCompile(`VMK protected with (.*)`).FindAllStringSubmatch(string(out), -1) {
			got = append(got, m[1])
		}
		if strings.Join(got, ", ") != strings.Join(v.want, ", ") || !strings.Contains(string(out), "xts-plain64") {
			t.Errorf("%s is kept by %q to cryptsetup, want %q:\n%s", name, got, v.want, out)
		}
	}
}
