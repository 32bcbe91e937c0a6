// Package admission is what a school decides about the enrolments of its
// devices: which token admits nothing any more, for how long after its end a
// certificate may be renewed, which later renewal is approved, whether two
// enrolments are one computer that was set up anew, and which of two machines
// that answer to one name is which. A device that waits is approved or refused by
// it too.
//
// It stores nothing, never asks a clock, and never says of a device what only
// its agent can know.
package admission

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/body"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Section is the name of the section that carries a change. It is kept as long
// as the ledger and names nobody; who decided and why is in the decision beside
// it, which can be forgotten.
const Section = "admission"

// What is the sort of a change.
type What string

// The sorts of changes.
const (
	SetWindow      What = "renewal-window"  // for how many days after its end a certificate may be renewed
	ApproveRenewal What = "approve-renewal" // a device may renew after that
	SameHardware   What = "same-hardware"   // a device is an earlier one, set up anew
	OtherHardware  What = "other-hardware"  // it is not, whatever its firmware says
	EndToken       What = "end-token"       // a token admits nothing any more
	Approve        What = "approve"         // a device that waited is admitted
	Refuse         What = "refuse"          // it is not
	TellApart      What = "tell-apart"      // which of two machines that answer to one name keeps it, or that one is a device of its own
)

// Change is one change. It holds no name of a person.
type Change struct {
	What    What             `json:"what"`
	Device  posture.DeviceID `json:"device,omitempty"`  // whose renewal is approved; the newer of two enrolments
	Earlier posture.DeviceID `json:"earlier,omitempty"` // the older of two
	Days    int              `json:"days,omitempty"`    // of the window
	Token   string           `json:"token,omitempty"`   // identifier of the one that is taken back, or with which a device asked
	Code    string           `json:"code,omitempty"`    // of a device that waited
	Key     string           `json:"key,omitempty"`     // hash of the key by which a machine asks who it is
	Keeps   bool             `json:"keeps,omitempty"`   // it is the device of that name; else a device of its own
}

// For how long after its end a certificate may be renewed without anybody's
// approval, if the school has not said otherwise, and at most.
const (
	UsualWindow = 180
	MostWindow  = 730
)

// ApprovalLasts is for how long an approved renewal waits for its device.
const ApprovalLasts = 30 * 24 * time.Hour

const mostBody = 4 << 10

// Check reports what a change lacks, or has too much.
func (c Change) Check() error {
	var want Change
	switch c.What {
	case SetWindow:
		if c.Days < 1 || c.Days > MostWindow {
			return fmt.Errorf("the window for renewal has from 1 to %d days, not %d", MostWindow, c.Days)
		}
		want = Change{What: c.What, Days: c.Days}
	case ApproveRenewal:
		want = Change{What: c.What, Device: c.Device}
	case SameHardware, OtherHardware:
		if err := checkDevice(c.Earlier); err != nil {
			return err
		}
		if c.Device == c.Earlier {
			return errors.New("one enrolment is not two")
		}
		want = Change{What: c.What, Device: c.Device, Earlier: c.Earlier}
	case TellApart:
		if err := CheckKey(c.Key); err != nil {
			return err
		}
		want = Change{What: c.What, Device: c.Device, Key: c.Key, Keeps: c.Keeps}
	case EndToken:
		if err := checkToken(c.Token); err != nil {
			return err
		}
		want = Change{What: c.What, Token: c.Token}
	case Approve, Refuse:
		if err := errors.Join(checkToken(c.Token), checkCode(c.Code)); err != nil {
			return err
		}
		want = Change{What: c.What, Token: c.Token, Code: c.Code}
		if c.What == Approve {
			want.Device = c.Device
		}
	default:
		return fmt.Errorf("%.40q is no change of enrolments that this version knows", string(c.What))
	}
	if c != want {
		return fmt.Errorf("a change of the sort %s says something that it has no room for", c.What)
	}
	if c.What == SetWindow || c.What == EndToken || c.What == Refuse {
		return nil
	}
	return checkDevice(c.Device)
}

// checkCode holds a code against the form that shared/identity gives it.
func checkCode(code string) error {
	bare := strings.Replace(code, "-", "", 1)
	if len(code) != 9 || len(bare) != 8 || code[4] != '-' || strings.Trim(bare, "ABCDEFGHJKLMNPQRSTUVWXYZ23456789") != "" {
		return fmt.Errorf("%.80q is no code of a laptop", code)
	}
	return nil
}

// CheckKey reports what is wrong with the hash of a key, as people compare it.
func CheckKey(key string) error {
	if len(key) != 64 || strings.Trim(key, "0123456789abcdef") != "" {
		return fmt.Errorf("%.80q is not the hash of a machine's key", key)
	}
	return nil
}

func checkDevice(id posture.DeviceID) error {
	if id == "" || len(id) > 63 || strings.Trim(string(id), "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return fmt.Errorf("%.80q is no identifier of a device", string(id))
	}
	return nil
}

// bodies are the sections of changes.
var bodies = body.Of[Change]{What: "a change of enrolments", Most: mostBody}

// Encode returns the body of the section of a change.
func Encode(c Change) ([]byte, error) { return bodies.Encode(c) }

// Decode reads what Encode wrote. Fields that this version does not know are
// passed over; a sort of change that it does not know is an error.
func Decode(data []byte) (Change, error) { return bodies.Decode(data) }
