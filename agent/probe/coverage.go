package probe

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// coverage is how much of what lies under a volume is encrypted, and how.
type coverage struct {
	state      posture.Reading[posture.EncryptionState]
	protection posture.Reading[posture.ProtectionState]
	methods    []string
	ciphers    []posture.Reading[string]
}

func unread(why posture.Absence) coverage {
	return coverage{
		state:      posture.Unread[posture.EncryptionState](why),
		protection: posture.Unread[posture.ProtectionState](why),
		ciphers:    []posture.Reading[string]{posture.Unread[string](why)},
	}
}

func uncovered() coverage {
	return coverage{state: posture.Read(posture.Unencrypted), protection: posture.Read(posture.ProtectionOff)}
}

// encrypted is the coverage of a mapping that is open.
func encrypted(method string, cipher posture.Reading[string]) coverage {
	return coverage{
		state: posture.Read(posture.Encrypted), protection: posture.Read(posture.ProtectionOn),
		methods: []string{method}, ciphers: []posture.Reading[string]{cipher},
	}
}

// combine joins the coverage of several devices that hold one volume
// together. It is encrypted only if all of them are; if some are known to be
// and some known not to be, it is partial whatever the others are.
func combine(parts []coverage) coverage {
	if len(parts) == 0 {
		return unread(posture.Unreadable)
	}
	all := coverage{protection: posture.Read(posture.ProtectionOff)}
	count := map[posture.EncryptionState]int{}
	why := posture.None
	for i, p := range parts {
		if p.state.Known() {
			count[p.state.Value]++
		} else {
			why = firstAbsence(why, p.state.Absent)
		}
		all.methods = append(all.methods, p.methods...)
		all.ciphers = append(all.ciphers, p.ciphers...)
		if i == 0 {
			all.protection = p.protection
		} else {
			all.protection = weaker(all.protection, p.protection)
		}
	}
	none, some := count[posture.Unencrypted], len(parts)-count[posture.Unencrypted]
	unknown := some - count[posture.Encrypted] - count[posture.Partial] - count[posture.Encrypting] - count[posture.Decrypting]
	switch {
	case count[posture.Partial] > 0, none > 0 && some > unknown:
		all.state = posture.Read(posture.Partial)
		all.protection = posture.Read(posture.ProtectionOn)
	case unknown > 0:
		return unread(why)
	case none == len(parts):
		all.state = posture.Read(posture.Unencrypted)
	case count[posture.Decrypting] > 0:
		all.state = posture.Read(posture.Decrypting)
	case count[posture.Encrypting] > 0:
		all.state = posture.Read(posture.Encrypting)
	default:
		all.state = posture.Read(posture.Encrypted)
	}
	return all
}

// weaker returns the worse of two protections; one that is not known is worse
// than any.
func weaker(a, b posture.Reading[posture.ProtectionState]) posture.Reading[posture.ProtectionState] {
	order := []posture.ProtectionState{
		posture.ProtectionClearKey, posture.ProtectionSuspended, posture.ProtectionOff, posture.ProtectionOn, posture.ProtectionLocked,
	}
	switch {
	case !a.Known():
		return a
	case !b.Known() || slices.Index(order, b.Value) < slices.Index(order, a.Value):
		return b
	}
	return a
}

// cipher returns the ciphers as one reading; none is "", which says that
// nothing is encrypted.
func (c coverage) cipher() posture.Reading[string] {
	if c.state.Known() && c.state.Value == posture.Unencrypted {
		return posture.Read("")
	}
	var list []string
	for _, r := range c.ciphers {
		if !r.Known() {
			return r
		}
		list = append(list, r.Value)
	}
	return posture.Read(joined(list))
}

func (c coverage) method() posture.Reading[string] {
	switch {
	case !c.state.Known():
		return posture.Unread[string](c.state.Absent)
	case c.state.Value == posture.Unencrypted:
		return posture.Read("")
	}
	return posture.Read(joined(c.methods))
}

// survey is what one look at a machine's storage has read.
type survey struct {
	sys      system.Reader
	tree     *tree
	mounts   []mount
	uuids    map[string]string     // by device name, from udev
	covered  map[string]coverage   // by device name
	zfs      map[string]zfsDataset // nil until asked
	zfsErr   posture.Absence
	btrfs    map[string][]string // names of member devices by uuid; nil until asked
	btrfsErr posture.Absence
	pools    map[string]coverage       // by name of a ZFS pool
	tables   map[string]partitionTable // by disk name
}

// image returns the content of a device.
func (s *survey) image(ctx context.Context, d *device) (image, error) {
	if !d.bytes.Known() {
		return image{}, errSize
	}
	return deviceImage(ctx, s.sys, d.name, d.bytes.Value), nil
}

var errSize = errors.New("its size could not be read")

func (s *survey) header(ctx context.Context, d *device) (header, error) {
	dev, err := s.image(ctx, d)
	if err != nil {
		return header{}, err
	}
	return readHeader(dev)
}

// cover returns how the disks under a device are encrypted: fully only if
// every path from it to a disk crosses a device that encrypts.
func (s *survey) cover(ctx context.Context, name string) coverage {
	if c, seen := s.covered[name]; seen {
		return c
	}
	s.covered[name] = unread(posture.Unreadable) // stands if the devices form a circle
	c := s.coverDevice(ctx, name)
	s.covered[name] = c
	return c
}

func (s *survey) coverDevice(ctx context.Context, name string) coverage {
	d := s.tree.devices[name]
	if d == nil {
		return unread(firstAbsence(s.tree.absent, posture.NotVisible))
	}
	if d.disk != "" {
		return s.cover(ctx, d.disk)
	}
	switch d.kind() {
	case physicalDevice:
		return uncovered()
	case mappedDevice:
		return s.coverMapping(ctx, d)
	case stackedDevice:
		return s.coverSlaves(ctx, d)
	case loopDevice:
		return s.coverLoop(ctx, d)
	case remoteDevice:
		return unread(posture.NotVisible)
	case unknownDevice, memoryDevice:
	}
	return unread(posture.Unsupported)
}

func (s *survey) coverSlaves(ctx context.Context, d *device) coverage {
	if d.slavesAbsent != posture.None {
		return unread(d.slavesAbsent)
	}
	var under []coverage
	for _, slave := range d.slaves {
		under = append(under, s.cover(ctx, slave))
	}
	return combine(under) // Unreadable if it is made of nothing
}

// coverLoop returns the coverage of the filesystem that a loop device's file
// lies in. The name of the file goes nowhere.
func (s *survey) coverLoop(ctx context.Context, d *device) coverage {
	switch {
	case d.backingFile.absent != posture.None:
		return unread(d.backingFile.absent)
	case !d.backingFile.there:
		return unread(posture.NotVisible)
	}
	return s.coverFile(ctx, strings.TrimSuffix(d.backingFile.value, " (deleted)"))
}

// coverFile returns the coverage of the filesystem that a file lies in.
func (s *survey) coverFile(ctx context.Context, file string) coverage {
	m, ok := holding(s.mounts, file)
	if !ok {
		return unread(posture.NotVisible)
	}
	return s.coverMount(ctx, m)
}
