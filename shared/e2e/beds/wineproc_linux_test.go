package beds

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// processesNamed returns the numbers of the processes under Wine whose program
// has a name that begins so: each is a process of this machine.
func processesNamed(t *testing.T, name string) []int {
	t.Helper()
	folders, err := filepath.Glob("/proc/[0-9]*")
	must(t, err)
	var found []int
	for _, folder := range folders {
		line, err := os.ReadFile(filepath.Join(folder, "cmdline"))
		if errors.Is(err, fs.ErrNotExist) || isGone(err) {
			continue
		}
		must(t, err)
		if root, err := os.Readlink(filepath.Join(folder, "root")); err != nil || root != bedRoot() {
			continue // it is not in the bed, or it ended
		}
		program, _, _ := strings.Cut(string(line), "\x00")
		program = program[strings.LastIndexAny(program, `\/`)+1:]
		if !strings.HasPrefix(program, name) || !strings.HasSuffix(program, ".exe") {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(folder))
		must(t, err)
		found = append(found, pid)
	}
	return found
}

// isGone reports whether a process ended while it was looked at.
func isGone(err error) bool { return err != nil && strings.Contains(err.Error(), "no such process") }

// memory returns what a process has resident, and of that what it shares with
// no other, in bytes.
func memory(t *testing.T, pid int) (resident, private int64) {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	must(t, err)
	for line := range strings.Lines(string(data)) {
		name, rest, _ := strings.Cut(line, ":")
		fields := strings.Fields(rest)
		if len(fields) == 0 {
			continue
		}
		kilobytes, err := strconv.ParseInt(fields[0], 10, 64)
		if err != nil {
			continue // the first line is a range of addresses
		}
		switch name {
		case "Rss":
			resident = kilobytes << 10
		case "Private_Clean", "Private_Dirty":
			private += kilobytes << 10
		}
	}
	return resident, private
}
