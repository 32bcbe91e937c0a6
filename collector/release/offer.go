// Package release holds the agent's releases that a collector hands on, as the
// publisher signed them, and says which laptops are offered which, and when.
//
// It makes no release and signs none: what a laptop believes is the publisher's
// word alone.
package release

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/publisher"
)

// Offer is what a school decided to offer its laptops: a version, in rings that
// widen, or nothing any more.
type Offer struct {
	Version string `json:"version,omitempty"` // "": nothing, the stop
	Group   string `json:"group,omitempty"`   // to devices of this group alone
	Share   int    `json:"share,omitempty"`   // to so many of a hundred of them, from the start
	PerDay  int    `json:"perDay,omitempty"`  // and to so many more with each day
}

const whole = 100

// Check says what is wrong with an offer.
func (o Offer) Check() error {
	switch {
	case o == Offer{}:
		return nil
	case !publisher.IsVersion(o.Version) || len(o.Version) > 40:
		return fmt.Errorf("%.40q is no version: it is like v1.2.0", o.Version)
	case o.Share < 1 || o.Share > whole || o.PerDay < 0 || o.PerDay > whole:
		return errors.New("a release is offered to 1 to 100 percent of the laptops, and to 0 to 100 percent more each day")
	case len(o.Group) > 200:
		return errors.New("no group has so long a name")
	}
	return nil
}

// ShareAt returns to how many of a hundred it is offered at a moment, if it was
// made at since.
func (o Offer) ShareAt(since, now time.Time) int {
	if o.Version == "" || now.Before(since) {
		return 0
	}
	days := int(min(now.Sub(since)/(24*time.Hour), whole))
	return min(o.Share+days*o.PerDay, whole)
}

// Includes reports whether a device is offered it at a moment. Which come first
// is by chance, and another chance with each version.
func (o Offer) Includes(device posture.DeviceID, groups []string, since, now time.Time) bool {
	if o.Group != "" && !slices.Contains(groups, o.Group) {
		return false
	}
	sum := sha256.Sum256([]byte(o.Version + "\x00" + string(device)))
	return int(binary.BigEndian.Uint32(sum[:4])%whole) < o.ShareAt(since, now)
}

// UsualReason stands in the record where nobody gave another.
func UsualReason(o Offer) string {
	if o.Version == "" {
		return "no release is offered any more"
	}
	return "release " + o.Version + " is offered"
}
