package system

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// Action is what happened to a block device.
type Action string

// What can happen. The kernel's other words (change, bind, move …) are kept as
// Changed: they say that it is worth looking again.
const (
	Added   Action = "add"
	Removed Action = "remove"
	Changed Action = "change"
	// Overrun means that events were lost, or that the stream begins: whoever
	// listens looks at everything again.
	Overrun Action = "overrun"
)

// Event is a change to a disk or a partition, as the system told it. It is a
// reason to look, never a fact by itself.
type Event struct {
	Action Action
	// Device is a path below /sys, such as "/devices/…/block/sdb/sdb1", or on
	// Windows the symbolic link of a device interface. That holds the serial
	// number: it is not for logs. It is "" for Overrun.
	Device string
	Name   string // "sdb1"; "" where the system gives no such name
	Whole  bool   // a whole disk, not a partition
	// Untold says, with the first Overrun, why the system does not tell of
	// changes, so that they are looked for every minute; nil if it tells.
	Untold error
}

// lookEvery is how often disks are looked for where the system does not tell.
const lookEvery = time.Minute

// lookForDisks stands in for a system that does not tell of changes: it calls
// handle with an Overrun now, and whenever a list of what there is differs
// from the one before, until the context ends. A list that cannot be read
// differs from every other.
func lookForDisks(ctx context.Context, untold error, list func() ([]string, error), handle func(Event)) {
	before, failed := list()
	handle(Event{Action: Overrun, Untold: untold})
	for {
		if !rest(ctx, lookEvery) {
			return
		}
		now, err := list()
		if err != nil || failed != nil || !slices.Equal(before, now) {
			handle(Event{Action: Overrun})
		}
		before, failed = now, err
	}
}

// rest waits for a time, and reports false if the context ended first.
func rest(ctx context.Context, d time.Duration) bool {
	over, stop := context.WithTimeout(ctx, d)
	defer stop()
	<-over.Done()
	return ctx.Err() == nil
}

// diskNames returns the nodes of disks and partitions (disk4, disk4s1) among
// the names in macOS's /dev, sorted.
func diskNames(names []string) []string {
	var list []string
	for _, name := range names {
		if number, ok := strings.CutPrefix(name, "disk"); ok && number != "" && strings.Trim(number, "0123456789s") == "" {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// maxLink bounds the symbolic link of a device interface, in UTF-16 units.
const maxLink = 1 << 10

// interfaceEvent makes an event of what Windows tells about a device
// interface: action 0 for one that came and 1 for one that went. It reports
// false for what it cannot understand.
func interfaceEvent(action uint32, whole bool, link []uint16) (Event, bool) {
	e := Event{Whole: whole}
	switch action {
	case 0:
		e.Action = Added
	case 1:
		e.Action = Removed
	default:
		return Event{}, false
	}
	end := slices.Index(link, 0)
	if end <= 0 || end > maxLink {
		return Event{}, false
	}
	e.Device = string(utf16.Decode(link[:end]))
	return e, true
}

// maxUevent is the kernel's own bound (UEVENT_BUFFER_SIZE) with room to spare.
const maxUevent = 8 << 10

// parseUevent parses a message of the kernel's uevent stream. It reports false
// for what is not about a block device and for what it cannot understand.
func parseUevent(message []byte) (Event, bool) {
	if len(message) > maxUevent || !utf8.Valid(message) {
		return Event{}, false
	}
	head, rest, _ := bytes.Cut(message, []byte{0})
	// "libudev\0…" is a message between processes, not one of the kernel.
	if !bytes.Contains(head, []byte("@/")) {
		return Event{}, false
	}
	field := map[string]string{}
	for pair := range bytes.SplitSeq(rest, []byte{0}) {
		if key, value, ok := strings.Cut(string(pair), "="); ok {
			if _, twice := field[key]; twice {
				return Event{}, false
			}
			field[key] = value
		}
	}
	device, name := field["DEVPATH"], field["DEVNAME"]
	if field["SUBSYSTEM"] != "block" || !strings.HasPrefix(device, "/devices/") || name == "" ||
		string(head) != field["ACTION"]+"@"+device {
		return Event{}, false
	}
	e := Event{Device: device, Name: name, Whole: field["DEVTYPE"] == "disk"}
	switch field["ACTION"] {
	case "add":
		e.Action = Added
	case "remove":
		e.Action = Removed
	default:
		e.Action = Changed
	}
	return e, true
}
