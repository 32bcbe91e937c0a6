package system

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/shared/posture"
)

func scrubberFor(t testing.TB, passwd string) *scrubber {
	t.Helper()
	s, err := newScrubber(posture.Linux, []*reading{{File: "/etc/passwd", Text: &passwd}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestScrubText(t *testing.T) {
	s := scrubberFor(t, "ada:x:1000:1000:Ada Lovelace:/home/ada:/bin/sh\nubuntu:x:1001:1001:Ubuntu:/home/ubuntu:/bin/sh\n")
	for _, c := range []struct{ text, want string }{
		{"/home/ada/x ada's adamant", "/home/user1/x user1's adamant"},
		{"Lovelace ubuntu", "person2 ubuntu"},
		{"12:30:45 0000:00:14.0 1.2.3 std::string ::1 0.0.0.0", "12:30:45 0000:00:14.0 1.2.3 std::string ::1 0.0.0.0"},
		{"Visual C++ 2015-2022 (x86)", "Visual C++ 2015-2022 (x86)"},
		{"a@b.example", "somebody@example.org"},
		{"uid=1000 size=15376318464", "uid=1000 size=15376318464"},
	} {
		if got := s.text(c.text, false); got != c.want {
			t.Errorf("scrub %q: got %q, want %q", c.text, got, c.want)
		}
	}
	for _, secret := range []string{"192.168.1.17", "192.168.1.18.", "192.168.1.19:443", "fd00::17/64", "fe80::42:acff", "00:1b:44:11:3a:b7", "7C3A-9F21", "0123456789abcdef", "naa.5002538e40a1b2c3"} {
		got := s.text("x "+secret+" y", false)
		if strings.Contains(got, secret) || got != s.text("x "+secret+" y", false) {
			t.Errorf("scrub %q: got %q", secret, got)
		}
	}
}

func TestScrubHash(t *testing.T) {
	for hash, want := range map[string]string{
		"": "", "!": "!", "*": "*", "!!": "!!", "!*": "!*", "$y$j9T$salt$hash": "$y$scrubbed",
		"!$6$salt$hash": "!$6$scrubbed", "oldDEShash": "scrubbed", "$nomethodatall": "scrubbed",
	} {
		if got := scrubHash(hash); got != want {
			t.Errorf("scrub hash %q: got %q, want %q", hash, got, want)
		}
	}
}

func FuzzScrub(f *testing.F) {
	f.Add("/home/mwhitlock/x", "mwhitlock")
	f.Add("mwhitlock:$6$a$b:1::::::\n", "S6PXNM0T123456A")
	f.Add("E:ID_SERIAL_SHORT=S6PXNM0T123456A\n", "x y")
	f.Fuzz(func(t *testing.T, text, label string) {
		s := scrubberFor(t, "mwhitlock:x:1000:1000:Maud:/home/mwhitlock:/bin/sh\n")
		s.label(label)
		for word := range strings.FieldsFuncSeq(s.text(text, false), func(r rune) bool { return r < 0x80 && !isWord(byte(r)) }) {
			if word == "mwhitlock" {
				t.Errorf("scrub %q: got %q", text, s.text(text, false))
			}
		}
		scrubPasswd(text)
		scrubShadow(text)
		scrubUdev(text)
	})
}

func windowsScrubber(t testing.TB, names ...string) *scrubber {
	t.Helper()
	var list entries
	for _, name := range names {
		list = append(list, Entry{Name: name})
	}
	s, err := newScrubber(posture.Windows, []*reading{{Dir: "/C:/Users", Entries: &list}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestScrubWindowsText(t *testing.T) {
	s := windowsScrubber(t, "MWhitlock", "Public", "HP", "Administrator", ".NET v4.5", "Carys Vaughan")
	for _, c := range []struct {
		text string
		how  scrubbing
		want string
	}{
		{`C:\Users\mwhitlock\x`, asValue, `C:\Users\user1\x`},
		{`C:\Users\Public\HP\.NET v4.5\NET`, asValue, `C:\Users\Public\HP\user2\NET`},
		{"Vaughan's stick", asValue, "person2's stick"},
		{
			"S-1-5-18 S-1-5-32-544 S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464", asValue,
			"S-1-5-18 S-1-5-32-544 S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464",
		},
		{"{DE94BBA4-06D1-4D40-A16A-BFD50179D6AC}", asName, "{DE94BBA4-06D1-4D40-A16A-BFD50179D6AC}"},
		{"Acme.Sums_1.2.3.4_x64__8wekyb3d8bbwe", asValue, "Acme.Sums_1.2.3.4_x64__8wekyb3d8bbwe"},
		{"1.2.3.4", asVersion, "1.2.3.4"},
		{"20261120080627.000000+000", asValue, "20261120080627.000000+000"},
		{"10.0.26100.4652", asValue, "10.0.26100.4652"},
		{`\\?\C:\x \\.\PhysicalDrive0`, asValue, `\\?\C:\x \\.\PhysicalDrive0`},
		{"https://wsus.school.example:8530/x", asValue, "https://host.example/x"},
		{`PCI\VEN_8086&DEV_9D2F&SUBSYS_00000000&REV_21\3&11583659&0&A0`, asName, `PCI\VEN_8086&DEV_9D2F&SUBSYS_00000000&REV_21\3&11583659&0&A0`},
	} {
		if got := s.windowsText(c.text, c.how); got != c.want {
			t.Errorf("scrub %q: got %q, want %q", c.text, got, c.want)
		}
	}
	for _, secret := range []string{
		"S-1-5-21-1004336348-1177238915-682003330-1001", "s-1-12-1-1-2-3-4", "DE94BBA4-06D1-4D40-A16A-BFD50179D6AC", "192.168.1.17",
		"00:1b:44:11:3a:b7", "ABCDE-12345-FGHIJ-67890-KLMNO", "00330-80000-00000-AA123", "12345-OEM-1234567-12345", "maud@school.example", `\\nas\share`,
		`\\?\Volume{de94bba4-06d1-4d40-a16a-bfd50179d6ac}\`, "0123456789abcdef",
	} {
		got := s.windowsText("x "+secret+" y", asValue)
		if strings.Contains(got, secret) || got != s.windowsText("x "+secret+" y", asValue) {
			t.Errorf("scrub %q: got %q", secret, got)
		}
	}
	upper, small := s.windowsText(`Volume{DE94BBA4-06D1-4D40-A16A-BFD50179D6AC}`, asName), s.windowsText(`volume{de94bba4-06d1-4d40-a16a-bfd50179d6ac}`, asName)
	if !strings.EqualFold(upper, small) || strings.Contains(small, "de94bba4") {
		t.Errorf("one volume became %q and %q", upper, small)
	}
}

// TestScrubPartitions: of a table of partitions, where they lie and what they
// are stays; which they are is what Windows' volumes are called then.
func TestScrubPartitions(t *testing.T) {
	table := make([]byte, 2*partitionEntry)
	copy(table, "type of the one.its own identity\x00\x00\x02\x00\x00\x00\x00\x00\xff\xff\x03\x00\x00\x00\x00\x00attributM\x00A\x00U\x00D\x00")
	encoded := base64.StdEncoding.EncodeToString(table)
	header := base64.StdEncoding.EncodeToString([]byte("\xeb\x58\x90-FVE-FS-Maud"))
	list := []*reading{
		{Part: "/device/PhysicalDrive0", Offset: 1024, Length: len(table), Base64: &encoded},
		{Part: "/device/PhysicalDrive0", Offset: 512 * 0x20000, Length: 15, Base64: &header},
	}
	s, err := newScrubber(posture.Windows, list)
	if err != nil {
		t.Fatal(err)
	}
	clean, ok := s.reading(*list[0])
	if !ok {
		t.Fatal("the table was not kept")
	}
	got, err := base64.StdEncoding.DecodeString(*clean.Base64)
	if err != nil || len(got) != len(table) || string(got[:16]) != "type of the one." || !bytes.Equal(got[32:48], table[32:48]) {
		t.Errorf("got %q, %v", got, err)
	}
	if rest := append(got[48:partitionEntry:partitionEntry], got[partitionEntry:]...); !bytes.Equal(rest, make([]byte, len(rest))) {
		t.Errorf("more of it was kept: %q", rest)
	}
	was, is := guidText(table[16:32]), guidText(got[16:32])
	if volume := s.windowsText("Volume{"+strings.ToLower(was)+"}", asName); was == is || !strings.EqualFold(volume, "Volume{"+is+"}") {
		t.Errorf("the partition %s became %s, and its volume %s", was, is, volume)
	}
	clean, ok = s.reading(*list[1])
	got, err = base64.StdEncoding.DecodeString(*clean.Base64)
	if !ok || err != nil || string(got) != "\xeb\x58\x90-FVE-FS-\x00\x00\x00\x00" {
		t.Errorf("the start of the partition: got %q, %v", got, err)
	}
}

func FuzzScrubWindows(f *testing.F) {
	f.Add(`C:\Users\mwhitlock\x`, "RegisteredOwner")
	f.Add(`S-1-5-21-1-2-3-1001 {DE94BBA4-06D1-4D40-A16A-BFD50179D6AC}# Volume{DE94BBA4-06D1-4D40-A16A-BFD50179D6AC}`, "x")
	f.Add("MWHITLOCK\xff@x.example \\\\mwhitlock\\x", "Serial")
	f.Fuzz(func(t *testing.T, text, name string) {
		s := windowsScrubber(t, "mwhitlock")
		for _, how := range []scrubbing{asValue, asVersion, asName} {
			got := s.windowsText(text, how)
			for word := range strings.FieldsFuncSeq(got, func(r rune) bool { return r < 0x80 && !isWord(byte(r)) }) {
				if strings.EqualFold(word, "mwhitlock") {
					t.Errorf("scrub %q: got %q", text, got)
				}
			}
		}
		value := TextValue(text)
		if got := s.keyValue(name, value); (strings.TrimSpace(*got.Text) == "") != (strings.TrimSpace(text) == "") {
			t.Errorf("scrub %q of %q: got %q", text, name, *got.Text)
		}
		s.rowValue(name, value)
		s.keyPath(text)
		s.learnWindows(&reading{Key: name, Holds: &RegistryKey{Keys: []string{text}, Values: Values{name: value}}})
		s.learnWindows(&reading{Rows: name, List: &[]Values{{name: value, "Instance": value, "Serial": value}}})
	})
}

func FuzzKeepHeaders(f *testing.F) {
	f.Add([]byte("LUKS\xba\xbe\x00\x02"), int64(0))
	f.Add([]byte(`{"segments":{"0":{"type":"crypt"}}}`), int64(4096))
	f.Fuzz(func(t *testing.T, data []byte, offset int64) {
		if offset < 0 || offset > 1<<50 {
			return
		}
		if kept := keepHeaders(data, offset); len(kept) != len(data) {
			t.Errorf("%d bytes became %d", len(data), len(kept))
		}
	})
}
