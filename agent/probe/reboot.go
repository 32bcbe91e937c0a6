package probe

import (
	"context"
	"io/fs"
	"strconv"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// rebootDue reports whether an update waits for a restart: the system says so,
// or a newer kernel of the same kind is installed than the one that runs. A
// "no" is only said where the kernel that runs is among those installed.
func rebootDue(ctx context.Context, sys system.Reader) posture.Reading[bool] {
	said, err := anyExists(ctx, sys, "/run/reboot-required", "/var/run/reboot-required")
	if err != nil {
		return absentFor[bool](err)
	}
	if said {
		return posture.Read(true)
	}
	running, err := firstLine(ctx, sys, "/proc/sys/kernel/osrelease")
	if err != nil {
		return absentFor[bool](err)
	}
	modules, err := entries(ctx, sys, "/lib/modules")
	if err != nil {
		return absentFor[bool](err)
	}
	found := false
	for _, m := range modules {
		if m.Type != fs.ModeDir || kernelFlavour(m.Name) != kernelFlavour(running) {
			continue
		}
		if m.Name == running {
			found = true
			continue
		}
		if compareVersions(m.Name, running) > 0 {
			// A removed kernel leaves its folder behind if somebody built
			// modules for it: only one that can start counts.
			starts, err := anyExists(ctx, sys, "/boot/vmlinuz-"+m.Name, "/lib/modules/"+m.Name+"/vmlinuz")
			if err != nil {
				return absentFor[bool](err)
			}
			if starts {
				return posture.Read(true)
			}
		}
	}
	if !found {
		return unsupported[bool]() // a container, or a kernel of its own making
	}
	return rebootAdvised(ctx, sys)
}

// rebootAdvised asks needs-restarting where there is one: status 1 means yes.
func rebootAdvised(ctx context.Context, sys system.Reader) posture.Reading[bool] {
	out, err := sys.Run(ctx, system.RebootNeeded)
	switch {
	case missing(err):
		return posture.Read(false)
	case err != nil:
		return absentFor[bool](err)
	case out.Exit == 0:
		return posture.Read(false)
	case out.Exit == 1 && strings.Contains(strings.ToLower(firstBytes(out.Stdout, lineLimit)), "reboot"):
		return posture.Read(true)
	}
	return posture.Unread[bool](posture.Unreadable)
}

// kernelFlavour is the kernel's release without its numbers, such as
// "-amd64" of "6.1.0-30-amd64": kernels of one kind replace one another.
func kernelFlavour(release string) string {
	if i := strings.LastIndexByte(release, '-'); i >= 0 && !startsWithDigit(release[i+1:]) {
		return release[i:]
	}
	if i := strings.LastIndex(release, ".fc"); i >= 0 {
		return ".fc"
	}
	if i := strings.LastIndex(release, ".el"); i >= 0 {
		return ".el"
	}
	return ""
}

func startsWithDigit(s string) bool { return s != "" && s[0] >= '0' && s[0] <= '9' }

// compareVersions compares runs of digits as numbers and the rest as text.
func compareVersions(a, b string) int {
	for a != "" && b != "" {
		na, ra := leadingRun(a)
		nb, rb := leadingRun(b)
		if startsWithDigit(na) && startsWithDigit(nb) {
			x, errX := strconv.ParseUint(na, 10, 64)
			y, errY := strconv.ParseUint(nb, 10, 64)
			switch {
			case errX == nil && errY == nil && x < y:
				return -1
			case errX == nil && errY == nil && x > y:
				return 1
			}
		} else if c := strings.Compare(na, nb); c != 0 {
			return c
		}
		a, b = ra, rb
	}
	return len(a) - len(b)
}

func leadingRun(s string) (run, rest string) {
	digit := startsWithDigit(s)
	for i := range len(s) {
		if startsWithDigit(s[i:]) != digit {
			return s[:i], s[i:]
		}
	}
	return s, ""
}
