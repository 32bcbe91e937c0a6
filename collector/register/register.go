// Package register is what a school keeps about its things itself: devices,
// who has them, removable media, licences, and who acknowledged the rules of
// use. It says what may be decided about them, and what a decision makes of
// what was known before.
//
// It stores nothing, never asks a clock, and never says of a device what only
// its agent can know.
package register

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Date is a day of the calendar, as 2026-09-01; "" for a day that is not known.
type Date string

// ParseDate reads a day as 2026-09-01, or as British spreadsheets write it:
// 01/09/2026.
func ParseDate(s string) (Date, error) {
	for _, layout := range []string{time.DateOnly, "02/01/2006", "2/1/2006"} {
		if t, err := time.Parse(layout, s); err == nil {
			return Date(t.Format(time.DateOnly)), nil
		}
	}
	return "", fmt.Errorf("%.40q is no date: write it as 2026-09-01 or 01/09/2026", s)
}

func (d Date) check() error {
	if d == "" {
		return nil
	}
	if t, err := time.Parse(time.DateOnly, string(d)); err != nil || t.Format(time.DateOnly) != string(d) {
		return fmt.Errorf("%.40q is no date", string(d))
	}
	return nil
}

// Description is what the school says about a device in its asset register.
type Description struct {
	What    string            `json:"what,omitempty"`    // such as "Dell Latitude 5440"
	Class   posture.Ownership `json:"class,omitempty"`   // class of ownership
	Group   string            `json:"group,omitempty"`   // such as "Year 4 trolley"
	Bought  Date              `json:"bought,omitempty"`  //
	Retired Date              `json:"retired,omitempty"` // the day from which it is not in use any more
	Serial  string            `json:"serial,omitempty"`  // the device's own, as its maker gives it
	Managed string            `json:"managed,omitempty"` // what looks after it where no agent can, such as "Google Admin"
	Manager
}

// Key is how two spellings of a tag, a role or a product are told to be the
// same: case and spaces do not count.
func Key(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), " ")) }

// Bounds of what people write.
const (
	mostTag  = 40
	mostText = 200
	mostList = 100
)

// line checks a text of one line that people can see.
func line(what, s string, most int, needed bool) error {
	switch {
	case s == "" && needed:
		return fmt.Errorf("%s is missing", what)
	case utf8.RuneCountInString(s) > most:
		return fmt.Errorf("%s has more than %d characters", what, most)
	case strings.TrimSpace(s) != s:
		return fmt.Errorf("%s begins or ends with a space", what)
	case !utf8.ValidString(s):
		return fmt.Errorf("%s is not text", what)
	}
	for _, r := range s {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return fmt.Errorf("%s holds the character %U, which cannot be seen", what, r)
		}
	}
	return nil
}

// CheckTag reports what is wrong with an asset tag, or with the number of a
// medium.
func CheckTag(tag string) error {
	if err := line("the tag", tag, mostTag, true); err != nil {
		return err
	}
	if first := tag[0]; strings.IndexByte("=+-@'", first) >= 0 {
		return fmt.Errorf("the tag %q begins with %q, which a spreadsheet takes for a formula", tag, string(first))
	}
	return nil
}

func (d Description) check() error {
	return errors.Join(
		line("what it is", d.What, mostText, false), checkClass(d.Class), line("the group", d.Group, mostText, false),
		d.Bought.check(), d.Retired.check(), CheckMakersSerial(d.Serial), line("what manages it", d.Managed, mostText, false), d.checkManager(),
	)
}

// classes are the classes of ownership and their short names.
var classes = []struct {
	short string
	class posture.Ownership
}{
	{"SS", posture.SchoolSingleUser},
	{"SM", posture.SchoolMultiUser},
	{"AU", posture.Authorised},
	{"ST", posture.StudentOwned},
	{"SF", posture.StaffOwned},
	{"VI", posture.VisitorOwned},
}

// Classes lists the classes of ownership.
func Classes() []posture.Ownership {
	var list []posture.Ownership
	for _, c := range classes {
		list = append(list, c.class)
	}
	return list
}

// ParseClass reads a class of ownership by its name or by its short name.
func ParseClass(s string) (posture.Ownership, error) {
	var names []string
	for _, c := range classes {
		if strings.EqualFold(s, c.short) || strings.EqualFold(s, string(c.class)) {
			return c.class, nil
		}
		names = append(names, c.short+" ("+string(c.class)+")")
	}
	return "", fmt.Errorf("%.40q is no class of ownership: write %s", s, strings.Join(names, ", "))
}

func checkClass(c posture.Ownership) error {
	if c == "" {
		return nil
	}
	for _, known := range classes {
		if known.class == c {
			return nil
		}
	}
	return fmt.Errorf("%.40q is no class of ownership", string(c))
}

// Personal reports whether devices of a class are somebody's own: they are
// registered and get no agent.
func Personal(c posture.Ownership) bool {
	return c == posture.StudentOwned || c == posture.StaffOwned || c == posture.VisitorOwned
}

// CheckTie says why an asset of a class is no enrolled device: what is
// somebody's own gets no agent, so one of the two is wrong.
func CheckTie(tag string, c posture.Ownership) error {
	if !Personal(c) {
		return nil
	}
	return void("%s is %s, which gets no agent, and no enrolled device can be that: correct the class, or revoke and untie the device", tag, c)
}

func checkDevice(id posture.DeviceID) error {
	if id == "" || len(id) > 63 || strings.Trim(string(id), "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return fmt.Errorf("%.80q is no identifier of a device", string(id))
	}
	return nil
}

// Made says who made a change, when, and where the record has it. Who, and of
// whom, is empty once that was forgotten.
type Made struct {
	By     string
	Person string
	// Forgotten says that who made it, and of whom, is recorded no more.
	Forgotten bool
	At        time.Time
	Entry     uint64 // of the ledger, counted from 1
}

// VoidError says why a change changes nothing as things stand.
type VoidError struct{ Why string }

// Error implements error.
func (e *VoidError) Error() string { return e.Why }

func void(format string, args ...any) error { return &VoidError{fmt.Sprintf(format, args...)} }
