package probe

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// fixedVolumes gathers the volumes of a Windows machine.
type fixedVolumes struct {
	volumeList
	sys       system.Reader
	disks     []physicalDisk
	noDisks   posture.Absence // why the disks are not known, or None
	volumes   diskVolumes
	bitLocker bitLocker
	foreign   posture.Absence // what foreignEncryption found; NotAsked before
	met       map[string]bool // GUIDs of the volumes that Windows listed
}

// windowsVolumes returns the volumes in a Windows machine: the one that it
// runs from and those on disks that stay in it, whether or not they have a
// letter. Its pages and its memory when it hibernates lie in files on them.
func windowsVolumes(ctx context.Context, sys system.Reader) posture.Answer[posture.Volume] {
	v := fixedVolumes{
		volumeList: volumeList{ids: map[string]int{}}, sys: sys, noDisks: posture.None,
		volumes: diskVolumes{absent: posture.None}, bitLocker: readBitLocker(ctx, sys), met: map[string]bool{},
	}
	rows, err := sys.Rows(ctx, system.DiskVolumes)
	if err != nil {
		v.volumes.absent = system.Absence(err)
		if v.bitLocker.absent != posture.None {
			return posture.NotFound[posture.Volume](codedSource("volumes", err), v.volumes.absent)
		}
		v.gap(codedSource("volumes", err), v.volumes.absent)
	}
	v.volumes.rows = rows
	disks, err := sys.Rows(ctx, system.Disks)
	v.disks, v.noDisks = physicalDisks(disks), system.Absence(err)
	for _, row := range rows {
		v.add(ctx, row)
	}
	v.unlisted()
	for _, disk := range v.disks {
		v.partitions(ctx, disk)
	}
	if v.noDisks != posture.None {
		v.gap("disks", v.noDisks)
	}
	if v.bitLocker.absent != posture.None { // it knows volumes that Windows does not list
		v.gap(v.bitLocker.source, v.bitLocker.absent)
	}
	if v.bitLocker.lost != posture.None {
		v.gap(encryptableVolume, v.bitLocker.lost)
	}
	slices.SortFunc(v.found, func(a, b posture.Volume) int {
		return cmp.Or(-cmp.Compare(a.Role, b.Role), cmp.Compare(a.Mount, b.Mount), cmp.Compare(a.ID, b.ID))
	})
	answer := posture.Found(v.bitLocker.source, v.found...)
	answer.Gaps = v.gaps
	return answer
}

// add adds a volume if it counts.
func (v *fixedVolumes) add(ctx context.Context, row system.Values) {
	name := row.Text("DeviceID")
	guid := volumeGUID(name.Value)
	v.met[guid] = true
	role, why := v.roleOf(row, guid)
	if role == "" {
		if why != posture.None {
			v.gap("volumes", why)
		}
		return
	}
	mount := v.mountOf(row, guid)
	volume, counts := v.judge(ctx, row, guid, role)
	if !counts {
		return
	}
	if why != posture.None {
		volume = unreadVerdict(why)
	}
	if volume.Role == "" {
		volume.Role = role
	}
	volume.Mount, volume.Capacity = mount, row.Number("Size")
	if volume.Filesystem.Absent == posture.NotAsked {
		volume.Filesystem = windowsFilesystem(row)
	}
	v.place(volume, guid)
}

func (v *fixedVolumes) place(volume posture.Volume, guid string) {
	volume.ID = v.id(cmp.Or(guid, string(volume.Role)+":"+volume.Mount))
	v.found = append(v.found, volume)
}

// roleOf returns what a volume is for; "" if it does not count, or if why says
// that this could not be told. With a role and a reason it counts, and it
// could not be told whether it is only there to start from.
func (v *fixedVolumes) roleOf(row system.Values, guid string) (posture.VolumeRole, posture.Absence) {
	runs := row.Flag("System")
	if kind := v.bitLocker.rows[guid].Number("VolumeType"); !runs.Known() && kind.Known() {
		runs = posture.Read(kind.Value == fveSystem)
	}
	switch skip, why := v.elsewhere(row); {
	case runs.Known() && runs.Value:
		return posture.SystemVolume, posture.None
	case why != posture.None, skip:
		return "", why
	case !runs.Known():
		return "", runs.Absent
	}
	return dataRole(row)
}

// elsewhere reports whether a volume is not on a disk in the machine: in
// memory, on a network, on a disc, in a file, on something that can be pulled
// out.
func (v *fixedVolumes) elsewhere(row system.Values) (bool, posture.Absence) {
	const remote, optical, inMemory = 4, 5, 6
	drive, disks, bus := row.Number("DriveType"), row.Numbers("Disks"), row.Number("BusType")
	switch {
	case !drive.Known():
		return false, drive.Absent
	case drive.Value == remote, drive.Value == optical, drive.Value == inMemory:
		return true, posture.None
	case bus.Known() && (bus.Value == busVirtual || bus.Value == busFileBacked):
		return true, posture.None
	case !disks.Known():
		return false, disks.Absent
	case v.noDisks != posture.None:
		return false, v.noDisks
	}
	inside, why := 0, posture.None
	for _, number := range disks.Value {
		disk, ok := v.disk(number)
		a := disk.attachment(v.volumes.runs(disk.number))
		switch {
		case !ok:
			why = firstAbsence(why, posture.NotVisible)
		case a.absent != posture.None:
			why = firstAbsence(why, a.absent)
		case a.bus == "" && !disk.isImage():
			inside++
		}
	}
	switch {
	case inside > 0:
		return false, posture.None
	case len(disks.Value) == 0:
		return false, posture.Unreadable
	}
	return why == posture.None, why
}

func (v *fixedVolumes) disk(number int64) (physicalDisk, bool) {
	i := slices.IndexFunc(v.disks, func(d physicalDisk) bool { return d.number == posture.Read(number) })
	if i < 0 {
		return physicalDisk{}, false
	}
	return v.disks[i], true
}

// dataRole tells a data volume from one that only starts the machine or
// repairs it, by the type of its partition. An old machine starts from a small
// volume without a letter that is like any other, but for a mark.
func dataRole(row system.Values) (posture.VolumeRole, posture.Absence) {
	const small = 1 << 30
	kind, style, disks := row.Text("Type"), row.Number("Style"), row.Numbers("Disks")
	if len(disks.Value) > 1 {
		return posture.DataVolume, posture.None // none of those spans disks
	}
	if !kind.Known() {
		if style.Known() && style.Value == 2 { // no table of partitions
			return posture.DataVolume, posture.None
		}
		return "", kind.Absent
	}
	name := strings.ToLower(kind.Value)
	switch {
	case typesWithoutFiles[name]:
		return "", posture.None
	case isBootType(name):
		return posture.BootVolume, posture.None
	case len(name) != 2:
		return posture.DataVolume, posture.None
	}
	active, mounts, size := row.Flag("Active"), row.Texts("Mounts"), row.Number("Size")
	switch {
	case active.Known() && !active.Value, mounts.Known() && len(mounts.Value) > 0, size.Known() && size.Value > small:
		return posture.DataVolume, posture.None
	case active.Known() && mounts.Known() && size.Known():
		return posture.BootVolume, posture.None
	}
	return posture.DataVolume, firstAbsence(active.Absent, mounts.Absent, size.Absent)
}

// mountOf returns the letter that a volume has, "other" if it has only a place
// in a folder, and "" if it has neither.
func (v *fixedVolumes) mountOf(row system.Values, guid string) string {
	mounts := row.Texts("Mounts")
	if !mounts.Known() {
		mounts.Value = []string{v.bitLocker.rows[guid].Text("DriveLetter").Value}
	}
	mount := ""
	for _, m := range mounts.Value {
		switch letter := driveLetter(m); {
		case letter != "" && (len(mount) != 2 || letter < mount):
			mount = letter
		case letter == "" && mount == "" && m != "":
			mount = "other"
		}
	}
	return mount
}

// driveLetter returns "C:" of "C:" and of "C:\", else "".
func driveLetter(mount string) string {
	mount = strings.ToUpper(strings.TrimSuffix(mount, `\`))
	if len(mount) == 2 && mount[0] >= 'A' && mount[0] <= 'Z' && mount[1] == ':' {
		return mount
	}
	return ""
}

// windowsFilesystems are the filesystems that Windows writes, by its names,
// with those that other systems have for them.
var windowsFilesystems = map[string]string{
	"NTFS": "ntfs", "REFS": "refs", "EXFAT": "exfat", "FAT32": "vfat", "FAT16": "vfat", "FAT12": "vfat", "FAT": "vfat",
}

func windowsFilesystem(row system.Values) posture.Reading[string] {
	name := row.Text("Filesystem")
	switch {
	case name.Value == "", strings.EqualFold(name.Value, "RAW"):
		return posture.Unread[string](firstAbsence(name.Absent, posture.Unreadable))
	case name.Known():
		name.Value = cmp.Or(windowsFilesystems[strings.ToUpper(name.Value)], text(strings.ToLower(name.Value)))
	}
	return name
}

// judge says how a volume is encrypted, and whether it counts after all: a
// partition that holds nothing does not.
func (v *fixedVolumes) judge(ctx context.Context, row system.Values, guid string, role posture.VolumeRole) (posture.Volume, bool) {
	if role == posture.BootVolume { // what the firmware reads is in the clear
		return headerVerdict(inTheClear(holdsFilesystem, "", ""), posture.None), true
	}
	said, ok := v.bitLocker.rows[guid]
	filesystem, told := row.Get("Filesystem")
	told = told && filesystem.Absent == posture.NotAsked
	_, ordinary := windowsFilesystems[strings.ToUpper(row.Text("Filesystem").Value)]
	switch {
	case v.bitLocker.absent != posture.None:
		return unreadVerdict(v.bitLocker.absent), true
	case ok && isLocked(said):
		h, why := v.headerAt(ctx, row)
		volume := lockedVerdict(said, h, why)
		volume.Filesystem = posture.Unread[string](posture.NotVisible)
		return volume, true
	case !ok && (ordinary || !told || v.bitLocker.lost != posture.None || guid == ""):
		// BitLocker would know of it.
		return unreadVerdict(firstAbsence(row.Text("DeviceID").Absent, v.bitLocker.lost, posture.Unreadable)), true
	}
	volume := bitLockerVerdict(said)
	switch {
	case ok && volume.Encryption != posture.Read(posture.Unencrypted):
		return volume, true
	case !ordinary:
		return v.judgeStrange(ctx, row, role)
	}
	if why := v.notBitLocker(ctx, row); why != posture.None {
		return unreadVerdict(why), true
	}
	return volume, true
}

// notBitLocker says why a volume may be encrypted though BitLocker did not
// encrypt it, or None.
func (v *fixedVolumes) notBitLocker(ctx context.Context, row system.Values) posture.Absence {
	for _, number := range row.Numbers("Disks").Value {
		if disk, _ := v.disk(number); disk.isRemote() {
			return posture.NotVisible
		}
	}
	if v.foreign == posture.NotAsked {
		var filter string
		if filter, v.foreign = foreignEncryption(ctx, v.sys); filter != "" {
			v.bitLocker.source += ", disk filter " + filter
		}
	}
	return v.foreign
}

// judgeStrange judges a volume of which Windows knows no filesystem, as those
// of other systems beside it, by what lies at its start. BitLocker calls it
// not encrypted, whatever else may have encrypted it.
func (v *fixedVolumes) judgeStrange(ctx context.Context, row system.Values, role posture.VolumeRole) (posture.Volume, bool) {
	h, why := v.headerAt(ctx, row)
	if why == posture.None && role != posture.SystemVolume && (h.content == holdsNothing || readOnlyFormats[h.format]) {
		return posture.Volume{}, false
	}
	volume := headerVerdict(h, why)
	volume.Filesystem = headerFilesystem(h, why)
	if why == posture.None && h.content == holdsSwap {
		volume.Role = posture.SwapVolume
	}
	if volume.Encryption == posture.Read(posture.Unencrypted) {
		if why := v.notBitLocker(ctx, row); why != posture.None {
			role, filesystem := volume.Role, volume.Filesystem
			volume = unreadVerdict(why)
			volume.Role, volume.Filesystem = role, filesystem
		}
	}
	return volume, true
}

// headerFilesystem returns the filesystem that a header tells of.
func headerFilesystem(h header, why posture.Absence) posture.Reading[string] {
	switch {
	case why != posture.None:
		return posture.Unread[string](why)
	case h.content == holdsEncrypted, h.content == holdsMember:
		return posture.Unread[string](posture.NotVisible)
	case h.content == holdsUnknown, h.content == holdsNothing, h.content == holdsTable:
		return posture.Unread[string](posture.Unreadable)
	}
	return posture.Read(h.format)
}

// headerAt reads what lies at the start of a volume, from the disk: through
// the volume itself Windows shows only what it can open.
func (v *fixedVolumes) headerAt(ctx context.Context, row system.Values) (header, posture.Absence) {
	disks, offset, size := row.Numbers("Disks"), row.Number("Offset"), row.Number("Size")
	if why := firstAbsence(disks.Absent, offset.Absent, size.Absent); why != posture.None {
		return header{}, why
	}
	if len(disks.Value) != 1 {
		return header{}, posture.NotVisible // in pieces
	}
	return headerOf(driveImage(ctx, v.sys, disks.Value[0], offset.Value, size.Value))
}

// unlisted adds the volumes that BitLocker knows and Windows did not list, if
// it is sure that it did not.
func (v *fixedVolumes) unlisted() {
	for _, guid := range slices.Sorted(maps.Keys(v.bitLocker.rows)) {
		row := v.bitLocker.rows[guid]
		kind := row.Number("VolumeType")
		switch {
		case v.met[guid], kind.Known() && kind.Value == fveRemovable:
			continue
		case v.volumes.absent != posture.None && kind != posture.Read[int64](fveSystem):
			continue // it may be on a medium or in a file; that there is a gap is said
		case v.met[""]:
			v.gap("volumes", posture.Unreadable) // one of those without a name
			continue
		case !kind.Known():
			v.gap(encryptableVolume, kind.Absent)
			continue
		}
		volume := bitLockerVerdict(row)
		switch {
		case isLocked(row):
			volume = lockedVerdict(row, header{}, posture.NotVisible)
		case volume.Encryption == posture.Read(posture.Unencrypted):
			volume = unreadVerdict(posture.NotVisible) // by BitLocker, that is
		}
		volume.Role = posture.DataVolume
		if kind.Value == fveSystem {
			volume.Role = posture.SystemVolume
		}
		volume.Mount = driveLetter(row.Text("DriveLetter").Value)
		volume.Filesystem, volume.Capacity = posture.Unread[string](posture.NotVisible), posture.Unread[int64](posture.NotVisible)
		v.place(volume, guid)
	}
}
