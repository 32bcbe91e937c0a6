package probe

import (
	"errors"
	"path"
	"strconv"
	"strings"
)

// mount is one line of /proc/self/mountinfo.
type mount struct {
	number     string // "8:1": major and minor number of the filesystem's device
	root       string // the part of the filesystem that is mounted; "/" for all of it
	point      string
	filesystem string
	source     string
}

var errMountinfo = errors.New("mountinfo was cut, or a line of it has too few fields")

// parseMountinfo reads /proc/self/mountinfo. A line that it cannot read is an
// error: a mount that is left out could be the one that matters.
func parseMountinfo(data string) ([]mount, error) {
	var mounts []mount
	if !strings.HasSuffix(data, "\n") {
		return nil, errMountinfo // it was cut
	}
	for line := range strings.Lines(data) {
		line = strings.TrimRight(line, "\n")
		if line == "" {
			continue
		}
		// 36 35 98:0 /root /point rw,noatime master:1 - ext4 /dev/root rw,errors=continue
		before, after, found := strings.Cut(line, " - ")
		left, right := strings.Split(before, " "), strings.Split(after, " ")
		if !found || len(left) < 6 || len(right) < 2 || !strings.Contains(left[2], ":") {
			return nil, errMountinfo
		}
		mounts = append(mounts, mount{
			number:     left[2],
			root:       unescape(left[3]),
			point:      unescape(left[4]),
			filesystem: right[0],
			source:     unescape(right[1]),
		})
	}
	return mounts, nil
}

// swapArea is one line of /proc/swaps.
type swapArea struct {
	path  string
	file  bool // a file in a filesystem, not a device
	bytes int64
}

var errSwaps = errors.New("a line of /proc/swaps has too few fields")

// parseSwaps reads /proc/swaps.
func parseSwaps(data string) ([]swapArea, error) {
	var areas []swapArea
	first := true
	for line := range strings.Lines(data) {
		fields := strings.Fields(line)
		switch {
		case first:
			first = false
			if len(fields) == 0 || fields[0] != "Filename" {
				return nil, errSwaps
			}
		case len(fields) == 0:
		case len(fields) < 5:
			return nil, errSwaps
		default:
			kib, err := strconv.ParseInt(fields[len(fields)-3], 10, 64)
			if err != nil || kib < 0 || kib > 1<<50 {
				return nil, errSwaps
			}
			areas = append(areas, swapArea{path: unescape(fields[0]), file: fields[len(fields)-4] == "file", bytes: kib << 10})
		}
	}
	if first {
		return nil, errSwaps
	}
	return areas, nil
}

// unescape undoes the kernel's writing of spaces and such as \040.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && octal(s[i+1]) && s[i+1] <= '3' && octal(s[i+2]) && octal(s[i+3]) {
			b.WriteByte((s[i+1]-'0')<<6 | (s[i+2]-'0')<<3 | (s[i+3] - '0'))
			i += 3
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func octal(c byte) bool { return c >= '0' && c <= '7' }

// holding returns the mount that a path lies in: of those whose mount point
// leads to it, the one that was mounted last on the longest.
func holding(mounts []mount, file string) (mount, bool) {
	file = path.Clean(file)
	best, found := mount{}, false
	for _, m := range mounts {
		if within(m.point, file) && (!found || len(m.point) >= len(best.point)) {
			best, found = m, true
		}
	}
	return best, found
}

// within reports whether file is dir or lies in it.
func within(dir, file string) bool {
	return dir == "/" && strings.HasPrefix(file, "/") || file == dir || strings.HasPrefix(file, dir+"/")
}

// ownPoints are the mount points that a system names by itself, and what the
// filesystem there is for. Any other name could be a person's.
var ownPoints = map[string]bool{ // true where it holds what starts the system
	"/": false, "/usr": false, "/usr/local": false, "/opt": false, "/srv": false, "/root": false,
	"/home": false, "/tmp": false, "/sysroot": false, "/nix": false, "/nix/store": false, "/gnu/store": false,
	"/var": false, "/var/log": false, "/var/log/audit": false, "/var/lib": false, "/var/tmp": false,
	"/var/cache": false, "/var/spool": false, "/var/mail": false, "/var/lib/docker": false,
	"/var/lib/flatpak": false, "/var/lib/libvirt": false, "/var/home": false,
	"/boot": true, "/boot/efi": true, "/efi": true, "/boot/firmware": true, "/boot/loader": true,
}

// systemPoints hold the operating system itself.
var systemPoints = map[string]bool{"/": true, "/usr": true, "/sysroot": true}

// pseudo are the filesystems without a disk of their own: in memory, made up
// by the kernel, stacked on others, or on another machine. All of fuse is
// among them but fuseblk, which has a block device.
var pseudo = map[string]bool{
	"9p": true, "afs": true, "anon_inodefs": true, "aufs": true, "autofs": true, "bdev": true, "binder": true,
	"binfmt_misc": true, "bpf": true, "ceph": true, "cgroup": true, "cgroup2": true, "cifs": true,
	"coda": true, "configfs": true, "cpuset": true, "debugfs": true, "devfs": true, "devpts": true,
	"devtmpfs": true, "drvfs": true, "ecryptfs": true, "efivarfs": true, "functionfs": true, "fusectl": true,
	"gadgetfs": true, "glusterfs": true, "hugetlbfs": true, "ipathfs": true, "lustre": true, "mqueue": true,
	"ncpfs": true, "nfs": true, "nfs4": true, "nfsd": true, "nsfs": true, "overlay": true, "pipefs": true,
	"prl_fs": true, "proc": true, "pstore": true, "pvfs2": true, "ramfs": true, "resctrl": true, "rootfs": true,
	"rpc_pipefs": true, "securityfs": true, "selinuxfs": true, "shiftfs": true, "smackfs": true, "smb3": true,
	"smbfs": true, "sockfs": true, "sysfs": true, "tmpfs": true, "tracefs": true, "unionfs": true,
	"usbfs": true, "vboxsf": true, "virtiofs": true, "vmhgfs": true, "xenfs": true, "v9fs": true,
	"secretmem": true, "dax": true, "guest_memfd": true, "fuse": true, "ocfs2_dlmfs": true,
}

// readOnlyFormats are the filesystems that cannot be written by their nature.
var readOnlyFormats = map[string]bool{
	"cramfs": true, "erofs": true, "iso9660": true, "romfs": true, "squashfs": true, "udf": true,
}

func isPseudo(filesystem string) bool {
	return pseudo[filesystem] || strings.HasPrefix(filesystem, "fuse.")
}

// mayHang tells the filesystems whose answers come from another machine or
// from a program, and may never come: what lies there is not asked for.
func mayHang(filesystem string) bool {
	switch filesystem {
	case "nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "9p", "v9fs", "virtiofs", "autofs", "ncpfs", "coda", "glusterfs", "lustre",
		"pvfs2", "vboxsf", "vmhgfs", "prl_fs", "fuse", "fuseblk":
		return true
	}
	return strings.HasPrefix(filesystem, "fuse.")
}
