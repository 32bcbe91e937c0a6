package beds

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/shared/posture"
)

func TestSticksAgreeWithLsblk(t *testing.T) {
	needBeds(t)
	cannot(t, "that makers' sticks name themselves truly: these are QEMU's, with USB id 46f4:0001")
	g := newGuest(t)
	image := filepath.Join(t.TempDir(), "gpt.img")
	must(t, os.WriteFile(image, gpt(t, 64<<20, 16<<20/sector, 40<<20/sector), 0o644))
	must(t, g.run("sticks.sh", "-u", "-f", image))

	listed := document[struct {
		Devices []struct {
			Name   string `json:"name"`
			Size   int64  `json:"size"`
			Tran   string `json:"tran"`
			Vendor string `json:"vendor"`
			Model  string `json:"model"`
			Serial string `json:"serial"`
		} `json:"blockdevices"`
	}](g, "lsblk.json")
	media := document[posture.Report](g, "check.json").Facts.Media
	if media.Absent != posture.None || len(media.Gaps) > 0 {
		t.Errorf("media are not known: %v, %v", media.Absent, media.Gaps)
	}
	want := map[string]posture.EncryptionState{
		"HB0001": posture.Unencrypted, "HB0002": posture.Encrypted, "HB0003": posture.Partial,
	}
	sticks := 0
	for _, d := range listed.Devices {
		if d.Tran != "usb" {
			continue
		}
		sticks++
		vendor, product := strings.TrimSpace(d.Vendor), strings.TrimSpace(d.Model)
		found := false
		for _, m := range media.Items {
			if m.Vendor != vendor || m.Product != product {
				continue
			}
			found = true
			if m.Bus != "usb" || m.Capacity.Value != d.Size {
				t.Errorf("%s is on %s with %d bytes, and to lsblk on usb with %d", d.Serial, m.Bus, m.Capacity.Value, d.Size)
			}
			if d.Serial == "HB0004" { // a blank stick may be anything
				if m.Encryption.Known() {
					t.Errorf("the blank stick is encrypted: %q, and nothing on it says so", m.Encryption.Value)
				}
			} else if m.Encryption.Value != want[d.Serial] || !m.Encryption.Known() {
				t.Errorf("%s (%s) is encrypted: %+v, want %s; its partitions are %+v", d.Serial, d.Name, m.Encryption, want[d.Serial], m.Partitions)
			}
			if d.Serial == "HB0003" && (len(m.Partitions) != 2 || m.Partitions[0].Encryption.Value != posture.Unencrypted || m.Partitions[1].Encryption.Value != posture.Encrypted) {
				t.Errorf("the stick with two partitions has %+v", m.Partitions)
			}
			if m.Serial.Known() {
				t.Errorf("%s is hashed as %q without a school's key", d.Serial, m.Serial.Value)
			}
		}
		if !found {
			t.Errorf("lsblk has %s %q %q, and the agent does not: %+v", d.Serial, vendor, product, media.Items)
		}
	}
	if sticks != 4 || len(media.Items) != 4 {
		t.Errorf("lsblk has %d sticks and the agent %d, want 4", sticks, len(media.Items))
	}
	if text := string(g.read("check.json")); strings.Contains(text, "HB000") {
		t.Error("a serial number is in the report as it stands on the stick")
	}
}
