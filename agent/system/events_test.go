package system

import (
	"strings"
	"testing"
)

const (
	// Captured on Debian 12.
	loopChanged = "change@/devices/virtual/block/loop0\x00ACTION=change\x00DEVPATH=/devices/virtual/block/loop0\x00SUBSYSTEM=block\x00SYNTH_UUID=0\x00MAJOR=7\x00MINOR=0\x00DEVNAME=loop0\x00DEVTYPE=disk\x00DISKSEQ=12\x00SEQNUM=864\x00"
	stickAdded  = "add@/devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block/sdb/sdb1\x00ACTION=add\x00DEVPATH=/devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block/sdb/sdb1\x00SUBSYSTEM=block\x00DEVNAME=sdb1\x00DEVTYPE=partition\x00PARTN=1\x00"
)

func TestParseUevent(t *testing.T) {
	for _, c := range []struct {
		message string
		want    Event
		ok      bool
	}{
		{loopChanged, Event{Changed, "/devices/virtual/block/loop0", "loop0", true}, true},
		{stickAdded, Event{Added, "/devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block/sdb/sdb1", "sdb1", false}, true},
		{strings.ReplaceAll(strings.ReplaceAll(stickAdded, "add@", "remove@"), "=add", "=remove"), Event{Removed, "/devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block/sdb/sdb1", "sdb1", false}, true},
		{strings.ReplaceAll(stickAdded, "SUBSYSTEM=block", "SUBSYSTEM=usb"), Event{}, false},
		{strings.ReplaceAll(stickAdded, "DEVNAME=sdb1", "DEVNAME="), Event{}, false},
		{strings.ReplaceAll(stickAdded, "add@", "remove@"), Event{}, false},
		{stickAdded + "DEVPATH=/devices/virtual/block/loop0\x00", Event{}, false},
		{"libudev\x00" + stickAdded, Event{}, false},
		{"", Event{}, false},
		{stickAdded + strings.Repeat("A=b\x00", maxUevent), Event{}, false},
	} {
		got, ok := parseUevent([]byte(c.message))
		if got != c.want || ok != c.ok {
			t.Errorf("parseUevent(%q): got %+v, %v; want %+v, %v", c.message, got, ok, c.want, c.ok)
		}
	}
}

func FuzzUevent(f *testing.F) {
	f.Add([]byte(loopChanged))
	f.Add([]byte(stickAdded))
	f.Fuzz(func(t *testing.T, message []byte) {
		e, ok := parseUevent(message)
		if ok && (e.Device == "" || e.Name == "" || e.Action == Overrun) {
			t.Errorf("%q is taken for %+v", message, e)
		}
		if !ok && e != (Event{}) {
			t.Errorf("%q is refused with %+v", message, e)
		}
	})
}
