package system

import (
	"strings"
	"testing"
)

func scrubberFor(t testing.TB, passwd string) *scrubber {
	t.Helper()
	s, err := newScrubber([]*reading{{File: "/etc/passwd", Text: &passwd}})
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
