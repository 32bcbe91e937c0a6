package system_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/agent/plist"
	"github.com/caretaker-school/caretaker/agent/system"
)

// staffroom is a Mac full of what must not be in a recording. Everything in
// staffroomSecrets stands somewhere in it.
var staffroom = strings.Join([]string{
	`{"dir":"/Users","entries":[{"name":"Shared","type":2147483648},{"name":"mwhitlock","type":2147483648}]}`,
	`{"dir":"/Volumes","entries":[{"name":"Macintosh HD","type":134217728},{"name":"Maud's <Photos>","type":2147483648}]}`,
	`{"dir":"/Users/mwhitlock/Applications","entries":[{"name":"Prayer Times.app","type":2147483648}]}`,
	`{"run":"scutil-hostname","stdout":"Mauds-MacBook\n"}`,
	`{"run":"fdesetup-status","stdout":"FileVault is Off.\nDeferred enablement appears to be active for user 'mwhitlock'.\n"}`,
	`{"run":"dscl-admin","stdout":"GroupMembers: FFFFEEEE-DDDD-CCCC-BBBB-AAAA00000000 5A3CFE6E-1D2C-4D5A-8F00-AABBCCDDEE77\n"}`,
	`{"run":"diskutil-list","stdout":` + asJSON(map[string]any{"AllDisksAndPartitions": []any{map[string]any{
		"DeviceIdentifier": "disk4", "Size": int64(15376318464), "VolumeName": "Maud's <Photos>", "MountPoint": "/Volumes/Maud's <Photos>",
		"DiskUUID": "2F978E12-5A2C-4EEB-BAE2-0E09CAEADC06",
	}}}) + `}`,
	`{"run":"ioreg-usb","stdout":` + asJSON([]any{map[string]any{
		"idVendor": int64(1921), "USB Serial Number": "4C531001490518112283", "kUSBAddress": int64(7), "UsbDeviceSignature": []byte("4C531001490518112283"),
	}}) + `}`,
	`{"run":"mac-falcon-stats","stdout":"=== agent_info ===\nversion: 7.29.20016.0\nagentID: 9E3CFE6E-1D2C-4D5A-8F00-AABBCCDDEE99\nSensor operational: true\n"}`,
	`{"run":"mac-mdatp-health","stdout":"{\"healthy\":true,\"orgId\":\"hollybank\",\"realTimeProtectionEnabled\":{\"value\":true},\"machineGuid\":\"9e3cfe6e\"}\n"}`,
	`{"run":"system-profiler-hardware","stdout":"{\"SPHardwareDataType\":[{\"machine_name\":\"MacBook Air\",\"machine_model\":\"Mac14,2\",\"serial_number\":\"C02XK1ZZJHD3\"}]}\n"}`,
	`{"file":"/Library/Preferences/com.apple.loginwindow.plist","text":` + asJSON(map[string]any{"autoLoginUser": "mwhitlock", "lastUserName": "mwhitlock", "LoginwindowText": "Hollybank Primary School"}) + `}`,
	`{"file":"/Library/Preferences/com.apple.SoftwareUpdate.plist","text":` + asJSON(map[string]any{"AutomaticDownload": true, "CatalogURL": "https://updates.hollybank.example.sch.uk"}) + `}`,
	`{"part":"/Applications/Own.app/Contents/MacOS/Own","length":8,"base64":"AAAAAAAAAAA="}`,
	`{"processes":["launchd","mwhitlock-helper"]}`,
}, "\n")

var staffroomSecrets = []string{
	"mwhitlock", "Mauds", "Maud", "Prayer", "5A3CFE6E", "2F978E12", "4C531001490518112283", "9E3CFE6E", "9e3cfe6e", "hollybank", "Hollybank", "C02XK1ZZJHD3",
}

func asJSON(value any) string {
	text := string(plist.Encode(value))
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(text) + `"`
}

// TestMacsAreRecordedWithoutTheirNames reads everything of a Mac, and finds
// what a probe needs in the recording and nothing that is anybody's.
func TestMacsAreRecordedWithoutTheirNames(t *testing.T) {
	mac, err := system.NewReplay([]byte(`{"format":1,"platform":"macos","recordedAt":"2026-11-20T12:00:00Z"}`), []byte(staffroom))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	r := system.NewRecorder(mac)
	for _, c := range []system.Command{
		system.MacHostname, system.FileVaultStatus, system.MacAdministrators, system.DiskutilList, system.IORegUSB, system.MacFalconStats,
		system.MacDefenderHealth, system.MacHardware,
	} {
		if _, err := r.Run(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"/Library/Preferences/com.apple.loginwindow.plist", "/Library/Preferences/com.apple.SoftwareUpdate.plist"} {
		if _, err := r.File(ctx, name, 1<<20); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"/Users", "/Users/mwhitlock/Applications"} {
		if _, err := r.Dir(ctx, dir); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Part(ctx, "/Applications/Own.app/Contents/MacOS/Own", 0, 8); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Processes(ctx); err != nil {
		t.Fatal(err)
	}
	_, reads, err := r.Bytes(ctx, system.Machine{})
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range staffroomSecrets {
		if !strings.Contains(staffroom, secret) {
			t.Errorf("%q is no secret of this Mac", secret)
		}
		if strings.Contains(string(reads), secret) {
			t.Errorf("the recording tells %q:\n%s", secret, reads)
		}
	}
	for _, needed := range []string{"FileVault is Off.", "FFFFEEEE-DDDD-CCCC-BBBB-AAAA00000000", "/Volumes/label1", "autoLoginUser", "Sensor operational: true", "Mac14,2", "AutomaticDownload", `"item1.app"`} {
		if !strings.Contains(string(reads), needed) {
			t.Errorf("the recording lost %q:\n%s", needed, reads)
		}
	}
	if n := strings.Count(string(reads), "\n"); n != 13 || slices.Contains(strings.Split(string(reads), "\n"), "null") {
		t.Errorf("%d readings are left:\n%s", n, reads)
	}
}
