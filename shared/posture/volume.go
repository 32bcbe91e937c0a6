package posture

// VolumeRole is what a volume is for.
type VolumeRole string

// The roles of a volume.
const (
	SystemVolume VolumeRole = "system" // holds the operating system
	DataVolume   VolumeRole = "data"
	SwapVolume   VolumeRole = "swap"
	BootVolume   VolumeRole = "boot" // /boot and the EFI system partition: unencrypted by design
)

// EncryptionState says how much of a volume or medium is encrypted. There is
// no value for "not known": that is a Reading without a value.
type EncryptionState string

// The states of encryption.
const (
	Unencrypted EncryptionState = "none"
	Partial     EncryptionState = "partial"    // some folders, or some of the disks underneath
	Encrypting  EncryptionState = "encrypting" // under way, not there yet
	Decrypting  EncryptionState = "decrypting"
	Encrypted   EncryptionState = "full"
)

// ProtectionState says whether the key of an encrypted volume is guarded.
type ProtectionState string

// The states of protection.
const (
	ProtectionOn        ProtectionState = "on"
	ProtectionSuspended ProtectionState = "suspended" // the key lies in the clear until protection resumes
	ProtectionClearKey  ProtectionState = "clear-key" // no protector at all: encrypted, and open to anyone
	ProtectionOff       ProtectionState = "off"       // nothing to protect: not encrypted
	ProtectionLocked    ProtectionState = "locked"    // encrypted and not opened since start
)

// Volume is a local writable filesystem, a partition that holds one, or a
// swap area.
type Volume struct {
	// ID tells volumes of one device apart: the first 12 hexadecimal digits of
	// a hash of the filesystem's or partition's own identifier.
	ID   string     `json:"id"`
	Role VolumeRole `json:"role"`
	// Mount is the mount point where it is a system's own ("/", "/home",
	// "/boot/efi", "C:"), "other" where a person could have named it, and ""
	// where it is not mounted.
	Mount      string                   `json:"mount,omitempty"`
	Filesystem Reading[string]          `json:"filesystem"` // such as "ext4"
	Capacity   Reading[int64]           `json:"capacity"`   // bytes
	Encryption Reading[EncryptionState] `json:"encryption"`
	Protection Reading[ProtectionState] `json:"protection"`
	Method     Reading[string]          `json:"method"` // such as "LUKS2"; "" if unencrypted
	Cipher     Reading[string]          `json:"cipher"` // such as "aes-xts-plain64"; "" if unencrypted

	// What only some systems tell; "not asked" on the others.
	Progress    Reading[int64]  `json:"progress,omitzero"`    // percent that is encrypted, rounded down, while it changes
	UsedSpace   Reading[bool]   `json:"usedSpace,omitzero"`   // only space in use was encrypted: what was deleted before lies there in plain
	Hardware    Reading[bool]   `json:"hardware,omitzero"`    // the drive's own firmware encrypts, which is trusted and cannot be looked into
	Protectors  Reading[string] `json:"protectors,omitzero"`  // kinds of what opens it, sorted, such as "recovery-password, tpm"; "" if nothing guards it
	RecoveryKey Reading[bool]   `json:"recoveryKey,omitzero"` // there is a recovery password or key; never which
}
