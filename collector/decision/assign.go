package decision

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caretaker-school/caretaker/collector/breach"
)

// Assign is a change of what one device is told about its use. The assignment
// itself is a section of its own, signed by the school and kept as long as the
// ledger. The decision beside it says who asked for it, and why: so it is
// recorded who asked for a name that a device withholds.
const Assign Kind = "assign"

// checkAssign is Check for a change of an assignment.
func (d Decision) checkAssign() error {
	if d.Breach != (breach.Key{}) || d.Exemption != nil || d.Policy != nil || d.Person != "" {
		return errors.New("a decision about an assignment is about nothing else")
	}
	return nil
}

// Telling is what a device is to be told about its use. What is empty stays as it
// is.
type Telling struct {
	PersonalUse *bool  `json:"personalUse,omitempty"` // whether it is its user's own too, and withholds names of programs
	Reveal      string `json:"reveal,omitempty"`      // SHA-256 of a program of which it is to tell the name all the same
	Withhold    string `json:"withhold,omitempty"`    // of one of which it is to tell it no more
}

// Check reports what a telling lacks.
func (t Telling) Check() error {
	for _, sum := range []string{t.Reveal, t.Withhold} {
		if sum != "" && (len(sum) != 64 || strings.Trim(sum, "0123456789abcdef") != "") {
			return fmt.Errorf("%.80q is not the SHA-256 of a program: 64 hexadecimal digits, as its finding says them", sum)
		}
	}
	if t.PersonalUse == nil && t.Reveal == "" && t.Withhold == "" {
		return errors.New("say what the device is to be told: whether it is its user's own too, or a program of which it is to tell the name")
	}
	return nil
}
