package probe

import (
	"context"
	"slices"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// macPart is a partition, or a whole disk without any, as diskutil lists it.
type macPart struct {
	name    string // "disk4s1"
	content string // "Apple_APFS", "Windows_NTFS", a GUID …; "" if nothing is known
	uuid    string
	bytes   posture.Reading[int64]
	mount   string
}

// macDisk is a whole disk of diskutil's list.
type macDisk struct {
	macPart
	parts   []macPart
	volumes []macPart // of an APFS container that was made of partitions
	made    bool      // an APFS container, no disk of its own
}

// readDisks asks diskutil for disks and their partitions, without reading any.
func readDisks(ctx context.Context, sys system.Reader) ([]macDisk, error) {
	out, err := sys.Run(ctx, system.DiskutilList)
	if err != nil {
		return nil, err
	}
	return parseDisks(out.Stdout)
}

func parseDisks(data []byte) ([]macDisk, error) {
	root, err := parsePlist(data)
	if err != nil {
		return nil, err
	}
	list, err := root.list("AllDisksAndPartitions")
	if err != nil || len(list) == 0 {
		return nil, errPlist // a Mac has at least the disk that it started from
	}
	var disks []macDisk
	for _, d := range list {
		disk := macDisk{macPart: macPartOf(d)}
		_, disk.made = d["APFSPhysicalStores"]
		for _, lists := range []struct {
			key  string
			into *[]macPart
		}{{"Partitions", &disk.parts}, {"APFSVolumes", &disk.volumes}} {
			parts, err := d.list(lists.key)
			if err != nil {
				return nil, err
			}
			for _, p := range parts {
				*lists.into = append(*lists.into, macPartOf(p))
			}
		}
		if disk.name == "" {
			return nil, errPlist
		}
		disks = append(disks, disk)
	}
	return disks, nil
}

func macPartOf(d dictionary) macPart {
	p := macPart{name: d.text("DeviceIdentifier"), content: d.text("Content"), mount: d.text("MountPoint"), bytes: valueOf[int64](d, "Size")}
	for _, key := range []string{"DiskUUID", "VolumeUUID"} {
		if p.uuid == "" {
			p.uuid = d.text(key)
		}
	}
	return p
}

// wholeDisk returns the disk that a partition is on: disk4 of disk4s1s2.
func wholeDisk(name string) string {
	rest, ok := strings.CutPrefix(name, "disk")
	if !ok {
		return name
	}
	number, _, _ := strings.Cut(rest, "s")
	return "disk" + number
}

// partNumber returns the number of a partition: 1 of disk4s1.
func partNumber(name string) int {
	_, digits, ok := strings.Cut(strings.TrimPrefix(name, "disk"), "s")
	n := 0
	for _, c := range digits {
		if !ok || c < '0' || c > '9' || n > 1<<20 {
			return 0
		}
		n = 10*n + int(c-'0')
	}
	return n
}

// apfsVolume is a volume of an APFS container.
type apfsVolume struct {
	name  string // "disk3s5"
	uuid  string
	roles []string
	// Encrypted says that what is written is encrypted; fileVault, that a
	// password guards the key. Newer Macs always encrypt, and without a
	// password the disk opens for whoever holds the Mac.
	encrypted, fileVault, locked, migrating posture.Reading[bool]
}

// apfsStore is an APFS container, by the partitions that it is made of.
type apfsStore struct {
	parts   []string
	bytes   posture.Reading[int64]
	volumes []apfsVolume
}

// readAPFS asks diskutil for the APFS containers and their volumes.
func readAPFS(ctx context.Context, sys system.Reader) ([]apfsStore, error) {
	out, err := sys.Run(ctx, system.DiskutilAPFS)
	if err != nil {
		return nil, err
	}
	return parseAPFSList(out.Stdout)
}

func parseAPFSList(data []byte) ([]apfsStore, error) {
	root, err := parsePlist(data)
	if err != nil {
		return nil, err
	}
	containers, err := root.list("Containers")
	if _, told := root["Containers"]; err != nil || !told {
		return nil, errPlist
	}
	var stores []apfsStore
	for _, c := range containers {
		store := apfsStore{bytes: valueOf[int64](c, "CapacityCeiling")}
		parts, err := c.list("PhysicalStores")
		if err != nil {
			return nil, err
		}
		for _, p := range parts {
			store.parts = append(store.parts, p.text("DeviceIdentifier"))
		}
		volumes, err := c.list("Volumes")
		if err != nil {
			return nil, err
		}
		for _, v := range volumes {
			store.volumes = append(store.volumes, apfsVolume{
				name: v.text("DeviceIdentifier"), uuid: v.text("APFSVolumeUUID"), roles: v.texts("Roles"),
				encrypted: v.flag("Encryption"), fileVault: v.flag("FileVault"), locked: v.flag("Locked"),
				migrating: v.flag("CryptoMigrationOn"),
			})
		}
		stores = append(stores, store)
	}
	return stores, nil
}

// holdsFiles reports whether people's files may lie on the volume: those with
// the role Data and those without any, and copies of them (Backup). The rest belong to macOS: System is
// sealed and the same on every Mac, VM is always encrypted, and Preboot,
// Recovery and their like are needed before anybody can give a password.
func (v apfsVolume) holdsFiles() bool {
	return len(v.roles) == 0 || slices.Contains(v.roles, "Data") || slices.Contains(v.roles, "User") ||
		slices.Contains(v.roles, "Backup")
}

// coverage returns how much of the volume is encrypted, by what diskutil says.
// While that changes, only fdesetup knows in which direction.
func (v apfsVolume) coverage() coverage {
	for _, r := range []posture.Reading[bool]{v.locked, v.fileVault, v.encrypted, v.migrating} {
		if !r.Known() {
			return unread(r.Absent)
		}
	}
	switch {
	case v.migrating.Value:
		return unread(posture.Unreadable)
	case v.locked.Value:
		c := encrypted("APFS", unsupported[string]())
		c.protection = posture.Read(posture.ProtectionLocked)
		return c
	case v.fileVault.Value:
		return encrypted("APFS", unsupported[string]())
	case v.encrypted.Value:
		c := uncovered()
		c.protection = posture.Read(posture.ProtectionClearKey)
		return c
	}
	return uncovered()
}

// mountsOf returns where volumes are mounted, by their names.
func mountsOf(disks []macDisk) map[string]string {
	mounts := map[string]string{}
	for _, d := range disks {
		for _, p := range slices.Concat(d.parts, d.volumes, []macPart{d.macPart}) {
			mounts[p.name] = p.mount
		}
	}
	return mounts
}
