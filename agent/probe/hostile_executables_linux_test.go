package probe

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/agent/system/systemtest/crafted"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// TestCraftedExecutables looks at each alone, beside a harmless program.
// Whatever it is made to be, the other is found, little memory is taken, and
// the names in it are fit to be shown.
func TestCraftedExecutables(t *testing.T) {
	const most = 4 << 20 // bytes allocated beyond what the files themselves hold
	for name, content := range crafted.Executables() {
		sys, dir := downloads(t)
		for name, content := range map[string][]byte{name: content, "harmless": crafted.Program("harmless")} {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		programs, scripts := Executables(t.Context(), sys, nil, nil, walkLimits)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > most+uint64(len(content)) {
			t.Errorf("%s: took %d bytes", name, got)
		}
		harmless := 0
		for _, e := range programs.Items {
			if e.Format == posture.ELF && e.SHA256.Known() && e.Signature.Known() {
				harmless++
			}
			for _, r := range []posture.Reading[string]{e.Product, e.Version, e.Signer} {
				if clean(r.Value, nameRunes) != r.Value || strings.ContainsAny(r.Value, "\x00\x1b\n\r") {
					t.Errorf("%s: names itself %q", name, r.Value)
				}
			}
		}
		if harmless < 1 || programs.Absent != posture.None || scripts.Absent != posture.None {
			t.Errorf("%s: %+v, %+v", name, programs, scripts)
		}
	}
}

// TestCraftedNamesAreReached: what crafted files are made of is what a program
// with names is made of.
func TestCraftedNamesAreReached(t *testing.T) {
	sys, dir := downloads(t)
	if err := os.WriteFile(filepath.Join(dir, "game.exe"), crafted.Named("Game", "1.2"), 0o644); err != nil {
		t.Fatal(err)
	}
	programs, _ := Executables(t.Context(), sys, nil, nil, walkLimits)
	if len(programs.Items) != 1 || programs.Items[0].Product != posture.Read("Game") || programs.Items[0].Version != posture.Read("1.2") {
		t.Errorf("got %+v", programs)
	}
}
