package viewing

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/caretaker-school/caretaker/collector/body"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// Way is how somebody looked.
type Way string

// The ways to look.
const (
	Page    Way = "page"    // in a browser
	Program Way = "program" // a program did, with a key that an account gave it
	Command Way = "command" // at the console
)

// Look is that somebody looked at something. It never says what they searched for.
type Look struct {
	By   string `json:"by"`             // the account's name, as it was then; of a command the operator, as console:NAME
	Key  string `json:"key,omitempty"`  // of a program: which key of the account's
	Way  Way    `json:"way"`            //
	What What   `json:"what"`           //
	Name string `json:"name,omitempty"` // of the one thing that was looked at
	// Devices are the laptops that it names, if it is no laptop itself.
	Devices []posture.DeviceID `json:"devices,omitempty"`
}

// Seen is a look as it was recorded.
type Seen struct {
	Look
	At    time.Time `json:"at"`
	Entry uint64    `json:"entry"` // of the ledger, counted from 1
}

// Section is the name of the section that carries a look. It is of the class
// people, and the envelope around it has no subject: once it is forgotten, nothing
// says who looked, or at whom.
const Section = "look"

// Bounds of a look.
const (
	mostBody    = 8 << 10
	mostName    = 200 // bytes
	MostDevices = 64
)

var document = body.Of[Look]{What: "a look", Most: mostBody}

var (
	word   = regexp.MustCompile(`^[a-z][a-z-]{0,30}$`)
	key    = regexp.MustCompile(`^[a-z2-7]{0,16}$`)
	device = regexp.MustCompile(`^[a-z0-9:-]{1,63}$`)
)

// ones and lists are what this version knows to be looked at.
var (
	ones  = []What{Device, Evidence, Incident, Asset, Medium, Person}
	lists = []What{Devices, Breaches, Exemptions, Incidents, Position, Register, Media, Uses, SignIns, Record, Requests, Disputes, Looks}
)

// All lists what can be looked at.
func All() []What { return slices.Concat(ones, lists) }

// One reports whether it is one thing, which has a name.
func (w What) One() bool { return slices.Contains(ones, w) }

// Known reports whether this version knows it. Nobody's record is none.
func (w What) Known() bool { return slices.Contains(All(), w) }

// Check reports what is wrong with a look. One of something that a later version
// shows is none the less a look.
func (l Look) Check() error {
	switch {
	case l.By == "" || !line(l.By):
		return errors.New("a look is somebody's")
	case !key.MatchString(l.Key):
		return fmt.Errorf("%.40q is no key of an account", l.Key)
	case !word.MatchString(string(l.Way)):
		return fmt.Errorf("%.40q is no way to look", string(l.Way))
	case !word.MatchString(string(l.What)) || l.What == Nobody:
		return fmt.Errorf("%.40q is nothing that is looked at", string(l.What))
	case l.What.Known() && l.What.One() != (l.Name != "") || !line(l.Name):
		return fmt.Errorf("%s is not looked at under the name %.40q", l.What, l.Name)
	case len(l.Devices) > MostDevices:
		return fmt.Errorf("%d laptops are more than the %d that one look names", len(l.Devices), MostDevices)
	case slices.ContainsFunc(l.Laptops(), func(id posture.DeviceID) bool { return !device.MatchString(string(id)) }):
		return errors.New("a laptop of the look has no identifier")
	}
	return nil
}

// line reports whether a name is one line of words that people can see.
func line(s string) bool {
	if len(s) > mostName || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// Laptops are the laptops that somebody saw by looking at one thing. In a list
// they may have seen any.
func (l Look) Laptops() []posture.DeviceID {
	if l.What == Device || l.What == Evidence {
		return []posture.DeviceID{posture.DeviceID(l.Name)}
	}
	return l.Devices
}

// Encode returns the section of a look. salt is random.
func Encode(l Look, salt [proof.SaltSize]byte) (proof.Section, error) {
	if !l.What.Known() {
		return proof.Section{}, fmt.Errorf("encode a look: nothing of the sort %.40q is shown", string(l.What))
	}
	data, err := document.Encode(l)
	return proof.Section{Name: Section, Class: proof.People, Salt: salt, Body: data}, err
}

// Decode reads the body of the section of a look.
func Decode(data []byte) (Look, error) { return document.Decode(data) }
