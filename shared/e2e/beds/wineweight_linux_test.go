package beds

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf16"

	"golang.org/x/sys/unix"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// What the laptop has whose assessment is measured.
const (
	weighedPrograms    = 300
	weighedExecutables = 2000
)

// TestWeightUnderWine measures, as a guide: what the agent takes on Windows is
// for Windows to tell. It fails if a figure cannot be had, or a child stays.
func TestWeightUnderWine(t *testing.T) {
	w := newWindows(t)
	cannot(t, "what the agent weighs on Windows: Wine's own part of each process counts here, and its kernel is this machine's")
	w.settled()
	w.loads()
	before := w.server()
	took := w.counts(w.agent(), "check", "--json")
	server := w.server() - before
	var r posture.Report
	must(t, json.Unmarshal([]byte(took.stdout), &r))
	if len(r.Facts.Programs.Items) < weighedPrograms || len(r.Facts.Executables.Items) != weighedExecutables {
		t.Errorf("it lists %d programs and %d executables, want %d and %d", len(r.Facts.Programs.Items), len(r.Facts.Executables.Items), weighedPrograms, weighedExecutables)
	}
	t.Logf("weight: a full assessment of %d programs and %d executables, none known: %.2f s of processor time, and %.2f s in the server that stands for Windows' kernel; its processes, as they ended, %v",
		weighedPrograms, weighedExecutables, took.all().Seconds(), server.Seconds(), took.CPU)
	t.Logf("weight: the largest of its processes had %.1f MiB resident", float64(took.Peak)/(1<<20))

	h := w.newHost()
	w.enrols(h)
	w.runs(h)
	h.until("the first report", func() bool { return h.shown().LastReport > 0 })
	var left []int
	h.until("the children are gone", func() bool { left = w.agents(); return len(left) == 1 })
	resident, private := memory(t, left[0])
	t.Logf("weight: at rest the agent has %.1f MiB resident, of which %.1f MiB are its own", float64(resident)/(1<<20), float64(private)/(1<<20))
	if file := os.Getenv("CARETAKER_WEIGHT"); file != "" { // of make bench
		var each []float64
		for _, t := range took.CPU {
			each = append(each, t.Seconds())
		}
		must(t, os.WriteFile(file, []byte(jsonOf(t, map[string]any{
			"assessment": took.all().Seconds(), "processes": each, "server": server.Seconds(),
			"peak": took.Peak, "resident": resident, "private": private,
		})), 0o644))
	}
}

// loads gives Windows the programs and executables that are weighed.
func (w *windows) loads() {
	w.t.Helper()
	var text strings.Builder
	text.WriteString("Windows Registry Editor Version 5.00\r\n")
	for n := range weighedPrograms {
		fmt.Fprintf(&text, "\r\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Uninstall\\{%08X-0000-4000-8000-000000000000}]\r\n", n)
		fmt.Fprintf(&text, "\"DisplayName\"=\"Lesson %d\"\r\n\"DisplayVersion\"=\"1.%d\"\r\n\"Publisher\"=\"Hollybank Learning\"\r\n", n, n)
	}
	file := []byte{0xFF, 0xFE}
	for _, unit := range utf16.Encode([]rune(text.String())) {
		file = append(file, byte(unit), byte(unit>>8))
	}
	w.importsText("programs.reg", file)

	// A small one of Windows' own, each with a few bytes more, to whole blocks
	// as Windows' linkers make them.
	program, err := os.ReadFile(w.drive(`windows\system32\hostname.exe`))
	must(w.t, err)
	program = append(program, make([]byte, 512-(len(program)+8)%512)...)
	for n := range weighedExecutables {
		dir := w.drive(`users\root\Downloads\folder ` + strconv.Itoa(n%40))
		must(w.t, os.MkdirAll(dir, 0o755))
		must(w.t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("lesson%d.exe", n)), fmt.Appendf(bytes.Clone(program), "%08d", n), 0o755))
	}
	w.t.Logf("each of the %d executables has %d bytes", weighedExecutables, len(program)+8)
}

// weighed is what a program and all that it started took.
type weighed struct {
	stdout string
	Peak   int64           // bytes that the largest had resident
	CPU    []time.Duration // of each process, in the order in which they ended
}

// all is the processor time of all processes.
func (w weighed) all() (sum time.Duration) {
	for _, t := range w.CPU {
		sum += t
	}
	return sum
}

// counts runs a Windows program to its end and counts what it and its children
// took. Wine's processes leave their parents: they become the children of a
// process of this test that waits for all of them.
func (w *windows) counts(program string, args ...string) weighed {
	w.t.Helper()
	counted, _ := w.here("counted")
	stdout, err := os.Create(filepath.Join(w.dir, "stdout"))
	must(w.t, err)
	self, err := os.Executable()
	must(w.t, err)
	cmd := exec.CommandContext(w.t.Context(), self, append([]string{"./wine-bed.sh", "run", program}, args...)...)
	cmd.Env = append(os.Environ(), countTo+"="+counted)
	cmd.Stdout = stdout
	cmd.Stderr = os.Stderr
	must(w.t, errors.Join(cmd.Run(), stdout.Close()))
	data, err := os.ReadFile(counted)
	must(w.t, err)
	var took weighed
	must(w.t, json.Unmarshal(data, &took))
	took.stdout = printed(w.t, stdout.Name())
	return took
}

// countTo names the variable with which this program counts for itself what
// another takes: the value is the file to write it to.
const countTo = "CARETAKER_BED_COUNTS"

// count runs a program, waits for it and for all that it leaves, and writes
// what they took.
func count(to string, command []string) error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become the parent of what is left: %w", err)
	}
	path, err := exec.LookPath(command[0])
	if err != nil {
		return err
	}
	if _, err := os.StartProcess(path, command, &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}}); err != nil {
		return err
	}
	var took weighed
	for {
		var usage syscall.Rusage
		_, err := syscall.Wait4(-1, nil, 0, &usage)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.ECHILD):
			data, err := json.Marshal(took)
			return errors.Join(err, os.WriteFile(to, data, 0o644))
		case err != nil:
			return err
		default:
			took.CPU = append(took.CPU, time.Duration(usage.Utime.Nano()+usage.Stime.Nano()))
			took.Peak = max(took.Peak, usage.Maxrss<<10)
		}
	}
}

// server returns the processor time that Wine's server took so far.
func (w *windows) server() time.Duration {
	w.t.Helper()
	folders, err := filepath.Glob("/proc/[0-9]*")
	must(w.t, err)
	for _, folder := range folders {
		root, err := os.Readlink(filepath.Join(folder, "root"))
		name, nameErr := os.ReadFile(filepath.Join(folder, "comm"))
		if err != nil || nameErr != nil || root != bedRoot() || !strings.HasPrefix(string(name), "wineserver") {
			continue
		}
		stat, err := os.ReadFile(filepath.Join(folder, "stat"))
		must(w.t, err)
		rest := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		user, userErr := strconv.Atoi(rest[11])
		system, systemErr := strconv.Atoi(rest[12])
		must(w.t, errors.Join(userErr, systemErr))
		return time.Duration(user+system) * 10 * time.Millisecond
	}
	w.t.Fatal("Wine's server does not run")
	return 0
}
