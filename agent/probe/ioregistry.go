package probe

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// storageDevice is a whole disk of a Mac, by what macOS' registry of devices
// says about the device it is in.
type storageDevice struct {
	name            string // "disk4"
	class           string // of the medium, such as "IOMedia" or "IODVDMedia"
	bytes           posture.Reading[int64]
	writable        posture.Reading[bool]
	removable       bool
	interconnect    string // "USB", "Secure Digital", "Apple Fabric", "Virtual Interface" …
	location        string // "Internal", "External", "File"
	vendor, product string
	serial          string
}

const registryChildren = "IORegistryEntryChildren"

// readStorage lists the whole disks that are attached. A reader without a
// medium is a device without a disk.
func readStorage(ctx context.Context, sys system.Reader) ([]storageDevice, error) {
	out, err := sys.Run(ctx, system.IORegStorage)
	if err != nil {
		return nil, err
	}
	return parseStorage(out.Stdout)
}

func parseStorage(data []byte) ([]storageDevice, error) {
	roots, err := parsePlists(data)
	if err != nil {
		return nil, err
	}
	var devices []storageDevice
	for _, root := range roots {
		protocol, _ := root["Protocol Characteristics"].(dictionary)
		made, _ := root["Device Characteristics"].(dictionary)
		media, err := wholeMedia(root, 0)
		if err != nil {
			return nil, err
		}
		for _, m := range media {
			devices = append(devices, storageDevice{
				name: m.text("BSD Name"), class: m.text("IOObjectClass"), bytes: valueOf[int64](m, "Size"), writable: m.flag("Writable"),
				removable: m.is("Removable"), interconnect: protocol.text("Physical Interconnect"), location: protocol.text("Physical Interconnect Location"),
				vendor: made.text("Vendor Name"), product: made.text("Product Name"), serial: made.text("Serial Number"),
			})
		}
	}
	if len(devices) == 0 {
		return nil, errPlist // there is always the disk that the Mac started from
	}
	return devices, nil
}

// wholeMedia returns the whole disks directly in a device: not those that were
// made of their partitions.
func wholeMedia(d dictionary, depth int) ([]dictionary, error) {
	children, err := d.list(registryChildren)
	if err != nil || depth > deepest {
		return nil, errPlist
	}
	var found []dictionary
	for _, c := range children {
		if c.text("BSD Name") != "" && c.is("Whole") {
			found = append(found, c)
			continue
		}
		deeper, err := wholeMedia(c, depth+1)
		if err != nil {
			return nil, err
		}
		found = append(found, deeper...)
	}
	return found, nil
}

// attached says how the disk is attached, in the words of attachment.
func (s storageDevice) attached() attachment {
	a := attachment{kind: posture.DiskMedium, absent: posture.None}
	switch {
	case s.interconnect == "Virtual Interface" && s.location == "File":
		return a // a disk image: a file on another disk
	case s.interconnect == "USB":
		a.bus = "usb"
		if s.location == "Internal" {
			a.kind = posture.CardMedium // the card reader of an older Mac
		}
	case s.interconnect == "Secure Digital":
		a.bus, a.kind = "sd", posture.CardMedium
	case s.interconnect == "FireWire":
		a.bus = "firewire"
	case s.location == "External" && slices.Contains([]string{"PCI", "PCI-Express", "SATA", "AHCI", "NVMe", "Thunderbolt"}, s.interconnect):
		a.bus = "thunderbolt"
	case s.location == "External", s.location == "Internal/External":
		a.bus = "other"
	case s.location == "Internal" && s.removable:
		a.bus = "other"
	case s.location != "Internal":
		a.absent = posture.Unreadable
	}
	if s.class == "IOCDMedia" || s.class == "IODVDMedia" || s.class == "IOBDMedia" {
		a.kind = posture.OpticalMedium
		if a.bus == "" || a.bus == "other" {
			a.bus, a.absent = "optical", posture.None
		}
	}
	return a
}

// image reports whether it is a disk image.
func (s storageDevice) image() bool {
	return s.interconnect == "Virtual Interface" && s.location == "File"
}

// usbDevice is a device on a USB port of a Mac.
type usbDevice struct {
	vendorID, productID string
	vendor, product     string
	serial              string
	disks               []string // names of the whole disks in it
	files               bool     // it offers files over PTP or MTP: a phone or a camera
}

// readUSB lists the devices on USB ports. Unlike system_profiler, whose tree
// lost the names of disks with macOS 26, the registry has had the same shape
// for many years. Where there is nothing to list it prints nothing; that this
// is so, a second, shorter list says, which is never empty.
func readUSB(ctx context.Context, sys system.Reader) ([]usbDevice, error) {
	out, err := sys.Run(ctx, system.IORegUSBPorts)
	if err != nil {
		return nil, err
	}
	ports, err := parsePlist(out.Stdout)
	if err != nil {
		return nil, err
	}
	want, err := countUSB(ports, 0)
	if err != nil {
		return nil, err
	}
	if out, err = sys.Run(ctx, system.IORegUSB); err != nil {
		return nil, err
	}
	devices, err := parseUSB(out.Stdout)
	if err == nil && len(devices) < want {
		err = errPlist
	}
	return devices, err
}

// countUSB counts the devices in the tree of ports.
func countUSB(d dictionary, depth int) (int, error) {
	children, err := d.list(registryChildren)
	if err != nil || depth > deepest {
		return 0, errPlist
	}
	n := 0
	if usbNumber(d, "idVendor") != "" && usbNumber(d, "idProduct") != "" {
		n++
	}
	for _, c := range children {
		below, err := countUSB(c, depth+1)
		if err != nil {
			return 0, err
		}
		n += below
	}
	return n, nil
}

func parseUSB(data []byte) ([]usbDevice, error) {
	if len(data) == 0 {
		return nil, nil
	}
	roots, err := parsePlists(data)
	if err != nil {
		return nil, err
	}
	found := map[int64]bool{}
	var devices []usbDevice
	for _, root := range roots {
		if err := addUSB(root, nil, &devices, found, 0); err != nil {
			return nil, err
		}
	}
	return devices, nil
}

// addUSB adds the devices in a part of the registry. A hub holds other
// devices, which are listed below it and by themselves.
func addUSB(d dictionary, on *usbDevice, devices *[]usbDevice, found map[int64]bool, depth int) error {
	if depth > deepest {
		return errPlist
	}
	if vendor := usbNumber(d, "idVendor"); vendor != "" && usbNumber(d, "idProduct") != "" && usbClass(d, "bInterfaceClass") < 0 {
		if id, ok := d["IORegistryEntryID"].(int64); ok {
			if found[id] {
				return nil
			}
			found[id] = true
		}
		device := usbDevice{
			vendorID: vendor, productID: usbNumber(d, "idProduct"),
			vendor: firstText(d, "USB Vendor Name", "kUSBVendorString"), product: firstText(d, "USB Product Name", "kUSBProductString"),
			serial: firstText(d, "USB Serial Number", "kUSBSerialNumberString"),
		}
		if err := addUSBParts(d, &device, devices, found, depth); err != nil {
			return err
		}
		*devices = append(*devices, device)
		return nil
	}
	if on != nil {
		if name := d.text("BSD Name"); name != "" && d.is("Whole") {
			on.disks = append(on.disks, name)
		}
		switch class := usbClass(d, "bInterfaceClass"); {
		case class == 6: // still image: PTP
			on.files = true
		case class == 255 && firstText(d, "USB Interface Name", "kUSBString") == "MTP":
			on.files = true
		}
	}
	return addUSBParts(d, on, devices, found, depth)
}

func addUSBParts(d dictionary, on *usbDevice, devices *[]usbDevice, found map[int64]bool, depth int) error {
	children, err := d.list(registryChildren)
	if err != nil {
		return err
	}
	for _, c := range children {
		if err := addUSB(c, on, devices, found, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func usbClass(d dictionary, key string) int64 {
	if n, ok := d[key].(int64); ok {
		return n
	}
	return -1
}

// usbNumber returns four hexadecimal digits, or "".
func usbNumber(d dictionary, key string) string {
	n, ok := d[key].(int64)
	if !ok || n < 0 || n > 0xffff {
		return ""
	}
	return fmt.Sprintf("%04x", n)
}

func firstText(d dictionary, keys ...string) string {
	for _, k := range keys {
		if s := strings.TrimSpace(d.text(k)); s != "" {
			return s
		}
	}
	return ""
}
