package probe

import (
	"context"
	"errors"
	"strings"

	"github.com/caretaker-school/caretaker/shared/posture"
)

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
	if why == posture.None && (!d.mapperUUID.there || !d.mapperName.there) {
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
