package probe

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// recordedParts returns the first bytes of every device of the recorded
// machines, real headers among them.
func recordedParts(f *testing.F) [][]byte {
	f.Helper()
	files, err := filepath.Glob("testdata/*/*/reads.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	var parts [][]byte
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			var r struct {
				Part   string `json:"part"`
				Offset int64  `json:"offset"`
				Base64 []byte `json:"base64"`
			}
			if strings.HasPrefix(line, `{"part"`) && json.Unmarshal([]byte(line), &r) == nil && r.Offset == 0 && len(r.Base64) > 0 {
				parts = append(parts, r.Base64)
			}
		}
	}
	if len(parts) == 0 {
		f.Fatal("no recorded headers")
	}
	return parts
}

// memory is an image of bytes.
func memory(data []byte) image {
	return image{size: int64(len(data)), read: func(offset int64, length int) ([]byte, error) {
		from := min(offset, int64(len(data)))
		return data[from:min(from+int64(length), int64(len(data)))], nil
	}}
}

func FuzzHeader(f *testing.F) {
	for _, part := range recordedParts(f) {
		f.Add(part)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := readHeader(memory(data))
		if err != nil {
			return
		}
		if h.content == holdsUnknown && h.encryption.Known() {
			t.Error("says whether something unknown is encrypted")
		}
		if h.encryption.Known() && h.encryption.Value != posture.Unencrypted && h.method == "" {
			t.Error("is encrypted by nothing")
		}
	})
}

func FuzzLUKS(f *testing.F) {
	for _, part := range recordedParts(f) {
		if strings.HasPrefix(string(part), luksMagic) {
			f.Add(part)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := readLUKS(memory(data))
		if err == nil && h.state == "" {
			t.Error("reads a header and says nothing of its state")
		}
	})
}

func FuzzLUKS2JSON(f *testing.F) {
	f.Add([]byte(`{"segments":{"0":{"type":"crypt","encryption":"aes-xts-plain64"}},"config":{}}`))
	f.Add([]byte(`{"segments":{"0":{"type":"linear"},"1":{"type":"crypt","encryption":"aes-xts-plain64","flags":["backup-final"]}},` +
		`"keyslots":{"1":{"type":"reencrypt","mode":"encrypt"}},"config":{"requirements":{"mandatory":["online-reencrypt-v2"]}}}`))
	f.Add([]byte(`{"segments":{"0":{"type":"hw-opal"}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		state, cipher, err := parseLUKS2JSON(data)
		if err == nil && (state == "" || state == posture.Encrypted && cipher == "") {
			t.Errorf("got state %q and cipher %q", state, cipher)
		}
	})
}

func FuzzBitLockerMetadata(f *testing.F) {
	block := make([]byte, 512)
	copy(block, fveSignature)
	binary.LittleEndian.PutUint16(block[10:], 2)
	binary.LittleEndian.PutUint16(block[12:], 4)
	binary.LittleEndian.PutUint16(block[14:], 4)
	binary.LittleEndian.PutUint32(block[64:], 48+56)
	copy(block[112:], []byte{56, 0, 2, 0, 8, 0, 1, 0})
	f.Add(block)
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseFVE(data)
		if err != nil {
			return
		}
		if h, err := m.header(); err == nil && !h.encryption.Known() {
			t.Error("reads metadata and says nothing of the state")
		}
	})
}

func FuzzPartitionTable(f *testing.F) {
	for _, part := range recordedParts(f) {
		if len(part) > 512 && string(part[510:512]) == "\x55\xaa" {
			f.Add(part)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		types, err := readTable(memory(data), 512)
		if err == nil && len(types) > 1024 {
			t.Errorf("got %d partitions", len(types))
		}
	})
}

func FuzzPoolLabel(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x20\x00\x00\x00\x20\x00\x00\x00\x04name\x00\x00\x00\x09\x00\x00\x00\x01\x00\x00\x00\x04tank"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if label, err := parsePoolLabel(data); err == nil && label.pool == "" {
			t.Error("reads a label without a pool")
		}
	})
}

func FuzzMountinfo(f *testing.F) {
	f.Add("29 1 253:1 / / rw,relatime shared:1 - ext4 /dev/mapper/vg-root rw\n")
	f.Add("36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n")
	f.Fuzz(func(t *testing.T, data string) {
		mounts, err := parseMountinfo(data)
		if err != nil {
			return
		}
		for _, m := range mounts {
			if !strings.Contains(m.number, ":") || strings.Contains(data, "\\") {
				continue
			}
			if !strings.Contains(data, m.point) {
				t.Errorf("invents the mount point %q", m.point)
			}
		}
	})
}

func FuzzSwaps(f *testing.F) {
	f.Add("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/dev/zram0                              partition\t4194300\t\t0\t\t100\n/swap\\040file file 2097148 0 -2\n")
	f.Fuzz(func(t *testing.T, data string) {
		areas, err := parseSwaps(data)
		for _, a := range areas {
			if err == nil && a.bytes < 0 {
				t.Errorf("a swap area of %d bytes", a.bytes)
			}
		}
	})
}

func FuzzZFS(f *testing.F) {
	f.Add("rpool\tencryption\taes-256-gcm\nrpool\tkeystatus\tavailable\n")
	f.Fuzz(func(t *testing.T, data string) {
		for name, set := range parseZFS(data) {
			if c, own := set.coverage(); own && c.state.Known() && !strings.HasPrefix(set.encryption, "aes-") {
				t.Errorf("%q is encrypted by %q", name, set.encryption)
			}
		}
	})
}

func FuzzSerial(f *testing.F) {
	f.Add([]byte("\x00\x80\x00\x08 WD-1234"), "text \x1b[31m\u202e")
	f.Fuzz(func(t *testing.T, page []byte, name string) {
		if number, ok := parseSerialPage(page); ok && number != posture.NormaliseSerial(number) {
			t.Errorf("%q is not normal", number)
		}
		if s := text(name); text(s) != s || len([]rune(s)) > 64 {
			t.Errorf("%q is not fit to be passed on", s)
		}
	})
}

func FuzzUUID(f *testing.F) {
	f.Add([]byte("0123456789abcdef"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, s := range []string{uuidText(data), guidText(data)} {
			if s != "" && (len(s) != 36 || strings.Trim(s, "0123456789abcdef-") != "") {
				t.Errorf("got %q", s)
			}
		}
	})
}

func FuzzUSBInstance(f *testing.F) {
	f.Add(`USB\VID_0781&PID_5567\4C531001490518112283`)
	f.Add(`USB\VID_174C&PID_55AA\MSFT3000000000NA9LP8HF`)
	f.Add(`USB\VID_13FE&PID_4200\6&1A2B3C4D&0`)
	f.Add(`USB\VID_04E8&PID_6860&MS_COMP_MTP&SAMSUNG_ANDROID\6&1F2E3D4C&0&0000`)
	f.Add(`USB\ROOT_HUB30\4&2B8F5D1&0&0`)
	f.Add(`SD\VID_03&OID_5344&PID_SD32G&REV_8.0\5&2F4B2C5A&0&1`)
	f.Fuzz(func(t *testing.T, instance string) {
		u, ok := parseUSBInstance(instance)
		if !ok {
			if u != (usbIdentity{}) {
				t.Errorf("got %+v of none", u)
			}
			return
		}
		if usbID(u.vendor) != u.vendor || usbID(u.product) != u.product || u.vendor == "" || u.product == "" {
			t.Errorf("got vendor %q and product %q", u.vendor, u.product)
		}
		if !strings.HasSuffix(instance, u.serial) || len(u.serial) > 1 && u.serial == instance[strings.LastIndexByte(instance, '\\')+1:] && u.serial[1] == '&' {
			t.Errorf("got serial %q", u.serial)
		}
	})
}

func FuzzVolumeGUID(f *testing.F) {
	f.Add(`\\?\Volume{6a1d2c3b-4e5f-4a6b-8c7d-9e0f1a2b3c4d}\`)
	f.Add(`\\?\VOLUME{6A1D2C3B-4E5F-4A6B-8C7D-9E0F1A2B3C4D}`)
	f.Fuzz(func(t *testing.T, name string) {
		guid := volumeGUID(name)
		if guid == "" {
			return
		}
		if len(guid) != 36 || strings.Trim(guid, "0123456789abcdef-") != "" || volumeGUID(`\\?\Volume{`+guid+`}\`) != guid {
			t.Errorf("got %q", guid)
		}
	})
}

func FuzzDriveLetter(f *testing.F) {
	f.Add(`C:\`)
	f.Add(`c:`)
	f.Add(`C:\Data\`)
	f.Fuzz(func(t *testing.T, mount string) {
		if letter := driveLetter(mount); letter != "" && (len(letter) != 2 || driveLetter(letter) != letter) {
			t.Errorf("got %q", letter)
		}
	})
}

func FuzzDiskParts(f *testing.F) {
	for _, part := range recordedParts(f) {
		if len(part) > 512 && string(part[510:512]) == "\x55\xaa" {
			f.Add(part)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, sector := range []int64{512, 4096} {
			parts, err := diskParts(memory(data), sector)
			if err != nil {
				continue
			}
			seen := map[int]bool{}
			for _, p := range parts {
				if p.number < 1 || seen[p.number] || p.start < 0 || p.size < 0 || p.kind == "" {
					t.Errorf("got %+v", p)
				}
				seen[p.number] = true
			}
		}
	})
}
