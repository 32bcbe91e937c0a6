package system

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf16"
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
		{loopChanged, Event{Action: Changed, Device: "/devices/virtual/block/loop0", Name: "loop0", Whole: true}, true},
		{stickAdded, Event{Action: Added, Device: "/devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block/sdb/sdb1", Name: "sdb1"}, true},
		{strings.ReplaceAll(strings.ReplaceAll(stickAdded, "add@", "remove@"), "=add", "=remove"), Event{Action: Removed, Device: "/devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block/sdb/sdb1", Name: "sdb1"}, true},
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

func TestDiskNames(t *testing.T) {
	got := diskNames([]string{"disk4s1", "rdisk4", "null", "disk0", "disk", "disk10s2s1", "diskarbitration"})
	if want := []string{"disk0", "disk10s2s1", "disk4s1"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// As Windows names the interface of a stick.
const stickLink = `\\?\USBSTOR#Disk&Ven_SanDisk&Prod_Cruzer_Blade&Rev_1.00#00000000000000000000&0#{53f56307-b6bf-11d0-94f2-00a0c91efb8b}`

func TestInterfaceEvent(t *testing.T) {
	link := append(utf16.Encode([]rune(stickLink)), 0, 'x')
	for _, c := range []struct {
		action uint32
		link   []uint16
		want   Event
		ok     bool
	}{
		{0, link, Event{Action: Added, Device: stickLink, Whole: true}, true},
		{1, link, Event{Action: Removed, Device: stickLink, Whole: true}, true},
		{2, link, Event{}, false},
		{0, link[:len(link)-2], Event{}, false}, // without an end
		{0, []uint16{0}, Event{}, false},
		{0, nil, Event{}, false},
		{0, append(slices.Repeat([]uint16{'x'}, maxLink+1), 0), Event{}, false},
		{0, []uint16{0xd800, 0}, Event{Action: Added, Device: "\uFFFD", Whole: true}, true},
	} {
		got, ok := interfaceEvent(c.action, true, c.link)
		if got != c.want || ok != c.ok {
			t.Errorf("interfaceEvent(%d, %v): got %+v, %v; want %+v, %v", c.action, c.link, got, ok, c.want, c.ok)
		}
	}
}

func FuzzInterfaceEvent(f *testing.F) {
	f.Add(uint32(0), true, "\\\\?\\x\x00")
	f.Fuzz(func(t *testing.T, action uint32, whole bool, link string) {
		e, ok := interfaceEvent(action, whole, utf16.Encode([]rune(link)))
		if ok == (e == Event{}) || ok && (e.Device == "" || e.Action == Overrun) {
			t.Errorf("%d, %q: got %+v, %v", action, link, e, ok)
		}
	})
}

// TestDisksAreLookedForWhereNobodyTells says once why, and then only tells
// when there is something else, or nothing is known.
func TestDisksAreLookedForWhereNobodyTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		untold := errors.New("not here")
		steps := []struct {
			list   []string
			failed error
			want   []Event
		}{
			{nil, nil, []Event{{Action: Overrun, Untold: untold}}},
			{nil, nil, nil},
			{[]string{"a"}, nil, []Event{{Action: Overrun}}},
			{[]string{"a"}, nil, nil},
			{[]string{"b"}, nil, []Event{{Action: Overrun}}},
			{nil, untold, []Event{{Action: Overrun}}},
			{nil, untold, []Event{{Action: Overrun}}},
			{[]string{"b"}, nil, []Event{{Action: Overrun}}},
			{[]string{"b"}, nil, nil},
		}
		told := make(chan Event, 10)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			looked := 0
			lookForDisks(ctx, untold, func() ([]string, error) {
				looked++
				return steps[looked-1].list, steps[looked-1].failed
			}, func(e Event) { told <- e })
		}()
		for i, step := range steps {
			if i > 0 {
				time.Sleep(lookEvery)
			}
			synctest.Wait()
			var got []Event
			for range len(told) {
				got = append(got, <-told)
			}
			if !slices.Equal(got, step.want) {
				t.Errorf("step %d: got %+v, want %+v", i, got, step.want)
			}
		}
		cancel()
		<-ended
	})
}
