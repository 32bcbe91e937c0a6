package policy

import (
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// SchoolFacts is what the collector itself knows about one device: the facts
// of the rules that are judged at the school. Each is an answer with one item.
// A fact that the collector does not keep stays NotAsked, and its rules are
// then not checked.
type SchoolFacts struct {
	System        posture.Answer[posture.System] `json:"system"` // as the device last reported it
	Contact       posture.Answer[Contact]        `json:"contact"`
	Coverage      posture.Answer[Coverage]       `json:"coverage"`
	Agent         posture.Answer[Agent]          `json:"agent"`
	Escrow        posture.Answer[Escrow]         `json:"escrow"`
	Register      posture.Answer[Register]       `json:"register"`
	Licences      posture.Answer[Licences]       `json:"licences"`
	Allocation    posture.Answer[Allocation]     `json:"allocation"`
	AcceptableUse posture.Answer[AcceptableUse]  `json:"acceptableUse"`
}

// Contact is when a device was heard from. Here silence is the fact: a device
// that was never heard from was last heard from when it enrolled.
type Contact struct {
	LastAt time.Time `json:"lastAt"` // by the collector's clock
	// Silence is the time since then, without days on which the school is known
	// to be closed; weekends in term count.
	Silence posture.Reading[time.Duration] `json:"silence"`
}

// Coverage is how far the device's own answers go.
type Coverage struct {
	// EncryptionProven says that the latest report proved whether the system
	// disk is encrypted: its result was pass or fail.
	EncryptionProven posture.Reading[bool] `json:"encryptionProven"`
	// EncryptionAt is when that was last proven.
	EncryptionAt posture.Reading[time.Time] `json:"encryptionAt"`
}

// Agent is the health of the agent as the collector sees it.
type Agent struct {
	Skew          posture.Reading[time.Duration] `json:"skew"`          // the device's clock less the collector's
	ProbeErrors   posture.Reading[int64]         `json:"probeErrors"`   // sections of the latest report that timed out or were unreadable
	Disagreements posture.Reading[int64]         `json:"disagreements"` // rules on which the collector's own evaluation differs
	Dropped       posture.Reading[int64]         `json:"dropped"`       // reports that the device's full spool dropped since its last full report
}

// Escrow says whether the school holds the device's recovery key.
type Escrow struct {
	Held posture.Reading[bool] `json:"held"`
}

// Register compares the device with what the school has registered.
type Register struct {
	UnknownMedia posture.Reading[int64] `json:"unknownMedia"` // media attached now that are not registered
}

// Licences compares the device's programs with the licences that were bought.
type Licences struct {
	Over posture.Reading[int64] `json:"over"` // its programs of which more are installed than were bought
}

// Allocation says who has the device, without saying who.
type Allocation struct {
	Held   posture.Reading[bool]      `json:"held"`   // somebody has it
	Ends   posture.Reading[bool]      `json:"ends"`   // it is a loan with an end
	EndsAt posture.Reading[time.Time] `json:"endsAt"` // when the loan ends
	Leaver posture.Reading[bool]      `json:"leaver"` // the person has left and not returned it
	Guest  posture.Reading[bool]      `json:"guest"`  // it is a guest's or supply teacher's
	// Administrators is how many accounts of people can administer the device, as
	// it last said; whose they are stays on the device.
	Administrators posture.Reading[int64] `json:"administrators"`
}

// AcceptableUse says whether the person who has the device acknowledged the
// school's rules of use.
type AcceptableUse struct {
	Acknowledged posture.Reading[bool] `json:"acknowledged"`
}
