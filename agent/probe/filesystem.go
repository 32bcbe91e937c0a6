package probe

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// coverMount returns how a mounted filesystem is encrypted.
func (s *survey) coverMount(ctx context.Context, m mount) coverage {
	var c coverage
	switch d := s.tree.byNum[m.number]; {
	case m.filesystem == "bcachefs":
		return unread(posture.Unsupported) // encrypts by itself, and says so nowhere
	case m.filesystem == "zfs":
		return s.coverZFS(ctx, m)
	case m.filesystem == "btrfs":
		c = s.coverBtrfs(ctx, m)
	case d != nil:
		c = s.coverFolders(ctx, d, m, s.cover(ctx, d.name))
	case isPseudo(m.filesystem):
		return unread(posture.NotVisible)
	case !strings.HasPrefix(m.number, "0:"):
		return unread(firstAbsence(s.tree.absent, posture.NotVisible))
	default:
		return unread(posture.Unsupported)
	}
	return s.coverStacked(ctx, m, c)
}

// coverFolders looks in the superblock whether folders of a filesystem on a
// plain device are encrypted one by one.
func (s *survey) coverFolders(ctx context.Context, d *device, m mount, c coverage) coverage {
	if !supportsFscrypt(m.filesystem) || !c.state.Known() || c.state.Value != posture.Unencrypted {
		return c
	}
	h, err := s.header(ctx, d)
	switch {
	case err != nil:
		return s.fscryptFolder(ctx, m, c, headerAbsence(err))
	case h.format != m.filesystem && (m.filesystem != "ext4" || !strings.HasPrefix(h.format, "ext")):
		return unread(posture.Unreadable)
	case h.encryption.Value == posture.Partial:
		return partly("fscrypt")
	}
	return c
}

// partly is the coverage of a filesystem with folders that a method encrypts.
func partly(methods ...string) coverage {
	return coverage{
		state: posture.Read(posture.Partial), protection: posture.Read(posture.ProtectionOn), methods: methods,
		ciphers: []posture.Reading[string]{posture.Unread[string](posture.NotVisible)},
	}
}

// fscryptFolder looks, where the superblock may not be read, for the folder
// that fscrypt keeps at the top of a filesystem that it is used on. That the
// filesystem as a whole is not encrypted is known without it.
func (s *survey) fscryptFolder(ctx context.Context, m mount, c coverage, why posture.Absence) coverage {
	_, own := ownPoints[m.point]
	if why != posture.Denied && why != posture.NotVisible || !own || m.root != "/" {
		return unread(why)
	}
	switch _, err := s.sys.Stat(ctx, path.Join(m.point, ".fscrypt")); {
	case err == nil:
		return partly("fscrypt")
	case notThere(err):
		return c
	}
	return unread(why)
}

// stacked are the filesystems that encrypt a folder of another one.
var stacked = map[string]string{
	"ecryptfs": "eCryptfs", "fuse.gocryptfs": "gocryptfs", "fuse.encfs": "EncFS",
	"fuse.cryfs": "CryFS", "fuse.securefs": "securefs",
}

// coverStacked looks whether a folder of a plain filesystem is encrypted by
// another filesystem on top of it: one that is mounted, or the homes that
// eCryptfs leaves while nobody is signed in.
func (s *survey) coverStacked(ctx context.Context, m mount, c coverage) coverage {
	if !c.state.Known() || c.state.Value != posture.Unencrypted {
		return c
	}
	var methods []string
	below := slices.DeleteFunc(slices.Clone(s.mounts), func(m mount) bool { return stacked[m.filesystem] != "" })
	for _, top := range s.mounts {
		method := stacked[top.filesystem]
		if method == "" || !strings.HasPrefix(top.source, "/") {
			continue
		}
		if under, ok := holding(below, top.source); ok && under.number == m.number {
			methods = append(methods, method)
		}
	}
	if len(methods) > 0 {
		return partly(methods...)
	}
	const homes = "/home/.ecryptfs"
	if under, ok := holding(below, homes); !ok || under.number != m.number {
		return c
	}
	switch _, err := s.sys.Stat(ctx, homes); {
	case notThere(err):
		return c
	case err != nil:
		return unread(headerAbsence(err))
	}
	return partly("eCryptfs")
}

// btrfsMembers returns the devices of the btrfs filesystem that a mount's
// source belongs to.
func (s *survey) btrfsMembers(ctx context.Context, m mount) (uuid string, members []string, why posture.Absence) {
	if s.btrfs == nil && s.btrfsErr == posture.None {
		s.btrfs, s.btrfsErr = readBtrfs(ctx, s.sys)
	}
	if s.btrfsErr != posture.None {
		return "", nil, s.btrfsErr
	}
	if d := s.tree.resolveDevice(ctx, s.sys, m.source); d != nil {
		for uuid, members := range s.btrfs {
			if slices.Contains(members, d.name) {
				return uuid, members, posture.None
			}
		}
	}
	return "", nil, posture.Unreadable
}

// readBtrfs returns the names of the devices of each mounted btrfs filesystem.
func readBtrfs(ctx context.Context, sys system.Reader) (map[string][]string, posture.Absence) {
	const dir = "/sys/fs/btrfs"
	list, why := names(ctx, sys, dir)
	if why != posture.None {
		return nil, why
	}
	found := map[string][]string{}
	for _, uuid := range list {
		if len(uuid) != 36 {
			continue // "features" and such
		}
		members, why := mustNames(ctx, sys, dir+"/"+uuid+"/devices")
		if why != posture.None {
			return nil, why
		}
		found[uuid] = members
	}
	return found, posture.None
}

func (s *survey) coverBtrfs(ctx context.Context, m mount) coverage {
	_, members, why := s.btrfsMembers(ctx, m)
	if why != posture.None {
		return unread(why)
	}
	var under []coverage
	for _, name := range members {
		under = append(under, s.cover(ctx, name))
	}
	return combine(under)
}

// coverZFS asks ZFS itself; where it does not encrypt, the disks under the
// pool may.
func (s *survey) coverZFS(ctx context.Context, m mount) coverage {
	if s.zfs == nil && s.zfsErr == posture.None {
		s.zfs, s.zfsErr = zfsDatasets(ctx, s.sys)
	}
	if s.zfsErr != posture.None {
		return unread(s.zfsErr)
	}
	set, ok := s.zfs[m.source]
	if !ok {
		return unread(posture.Unreadable)
	}
	if c, own := set.coverage(); own {
		return c
	}
	pool, _, _ := strings.Cut(m.source, "/")
	c, done := s.pools[pool]
	if !done {
		c = s.poolCoverage(ctx, pool)
		s.pools[pool] = c
	}
	return c
}

// unclaimed returns the devices that nothing is made of and that nothing
// mounted lies on: where a filesystem can be that is not in use.
func (s *survey) unclaimed() []*device {
	used := map[string]bool{}
	for _, m := range s.mounts {
		if d := s.tree.byNum[m.number]; d != nil {
			used[d.name] = true
		}
	}
	for _, members := range s.btrfs {
		for _, name := range members {
			used[name] = true
		}
	}
	var free []*device
	for _, d := range s.tree.devices {
		if k := d.kind(); k != physicalDevice && k != mappedDevice && k != stackedDevice {
			continue
		}
		disk := s.tree.whole(d)
		switch {
		case used[d.name], len(d.holders) > 0, len(d.partitions) > 0:
		case disk != d && len(disk.holders) > 0: // the whole disk is in use
		case d.bytes.Known() && d.bytes.Value <= 1024: // an extended partition
		case notForFiles(d.name):
		default:
			free = append(free, d)
		}
	}
	slices.SortFunc(free, func(a, b *device) int { return strings.Compare(a.name, b.name) })
	return free
}

// notForFiles reports whether a device is an optical or floppy drive, whose
// medium is no volume of the machine, or the boot area of a flash chip.
func notForFiles(name string) bool {
	switch {
	case strings.HasPrefix(name, "sr"), strings.HasPrefix(name, "fd"):
		return true
	case strings.HasPrefix(name, "mmcblk"):
		return strings.Contains(name, "boot") || strings.Contains(name, "rpmb") || strings.Contains(name, "gp")
	}
	return strings.HasPrefix(name, "mtdblock")
}
