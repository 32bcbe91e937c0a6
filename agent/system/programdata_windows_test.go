package system

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/windows"
)

// TestProgramData finds what the shell finds.
func TestProgramData(t *testing.T) {
	t.Setenv("ProgramData", `C:\planted`)
	want, err := windows.KnownFolderPath(windows.FOLDERID_ProgramData, 0)
	must(t, err)
	got, err := ProgramData()
	if err != nil || !strings.EqualFold(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if info, err := os.Stat(got); err != nil || !info.IsDir() {
		t.Errorf("got %v, %v", info, err)
	}
}
