package system

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// booter is a Reader of a system that tells of its start other than by files.
type booter interface {
	boot(ctx context.Context) (id string, uptime time.Duration, err error)
}

// Boot returns what tells this start of a machine from every other, and how
// long ago it was, sleep included. Setting the machine's clock changes neither.
// On Linux the identifier is the kernel's random one for this boot; nowhere
// does it say anything about the machine.
func Boot(ctx context.Context, r Reader) (id string, uptime time.Duration, err error) {
	if b, ok := r.(booter); ok {
		return b.boot(ctx)
	}
	raw, err := r.File(ctx, "/proc/sys/kernel/random/boot_id", 256)
	if err != nil {
		return "", 0, fmt.Errorf("read which boot this is: %w", err)
	}
	if id, err = parseBootID(string(raw)); err != nil {
		return "", 0, err
	}
	raw, err = r.File(ctx, "/proc/uptime", 256)
	if err != nil {
		return "", 0, fmt.Errorf("read how long the machine is up: %w", err)
	}
	if uptime, err = parseUptime(string(raw)); err != nil {
		return "", 0, err
	}
	return id, uptime, nil
}

func parseBootID(text string) (string, error) {
	id := strings.TrimSuffix(text, "\n")
	if len(id) != 36 || strings.Trim(id, "0123456789abcdef-") != "" {
		return "", fmt.Errorf("read which boot this is: %.60q is not a boot identifier", text)
	}
	return id, nil
}

// maxUptime is more than any machine stays up.
const maxUptime = 100 * 365 * 24 * 3600

// parseUptime parses the first number of /proc/uptime: seconds with two digits
// behind the point.
func parseUptime(text string) (time.Duration, error) {
	first, _, _ := strings.Cut(text, " ")
	seconds, err := strconv.ParseFloat(strings.TrimSpace(first), 64)
	if err != nil || !(seconds >= 0 && seconds < maxUptime) {
		return 0, fmt.Errorf("read how long the machine is up: %.60q is not a number of seconds", text)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}
