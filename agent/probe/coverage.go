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

// cryptMethods are the types of mapping that encrypt, by what their identifier
// begins with. Verity, integrity and the inner devices of others do not.
var cryptMethods = []struct{ prefix, method string }{
	{"CRYPT-LUKS2-OPAL-", "LUKS2 OPAL"},
	{"CRYPT-LUKS2-", "LUKS2"},
	{"CRYPT-LUKS1-", "LUKS1"},
	{"CRYPT-PLAIN-", "dm-crypt"},
	{"CRYPT-TCRYPT-", "VeraCrypt"},
	{"CRYPT-BITLK-", "BitLocker"},
	{"CRYPT-FVAULT2-", "FileVault"},
	{"CRYPT-LOOPAES-", "loop-AES"},
}

// cryptMethod returns the method of a mapping that encrypts, else "".
func cryptMethod(uuid, name string) string {
	for _, m := range cryptMethods {
		if strings.HasPrefix(uuid, m.prefix) {
			return m.method
		}
	}
	if uuid == "" && veraCryptName(name) {
		return "VeraCrypt"
	}
	return ""
}

// plainMapping reports whether a mapping is known not to encrypt: any that
// cryptsetup did not make, and of those the ones that only check.
func plainMapping(uuid string) bool {
	return !strings.HasPrefix(uuid, "CRYPT-") || strings.HasPrefix(uuid, "CRYPT-VERITY-") ||
		strings.HasPrefix(uuid, "CRYPT-INTEGRITY-") || strings.HasPrefix(uuid, "CRYPT-SUBDEV-")
}

// veraCryptName reports whether a mapping has a name that VeraCrypt gives:
// veracrypt1, or veracrypt1_0 for a layer below.
func veraCryptName(name string) bool {
	rest, ok := strings.CutPrefix(name, "veracrypt")
	return ok && rest != "" && strings.Trim(rest, "0123456789_") == ""
}

func (s *survey) coverMapping(ctx context.Context, d *device) coverage {
	why := firstAbsence(d.mapperUUID.absent, d.mapperName.absent)
	if why == posture.None && !(d.mapperUUID.there && d.mapperName.there) {
		why = posture.Unreadable
	}
	if why != posture.None {
		return unread(why)
	}
	method := cryptMethod(d.mapperUUID.value, d.mapperName.value)
	switch {
	case method == "" && !plainMapping(d.mapperUUID.value):
		return unread(posture.Unsupported)
	case method == "":
		return s.coverSlaves(ctx, d)
	case strings.HasPrefix(method, "LUKS"):
		return s.coverLUKS(ctx, d, method)
	case method == "BitLocker":
		return s.coverBitLocker(ctx, d)
	}
	return encrypted(method, posture.Unread[string](posture.Unsupported))
}

// coverLUKS refines what the kernel says of an open LUKS volume by its header.
// Where that may not be read, or lies apart from the data, the mapping alone
// proves that the volume is encrypted, unless it shows that a change is under
// way or a cipher that changes nothing is in use.
func (s *survey) coverLUKS(ctx context.Context, d *device, method string) coverage {
	bottom, changing := s.underCrypt(d)
	if bottom == nil {
		return unread(firstAbsence(d.slavesAbsent, s.tree.absent, posture.Unreadable))
	}
	var l luksHeader
	dev, err := s.image(ctx, bottom)
	if err == nil {
		l, err = readLUKS(dev)
	}
	why := headerAbsence(err)
	apart := errors.Is(err, errNoLUKS) || err == nil && !sameUUID(d.mapperUUID.value, l.uuid)
	switch {
	case apart, why == posture.Denied, why == posture.NotVisible:
		if why = firstAbsence(why, posture.Unreadable); changing {
			return unread(why)
		}
		if used := s.nullCipherUsed(ctx); !used.Known() || used.Value {
			return unread(why)
		}
		return encrypted(method, posture.Unread[string](why))
	case err != nil:
		return unread(why)
	case l.state == posture.Unencrypted:
		return uncovered()
	}
	c := encrypted(method, posture.Read(l.cipher))
	c.state = posture.Read(l.state)
	return c
}

// nullCipherUsed reports whether the kernel uses the cipher that changes
// nothing for anything: one that nothing uses is referred to once.
func (s *survey) nullCipherUsed(ctx context.Context) posture.Reading[bool] {
	data, err := s.sys.File(ctx, "/proc/crypto", 4<<20)
	switch {
	case err != nil:
		return posture.Unread[bool](headerAbsence(err))
	case !strings.HasSuffix(string(data), "\n\n"):
		return posture.Unread[bool](posture.Unreadable) // it was cut
	}
	for block := range strings.SplitSeq(string(data), "\n\n") {
		fields := map[string]string{}
		for line := range strings.Lines(block) {
			name, value, _ := strings.Cut(line, ":")
			fields[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
		if strings.Contains(fields["name"], "cipher_null") && fields["refcnt"] != "1" {
			return posture.Read(true)
		}
	}
	return posture.Read(false)
}

func (s *survey) coverBitLocker(ctx context.Context, d *device) coverage {
	c := encrypted("BitLocker", posture.Unread[string](posture.Unreadable))
	bottom, _ := s.underCrypt(d)
	if bottom == nil {
		c.protection = posture.Unread[posture.ProtectionState](posture.Unreadable)
		return c
	}
	h, err := s.header(ctx, bottom)
	switch {
	case err != nil:
		c.protection = posture.Unread[posture.ProtectionState](headerAbsence(err))
		c.ciphers = []posture.Reading[string]{posture.Unread[string](headerAbsence(err))}
	case h.format != "BitLocker":
		c.protection = posture.Unread[posture.ProtectionState](posture.Unreadable)
	default:
		c.state, c.ciphers = h.encryption, []posture.Reading[string]{h.cipher}
		if h.protection.Value == posture.ProtectionClearKey {
			c.protection = h.protection
		}
	}
	return c
}

// underCrypt returns the one device that an encrypting mapping lies on, past
// inner devices of its own, and whether these show a change under way.
func (s *survey) underCrypt(d *device) (bottom *device, changing bool) {
	seen := map[string]bool{}
	found := map[string]*device{}
	var visit func(d *device)
	visit = func(d *device) {
		for _, name := range d.slaves {
			slave := s.tree.devices[name]
			if slave == nil || seen[name] {
				continue
			}
			seen[name] = true
			inner := strings.HasPrefix(slave.mapperUUID.value, "CRYPT-SUBDEV-") || strings.HasPrefix(slave.mapperUUID.value, "CRYPT-INTEGRITY-")
			if !inner {
				found[name] = slave
				continue
			}
			if strings.Contains(slave.mapperName.value, "-hotzone-") || strings.Contains(slave.mapperName.value, "-overlay") {
				changing = true
			}
			visit(slave)
		}
	}
	visit(d)
	if len(found) == 1 {
		for _, slave := range found {
			return slave, changing
		}
	}
	return nil, changing
}

// sameUUID reports whether a mapping's identifier, CRYPT-LUKS2-<32 digits>-…,
// is that of a header.
func sameUUID(mapper, uuid string) bool {
	digits := strings.ReplaceAll(uuid, "-", "")
	if digits == "" {
		return true // scrubbed from a recorded machine: cryptsetup always writes one
	}
	return len(digits) == 32 && strings.Contains(mapper, "-"+digits+"-")
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
