package beds

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// onWindows are the packages of which the agent for Windows is made.
var onWindows = []string{
	"./agent/...", "./shared/clock/...", "./shared/durable/...", "./shared/identity/...", "./shared/policy/...",
	"./shared/posture/...", "./shared/proof/...", "./shared/release/...", "./shared/wire/...",
}

// event is a line of what `go test -json` prints.
type event struct {
	Action     string
	ImportPath string // of what is built
	Package    string
	Test       string
	Output     string
}

// TestPackagesUnderWine runs the tests of the agent's packages, built for
// Windows, as they are run on Linux. What Wine has not they skip with a word.
func TestPackagesUnderWine(t *testing.T) {
	newWindows(t)
	cannot(t, "rights and elevation: under Wine whoever asks may do anything; the race detector does not run there")
	args := append([]string{"test", "-json", "-vet=off", "-count=1", "-timeout", "20m", "-exec", abs(t, "wine-bed.sh") + " run"}, onWindows...)
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = "../../.."
	// The thorough tests need no Windows to be thorough.
	cmd.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0", "GOTMPDIR="+wine.scratch, "CARETAKER_THOROUGH=")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	failed := cmd.Run()

	said := map[string]*strings.Builder{} // by package and test
	of := func(e event) *strings.Builder {
		key := e.Package + e.ImportPath + " " + e.Test
		if said[key] == nil {
			said[key] = &strings.Builder{}
		}
		return said[key]
	}
	passed, packages := 0, 0
	for d := json.NewDecoder(&stdout); ; {
		var e event
		err := d.Decode(&e)
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		switch e.Action {
		case "output", "build-output":
			of(e).WriteString(e.Output)
		case "pass":
			if e.Test == "" {
				packages++
			} else {
				passed++
			}
		case "fail", "build-fail":
			t.Errorf("%s%s fails on Windows: %s\n%s", e.Package, e.ImportPath, e.Test, of(e))
		case "skip":
			if e.Test != "" {
				t.Logf("%s is skipped on Windows: %s", e.Package, of(e))
			}
		}
	}
	if failed != nil && !t.Failed() {
		t.Errorf("the tests did not run: %v\n%s", failed, stderr.String())
	}
	t.Logf("%d tests of %d packages pass on Windows", passed, packages)
}
