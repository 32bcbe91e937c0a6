package system

import (
	"path"
	"strconv"
	"strings"
)

const (
	maxMountinfo = 4 << 20
	maxMounts    = 10_000
)

// mount is one line of /proc/self/mountinfo, as far as the walk needs it.
type mount struct {
	id     string // "29"
	device string // "8:1"
	point  string
	fstype string
	source string // "/dev/sda1"
}

// parseMounts parses /proc/self/mountinfo. Lines that it cannot understand
// are left out: a folder on no known mount is not walked.
func parseMounts(text string) []mount {
	var mounts []mount
	for line := range strings.Lines(text) {
		before, after, ok := strings.Cut(line, " - ")
		field, tail := strings.Fields(before), strings.Fields(after)
		if !ok || len(field) < 6 || len(tail) < 2 || len(mounts) == maxMounts {
			continue
		}
		point := unescapeMount(field[4])
		if !path.IsAbs(point) || path.Clean(point) != point {
			continue
		}
		mounts = append(mounts, mount{id: field[0], device: field[2], point: point, fstype: tail[0], source: unescapeMount(tail[1])})
	}
	return mounts
}

// unescapeMount replaces the kernel's octal escapes of space, tab, newline and
// backslash.
func unescapeMount(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// mountOf returns the mount that a path lies on: the last of the longest that
// cover it.
func mountOf(mounts []mount, name string) (mount, bool) {
	var found mount
	ok := false
	for _, m := range mounts {
		if (m.point == name || below(m.point, name)) && len(m.point) >= len(found.point) {
			found, ok = m, true
		}
	}
	return found, ok
}

// reach is what the walk may do with a kind of file system.
type reach uint8

const (
	strange   reach = iota // unknown or in user space: never touched, and said so
	local                  // on this machine's own disks or in its memory
	elsewhere              // on another machine, or no files at all
)

// reachOf tells by its type where a file system's files are. It only decides
// what is opened at all; after that the kernel is asked again by statfs.
func reachOf(fstype string) reach {
	switch fstype {
	case "ext2", "ext3", "ext4", "btrfs", "xfs", "f2fs", "bcachefs", "zfs", "jfs", "reiserfs", "nilfs2",
		"tmpfs", "ramfs", "overlay", "ecryptfs", "vfat", "msdos", "exfat", "ntfs", "ntfs3", "hfs", "hfsplus",
		"iso9660", "udf", "squashfs", "erofs":
		return local
	case "nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "9p", "virtiofs", "autofs", "ncpfs", "coda",
		"fuse.sshfs", "fuse.rclone", "fuse.gvfsd-fuse", "fuse.portal", "fuse.onedriver", "fuse.s3fs",
		"fuse.google-drive-ocamlfuse", "fuse.davfs", "fuse.glusterfs", "fuse.cephfs":
		return elsewhere
	case "proc", "sysfs", "devtmpfs", "devpts", "cgroup", "cgroup2", "debugfs", "tracefs", "securityfs",
		"bpf", "mqueue", "hugetlbfs", "fusectl", "configfs", "pstore", "efivarfs", "binfmt_misc", "nsfs",
		"selinuxfs", "rpc_pipefs":
		return elsewhere
	}
	return strange
}
