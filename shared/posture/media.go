package posture

import "time"

// MediumKind is the sort of a removable medium.
type MediumKind string

// The kinds of removable media.
const (
	DiskMedium    MediumKind = "disk"    // sticks and external disks
	CardMedium    MediumKind = "card"    // SD and MMC cards
	OpticalMedium MediumKind = "optical" // CDs, DVDs
	PhoneMedium   MediumKind = "phone"   // seen, never opened
)

// Medium is one removable or hot-plugged storage device that is attached now.
type Medium struct {
	// Serial is the serial number hashed with the school's media key, 64
	// hexadecimal digits; never the number itself. Without a school key it is
	// absent as Unsupported.
	Serial     Reading[string]          `json:"serial"`
	Kind       MediumKind               `json:"kind"`
	Bus        string                   `json:"bus"`                 // "usb", "sd", "optical", "thunderbolt", "firewire", "other"
	VendorID   string                   `json:"vendorId,omitempty"`  // four hexadecimal digits of the USB id
	ProductID  string                   `json:"productId,omitempty"` // four hexadecimal digits of the USB id
	Vendor     string                   `json:"vendor,omitempty"`    // as the device names itself
	Product    string                   `json:"product,omitempty"`
	Capacity   Reading[int64]           `json:"capacity"` // bytes; 0 for an empty reader
	Writable   Reading[bool]            `json:"writable"`
	Encryption Reading[EncryptionState] `json:"encryption"` // of the whole: full only if every partition is
	Partitions []Partition              `json:"partitions,omitempty"`
}

// Partition is one part of a medium that can hold files, judged by its header.
type Partition struct {
	Number     int                      `json:"number"` // from 1; 0 if the medium is not partitioned
	Filesystem Reading[string]          `json:"filesystem"`
	Encryption Reading[EncryptionState] `json:"encryption"`
	Method     Reading[string]          `json:"method"` // "LUKS2", "BitLocker", "APFS"; "" if unencrypted
}

// MediumAction is what happened to a medium.
type MediumAction string

// What can happen to a medium.
const (
	Attached MediumAction = "attach"
	Detached MediumAction = "detach"
	Present  MediumAction = "present" // found attached when the agent started
	Gone     MediumAction = "gone"    // attached when the agent stopped, found missing when it started
)

// Words says what happened as people say it; what has no words stands as it is.
func (a MediumAction) Words() string {
	switch a {
	case Attached:
		return "put in"
	case Detached:
		return "taken out"
	case Present:
		return "found in place when the agent started"
	case Gone:
		return "found missing when the agent started"
	}
	return string(a)
}

// MediumEvent is one line of the log of media that came and went.
type MediumEvent struct {
	Number    uint64          `json:"number"` // from 1, without gaps, over the life of the agent's state
	At        time.Time       `json:"at"`     // by the device's clock
	Action    MediumAction    `json:"action"`
	Serial    Reading[string] `json:"serial"` // as in Medium
	Kind      MediumKind      `json:"kind"`
	Bus       string          `json:"bus"`
	VendorID  string          `json:"vendorId,omitempty"`
	ProductID string          `json:"productId,omitempty"`
	Vendor    string          `json:"vendor,omitempty"`
	Product   string          `json:"product,omitempty"`
}
