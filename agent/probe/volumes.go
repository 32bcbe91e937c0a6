package probe

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Volumes returns the local writable filesystems of a machine, those on
// partitions that are not mounted, and its swap areas. What lies on removable
// media belongs to Media, unless the system itself runs from it.
func Volumes(ctx context.Context, sys system.Reader) posture.Answer[posture.Volume] {
	switch on := sys.Platform(); {
	case system.JudgesLinux && on == posture.Linux:
		return linuxVolumes(ctx, sys)
	case system.JudgesWindows && on == posture.Windows:
		return windowsVolumes(ctx, sys)
	case system.JudgesMacOS && on == posture.MacOS:
		return macVolumes(ctx, sys)
	}
	return posture.NotFound[posture.Volume]("", posture.NotAsked)
}

func linuxVolumes(ctx context.Context, sys system.Reader) posture.Answer[posture.Volume] {
	s, why := look(ctx, sys)
	if why != posture.None {
		return posture.NotFound[posture.Volume]("mountinfo", why)
	}
	v := volumeList{survey: s, ids: map[string]int{}}
	v.mounted(ctx)
	v.swaps(ctx)
	v.unmounted(ctx)
	if !slices.ContainsFunc(s.mounts, func(m mount) bool { return m.point == "/" }) {
		v.gap("mountinfo", posture.Unreadable)
	}
	if s.tree.absent != posture.None {
		v.gap("block devices", s.tree.absent)
	}
	answer := posture.Found("sysfs", v.found...)
	answer.Gaps = v.gaps
	return answer
}

// look reads what every question about storage starts from.
func look(ctx context.Context, sys system.Reader) (*survey, posture.Absence) {
	data, err := sys.File(ctx, "/proc/self/mountinfo", 4<<20)
	if err != nil {
		return nil, system.Absence(err)
	}
	mounts, err := parseMountinfo(string(data))
	if err != nil {
		return nil, posture.Unreadable
	}
	blocks, err := readTree(ctx, sys)
	if err != nil {
		blocks = &tree{absent: headerAbsence(err)}
	}
	return &survey{
		sys: sys, tree: blocks, mounts: mounts, uuids: uuidsByDevice(ctx, sys),
		covered: map[string]coverage{}, tables: map[string]partitionTable{}, pools: map[string]coverage{}, zfsErr: posture.None, btrfsErr: posture.None,
	}, posture.None
}

// volumeList gathers volumes.
type volumeList struct {
	*survey
	found []posture.Volume
	gaps  []posture.Gap
	ids   map[string]int // how often each identifier was given out
	swap  map[string]bool
}

func (v *volumeList) gap(source string, why posture.Absence) {
	g := posture.Gap{Source: source, Absent: why}
	if !slices.Contains(v.gaps, g) {
		v.gaps = append(v.gaps, g)
	}
}

// id makes a volume's identifier of what identifies it elsewhere.
func (v *volumeList) id(own string) string {
	v.ids[own]++
	if n := v.ids[own]; n > 1 {
		own += "\x00" + strconv.Itoa(n) // a copy, with the identifier of the original
	}
	sum := sha256.Sum256([]byte("caretaker volume\x00" + own))
	return hex.EncodeToString(sum[:6])
}

// identity returns what identifies a device's content: the filesystem's own
// identifier, or device mapper's.
func (v *volumeList) identity(ctx context.Context, d *device, fallback string) string {
	if uuid := v.uuids[d.name]; uuid != "" {
		return uuid
	}
	if h, err := v.header(ctx, d); err == nil && h.uuid != "" {
		return h.uuid
	}
	if d.mapperUUID.value != "" {
		return d.mapperUUID.value
	}
	return fallback
}

func (v *volumeList) add(id string, role posture.VolumeRole, point string, filesystem posture.Reading[string], size posture.Reading[int64], c coverage) {
	v.found = append(v.found, posture.Volume{
		ID: v.id(id), Role: role, Mount: point, Filesystem: filesystem, Capacity: size,
		Encryption: c.state, Protection: c.protection, Method: c.method(), Cipher: c.cipher(),
	})
}

// mounted adds the filesystems that are mounted, each once.
func (v *volumeList) mounted(ctx context.Context) {
	groups := map[string][]mount{}
	var order []string
	for _, m := range v.mounts {
		if m.point != "/" && (isPseudo(m.filesystem) || readOnlyFormats[m.filesystem]) {
			continue
		}
		key := m.number
		if m.filesystem == "zfs" {
			key = "zfs " + m.source
		}
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], m)
	}
	pools := map[string]int{}
	for _, key := range order {
		v.addMounted(ctx, groups[key], pools)
	}
}

func (v *volumeList) addMounted(ctx context.Context, group []mount, pools map[string]int) {
	m := bestMount(group)
	role, point := roleOf(group), "other"
	if _, own := ownPoints[m.point]; own {
		point = m.point
	}
	d := v.tree.byNum[m.number]
	if d != nil && point == "other" && v.onMedia(ctx, d) {
		return
	}
	c := v.coverMount(ctx, m)
	fallback := string(role) + ":" + point
	filesystem := posture.Read(text(m.filesystem))
	switch {
	case m.filesystem == "zfs":
		pool, _, _ := strings.Cut(m.source, "/")
		same := fmt.Sprint(pool, role, c.state, c.protection, c.methods)
		if pools[same]++; pools[same] > 1 {
			return // one of many datasets of a pool that are all alike
		}
		v.add(fallback, role, point, filesystem, posture.Unread[int64](posture.Unsupported), c)
	case m.filesystem == "btrfs":
		uuid, members, why := v.btrfsMembers(ctx, m)
		if why != posture.None {
			uuid = fallback
		}
		v.add(uuid, role, point, filesystem, v.sum(members), c)
	case d != nil:
		if m.filesystem == "fuseblk" {
			filesystem = v.formatOf(ctx, d)
		}
		v.add(v.identity(ctx, d, fallback), role, point, filesystem, d.bytes, c)
	default:
		if m.filesystem == "fuseblk" {
			filesystem = posture.Unread[string](firstAbsence(v.tree.absent, posture.NotVisible))
		}
		v.add(fallback, role, point, filesystem, posture.Unread[int64](c.state.Absent), c)
	}
}

// bestMount returns the mount that says most about what a filesystem is for:
// the root, else the shortest of the system's own names.
func bestMount(group []mount) mount {
	return slices.MinFunc(group, func(a, b mount) int {
		_, ownA := ownPoints[a.point]
		_, ownB := ownPoints[b.point]
		switch {
		case ownA && !ownB:
			return -1
		case ownB && !ownA:
			return 1
		}
		return len(a.point) - len(b.point)
	})
}

// roleOf returns what a filesystem is for. It is there for booting only if
// none of the system's other places lies in it.
func roleOf(group []mount) posture.VolumeRole {
	role, boot := posture.DataVolume, false
	for _, m := range group {
		isBoot, own := ownPoints[m.point]
		switch {
		case systemPoints[m.point]:
			return posture.SystemVolume
		case isBoot:
			boot = true
		case own:
			role = ""
		}
	}
	if boot && role != "" {
		return posture.BootVolume
	}
	return posture.DataVolume
}

// onMedia reports whether all that lies under a device is removable, for sure.
func (s *survey) onMedia(ctx context.Context, d *device) bool {
	disks, complete := s.tree.leaves(d.name)
	for _, disk := range disks {
		if a := s.attachment(ctx, disk); a.absent != posture.None || a.bus == "" {
			return false
		}
	}
	return complete && len(disks) > 0
}

func (v *volumeList) sum(members []string) posture.Reading[int64] {
	var total int64
	for _, name := range members {
		d := v.tree.devices[name]
		if d == nil {
			return posture.Unread[int64](posture.NotVisible)
		}
		if !d.bytes.Known() {
			return d.bytes
		}
		total += d.bytes.Value
	}
	if len(members) == 0 {
		return posture.Unread[int64](posture.Unreadable)
	}
	return posture.Read(total)
}

func (v *volumeList) formatOf(ctx context.Context, d *device) posture.Reading[string] {
	h, err := v.header(ctx, d)
	switch {
	case err != nil:
		return posture.Unread[string](headerAbsence(err))
	case h.format == "":
		return posture.Unread[string](posture.Unreadable)
	}
	return posture.Read(h.format)
}

// swaps adds the swap areas in use. Those in memory are none: they are gone
// when the power is, unless they write back to a device.
func (v *volumeList) swaps(ctx context.Context) {
	v.swap = map[string]bool{}
	data := readAttribute(ctx, v.sys, "/proc/swaps")
	if data.absent != posture.None {
		v.gap("swaps", data.absent)
		return
	}
	if !data.there {
		return // a kernel without swap
	}
	areas, err := parseSwaps(data.value)
	if err != nil {
		v.gap("swaps", posture.Unreadable)
		return
	}
	swap := posture.Read("swap")
	for _, a := range areas {
		if a.file {
			v.add("swap file", posture.SwapVolume, "", swap, posture.Read(a.bytes), v.coverFile(ctx, a.path))
			continue
		}
		d := v.tree.resolveDevice(ctx, v.sys, a.path)
		if d == nil {
			v.gap("swaps", firstAbsence(v.tree.absent, posture.NotVisible))
			continue
		}
		v.swap[d.name] = true
		if d.kind() != memoryDevice {
			v.add(v.identity(ctx, d, unmountedID(d)), posture.SwapVolume, "", swap, d.bytes, v.cover(ctx, d.name))
			continue
		}
		v.writeBack(ctx, d)
	}
}

// writeBack adds the device that a compressed swap in memory moves pages to.
func (v *volumeList) writeBack(ctx context.Context, d *device) {
	back := readAttribute(ctx, v.sys, d.path+"/backing_dev")
	switch {
	case back.absent != posture.None:
		v.gap("zram", back.absent)
	case !back.there, back.value == "", back.value == "none":
	default:
		c := unread(posture.NotVisible)
		size := posture.Unread[int64](posture.NotVisible)
		if under := v.tree.resolveDevice(ctx, v.sys, back.value); under != nil {
			v.swap[under.name] = true
			c, size = v.cover(ctx, under.name), under.bytes
		} else if !strings.HasPrefix(back.value, "/dev/") {
			c = v.coverFile(ctx, back.value)
		}
		v.add("zram", posture.SwapVolume, "", posture.Read("swap"), size, c)
	}
}

// unmounted adds the partitions and disks that hold a filesystem though it is
// not mounted, and those of which it cannot be told what they hold.
func (v *volumeList) unmounted(ctx context.Context) {
	for _, d := range v.unclaimed() {
		if v.swap[d.name] || v.onMedia(ctx, d) || d.bytes == posture.Read[int64](0) {
			continue
		}
		if d.holdersAbsent != posture.None {
			v.gap("unmounted partitions", d.holdersAbsent)
			continue
		}
		h, err := v.header(ctx, d)
		if err != nil {
			v.unmountedUnread(d, err)
			continue
		}
		v.addUnmounted(ctx, d, h)
	}
}

// unmountedUnread says of a device whose header could not be had that there is
// a gap; of one whose header is damaged, that there is something.
func (v *volumeList) unmountedUnread(d *device, err error) {
	why := headerAbsence(err)
	if !isDamaged(err) {
		v.gap("unmounted partitions", why)
		return
	}
	v.add(unmountedID(d), posture.DataVolume, "", posture.Unread[string](why), d.bytes, unread(why))
}

// unmountedID identifies a device that has no identifier of its own.
func unmountedID(d *device) string {
	return "unmounted:" + strconv.Itoa(d.part) + d.mapperUUID.value
}

func (v *volumeList) addUnmounted(ctx context.Context, d *device, h header) {
	if h.content == holdsNothing || readOnlyFormats[h.format] {
		return
	}
	if h.format == "zfs_member" && slices.ContainsFunc(v.mounts, func(m mount) bool { return m.filesystem == "zfs" }) {
		return // a disk of a pool in use: seen from above
	}
	if h.format == "btrfs" && v.btrfsErr != posture.None {
		v.gap("btrfs", v.btrfsErr) // it may be in use
		return
	}
	role := posture.DataVolume
	if h.content != holdsEncrypted {
		kind, err := v.typeOf(ctx, d)
		switch {
		case err != nil:
			v.gap("partition table", headerAbsence(err))
			return
		case typesWithoutFiles[kind]:
			return
		case isBootType(kind):
			role = posture.BootVolume
		}
	}
	if h.content == holdsSwap {
		role = posture.SwapVolume
	}
	format := posture.Read(h.format)
	switch h.content {
	case holdsEncrypted, holdsMember:
		format = posture.Unread[string](posture.NotVisible)
	case holdsUnknown, holdsTable:
		format = posture.Unread[string](posture.Unreadable)
	case holdsNothing, holdsFilesystem, holdsSwap:
	}
	uuid := h.uuid
	if uuid == "" {
		uuid = v.identity(ctx, d, unmountedID(d))
	}
	v.add(uuid, role, "", format, d.bytes, headerCoverage(h, v.cover(ctx, d.name)))
}

// headerCoverage joins what a header says with how what it lies on is
// encrypted.
func headerCoverage(h header, under coverage) coverage {
	own := coverage{state: h.encryption, protection: h.protection, ciphers: []posture.Reading[string]{h.cipher}}
	if h.method != "" {
		own.methods = []string{h.method}
	}
	switch {
	case h.content == holdsEncrypted && h.encryption.Known() && h.encryption.Value == posture.Encrypted:
		return own
	case !under.state.Known(), under.state.Value == posture.Unencrypted:
		if !under.state.Known() && own.state.Known() {
			return under
		}
		return own
	}
	return under
}
