package admission

import (
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Claimant is a machine that answers to a device's name, and asks who it is by
// a key of its own.
type Claimant struct {
	Device   posture.DeviceID `json:"device"` // whose name it has
	Key      string           `json:"key"`    // hash of its own key
	Code     string           `json:"code"`   // by which people recognise it: it shows the same
	Hostname string           `json:"hostname"`
	Platform posture.Platform `json:"platform"`
	// Agree and Differ are the numbers of its firmware that are as the device's
	// were when it first reported, and those that are not.
	Agree  []string  `json:"agree,omitempty"`
	Differ []string  `json:"differ,omitempty"`
	Moved  bool      `json:"moved,omitempty"` // it found by itself that its state comes from other hardware
	Since  time.Time `json:"since"`           // when it first asked since the collector was started
	Last   time.Time `json:"last"`            // when it last asked
}
