package system

import (
	"bytes"
	"strings"
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

// Event is a change to a disk or a partition, as the kernel told it. It is a
// reason to look, never a fact by itself.
type Event struct {
	Action Action
	Device string // path below /sys, such as "/devices/…/block/sdb/sdb1"; "" for Overrun
	Name   string // "sdb1"
	Whole  bool   // a whole disk, not a partition
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
