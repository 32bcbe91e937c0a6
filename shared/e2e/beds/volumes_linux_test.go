package beds

import (
	"testing"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// block is a block device as lsblk lists it.
type block struct {
	Name       string  `json:"name"`
	Type       string  `json:"type"`
	Size       int64   `json:"size"`
	Mountpoint string  `json:"mountpoint"`
	Children   []block `json:"children"`
}

// mounted returns, by mount point, whether lsblk shows encryption anywhere
// between it and the disk. Swap is mounted at "[SWAP]".
func mounted(devices []block, encrypted bool) map[string]bool {
	found := map[string]bool{}
	for _, d := range devices {
		behind := encrypted || d.Type == "crypt"
		if d.Mountpoint != "" {
			found[d.Mountpoint] = behind
		}
		for mount, e := range mounted(d.Children, behind) {
			found[mount] = e
		}
	}
	return found
}

func TestVolumesAgreeWithLsblk(t *testing.T) {
	needBeds(t)
	for _, root := range []string{"plain", "luks"} {
		t.Run("root "+root, func(t *testing.T) {
			cannot(t, "OPAL, RAID over real disks, and what a laptop's maker installs")
			g := newGuest(t)
			must(t, g.run("volumes.sh", "-u", "-r", root))
			for _, state := range []string{"encrypted", "luks1", "plain"} {
				agrees(t, g, state, root == "luks")
			}
			apart(t, g)
		})
	}
}

// agrees compares one state of a guest.
func agrees(t *testing.T, g *guest, state string, rootEncrypted bool) {
	t.Helper()
	listed := document[struct {
		Devices []block `json:"blockdevices"`
	}](g, state+".lsblk.json")
	want := mounted(listed.Devices, false)
	if want["/"] != rootEncrypted || want["/home"] != (state != "plain") {
		t.Fatalf("%s: the guest is not what it was meant to be: %v", state, want)
	}
	report := document[posture.Report](g, state+".check.json")
	volumes := report.Facts.Volumes
	if volumes.Absent != posture.None || len(volumes.Gaps) > 0 {
		t.Errorf("%s: volumes are not known: %v, %v", state, volumes.Absent, volumes.Gaps)
	}
	got := map[string]posture.EncryptionState{}
	for _, v := range volumes.Items {
		mount := v.Mount
		if v.Role == posture.SwapVolume {
			mount = "[SWAP]"
		}
		if mount == "" || !v.Encryption.Known() {
			t.Errorf("%s: %+v is mounted nowhere or its encryption is not known", state, v)
			continue
		}
		got[mount] = v.Encryption.Value
	}
	method := map[string]string{"encrypted": "LUKS2", "luks1": "LUKS1", "plain": ""}[state]
	for _, v := range volumes.Items {
		if v.Mount == "/home" && v.Method != posture.Read(method) {
			t.Errorf("%s: the second disk is encrypted by %+v, want %q", state, v.Method, method)
		}
	}
	for mount, encrypted := range want {
		as := posture.Unencrypted
		if encrypted {
			as = posture.Encrypted
		}
		if got[mount] != as {
			t.Errorf("%s: %s is %q to the agent and encrypted: %v to lsblk", state, mount, got[mount], encrypted)
		}
		delete(got, mount)
	}
	for mount, as := range got {
		t.Errorf("%s: the agent sees %s (%s), and lsblk does not", state, mount, as)
	}
	for _, f := range report.Findings {
		if f.Rule == "ENC-01" && f.Subject.Label == "system disk /" && (f.Result == posture.Pass) != rootEncrypted {
			t.Errorf("%s: ENC-01 is %s", state, f.Result)
		}
	}
}

// apart checks the second disk where it is neither encrypted nor mounted: it
// can be read by whoever has the laptop all the same.
func apart(t *testing.T, g *guest) {
	t.Helper()
	report := document[posture.Report](g, "unmounted.check.json")
	found := 0
	for _, v := range report.Facts.Volumes.Items {
		if v.Mount == "" && v.Role == posture.DataVolume && v.Encryption == posture.Read(posture.Unencrypted) {
			found++
		}
	}
	if found != 1 {
		t.Errorf("the second disk, not mounted, is not there as one that is not encrypted: %+v", report.Facts.Volumes)
	}
}
