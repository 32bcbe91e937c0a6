package probe

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// describe fills in what a medium says of itself.
func (m *mediaList) describe(ctx context.Context, d *device, a attachment, medium *posture.Medium) {
	value := func(file string) string { return text(readAttribute(ctx, m.sys, file).value) }
	medium.Vendor, medium.Product = value(d.path+"/device/vendor"), value(d.path+"/device/model")
	if a.usb != "" {
		medium.VendorID, medium.ProductID = usbID(value(a.usb+"/idVendor")), usbID(value(a.usb+"/idProduct"))
		if medium.Vendor == "" {
			medium.Vendor = value(a.usb + "/manufacturer")
		}
		if medium.Product == "" {
			medium.Product = value(a.usb + "/product")
		}
	}
	if a.kind == posture.CardMedium && medium.Product == "" {
		medium.Product = value(d.path + "/device/name")
	}
	if strings.HasPrefix(medium.Vendor, "0x") {
		medium.Vendor = "" // the number of a PCI vendor, not a name
	}
	medium.Serial = m.serial(ctx, d, a)
}

// usbID returns four hexadecimal digits, or "".
func usbID(s string) string {
	s = strings.ToLower(s)
	if len(s) != 4 || strings.Trim(s, "0123456789abcdef") != "" {
		return ""
	}
	return s
}

// serial returns the keyed hash of a medium's serial number. A disc has none.
func (m *mediaList) serial(ctx context.Context, d *device, a attachment) posture.Reading[string] {
	if len(m.key) == 0 || a.kind == posture.OpticalMedium {
		return posture.Unread[string](posture.Unsupported)
	}
	number := m.serialNumber(ctx, d, a)
	if !number.Known() {
		return number
	}
	return posture.Read(hashSerial(m.key, number.Value))
}

// serialNumber returns the number itself, from the first source that has one:
// the USB device, the disk behind it, the card. Many sticks have none, and many
// share one that their maker never changed.
func (m *mediaList) serialNumber(ctx context.Context, d *device, a attachment) posture.Reading[string] {
	var files []string
	switch {
	case a.kind == posture.CardMedium:
		files = []string{d.path + "/device/cid", d.path + "/device/serial"}
	case a.usb != "":
		files = []string{a.usb + "/serial"}
	default:
		files = []string{d.path + "/device/serial"}
	}
	for _, file := range files {
		r := readAttribute(ctx, m.sys, file)
		if r.absent != posture.None {
			return posture.Unread[string](r.absent) // the next source could give another number
		}
		if number := posture.NormaliseSerial(r.value); posture.TellsApart(number) {
			return posture.Read(number)
		}
	}
	const page = 4 << 10
	data, err := m.sys.File(ctx, d.path+"/device/vpd_pg80", page)
	switch {
	case notThere(err):
		return posture.Unread[string](posture.Unsupported)
	case err != nil:
		return posture.Unread[string](headerAbsence(err))
	}
	number, ok := parseSerialPage(data)
	switch {
	case !ok:
		return posture.Unread[string](posture.Unreadable)
	case !posture.TellsApart(number):
		return posture.Unread[string](posture.Unsupported)
	}
	return posture.Read(number)
}

// parseSerialPage reads the SCSI page of the unit's serial number.
func parseSerialPage(data []byte) (string, bool) {
	if len(data) < 4 || data[1] != 0x80 {
		return "", false
	}
	length := int(binary.BigEndian.Uint16(data[2:]))
	if length > len(data)-4 {
		return "", false
	}
	return posture.NormaliseSerial(string(data[4 : 4+length])), true
}

// hashSerial hashes a normalised serial number with the school's key, so that
// the same medium is known again on every device of the school and nowhere
// else.
func hashSerial(key []byte, number string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("serial\x00" + number))
	return hex.EncodeToString(mac.Sum(nil))
}
