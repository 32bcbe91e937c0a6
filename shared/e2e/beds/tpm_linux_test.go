package beds

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAKeyIsMadeInTheTPMThatTheKernelGives uses /dev/tpmrm0 of a guest whose TPM
// is swtpm.
func TestAKeyIsMadeInTheTPMThatTheKernelGives(t *testing.T) {
	needBeds(t)
	program := filepath.Join(t.TempDir(), "tpm.test")
	build := exec.Command("go", "test", "-c", "-o", program, "../../../agent/tpm")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the test of agent/tpm: %v\n%s", err, out)
	}
	g := newGuest(t)
	must(t, g.run("tpm.sh", "-T", "-b", program))
	if said := string(g.read("said")); !strings.Contains(said, "--- PASS: TestThisComputersTPM") {
		t.Error(said)
	}
}
