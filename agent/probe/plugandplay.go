package probe

import (
	"slices"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// usbIdentity is what Windows' identifier of a USB device tells of it, such as
// USB\VID_0781&PID_5567\4C531001490518112283.
type usbIdentity struct {
	vendor, product string // four hexadecimal digits each
	serial          string // as the device gave it; "" if Windows made one up
}

// parseUSBInstance reads the identifier of a whole USB device. Those of its
// functions, of hubs and of what hangs on it are none.
func parseUSBInstance(instance string) (usbIdentity, bool) {
	parts := strings.Split(instance, `\`)
	if len(parts) != 3 || !strings.EqualFold(parts[0], "USB") || len(parts[1]) != len("VID_0781&PID_5567") {
		return usbIdentity{}, false
	}
	vid, pid, _ := strings.Cut(strings.ToUpper(parts[1]), "&")
	vendor, isVendor := strings.CutPrefix(vid, "VID_")
	product, isProduct := strings.CutPrefix(pid, "PID_")
	id := usbIdentity{vendor: usbID(vendor), product: usbID(product)}
	if !isVendor || !isProduct || id.vendor == "" || id.product == "" || parts[2] == "" {
		return usbIdentity{}, false
	}
	id.serial = serialOfInstance(parts[2])
	return id, true
}

// serialOfInstance returns the serial number in the last part of an
// identifier; "" if its second character says that Windows made it up, because
// the device has none, or one that Windows does not take. Before the number of
// some devices the driver of USB 3 hubs sets a mark of its own.
func serialOfInstance(last string) string {
	if len(last) > 1 && last[1] == '&' {
		return ""
	}
	for _, mark := range []string{"MSFT20", "MSFT30"} {
		if len(last) > len(mark) && strings.EqualFold(last[:len(mark)], mark) {
			return last[len(mark):]
		}
	}
	return last
}

// lineage is the identifiers of a device and of those above it, the nearest
// first.
type lineage struct {
	ids    []string
	absent posture.Absence // why they are not known, or None
}

func lineageOf(row system.Values) lineage {
	instance, parents := row.Text("Instance"), row.Texts("Parents")
	if !instance.Known() || !parents.Known() {
		return lineage{absent: firstAbsence(instance.Absent, parents.Absent)}
	}
	return lineage{ids: append([]string{instance.Value}, parents.Value...), absent: posture.None}
}

// usb returns the nearest USB device.
func (l lineage) usb() (usbIdentity, bool) {
	for _, id := range l.ids {
		if u, ok := parseUSBInstance(id); ok {
			return u, true
		}
	}
	return usbIdentity{}, false
}

// under reports whether a device hangs on one of an enumerator, such as "USB".
func (l lineage) under(enumerators ...string) bool {
	return slices.ContainsFunc(l.ids, func(id string) bool {
		first, _, _ := strings.Cut(id, `\`)
		return slices.ContainsFunc(enumerators, func(e string) bool { return strings.EqualFold(first, e) })
	})
}

// The buses that a disk can be on: STORAGE_BUS_TYPE.
const (
	busUnknown = iota
	busSCSI
	busATAPI
	busATA
	busFireWire
	busSSA
	busFibre
	busUSB
	busRAID
	busISCSI
	busSAS
	busSATA
	busSD
	busMMC
	busVirtual
	busFileBacked
	busSpaces
	busNVMe
	busSCM
	busUFS
	busNVMeOverFabric
)

// physicalDisk is one disk as Windows shows it.
type physicalDisk struct {
	row     system.Values
	number  posture.Reading[int64]
	bus     posture.Reading[int64]
	lineage lineage
}

func physicalDisks(rows []system.Values) []physicalDisk {
	list := make([]physicalDisk, 0, len(rows))
	for _, row := range rows {
		list = append(list, physicalDisk{row: row, number: row.Number("Number"), bus: row.Number("BusType"), lineage: lineageOf(row)})
	}
	return list
}

// isImage reports whether a disk is a file that was mounted, or is made up by
// a program: it lies on something else, which is judged itself.
func (d physicalDisk) isImage() bool {
	return d.bus.Known() && (d.bus.Value == busVirtual || d.bus.Value == busFileBacked)
}

// isRemote reports whether a disk is in another machine.
func (d physicalDisk) isRemote() bool {
	return d.bus.Known() && (d.bus.Value == busISCSI || d.bus.Value == busNVMeOverFabric)
}

// attachment tells removable and hot-plugged disks from built-in ones. The
// drive's type does not: a USB disk says that it is fixed. Nor does it help to
// ask whether disks on SATA, SAS and RAID can be taken out: ports inside many
// machines say so. Of an NVMe disk it is all there is, and so it is asked of
// one that Windows does not run from: those in Thunderbolt and USB4 boxes say
// yes, and very few of those on a board.
func (d physicalDisk) attachment(runs posture.Reading[bool]) attachment {
	a := attachment{kind: posture.DiskMedium, absent: posture.None}
	switch {
	case !d.bus.Known():
		a.absent = d.bus.Absent
		return a
	case d.isImage(), d.isRemote(), d.bus.Value == busSpaces:
		return a
	case d.lineage.absent != posture.None && d.bus.Value != busUSB:
		a.absent = d.lineage.absent
		return a
	}
	switch {
	case d.bus.Value == busUSB, d.lineage.under("USB", "USBSTOR"):
		a.bus = "usb"
	case d.bus.Value == busFireWire, d.lineage.under("1394", "SBP2"):
		a.bus = "firewire"
	case d.bus.Value == busSD, d.bus.Value == busMMC:
		return d.card(a)
	case d.bus.Value == busNVMe:
		return d.hotPlugged(a, runs)
	case slices.Contains([]int64{busATAPI, busATA, busRAID, busSAS, busSATA, busSCM, busUFS}, d.bus.Value):
	default:
		removable := d.row.Flag("Removable")
		a.absent = removable.Absent
		if removable.Known() && removable.Value {
			a.bus = "other"
		}
	}
	return a
}

// card tells a memory card from soldered flash. Windows calls both SD or MMC,
// whichever they are, and knows of the soldered that it stays.
func (d physicalDisk) card(a attachment) attachment {
	const stays = 1
	removable, policy := d.row.Flag("Removable"), d.row.Number("RemovalPolicy")
	switch {
	case removable.Known() && removable.Value, policy.Known() && policy.Value != stays:
		a.bus, a.kind = "sd", posture.CardMedium
	default:
		a.absent = firstAbsence(policy.Absent, removable.Absent)
	}
	return a
}

func (d physicalDisk) hotPlugged(a attachment, runs posture.Reading[bool]) attachment {
	const orderly, surprise = 2, 3
	policy := d.row.Number("RemovalPolicy")
	switch {
	case runs.Known() && runs.Value:
	case !policy.Known():
		a.absent = policy.Absent
	case policy.Value != orderly && policy.Value != surprise:
	case !runs.Known():
		a.absent = runs.Absent
	default:
		a.bus = "thunderbolt"
	}
	return a
}

// diskVolumes is the volumes that Windows knows, or why they are not known.
type diskVolumes struct {
	rows   []system.Values
	absent posture.Absence
}

// runs reports whether Windows runs from a disk.
func (v diskVolumes) runs(number posture.Reading[int64]) posture.Reading[bool] {
	switch {
	case v.absent != posture.None:
		return posture.Unread[bool](v.absent)
	case !number.Known():
		return posture.Unread[bool](number.Absent)
	}
	why := posture.None
	for _, row := range v.rows {
		runs, disks := row.Flag("System"), row.Numbers("Disks")
		switch {
		case runs.Known() && !runs.Value:
		case disks.Known() && !slices.Contains(disks.Value, number.Value):
		case runs.Known() && disks.Known():
			return posture.Read(true)
		default:
			why = firstAbsence(why, runs.Absent, disks.Absent)
		}
	}
	if why != posture.None {
		return posture.Unread[bool](why)
	}
	return posture.Read(false)
}

// starts returns where the volumes on a disk begin, or why that is not known
// of one of them. One that spans disks begins in none of their partitions.
func (v diskVolumes) starts(disk int64) (map[int64]bool, posture.Absence) {
	starts, why := map[int64]bool{}, v.absent
	for _, row := range v.rows {
		disks, offset := row.Numbers("Disks"), row.Number("Offset")
		switch {
		case !disks.Known():
			why = firstAbsence(why, disks.Absent)
		case len(disks.Value) > 1, !slices.Contains(disks.Value, disk):
		case !offset.Known():
			why = firstAbsence(why, offset.Absent)
		default:
			starts[offset.Value] = true
		}
	}
	return starts, why
}

// volumeGUID returns the GUID in a volume's name, \\?\Volume{…}\, in lower
// case, or "".
func volumeGUID(name string) string {
	name = strings.ToLower(name)
	guid, isVolume := strings.CutPrefix(name, `\\?\volume{`)
	guid, closed := strings.CutSuffix(strings.TrimSuffix(guid, `\`), "}")
	if !isVolume || !closed || len(guid) != 36 {
		return ""
	}
	for i, c := range []byte(guid) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (c == '-') || !dash && !strings.ContainsRune("0123456789abcdef", rune(c)) {
			return ""
		}
	}
	return guid
}
