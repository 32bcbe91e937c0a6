package probe

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// driveImage is a part of a disk on Windows. It is read from the disk, where
// an encrypted volume shows what is written on it, locked or not.
func driveImage(ctx context.Context, sys system.Reader, number, start, size int64) image {
	return deviceRange(ctx, sys, "/device/PhysicalDrive"+strconv.FormatInt(number, 10), start, size)
}

func deviceRange(ctx context.Context, sys system.Reader, device string, start, size int64) image {
	return image{size: size, read: func(offset int64, length int) ([]byte, error) {
		return sys.Part(ctx, device, start+offset, length)
	}}
}

// headerOf reads a header, or says why it could not be read.
func headerOf(dev image) (header, posture.Absence) {
	if dev.size <= 0 {
		return header{}, posture.Unreadable
	}
	h, err := readHeader(dev)
	return h, headerAbsence(err)
}

// driveMedia gathers the media of a Windows machine.
type driveMedia struct {
	mediaList
	sys       system.Reader
	volumes   diskVolumes
	bitLocker *bitLocker // nil until asked
}

// windowsMedia returns the media that are attached to a Windows machine.
func windowsMedia(ctx context.Context, sys system.Reader, q Question) posture.Answer[posture.Medium] {
	rows, err := sys.Rows(ctx, system.Disks)
	if err != nil {
		return posture.NotFound[posture.Medium](codedSource("disks", err), system.Absence(err))
	}
	volumes, err := sys.Rows(ctx, system.DiskVolumes)
	m := driveMedia{
		mediaList: mediaList{key: q.MediaKey}, sys: sys,
		volumes: diskVolumes{rows: volumes, absent: system.Absence(err)},
	}
	for _, disk := range physicalDisks(rows) {
		m.addDisk(ctx, disk)
	}
	m.discs(ctx)
	m.portable(ctx)
	slices.SortFunc(m.found, compareMedia)
	answer := posture.Found("disks", m.found...)
	answer.Gaps = m.gaps
	return answer
}

// addDisk adds a disk if it is a medium, and there is one in it.
func (m *driveMedia) addDisk(ctx context.Context, disk physicalDisk) {
	a := disk.attachment(m.volumes.runs(disk.number))
	there, size := disk.row.Flag("Media"), disk.row.Number("Size")
	switch {
	case a.absent != posture.None:
		m.gap("disks", a.absent)
		return
	case a.bus == "", there.Known() && !there.Value, size == posture.Read[int64](0):
		return
	case !there.Known():
		m.gap("disks", there.Absent) // it may be a reader without a medium
		return
	}
	medium := posture.Medium{
		Kind: a.kind, Bus: a.bus, Capacity: size, Writable: disk.row.Flag("Writable"),
		Vendor: text(disk.row.Text("Vendor").Value), Product: text(disk.row.Text("Product").Value),
	}
	usb, _ := disk.lineage.usb()
	medium.VendorID, medium.ProductID = usb.vendor, usb.product
	medium.Serial = m.diskSerial(disk, a)
	medium.Partitions = m.drivePartitions(ctx, disk)
	medium.Encryption = wholeEncryption(medium.Partitions)
	if m.pulled(ctx, disk) {
		m.gap("disks", posture.NotVisible)
		return
	}
	m.found = append(m.found, medium)
}

// pulled reports whether another disk, or none, has the number that one had:
// what was read of it may be half of what it was. The next look sees what is
// there then.
func (m *driveMedia) pulled(ctx context.Context, disk physicalDisk) bool {
	rows, err := m.sys.Rows(ctx, system.Disks)
	if err != nil {
		return false
	}
	return !slices.ContainsFunc(physicalDisks(rows), func(d physicalDisk) bool {
		return d.number == disk.number && slices.Equal(d.lineage.ids, disk.lineage.ids)
	})
}

// diskSerial returns the keyed hash of a disk's serial number: of the number
// that Linux and macOS see too, or of none. What Windows tells of a card is
// the slot; and for an NVMe disk it makes a number of the disk's identifier,
// if it is not asked for the disk's own.
func (m *driveMedia) diskSerial(disk physicalDisk, a attachment) posture.Reading[string] {
	if len(m.key) == 0 || a.kind != posture.DiskMedium {
		return posture.Unread[string](posture.Unsupported)
	}
	if a.bus == "usb" {
		if disk.lineage.absent != posture.None {
			return posture.Unread[string](disk.lineage.absent) // the next source could give another number
		}
		usb, _ := disk.lineage.usb()
		if number := posture.NormaliseSerial(usb.serial); posture.TellsApart(number) {
			return posture.Read(hashSerial(m.key, number))
		}
	}
	serial := disk.row.Text("Serial")
	if !serial.Known() {
		return serial
	}
	number := posture.NormaliseSerial(serial.Value)
	if !posture.TellsApart(number) || isEUI(serial.Value) {
		return posture.Unread[string](posture.Unsupported)
	}
	return posture.Read(hashSerial(m.key, number))
}

// isEUI recognises the identifier that Windows writes in place of an NVMe
// disk's serial number, such as 0025_3859_91B1_2D6F.
func isEUI(serial string) bool {
	groups := strings.Split(strings.TrimSuffix(strings.TrimSpace(serial), "."), "_")
	return len(groups) >= 4 && !slices.ContainsFunc(groups, func(g string) bool { return usbID(g) == "" })
}

// partsOf returns the partitions of a disk, or one with the number 0 for all
// of it if it has none, or why they are not known.
func partsOf(ctx context.Context, sys system.Reader, disk physicalDisk) ([]tablePart, posture.Absence) {
	size, sector := disk.row.Number("Size"), disk.row.Number("SectorSize")
	if why := firstAbsence(disk.number.Absent, size.Absent, sector.Absent); why != posture.None {
		return nil, why
	}
	if sector.Value != 512 && sector.Value != 4096 {
		return nil, posture.Unreadable
	}
	parts, err := diskParts(driveImage(ctx, sys, disk.number.Value, 0, size.Value), sector.Value)
	if err == nil && len(parts) == 0 {
		parts = []tablePart{{size: size.Value}}
	}
	return parts, headerAbsence(err)
}

// drivePartitions judges every part of a disk that can hold files.
func (m *driveMedia) drivePartitions(ctx context.Context, disk physicalDisk) []posture.Partition {
	parts, why := partsOf(ctx, m.sys, disk)
	if why != posture.None {
		return []posture.Partition{unreadPartition(0, why)}
	}
	const small = 1 << 30
	var list []posture.Partition
	for _, p := range parts {
		if typesWithoutFiles[p.kind] || isBootType(p.kind) && p.size <= small {
			continue
		}
		list = append(list, m.drivePartition(ctx, disk.number.Value, p))
	}
	return list
}

func (m *driveMedia) drivePartition(ctx context.Context, disk int64, part tablePart) posture.Partition {
	h, why := headerOf(driveImage(ctx, m.sys, disk, part.start, part.size))
	p := partitionOf(part.number, h, why)
	if !p.Encryption.Known() {
		m.askBitLocker(ctx, disk, part, &p)
	}
	return p
}

// partitionOf judges a part of a medium by its header.
func partitionOf(number int, h header, why posture.Absence) posture.Partition {
	if why != posture.None {
		return unreadPartition(number, why)
	}
	p := posture.Partition{
		Number: number, Filesystem: headerFilesystem(h, why), Encryption: h.encryption, Method: posture.Read(h.method),
	}
	switch {
	case h.protection.Known() && h.protection.Value == posture.ProtectionClearKey:
		p.Encryption = posture.Read(posture.Unencrypted) // the key lies beside what it opens
	case !p.Encryption.Known():
		p.Method = posture.Unread[string](p.Encryption.Absent)
	}
	return p
}

// askBitLocker judges a partition of which the header says nothing by what
// Windows says of the volume on it, if that is BitLocker's for sure.
func (m *driveMedia) askBitLocker(ctx context.Context, disk int64, part tablePart, p *posture.Partition) {
	at := func(row system.Values) bool {
		disks, offset := row.Numbers("Disks"), row.Number("Offset")
		return disks.Known() && slices.Equal(disks.Value, []int64{disk}) && offset == posture.Read(part.start)
	}
	i := slices.IndexFunc(m.volumes.rows, at)
	if i < 0 {
		return
	}
	if m.bitLocker == nil {
		b := readBitLocker(ctx, m.sys)
		m.bitLocker = &b
	}
	said, ok := m.bitLocker.rows[volumeGUID(m.volumes.rows[i].Text("DeviceID").Value)]
	verdict := bitLockerVerdict(said)
	switch {
	case !ok, !verdict.Encryption.Known(), verdict.Encryption.Value == posture.Unencrypted:
		return // not encrypted by BitLocker, that is
	case verdict.Encryption.Value != posture.Encrypted:
	case !verdict.Protection.Known():
		return
	case verdict.Protection.Value != posture.ProtectionOn:
		verdict.Encryption = posture.Read(posture.Unencrypted) // the key lies beside what it opens
	}
	p.Encryption, p.Method = verdict.Encryption, posture.Read("BitLocker")
	p.Filesystem = posture.Unread[string](posture.NotVisible)
}

// discs adds what lies in optical drives.
func (m *driveMedia) discs(ctx context.Context) {
	rows, err := m.sys.Rows(ctx, system.OpticalDrives)
	if err != nil {
		m.gap(codedSource("optical drives", err), system.Absence(err))
		return
	}
	for _, row := range rows {
		m.disc(ctx, physicalDisks([]system.Values{row})[0])
	}
}

func (m *driveMedia) disc(ctx context.Context, drive physicalDisk) {
	there := drive.row.Flag("Media")
	switch {
	case there.Known() && !there.Value:
		return
	case firstAbsence(there.Absent, drive.bus.Absent) != posture.None:
		m.gap("optical drives", firstAbsence(there.Absent, drive.bus.Absent))
		return
	case drive.isImage(): // a file that was mounted
		return
	}
	medium := posture.Medium{
		Kind: posture.OpticalMedium, Bus: "optical", Capacity: drive.row.Number("Size"), Writable: posture.Read(false),
		Vendor: text(drive.row.Text("Vendor").Value), Product: text(drive.row.Text("Product").Value),
		Serial: posture.Unread[string](posture.Unsupported), // a disc has none
	}
	if usb, ok := drive.lineage.usb(); ok || drive.bus.Value == busUSB {
		medium.Bus, medium.VendorID, medium.ProductID = "usb", usb.vendor, usb.product
	}
	part := unreadPartition(0, firstAbsence(drive.number.Absent, medium.Capacity.Absent))
	if drive.number.Known() && medium.Capacity.Known() {
		device := "/device/CdRom" + strconv.FormatInt(drive.number.Value, 10)
		h, why := headerOf(deviceRange(ctx, m.sys, device, 0, medium.Capacity.Value))
		part = partitionOf(0, h, why)
	}
	medium.Partitions = []posture.Partition{part}
	medium.Encryption = part.Encryption
	m.found = append(m.found, medium)
}

// portable adds the phones and cameras that offer their files over MTP or PTP.
// They are seen and never opened. Windows lists disks here a second time.
func (m *driveMedia) portable(ctx context.Context) {
	rows, err := m.sys.Rows(ctx, system.PortableDevices)
	if err != nil {
		m.gap(codedSource("portable devices", err), system.Absence(err))
		return
	}
	for _, row := range rows {
		switch line, service := lineageOf(row), row.Text("Service"); {
		case line.under("SWD", "WPDBUSENUM", "WPDBUSENUMROOT"), service.Known() && strings.EqualFold(service.Value, "WUDFWpdFs"):
		case line.absent != posture.None:
			m.gap("portable devices", line.absent)
		case line.under("USB"):
			m.found = append(m.found, m.portableDevice(row, line))
		}
	}
}

func (m *driveMedia) portableDevice(row system.Values, line lineage) posture.Medium {
	usb, known := line.usb()
	phone := posture.Medium{
		Kind: posture.PhoneMedium, Bus: "usb", VendorID: usb.vendor, ProductID: usb.product,
		Vendor: text(row.Text("Vendor").Value), Product: text(row.Text("Product").Value),
		Serial:     posture.Unread[string](posture.Unsupported),
		Capacity:   posture.Unread[int64](posture.NotVisible),
		Writable:   posture.Unread[bool](posture.NotVisible),
		Encryption: posture.Unread[posture.EncryptionState](posture.NotVisible),
	}
	if number := posture.NormaliseSerial(usb.serial); known && len(m.key) > 0 && posture.TellsApart(number) {
		phone.Serial = posture.Read(hashSerial(m.key, number))
	}
	return phone
}
