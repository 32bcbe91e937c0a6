package beds

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// wine is the one Windows under Wine of a run of the tests.
var wine struct {
	once    sync.Once
	scratch string // a folder that Windows sees at the same path
	missing string // why there is no such bed here
	err     error
	release func() // ends what runs in it
}

// windows is that Windows as one test has it: new, and empty.
type windows struct {
	t *testing.T
	// dir is a folder of the test's that Windows sees at the same path, on Z:.
	dir string
}

// newWindows gives a test a Windows of its own under Wine, or skips the test
// where there can be none.
func newWindows(t *testing.T) *windows {
	t.Helper()
	if os.Getenv("CARETAKER_BEDS") != "1" {
		t.Skip("this test needs Wine: run make beds")
	}
	wine.once.Do(startWine)
	if wine.missing != "" {
		if os.Getenv("CI") != "" {
			t.Fatalf("there is no Wine to test with: %s", wine.missing)
		}
		t.Skipf("there is no Wine to test with: %s", wine.missing)
	}
	must(t, wine.err)
	dir, err := os.MkdirTemp(wine.scratch, "t") // a short path, and open to anyone
	must(t, err)
	w := &windows{t: t, dir: dir}
	_, err = bed("fresh")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	w.holds()
	return w
}

// holds keeps Windows going until the test ends. Between two programs Wine
// would stop its services, and forget the hives of all but one person.
func (w *windows) holds() {
	w.t.Helper()
	cmd := exec.Command("./wine-bed.sh", "hold")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	must(w.t, cmd.Start())
	w.t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // it may have ended with the bed
		_ = cmd.Wait()
	})
	w.does("cmd", "/c", "ver")
}

// bed calls wine-bed.sh and returns what it printed.
func bed(args ...string) (string, error) {
	cmd := exec.Command("./wine-bed.sh", args...)
	var words bytes.Buffer
	cmd.Stderr = &words
	out, err := cmd.Output()
	if err != nil {
		err = errors.Join(err, errors.New(words.String()))
	}
	return string(out), err
}

func startWine() {
	why, err := bed("why")
	if wine.missing = strings.TrimSpace(why); wine.missing != "" || err != nil {
		wine.err = err
		return
	}
	if _, err := bed("setup"); err != nil {
		wine.missing = err.Error() // such as no way to fetch it
		return
	}
	tree, err := filepath.Abs("../../..")
	if err != nil {
		wine.err = err
		return
	}
	if wine.scratch, wine.err = os.MkdirTemp("", "wine"); wine.err != nil {
		return
	}
	wine.release = func() {
		_, err := bed("down")
		err = errors.Join(err, os.RemoveAll(wine.scratch))
		if err != nil {
			os.Stderr.WriteString("let go of Wine: " + err.Error() + "\n")
		}
	}
	if wine.err = os.Setenv("BED_SCRATCH", wine.scratch); wine.err == nil { // for every call of the bed
		_, wine.err = bed("up", tree)
	}
}

// command is a Windows program with its arguments, to be run.
func (w *windows) command(program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(w.t.Context(), "./wine-bed.sh", append([]string{"run", program}, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	return cmd
}

// answer is what a program that was run to its end gave.
type answer struct {
	stdout, stderr string
	status         int
}

// tries runs a program to its end. What it prints goes to files, not to pipes:
// what Wine starts beside it would keep those open.
func (w *windows) tries(program string, args ...string) answer {
	w.t.Helper()
	stdout, err := os.Create(filepath.Join(w.dir, "stdout"))
	must(w.t, err)
	stderr, err := os.Create(filepath.Join(w.dir, "stderr"))
	must(w.t, err)
	cmd := w.command(program, args...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err = cmd.Run()
	must(w.t, errors.Join(stdout.Close(), stderr.Close()))
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.t.Fatalf("run %s: %v", program, err)
	}
	return answer{printed(w.t, stdout.Name()), printed(w.t, stderr.Name()), cmd.ProcessState.ExitCode()}
}

func printed(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	must(t, err)
	return strings.ReplaceAll(string(data), "\r\n", "\n")
}

// does runs a program that must succeed, and returns what it printed.
func (w *windows) does(program string, args ...string) string {
	w.t.Helper()
	a := w.tries(program, args...)
	if a.status != 0 {
		w.t.Fatalf("%s %s ended with %d: %s%s", program, strings.Join(args, " "), a.status, a.stdout, a.stderr)
	}
	return a.stdout
}

// bedRoot is the folder that is / in the bed.
func bedRoot() string {
	dir := os.Getenv("BED_WINE")
	if dir == "" {
		dir = "/var/cache/caretaker-wine"
	}
	return filepath.Join(dir, "root")
}

// drive returns where on this machine a path of C: lies: `users\pupil`.
func (w *windows) drive(path string) string {
	return filepath.Join(bedRoot(), "root/windows/drive_c", filepath.FromSlash(strings.ReplaceAll(path, `\`, "/")))
}

func abs(t *testing.T, name string) string {
	t.Helper()
	path, err := os.Getwd()
	must(t, err)
	return filepath.Join(path, name)
}
