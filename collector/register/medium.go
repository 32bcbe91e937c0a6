package register

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Medium is a removable medium of the register: a stick with a number.
type Medium struct {
	Number    string    `json:"number"` // such as M-031
	Role      string    `json:"role"`   // to which it was issued
	Serials   []string  `json:"serials"`
	Before    []string  `json:"before,omitempty"`   // serial numbers that it had
	Since     time.Time `json:"since"`              // when it was registered
	Erased    []Wipe    `json:"erased,omitempty"`   // newest last, bounded
	Withdrawn time.Time `json:"withdrawn,omitzero"` // from when it is not in use any more
	Why       string    `json:"why,omitempty"`      // it was withdrawn
	Entry     uint64    `json:"entry"`              // of the ledger that changed it last, counted from 1
}

// Issue is what a change says about a medium that is registered, or issued
// anew.
type Issue struct {
	Role string `json:"role"`
	// Serials are its serial numbers as agents report them: hashed with the
	// school's media key, 64 hexadecimal digits. Some sticks have several.
	Serials []string `json:"serials"`
}

// mostSerials is how many serial numbers one medium may have.
const mostSerials = 8

// CheckSerial reports what is wrong with the hash of a serial number.
func CheckSerial(s string) error {
	if len(s) != 64 || strings.Trim(s, "0123456789abcdef") != "" {
		return fmt.Errorf("%.80q is not the hash of a serial number: 64 hexadecimal digits, as a laptop reports it", s)
	}
	return nil
}

func (c Change) checkIssue() error {
	if c.Issue == nil || len(c.Issue.Serials) == 0 || len(c.Issue.Serials) > mostSerials {
		return fmt.Errorf("a medium has from 1 to %d serial numbers", mostSerials)
	}
	var wrong []error
	for i, s := range c.Issue.Serials {
		wrong = append(wrong, CheckSerial(s))
		if slices.Contains(c.Issue.Serials[:i], s) {
			wrong = append(wrong, errors.New("the serial number is there twice"))
		}
	}
	return errors.Join(append(wrong, line("the role", c.Issue.Role, mostText, true))...)
}

// OfMedium reports whether a change is about a medium.
func (c Change) OfMedium() bool {
	return c.What == RegisterMedium || c.What == EraseMedium || c.What == WithdrawMedium
}

// InUse reports whether the medium is registered and was not withdrawn.
func (m Medium) InUse() bool { return m.Number != "" && m.Withdrawn.IsZero() }

// Take returns the medium as a change leaves it, as Asset.Take does.
func (m Medium) Take(c Change, made Made) (Medium, error) {
	if made.Entry <= m.Entry {
		return m, nil
	}
	at := made.At
	if !c.When.IsZero() {
		at = c.When
	}
	next := m
	next.Erased = slices.Clone(m.Erased)
	next.Entry = made.Entry
	switch {
	case c.What == RegisterMedium:
		if m.Number == "" {
			next.Number, next.Since = c.Tag, at
		}
		next.Before = nil
		for _, s := range slices.Concat(m.Before, m.Serials) {
			if !slices.Contains(c.Issue.Serials, s) && !slices.Contains(next.Before, s) {
				next.Before = bounded(append(next.Before, s))
			}
		}
		next.Role, next.Serials = c.Issue.Role, slices.Clone(c.Issue.Serials)
		next.Withdrawn, next.Why = time.Time{}, ""
	case m.Number == "":
		return m, void("there is no medium %s in the register", c.Tag)
	case c.What == EraseMedium:
		next.Erased = bounded(append(next.Erased, Wipe{At: at, Method: c.Method, By: made.By}))
	case c.What == WithdrawMedium:
		if !m.Withdrawn.IsZero() {
			return m, void("%s was withdrawn already", m.Number)
		}
		next.Withdrawn, next.Why = at, c.Method
	default:
		return m, void("%s is no change of a medium", c.What)
	}
	return next, nil
}
