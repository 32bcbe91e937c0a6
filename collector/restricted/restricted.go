// Package restricted is what a school records about an incident that most must
// not see, such as an allegation about the technician. It is opened and closed
// by two of the seniors who are named for it, and what they write is encrypted
// to them. It says what may be recorded, what a case is when everything that was
// recorded is put together, and how that is sealed, signed and opened.
//
// It stores nothing and never asks a clock. It never keeps a passphrase, and
// whoever has everything that it writes, and no passphrase of a senior who is
// named, reads nothing of what they wrote.
package restricted

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// What is the sort of an act.
type What string

// The sorts of acts.
const (
	Ask     What = "ask"     // something that takes two: see Asked
	Agree   What = "agree"   // another named senior agrees to what was asked
	Decline What = "decline" // or not; or who asked takes it back
	Record  What = "record"  // a change of the incident
	Place   What = "hold"    // something is held
	Name    What = "name"    // another senior is named, or one with a new key
	View    What = "view"    // somebody looked at it
)

// Asked is what takes two named seniors.
type Asked string

// What takes two.
const (
	Open   Asked = "open"
	Close  Asked = "close"
	Reopen Asked = "reopen"
	Lift   Asked = "lift"   // what is held is held no more
	Remove Asked = "remove" // somebody is named no more
)

// State is where a case stands. Nobody reads the zero value.
type State string

// The states of a case.
const (
	Proposed State = "proposed" // one senior asked to open it
	Opened   State = "open"
	Closed   State = "closed"
	Dropped  State = "dropped" // it was never opened
)

// Bounds of a case.
const (
	FewestNamed = 2
	MostNamed   = 5
)

// Subject is something that can be held: a device, or a medium of the register.
type Subject struct {
	Device posture.DeviceID `json:"device,omitempty"`
	Medium string           `json:"medium,omitempty"` // its number
}

// check reports what is wrong with a subject.
func (s Subject) check() error {
	if (s.Device == "") == (s.Medium == "") {
		return errors.New("a hold is on a device or on a medium")
	}
	if s.Device != "" {
		return register.CheckDevice(s.Device)
	}
	return register.CheckTag(s.Medium)
}

// Same reports whether two subjects are one thing.
func (s Subject) Same(o Subject) bool {
	return s.Device == o.Device && register.Key(s.Medium) == register.Key(o.Medium)
}

// Words names a subject for people.
func (s Subject) Words() string {
	if s.Device != "" {
		return "the device " + string(s.Device)
	}
	return "the medium " + s.Medium
}

// Named is a senior who is named for a case: an account, and the key with which
// they read and sign.
type Named struct {
	Account string `json:"account"` // its identifier, which is no name
	Key
}

// Head is the part of an act that is in clear: what the collector must know to
// hold something, and to see that there were two, without a senior who reads.
type Head struct {
	School posture.SchoolID `json:"school"`
	Case   string           `json:"case"`
	After  string           `json:"after,omitempty"` // digest of the act before that was no view; "" for the first
	What   What             `json:"what"`
	By     string           `json:"by"`              // code of the key that signed
	Asked  Asked            `json:"asked,omitempty"` // of asking
	Of     string           `json:"of,omitempty"`    // of agreeing and declining: digest of the act that asked
	Named  []Named          `json:"named,omitempty"` // of asking to open: all; of naming: the one
	Whom   string           `json:"whom,omitempty"`  // of asking to remove: the account
	On     *Subject         `json:"on,omitempty"`    // of a hold, and of asking to lift it
	To     string           `json:"to,omitempty"`    // to which key what follows is sealed
	Keys   []byte           `json:"keys,omitempty"`  // its secret, and those before, sealed to all who are named
}

var (
	caseID = regexp.MustCompile(`^r-[a-z2-7]{8}$`)
	digest = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// Is reports whether a name is that of a restricted incident.
func Is(name string) bool { return caseID.MatchString(name) }

// allowed are the fields that a sort of act may have, beside those of all.
var allowed = map[What]string{
	Ask: "asked named whom on to keys", Agree: "of to keys", Decline: "of", Record: "", Place: "on", Name: "named to keys", View: "",
}

func (h Head) fields() []string {
	var list []string
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"asked", h.Asked != ""},
		{"of", h.Of != ""},
		{"named", len(h.Named) > 0},
		{"whom", h.Whom != ""},
		{"on", h.On != nil},
		{"to", h.To != ""},
		{"keys", len(h.Keys) > 0},
	} {
		if f.set {
			list = append(list, f.name)
		}
	}
	return list
}

// check reports what is wrong with a head by itself.
func (h Head) check() error {
	may, ok := allowed[h.What]
	switch {
	case !ok:
		return fmt.Errorf("%.40q is no act of a restricted incident that this version knows", string(h.What))
	case h.School == "" || !caseID.MatchString(h.Case):
		return fmt.Errorf("%.40q is no restricted incident", h.Case)
	case h.After != "" && !digest.MatchString(h.After):
		return errors.New("the act before is not named by its digest")
	case !code.MatchString(h.By):
		return fmt.Errorf("%.40q is no code of a senior's key", h.By)
	}
	for _, f := range h.fields() {
		if !strings.Contains(" "+may+" ", " "+f+" ") {
			return fmt.Errorf("%s has no %s", h.What, f)
		}
	}
	if (h.To == "") != (len(h.Keys) == 0) {
		return errors.New("a new key comes with its secret, sealed")
	}
	if h.On != nil {
		if err := h.On.check(); err != nil {
			return err
		}
	}
	for _, n := range h.Named {
		if err := n.check(); err != nil {
			return err
		}
	}
	return h.checkOwn()
}

// checkOwn checks what a sort of act must have.
func (h Head) checkOwn() error {
	lacks := func(what string, missing bool) error {
		if missing {
			return fmt.Errorf("to %s %s %s is needed", h.What, h.Asked, what)
		}
		return nil
	}
	switch h.What {
	case Ask:
		return errors.Join(
			lacks("what is asked", h.Asked == ""),
			lacks("nothing but a first act", (h.Asked == Open) != (h.After == "")),
			lacks("who is named, and a key,", (h.Asked == Open) != (len(h.Named) > 0 && h.To != "")),
			lacks("who it is", (h.Asked == Remove) != (h.Whom != "")),
			lacks("what is held", (h.Asked == Lift) != (h.On != nil)),
		)
	case Agree, Decline:
		return lacks("what was asked", !digest.MatchString(h.Of))
	case Place:
		return lacks("what is held", h.On == nil)
	case Name:
		return lacks("who, and a key,", len(h.Named) != 1 || h.To == "")
	}
	return nil
}
