// Package concern is what people tell a school without signing in: that a
// laptop was lost or stolen, that something is suspicious, or that a stick was
// found. It says what may be recorded about that, and how a school's public
// address and the reference of what was told are written.
//
// It stores nothing, and what was told marks nothing lost and opens no
// incident: that somebody of the school decides.
package concern

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caretaker-school/caretaker/collector/body"
	"github.com/caretaker-school/caretaker/collector/incident"
)

// Kind is what somebody says has happened.
type Kind string

// The kinds.
const (
	Lost       Kind = "lost"
	Stolen     Kind = "stolen"
	Suspicious Kind = "suspicious" // a message, a program, a person
	FoundStick Kind = "found-stick"
)

// Kinds lists them.
func Kinds() []Kind { return []Kind{Lost, Stolen, Suspicious, FoundStick} }

// Incident is the kind of incident that it would be.
func (k Kind) Incident() incident.Kind {
	switch k {
	case Lost, Stolen:
		return incident.LostDevice
	case FoundStick:
		return incident.FoundStick
	case Suspicious:
	}
	return incident.Other
}

// Told is what whoever raises a concern says beside what happened. It is kept
// with that, and forgotten with it.
type Told struct {
	Thing string `json:"thing,omitempty"` // what the sticker says, as it was typed: it may be nothing that the school has
	From  string `json:"from,omitempty"`  // who tells it, if they say
	Reach string `json:"reach,omitempty"` // how to reach them
}

// Bounds of what is told, in characters.
const (
	MostThing = 80
	MostFrom  = 120
	MostWords = 1500
)

// Check says what is wrong with what was told.
func (t Told) Check() error {
	return errors.Join(line("the name of the laptop", t.Thing, MostThing), line("your name", t.From, MostFrom), line("how to reach you", t.Reach, MostFrom))
}

// line checks a text of one line that people can see.
func line(what, s string, most int) error {
	if !utf8.ValidString(s) || utf8.RuneCountInString(s) > most {
		return fmt.Errorf("%s is text of at most %d characters", what, most)
	}
	for _, r := range s {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return fmt.Errorf("%s holds the character %U, which cannot be seen", what, r)
		}
	}
	return nil
}

// Section is the name of the section that carries a change. It is kept as long
// as the ledger, and holds nothing that was told: that is in the decision beside
// it, which is forgotten when its time is over.
const Section = "concern"

// What is the sort of a change.
type What string

// The sorts of changes.
const (
	Raise    What = "raise"     // somebody tells something
	SetAside What = "set-aside" // somebody of the school looked, and nothing follows
	Address  What = "address"   // the school's public address is another from now on
)

// Change is one change of a school's concerns. That an incident was opened
// because of one is said by the incident.
type Change struct {
	What    What     `json:"what"`
	ID      string   `json:"id,omitempty"` // of raising: its reference
	Kind    Kind     `json:"kind,omitempty"`
	IDs     []string `json:"ids,omitempty"`     // of setting aside
	Address string   `json:"address,omitempty"` // of the address: its last part
}

// mostAside is how many are set aside at once.
const mostAside = 100

var document = body.Of[Change]{What: "a change of what was reported", Most: 16 << 10}

// Check reports what a change lacks, or has too much.
func (c Change) Check() error {
	own := Change{What: c.What}
	var err error
	switch c.What {
	case Raise:
		own.ID, own.Kind = c.ID, c.Kind
		if err = reference.check(c.ID); err == nil && !slices.Contains(Kinds(), c.Kind) {
			err = fmt.Errorf("%.40q is nothing that is reported", string(c.Kind))
		}
	case SetAside:
		own.IDs = c.IDs
		if len(c.IDs) == 0 || len(c.IDs) > mostAside {
			err = fmt.Errorf("at least one and at most %d reports are set aside at once", mostAside)
		}
		for _, id := range c.IDs {
			err = errors.Join(err, reference.check(id))
		}
	case Address:
		own.Address = c.Address
		err = address.check(c.Address)
	default:
		return fmt.Errorf("%.40q is no change of what was reported that this version knows", string(c.What))
	}
	if err == nil && (c.ID != own.ID || c.Kind != own.Kind || len(c.IDs) != len(own.IDs) || c.Address != own.Address) {
		err = fmt.Errorf("%s says too much", c.What)
	}
	return err
}

// Encode returns the body of the section of a change.
func Encode(c Change) ([]byte, error) { return document.Encode(c) }

// Decode reads what Encode wrote.
func Decode(data []byte) (Change, error) { return document.Decode(data) }

// written is how a made-up name is written: groups of letters and digits that
// nobody takes for one another, and that are hard to make a word of.
type written struct {
	what   string
	groups []int
}

var (
	reference = written{"reference of a report", []int{4, 4}}
	address   = written{"address for reports", []int{5, 5}}
)

// letters are those of Crockford's base 32: I and L are read as 1, O as 0, and
// there is no U.
const letters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// make makes one up.
func (w written) make() string {
	length := 0
	for _, n := range w.groups {
		length += n
	}
	random := make([]byte, length)
	_, _ = rand.Read(random) // which never fails
	for i, b := range random {
		random[i] = letters[b%32]
	}
	return w.group(string(random))
}

func (w written) group(s string) string {
	var parts []string
	for _, n := range w.groups {
		parts = append(parts, s[:n])
		s = s[n:]
	}
	return strings.Join(parts, "-")
}

// parse reads one as people type it.
func (w written) parse(typed string) (string, error) {
	length := 0
	for _, n := range w.groups {
		length += n
	}
	var b strings.Builder
	for _, r := range strings.ToUpper(typed[:min(len(typed), 100)]) {
		switch r {
		case ' ', '-':
			continue
		case 'O':
			r = '0'
		case 'I', 'L':
			r = '1'
		}
		if !strings.ContainsRune(letters, r) {
			return "", fmt.Errorf("%.40q is no %s", typed, w.what)
		}
		b.WriteRune(r)
	}
	if b.Len() != length {
		return "", fmt.Errorf("%.40q is no %s", typed, w.what)
	}
	return w.group(b.String()), nil
}

func (w written) check(s string) error {
	if canonical, err := w.parse(s); err != nil || canonical != s {
		return fmt.Errorf("%.40q is no %s", s, w.what)
	}
	return nil
}

// NewReference makes up what whoever raises a concern is told to name it by. It
// opens nothing.
func NewReference() string { return reference.make() }

// ParseReference reads a reference as people type it.
func ParseReference(typed string) (string, error) { return reference.parse(typed) }

// NewAddress makes up the last part of a school's public address: fifty random
// bits, short enough for a poster.
func NewAddress() string { return address.make() }

// ParseAddress reads the last part of an address as people type it.
func ParseAddress(typed string) (string, error) { return address.parse(typed) }
