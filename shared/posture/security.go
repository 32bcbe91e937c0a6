package posture

import "time"

// Security gathers the single facts about how a device is kept.
type Security struct {
	OSSupported      Reading[bool]      `json:"osSupported"`      // its maker still mends it
	OSSupportEnds    Reading[time.Time] `json:"osSupportEnds"`    // when that ends
	UpdatesPending   Reading[int64]     `json:"updatesPending"`   // all updates known and not installed
	UpdatesImportant Reading[int64]     `json:"updatesImportant"` // of these: security, or severity not stated
	ImportantSince   Reading[time.Time] `json:"importantSince"`   // when the oldest of these became available; the zero time if there is none
	UpdatesCheckedAt Reading[time.Time] `json:"updatesCheckedAt"` // when the system last asked for updates
	UpdatesAutomatic Reading[bool]      `json:"updatesAutomatic"` // security updates install by themselves
	RebootDue        Reading[bool]      `json:"rebootDue"`        // an update waits for a restart
	Firewall         Reading[bool]      `json:"firewall"`         // incoming connections are refused by default
	ScreenLock       Reading[bool]      `json:"screenLock"`       // locks by itself and asks for a password
	ScreenLockAfter  Reading[int64]     `json:"screenLockAfter"`  // seconds of idleness until it locks
	PasswordSet      Reading[bool]      `json:"passwordSet"`      // no account that can sign in has an empty password
	AutoLogon        Reading[bool]      `json:"autoLogon"`        // somebody is signed in at start without a password
	AutoRun          Reading[bool]      `json:"autoRun"`          // programs on media start by themselves
	DailyUserAdmin   Reading[bool]      `json:"dailyUserAdmin"`   // the person who mostly uses it can administer it; who that is stays on the device
	Administrators   Reading[int64]     `json:"administrators"`   // how many people's accounts can administer it
	OpenDetections   Reading[int64]     `json:"openDetections"`   // threats that antivirus found and has not dealt with
	SecureBoot       Reading[bool]      `json:"secureBoot"`
	TPM              Reading[bool]      `json:"tpm"`

	// What only some systems tell; "not asked" on the others.
	UpdatesInstalledAt Reading[time.Time] `json:"updatesInstalledAt,omitzero"` // when an update was last installed; the zero time if never
	PasswordOnWake     Reading[bool]      `json:"passwordOnWake,omitzero"`     // waking it asks for a password
	PasswordRequired   Reading[bool]      `json:"passwordRequired,omitzero"`   // no account that can sign in may have an empty password
	SystemIntegrity    Reading[bool]      `json:"systemIntegrity,omitzero"`    // not even an administrator can change the system's own files (System Integrity Protection)
	ProgramsAssessed   Reading[bool]      `json:"programsAssessed,omitzero"`   // a program from elsewhere is checked before it first runs (Gatekeeper)
}
