package beds

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// agent puts the agent for Windows where Windows sees it, and returns its path
// there.
func (w *windows) agent() string {
	w.t.Helper()
	name := filepath.Join(wine.scratch, "caretaker-agent.exe")
	if _, err := os.Stat(name); err != nil {
		cmd := exec.Command("go", "build", "-trimpath", "-tags", "grpcnotrace", "-ldflags", "-s -w", "-o", name, "./agent")
		cmd.Dir = "../../.."
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=windows", "GOARCH=amd64")
		if out, err := cmd.CombinedOutput(); err != nil {
			w.t.Fatalf("build the agent for Windows: %v\n%s", err, out)
		}
	}
	return seen(name)
}

// seen returns the path by which Windows sees a file of this machine.
func seen(name string) string { return "Z:" + strings.ReplaceAll(name, "/", `\`) }

// here returns where on this machine a file lies that Windows sees.
func here(path string) string {
	return strings.ReplaceAll(strings.TrimPrefix(path, "Z:"), `\`, "/")
}

// here returns a file of the test's folder, and the path by which Windows sees
// it.
func (w *windows) here(name string) (path, there string) {
	path = filepath.Join(w.dir, name)
	return path, seen(path)
}

// imports imports a file of the folder testdata into the registry.
func (w *windows) imports(name string) {
	w.t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	must(w.t, err)
	w.importsText(name, data)
}

func (w *windows) importsText(name string, data []byte) {
	w.t.Helper()
	path, there := w.here(name)
	must(w.t, os.WriteFile(path, data, 0o644))
	w.does("reg", "import", there)
}

// self is the person whose programs run in the prefix, as a security
// identifier. Wine keeps the classes of theirs apart from what Windows would.
const self = "S-1-5-21-0-0-0-1000"

// settled makes of the prefix what Windows has, where Wine leaves it out: a
// hive of classes beside that of the person who is signed in.
func (w *windows) settled() {
	w.t.Helper()
	w.does("reg", "add", `HKU\`+self+`_Classes`, "/f")
}

// checks runs the agent's check, and returns its report.
func (w *windows) checks() posture.Report {
	w.t.Helper()
	a := w.tries(w.agent(), "check", "--json")
	return w.reads(a)
}

// reads reads the report that a check printed. Something is always not proven
// under Wine, which makes the status 1.
func (w *windows) reads(a answer) posture.Report {
	w.t.Helper()
	if a.status != 1 {
		w.t.Fatalf("check ended with %d, want 1: %s%s", a.status, a.stdout, a.stderr)
	}
	var r posture.Report
	must(w.t, json.Unmarshal([]byte(a.stdout), &r))
	return r
}

// results returns the results of a rule, each once.
func results(r posture.Report, rule string) []posture.Result {
	var all []posture.Result
	for _, f := range r.Findings {
		if f.Rule == rule {
			all = append(all, f.Result)
		}
	}
	return all
}

// hostname returns the name of the machine, which Wine takes over.
func hostname(t *testing.T) string {
	t.Helper()
	name, err := os.Hostname()
	must(t, err)
	name, _, _ = strings.Cut(name, ".")
	return name
}

// onLinux runs the agent for Linux and returns the report that it printed.
func onLinux(t *testing.T, args ...string) posture.Report {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), agentBinary(t), args...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		err = nil
	}
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, exit.Stderr)
	}
	var r posture.Report
	must(t, json.Unmarshal(out, &r))
	return r
}
