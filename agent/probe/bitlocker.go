package probe

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

const encryptableVolume = "Win32_EncryptableVolume"

// bitLocker is what Windows says of BitLocker on all its volumes.
type bitLocker struct {
	rows   map[string]system.Values // by the volume's GUID
	absent posture.Absence          // why nothing is known of any volume, or None
	lost   posture.Absence          // why it is not known of which volume a row speaks, or None
	source string
}

// readBitLocker asks Windows about all volumes. An answer that contradicts
// itself may have been given while something changed, and is asked for again.
func readBitLocker(ctx context.Context, sys system.Reader) bitLocker {
	b := bitLocker{absent: posture.None, lost: posture.None, source: encryptableVolume}
	rows, err := sys.Rows(ctx, system.BitLockerVolumes)
	if err == nil && slices.ContainsFunc(rows, contradictsItself) {
		if again, againErr := sys.Rows(ctx, system.BitLockerVolumes); againErr == nil {
			rows = again
		}
	}
	if err != nil {
		b.absent = withoutClass(ctx, sys, err)
		b.source = codedSource(encryptableVolume, err)
		return b
	}
	b.rows = make(map[string]system.Values, len(rows))
	for _, row := range rows {
		id := row.Text("DeviceID")
		guid := volumeGUID(id.Value)
		switch _, twice := b.rows[guid]; {
		case !id.Known():
			b.lost = id.Absent
		case guid == "", twice:
			b.lost = posture.Unreadable
		default:
			b.rows[guid] = row
		}
	}
	return b
}

// codedSource names a source together with the code of its failure.
func codedSource(source string, err error) string {
	if code := system.CodeWord(err); code != "" {
		return source + " (" + code + ")"
	}
	return source
}

// withoutClass says why nothing answered. A server has BitLocker only if it
// was added: without it there is no way to tell. On other machines it belongs
// to Windows, and something is broken if it is missing.
func withoutClass(ctx context.Context, sys system.Reader, err error) posture.Absence {
	if !missing(err) {
		return system.Absence(err)
	}
	if machine, err := sys.Rows(ctx, system.MachineRow); err == nil && len(machine) == 1 {
		if kind := machine[0].Number("ProductType"); kind.Known() && kind.Value != workstation {
			return posture.Unsupported
		}
	}
	return posture.Unreadable
}

// The types of a volume in BitLocker's eyes.
const (
	fveSystem = iota
	fveFixed
	fveRemovable
)

// What GetProtectionStatus says; anything else is that it does not know.
const (
	protectionOff = iota
	protectionOn
)

// What GetConversionStatus says.
const (
	decrypted = iota
	encryptedWhole
	encryptionUnderWay
	decryptionUnderWay
	encryptionPaused
	decryptionPaused
)

// contradictsItself reports whether a volume is protected though nothing of it
// is encrypted.
func contradictsItself(row system.Values) bool {
	conversion, protection := row.Number("ConversionStatus"), row.Number("ProtectionStatus")
	return conversion.Known() && conversion.Value == decrypted && protection.Known() && protection.Value != protectionOff
}

// isLocked reports whether Windows itself cannot read a volume.
func isLocked(row system.Values) bool { return row.Number("LockStatus") == posture.Read[int64](1) }

// bitLockerVerdict judges a volume that is not locked by what the methods of
// its row said. The stored property ProtectionStatus never decides: it is what
// was so when somebody last looked.
func bitLockerVerdict(row system.Values) posture.Volume {
	conversion, protection := row.Number("ConversionStatus"), row.Number("ProtectionStatus")
	state := conversionState(conversion, protection)
	if !state.Known() {
		v := unreadVerdict(state.Absent)
		if !protection.Known() {
			v.Protection.Absent = protection.Absent
		}
		return v
	}
	keys := row.Numbers("KeyProtectorTypes")
	v := posture.Volume{
		Encryption: state, Protection: protectionState(state.Value, protection, keys),
		UsedSpace: usedSpace(row, state), Hardware: inHardware(row),
		Protectors: protectorWords(keys), RecoveryKey: hasRecoveryKey(keys),
	}
	v.Method, v.Cipher = encryptionMethod(row, state.Value)
	if state.Value == posture.Encrypting || state.Value == posture.Decrypting {
		v.Progress = progress(row)
	}
	return v
}

func conversionState(conversion, protection posture.Reading[int64]) posture.Reading[posture.EncryptionState] {
	if !conversion.Known() {
		return posture.Unread[posture.EncryptionState](conversion.Absent)
	}
	switch conversion.Value {
	case decrypted:
		switch {
		case !protection.Known():
			return posture.Unread[posture.EncryptionState](protection.Absent)
		case protection.Value != protectionOff:
			return posture.Unread[posture.EncryptionState](posture.Unreadable)
		}
		return posture.Read(posture.Unencrypted)
	case encryptedWhole:
		return posture.Read(posture.Encrypted)
	case encryptionUnderWay, encryptionPaused:
		return posture.Read(posture.Encrypting)
	case decryptionUnderWay, decryptionPaused:
		return posture.Read(posture.Decrypting)
	}
	return posture.Unread[posture.EncryptionState](posture.Unreadable)
}

// protectionState says whether the key is guarded. "Off" is said of a volume
// whose key lies in the clear: beside protectors if protection is suspended,
// alone if there never was one, as on a new laptop that nobody has signed in
// to; but also, while it is being encrypted, of one whose key is guarded.
func protectionState(
	state posture.EncryptionState, protection posture.Reading[int64], keys posture.Reading[[]int64],
) posture.Reading[posture.ProtectionState] {
	unread := posture.Unread[posture.ProtectionState]
	switch {
	case !protection.Known():
		return unread(protection.Absent)
	case state == posture.Unencrypted:
		return posture.Read(posture.ProtectionOff)
	case protection.Value == protectionOn:
		return posture.Read(posture.ProtectionOn)
	case protection.Value != protectionOff:
		return unread(posture.Unreadable)
	case !keys.Known():
		return unread(keys.Absent)
	case len(keys.Value) == 0:
		return posture.Read(posture.ProtectionClearKey)
	case state != posture.Encrypted:
		return unread(posture.Unsupported)
	}
	return posture.Read(posture.ProtectionSuspended)
}

// The kinds of key protectors, by their number.
var protectorNames = []string{
	"other", "tpm", "external-key", "recovery-password", "tpm-pin", "tpm-startup-key", "tpm-pin-startup-key",
	"public-key", "passphrase", "tpm-certificate", "account",
}

const (
	externalKey      = 2
	recoveryPassword = 3
)

func protectorWords(keys posture.Reading[[]int64]) posture.Reading[string] {
	if !keys.Known() {
		return posture.Unread[string](keys.Absent)
	}
	var words []string
	for _, k := range keys.Value {
		if k < 0 || k >= int64(len(protectorNames)) {
			k = 0
		}
		words = append(words, protectorNames[k])
	}
	slices.Sort(words)
	return posture.Read(strings.Join(slices.Compact(words), ", "))
}

// hasRecoveryKey reports whether there is a recovery password. An external key
// may be a recovery key, and may be what starts the machine or opens a volume
// by itself.
func hasRecoveryKey(keys posture.Reading[[]int64]) posture.Reading[bool] {
	switch {
	case !keys.Known():
		return posture.Unread[bool](keys.Absent)
	case slices.Contains(keys.Value, recoveryPassword):
		return posture.Read(true)
	case slices.Contains(keys.Value, externalKey):
		return posture.Unread[bool](posture.Unsupported)
	}
	return posture.Read(false)
}

// bitLockerMethods are the methods by their number; 5 is the drive's own.
var bitLockerMethods = map[int64]struct{ name, cipher string }{
	1: {"BitLocker AES-128 diffuser", "aes-cbc-128-diffuser"},
	2: {"BitLocker AES-256 diffuser", "aes-cbc-256-diffuser"},
	3: {"BitLocker AES-128", "aes-cbc-128"},
	4: {"BitLocker AES-256", "aes-cbc-256"},
	6: {"BitLocker XTS-AES-128", "aes-xts-128"},
	7: {"BitLocker XTS-AES-256", "aes-xts-256"},
}

const hardwareMethod = 5

func encryptionMethod(row system.Values, state posture.EncryptionState) (method, cipher posture.Reading[string]) {
	number := row.Number("EncryptionMethod")
	known, ok := bitLockerMethods[number.Value]
	switch {
	case state == posture.Unencrypted:
		return posture.Read(""), posture.Read("")
	case !number.Known():
		return posture.Unread[string](number.Absent), posture.Unread[string](number.Absent)
	case number.Value == hardwareMethod:
		return posture.Read("BitLocker hardware"), posture.Unread[string](posture.NotVisible)
	case !ok:
		return posture.Unread[string](posture.Unreadable), posture.Unread[string](posture.Unreadable)
	}
	return posture.Read(known.name), posture.Read(known.cipher)
}

// inHardware reports whether BitLocker leaves the encrypting to the drive.
func inHardware(row system.Values) posture.Reading[bool] {
	const byDrive = 3
	number, status := row.Number("EncryptionMethod"), row.Number("HardwareEncryptionStatus")
	switch _, software := bitLockerMethods[number.Value]; {
	case number.Known() && number.Value == hardwareMethod:
		return posture.Read(true)
	case number.Known() && (software || number.Value == 0):
		return posture.Read(false)
	case status.Known():
		return posture.Read(status.Value == byDrive)
	}
	return posture.Unread[bool](firstAbsence(number.Absent, status.Absent))
}

func usedSpace(row system.Values, state posture.Reading[posture.EncryptionState]) posture.Reading[bool] {
	const usedSpaceOnly = 0x1
	flags := row.Number("EncryptionFlags")
	switch {
	case !state.Known():
		return posture.Unread[bool](state.Absent)
	case state.Value == posture.Unencrypted:
		return posture.Read(false)
	case !flags.Known():
		return posture.Unread[bool](flags.Absent)
	}
	return posture.Read(flags.Value&usedSpaceOnly != 0)
}

func progress(row system.Values) posture.Reading[int64] {
	const perPercent, all = 10000, 100
	done := row.Number("EncryptionPercentage")
	if done.Known() && (done.Value < 0 || done.Value > all*perPercent) {
		return posture.Unread[int64](posture.Unreadable)
	}
	done.Value /= perPercent
	return done
}

// lockedVerdict judges a locked volume. How far it was encrypted before it was
// locked, Windows does not tell of it; its header does.
func lockedVerdict(row system.Values, h header, why posture.Absence) posture.Volume {
	v := headerVerdict(h, why)
	switch {
	case why != posture.None:
		v.Protection = posture.Read(posture.ProtectionLocked)
	case h.format != "BitLocker":
		v = unreadVerdict(posture.Unreadable)
	}
	keys := row.Numbers("KeyProtectorTypes")
	v.Protectors, v.RecoveryKey, v.Hardware = protectorWords(keys), hasRecoveryKey(keys), inHardware(row)
	v.UsedSpace = usedSpace(row, v.Encryption)
	return v
}

// headerVerdict judges a volume by what lies at its start, or by why that is
// not known.
func headerVerdict(h header, why posture.Absence) posture.Volume {
	if why != posture.None {
		return unreadVerdict(why)
	}
	own := headerCoverage(h, uncovered())
	v := posture.Volume{Encryption: own.state, Protection: own.protection, Method: own.method(), Cipher: own.cipher()}
	if h.format == "BitLocker" && own.state.Known() {
		v.Method = posture.Read(methodOfCipher(h.cipher))
	}
	if h.content == holdsMember {
		return unreadVerdict(posture.NotVisible)
	}
	return v
}

// methodOfCipher returns the name that Windows has for BitLocker with a
// cipher.
func methodOfCipher(cipher posture.Reading[string]) string {
	name := ""
	for _, m := range bitLockerMethods {
		if cipher.Known() && m.cipher == cipher.Value {
			name = m.name
		}
	}
	return cmp.Or(name, "BitLocker")
}

// unreadVerdict says of a volume that nothing is known, and why.
func unreadVerdict(why posture.Absence) posture.Volume {
	return posture.Volume{
		Encryption: posture.Unread[posture.EncryptionState](why), Protection: posture.Unread[posture.ProtectionState](why),
		Method: posture.Unread[string](why), Cipher: posture.Unread[string](why),
		UsedSpace: posture.Unread[bool](why), Hardware: posture.Unread[bool](why),
		Protectors: posture.Unread[string](why), RecoveryKey: posture.Unread[bool](why),
	}
}
