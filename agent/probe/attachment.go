package probe

import (
	"context"
	"path"
	"strings"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// attachment is how a disk is attached to the machine, if it can be pulled
// out.
type attachment struct {
	bus    string // "" for a disk that is built in
	usb    string // sysfs folder of the USB device it is on, or ""
	kind   posture.MediumKind
	absent posture.Absence // why that could not be told, or None
}

// attachment tells removable and hot-plugged disks from built-in ones by the
// way to them through sysfs. The attribute "removable" of a disk does not: a
// USB hard disk says no, and a built-in one in a bay may say yes.
func (s *survey) attachment(ctx context.Context, d *device) attachment {
	a := attachment{kind: posture.DiskMedium, absent: posture.None}
	if d.kind() != physicalDevice {
		return a
	}
	parts := strings.Split(d.path, "/")
	for i, p := range parts {
		switch {
		case a.usb == "" && isNumbered(p, "usb"):
			a.bus = "usb"
			a.usb = usbFolder(parts, i)
		case isNumbered(p, "fw"):
			a.bus = "firewire"
		}
	}
	switch {
	case strings.HasPrefix(d.name, "sr"):
		a.kind = posture.OpticalMedium
		if a.bus == "" {
			a.bus = "optical"
		}
		return a
	case a.bus != "", strings.HasPrefix(d.name, "fd"):
		return a
	case strings.HasPrefix(d.name, "mmcblk"):
		return s.cardAttachment(ctx, d, a)
	}
	return s.hotPlugged(ctx, d, a)
}

// usbFolder returns the folder of the USB device in a path: the last element
// of the form 2-1.4 after the bus.
func usbFolder(parts []string, bus int) string {
	last := bus
	for i := bus + 1; i < len(parts); i++ {
		p := parts[i]
		if p == "" || p[0] < '0' || p[0] > '9' || strings.Contains(p, ":") || !strings.Contains(p, "-") {
			break
		}
		last = i
	}
	return strings.Join(parts[:last+1], "/")
}

// isNumbered reports whether an element of a path is a prefix and digits.
func isNumbered(element, prefix string) bool {
	digits, ok := strings.CutPrefix(element, prefix)
	return ok && digits != "" && strings.Trim(digits, "0123456789") == ""
}

// cardAttachment tells a memory card, which says SD, from soldered flash,
// which says MMC.
func (s *survey) cardAttachment(ctx context.Context, d *device, a attachment) attachment {
	kind := readAttribute(ctx, s.sys, d.path+"/device/type")
	if !kind.there {
		// A path may end at the card without the link "device".
		kind = readAttribute(ctx, s.sys, path.Dir(path.Dir(d.path))+"/type")
	}
	switch {
	case kind.absent != posture.None:
		a.absent = kind.absent
	case !kind.there:
		a.absent = posture.Unreadable
	case kind.value == "SD", kind.value == "SDIO", kind.value == "SDcombo":
		a.bus, a.kind = "sd", posture.CardMedium
	}
	return a
}

// hotPlugged looks whether the disk hangs on a PCI device that the firmware
// calls removable, as it does of Thunderbolt and USB4 ports.
func (s *survey) hotPlugged(ctx context.Context, d *device, a attachment) attachment {
	for dir := path.Dir(d.path); strings.Contains(dir, "/pci"); dir = path.Dir(dir) {
		if !isPCIAddress(path.Base(dir)) {
			continue
		}
		switch r := readAttribute(ctx, s.sys, dir+"/removable"); {
		case r.absent != posture.None:
			a.absent = r.absent
		case r.value == "removable":
			a.bus, a.absent = "thunderbolt", posture.None
			return a
		}
	}
	return a
}

// isPCIAddress reports whether an element of a path is like 0000:00:1f.2.
func isPCIAddress(element string) bool {
	return len(element) >= 12 && strings.Count(element, ":") == 2 && strings.Contains(element, ".") &&
		strings.Trim(element, "0123456789abcdef:.") == ""
}
