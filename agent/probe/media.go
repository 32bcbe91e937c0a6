package probe

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Media returns the removable and hot-plugged storage that is attached to a
// machine, and the phones. Readers without a medium are left out.
func Media(ctx context.Context, sys system.Reader, q Question) posture.Answer[posture.Medium] {
	switch on := sys.Platform(); {
	case system.JudgesLinux && on == posture.Linux:
		return linuxMedia(ctx, sys, q)
	case system.JudgesWindows && on == posture.Windows:
		return windowsMedia(ctx, sys, q)
	case system.JudgesMacOS && on == posture.MacOS:
		return macMedia(ctx, sys, q)
	}
	return posture.NotFound[posture.Medium]("", posture.NotAsked)
}

func linuxMedia(ctx context.Context, sys system.Reader, q Question) posture.Answer[posture.Medium] {
	blocks, err := readTree(ctx, sys)
	if err != nil {
		return posture.NotFound[posture.Medium]("sysfs", headerAbsence(err))
	}
	m := mediaList{
		survey: &survey{
			sys: sys, tree: blocks, covered: map[string]coverage{},
			tables: map[string]partitionTable{}, zfsErr: posture.None, btrfsErr: posture.None,
		},
		key: q.MediaKey,
	}
	for _, d := range blocks.devices {
		if d.disk == "" && !notForPeople(d) {
			m.add(ctx, d)
		}
	}
	m.phones(ctx)
	if blocks.absent != posture.None {
		m.gap("block devices", blocks.absent)
	}
	slices.SortFunc(m.found, compareMedia)
	answer := posture.Found("sysfs", m.found...)
	answer.Gaps = m.gaps
	return answer
}

// compareMedia orders media by what they are, so that the same media make the
// same facts whatever the names they were given this time.
func compareMedia(a, b posture.Medium) int {
	return cmp.Or(
		cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Bus, b.Bus), cmp.Compare(a.VendorID, b.VendorID),
		cmp.Compare(a.ProductID, b.ProductID), cmp.Compare(a.Serial.Value, b.Serial.Value),
		cmp.Compare(a.Product, b.Product), cmp.Compare(a.Capacity.Value, b.Capacity.Value),
	)
}

// notForPeople reports whether a disk is a part of a flash chip that has its
// own firmware: it comes beside the one that holds files.
func notForPeople(d *device) bool {
	return strings.HasPrefix(d.name, "mmcblk") && notForFiles(d.name)
}

type mediaList struct {
	*survey
	key   []byte
	found []posture.Medium
	gaps  []posture.Gap
}

func (m *mediaList) gap(source string, why posture.Absence) {
	g := posture.Gap{Source: source, Absent: why}
	if !slices.Contains(m.gaps, g) {
		m.gaps = append(m.gaps, g)
	}
}

// add adds a disk if it is a medium, and there is one in it.
func (m *mediaList) add(ctx context.Context, d *device) {
	a := m.attachment(ctx, d)
	if a.absent != posture.None {
		m.gap("attachment", a.absent)
		return
	}
	switch {
	case a.bus == "", d.bytes == posture.Read[int64](0):
		return
	case !d.bytes.Known():
		m.gap("block devices", d.bytes.Absent) // it may be a reader without a medium
		return
	}
	if a.kind == posture.OpticalMedium {
		switch there, why := m.disc(ctx, d); {
		case why != posture.None:
			m.gap("optical", why)
			return
		case !there:
			return
		}
	}
	medium := posture.Medium{Kind: a.kind, Bus: a.bus, Capacity: d.bytes, Writable: m.writable(ctx, d, a)}
	m.describe(ctx, d, a, &medium)
	medium.Partitions = m.partitions(ctx, d)
	medium.Encryption = wholeEncryption(medium.Partitions)
	if _, err := m.sys.Link(ctx, classBlock+"/"+d.name); missing(err) {
		// It was pulled out while it was looked at: what was read may be half
		// of what it was. The next look sees what is there then.
		m.gap("block devices", posture.NotVisible)
		return
	}
	m.found = append(m.found, medium)
}

// disc reports whether there is a disc in an optical drive. Its size does not
// tell: without a disc the kernel makes one up. Reading does, and so does udev.
func (m *mediaList) disc(ctx context.Context, d *device) (bool, posture.Absence) {
	const madeUp = 0x1fffff * 512
	data, err := m.sys.File(ctx, "/run/udev/data/b"+d.number, attributeLimit)
	if err == nil {
		return strings.Contains("\n"+string(data), "\nE:ID_CDROM_MEDIA=1\n"), posture.None
	}
	_, err = m.sys.Part(ctx, "/dev/"+d.name, 0, 2048)
	switch why := headerAbsence(err); {
	case err == nil:
		return true, posture.None
	case why == posture.Unreadable && d.bytes == posture.Read[int64](madeUp):
		return false, posture.None
	default:
		return false, why
	}
}

func (m *mediaList) writable(ctx context.Context, d *device, a attachment) posture.Reading[bool] {
	if a.kind == posture.OpticalMedium {
		return posture.Read(false)
	}
	switch ro := readAttribute(ctx, m.sys, d.path+"/ro").number(); {
	case !ro.Known():
		return posture.Unread[bool](ro.Absent)
	case ro.Value > 1:
		return posture.Unread[bool](posture.Unreadable)
	default:
		return posture.Read(ro.Value == 0)
	}
}

// partitions judges every part of a medium that can hold files by its header.
func (m *mediaList) partitions(ctx context.Context, d *device) []posture.Partition {
	list := m.lostPartitions(d)
	if len(d.partitions) == 0 && len(list) == 0 {
		return []posture.Partition{m.partition(ctx, d)}
	}
	for _, name := range d.partitions {
		p := m.tree.devices[name]
		if p.bytes.Known() && p.bytes.Value <= 1024 {
			continue // an extended partition
		}
		if m.holdsNoFiles(ctx, p) {
			continue
		}
		list = append(list, m.partition(ctx, p))
	}
	slices.SortFunc(list, func(a, b posture.Partition) int { return a.Number - b.Number })
	return list
}

// lostPartitions returns the partitions of a disk that are there and could not
// be looked at.
func (m *mediaList) lostPartitions(d *device) []posture.Partition {
	var list []posture.Partition
	for name, why := range m.tree.lost {
		rest, ok := strings.CutPrefix(name, d.name)
		number, err := strconv.Atoi(strings.TrimPrefix(rest, "p"))
		if ok && err == nil && number > 0 {
			list = append(list, unreadPartition(number, why))
		}
	}
	return list
}

func unreadPartition(number int, why posture.Absence) posture.Partition {
	return posture.Partition{
		Number: number, Filesystem: posture.Unread[string](why),
		Encryption: posture.Unread[posture.EncryptionState](why), Method: posture.Unread[string](why),
	}
}

// holdsNoFiles reports whether a partition is one that a system puts beside
// people's own: reserved space, or a small one to start from.
func (m *mediaList) holdsNoFiles(ctx context.Context, p *device) bool {
	const small = 1 << 30
	kind, err := m.typeOf(ctx, p)
	if err != nil {
		return false
	}
	return typesWithoutFiles[kind] || kind == typeESP && p.bytes.Known() && p.bytes.Value <= small
}

func (m *mediaList) partition(ctx context.Context, d *device) posture.Partition {
	h, err := m.header(ctx, d)
	if err != nil {
		return unreadPartition(d.part, headerAbsence(err))
	}
	p := posture.Partition{
		Number: d.part, Filesystem: posture.Read(h.format), Encryption: h.encryption, Method: posture.Read(h.method),
	}
	switch {
	case h.content == holdsEncrypted:
		p.Filesystem = posture.Unread[string](posture.NotVisible)
	case h.content == holdsUnknown && len(d.holders) > 0: // open, as a VeraCrypt volume can be
		p.Filesystem = posture.Unread[string](posture.NotVisible)
		p.Encryption, p.Method = m.above(ctx, d)
	case h.content == holdsUnknown, h.content == holdsNothing, h.content == holdsTable:
		p.Filesystem = posture.Unread[string](posture.Unreadable)
	case h.content == holdsMember:
		p.Filesystem = posture.Unread[string](posture.NotVisible)
		p.Encryption, p.Method = m.above(ctx, d)
	}
	switch {
	case h.protection.Known() && h.protection.Value == posture.ProtectionClearKey:
		p.Encryption = posture.Read(posture.Unencrypted) // the key lies beside what it opens
	case !p.Encryption.Known() && p.Method.Known() && p.Method.Value == "":
		p.Method = posture.Unread[string](p.Encryption.Absent)
	}
	return p
}

// above judges a part of a volume group or RAID by what is made of it: by the
// headers of all devices at the top, of which there must be some.
func (m *mediaList) above(ctx context.Context, d *device) (posture.Reading[posture.EncryptionState], posture.Reading[string]) {
	var tops []coverage
	seen := map[string]bool{}
	var visit func(d *device)
	visit = func(d *device) {
		if seen[d.name] {
			return
		}
		seen[d.name] = true
		if d.holdersAbsent != posture.None {
			tops = append(tops, unread(d.holdersAbsent))
			return
		}
		if c := m.cover(ctx, d.name); c.state.Known() && c.state.Value != posture.Unencrypted {
			tops = append(tops, c)
			return
		}
		if len(d.holders) == 0 {
			tops = append(tops, m.topCoverage(ctx, d))
			return
		}
		for _, name := range d.holders {
			if holder := m.tree.devices[name]; holder != nil {
				visit(holder)
			} else {
				tops = append(tops, unread(posture.NotVisible))
			}
		}
	}
	visit(d)
	all := combine(tops)
	return all.state, all.method()
}

func (m *mediaList) topCoverage(ctx context.Context, d *device) coverage {
	h, err := m.header(ctx, d)
	if err != nil {
		return unread(headerAbsence(err))
	}
	return headerCoverage(h, m.cover(ctx, d.name))
}

// wholeEncryption joins the encryption of a medium's partitions.
func wholeEncryption(list []posture.Partition) posture.Reading[posture.EncryptionState] {
	parts := make([]coverage, 0, len(list))
	for _, p := range list {
		parts = append(parts, coverage{state: p.Encryption})
	}
	return combine(parts).state
}
