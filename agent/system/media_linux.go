package system

import (
	"context"
	"path"
	"regexp"
	"strings"
)

// usbPath finds a USB bus among the elements of a device's path in sysfs.
var usbPath = regexp.MustCompile(`/usb[0-9]+/`)

// maxStack bounds how many devices may be stacked on one another.
const maxStack = 8

// isSystemMount tells the mounts that belong to the system even if the whole
// machine runs from a stick.
func isSystemMount(point string) bool {
	switch point {
	case "/", "/home", "/usr", "/var", "/opt", "/srv":
		return true
	}
	for _, dir := range []string{"/boot", "/efi", "/var/lib", "/snap", "/etc", "/dev", "/proc", "/sys"} {
		if point == dir || below(dir, point) {
			return true
		}
	}
	return false
}

// isMedia reports whether a mount lies on a medium that can be carried away:
// a disk on USB, an SD card, a disc.
func (l *linux) isMedia(ctx context.Context, m mount) bool {
	// Btrfs and others have no device number of their own.
	if strings.HasPrefix(m.device, "0:") {
		source := l.canonical(ctx, path.Clean(m.source))
		return below("/dev", source) && l.carried(ctx, "/sys/class/block/"+path.Base(source), 0)
	}
	return l.carried(ctx, "/sys/dev/block/"+m.device, 0)
}

// carried reports whether a block device, or one that it is stacked on, is a
// medium. Link is its name in sysfs.
func (l *linux) carried(ctx context.Context, link string, depth int) bool {
	target, err := l.Link(ctx, link)
	if err != nil || depth > maxStack {
		return false
	}
	device := path.Join(path.Dir(link), target)
	if usbPath.MatchString(device) || strings.Contains(device, "/block/sr") {
		return true
	}
	if strings.Contains(device, "/block/mmcblk") && l.isCard(ctx, device) {
		return true
	}
	slaves, err := l.Dir(ctx, device+"/slaves")
	if err != nil {
		return false
	}
	for _, s := range slaves {
		if l.carried(ctx, "/sys/class/block/"+s.Name, depth+1) {
			return true
		}
	}
	return false
}

// isCard tells an SD card from the soldered memory that shares its bus. A
// partition's disk is the folder above it.
func (l *linux) isCard(ctx context.Context, device string) bool {
	for _, disk := range []string{device, path.Dir(device)} {
		if kind, err := l.File(ctx, disk+"/device/type", small); err == nil {
			return strings.TrimSpace(string(kind)) == "SD"
		}
	}
	return false
}
