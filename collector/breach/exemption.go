package breach

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// LongestExemption is how long an exemption lasts at most: one that is
// forgotten must end by itself, and be asked for again.
const LongestExemption = 366 * 24 * time.Hour

// Exemption is permission to fail a rule for a time. It has a scope, an
// approver other than the one who asked, a reason and an end; whoever records
// one checks that with Check.
type Exemption struct {
	ID       string    `json:"id"`
	Scope    Scope     `json:"scope,omitzero"`
	From     time.Time `json:"from,omitzero"`
	Until    time.Time `json:"until,omitzero"` // the first moment at which it no longer holds
	Ended    time.Time `json:"ended,omitzero"` // when it was taken back before its end
	AskedBy  string    `json:"askedBy,omitempty"`
	Approver string    `json:"approver,omitempty"`
	Reason   string    `json:"reason,omitempty"`
}

// Runs reports whether the exemption holds at a moment. One without an end
// never does.
func (e Exemption) Runs(now time.Time) bool {
	return !e.From.IsZero() && !now.Before(e.From) && now.Before(e.Ends())
}

// Ends returns the first moment at which the exemption no longer holds.
func (e Exemption) Ends() time.Time {
	if !e.Ended.IsZero() && e.Ended.Before(e.Until) {
		return e.Ended
	}
	return e.Until
}

// Check reports what an exemption lacks.
func (e Exemption) Check() error {
	switch {
	case e.ID == "":
		return errors.New("an exemption needs an identifier")
	case e.Reason == "":
		return errors.New("an exemption needs a reason")
	case e.AskedBy == "" || e.Approver == "":
		return errors.New("an exemption needs someone who asks and someone who approves")
	case SamePerson(e.AskedBy, e.Approver):
		return fmt.Errorf("%.80s cannot approve an exemption that they asked for", e.AskedBy)
	case e.From.IsZero() || e.Until.IsZero():
		return errors.New("an exemption needs a start and an end")
	case !e.From.Before(e.Until):
		return errors.New("an exemption must end after it starts")
	case e.Until.Sub(e.From) > LongestExemption:
		return fmt.Errorf("an exemption lasts %d days at most", int(LongestExemption.Hours()/24))
	}
	return e.Scope.Check()
}

// SamePerson reports whether two names are what a person would call the same.
func SamePerson(a, b string) bool {
	return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b))
}

// Extent says how much of a rule's breaches a scope covers.
type Extent string

// The extents. Empty covers nothing.
const (
	OneBreach   Extent = "breach" // of one subject of one device
	OneDevice   Extent = "device" // all of one device
	OneGroup    Extent = "group"  // all of the devices of one group
	WholeSchool Extent = "school" // all
)

// Extents lists the extents, the narrowest first.
func Extents() []Extent { return []Extent{OneBreach, OneDevice, OneGroup, WholeSchool} }

// Scope is what an exemption covers: a rule, and how much of its breaches.
// Only the fields that its extent names are set.
type Scope struct {
	Rule    string           `json:"rule"`
	Of      Extent           `json:"of"`
	Device  posture.DeviceID `json:"device,omitempty"`  // of OneBreach and OneDevice
	Kind    string           `json:"kind,omitempty"`    // of OneBreach: of the subject
	Subject string           `json:"subject,omitempty"` // of OneBreach: the subject's key among its kind
	Group   string           `json:"group,omitempty"`   // of OneGroup
}

// mostScope bounds each part of a scope, in bytes.
const mostScope = 1024

// Check reports what is wrong with a scope.
func (s Scope) Check() error {
	if s.Rule == "" {
		return errors.New("an exemption is from one rule, which it names")
	}
	for _, part := range []string{s.Rule, string(s.Device), s.Kind, s.Subject, s.Group} {
		if len(part) > mostScope || !utf8.ValidString(part) || strings.ContainsFunc(part, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return fmt.Errorf("a scope is of words that can be seen, of at most %d bytes each", mostScope)
		}
	}
	want := Scope{Rule: s.Rule, Of: s.Of}
	named := true
	switch s.Of {
	case OneBreach:
		want.Device, want.Kind, want.Subject = s.Device, s.Kind, s.Subject
		named = s.Device != "" && s.Kind != ""
	case OneDevice:
		want.Device, named = s.Device, s.Device != ""
	case OneGroup:
		want.Group, named = s.Group, s.Group != ""
	case WholeSchool:
	default:
		return fmt.Errorf("an exemption is for a breach, a device, a group or the school, not for %.40q", string(s.Of))
	}
	if !named || s != want {
		return fmt.Errorf("an exemption for a %s names that and nothing beside", s.Of)
	}
	return nil
}

// Covers reports whether the scope covers a breach. groups are those of the
// breach's device; only a scope of a group asks for them.
func (s Scope) Covers(k Key, groups []string) bool {
	if s.Rule == "" || s.Rule != k.Rule {
		return false
	}
	switch s.Of {
	case OneBreach:
		return s.Key() == k
	case OneDevice:
		return s.Device != "" && s.Device == k.Device
	case OneGroup:
		return s.Group != "" && slices.Contains(groups, s.Group)
	case WholeSchool:
		return true
	}
	return false
}

// Key returns the key of the breach that a scope of one breach covers.
func (s Scope) Key() Key { return Key{Device: s.Device, Rule: s.Rule, Kind: s.Kind, ID: s.Subject} }
