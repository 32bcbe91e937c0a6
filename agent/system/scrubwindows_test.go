package system_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/agent/system/systemtest"
	"github.com/caretaker-school/caretaker/shared/posture"
)

const (
	maud     = "S-1-5-21-1004336348-1177238915-682003330-1001"
	teacher  = "S-1-5-21-2711518233-99820213-3187623411-15734"
	inCloud  = "S-1-12-1-2409214613-1310324532-2857374351-3318273821"
	volumeID = "1b3cfe6e-1d2c-4d5a-8f00-aabbccddee01"
)

// classroom is a Windows machine full of what must not be in a recording.
// Everything in classroomSecrets stands somewhere in it.
const classroom = `
{"key":"HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\ProfileList","holds":{"keys":["S-1-5-18","` + maud + `","` + teacher + `","` + inCloud + `"]}}
{"key":"HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\ProfileList\\S-1-5-18","holds":{"values":{"ProfileImagePath":"%systemroot%\\system32\\config\\systemprofile"}}}
{"key":"HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\ProfileList\\` + maud + `","holds":{"values":{"ProfileImagePath":"C:\\Users\\mwhitlock","Sid":{"hex":"010500000000000515000000dc7fdd3b83012b466b53a628e9030000"},"Flags":0}}}
{"key":"HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\ProfileList\\` + teacher + `","holds":{"values":{"ProfileImagePath":"C:\\Users\\bryn.pugh.HOLLYBANK","Guid":"{5c3cfe6e-1d2c-4d5a-8f00-aabbccddee77}"}}}
{"key":"HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\ProfileList\\` + inCloud + `","holds":{"values":{"ProfileImagePath":"C:\\Users\\Carys Vaughan"}}}
{"key":"HKLM\\SYSTEM\\CurrentControlSet\\Control\\ComputerName\\ComputerName","holds":{"values":{"ComputerName":"HB-LT-014"}}}
{"key":"HKLM\\SYSTEM\\CurrentControlSet\\Services\\Tcpip\\Parameters","holds":{"values":{"Hostname":"hb-lt-014","NV Domain":"hollybank.example.sch.uk","DhcpNameServer":"10.20.30.40 10.20.30.41"},"keys":["Interfaces"]}}
{"key":"HKLM\\SYSTEM\\CurrentControlSet\\Services\\Tcpip\\Parameters\\Interfaces","holds":{"keys":["{7d3cfe6e-1d2c-4d5a-8f00-aabbccddee88}"]}}
{"key":"HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion","holds":{"values":{"CurrentBuildNumber":"26100","UBR":4652,"EditionID":"Education","ProductName":"Windows 10 Education","RegisteredOwner":"Maud Whitlock","RegisteredOrganization":"Hollybank Primary School","ProductId":"00330-80000-00000-AA123","DigitalProductId":{"hex":"a40000000300000030303333302d383030"},"BuildLabEx":"26100.1.amd64fre.ge_release.240331-1435","BackupProductKeyDefault":"ABCDE-12345-FGHIJ-67890-KLMNO"}}}
{"key":"HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Winlogon","holds":{"values":{"AutoAdminLogon":"1","DefaultUserName":"mwhitlock","DefaultDomainName":"HOLLYBANK","DefaultPassword":"daffodil7","LastUsedUsername":"","AutoLogonSID":"` + maud + `"}}}
{"key":"HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Authentication\\LogonUI","holds":{"values":{"LastLoggedOnUser":"HOLLYBANK\\bryn.pugh","LastLoggedOnDisplayName":"Bryn Pugh"}}}
{"key":"HKLM\\SOFTWARE\\Microsoft\\Cryptography","holds":{"values":{"MachineGuid":"9e3cfe6e-1d2c-4d5a-8f00-aabbccddee99"}}}
{"key":"HKLM\\SOFTWARE\\Microsoft\\Enrollments","holds":{"keys":["8f3cfe6e-1d2c-4d5a-8f00-aabbccddee66","Status"]}}
{"key":"HKLM\\SOFTWARE\\Microsoft\\Enrollments\\8F3CFE6E-1d2c-4d5a-8f00-aabbccddee66","holds":{"values":{"UPN":"carys@hollybank.example.sch.uk","ProviderID":"MS DM Server","EnrollmentState":1}}}
{"key":"HKLM\\SOFTWARE\\Policies\\Microsoft\\Windows\\WindowsUpdate","holds":{"values":{"WUServer":"http://wsus.hollybank.example.sch.uk:8530","TargetGroup":"Hollybank"}}}
{"key":"HKLM\\SYSTEM\\CurrentControlSet\\Control\\Class\\{4d36e967-e325-11ce-bfc1-08002be10318}","holds":{"values":{"UpperFilters":["partmgr"]}}}
{"key":"HKLM\\SYSTEM\\CurrentControlSet\\Enum\\USBSTOR\\Disk&Ven_Acme&Prod_Stick&Rev_1.00","holds":{"keys":["4C53000149A&0","0EF1A2B3C4&0"]}}
{"key":"HKU","holds":{"keys":[".DEFAULT","S-1-5-18","` + maud + `","` + maud + `_Classes"]}}
{"key":"HKU\\` + maud + `\\Control Panel\\Desktop","holds":{"values":{"ScreenSaveTimeOut":"600","Wallpaper":"c:\\users\\MWHITLOCK\\Pictures\\us.jpg"}}}
{"key":"HKU\\` + maud + `\\Software\\Microsoft\\Windows\\CurrentVersion\\Uninstall","holds":{"keys":["Discord","{90160000-008C-0000-1000-0000000FF1CE}"]}}
{"key":"HKU\\` + maud + `\\Software\\Microsoft\\Windows\\CurrentVersion\\Uninstall\\Discord","holds":{"values":{"DisplayName":"Discord","DisplayVersion":"1.0.9.170","Publisher":"Discord Inc.","InstallLocation":"C:\\Users\\mwhitlock\\AppData\\Local\\Discord","InstallSource":"\\\\hb-nas\\staffshare\\discord","EstimatedSize":4000,"InstallTime":{"hex":"00f0b7a1c24adb01"}}}}
{"rows":"machine","list":[{"Hostname":"hb-lt-014","Build":26100,"NativeMachine":34404}]}
{"rows":"disks","list":[{"Number":1,"BusType":7,"Vendor":"Acme","Product":"Stick","Revision":"1.00","Serial":"4C53000149A","Instance":"USBSTOR\\DISK&VEN_ACME&PROD_STICK&REV_1.00\\4c53000149a&0","Parents":["USB\\VID_0781&PID_5567\\4C53000149A","USB\\ROOT_HUB30\\4&1a2b3c4d&0&0"],"Size":15376318464}]}
{"rows":"portable-devices","list":[{"Instance":"USB\\VID_05AC&PID_12A8&MI_00\\00008030001A2D3E0C44802E","Parents":[],"Service":"WUDFWpdMtp","Product":"iPhone"},{"Instance":"SWD\\WPDBUSENUM\\{2c3cfe6e-1d2c-4d5a-8f00-aabbccddee22}#0000000000100000"}]}
{"rows":"volumes","list":[{"DeviceID":"\\\\?\\Volume{` + volumeID + `}\\","Mounts":["E:\\","C:\\MAUDS STICK\\"],"Type":"DE94BBA4-06D1-4D40-A16A-BFD50179D6AC","Disks":[1],"Filesystem":"NTFS"}]}
{"rows":"bitlocker-volumes","list":[{"DeviceID":"\\\\?\\Volume{1B3CFE6E-1d2c-4d5a-8f00-aabbccddee01}\\","DriveLetter":"E:","ProtectionStatus":1,"ConversionStatus":{"absent":"unreadable","code":"0x80310000"}}]}
{"rows":"security-products","list":[{"displayName":"ESET Security","instanceGuid":"{D68DDC3A-831F-4fae-9E44-DA132C1ACF46}","productState":266256,"pathToSignedReportingExe":"C:\\Program Files\\ESET\\ekrn.exe","timestamp":"Fri, 20 Nov 2026 12:29:01 GMT"}]}
{"rows":"defender-status","list":[{"AMEngineVersion":"1.1.25.9","AntivirusSignatureLastUpdated":"20261120080627.000000+000"}]}
{"rows":"administrators","list":[{"SID":"` + maud + `","Use":1},{"SID":"` + teacher + `","Use":1},{"SID":"` + inCloud + `","Use":8},{"SID":"S-1-5-32-544","Use":4}]}
{"rows":"sessions","absent":"denied","code":"0x80070005"}
{"part":"/device/Volume{` + volumeID + `}","offset":0,"length":16,"base64":"61gQLUZWRS1GUy1NYXVkcw=="}
{"part":"/device/PhysicalDrive1","offset":0,"length":16,"absent":"timed out"}
{"file":"/C:/Program Files/WindowsApps/Acme.Sums_1.2.3.4_x64__8wekyb3d8bbwe/AppxManifest.xml","text":"<Identity Name=\"Acme.Sums\" Version=\"1.2.3.4\"/><a>{90160000-008C-0000-1000-0000000FF1CE}</a>"}
{"file":"/C:/Users/mwhitlock/AppData/Roaming/x.ini","text":"server=10.20.30.40\nowner=maud\n"}
{"file":"/C:/Windows/x.bin","base64":"AAECc2VjcmV0"}
{"dir":"/C:/Users","entries":[{"name":"mwhitlock","type":2147483648},{"name":"Public","type":2147483648},{"name":"Dilys","type":2147483648}]}
{"stat":"/C:/Users/Dilys/x","info":{"type":0,"size":1,"modified":"2026-11-20T00:00:00Z","owner":0}}
{"processes":["Discord.exe","System"]}
`

var classroomSecrets = []string{
	"mwhitlock", "Maud", "Whitlock", "bryn", "pugh", "Carys", "Vaughan", "Dilys", "Hollybank", "hb-lt-014", "hb-nas", "staffshare", "wsus",
	"1004336348", "1177238915", "682003330", "2711518233", "99820213", "2409214613", "1310324532", "dc7fdd3b", "1b3cfe6e", "7d3cfe6e",
	"8f3cfe6e", "9e3cfe6e", "5c3cfe6e", "2c3cfe6e", "aabbccddee", "daffodil7", "00330-80000", "AA123", "a400000003000000303033", "ABCDE-12345",
	"4C53000149A", "0EF1A2B3C4", "00008030001A2D3E0C44802E", "10.20.30.4", "example.sch.uk", "MAUDS", "STICK\\\\", "AAECc2VjcmV0", "TWF1ZHM", "LU1hdWR",
}

// askClassroom asks for all that classroom holds.
func askClassroom(ctx context.Context, r system.Reader) {
	for line := range strings.Lines(classroom) {
		var q struct {
			File, Part, Dir, Stat, Key, Rows string
			Offset                           int64
			Length                           int
		}
		if strings.TrimSpace(line) == "" || json.Unmarshal([]byte(line), &q) != nil {
			continue
		}
		switch {
		case q.File != "":
			_, _ = r.File(ctx, q.File, 1<<20)
		case q.Part != "":
			_, _ = r.Part(ctx, q.Part, q.Offset, q.Length)
		case q.Dir != "":
			_, _ = r.Dir(ctx, q.Dir)
		case q.Stat != "":
			_, _ = r.Stat(ctx, q.Stat)
		case q.Key != "":
			_, _ = r.Key(ctx, q.Key)
		case q.Rows != "":
			_, _ = r.Rows(ctx, system.Rowset(q.Rows))
		}
	}
	_, _ = r.Processes(ctx)
}

func TestWindowsRecordingHoldsNoSecrets(t *testing.T) {
	reads, _ := record(t, systemtest.Replay(t, posture.Windows, classroom), askClassroom)
	for _, secret := range classroomSecrets {
		if i := strings.Index(strings.ToLower(reads), strings.ToLower(secret)); i >= 0 {
			t.Errorf("the recording tells %q: …%.200s…", secret, reads[max(0, i-60):])
		}
	}
}

// TestWindowsNamesAreLearned: names go that only keys tell of which no probe
// asked, such as that of a user whose profile no probe read.
func TestWindowsNamesAreLearned(t *testing.T) {
	reads, _ := record(t, systemtest.Replay(t, posture.Windows, classroom), func(ctx context.Context, r system.Reader) {
		_, _ = r.Key(ctx, `HKU\`+maud+`\Software\Microsoft\Windows\CurrentVersion\Uninstall\Discord`)
	})
	if strings.Contains(reads, "mwhitlock") || strings.Count(reads, "\n") != 1 {
		t.Errorf("got %s", reads)
	}
}

// TestWindowsKeepsNamesFromUs: a machine whose list of profiles cannot be read
// cannot be scrubbed.
func TestWindowsKeepsNamesFromUs(t *testing.T) {
	m := systemtest.Replay(t, posture.Windows, `{"key":"HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\ProfileList","absent":"denied","code":"0x00000005"}`)
	_, _, err := system.NewRecorder(m).Bytes(t.Context(), system.Machine{RecordedAt: time.Unix(1_790_000_000, 0).UTC()})
	if !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v, want that it is denied", err)
	}
}

// TestWindowsRecordingStillJoins: what probes put together by identifiers can
// still be put together, and what they look for by name is still called so.
func TestWindowsRecordingStillJoins(t *testing.T) {
	reads, m := record(t, systemtest.Replay(t, posture.Windows, classroom), askClassroom)
	ctx := t.Context()
	rows := func(of system.Rowset) []system.Values {
		list, err := m.Rows(ctx, of)
		if err != nil {
			t.Fatalf("%v in\n%s", err, reads)
		}
		return list
	}
	key := func(name string) system.RegistryKey {
		k, err := m.Key(ctx, name)
		if err != nil {
			t.Fatalf("%v in\n%s", err, reads)
		}
		return k
	}
	admins := rows(system.Administrators)
	own := admins[0].Text("SID").Value
	if !strings.HasPrefix(own, "S-1-5-21-") || !strings.HasSuffix(own, "-1001") || admins[3].Text("SID").Value != "S-1-5-32-544" {
		t.Errorf("administrators: got %v", admins)
	}
	if users := key("HKU"); !slices.Contains(users.Keys, own) || !slices.Contains(users.Keys, own+"_Classes") || !slices.Contains(users.Keys, "S-1-5-18") {
		t.Errorf("hives: got %q, want %s among them", users.Keys, own)
	}
	if list := key(`HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList`); len(list.Keys) != 4 || !slices.Contains(list.Keys, own) {
		t.Errorf("profiles: got %q", list.Keys)
	}
	discord := key(`HKU\` + own + `\Software\Microsoft\Windows\CurrentVersion\Uninstall\Discord`)
	if got := discord.Values.Text("InstallLocation").Value; !strings.HasPrefix(got, `C:\Users\user`) || !strings.HasSuffix(got, `\AppData\Local\Discord`) {
		t.Errorf("a program's folder: got %q", got)
	}
	if got := discord.Values.Text("DisplayVersion").Value; got != "1.0.9.170" {
		t.Errorf("a program's version: got %q", got)
	}
	if v, ok := discord.Values.Get("InstallTime"); !ok || len(v.Bytes) != 8 || v.Bytes[1] != 0xf0 {
		t.Errorf("a time: got %v", v)
	}
	if uninstall := key(`HKU\` + own + `\Software\Microsoft\Windows\CurrentVersion\Uninstall`); !slices.Contains(uninstall.Keys, "{90160000-008C-0000-1000-0000000FF1CE}") {
		t.Errorf("programs: got %q", uninstall.Keys)
	}
	key(`HKLM\SYSTEM\CurrentControlSet\Control\Class\{4d36e967-e325-11ce-bfc1-08002be10318}`)
	for _, below := range key(`HKLM\SOFTWARE\Microsoft\Enrollments`).Keys {
		if below != "Status" {
			key(`HKLM\SOFTWARE\Microsoft\Enrollments\` + below)
		}
	}
	logon := key(`HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon`).Values
	if logon.Text("DefaultPassword").Value != "scrubbed" || logon.Text("LastUsedUsername").Value != "" || logon.Text("AutoLogonSID").Value != own ||
		logon.Text("AutoAdminLogon").Value != "1" || logon.Text("DefaultUserName").Value == "" {
		t.Errorf("logging on: got %v", logon)
	}
	volume, locked := rows(system.DiskVolumes)[0], rows(system.BitLockerVolumes)[0]
	if got := volume.Text("DeviceID").Value; !strings.EqualFold(got, locked.Text("DeviceID").Value) || !strings.HasPrefix(got, `\\?\Volume{`) {
		t.Errorf("one volume: got %q and %q", got, locked.Text("DeviceID").Value)
	}
	if got := volume.Text("Type").Value; got != "DE94BBA4-06D1-4D40-A16A-BFD50179D6AC" {
		t.Errorf("a partition's type: got %q", got)
	}
	if v, _ := locked.Get("ConversionStatus"); v.Code != 0x80310000 {
		t.Errorf("a failed value: got %v", v)
	}
	device := "/device/" + strings.Trim(strings.TrimPrefix(volume.Text("DeviceID").Value, `\\?\`), `\`)
	if data, err := m.Part(ctx, device, 0, 16); err != nil || string(data[3:11]) != "-FVE-FS-" {
		t.Errorf("%s: got %q, %v", device, data, err)
	}
	disk := rows(system.Disks)[0]
	serial := disk.Text("Serial").Value
	if len(serial) != 11 || !strings.HasSuffix(strings.ToUpper(disk.Text("Instance").Value), `\`+serial+"&0") ||
		!strings.HasSuffix(disk.Texts("Parents").Value[0], `\`+serial) || disk.Texts("Parents").Value[1] != `USB\ROOT_HUB30\4&1a2b3c4d&0&0` {
		t.Errorf("a disk: got %v", disk)
	}
	if seen := key(`HKLM\SYSTEM\CurrentControlSet\Enum\USBSTOR\Disk&Ven_Acme&Prod_Stick&Rev_1.00`); !slices.Contains(seen.Keys, serial+"&0") {
		t.Errorf("sticks seen: got %q, want %s among them", seen.Keys, serial)
	}
	if got := rows(system.SecurityProducts)[0]; got.Text("instanceGuid").Value != "{D68DDC3A-831F-4fae-9E44-DA132C1ACF46}" ||
		got.Text("displayName").Value != "ESET Security" || got.Text("timestamp").Value != "Fri, 20 Nov 2026 12:29:01 GMT" {
		t.Errorf("a product: got %v", got)
	}
	if got := rows(system.DefenderStatus)[0]; got.Text("AMEngineVersion").Value != "1.1.25.9" ||
		got.Text("AntivirusSignatureLastUpdated").Value != "20261120080627.000000+000" {
		t.Errorf("Defender: got %v", got)
	}
	if _, err := m.Rows(ctx, system.Sessions); system.CodeOf(err) != 0x80070005 || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a refusal: got %v", err)
	}
	manifest, err := m.File(ctx, "/C:/Program Files/WindowsApps/Acme.Sums_1.2.3.4_x64__8wekyb3d8bbwe/AppxManifest.xml", 1<<20)
	if err != nil || !strings.Contains(string(manifest), "1.2.3.4") {
		t.Errorf("a package: got %q, %v", manifest, err)
	}
	if _, err := m.Part(ctx, "/device/PhysicalDrive1", 0, 16); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a disk that hangs: got %v", err)
	}
}
