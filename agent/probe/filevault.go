package probe

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// macDataMount is where macOS mounts the volume that holds what people write,
// beside the sealed one with the system itself.
const macDataMount = "/System/Volumes/Data"

// hardwareOnly is the method of a volume that newer Macs encrypt by
// themselves, with a key that the Mac gives to whoever starts it.
const hardwareOnly = "hardware key alone, FileVault off"

// macVolumes returns the volumes of a Mac that hold files of people. What lies
// on removable media belongs to Media, what lies in a disk image to the disk
// that holds the image.
func macVolumes(ctx context.Context, sys system.Reader) posture.Answer[posture.Volume] {
	const source = "diskutil, fdesetup"
	stores, err := readAPFS(ctx, sys)
	if err != nil {
		return posture.NotFound[posture.Volume](source, macAbsence(err))
	}
	v := macVolumeList{ctx: ctx, sys: sys, ids: map[string]bool{}, attached: map[string]attachment{}}
	v.disks, v.disksErr = readDisks(ctx, sys)
	v.mounts = mountsOf(v.disks)
	v.attach()
	v.vault = readFileVault(ctx, sys)
	for _, s := range stores {
		v.store(s)
	}
	v.plain()
	if v.disksErr != nil {
		v.gap("diskutil list", macAbsence(v.disksErr))
	}
	if !slices.ContainsFunc(v.found, func(f posture.Volume) bool { return f.Role == posture.SystemVolume }) {
		v.gap("diskutil apfs list", posture.Unreadable)
	}
	answer := posture.Found(source, v.found...)
	answer.Gaps = v.gaps
	return answer
}

// macAbsence names why a command of macOS gave no answer. Each is a part of
// macOS, so that one that is not there is an answer nobody foresaw.
func macAbsence(err error) posture.Absence { return system.Absence(err) }

type macVolumeList struct {
	ctx      context.Context //nolint:containedctx // lives as long as the one question
	sys      system.Reader
	disks    []macDisk
	disksErr error
	mounts   map[string]string
	attached map[string]attachment // by whole disk
	images   map[string]bool       // whole disks that are disk images
	vault    fileVault
	found    []posture.Volume
	gaps     []posture.Gap
	ids      map[string]bool
}

func (v *macVolumeList) gap(source string, why posture.Absence) {
	g := posture.Gap{Source: source, Absent: why}
	if !slices.Contains(v.gaps, g) {
		v.gaps = append(v.gaps, g)
	}
}

// attach learns which disks are built in.
func (v *macVolumeList) attach() {
	v.images = map[string]bool{}
	devices, err := readStorage(v.ctx, v.sys)
	if err != nil {
		v.gap("ioreg", macAbsence(err))
	}
	for _, d := range devices {
		v.attached[d.name] = d.attached()
		v.images[d.name] = d.image()
	}
}

// place says whether a disk is built in; false with a reason where that is not
// known.
func (v *macVolumeList) place(disk string) (builtIn bool, why posture.Absence) {
	a, known := v.attached[disk]
	switch {
	case !known:
		return false, posture.NotVisible
	case a.absent != posture.None:
		return false, a.absent
	}
	return a.bus == "" && !v.images[disk], posture.None
}

// store adds the volumes of a container. The one that macOS runs from counts
// wherever it lies.
func (v *macVolumeList) store(s apfsStore) {
	builtIn, why := false, posture.Unreadable
	for _, p := range s.parts {
		in, w := v.place(wholeDisk(p))
		builtIn = builtIn || in
		why = w
	}
	running := slices.ContainsFunc(s.volumes, v.running)
	for _, volume := range s.volumes {
		switch {
		case !volume.holdsFiles():
		case running && (v.running(volume) || builtIn || why == posture.None):
			v.volume(s, volume)
		case builtIn:
			v.volume(s, volume)
		case why != posture.None:
			v.gap("attachment", why)
		}
	}
}

// running reports whether macOS keeps people's files on the volume now.
func (v *macVolumeList) running(volume apfsVolume) bool {
	return volume.name != "" && (v.mounts[volume.name] == macDataMount || v.mounts[volume.name] == "/")
}

func (v *macVolumeList) volume(s apfsStore, volume apfsVolume) {
	role, point := posture.DataVolume, "other"
	c := volume.coverage()
	progress := posture.Reading[int64]{}
	recovery := posture.Reading[bool]{}
	switch mount, told := v.mounts[volume.name]; {
	case v.running(volume):
		role, point = posture.SystemVolume, mount
		c, progress = v.vault.judge(volume)
		recovery = v.vault.recovery
	case v.disksErr != nil:
		// It may be the one that macOS runs from, of which fdesetup knows more.
		c = unread(macAbsence(v.disksErr))
		if slices.Contains(volume.roles, "Data") {
			role = posture.SystemVolume
		}
		point = ""
	case !told || mount == "":
		point = ""
	}
	item := posture.Volume{
		ID: v.id(volume.uuid, volume.name), Role: role, Mount: point, Filesystem: posture.Read("apfs"), Capacity: s.bytes,
		Encryption: c.state, Protection: c.protection, Method: c.method(), Cipher: c.cipher(), Progress: progress, RecoveryKey: recovery,
	}
	if c.state == posture.Read(posture.Unencrypted) && c.protection == posture.Read(posture.ProtectionClearKey) {
		item.Method = posture.Read(hardwareOnly)
	}
	v.found = append(v.found, item)
}

// id makes a volume's identifier of what identifies it elsewhere.
func (v *macVolumeList) id(own, otherwise string) string {
	if own == "" {
		own = otherwise
	}
	for v.ids[own] {
		own += "'"
	}
	v.ids[own] = true
	sum := sha256.Sum256([]byte(own))
	return hex.EncodeToString(sum[:6])
}

// plain adds what lies on built-in disks beside APFS: another system, or a
// volume of the older kind. Its header says whether it is encrypted.
func (v *macVolumeList) plain() {
	for _, d := range v.disks {
		if d.made || v.images[d.name] {
			continue
		}
		parts := d.parts
		if len(parts) == 0 {
			parts = []macPart{d.macPart}
		}
		for _, p := range parts {
			if p.content == "Apple_APFS" || partHoldsNoFiles(p) || p.bytes == posture.Read[int64](0) {
				continue
			}
			switch builtIn, why := v.place(d.name); {
			case why != posture.None:
				v.gap("attachment", why)
			case builtIn:
				v.plainVolume(p)
			}
		}
	}
}

func (v *macVolumeList) plainVolume(p macPart) {
	h, err := macHeader(v.ctx, v.sys, p)
	if err != nil {
		v.gap("unmounted partitions", headerAbsence(err))
		return
	}
	if h.content == holdsNothing || readOnlyFormats[h.format] {
		return
	}
	j := judgePart(0, h)
	c := headerCoverage(h, uncovered())
	item := posture.Volume{
		ID: v.id(p.uuid, h.uuid+p.content), Role: posture.DataVolume, Filesystem: j.Filesystem, Capacity: p.bytes,
		Encryption: c.state, Protection: c.protection, Method: c.method(), Cipher: c.cipher(),
	}
	if p.mount != "" {
		item.Mount = "other"
	}
	v.found = append(v.found, item)
}

// partsWithoutFiles are the types of partition that hold no files of people,
// as diskutil names them.
var partsWithoutFiles = []string{
	"Apple_APFS_ISC", "Apple_APFS_Recovery", "Apple_Boot", "Apple_KernelCoreDump", "Apple_partition_map", "Apple_Free", "Apple_Scratch",
	"Microsoft Reserved", "Windows Recovery", "Linux Swap", "BIOS Boot Partition",
}

// partHoldsNoFiles reports whether a partition is one that a system puts beside
// people's own: reserved space, or a small one to start from.
func partHoldsNoFiles(p macPart) bool {
	const small = 1 << 30
	return slices.Contains(partsWithoutFiles, p.content) || typesWithoutFiles[strings.ToLower(p.content)] ||
		p.content == "EFI" && p.bytes.Known() && p.bytes.Value <= small
}

// macHeader reads the header of a partition or disk.
func macHeader(ctx context.Context, sys system.Reader, p macPart) (header, error) {
	if !p.bytes.Known() {
		return header{}, errPlist
	}
	return readHeader(image{size: p.bytes.Value, read: func(offset int64, length int) ([]byte, error) {
		return sys.Part(ctx, "/dev/r"+p.name, offset, length)
	}})
}

// fileVault is what fdesetup says of the volume that macOS runs from.
type fileVault struct {
	on       posture.Reading[bool]
	changing posture.EncryptionState // Encrypting or Decrypting; "" if it is neither
	percent  posture.Reading[int64]
	recovery posture.Reading[bool]
}

func readFileVault(ctx context.Context, sys system.Reader) fileVault {
	out, err := sys.Run(ctx, system.FileVaultStatus)
	if err != nil {
		why := macAbsence(err)
		return fileVault{on: posture.Unread[bool](why), recovery: posture.Unread[bool](why)}
	}
	v := parseFileVault(out.Stdout)
	personal := fdesetupSays(ctx, sys, system.FileVaultPersonalKey)
	v.recovery = personal
	if !personal.Known() || !personal.Value {
		if school := fdesetupSays(ctx, sys, system.FileVaultInstitutionKey); !school.Known() || school.Value || personal.Known() {
			v.recovery = school
		}
	}
	return v
}

// fdesetupSays reads a yes or no.
func fdesetupSays(ctx context.Context, sys system.Reader, c system.Command) posture.Reading[bool] {
	out, err := sys.Run(ctx, c)
	if err != nil {
		return posture.Unread[bool](macAbsence(err))
	}
	switch string(out.Stdout) {
	case "true\n":
		return posture.Read(true)
	case "false\n":
		return posture.Read(false)
	}
	return posture.Unread[bool](posture.Unreadable)
}

var vaultPercent = regexp.MustCompile(`^(Encryption|Decryption) in progress: Percent completed = ([0-9]{1,3})(\.[0-9]+)?$`)

// parseFileVault reads what fdesetup says, which is the same in every language:
//
//	FileVault is On.
//	Encryption in progress: Percent completed = 42
//
// A line that is not known makes all of it unreadable.
func parseFileVault(out []byte) fileVault {
	unknown := fileVault{on: posture.Unread[bool](posture.Unreadable), recovery: posture.Unread[bool](posture.Unreadable)}
	text, err := wholeText(out)
	if err != nil {
		return unknown
	}
	v := unknown
	v.percent = unsupported[int64]()
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if m := vaultPercent.FindStringSubmatch(line); m != nil {
			percent, err := strconv.ParseInt(m[2], 10, 64)
			if err != nil || percent > 100 {
				return unknown
			}
			v.changing, v.percent = posture.Encrypting, posture.Read(percent)
			if m[1] == "Decryption" {
				v.changing, v.percent = posture.Decrypting, posture.Read(100-percent)
			}
			continue
		}
		switch {
		case line == "":
		case line == "FileVault is On.":
			v.on = posture.Read(true)
		case line == "FileVault is Off.",
			line == "FileVault is Off, but will be enabled after the next restart.",
			line == "FileVault is Off, but needs to be restarted to finish.":
			v.on = posture.Read(false)
		case strings.HasPrefix(line, "Encryption in progress:"): // "Pending": it waits for mains power
			v.changing = posture.Encrypting
		case strings.HasPrefix(line, "Decryption in progress:"):
			v.changing = posture.Decrypting
		case strings.HasPrefix(line, "Deferred enablement appears to be active for user"):
			// It is still off, and stays so until somebody signs out.
		case line == "FileVault master keychain appears to be installed.":
			// A key of the school's opens it too.
		default:
			return unknown
		}
	}
	return v
}

// judge joins what fdesetup and diskutil say of the volume that macOS runs
// from. It is encrypted only if both say so; if they contradict each other,
// nothing is known.
func (f fileVault) judge(volume apfsVolume) (coverage, posture.Reading[int64]) {
	none := posture.Reading[int64]{}
	if !f.on.Known() && f.changing == "" {
		return unread(f.on.Absent), none
	}
	for _, r := range []posture.Reading[bool]{volume.fileVault, volume.encrypted, volume.migrating} {
		if !r.Known() {
			return unread(r.Absent), none
		}
	}
	switch {
	case f.changing != "":
		c := encrypted("APFS", unsupported[string]())
		c.state = posture.Read(f.changing)
		return c, f.percent
	case volume.migrating.Value:
		return unread(posture.Unreadable), none // diskutil sees a change that fdesetup does not
	case f.on.Value != volume.fileVault.Value:
		return unread(posture.Unreadable), none
	}
	return volume.coverage(), none
}
