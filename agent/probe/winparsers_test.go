package probe

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/agent/system/systemtest"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// TestNoLostValueTurnsASetting loses each value of each row and each key in
// turn, of the machines whose antivirus, programs and settings are read.
func TestNoLostValueTurnsASetting(t *testing.T) {
	for _, section := range []string{"antivirus", "programs", "security"} {
		eachMachine(t, section, func(t *testing.T, dir string) {
			var want any
			eachValue(t, dir, func(sys system.Reader, lost string) {
				got := asked[section](t.Context(), sys)
				if lost == "" {
					want = got
				}
				if problem := turned(reflect.ValueOf(want), reflect.ValueOf(got)); problem != "" {
					t.Errorf("%s: %s", lost, problem)
				}
			})
		})
	}
}

func TestCIMTime(t *testing.T) {
	for text, want := range map[string]time.Time{
		"20261120080627.000000+000": time.Date(2026, 11, 20, 8, 6, 27, 0, time.UTC),
		"20261120080627.250000+060": time.Date(2026, 11, 20, 7, 6, 27, 250_000_000, time.UTC),
		"20261120233000.000000-300": time.Date(2026, 11, 21, 4, 30, 0, 0, time.UTC),
		"16010101000000.000000+000": time.Date(1601, 1, 1, 0, 0, 0, 0, time.UTC),
		"00000001132312.000000:000": {}, // an interval
		"20261120******.******+***": {},
		"20261320080627.000000+000": {},
		"20261120080627.000000+00":  {},
		"":                          {},
	} {
		got, ok := parseCIMTime(text)
		if ok == want.IsZero() || !got.Equal(want) {
			t.Errorf("%q: got %v, %t; want %v", text, got, ok, want)
		}
	}
}

func TestProductState(t *testing.T) {
	for number, want := range map[int64]struct {
		state   productState
		current bool
	}{
		397568: {productOn, true},       // 0x61100, Microsoft
		266256: {productOn, false},      // 0x41010
		393472: {productOff, true},      // 0x60100, Microsoft
		270336: {productSnoozed, true},  // 0x42000
		274448: {productExpired, false}, // 0x43010
	} {
		state, current := parseProductState(number)
		if state != posture.Read(want.state) || current != posture.Read(want.current) {
			t.Errorf("%#x: got %v, %v; want %v", number, state, current, want)
		}
	}
	for _, number := range []int64{-1, 0x44000, 1 << 32} {
		if state, _ := parseProductState(number); state.Known() {
			t.Errorf("%#x is taken for %v", number, state)
		}
	}
}

// TestVendorsAreToldApart: each maker's own names lead to it, whatever stands
// around them.
func TestVendorsAreToldApart(t *testing.T) {
	for name, want := range map[string]string{
		"Windows Defender":                              "microsoft-defender",
		"Antivirus Microsoft Defender":                  "microsoft-defender",
		"Sophos Intercept X":                            "sophos",
		"ESET Security":                                 "eset",
		"CrowdStrike Falcon Sensor":                     "crowdstrike",
		"Sentinel Agent":                                "sentinelone",
		"Bitdefender Endpoint Security Tools":           "bitdefender",
		"Trend Micro Apex One Antivirus":                "trend-micro",
		"McAfee Endpoint Security":                      "trellix",
		"McAfee VirusScan":                              "mcafee",
		"Norton 360":                                    "norton",
		"Cortex XDR Advanced Endpoint Protection":       "cortex-xdr",
		"AVG Antivirus":                                 "avg",
		"Betreset":                                      "betreset",
		"Übungs-Schutz 3 (Schule)":                      "übungs-schutz-3-schule",
		"\u202e\x00":                                    "unnamed",
		"Reset Protection":                              "reset-protection",
		"Webroot SecureAnywhere":                        "webroot",
		"Kaspersky Endpoint Security for Windows":       "kaspersky",
		"Panda Endpoint Protection Plus":                "panda",
		"Cylance PROTECT":                               "cylance",
		"WithSecure Elements EPP for Computers Premium": "withsecure",
	} {
		if got := vendorOf(name); got.product != want {
			t.Errorf("%q: got %q, want %q", name, got.product, want)
		}
	}
}

// TestNoTwoVendorsShare: a service or name of two makers would make one product
// two.
func TestNoTwoVendorsShare(t *testing.T) {
	seen := map[string]string{}
	for _, v := range windowsVendors {
		if v.product == "" || v.name == "" || len(v.services) == 0 || len(v.called) == 0 {
			t.Errorf("%+v lacks something", v)
		}
		for _, s := range v.services {
			if seen[s] != "" {
				t.Errorf("%s is of %s and of %s", s, seen[s], v.product)
			}
			seen[s] = v.product
		}
	}
}

// TestSaverPaths: where a screen saver is looked for, and where it is not.
func TestSaverPaths(t *testing.T) {
	for _, c := range []struct {
		saver, path string
		below, look bool
	}{
		{`C:\Windows\system32\scrnsave.scr`, `C:\Windows\system32\scrnsave.scr`, false, true},
		{`"D:\Savers\x.scr"`, `D:\Savers\x.scr`, false, true},
		{`%SystemRoot%\system32\ssText3d.scr`, `system32\ssText3d.scr`, true, false},
		{`%WINDIR%\x.scr`, `x.scr`, true, false},
		{"hollybank.scr", `System32\hollybank.scr`, true, false},
		{`C:\Users\person\x.scr`, `C:\Users\person\x.scr`, false, false},
		{`C:\WINDOWS\system32\PHOTOS~1.SCR`, `C:\WINDOWS\system32\PHOTOS~1.SCR`, false, true},
		{`C:\Users~1\person\x.scr`, `C:\Users~1\person\x.scr`, false, false},
		{`\\server\share\x.scr`, `\\server\share\x.scr`, false, false},
		{`%APPDATA%\x.scr`, `%APPDATA%\x.scr`, false, false},
	} {
		path, below := parseSaver(c.saver)
		if path != c.path || below != c.below || !below && mayLook(path) != c.look {
			t.Errorf("%s: %q, below %v, looked for %v", c.saver, path, below, mayLook(path))
		}
	}
}

func TestPackageNames(t *testing.T) {
	for full, want := range map[string]packageName{
		"SpotifyAB.SpotifyMusic_1.251.512.0_x64__zpdnekdrzrea0":                       {"SpotifyAB.SpotifyMusic", "1.251.512.0", "x64", "", "zpdnekdrzrea0"},
		"Microsoft.WindowsCalculator_2021.2508.4.0_neutral_~_8wekyb3d8bbwe":           {"Microsoft.WindowsCalculator", "2021.2508.4.0", "neutral", "~", "8wekyb3d8bbwe"},
		"Microsoft.Photos_2026.1.2.0_neutral_split.language-cy_8wekyb3d8bbwe":         {"Microsoft.Photos", "2026.1.2.0", "neutral", "split.language-cy", "8wekyb3d8bbwe"},
		"Microsoft.VCLibs.140.00_14.0.33519.0_x64__8wekyb3d8bbwe":                     {"Microsoft.VCLibs.140.00", "14.0.33519.0", "x64", "", "8wekyb3d8bbwe"},
		"Microsoft.VCLibs.140.00_14.0.33519.0_x64__8wekyb3d8bbwe_":                    {},
		"Microsoft.VCLibs.140.00_14.0_x64__8wekyb3d8bbwe":                             {},
		"Some App_1.0.0.0_x64__8wekyb3d8bbwe":                                         {},
		"Deleted":                                                                     {},
		"..\\x_1.0.0.0_x64__8wekyb3d8bbwe":                                            {},
		"A_1.0.0.65536_x64__8wekyb3d8bbwe":                                            {},
		"A_1.0.0.0_mips__8wekyb3d8bbwe":                                               {},
		"A_1.0.0.0_x64__8wekyb3d8bbwe4":                                               {},
		"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWX_1.0.0.0_x64__zpdnekdrzre": {},
	} {
		got, ok := parsePackageName(full)
		if ok == (want == packageName{}) || ok && got != want {
			t.Errorf("%q: got %+v, %t; want %+v", full, got, ok, want)
		}
	}
	for full, want := range map[string]bool{
		"SpotifyAB.SpotifyMusic_1.251.512.0_x64__zpdnekdrzrea0":               true,
		"Microsoft.VCLibs.140.00_14.0.33519.0_x64__8wekyb3d8bbwe":             false,
		"Microsoft.VCLibs.140.00_14.0.33519.0_x64__zpdnekdrzrea0":             true, // somebody else's, by that name
		"Microsoft.Photos_2026.1.2.0_neutral_split.language-cy_8wekyb3d8bbwe": false,
		"Microsoft.DirectXRuntime_9.29.1974.0_x64__8wekyb3d8bbwe":             false,
		"Microsoft.WindowsCalculator_2021.2508.4.0_neutral_~_8wekyb3d8bbwe":   true,
	} {
		if p, ok := parsePackageName(full); !ok || p.app() != want {
			t.Errorf("%q is an app: %t, want %t", full, p.app(), want)
		}
	}
}

// TestPeoplesProgramsStay: on a device that is also its user's own, what people
// chose for themselves is not named.
func TestPeoplesProgramsStay(t *testing.T) {
	machine := systemtest.Load(t, "testdata/programs/windows-pupil-laptop")
	answer := Programs(t.Context(), machine, Question{PersonalUse: true})
	if answer.Complete() || len(answer.Items) == 0 {
		t.Errorf("got %d items and gaps %v", len(answer.Items), answer.Gaps)
	}
	for _, p := range answer.Items {
		if slices.Contains([]string{"Discord", "Google Chrome", "Microsoft Teams classic"}, p.Name) || p.Architecture == "amd64" {
			t.Errorf("%s is named", p.Name)
		}
	}
}

func TestWindowsSupport(t *testing.T) {
	for _, c := range []struct {
		build   int64
		edition string
		last    string // "" if it is not known
	}{
		{19045, "Core", "2025-10-14"},
		{19045, "Education", "2025-10-14"},
		{19044, "EnterpriseS", "2027-01-12"},
		{19044, "IoTEnterpriseS", "2032-01-13"},
		{22631, "Professional", "2025-11-11"},
		{22631, "EducationN", "2026-11-10"},
		{26100, "CoreN", "2026-10-13"},
		{26100, "ProfessionalEducation", "2026-10-13"},
		{26100, "Education", "2027-10-12"},
		{26100, "EnterpriseSN", "2029-10-09"},
		{26100, "ServerStandard", "2034-10-10"},
		{26200, "Enterprise", "2028-10-10"},
		{17763, "ServerStandard", "2029-01-09"},
		{20348, "ServerDatacenter", "2031-10-14"},
		{26220, "Professional", ""}, // of the Insider programme
		{26200, "ServerStandard", ""},
		{26200, "EnterpriseG", ""},
		{26100, "", ""},
	} {
		end, ok := windowsSupportEnd(c.build, c.edition)
		want, known := lastDay(c.last)
		if ok != known || !end.Equal(want) {
			t.Errorf("%d %s: got %v, %t; want %v", c.build, c.edition, end, ok, want)
		}
	}
	for _, row := range windowsSupport {
		for _, day := range row.ends {
			at, err := time.Parse(time.DateOnly, day)
			if day != "" && (err != nil || at.Weekday() != time.Tuesday) && day != "2025-10-24" {
				t.Errorf("%d ends on %q, which is no Tuesday", row.build, day)
			}
		}
	}
}
