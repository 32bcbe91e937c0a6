// Package incident is what a school records about an incident: a device or a
// stick that was lost or found, or data that reached somebody they should not.
// It says what may be recorded, and what an incident is when everything that
// was recorded about it is put together.
//
// It stores nothing and never asks a clock. Nothing that was recorded is
// changed by what is recorded later: a correction stands beside what it
// corrects.
package incident

import (
	"fmt"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Kind is the sort of an incident; "" if what opened it cannot be read.
type Kind string

// The kinds of incidents.
const (
	LostDevice Kind = "lost-device"
	LostStick  Kind = "lost-stick"
	FoundStick Kind = "found-stick"
	Disclosure Kind = "disclosure" // somebody learnt what they should not
	Other      Kind = "other"
)

// Kinds lists the kinds of incidents.
func Kinds() []Kind { return []Kind{LostDevice, LostStick, FoundStick, Disclosure, Other} }

// Audience is who may have to be told of an incident.
type Audience string

// The audiences.
const (
	Regulator   Audience = "regulator"   // the Information Commissioner
	Individuals Audience = "individuals" // whose data are at risk
)

// Audiences lists them.
func Audiences() []Audience { return []Audience{Regulator, Individuals} }

// Answer is whether an audience is to be told.
type Answer string

// The answers. Until somebody has answered there is none.
const (
	Yes    Answer = "yes"
	No     Answer = "no"
	NotYet Answer = "not-yet" // it was considered, and cannot be said yet
)

// Answers lists them.
func Answers() []Answer { return []Answer{Yes, No, NotYet} }

// Outcome is what an incident came to.
type Outcome string

// The outcomes.
const (
	Internal  Outcome = "internal"  // the school dealt with it
	Authority Outcome = "authority" // the local authority or the trust has it
	Police    Outcome = "police"
	Nothing   Outcome = "nothing" // it was no incident
)

// Outcomes lists them.
func Outcomes() []Outcome { return []Outcome{Internal, Authority, Police, Nothing} }

// Thing is a sort of thing that an incident is linked to.
type Thing string

// The things.
const (
	Device   Thing = "device"   // one that is enrolled
	Asset    Thing = "asset"    // of the register, by its tag
	Medium   Thing = "medium"   // of the register, by its number
	Breach   Thing = "breach"   // of a rule on a device
	Evidence Thing = "evidence" // a sealed bundle, by the SHA-256 of its file
	Stick    Thing = "stick"    // a medium, registered or not, by the hash of its serial number
)

// Link is a thing that an incident is linked to.
type Link struct {
	What    Thing            `json:"what"`
	Device  posture.DeviceID `json:"device,omitempty"`  // of a device or a breach
	Name    string           `json:"name,omitempty"`    // tag of an asset, number of a medium
	Rule    string           `json:"rule,omitempty"`    // of a breach
	Subject string           `json:"subject,omitempty"` // of a breach: the key of its subject; "": of all
	Digest  string           `json:"digest,omitempty"`  // of evidence or a stick: 64 hexadecimal digits
	Lost    bool             `json:"lost,omitempty"`    // a device, an asset or a medium that is lost
}

// key is a link without what changes about it.
func (l Link) key() Link {
	l.Name, l.Lost = register.Key(l.Name), false
	return l
}

// Same reports whether two links are to one thing.
func (l Link) Same(other Link) bool { return l.key() == other.key() }

// Words names a thing for people.
func (l Link) Words() string {
	switch l.What {
	case Device:
		return "the device " + string(l.Device)
	case Asset:
		return "the asset " + l.Name
	case Medium:
		return "the medium " + l.Name
	case Breach:
		return "a breach of " + l.Rule + " on " + string(l.Device)
	case Stick:
		return "the medium with the hashed serial number " + l.Digest
	case Evidence:
	}
	return "evidence " + l.Digest
}

// Act is who recorded something, what they wrote about it, and where the
// record has it. Who and what is empty once that was forgotten.
type Act struct {
	By        string    `json:"by,omitempty"`
	Words     string    `json:"words,omitempty"`
	Forgotten bool      `json:"forgotten,omitempty"`
	Recorded  time.Time `json:"recorded"`
	Entry     uint64    `json:"entry"` // of the ledger, counted from 1
}

// Taken is a change that was recorded.
type Taken struct {
	Change
	Act
}

// Aware is when the school became aware of an incident, as somebody recorded
// it, and until when the regulator is to be told because of that.
type Aware struct {
	When   Moment `json:"when"`
	TellBy Moment `json:"tellBy"`
	Act
}

// Happened is when an incident happened, as somebody recorded it.
type Happened struct {
	When Moment `json:"when"`
	Act
}

// Sorted is what kind of incident it is, as somebody recorded it.
type Sorted struct {
	Kind Kind `json:"kind"`
	Act
}

// Telling is a decision whether to tell an audience. What was written about it
// is the reason.
type Telling struct {
	Answer  Answer  `json:"answer"`
	Decided Moment  `json:"decided"`
	Told    *Moment `json:"told,omitempty"` // when they were told, if they were
	Act
}

// Contact is one time that the school spoke to somebody about the incident.
// What was written about it is what came of it.
type Contact struct {
	Whom string `json:"whom"` // a role or an organisation
	When Moment `json:"when"`
	Act
}

// Linked is a link since it was made.
type Linked struct {
	Link
	Losses []Loss `json:"losses,omitempty"` // each time that it was lost, the last one last
	Act
}

// Loss is one time that something was lost.
type Loss struct {
	Since Moment  `json:"since"`
	Found *Moment `json:"found,omitempty"` // when it was found again; nil while it is lost
	// FoundAct is who recorded that it was found.
	FoundAct *Act `json:"foundAct,omitempty"`
	Act
	said bool // since when was said, and does not follow from when it happened
}

// Closing is one time that the incident was closed, or opened again.
type Closing struct {
	Outcome Outcome `json:"outcome,omitempty"` // of closing
	Again   bool    `json:"again,omitempty"`   // it was opened again
	Act
}

// Incident is everything that was recorded about an incident. Where something
// was said more than once the last counts, and all is there.
type Incident struct {
	ID          string     `json:"id"`
	Number      string     `json:"number"` // in the school, such as 2026-03
	Kind        Kind       `json:"kind"`   // the last of Kinds
	Kinds       []Sorted   `json:"kinds"`
	Opened      Act        `json:"opened"` // what was written is what happened
	Happened    []Happened `json:"happened,omitempty"`
	Aware       []Aware    `json:"aware"`
	Regulator   []Telling  `json:"regulator,omitempty"`
	Individuals []Telling  `json:"individuals,omitempty"`
	Links       []Linked   `json:"links,omitempty"`
	Contacts    []Contact  `json:"contacts,omitempty"`
	Notes       []Act      `json:"notes,omitempty"`
	Lessons     []Act      `json:"lessons,omitempty"`
	Closings    []Closing  `json:"closings,omitempty"`
	Closed      bool       `json:"closed"`
	Changes     int        `json:"changes"` // that were recorded
	Entry       uint64     `json:"entry"`   // of the last of them, counted from 1
}

// TellBy returns until when the regulator is to be told; ok is false if
// nothing says when the school became aware.
func (i Incident) TellBy() (by Moment, ok bool) {
	if len(i.Aware) == 0 {
		return by, false
	}
	return i.Aware[len(i.Aware)-1].TellBy, true
}

// Told reports what was decided last about an audience; ok is false if nothing
// was.
func (i Incident) Told(a Audience) (t Telling, ok bool) {
	list := i.Regulator
	if a == Individuals {
		list = i.Individuals
	}
	if len(list) == 0 {
		return t, false
	}
	return list[len(list)-1], true
}

// Lost returns since when something is lost; ok is false if it is not.
func (l Linked) Lost() (since Moment, ok bool) {
	if len(l.Losses) == 0 || l.Losses[len(l.Losses)-1].Found != nil {
		return since, false
	}
	return l.Losses[len(l.Losses)-1].Since, true
}

// one checks that a word is one of those that may stand there.
func one[T ~string](what string, word T, of []T) error {
	words := make([]string, 0, len(of))
	for _, w := range of {
		if w == word {
			return nil
		}
		words = append(words, string(w))
	}
	return fmt.Errorf("%.40q is no %s: write one of %s", string(word), what, strings.Join(words, ", "))
}
