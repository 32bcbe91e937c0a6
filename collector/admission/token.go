package admission

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Token is a token with which laptops enrol, as the school may read of it:
// without its secret, which was shown once.
type Token struct {
	ID          string            `json:"id"`
	Class       posture.Ownership `json:"class"`
	PersonalUse bool              `json:"personalUse,omitempty"` // the laptops are their users' own too
	Groups      []string          `json:"groups,omitempty"`      // in which they are from the first
	Uses        int               `json:"uses"`                  // laptops that it admits
	Used        int               `json:"used"`                  // laptops that it admitted
	Ends        time.Time         `json:"ends"`
	By          string            `json:"by,omitempty"` // who made it
	State       TokenState        `json:"state"`
	TakenBack   time.Time         `json:"takenBack,omitzero"`
	Way         Way               `json:"way"`
	Waiting     int               `json:"waiting"` // laptops that asked with it and wait for somebody to decide
}

// Way is how a token admits.
type Way string

// The ways of a token. One that was made before there were others admits at
// once.
const (
	AtOnce     Way = "at-once"
	OnApproval Way = "approval" // each laptop waits until somebody approves it
	ByRegister Way = "register" // one whose serial number is in the school's register is admitted, once; every other waits
)

// Ways lists the ways of a token.
func Ways() []Way { return []Way{AtOnce, ByRegister, OnApproval} }

// CheckWay reports that a way is none.
func CheckWay(w Way) error {
	if !slices.Contains(Ways(), w) {
		return fmt.Errorf("%.40q is no way in which a token admits: write %s, %s or %s", string(w), AtOnce, ByRegister, OnApproval)
	}
	return nil
}

// TokenState says whether a token admits anything still.
type TokenState string

// The states of a token. Zero claims nothing.
const (
	TokenOpen      TokenState = "open"
	TokenUsedUp    TokenState = "used-up"
	TokenEnded     TokenState = "ended"
	TokenTakenBack TokenState = "taken-back"
)

// tokenLength is that of a token's identifier, in hexadecimal digits.
const tokenLength = 16

func checkToken(id string) error {
	if len(id) != tokenLength || strings.Trim(id, "0123456789abcdef") != "" {
		return fmt.Errorf("%.80q is no identifier of a token", id)
	}
	return nil
}
