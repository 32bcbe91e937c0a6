package beds

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// withoutAnswer are the rules about what Wine has not: BitLocker, Security
// Center, Defender, Windows Update. Nothing may make of it that they are met,
// or that they are not.
var withoutAnswer = []string{"ENC-01", "ENC-02", "AV-01", "AV-02", "AV-03", "PAT-02"}

func TestCheckUnderWine(t *testing.T) {
	w := newWindows(t)
	cannot(t, "BitLocker, Security Center, Defender and sticks: Wine has none of them, and the agent has to say so")
	w.settled()
	r := w.checks()

	if r.Facts.System.Absent != posture.None || len(r.Facts.System.Items) != 1 {
		t.Fatalf("the system is not known: %+v", r.Facts.System)
	}
	s := r.Facts.System.Items[0]
	build := w.registry(`HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion`, "CurrentBuild")
	name := w.registry(`HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion`, "ProductName")
	if s.Platform != posture.Windows || s.Architecture != "amd64" || !strings.EqualFold(s.Hostname, hostname(t)) ||
		!strings.HasPrefix(s.OSBuild.Value, build) || s.OSName.Value != name {
		t.Errorf("the registry has %s, build %s, and the agent %+v", name, build, s)
	}
	for _, rule := range withoutAnswer {
		for _, result := range results(r, rule) {
			if result != posture.Error {
				t.Errorf("of %s Wine knows nothing, and its result is %s", rule, result)
			}
		}
		if len(results(r, rule)) == 0 {
			t.Errorf("%s has no result", rule)
		}
	}
	system := slices.IndexFunc(r.Facts.Volumes.Items, func(v posture.Volume) bool { return v.Mount == "C:" })
	if system < 0 || r.Facts.Volumes.Items[system].Role != posture.SystemVolume {
		t.Errorf("C: is not the system's disk: %+v", r.Facts.Volumes)
	}
	for _, v := range r.Facts.Volumes.Items {
		if v.Encryption.Known() || v.Protection.Known() {
			t.Errorf("Wine has no BitLocker, and %s is encrypted: %+v", v.Mount, v)
		}
	}
	// That an interface is missing is said with its own code.
	for what, text := range map[string]string{"BitLocker": jsonOf(t, r.Facts.Volumes), "antivirus": jsonOf(t, r.Facts.Antivirus)} {
		if !strings.Contains(text, "0x8004100e") {
			t.Errorf("of %s nothing says that its interface is missing (0x8004100e): %s", what, text)
		}
	}

	words := w.tries(w.agent(), "check")
	if words.status != 1 || !strings.Contains(words.stdout, "\nNot proven\n") || !strings.Contains(words.stdout, s.OSName.Value) {
		t.Errorf("in words, with status %d: %s%s", words.status, words.stdout, words.stderr)
	}
}

// jsonOf is JSON, in which to look for words.
func jsonOf(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	must(t, err)
	return string(data)
}

// registry returns a text from the registry.
func (w *windows) registry(key, value string) string {
	w.t.Helper()
	for line := range strings.Lines(w.does("reg", "query", key, "/v", value)) {
		if _, rest, ok := strings.Cut(line, "REG_SZ"); ok {
			return strings.TrimSpace(rest)
		}
	}
	w.t.Fatalf("%s has no text %s", key, value)
	return ""
}

// TestARecordedWindowsIsTheSameOnLinux: what Windows recorded of itself is
// judged on Linux as it was there, and names nobody.
func TestARecordedWindowsIsTheSameOnLinux(t *testing.T) {
	w := newWindows(t)
	w.settled()
	for _, hive := range []string{"machine.reg", "pupil.reg", "teacher.reg"} {
		w.imports(hive)
	}
	homework := program(t, w)
	for _, person := range people {
		must(t, os.MkdirAll(w.drive(`users\`+person+`\Downloads`), 0o755))
		must(t, os.WriteFile(w.drive(`users\`+person+`\Downloads\homework of `+person+`.exe`), homework, 0o755))
	}
	recording, there := w.here("recording")
	w.does(w.agent(), "record", there)
	want, got := w.checks(), onLinux(t, "check", "--json", "--replay", recording)
	if gaps := got.Facts.Executables.Gaps; len(want.Facts.Executables.Items) != 1 || !slices.Contains(gaps, posture.Gap{Source: "recording", Absent: posture.NotVisible}) {
		t.Errorf("the executables are %+v, and by the recording, which has none, %+v", want.Facts.Executables, got.Facts.Executables)
	}
	// Nor has it names, or what volumes are told apart by.
	for _, f := range []*posture.Facts{&want.Facts, &got.Facts} {
		f.Executables, f.Scripts = posture.Answer[posture.Executable]{}, posture.Answer[posture.Tally]{}
		for i := range f.System.Items {
			f.System.Items[i].Hostname = ""
		}
		for i := range f.Volumes.Items {
			f.Volumes.Items[i].ID = ""
		}
	}
	if diff := cmp.Diff(timeless(want.Facts), timeless(got.Facts)); diff != "" {
		t.Errorf("the recording is not what was recorded (-Windows +Linux):\n%s", diff)
	}

	secrets := append([]string{hostname(t), "S-1-5-21-2718281828", "S-1-12-1-1618033988", "homework"}, people...)
	files, err := os.ReadDir(recording)
	must(t, err)
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(recording, f.Name()))
		must(t, err)
		for _, secret := range secrets {
			if i := strings.Index(strings.ToLower(string(data)), strings.ToLower(secret)); i >= 0 {
				t.Errorf("%s has %q: …%s…", f.Name(), secret, data[max(0, i-100):min(len(data), i+100)])
			}
		}
	}
}

// people are those of the recorded hives, by the names of their folders.
var people = []string{"mali.pritchard", "OwainTeasdale", "gethin.marsh"}

// timeless leaves out when facts were read.
func timeless(f posture.Facts) posture.Facts {
	for _, at := range []*time.Time{
		&f.System.ReadAt, &f.Volumes.ReadAt, &f.Antivirus.ReadAt, &f.Media.ReadAt, &f.MediaEvents.ReadAt,
		&f.Programs.ReadAt, &f.Executables.ReadAt, &f.Scripts.ReadAt, &f.Security.ReadAt,
	} {
		*at = time.Time{}
	}
	return f
}
