package probe

import (
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/agent/system/systemtest"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// TestStickIsKnownAgainOnAMac: the hash of a serial number is the same on every
// system, or the register of sticks would not find it.
func TestStickIsKnownAgainOnAMac(t *testing.T) {
	linux := askMedia(t, systemtest.Load(t, "testdata/media/stick-exfat"))
	mac := askMedia(t, systemtest.Load(t, "testdata/media/macos-15-stick-exfat"))
	if len(linux.Items) != 1 || len(mac.Items) != 1 || linux.Items[0].Serial != mac.Items[0].Serial || !mac.Items[0].Serial.Known() {
		t.Errorf("on Linux %+v, on macOS %+v", linux.Items, mac.Items)
	}
}

func TestFileVaultSays(t *testing.T) {
	yes, no, unread := posture.Read(true), posture.Read(false), posture.Unread[bool](posture.Unreadable)
	for _, c := range []struct {
		out      string
		on       posture.Reading[bool]
		changing posture.EncryptionState
	}{
		{"FileVault is On.\n", yes, ""},
		{"FileVault is Off.\n", no, ""},
		{"FileVault is On.\nFileVault master keychain appears to be installed.\n", yes, ""},
		{"FileVault master keychain appears to be installed.\nFileVault is Off.\n", no, ""},
		{"FileVault master keychain appears to be installed.\n", unread, ""},
		{"FileVault is On.\nEncryption in progress: Percent completed = 42\n", yes, posture.Encrypting},
		{"FileVault is On.\nEncryption in progress: Percent completed = 42.7\n", yes, posture.Encrypting},
		{"Encryption in progress: Pending\n", unread, posture.Encrypting},
		{"FileVault is Off.\nDecryption in progress: Percent completed = 3\n", no, posture.Decrypting},
		{"FileVault is Off, but will be enabled after the next restart.\n", no, ""},
		{"FileVault is Off.\nDeferred enablement appears to be active for user 'x'.\n", no, ""},
		{"FileVault is On.\nEncryption in progress: Percent completed = 420\n", unread, ""},
		{"FileVault is On", unread, ""},
		{"FileVault is On.\nAnd something that nobody foresaw.\n", unread, ""},
		{"FileVault ist aktiviert.\n", unread, ""},
		{"", unread, ""},
	} {
		if v := parseFileVault([]byte(c.out)); v.on != c.on || v.changing != c.changing {
			t.Errorf("%q: on %v, changing %q", c.out, v.on, v.changing)
		}
	}
}

// TestFileVaultAndDiskutilMustAgree: of the volume that macOS runs from nothing
// is said that only one of the two says.
func TestFileVaultAndDiskutilMustAgree(t *testing.T) {
	flag := func(b bool) posture.Reading[bool] { return posture.Read(b) }
	for _, c := range []struct {
		says                  string
		encrypted, fv, moving bool
		want                  posture.Reading[posture.EncryptionState]
	}{
		{"FileVault is On.\n", true, true, false, posture.Read(posture.Encrypted)},
		{"FileVault is On.\n", true, false, false, posture.Unread[posture.EncryptionState](posture.Unreadable)},
		{"FileVault is Off.\n", true, true, false, posture.Unread[posture.EncryptionState](posture.Unreadable)},
		{"FileVault is On.\n", true, true, true, posture.Unread[posture.EncryptionState](posture.Unreadable)},
		{"FileVault is Off.\n", true, false, false, posture.Read(posture.Unencrypted)},
		{"FileVault is Off.\n", false, false, false, posture.Read(posture.Unencrypted)},
		{"", true, true, false, posture.Unread[posture.EncryptionState](posture.Unreadable)},
	} {
		volume := apfsVolume{encrypted: flag(c.encrypted), fileVault: flag(c.fv), locked: flag(false), migrating: flag(c.moving)}
		if got, _ := parseFileVault([]byte(c.says)).judge(volume); got.state != c.want {
			t.Errorf("%+v: %v", c, got.state)
		}
	}
}

func TestScreenLockSays(t *testing.T) {
	const before = "2026-11-20 10:00:00.000 sysadminctl[99:1] "
	for _, c := range []struct {
		out   string
		delay int64
		on    bool
		fails bool
	}{
		{before + "screenLock delay is immediate\n", 0, true, false},
		{before + "screenLock delay is 300 seconds\n", 300, true, false},
		{before + "screenLock delay is 5.000000 seconds\n", 5, true, false},
		{before + "screenLock is off\n", 0, false, false},
		{before + "screenLock delay is -1.000000 seconds\n", 0, false, false},
		{before + "screenLock delay is 3", 0, false, true},
		{before + "Bildschirmsperre: sofort\n", 0, false, true},
		{"", 0, false, true},
	} {
		delay, on, err := parseScreenLock(system.Output{Stderr: []byte(c.out)})
		if delay != c.delay || on != c.on || (err != nil) != c.fails {
			t.Errorf("%q: %d, %v, %v", c.out, delay, on, err)
		}
	}
}

// TestMacSupportEndsWithoutAWord: what the table cannot know is not known, and
// neither a yes nor a no.
func TestMacSupportEndsWithoutAWord(t *testing.T) {
	unknown := posture.Unread[bool](posture.Unsupported)
	for _, c := range []struct {
		version string
		at      time.Time
		want    posture.Reading[bool]
	}{
		{"10.15.7", assessed, posture.Read(false)},
		{"14.8.2", assessed, posture.Read(false)},
		{"15.7.2", assessed, posture.Read(true)},
		{"15.7.2", time.Date(2027, 8, 31, 23, 0, 0, 0, time.UTC), posture.Read(true)},
		{"15.9", time.Date(2027, 9, 1, 0, 0, 0, 0, time.UTC), unknown},
		{"27.1", assessed, posture.Read(true)},
		{"28.0", assessed, unknown},
		{"x", assessed, posture.Unread[bool](posture.Unreadable)},
	} {
		if got := macSupport(posture.Read(c.version), c.at); got != c.want {
			t.Errorf("%s at %v: %v, want %v", c.version, c.at, got, c.want)
		}
	}
}

func TestExtensionsThatWait(t *testing.T) {
	const head = "2 extension(s)\n--- com.apple.system_extension.endpoint_security\nenabled\tactive\tteamID\tbundleID (version)\tname\t[state]\n"
	waits := "\t\tX9E956P446\tcom.crowdstrike.falcon.Agent (7.29/200.16)\tFalcon\t[activated waiting for user]\n"
	other := "*\t*\tUBF8T346G9\tcom.microsoft.wdav.epsext (101/101)\tMicrosoft Defender\t[activated enabled]\n"
	list, err := parseExtensions([]byte(head + waits + other))
	ext := extensions{list, err}
	if active, there := ext.of("X9E956P446", "com.crowdstrike.falcon."); err != nil || active != posture.Read(false) || !there {
		t.Errorf("one that waits: %v, %v, %v", active, there, err)
	}
	if active, _ := ext.of("UBF8T346G9", "com.microsoft.wdav.epsext"); active != posture.Read(true) {
		t.Errorf("one that is active: %v", active)
	}
	if active, there := ext.of("X9E956P446", "com.microsoft.wdav.epsext"); active != posture.Read(false) || there {
		t.Errorf("one of another maker: %v, %v", active, there)
	}
	if _, err := parseExtensions([]byte(head + waits)); err == nil {
		t.Error("one of two is all")
	}
}

// TestWhatFullDiskAccessWouldOpen: a refusal is told in words, for a Mac alone.
func TestWhatFullDiskAccessWouldOpen(t *testing.T) {
	refused := systemtest.Load(t, "testdata/programs/macos-26-refused")
	facts := posture.Facts{
		System:   posture.Found("", posture.System{Platform: posture.MacOS}),
		Media:    askMedia(t, systemtest.Load(t, "testdata/media/macos-15-stick-denied")),
		Volumes:  askVolumes(t, systemtest.Load(t, "testdata/volumes/macos-13-intel-part-denied")),
		Programs: macPrograms(t.Context(), refused),
	}
	if list := WantsFullDiskAccess(facts); len(list) != 3 {
		t.Errorf("it would open %q", list)
	}
	facts.System.Items[0].Platform = posture.Linux
	if list := WantsFullDiskAccess(facts); list != nil {
		t.Errorf("on Linux it would open %q", list)
	}
}

func FuzzMacTools(f *testing.F) {
	f.Add([]byte("FileVault is On.\nEncryption in progress: Percent completed = 42\n"))
	f.Add([]byte("XProtect launch scans: enabled\nXProtect background scans: enabled\n"))
	f.Add([]byte("PID\tStatus\tLabel\n-\t0\tcom.apple.XProtect.daemon.scan\n"))
	f.Add([]byte("1 extension(s)\n--- com.apple.system_extension.endpoint_security\n*\t*\tUBF8T346G9\tcom.microsoft.wdav.epsext (101/101)\tMicrosoft Defender\t[activated enabled]\n"))
	f.Add([]byte("2026-11-20 10:00:00.000 sysadminctl[99:1] screenLock delay is 300 seconds\n"))
	f.Add([]byte("Battery Power:\n displaysleep         2\nAC Power:\n displaysleep         10\n"))
	f.Add([]byte("GroupMembers: FFFFEEEE-DDDD-CCCC-BBBB-AAAA00000000\nNestedGroups: x\n"))
	f.Add([]byte("Getting global account policies\n" + plistHead + "<dict><key>policyCategoryPasswordContent</key><array><dict><key>policyContent</key>" +
		"<string>policyAttributePassword matches '.{4,}+'</string></dict></array></dict></plist>\n"))
	f.Add([]byte("System Integrity Protection status: unknown (Custom Configuration).\n\tFilesystem Protections: disabled\n"))
	f.Add([]byte(`{"SPHardwareDataType":[{"machine_name":"MacBook Air","machine_model":"Mac14,2"}]}` + "\n"))
	f.Fuzz(func(t *testing.T, out []byte) {
		if v := parseFileVault(out); v.percent.Known() && (v.percent.Value < 0 || v.percent.Value > 100) {
			t.Errorf("%d %%", v.percent.Value)
		}
		parseXProtect(out)
		parseXProtectJobs(out)
		parseExtensions(out)
		if delay, _, err := parseScreenLock(system.Output{Stderr: out}); err == nil && delay < 0 {
			t.Errorf("a delay of %d s", delay)
		}
		if r := parseDisplaySleep(out); r.Known() && r.Value < 0 {
			t.Errorf("the screen sleeps after %d s", r.Value)
		}
		if r := parseAdministrators(out); r.Known() && r.Value < 0 {
			t.Errorf("%d administrators", r.Value)
		}
		parseIntegrity(out)
		parsePasswordPolicy(out)
		parseMacModel(out)
	})
}

func FuzzMacStorage(f *testing.F) {
	f.Add([]byte(plistHead + `<dict><key>AllDisksAndPartitions</key><array><dict><key>DeviceIdentifier</key><string>disk0</string></dict></array></dict></plist>`))
	f.Add([]byte(plistHead + `<dict><key>Containers</key><array><dict><key>Volumes</key><array><dict><key>FileVault</key><true/></dict></array></dict></array></dict></plist>`))
	f.Add([]byte(plistHead + `<array><dict><key>idVendor</key><integer>1921</integer><key>idProduct</key><integer>21863</integer>` +
		`<key>IORegistryEntryChildren</key><array><dict><key>BSD Name</key><string>disk4</string><key>Whole</key><true/></dict></array></dict></array></plist>`))
	f.Fuzz(func(t *testing.T, out []byte) {
		disks, err := parseDisks(out)
		if err == nil && len(disks) == 0 {
			t.Error("a Mac without a disk")
		}
		stores, _ := parseAPFSList(out)
		for _, s := range stores {
			for _, v := range s.volumes {
				v.coverage()
			}
		}
		devices, _ := parseStorage(out)
		for _, d := range devices {
			d.attached()
		}
		for _, u := range must(parseUSB(out)) {
			if len(u.vendorID) != 4 || len(u.productID) != 4 {
				t.Errorf("%+v", u)
			}
		}
	})
}

func must[T any](v T, _ error) T { return v }
