package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit in which /proc tells processor time, on every Linux that
// an agent is built for.
const tick = 10 * time.Millisecond

// resident returns the memory that a process has resident, in bytes.
func resident(pid int) (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	kilobytes, err := statusField(string(data), "VmRSS")
	return kilobytes * 1024, err
}

// switches returns how often the threads of a process gave up the processor
// or were taken off it.
func switches(pid int) (float64, error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(threads) == 0 {
		return 0, errors.Join(fmt.Errorf("find the threads of process %d", pid), err)
	}
	var sum float64
	for _, name := range threads {
		data, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) {
			continue // it ended
		}
		if err != nil {
			return 0, fmt.Errorf("read the threads of process %d: %w", pid, err)
		}
		for _, field := range []string{"voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"} {
			n, err := statusField(string(data), field)
			if err != nil {
				return 0, err
			}
			sum += n
		}
	}
	return sum, nil
}

// statusField returns a number of /proc/PID/status.
func statusField(status, name string) (float64, error) {
	for line := range strings.Lines(status) {
		rest, ok := strings.CutPrefix(line, name+":")
		if !ok {
			continue
		}
		field := strings.Fields(rest)
		if len(field) == 0 {
			break
		}
		n, err := strconv.ParseFloat(field[0], 64)
		if err != nil {
			return 0, fmt.Errorf("read %s of a process: %w", name, err)
		}
		return n, nil
	}
	return 0, fmt.Errorf("read %s of a process: it is not there", name)
}

// processorTime returns the processor time of a process and of those of its
// children that have ended.
func processorTime(pid int) (own, children time.Duration, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, fmt.Errorf("read the processor time of process %d: %w", pid, err)
	}
	return statTimes(string(data))
}

// statTimes reads utime, stime, cutime and cstime of /proc/PID/stat.
func statTimes(stat string) (own, children time.Duration, err error) {
	const user, fields = 11, 15 // counted from what follows the name
	end := strings.LastIndexByte(stat, ')')
	rest := strings.Fields(stat[end+1:])
	if end < 0 || len(rest) < fields {
		return 0, 0, errors.New("read a process's times: it has too few fields")
	}
	var times [4]time.Duration
	for i := range times {
		n, err := strconv.ParseInt(rest[user+i], 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("read a process's times: %w", err)
		}
		times[i] = time.Duration(n) * tick
	}
	return times[0] + times[1], times[2] + times[3], nil
}
