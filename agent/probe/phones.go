package probe

import (
	"context"
	"strings"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// phones adds the phones and cameras that offer their files over MTP or PTP.
// They are seen and never opened: what they hold, and whether it is encrypted,
// is not visible.
func (m *mediaList) phones(ctx context.Context) {
	const dir = "/sys/bus/usb/devices"
	list, why := names(ctx, m.sys, dir)
	if why != posture.None {
		m.gap("usb", why)
		return
	}
	done := map[string]bool{}
	for _, name := range list {
		device, _, isInterface := strings.Cut(name, ":")
		if !isInterface || done[device] {
			continue
		}
		files, why := m.offersFiles(ctx, dir+"/"+name)
		if why != posture.None {
			m.gap("usb", why)
		}
		if files {
			done[device] = true
			m.found = append(m.found, m.phone(ctx, dir+"/"+device))
		}
	}
}

// offersFiles reports whether a USB interface speaks PTP, by its class, or MTP,
// by its name.
func (m *mediaList) offersFiles(ctx context.Context, dir string) (bool, posture.Absence) {
	class := readAttribute(ctx, m.sys, dir+"/bInterfaceClass")
	switch {
	case class.absent != posture.None:
		return false, class.absent
	case !class.there:
		return false, posture.Unreadable
	case class.value == "06":
		return true, posture.None
	case class.value != "ff":
		return false, posture.None
	}
	name := readAttribute(ctx, m.sys, dir+"/interface")
	return name.value == "MTP", name.absent
}

func (m *mediaList) phone(ctx context.Context, dir string) posture.Medium {
	value := func(file string) string { return text(readAttribute(ctx, m.sys, dir+"/"+file).value) }
	phone := posture.Medium{
		Kind: posture.PhoneMedium, Bus: "usb",
		VendorID: usbID(value("idVendor")), ProductID: usbID(value("idProduct")),
		Vendor: value("manufacturer"), Product: value("product"),
		Serial:     posture.Unread[string](posture.Unsupported),
		Capacity:   posture.Unread[int64](posture.NotVisible),
		Writable:   posture.Unread[bool](posture.NotVisible),
		Encryption: posture.Unread[posture.EncryptionState](posture.NotVisible),
	}
	if len(m.key) == 0 {
		return phone
	}
	switch serial := readAttribute(ctx, m.sys, dir+"/serial"); {
	case serial.absent != posture.None:
		phone.Serial = posture.Unread[string](serial.absent)
	case posture.TellsApart(posture.NormaliseSerial(serial.value)):
		phone.Serial = posture.Read(hashSerial(m.key, posture.NormaliseSerial(serial.value)))
	}
	return phone
}
