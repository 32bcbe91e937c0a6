package probe

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/agent/system/systemtest"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// TestOneStickHasOneHash: a stick that the school knows is known on whatever
// system it is put in, however Windows writes its number.
func TestOneStickHasOneHash(t *testing.T) {
	linux := askMedia(t, systemtest.Load(t, "testdata/media/stick-vfat")).Items[0]
	windows := askMedia(t, systemtest.Load(t, "testdata/media/windows-stick-plain")).Items[0]
	if !linux.Serial.Known() || linux.Serial != windows.Serial {
		t.Errorf("Linux hashes to %v and Windows to %v", linux.Serial, windows.Serial)
	}
	for _, c := range []struct{ onLinux, parent, descriptor string }{
		{"4C531001490518112283", `USB\VID_0781&PID_5567\4C531001490518112283`, ""},
		{"00000000NA9LP8HF", `USB\VID_174C&PID_55AA\MSFT3000000000NA9LP8HF`, ""},
		{"aa 04012700007666  ", `USB\VID_0951&PID_1666\AA_04012700007666__`, ""},
		{"E0D55EA5741CF4B0", `USB\VID_13FE&PID_4200\6&1A2B3C4D&0`, "  E0D55EA5741CF4B0"},
		// A number that tells no sticks apart is none: the disk's own is next.
		{"WD-WX11A22B3344", `USB\VID_1058&PID_25A2\0000000000000000`, "WD-WX11A22B3344"},
	} {
		row := system.Values{
			"BusType": system.NumberValue(busUSB), "Instance": system.TextValue(`USBSTOR\DISK&VEN_X\0`),
			"Parents": system.TextsValue([]string{c.parent, `USB\ROOT_HUB30\4&1&0&0`}),
		}
		if c.descriptor != "" {
			row["Serial"] = system.TextValue(c.descriptor)
		}
		m := driveMedia{mediaList: mediaList{key: mediaKey}}
		disk := physicalDisks([]system.Values{row})[0]
		got := m.diskSerial(disk, disk.attachment(posture.Read(false)))
		if want := posture.Read(hashSerial(mediaKey, posture.NormaliseSerial(c.onLinux))); got != want {
			t.Errorf("%s: got %v, want what Linux makes of %q", c.parent, got, c.onLinux)
		}
	}
}

// TestAttachmentOnWindows is what a disk is by where it hangs.
func TestAttachmentOnWindows(t *testing.T) {
	inside := []string{`PCI\VEN_8086&DEV_A0D3\3&11583659&0&B8`, `ACPI\PNP0A08\0`}
	for name, c := range map[string]struct {
		bus, policy int64
		removable   bool
		parents     []string
		runs        posture.Reading[bool]
		want        attachment
	}{
		"NVMe":                             {busNVMe, 1, false, inside, posture.Read(false), attachment{}},
		"NVMe in a box":                    {busNVMe, 3, false, inside, posture.Read(false), attachment{bus: "thunderbolt"}},
		"NVMe that Windows runs from":      {busNVMe, 3, false, inside, posture.Read(true), attachment{}},
		"NVMe, volumes not known":          {busNVMe, 2, false, inside, posture.Unread[bool](posture.Denied), attachment{absent: posture.Denied}},
		"SATA on a port with hot plug":     {busSATA, 3, false, inside, posture.Read(false), attachment{}},
		"RAID":                             {busRAID, 1, false, inside, posture.Read(false), attachment{}},
		"USB":                              {busUSB, 3, true, inside, posture.Read(false), attachment{bus: "usb"}},
		"SCSI under USB":                   {busSCSI, 3, false, append([]string{`USB\VID_174C&PID_55AA\1`}, inside...), posture.Read(false), attachment{bus: "usb"}},
		"SCSI":                             {busSCSI, 3, false, inside, posture.Read(false), attachment{}},
		"something removable":              {busUnknown, 3, true, inside, posture.Read(false), attachment{bus: "other"}},
		"FireWire":                         {busFireWire, 3, false, inside, posture.Read(false), attachment{bus: "firewire"}},
		"soldered flash":                   {busMMC, 1, false, inside, posture.Read(false), attachment{}},
		"soldered flash that is called SD": {busSD, 1, false, inside, posture.Read(true), attachment{}},
		"a card":                           {busSD, 3, false, inside, posture.Read(false), attachment{bus: "sd", kind: posture.CardMedium}},
		"an image":                         {busFileBacked, 2, false, inside, posture.Read(false), attachment{}},
		"Storage Spaces":                   {busSpaces, 1, false, []string{`ROOT\SPACEPORT\0000`}, posture.Read(false), attachment{}},
		"iSCSI":                            {busISCSI, 3, false, []string{`ROOT\ISCSIPRT\0000`}, posture.Read(false), attachment{}},
	} {
		disk := physicalDisks([]system.Values{{
			"BusType": system.NumberValue(c.bus), "RemovalPolicy": system.NumberValue(c.policy), "Removable": system.FlagValue(c.removable),
			"Instance": system.TextValue(`SCSI\DISK&VEN_X\0`), "Parents": system.TextsValue(c.parents),
		}})[0]
		if c.want.kind == "" {
			c.want.kind = posture.DiskMedium
		}
		if c.want.absent == posture.NotAsked {
			c.want.absent = posture.None
		}
		if got := disk.attachment(c.runs); got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

// swapped is a machine on which another stick has the number of the first
// after some readings.
type swapped struct {
	system.Reader
	after, reads int
}

func (s *swapped) Rows(ctx context.Context, r system.Rowset) ([]system.Values, error) {
	rows, err := s.Reader.Rows(ctx, r)
	if s.reads++; s.reads > s.after && r == system.Disks {
		rows[1]["Instance"] = system.TextValue(`USBSTOR\DISK&VEN_OTHER\1&0`)
	}
	return rows, err
}

// TestStickThatIsSwappedIsNotMixedUp: what was read of two sticks is said of
// neither.
func TestStickThatIsSwappedIsNotMixedUp(t *testing.T) {
	machine := systemtest.Load(t, "testdata/media/windows-stick-bitlocker-locked")
	got := askMedia(t, &swapped{Reader: machine, after: 2})
	if len(got.Items) != 0 || !slices.Contains(got.Gaps, posture.Gap{Source: "disks", Absent: posture.NotVisible}) {
		t.Errorf("got %+v with gaps %v", got.Items, got.Gaps)
	}
}

// settling is a machine whose second answer about BitLocker is that of another
// recording.
type settling struct {
	system.Reader
	later system.Reader
	asked int
}

func (s *settling) Rows(ctx context.Context, r system.Rowset) ([]system.Values, error) {
	if r == system.BitLockerVolumes {
		if s.asked++; s.asked > 1 {
			return s.later.Rows(ctx, r)
		}
	}
	return s.Reader.Rows(ctx, r)
}

func TestContradictionIsAskedAgainOnce(t *testing.T) {
	machine := &settling{
		Reader: systemtest.Load(t, "testdata/volumes/windows-11-contradictory"),
		later:  systemtest.Load(t, "testdata/volumes/windows-11-used-space-only"),
	}
	got := askVolumes(t, machine)
	if machine.asked != 2 || got.Items[0].Encryption != posture.Read(posture.Encrypted) {
		t.Errorf("asked %d times, got %+v", machine.asked, got.Items[0])
	}
}

// TestNothingOfAPersonIsTold: no label, no folder and no number of a disk is
// in what is said of a Windows machine.
func TestNothingOfAPersonIsTold(t *testing.T) {
	for section, ask := range map[string]func(system.Reader) any{
		"volumes": func(sys system.Reader) any { return askVolumes(t, sys) },
		"media":   func(sys system.Reader) any { return askMedia(t, sys) },
	} {
		eachMachine(t, section, func(t *testing.T, dir string) {
			sys := systemtest.Load(t, dir)
			if sys.Platform() != posture.Windows {
				return
			}
			said, err := json.Marshal(ask(sys))
			if err != nil {
				t.Fatal(err)
			}
			for _, secret := range secretsOf(t, sys) {
				if strings.Contains(strings.ToLower(string(said)), strings.ToLower(secret)) {
					t.Errorf("it tells %q", secret)
				}
			}
		})
	}
}

// secretsOf returns the serial numbers of a machine's disks, the names of its
// volumes and the folders that they are in.
func secretsOf(t *testing.T, sys system.Reader) []string {
	t.Helper()
	var secrets []string
	for _, r := range []system.Rowset{system.Disks, system.OpticalDrives, system.DiskVolumes} {
		rows, err := sys.Rows(t.Context(), r)
		if err != nil {
			continue
		}
		for _, row := range rows {
			list := []string{row.Text("Serial").Value, volumeGUID(row.Text("DeviceID").Value)}
			for _, mount := range row.Texts("Mounts").Value {
				_, folder, _ := strings.Cut(strings.TrimSuffix(mount, `\`), `\`)
				list = append(list, strings.ReplaceAll(folder, `\`, `\\`)) // as JSON writes it
			}
			if u, ok := lineageOf(row).usb(); ok {
				list = append(list, u.serial)
			}
			for _, s := range list {
				if len(s) > 3 {
					secrets = append(secrets, s)
				}
			}
		}
	}
	return secrets
}
