package beds

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// sticks are the guest's, by serial number: what blkid takes each for, and what
// the agent has to say of it. Of a blank one nothing says anything.
var sticks = map[string]struct {
	format     string
	encryption posture.Reading[posture.EncryptionState]
	method     string // of the first partition
}{
	"HB0001": {"vfat", posture.Read(posture.Unencrypted), ""},
	"HB0002": {"crypto_LUKS", posture.Read(posture.Encrypted), "LUKS2"},
	"HB0003": {"", posture.Read(posture.Partial), ""},
	"HB0004": {"", posture.Unread[posture.EncryptionState](posture.Unreadable), ""},
	"HB0005": {"crypto_LUKS", posture.Read(posture.Encrypted), "LUKS1"},
	"HB0006": {"BitLocker", posture.Read(posture.Encrypted), "BitLocker"},
	// Who has the stick has the key.
	"HB0007": {"BitLocker", posture.Read(posture.Unencrypted), "BitLocker"},
}

func TestSticksAgreeWithLsblk(t *testing.T) {
	needBeds(t)
	cannot(t, "that makers' sticks name themselves truly: these are QEMU's, with USB id 46f4:0001")
	cannot(t, "a stick that Windows encrypted: the two with BitLocker have headers made by the format's description, and no files")
	g := newGuest(t)
	images := map[string][]byte{
		"gpt.img":   gpt(t, 64<<20, 16<<20/sector, 40<<20/sector),
		"togo.img":  partitioned(bitLocker(true, behindPassphrase, behindRecovery)),
		"clear.img": bitLocker(false, behindRecovery, behindClearKey),
	}
	options := []string{"-u"}
	dir := t.TempDir()
	for name, data := range images {
		must(t, os.WriteFile(filepath.Join(dir, name), data, 0o644))
		options = append(options, "-f", filepath.Join(dir, name))
	}
	must(t, g.run("sticks.sh", options...))

	listed := document[struct {
		Devices []stick `json:"blockdevices"`
	}](g, "lsblk.json")
	media := document[posture.Report](g, "check.json").Facts.Media
	if media.Absent != posture.None || len(media.Gaps) > 0 {
		t.Errorf("media are not known: %v, %v", media.Absent, media.Gaps)
	}
	found := 0
	for _, d := range listed.Devices {
		if d.Tran == "usb" {
			found++
			d.agrees(t, media.Items)
		}
	}
	if found != len(sticks) || len(media.Items) != len(sticks) {
		t.Errorf("lsblk has %d sticks and the agent %d, want %d", found, len(media.Items), len(sticks))
	}
	if text := string(g.read("check.json")); strings.Contains(text, "HB000") {
		t.Error("a serial number is in the report as it stands on the stick")
	}
}

// stick is one as lsblk lists it.
type stick struct {
	Name   string  `json:"name"`
	Size   int64   `json:"size"`
	Tran   string  `json:"tran"`
	Vendor string  `json:"vendor"`
	Model  string  `json:"model"`
	Serial string  `json:"serial"`
	Format string  `json:"fstype"`
	Parts  []stick `json:"children"`
}

// format is that of the stick, or of its only partition.
func (d stick) format() string {
	if len(d.Parts) == 1 {
		return d.Parts[0].Format
	}
	return d.Format
}

// agrees compares what lsblk says of a stick with what the agent does.
func (d stick) agrees(t *testing.T, media []posture.Medium) {
	t.Helper()
	want := sticks[d.Serial]
	if d.format() != want.format {
		t.Fatalf("%s holds %q to lsblk, and was meant to hold %q", d.Serial, d.format(), want.format)
	}
	vendor, product := strings.TrimSpace(d.Vendor), strings.TrimSpace(d.Model)
	i := slices.IndexFunc(media, func(m posture.Medium) bool { return m.Vendor == vendor && m.Product == product })
	if i < 0 {
		t.Errorf("lsblk has %s %q %q, and the agent does not: %+v", d.Serial, vendor, product, media)
		return
	}
	m := media[i]
	if m.Bus != "usb" || m.Capacity.Value != d.Size {
		t.Errorf("%s is on %s with %d bytes, and to lsblk on usb with %d", d.Serial, m.Bus, m.Capacity.Value, d.Size)
	}
	if m.Encryption != want.encryption {
		t.Errorf("%s (%s) is encrypted: %+v, want %+v; its partitions are %+v", d.Serial, d.Name, m.Encryption, want.encryption, m.Partitions)
	}
	if want.format != "" && (len(m.Partitions) != 1 || m.Partitions[0].Method != posture.Read(want.method)) {
		t.Errorf("%s is encrypted by %q, and to the agent: %+v", d.Serial, want.method, m.Partitions)
	}
	if d.Serial == "HB0003" && (len(m.Partitions) != 2 || m.Partitions[0].Encryption.Value != posture.Unencrypted || m.Partitions[1].Encryption.Value != posture.Encrypted) {
		t.Errorf("the stick with two partitions has %+v", m.Partitions)
	}
	if m.Serial.Known() {
		t.Errorf("%s is hashed as %q without a school's key", d.Serial, m.Serial.Value)
	}
}
