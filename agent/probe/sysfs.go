package probe

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// device is one block device as sysfs shows it.
type device struct {
	name   string // "sda1"
	number string // "8:1"
	path   string // "/sys/devices/pci0000:00/…/block/sda/sda1"
	disk   string // name of the disk that this is a partition of; "" if it is none
	part   int    // number of the partition; 0 if it is none
	bytes  posture.Reading[int64]
	// slaves are the devices that this one is made of, holders those made of
	// it.
	slaves, holders []string
	slavesAbsent    posture.Absence
	holdersAbsent   posture.Absence
	mapperUUID      attribute // of device mapper: tells what made it
	mapperName      attribute
	backingFile     attribute // of a loop device; may name a person's file
	partitions      []string
}

// tree is every block device of a machine, by name.
type tree struct {
	devices map[string]*device
	byNum   map[string]*device
	lost    map[string]posture.Absence // devices that are there and could not be read
	absent  posture.Absence            // why something in it is missing, or None
}

const classBlock = "/sys/class/block"

// readTree reads the tree of block devices. Its error is that there is none to
// read; devices that could not be read are left out, and absent says why.
func readTree(ctx context.Context, sys system.Reader) (*tree, error) {
	list, err := sys.Dir(ctx, classBlock)
	if err != nil {
		return nil, err
	}
	t := &tree{devices: map[string]*device{}, byNum: map[string]*device{}, lost: map[string]posture.Absence{}, absent: posture.None}
	for _, e := range list {
		t.read(ctx, sys, e.Name)
	}
	for _, d := range t.devices {
		t.readPartition(ctx, sys, d)
	}
	t.crossCheck()
	for _, d := range t.devices {
		slices.SortFunc(d.partitions, func(a, b string) int { return t.devices[a].part - t.devices[b].part })
	}
	return t, nil
}

// crossCheck distrusts the slaves of a device if they leave one out that names
// it as its holder: concluding from the others alone could hide a plain disk.
func (t *tree) crossCheck() {
	for _, d := range t.devices {
		for _, name := range d.holders {
			holder := t.devices[name]
			if holder != nil && !slices.Contains(holder.slaves, d.name) && holder.slavesAbsent == posture.None {
				holder.slavesAbsent = posture.Unreadable
			}
		}
	}
}

func (t *tree) missing(why posture.Absence) {
	if t.absent == posture.None {
		t.absent = why
	}
}

func (t *tree) lose(name string, why posture.Absence) {
	t.lost[name] = why
	t.missing(why)
}

func (t *tree) read(ctx context.Context, sys system.Reader, name string) {
	target, err := sys.Link(ctx, classBlock+"/"+name)
	if err != nil {
		t.lose(name, system.Absence(err))
		return
	}
	if !path.IsAbs(target) {
		target = path.Join(classBlock, target)
	}
	d := &device{name: name, path: path.Clean(target)}
	number := readAttribute(ctx, sys, d.path+"/dev")
	if number.absent == posture.None && !number.there && readAttribute(ctx, sys, d.path+"/hidden").value == "1" {
		return // one of several paths to a disk: it has no device of its own
	}
	if number.absent != posture.None || !strings.Contains(number.value, ":") {
		t.lose(name, firstAbsence(number.absent, posture.Unreadable))
		return
	}
	d.number = number.value
	d.bytes = sectors(readAttribute(ctx, sys, d.path+"/size").number())
	d.slaves, d.slavesAbsent = names(ctx, sys, d.path+"/slaves")
	d.holders, d.holdersAbsent = mustNames(ctx, sys, d.path+"/holders")
	if strings.HasPrefix(d.path, "/sys/devices/virtual/") {
		d.mapperUUID = readAttribute(ctx, sys, d.path+"/dm/uuid")
		d.mapperName = readAttribute(ctx, sys, d.path+"/dm/name")
		d.backingFile = readAttribute(ctx, sys, d.path+"/loop/backing_file")
	}
	t.devices[name] = d
	t.byNum[d.number] = d
}

// readPartition finds out whether a device is a partition, by its number or by
// lying in the folder of a disk: either is enough.
func (t *tree) readPartition(ctx context.Context, sys system.Reader, d *device) {
	parent := path.Base(path.Dir(d.path))
	disk := t.devices[parent]
	number := readAttribute(ctx, sys, d.path+"/partition")
	if disk == nil && !number.there {
		if number.absent != posture.None {
			t.missing(number.absent)
		}
		return
	}
	d.disk = parent
	if disk != nil {
		disk.partitions = append(disk.partitions, d.name)
	}
	if n := number.number(); n.Known() && n.Value >= 1 && n.Value <= 1<<16 {
		d.part = int(n.Value)
	} else {
		t.missing(firstAbsence(n.Absent, posture.Unreadable))
	}
}

// sectors turns a number of 512-byte sectors, the unit of sysfs whatever the
// disk, into bytes.
func sectors(n posture.Reading[int64]) posture.Reading[int64] {
	switch {
	case !n.Known():
		return n
	case n.Value > 1<<53:
		return posture.Unread[int64](posture.Unreadable)
	}
	return posture.Read(n.Value * 512)
}

// firstAbsence returns the first of the reasons that is one, or None.
func firstAbsence(reasons ...posture.Absence) posture.Absence {
	for _, why := range reasons {
		if why != posture.None {
			return why
		}
	}
	return posture.None
}

// kind is what a block device is, as far as encryption is concerned.
type deviceKind int

const (
	unknownDevice  deviceKind = iota // nothing can be concluded from it
	physicalDevice                   // a disk: where all paths end
	mappedDevice                     // made of other devices by device mapper
	stackedDevice                    // made of other devices by something else, such as RAID
	loopDevice                       // a file
	memoryDevice                     // zram and RAM disks: gone when the power is
	remoteDevice                     // a disk of another machine
)

func (d *device) kind() deviceKind {
	switch {
	case !strings.HasPrefix(d.path, "/sys/devices/virtual/"):
		return physicalDevice
	case strings.Contains(d.path, "/nvme-subsystem/"):
		return physicalDevice // several paths to one disk
	case strings.HasPrefix(d.name, "dm-"):
		return mappedDevice
	case strings.HasPrefix(d.name, "loop"):
		return loopDevice
	case strings.HasPrefix(d.name, "zram"), strings.HasPrefix(d.name, "ram"):
		return memoryDevice
	case strings.HasPrefix(d.name, "nbd"), strings.HasPrefix(d.name, "rbd"):
		return remoteDevice
	case strings.HasPrefix(d.name, "md"), strings.HasPrefix(d.name, "bcache"):
		return stackedDevice
	}
	return unknownDevice
}

// whole returns the disk that a device is a partition of, or the device.
func (t *tree) whole(d *device) *device {
	if disk := t.devices[d.disk]; disk != nil {
		return disk
	}
	return d
}

// leaves returns the physical disks under a device, and whether every path to
// them could be followed.
func (t *tree) leaves(name string) (disks []*device, complete bool) {
	seen := map[string]bool{}
	complete = true
	var visit func(name string)
	visit = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		d := t.devices[name]
		if d == nil {
			complete = false
			return
		}
		d = t.whole(d)
		if d.kind() == physicalDevice {
			if !slices.Contains(disks, d) {
				disks = append(disks, d)
			}
			return
		}
		if d.slavesAbsent != posture.None || len(d.slaves) == 0 {
			complete = false
		}
		for _, s := range d.slaves {
			visit(s)
		}
	}
	visit(name)
	return disks, complete
}

// resolveDevice finds the block device that a path under /dev names.
func (t *tree) resolveDevice(ctx context.Context, sys system.Reader, node string) *device {
	rest, ok := strings.CutPrefix(node, "/dev/")
	if !ok {
		return nil
	}
	if d := t.devices[strings.ReplaceAll(rest, "/", "!")]; d != nil {
		return d
	}
	if mapper, ok := strings.CutPrefix(rest, "mapper/"); ok {
		for _, d := range t.devices {
			if d.mapperName.there && d.mapperName.value == mapper {
				return d
			}
		}
	}
	target, err := sys.Link(ctx, node)
	if err != nil {
		return nil
	}
	return t.devices[path.Base(target)]
}

// uuidsByDevice reads the identifiers that udev found, by device name.
func uuidsByDevice(ctx context.Context, sys system.Reader) map[string]string {
	const dir = "/dev/disk/by-uuid"
	found := map[string]string{}
	list, _ := names(ctx, sys, dir)
	for _, uuid := range list {
		if target, err := sys.Link(ctx, dir+"/"+uuid); err == nil {
			found[path.Base(target)] = uuid
		}
	}
	return found
}

// notThere reports whether an error says that something does not exist.
func notThere(err error) bool { return errors.Is(err, fs.ErrNotExist) }
