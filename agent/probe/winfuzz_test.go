package probe

import (
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

func FuzzCIMTime(f *testing.F) {
	for _, s := range []string{
		"20261120080627.000000+000", "20261120080627.250000-300", "16010101000000.000000+000",
		"00000001132312.000000:000", "20261120******.******+***", "20261120080627.000000+9999",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		at, ok := parseCIMTime(s)
		if !ok && !at.IsZero() {
			t.Errorf("%q is no moment and yet %v", s, at)
		}
		made := defenderMade(system.Values{"AntivirusSignatureLastUpdated": system.TextValue(s)})
		if made.Known() && !plausible(made.Value) {
			t.Errorf("%q is taken for %v", s, made.Value)
		}
	})
}

func FuzzProductState(f *testing.F) {
	for _, n := range []int64{397568, 266256, 393472, 270336, 274448, -1, 1 << 40} {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, n int64) {
		state, current := parseProductState(n)
		if n != n&0xffffffff && (state.Known() || current.Known()) {
			t.Errorf("%#x is no state and yet %v, %v", n, state, current)
		}
		if state.Known() && int64(state.Value) != n>>12&0xf {
			// On, snoozed and expired are 1, 2 and 3 there as here.
			t.Errorf("%#x is taken for %v", n, state.Value)
		}
	})
}

func FuzzSaverPath(f *testing.F) {
	for _, s := range []string{
		`C:\Windows\system32\scrnsave.scr`, `%SystemRoot%\system32\ssText3d.scr`, "hollybank.scr", `"C:\PROGRA~1\x.scr"`,
		`\\server\share\x.scr`, `C:\Users\person\x.scr`, `C:\Windows\..\Users\person\x.scr`, `%APPDATA%\x.scr`, "", `%windir%\`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, saver string) {
		path, below := parseSaver(saver)
		if below {
			path = `C:\WINDOWS\` + path
		}
		if !mayLook(path) {
			return
		}
		if at := strings.ToLower(path); strings.HasPrefix(at, `\\`) || strings.HasPrefix(at[1:], `:\users\`) || strings.Contains(at, "..") {
			t.Errorf("%q is looked for at %q", saver, path)
		}
	})
}

func FuzzPackageName(f *testing.F) {
	for _, s := range []string{
		"SpotifyAB.SpotifyMusic_1.251.512.0_x64__zpdnekdrzrea0", "Microsoft.Photos_2026.1.2.0_neutral_split.language-cy_8wekyb3d8bbwe",
		"Microsoft.WindowsCalculator_2021.2508.4.0_neutral_~_8wekyb3d8bbwe", "a_b_c_d_e", "____",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, full string) {
		p, ok := parsePackageName(full)
		if !ok {
			return
		}
		reportable(t, p.name, p.version, packageArchitectures[p.architecture])
		if len(p.name)+len(p.version)+len(p.architecture)+len(p.resource)+len(p.publisher)+4 != len(full) {
			t.Errorf("%q is taken for %+v", full, p)
		}
	})
}

func FuzzVendorName(f *testing.F) {
	for _, s := range []string{"Windows Defender", "ESET Security", "Übungs-Schutz 3", "\u202egnp.exe", "", "360安全卫士"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		v := vendorOf(name)
		reportable(t, v.product, v.name)
		if v.product == "" {
			t.Errorf("%q has no identifier", name)
		}
		if again := vendorOf(name); again.product != v.product {
			t.Errorf("%q is %q and %q", name, v.product, again.product)
		}
	})
}

func FuzzUninstallEntry(f *testing.F) {
	f.Add("Discord", "1.0.9170", "Discord Inc.", "", "")
	f.Add("Security Update (KB1)", "", "", "Office", "Update")
	f.Add("\u202exe.\x00", "1\n2", "\x1b[31m", " ", "")
	f.Fuzz(func(t *testing.T, name, version, publisher, parent, release string) {
		p, ok, err := uninstallEntry(registryKey{system.RegistryKey{Values: system.Values{
			"DisplayName": system.TextValue(name), "DisplayVersion": system.TextValue(version), "Publisher": system.TextValue(publisher),
			"ParentKeyName": system.TextValue(parent), "ReleaseType": system.TextValue(release),
			"InstallLocation": system.TextValue(`C:\Users\` + name),
		}}})
		if err != nil {
			t.Errorf("texts that can be read are an error: %v", err)
		}
		if ok && p.Name == "" {
			t.Error("a program has no name")
		}
		reportable(t, p.Name, p.Version, p.Publisher)
	})
}

func FuzzWindowsMoment(f *testing.F) {
	for _, s := range []string{"2026-11-20T07:12:40Z", "1601-01-01T00:00:00Z", "2026-11-20T07:12:40+01:00", "20.11.2026 07:12", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		at := windowsMoment(system.Values{"At": system.TextValue(s)}, "At")
		if at.Known() && !at.Value.IsZero() && (!plausible(at.Value) || at.Value.Location() != time.UTC) {
			t.Errorf("%q is taken for %v", s, at.Value)
		}
	})
}

func FuzzWindowsSupport(f *testing.F) {
	f.Add(int64(26100), "Education")
	f.Add(int64(19045), "CoreN")
	f.Add(int64(-1), "n")
	f.Fuzz(func(t *testing.T, build int64, edition string) {
		if end, ok := windowsSupportEnd(build, edition); ok && end.IsZero() {
			t.Errorf("the support of %d %q ends at no moment", build, edition)
		}
	})
}

// FuzzRegistryNumber: whatever texts stand where settings should, a timer is a
// plausible number of seconds or is not known.
func FuzzRegistryNumber(f *testing.F) {
	f.Add("600", []byte{0x91, 0, 0, 0})
	f.Add(" 1 ", []byte{})
	f.Add("-5", []byte{1, 2, 3, 4, 5, 6, 7, 8, 9})
	f.Fuzz(func(t *testing.T, text string, bytes []byte) {
		key := registryKey{system.RegistryKey{Values: system.Values{"Text": system.TextValue(text), "Bytes": system.BytesValue(bytes)}}}
		for _, name := range []string{"Text", "Bytes"} {
			if timer := timerOf(key.number(name)); timer.Known() && (timer.Value < 0 || timer.Value > 1<<31) {
				t.Errorf("%q, %x: %v", text, bytes, timer.Value)
			}
		}
		if _, there, err := key.number("None"); there || err != nil {
			t.Error("a value that is not there is one")
		}
		if timerOf(0, false, nil) != posture.Read(int64(0)) {
			t.Error("what nobody set is a timer")
		}
	})
}
