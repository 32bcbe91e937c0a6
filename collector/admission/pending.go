package admission

import (
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Pending is a device that asked to be admitted and waits for somebody to
// approve it, or was refused a while ago. What it says of itself, nobody has
// proved.
type Pending struct {
	Code         string           `json:"code"`  // of its key
	Token        string           `json:"token"` // identifier of the one with which it asked
	Platform     posture.Platform `json:"platform"`
	Hostname     string           `json:"hostname"`
	Manufacturer string           `json:"manufacturer"`
	Model        string           `json:"model"`
	AgentVersion string           `json:"agentVersion"`
	Why          string           `json:"why"`           // it was not admitted at once, in words
	Asked        time.Time        `json:"asked"`         // when it first asked
	Last         time.Time        `json:"last,omitzero"` // when it last asked, since this collector started
	Ends         time.Time        `json:"ends"`          // then it is forgotten
	Refused      time.Time        `json:"refused,omitzero"`
	RefusedFor   string           `json:"refusedFor,omitempty"`
	Asset        string           `json:"asset,omitempty"` // tag of the asset of the register that had its serial number when it first asked
}

// WithoutRegister returns what may be shown to who does not read the register.
func (p Pending) WithoutRegister() Pending {
	if p.Asset = ""; strings.HasPrefix(p.Why, "the register's ") { // with the tag, as the register says why an asset does not admit
		p.Why = "somebody has to approve it"
	}
	return p
}

// Decided is what became of one device about which somebody decided.
type Decided struct {
	Code   string           `json:"code"`
	Device posture.DeviceID `json:"device,omitempty"` // if it was admitted
	Entry  uint64           `json:"entry,omitempty"`  // of the ledger, that holds the decision
	Why    string           `json:"why,omitempty"`    // it could not be decided, in words; "" if it was
	Asset  string           `json:"asset,omitempty"`  // tag of the asset that it is from now on
	Untied string           `json:"untied,omitempty"` // why it was admitted and is not the asset that had its serial number, in words
}
