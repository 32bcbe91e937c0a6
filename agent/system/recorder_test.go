package system_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/agent/system/systemtest"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// school is a machine full of what must not be in a recording. Everything in
// secrets stands somewhere in it.
const school = `
{"file":"/etc/passwd","text":"root:x:0:0:root:/root:/bin/bash\nmwhitlock:x:1000:1000:Maud Whitlock,Room 7,01632 960123:/home/mwhitlock:/bin/bash\n"}
{"file":"/etc/shadow","text":"root:!:19000:0:99999:7:::\nmwhitlock:$6$saltsalt$hashhash:19000:0:99999:7:::\nguest::19000::::::\n"}
{"file":"/etc/hostname","text":"hb-lt-014\n"}
{"file":"/proc/sys/kernel/hostname","text":"hb-lt-014\n"}
{"file":"/etc/os-release","text":"ID=debian\nVERSION_ID=\"12\"\n"}
{"file":"/proc/self/mountinfo","text":"29 1 253:1 / / rw - ext4 /dev/mapper/hb--lt--014--vg-root rw\n30 29 8:17 / /media/mwhitlock/MAUDS\\040STICK rw - vfat /dev/sdb1 rw\n"}
{"link":"/sys/dev/block/253:1","target":"../../devices/virtual/block/dm-1"}
{"file":"/sys/devices/virtual/block/dm-1/dm/uuid","text":"CRYPT-LUKS2-2a2c7241509d4e789ff2b7c3faa639f6-hb--lt--014--vg-root\n"}
{"file":"/sys/block/sda/device/serial","text":"S6PXNM0T123456A\n"}
{"file":"/run/udev/data/b8:16","text":"S:disk/by-id/usb-Acme_S6PXNM0T123456A\nE:ID_BUS=usb\nE:ID_MODEL=Cruzer\nE:ID_SERIAL_SHORT=S6PXNM0T123456A\nE:ID_FS_LABEL=MAUDS STICK\n"}
{"dir":"/dev/disk/by-id","entries":[{"name":"usb-Acme_S6PXNM0T123456A","type":134217728}]}
{"dir":"/sys/fs/btrfs","entries":[{"name":"0b3cfe6e-1d2c-4d5a-8f00-aabbccddeeff","type":2147483648}]}
{"file":"/sys/fs/btrfs/0b3cfe6e-1d2c-4d5a-8f00-aabbccddeeff/label","text":"\n"}
{"file":"/home/mwhitlock/.config/kscreenlockerrc","text":"[Daemon]\nAutolock=true\n"}
{"file":"/home/mwhitlock/.config/dconf/user","base64":"R1ZhcmlhbnQAc2VjcmV0"}
{"run":"nft-ruleset","stdout":"{\"ip\":\"10.20.30.40\",\"six\":\"fd00:1234::17\",\"mac\":\"02:42:ac:11:00:02\",\"loop\":\"127.0.0.1\"}"}
{"run":"mdatp-health","stdout":"{\"orgId\":\"0b3cfe6e-1d2c-4d5a-8f00-aabbccddeeff\",\"contact\":\"maud@hollybank.example.sch.uk\"}"}
{"run":"apt-pending","stdout":"Inst zlib1g [1:1.2.13.1] (1:1.2.13.2 Debian)\n"}
{"run":"zfs-encryption","missing":true}
{"ask":"clamd-version","text":"ClamAV 1.4.3\u0000"}
{"processes":["systemd"]}
{"file":"/etc/gdm3/custom.conf","absent":"denied"}
{"walk":{"files":[{"location":"downloads","text":"#!/bin/sh a love letter"}],"looked":4}}
`

var secrets = []string{
	"mwhitlock", "Maud", "Whitlock", "960123", "saltsalt", "hashhash", "hb-lt-014", "hb--lt--014", "MAUDS", "STICK",
	"2a2c7241509d4e789ff2b7c3faa639f6", "S6PXNM0T123456A", "0b3cfe6e", "aabbccddeeff", "10.20.30.40", "fd00:1234",
	"02:42:ac", "maud@", "hollybank", "love letter", "R1ZhcmlhbnQ",
}

// record asks a machine for everything and returns the recording of it.
func record(t *testing.T, m system.Reader, ask func(context.Context, system.Reader)) (string, *system.Replay) {
	t.Helper()
	r := system.NewRecorder(m)
	ask(t.Context(), r)
	head, reads, err := r.Bytes(t.Context(), system.Machine{RecordedAt: time.Unix(1_790_000_000, 0).UTC(), Agent: "1.0"})
	if err != nil {
		t.Fatal(err)
	}
	again, err := system.NewReplay(head, reads)
	if err != nil {
		t.Fatalf("replay the recording: %v\n%s", err, reads)
	}
	return string(reads), again
}

func askEverything(ctx context.Context, r system.Reader) {
	for _, name := range []string{
		"/etc/passwd", "/etc/shadow", "/etc/hostname", "/etc/os-release", "/proc/self/mountinfo", "/etc/gdm3/custom.conf",
		"/sys/devices/virtual/block/dm-1/dm/uuid", "/sys/block/sda/device/serial", "/run/udev/data/b8:16",
		"/sys/fs/btrfs/0b3cfe6e-1d2c-4d5a-8f00-aabbccddeeff/label", "/home/mwhitlock/.config/kscreenlockerrc",
		"/home/mwhitlock/.config/dconf/user", "/not/recorded",
	} {
		_, _ = r.File(ctx, name, 1<<20)
	}
	_, _ = r.Link(ctx, "/sys/dev/block/253:1")
	_, _ = r.Dir(ctx, "/dev/disk/by-id")
	_, _ = r.Dir(ctx, "/sys/fs/btrfs")
	for _, c := range []system.Command{system.NFTRuleset, system.MDATPHealth, system.APTPending, system.ZFSEncryption} {
		_, _ = r.Run(ctx, c)
		_, _ = r.Run(ctx, c)
	}
	_, _ = r.Ask(ctx, system.ClamdAnswersVersion)
	_, _ = r.Processes(ctx)
	_, _ = r.Walk(ctx, system.WalkLimits{Files: 10}, func(system.WalkedFile) error { return nil })
}

func TestRecordingHoldsNoSecrets(t *testing.T) {
	reads, _ := record(t, systemtest.Replay(t, posture.Linux, school), askEverything)
	for _, secret := range secrets {
		if i := strings.Index(strings.ToLower(reads), strings.ToLower(secret)); i >= 0 {
			t.Errorf("the recording tells %q: …%.80s…", secret, reads[max(0, i-20):])
		}
	}
}

func TestRecordingKeepsWhatProbesNeed(t *testing.T) {
	reads, m := record(t, systemtest.Replay(t, posture.Linux, school), askEverything)
	ctx := t.Context()
	file := func(name string) string {
		data, err := m.File(ctx, name, 1<<20)
		if err != nil {
			t.Errorf("%v in\n%s", err, reads)
		}
		return string(data)
	}
	if got := file("/etc/os-release"); got != "ID=debian\nVERSION_ID=\"12\"\n" {
		t.Errorf("os-release: got %q", got)
	}
	if got := file("/etc/passwd"); got != "root:x:0:0:root:/root:/bin/bash\nuser1:x:1000:1000::/home/user1:/bin/bash\n" &&
		!strings.Contains(got, "/home/user1:/bin/bash") {
		t.Errorf("passwd: got %q", got)
	}
	if got := file("/etc/shadow"); got != "root:!:19000:0:99999:7:::\nuser1:$6$scrubbed:19000:0:99999:7:::\nguest::19000::::::\n" {
		t.Errorf("shadow: got %q", got)
	}
	if got := file("/home/user1/.config/kscreenlockerrc"); got != "[Daemon]\nAutolock=true\n" {
		t.Errorf("a setting in a home: got %q", got)
	}
	uuid := file("/sys/devices/virtual/block/dm-1/dm/uuid")
	if !strings.HasPrefix(uuid, "CRYPT-LUKS2-") || !strings.HasSuffix(uuid, "-host1--vg-root\n") {
		t.Errorf("uuid of a mapping: got %q", uuid)
	}
	if got := file("/proc/self/mountinfo"); !strings.Contains(got, "/dev/mapper/host1--vg-root") || !strings.Contains(got, "/media/user1/label1 rw - vfat") {
		t.Errorf("mounts: got %q", got)
	}
	serial := strings.TrimSpace(file("/sys/block/sda/device/serial"))
	udev := file("/run/udev/data/b8:16")
	if want := "E:ID_BUS=usb\nE:ID_MODEL=Cruzer\nE:ID_SERIAL_SHORT=" + serial + "\n"; udev != want || len(serial) != 15 {
		t.Errorf("udev's record: got %q, want %q", udev, want)
	}
	list, err := m.Dir(ctx, "/sys/fs/btrfs")
	if err != nil || len(list) != 1 || file("/sys/fs/btrfs/"+list[0].Name+"/label") != "\n" {
		t.Errorf("what is equal stays equal: got %v, %v", list, err)
	}
	if out, err := m.Run(ctx, system.APTPending); err != nil || string(out.Stdout) != "Inst zlib1g [1:1.2.13.1] (1:1.2.13.2 Debian)\n" {
		t.Errorf("pending updates: got %q, %v", out.Stdout, err)
	}
	if out, err := m.Run(ctx, system.NFTRuleset); err != nil || !strings.Contains(string(out.Stdout), "127.0.0.1") {
		t.Errorf("firewall: got %q, %v", out.Stdout, err)
	}
	for name, c := range map[string]struct {
		got, want error
	}{
		"denied":       {fails(m.File(ctx, "/etc/gdm3/custom.conf", 9)), fs.ErrPermission},
		"missing":      {fails(m.Run(ctx, system.ZFSEncryption)), fs.ErrNotExist},
		"withheld":     {fails(m.File(ctx, "/home/user1/.config/dconf/user", 9)), system.ErrNotRecorded},
		"not recorded": {fails(m.File(ctx, "/not/recorded", 9)), system.ErrNotRecorded},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: got %v, want %v", name, c.got, c.want)
		}
	}
	s, err := m.Walk(ctx, system.WalkLimits{Files: 10}, func(system.WalkedFile) error { return errors.New("a file of the walk was recorded") })
	want := system.WalkSummary{Files: 4, Stopped: posture.None, Gaps: []posture.Gap{{Source: "recording", Absent: posture.NotVisible}}}
	if diff := cmp.Diff(want, s); err != nil || diff != "" {
		t.Errorf("walk (-want +got), %v:\n%s", err, diff)
	}
}

func fails[T any](_ T, err error) error { return err }

func TestRecordingsDoNotCompare(t *testing.T) {
	one, _ := record(t, systemtest.Replay(t, posture.Linux, school), askEverything)
	two, _ := record(t, systemtest.Replay(t, posture.Linux, school), askEverything)
	if one == two {
		t.Error("two recordings give a serial number the same pseudonym")
	}
}

func TestNoRecordingWhereNamesAreHidden(t *testing.T) {
	r := system.NewRecorder(systemtest.Replay(t, posture.Linux, `{"file":"/etc/passwd","absent":"denied"}`))
	if _, _, err := r.Bytes(t.Context(), system.Machine{}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v, want %v", err, fs.ErrPermission)
	}
}

func TestRecordingOfDisksHoldsHeadersOnly(t *testing.T) {
	disk := slices.Repeat([]byte{0xA5}, 8192)
	copy(disk, "LUKS\xba\xbe\x00\x02")
	copy(disk[24:], "mauds laptop")
	copy(disk[4096:], `{"keyslots":{"0":{"type":"luks2","kdf":{"salt":"c2VjcmV0"}}},"tokens":{"0":{"type":"systemd-tpm2","blob":"c2VjcmV0"}},"segments":{"0":{"type":"crypt","offset":"16777216","size":"dynamic","iv_tweak":"0","encryption":"aes-xts-plain64","sector_size":512}},"digests":{"0":{"digest":"c2VjcmV0"}}}`+"\x00")
	line := `{"part":"/dev/sda3","offset":0,"length":8192,"base64":"` + base64.StdEncoding.EncodeToString(disk) + `"}`
	_, m := record(t, systemtest.Replay(t, posture.Linux, line), func(ctx context.Context, r system.Reader) {
		_, _ = r.Part(ctx, "/dev/sda3", 0, 8192)
	})
	got, err := m.Part(t.Context(), "/dev/sda3", 0, 8192)
	if err != nil || len(got) != 8192 {
		t.Fatalf("got %d bytes, %v", len(got), err)
	}
	if string(got[:8]) != "LUKS\xba\xbe\x00\x02" || !strings.Contains(string(got[4096:]), `"encryption":"aes-xts-plain64"`) || !strings.Contains(string(got[4096:]), "systemd-tpm2") {
		t.Errorf("the header is lost: %q %q", got[:8], got[4096:4300])
	}
	for _, secret := range []string{"mauds", "c2VjcmV0", "salt"} {
		if strings.Contains(string(got), secret) {
			t.Errorf("the recording tells %q", secret)
		}
	}
	if n := strings.Count(string(got), "\xA5"); n > 200 {
		t.Errorf("%d bytes of the disk's own are kept", n)
	}
}
