package register

import (
	"errors"
	"time"
)

// Use is an acknowledgement of the school's rules of use by whoever has a role,
// or by a person.
type Use struct {
	Role    string    `json:"role"`
	Person  string    `json:"person,omitempty"`
	At      time.Time `json:"at"`                // when it was given
	Version string    `json:"version,omitempty"` // of the rules of use
	By      string    `json:"by,omitempty"`      // who recorded it
	Entry   uint64    `json:"entry"`             // of the ledger that says so last, counted from 1
}

// Acknowledgement is what a change says about the rules of use.
type Acknowledgement struct {
	Role    string `json:"role"`
	Named   bool   `json:"named,omitempty"` // the decision names the person
	Version string `json:"version,omitempty"`
}

func (c Change) checkUse() error {
	if c.Use == nil {
		return errors.New("who acknowledged the rules of use is missing")
	}
	return errors.Join(line("the role", c.Use.Role, mostText, true), line("the version", c.Use.Version, mostTag, false))
}

// HolderKey tells who acknowledged, and who has a device: a person, or whoever
// has a role where nobody is named.
func HolderKey(role, person string) string {
	if person != "" {
		return "person " + Key(person)
	}
	return "role " + Key(role)
}

// Names reports whether a change is made with the name of a person.
func (c Change) Names() bool {
	return c.Allocation != nil && c.Allocation.Named || c.Use != nil && c.Use.Named
}

// Name notes in a change whether it is made with the name of a person. It
// fails if it can have none.
func (c *Change) Name(person string) error {
	switch {
	case c.Allocation != nil:
		c.Allocation.Named = person != ""
	case c.Use != nil:
		c.Use.Named = person != ""
	case person != "":
		return errors.New("a person is named by an allocation or an acknowledgement, and by nothing else")
	}
	return nil
}
