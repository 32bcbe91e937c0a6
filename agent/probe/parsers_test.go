package probe

import (
	"encoding/base64"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/agent/system/systemtest"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// gvdbSeeds are the databases that dconf compiled for the recorded machines.
func gvdbSeeds(tb testing.TB) [][]byte {
	tb.Helper()
	var seeds [][]byte
	for _, machine := range []string{"ubuntu-24.04-gnome", "ubuntu-24.04-locked"} {
		reads, err := os.ReadFile("testdata/security/" + machine + "/reads.jsonl")
		if err != nil {
			tb.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`"base64": ?"(R1Zhcmlhbn[^"]+)"`).FindAllSubmatch(reads, -1) {
			db, err := base64.StdEncoding.DecodeString(string(m[1]))
			if err != nil {
				tb.Fatal(err)
			}
			seeds = append(seeds, db)
		}
	}
	if len(seeds) < 3 {
		tb.Fatalf("found %d databases, want 3", len(seeds))
	}
	return seeds
}

func TestClamHeader(t *testing.T) {
	epoch := time.Unix(1795163283, 0).UTC()
	for _, c := range []struct {
		head    string
		version uint64
		made    time.Time
	}{
		{"ClamAV-VDB:20 Nov 2026 03-28 -0500:27830:2077163:90:0f:sig:raynman:1795163283", 27830, epoch},
		{"ClamAV-VDB:20 Nov 2026 03-28 -0500:27830:2077163:90:0f:sig:raynman", 27830, time.Date(2026, 11, 20, 8, 28, 0, 0, time.UTC)},
		{"ClamAV-VDB:20 Nov 2026 03-28 -0500:27830:2077163:90:0f:sig:raynman:0", 27830, time.Date(2026, 11, 20, 8, 28, 0, 0, time.UTC)},
		{"ClamAV-VDB:some day:27830:2077163:90:0f:sig:raynman:x", 27830, time.Time{}},
		{"ClamAV-VDB:20 Nov 2026 03-28 -0500:x:2077163:90:0f:sig:raynman", 0, time.Time{}},
		{"PK", 0, time.Time{}},
	} {
		h, err := parseClamHeader([]byte(c.head))
		if (err == nil) != (c.version != 0) || h.version != c.version || !h.made.Equal(c.made) {
			t.Errorf("%s: got %v and %v", c.head, h, err)
		}
	}
}

func TestImportantOrigins(t *testing.T) {
	for source, want := range map[string]bool{
		"2.36-9 Debian:12/oldstable, Debian-Security:12/oldstable-security [amd64]": true,
		"2.36-9 Debian:12.15/oldstable [amd64]":                                     false,
		"2 Ubuntu:24.04/noble-updates, Ubuntu:24.04/noble-security [amd64]":         true,
		"2 Ubuntu:24.04/noble-updates [amd64]":                                      false,
		"2 UbuntuESMApps:20.04/focal-apps-security [amd64]":                         true,
		"144.0 Google LLC:1.0/stable [amd64]":                                       true, // severity not stated
		"1.0 [amd64]":                                                               true,
	} {
		if got := importantOrigin(source); got != want {
			t.Errorf("%s: got %v, want %v", source, got, want)
		}
	}
}

func TestSupport(t *testing.T) {
	on := func(day string) time.Time { d, _ := time.Parse(time.DateOnly, day); return d }
	pro := `{"file":"/var/lib/ubuntu-advantage/status.json","text":"{\"attached\":true,\"services\":[{\"name\":\"esm-infra\",\"status\":\"enabled\"}]}"}`
	without := `{"file":"/var/lib/ubuntu-advantage/status.json","missing":true}`
	denied := `{"file":"/var/lib/ubuntu-advantage/status.json","absent":"denied"}`
	for _, c := range []struct {
		id, version, ends, now, reads string
		want                          posture.Reading[bool]
	}{
		{"debian", "12", "", "2026-11-22", without, posture.Read(true)},
		{"debian", "11", "", "2026-08-31", without, posture.Read(true)},
		{"debian", "11", "", "2026-09-01", without, posture.Read(false)},
		{"debian", "", "", "2026-11-22", without, unsupported[bool]()},
		{"debian", "99", "", "2026-11-22", without, unsupported[bool]()},
		{"ubuntu", "20.04", "", "2026-11-22", without, posture.Read(false)},
		{"ubuntu", "20.04", "", "2026-11-22", pro, posture.Read(true)},
		{"ubuntu", "20.04", "", "2026-11-22", denied, posture.Unread[bool](posture.Denied)},
		{"rocky", "9.4", "", "2026-11-22", without, posture.Read(true)},
		{"linuxmint", "21.3", "", "2026-11-22", without, posture.Read(true)},
		{"fedora", "44", "2027-05-19", "2026-11-22", without, posture.Read(true)},
		{"fedora", "42", "2026-05-13", "2026-11-22", without, posture.Read(false)},
		{"arch", "", "", "2026-11-22", without, posture.Read(true)},
		{"hannahmontana", "1", "", "2026-11-22", without, unsupported[bool]()},
	} {
		sys := systemtest.Replay(t, posture.Linux, c.reads)
		release := map[string]string{"ID": c.id, "VERSION_ID": c.version, "SUPPORT_END": c.ends}
		got, _ := osSupport(t.Context(), sys, release, nil, on(c.now))
		if got != c.want {
			t.Errorf("%s %s on %s: got %v, want %v", c.id, c.version, c.now, got, c.want)
		}
	}
}

func TestFirewallRules(t *testing.T) {
	const head, tail = `{"nftables":[{"metainfo":{"version":"1.0.6"}},`, `]}`
	chain := func(family, policy string) string {
		return `{"chain":{"family":"` + family + `","table":"t","name":"in","type":"filter","hook":"input","policy":"` + policy + `"}}`
	}
	rule := func(expr string) string {
		return `,{"rule":{"family":"inet","table":"t","chain":"in","expr":[` + expr + `]}}`
	}
	inner := `,{"chain":{"family":"inet","table":"t","name":"more"}},{"rule":{"family":"inet","table":"t","chain":"more","expr":[{"drop":null}]}}`
	for _, c := range []struct {
		name, list string
		want       refusals
	}{
		{"policy of both", chain("inet", "drop"), refusals{true, true}},
		{"policy of one", chain("ip", "drop"), refusals{true, false}},
		{"policy accepts", chain("inet", "accept"), refusals{}},
		{"last rule drops", chain("inet", "accept") + rule(`{"counter":{}},{"drop":null}`), refusals{true, true}},
		{"condition drops", chain("inet", "accept") + rule(`{"match":{}},{"drop":null}`), refusals{}},
		{"all accepted before the policy", chain("inet", "drop") + rule(`{"accept":null}`), refusals{}},
		{"jump drops", chain("inet", "accept") + rule(`{"jump":{"target":"more"}}`) + inner, refusals{true, true}},
		{"jump to itself", chain("inet", "drop") + rule(`{"jump":{"target":"in"}}`), refusals{}},
		{"jump to nowhere", chain("inet", "drop") + rule(`{"jump":{"target":"gone"}}`), refusals{}},
	} {
		got, err := parseNFT([]byte(head + c.list + tail))
		if err != nil || got != c.want {
			t.Errorf("%s: got %v and %v, want %v", c.name, got, err, c.want)
		}
	}
	if _, err := parseNFT([]byte(`{"nftables":[]}`)); err == nil {
		t.Error("an answer without its head is accepted")
	}
}

func TestSudoers(t *testing.T) {
	for text, want := range map[string]sudoers{
		"root ALL=(ALL:ALL) ALL\n%sudo\tALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n": {users: []string{"root"}, groups: []string{"sudo"}},
		"pat ALL=(ALL) NOPASSWD: ALL\n":         {users: []string{"pat"}},
		"pat ALL=(ALL) \\\n NOPASSWD: ALL\n":    {users: []string{"pat"}},
		"pat ALL=(root) /usr/bin/apt\n":         {unclear: true},
		"ALL ALL=(ALL) ALL\n":                   {unclear: true},
		"Defaults targetpw\n":                   {unclear: true},
		"Defaults env_reset\n# a comment\n#x\n": {},
		"User_Alias STAFF = pat\n":              {unclear: true},
		"@include /etc/other\n":                 {unclear: true},
		"%domain\\ admins ALL=(ALL) ALL\n":      {unclear: true},
	} {
		var got sudoers
		got.parse(text)
		if len(got.users) != len(want.users) || len(got.groups) != len(want.groups) || got.unclear != want.unclear {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

func TestAPTConfiguration(t *testing.T) {
	conf := map[string]string{}
	text := "APT::Periodic { Update-Package-Lists \"1\"; };\n// APT::Periodic::Enable \"0\";\n" +
		"APT { Periodic { Unattended-Upgrade \"1\"; } };\n#clear APT::Periodic::Gone;\n# a comment\n/* APT::Periodic::Enable \"0\"; */\n"
	if err := parseAPTConf(text, conf); err != nil {
		t.Fatal(err)
	}
	if conf["apt::periodic::update-package-lists"] != "1" || conf["apt::periodic::unattended-upgrade"] != "1" || conf["apt::periodic::enable"] != "" {
		t.Errorf("got %v", conf)
	}
	for _, cut := range []string{"A { B \"1\";", "A \"1", "A \"1\"", "/* x", "}", "#include \"x\";"} {
		if parseAPTConf(cut, map[string]string{}) == nil {
			t.Errorf("%q is accepted", cut)
		}
	}
	for name, want := range map[string]bool{"20auto-upgrades": true, "50x.conf": true, "x.dpkg-old": false, "x.bak": false, "a b": false} {
		if aptConfName(name) != want {
			t.Errorf("%s: got %v", name, !want)
		}
	}
}

func TestClean(t *testing.T) {
	for _, c := range []struct {
		in    string
		limit int
		want  string
	}{
		{" a\t\n b ", 10, "a b"},
		{"a\x00\x1b[31mb", 10, "a[31mb"},
		{"a\u202eb\xff", 10, "ab"},
		{"ééééé", 3, "ééé"},
		{"ab cd", 3, "ab"},
		{"ab cd", 4, "ab c"},
	} {
		if got := clean(c.in, c.limit); got != c.want {
			t.Errorf("%q to %d: got %q, want %q", c.in, c.limit, got, c.want)
		}
	}
}
