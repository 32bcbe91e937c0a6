package probe

import (
	"context"
	"slices"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// deviceClasses are the classes of device in whose stack the driver of a
// program sits that encrypts disks: disks, and volumes.
var deviceClasses = []string{
	`HKLM\SYSTEM\CurrentControlSet\Control\Class\{4d36e967-e325-11ce-bfc1-08002be10318}`,
	`HKLM\SYSTEM\CurrentControlSet\Control\Class\{71a27cdd-812a-11d0-bec7-08002be2092f}`,
}

// encryptingFilters are drivers that encrypt whole disks, by the name that
// they are registered under. A program that only opens containers, as
// VeraCrypt can, has its driver too; but not here.
var encryptingFilters = []string{
	"veracrypt", "truecrypt", "gostcrypt", "dcrypt", // DiskCryptor
	"prot_2k",                            // Check Point
	"mfeepepc",                           // Trellix, McAfee
	"pgpwded", "eeddiskencryptiondriver", // Symantec
	"sddisk2k", // WinMagic
	"klfde",    // Kaspersky
}

// foreignEncryption looks for drivers of other makers that encrypt below
// Windows. BitLocker says of the disks under them that nothing is encrypted,
// and what they do themselves is known to them alone: with one of them no disk
// is called plain because BitLocker is off, and none is called encrypted. It
// returns the driver's name and "not visible", None if there is none. That a
// disk's own firmware encrypts under somebody else's care leaves no trace.
func foreignEncryption(ctx context.Context, sys system.Reader) (string, posture.Absence) {
	why := posture.None
	for _, class := range deviceClasses {
		key, err := sys.Key(ctx, class)
		if err != nil {
			why = firstAbsence(why, system.Absence(err))
			continue
		}
		for _, name := range []string{"UpperFilters", "LowerFilters"} {
			filters, absent := filterNames(key.Values, name)
			why = firstAbsence(why, absent)
			if i := slices.IndexFunc(filters, isEncryptingFilter); i >= 0 {
				return strings.ToLower(strings.TrimSpace(filters[i])), posture.NotVisible
			}
		}
	}
	return "", why
}

// filterNames returns the names in a value; none if there is no such value.
func filterNames(values system.Values, name string) ([]string, posture.Absence) {
	value, there := values.Get(name)
	switch {
	case !there, value.IsNull():
		return nil, posture.None
	case value.Absent != posture.NotAsked:
		return nil, value.Absent
	case value.Texts != nil:
		return value.Texts, posture.None
	case value.Text != nil:
		return []string{*value.Text}, posture.None
	}
	return nil, posture.Unreadable
}

func isEncryptingFilter(name string) bool {
	return slices.ContainsFunc(encryptingFilters, func(known string) bool { return strings.EqualFold(known, strings.TrimSpace(name)) })
}
