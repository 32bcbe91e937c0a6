package posture

import "time"

// SchoolID identifies a school. It is made by the collector, holds 1 to 63
// bytes of a-z, 0-9 and '-', and says nothing about the school.
type SchoolID string

// DeviceID identifies one enrolment of a device. It is made by the collector
// when a device enrols and kept through renewals; it holds 1 to 63 bytes of
// a-z, 0-9 and '-'.
type DeviceID string

// Platform is the family of operating system, spelt as osquery spells it.
type Platform string

// The platforms that have an agent.
const (
	Windows Platform = "windows"
	MacOS   Platform = "macos"
	Linux   Platform = "linux"
)

// Ownership is the class of a device in the school's scheme (clause C35). The
// last three get no agent.
type Ownership string

// The classes of ownership.
const (
	SchoolSingleUser Ownership = "school-single-user" // SS: one member of staff's school laptop
	SchoolMultiUser  Ownership = "school-multi-user"  // SM: trolley and shared machines
	Authorised       Ownership = "authorised"         // AU: somebody else's, under the school's scheme
	StudentOwned     Ownership = "student-owned"      // ST
	StaffOwned       Ownership = "staff-owned"        // SF
	VisitorOwned     Ownership = "visitor-owned"      // VI
)

// KeyPlace is where a device keeps the key by which its school knows it.
type KeyPlace string

// The places of keys.
const (
	InTPM  KeyPlace = "tpm"  // the computer's TPM, which signs with it and gives it to nobody
	InFile KeyPlace = "file" // a file that the agent's account alone may read
)

// Chassis is the shape of a computer, as far as rules care: a laptop leaves
// the site.
type Chassis string

// The shapes that rules distinguish.
const (
	Laptop  Chassis = "laptop" // and notebooks, convertibles, tablets: anything that is carried
	Desktop Chassis = "desktop"
	Server  Chassis = "server"
	Virtual Chassis = "virtual"
)

// System describes the device itself.
type System struct {
	Hostname     string           `json:"hostname"`
	Platform     Platform         `json:"platform"`
	OS           Reading[string]  `json:"os"`        // identifier, such as "debian" (os-release ID)
	OSName       Reading[string]  `json:"osName"`    // for people, such as "Debian GNU/Linux 12 (bookworm)"
	OSVersion    Reading[string]  `json:"osVersion"` // such as "12"
	OSBuild      Reading[string]  `json:"osBuild"`   // kernel release or build number
	Architecture string           `json:"architecture"`
	Chassis      Reading[Chassis] `json:"chassis"`
	Manufacturer Reading[string]  `json:"manufacturer"`
	Model        Reading[string]  `json:"model"`

	// By which the same hardware is known again after it was set up anew: keyed
	// hashes, each of one number that its maker wrote into it. Not asked without
	// the school's key; unsupported where the maker wrote none of its own.
	SystemUUID    Reading[string] `json:"systemUUID,omitzero"`
	SystemSerial  Reading[string] `json:"systemSerial,omitzero"`
	BoardSerial   Reading[string] `json:"boardSerial,omitzero"`
	ChassisSerial Reading[string] `json:"chassisSerial,omitzero"`

	// What happened to the agent itself, as far as it can tell; not asked where
	// it tells nothing of the sort. Who can alter the agent can have it lie.
	AgentProgram      Reading[string]    `json:"agentProgram,omitzero"`      // SHA-256 of its program
	AgentChangedAt    Reading[time.Time] `json:"agentChangedAt,omitzero"`    // when it last found itself another program of the same version; the zero time if never
	AgentStoppedFrom  Reading[time.Time] `json:"agentStoppedFrom,omitzero"`  // from when it last did not run although the device was switched on; the zero time if never
	AgentStoppedUntil Reading[time.Time] `json:"agentStoppedUntil,omitzero"` // until when
	AgentStateLostAt  Reading[time.Time] `json:"agentStateLostAt,omitzero"`  // when it last found its state damaged, or set back; the zero time if never
	AgentKey          Reading[KeyPlace]  `json:"agentKey,omitzero"`          // where the key is kept by which the device is known
}
