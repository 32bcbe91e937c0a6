package probe

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// reportable fails on a text that may not be reported.
func reportable(t *testing.T, texts ...string) {
	t.Helper()
	for _, s := range texts {
		if !utf8.ValidString(s) || utf8.RuneCountInString(s) > nameRunes || strings.ContainsAny(s, "\x00\n\r\x1b\u202e") || clean(s, nameRunes) != s {
			t.Errorf("%q may not be reported", s)
		}
	}
}

func FuzzOSRelease(f *testing.F) {
	f.Add("ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME='Debian \\'\n")
	f.Add("NAME=\"a \\\"quoted\\\" $name\" # no comment\nX=\\\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, v := range parseOSRelease(text) {
			reportable(t, v)
		}
	})
}

func FuzzClamHeader(f *testing.F) {
	f.Add([]byte("ClamAV-VDB:20 Nov 2026 03-28 -0500:27830:2077163:90:0f:sig:raynman:1795163283   "))
	f.Add([]byte("ClamAV-VDB:Sep 24 2004 10-13:1:2:3:4:5:6"))
	f.Fuzz(func(t *testing.T, head []byte) {
		h, err := parseClamHeader(head)
		if err == nil && (h.version == 0 || !h.made.IsZero() && !plausible(h.made)) {
			t.Errorf("%q is taken for %v", head, h)
		}
	})
}

func FuzzClamBanner(f *testing.F) {
	f.Add([]byte("ClamAV 1.4.3/27830/Thu Nov 20 09:28:13 2026\x00"))
	f.Add([]byte("ClamAV 1.4.3\n"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		b, _ := parseClamBanner(answer)
		reportable(t, b.engine)
	})
}

func FuzzDefender(f *testing.F) {
	f.Add([]byte(`{"realTimeProtectionEnabled":{"value":true},"definitionsUpdated":"1795154400000","licensed":true}`))
	f.Add([]byte(`{"real_time_protection_enabled":null,"definitions_updated":"Nov 18, 2026 at 09:06:27 AM","app_version":7}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var h map[string]json.RawMessage
		if json.Unmarshal(data, &h) != nil {
			return
		}
		a := posture.Antivirus{On: posture.Read(true)}
		defenderHealth(h, time.UTC, &a)
		reportable(t, a.Version.Value, a.Definitions.Value)
	})
}

func FuzzFalcon(f *testing.F) {
	f.Add([]byte("version = 7.10.16303.0\nrfm-state=false.\n"))
	f.Fuzz(func(t *testing.T, out []byte) {
		version, _ := parseFalcon(out)
		reportable(t, version.Value)
	})
}

func FuzzDpkg(f *testing.F) {
	f.Add([]byte("Package: adduser\nStatus: install ok installed\nVersion: 3.134\nMaintainer: A B <a@example.org>\n\n"))
	f.Add([]byte("Package: x\nStatus: deinstall ok config-files\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parseDpkg(bytes.NewReader(data))
		slow, slowErr := parseDpkg(iotest.OneByteReader(bytes.NewReader(data)))
		if (err == nil) != (slowErr == nil) || len(list) != len(slow) {
			t.Errorf("read in one piece %d and %v, byte by byte %d and %v", len(list), err, len(slow), slowErr)
		}
		for _, p := range list {
			reportable(t, p.Name, p.Version, p.Publisher, p.Architecture)
		}
	})
}

func FuzzRPM(f *testing.F) {
	f.Add("bash\t5.3.0-2.fc43\tx86_64\tFedora Project\ngpg-pubkey\t1\t(none)\t(none)\n")
	f.Fuzz(func(t *testing.T, out string) {
		list, _ := parseRPM(out)
		for _, p := range list {
			reportable(t, p.Name, p.Version, p.Publisher, p.Architecture)
		}
	})
}

func FuzzSnapd(f *testing.F) {
	f.Add([]byte(`{"type":"sync","result":[{"name":"firefox","version":"145.0","status":"active","publisher":{"display-name":"Mozilla"}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, _ := parseSnapd(data)
		for _, p := range list {
			reportable(t, p.Name, p.Version, p.Publisher)
		}
		name, ok := snapName(string(data))
		if ok && strings.ContainsAny(name, "/.") {
			t.Errorf("%q is taken for a name", name)
		}
		reportable(t, snapVersion(string(data)))
	})
}

func FuzzFlatpak(f *testing.F) {
	f.Add([]byte("[Application]\nname=org.gimp.GIMP\nruntime=org.gnome.Platform/x86_64/48\n"))
	f.Add([]byte(`<component><releases><release version="3.0.4"/></releases></component>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, _ := parseFlatpak(data)
		reportable(t, p.Name, p.Architecture, parseMetainfo(data))
	})
}

func FuzzINI(f *testing.F) {
	f.Add([]byte("[daemon]\nAutomaticLoginEnable = true\n#x\n[a]b]\nc\n"))
	f.Fuzz(func(_ *testing.T, data []byte) { parseINI(data) })
}

func FuzzIdentify(f *testing.F) {
	for _, s := range executableSeeds(f) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := identify(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Errorf("content is no reason for an error: %v", err) // a contained panic
		}
		reportable(t, p.product.Value, p.version.Value, p.signer.Value)
	})
}

func FuzzVersionInfo(f *testing.F) {
	f.Add(versionInfo(map[string]string{"ProductName": "Hollybank Quiz", "ProductVersion": "1.2"}))
	f.Fuzz(func(t *testing.T, data []byte) {
		parseVersionInfo(data)
		reportable(t, fixedVersion(data))
	})
}

func FuzzSignerName(f *testing.F) {
	f.Add(signature(f))
	f.Fuzz(func(_ *testing.T, der []byte) { signerName(der) })
}

func FuzzKnown(f *testing.F) {
	var b bytes.Buffer
	if err := someKnown().Save(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := LoadKnown(bytes.NewReader(data))
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := k.Save(&again); err != nil || !bytes.Equal(again.Bytes(), data) {
			t.Errorf("loaded and saved, %x became %x (%v)", data, again.Bytes(), err)
		}
	})
}

func FuzzNFT(f *testing.F) {
	f.Add([]byte(`{"nftables":[{"metainfo":{"version":"1.0.6"}},{"chain":{"family":"inet","table":"t","name":"input","type":"filter","hook":"input","policy":"drop"}}]}`))
	f.Add([]byte(`{"nftables":[{"metainfo":{}},{"chain":{"family":"inet","table":"t","name":"a","type":"filter","hook":"input"}},{"rule":{"family":"inet","table":"t","chain":"a","expr":[{"jump":{"target":"a"}}]}}]}`))
	f.Fuzz(func(_ *testing.T, data []byte) { _, _ = parseNFT(data) })
}

func FuzzGVDB(f *testing.F) {
	for _, s := range gvdbSeeds(f) {
		f.Add(s)
	}
	f.Fuzz(func(_ *testing.T, data []byte) {
		table, err := parseGVDB(data)
		if err != nil {
			return
		}
		for _, v := range table.values {
			variantBool(v)
			variantUint32(v)
		}
	})
}

func FuzzAccounts(f *testing.F) {
	f.Add("root:x:0:0:root:/root:/bin/bash\n+::::::\n", "root:*:1::::::\n", "sudo:x:27:pat,sam\n")
	f.Fuzz(func(_ *testing.T, passwd, shadow, groups string) {
		_, _, _ = parsePasswd(passwd)
		_, _ = parseShadow(shadow)
		_, _ = parseGroups(groups)
		namesElsewhere(passwd, true)
	})
}

func FuzzSudoers(f *testing.F) {
	f.Add("Defaults env_reset\nroot ALL=(ALL:ALL) ALL\n%sudo\tALL=(ALL) NOPASSWD: ALL\nUser_Alias A = b\n@include x\n")
	f.Fuzz(func(_ *testing.T, text string) { (&sudoers{}).parse(text) })
}

func FuzzSessions(f *testing.F) {
	f.Add(make([]byte, 2*utmpSize))
	f.Fuzz(func(_ *testing.T, log []byte) { longestSignedIn(log, []string{"pat", ""}) })
}

func FuzzAPT(f *testing.F) {
	f.Add("Inst libc6 [1] (2 Debian:12/stable, Debian-Security:12/x [amd64])\n1 upgraded, 0 newly installed, 0 to remove and 2 not upgraded.\n")
	f.Fuzz(func(t *testing.T, out string) {
		pending, important, err := parseAPT(out)
		if err == nil && (important < 0 || important > pending) {
			t.Errorf("%d important of %d", important, pending)
		}
	})
}

func FuzzAPTConf(f *testing.F) {
	f.Add("APT { Periodic { Unattended-Upgrade \"1\"; }; };\n#clear APT::Periodic;\n/* x */ A::B:: \"c\"; // d\n")
	f.Fuzz(func(_ *testing.T, text string) { _ = parseAPTConf(text, map[string]string{}) })
}

func FuzzDNF(f *testing.F) {
	f.Add("kernel.x86_64  6.17  updates\nObsoleting Packages\n", 100)
	f.Fuzz(func(_ *testing.T, out string, exit int) {
		_, _ = parseDNF(system.Output{Stdout: []byte(out), Exit: exit})
	})
}

func FuzzUbuntuPro(f *testing.F) {
	f.Add([]byte(`{"attached":true,"services":[{"name":"esm-infra","status":"enabled"}]}`))
	f.Fuzz(func(_ *testing.T, data []byte) { parseUbuntuPro(data) })
}

func FuzzCompareVersions(f *testing.F) {
	f.Add("6.8.0-88-generic", "6.8.0-90-generic")
	f.Fuzz(func(t *testing.T, a, b string) {
		if x, y := compareVersions(a, b), compareVersions(b, a); (x < 0) != (y > 0) || (x == 0) != (y == 0) {
			t.Errorf("%q and %q compare as %d and %d", a, b, x, y)
		}
	})
}
