package probe

import (
	"context"
	"slices"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// macMedia returns the removable and hot-plugged storage that is attached to a
// Mac, and the phones. Readers without a medium and disk images are left out.
func macMedia(ctx context.Context, sys system.Reader, q Question) posture.Answer[posture.Medium] {
	const source = "ioreg, diskutil"
	storage, err := readStorage(ctx, sys)
	if err != nil {
		return posture.NotFound[posture.Medium](source, macAbsence(err))
	}
	m := macMediaList{ctx: ctx, sys: sys, key: q.MediaKey}
	m.disks, m.disksErr = readDisks(ctx, sys)
	m.stores, m.storesErr = readAPFS(ctx, sys)
	m.usb, m.usbErr = readUSB(ctx, sys)
	for _, d := range storage {
		m.add(d)
	}
	if m.usbErr != nil {
		m.gap("usb", macAbsence(m.usbErr))
	}
	for _, u := range m.usb {
		if u.files && len(u.disks) == 0 {
			m.phone(u)
		}
	}
	slices.SortFunc(m.found, compareMedia)
	answer := posture.Found(source, m.found...)
	answer.Gaps = m.gaps
	return answer
}

type macMediaList struct {
	ctx       context.Context //nolint:containedctx // lives as long as the one question
	sys       system.Reader
	key       []byte
	disks     []macDisk
	disksErr  error
	stores    []apfsStore
	storesErr error
	usb       []usbDevice
	usbErr    error
	found     []posture.Medium
	gaps      []posture.Gap
}

func (m *macMediaList) gap(source string, why posture.Absence) {
	g := posture.Gap{Source: source, Absent: why}
	if !slices.Contains(m.gaps, g) {
		m.gaps = append(m.gaps, g)
	}
}

// add adds a disk if it is a medium.
func (m *macMediaList) add(d storageDevice) {
	a := d.attached()
	switch {
	case a.absent != posture.None:
		m.gap("attachment", a.absent)
		return
	case a.bus == "", d.bytes == posture.Read[int64](0):
		return
	}
	medium := posture.Medium{
		Kind: a.kind, Bus: a.bus, Capacity: d.bytes, Writable: d.writable,
		Vendor: text(d.vendor), Product: text(d.product), Serial: m.serial(d, a),
	}
	if a.kind == posture.OpticalMedium {
		medium.Writable = posture.Read(false)
	}
	if u := m.onUSB(d.name); u != nil {
		medium.VendorID, medium.ProductID = u.vendorID, u.productID
		if medium.Vendor == "" {
			medium.Vendor = text(u.vendor)
		}
		if medium.Product == "" {
			medium.Product = text(u.product)
		}
	}
	medium.Partitions = m.partitions(d)
	medium.Encryption = wholeEncryption(medium.Partitions)
	m.found = append(m.found, medium)
}

// onUSB returns the USB device that a disk is in.
func (m *macMediaList) onUSB(disk string) *usbDevice {
	for i := range m.usb {
		if slices.Contains(m.usb[i].disks, disk) {
			return &m.usb[i]
		}
	}
	return nil
}

// serial returns the keyed hash of a medium's serial number: of the same
// number as on every other system, so that a stick is known again there. That
// of a memory card macOS does not tell: the one it shows is its reader's.
func (m *macMediaList) serial(d storageDevice, a attachment) posture.Reading[string] {
	if len(m.key) == 0 || a.kind == posture.OpticalMedium || a.bus == "sd" {
		return posture.Unread[string](posture.Unsupported)
	}
	number := posture.NormaliseSerial(d.serial)
	if a.bus == "usb" {
		if m.usbErr != nil {
			return posture.Unread[string](macAbsence(m.usbErr))
		}
		u := m.onUSB(d.name)
		if u == nil {
			return posture.Unread[string](posture.Unreadable)
		}
		if own := posture.NormaliseSerial(u.serial); posture.TellsApart(own) {
			number = own
		}
	}
	if !posture.TellsApart(number) {
		return posture.Unread[string](posture.Unsupported)
	}
	return posture.Read(hashSerial(m.key, number))
}

// partitions judges every part of a medium that can hold files.
func (m *macMediaList) partitions(d storageDevice) []posture.Partition {
	if m.disksErr != nil {
		return []posture.Partition{unreadPartition(0, macAbsence(m.disksErr))}
	}
	i := slices.IndexFunc(m.disks, func(listed macDisk) bool { return listed.name == d.name })
	if i < 0 {
		return []posture.Partition{unreadPartition(0, posture.NotVisible)} // it came or went between two questions
	}
	disk := m.disks[i]
	if len(disk.parts) == 0 {
		whole := disk.macPart
		whole.bytes = d.bytes
		return []posture.Partition{m.partition(whole)}
	}
	list := []posture.Partition{}
	for _, p := range disk.parts {
		if !partHoldsNoFiles(p) {
			list = append(list, m.partition(p))
		}
	}
	slices.SortFunc(list, func(a, b posture.Partition) int { return a.Number - b.Number })
	return list
}

func (m *macMediaList) partition(p macPart) posture.Partition {
	number := partNumber(p.name)
	if p.content == "Apple_APFS" {
		return m.apfs(p)
	}
	h, err := macHeader(m.ctx, m.sys, p)
	if err != nil {
		return unreadPartition(number, headerAbsence(err))
	}
	if h.format == "apfs" {
		return m.apfs(p)
	}
	return judgePart(number, h)
}

// apfs judges a partition by the volumes of the container that it is part of,
// as diskutil knows them, also while they are locked.
func (m *macMediaList) apfs(p macPart) posture.Partition {
	number := partNumber(p.name)
	if m.storesErr != nil {
		return unreadPartition(number, macAbsence(m.storesErr))
	}
	for _, s := range m.stores {
		if !slices.Contains(s.parts, p.name) {
			continue
		}
		var parts []coverage
		for _, v := range s.volumes {
			if v.holdsFiles() {
				parts = append(parts, v.coverage())
			}
		}
		if len(parts) == 0 {
			parts = append(parts, uncovered()) // whoever makes a volume in it makes it in plain
		}
		all := combine(parts)
		return posture.Partition{Number: number, Filesystem: posture.Read("apfs"), Encryption: all.state, Method: all.method()}
	}
	return unreadPartition(number, posture.Unreadable)
}

// judgePart describes a partition by its header.
func judgePart(number int, h header) posture.Partition {
	p := posture.Partition{Number: number, Filesystem: posture.Read(h.format), Encryption: h.encryption, Method: posture.Read(h.method)}
	switch h.content {
	case holdsEncrypted, holdsMember:
		p.Filesystem = posture.Unread[string](posture.NotVisible)
	case holdsUnknown, holdsTable, holdsNothing:
		p.Filesystem = posture.Unread[string](posture.Unreadable)
	case holdsFilesystem, holdsSwap:
	}
	if h.protection == posture.Read(posture.ProtectionClearKey) {
		p.Encryption = posture.Read(posture.Unencrypted) // the key lies beside what it opens
	}
	if !p.Encryption.Known() && p.Method == posture.Read("") {
		p.Method = posture.Unread[string](p.Encryption.Absent)
	}
	return p
}

// phone adds a phone or camera. It is seen and never opened.
func (m *macMediaList) phone(u usbDevice) {
	phone := posture.Medium{
		Kind: posture.PhoneMedium, Bus: "usb", VendorID: u.vendorID, ProductID: u.productID, Vendor: text(u.vendor), Product: text(u.product),
		Serial:     posture.Unread[string](posture.Unsupported),
		Capacity:   posture.Unread[int64](posture.NotVisible),
		Writable:   posture.Unread[bool](posture.NotVisible),
		Encryption: posture.Unread[posture.EncryptionState](posture.NotVisible),
	}
	if number := posture.NormaliseSerial(u.serial); len(m.key) > 0 && posture.TellsApart(number) {
		phone.Serial = posture.Read(hashSerial(m.key, number))
	}
	m.found = append(m.found, phone)
}
