package register

import (
	"slices"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Asset is a device of the register: what the school says it is, who has had
// it, and which enrolled device it is.
type Asset struct {
	Tag string `json:"tag"`
	Description
	AsOf   time.Time          `json:"asOf"`             // for when the last list that names it was true
	Device posture.DeviceID   `json:"device,omitempty"` // the enrolled device that it is; "" if none is
	Before []posture.DeviceID `json:"before,omitempty"` // enrolled devices that it was, before it was installed again
	// BySerial is since when it is the device because that said its serial number,
	// and nobody has said more; zero otherwise.
	BySerial      time.Time `json:"bySerial,omitzero"`
	Held          *Held     `json:"held,omitempty"`   // who has it now
	Past          []Held    `json:"past,omitempty"`   // who had it, newest last, bounded
	Leaver        *Leaver   `json:"leaver,omitempty"` // the checklist of whoever had it and left
	Wipes         []Wipe    `json:"wipes,omitempty"`  // newest last, bounded
	Escrow        Escrow    `json:"escrow,omitempty"` // whether the school holds its recovery key
	EscrowAt      time.Time `json:"escrowAt,omitzero"`
	Investigation bool      `json:"investigation,omitempty"` // found media are plugged into this machine and no other
	// InvestigationAt is since when; zero if they are not.
	InvestigationAt time.Time `json:"investigationAt,omitzero"`
	// ListedAt is for when the last list was true that says what manages the
	// device; zero if none did.
	ListedAt time.Time `json:"listedAt,omitzero"`
	// SerialEntry is the entry of the ledger that last gave it another serial number,
	// counted from 1; 0 while it has the one with which it came.
	SerialEntry uint64 `json:"serialEntry,omitzero"`
	Entry       uint64 `json:"entry"` // of the ledger that changed it last, counted from 1
}

// Escrow says whether the school holds a recovery key; "" if nobody has said.
type Escrow string

// What can be said of a recovery key. The key itself is never recorded.
const (
	KeyHeld    Escrow = "held"
	KeyNotHeld Escrow = "not-held"
)

// Held is one time that somebody had the device.
type Held struct {
	Role   string    `json:"role"`             // such as "Year 4 class teacher"
	Person string    `json:"person,omitempty"` // who that is, until it is forgotten
	From   time.Time `json:"from"`
	Ends   time.Time `json:"ends,omitzero"` // of a loan with an end
	Back   time.Time `json:"back,omitzero"` // when it was handed back
	// Named says that a person was named, also once the name is forgotten.
	Named  bool `json:"named,omitempty"`
	Guest  bool `json:"guest,omitempty"`  // a guest's or supply teacher's
	Notice bool `json:"notice,omitempty"` // the guest was given the school's notice
	// NoticeVersion says which it was; "" if that is not recorded.
	NoticeVersion string `json:"noticeVersion,omitempty"`
	Condition     string `json:"condition,omitempty"` // what was noted about it
	By            string `json:"by,omitempty"`        // who gave it out, until that is forgotten
	Entry         uint64 `json:"entry,omitempty"`     // of the ledger that gave it out, counted from 1
}

// Overdue reports whether a loan is over and was not handed back.
func (h *Held) Overdue(now time.Time) bool {
	return h != nil && h.Back.IsZero() && !h.Ends.IsZero() && now.After(h.Ends)
}

// Step is one thing to do when somebody leaves who has a device.
type Step string

// The steps of the leaver's checklist.
const (
	Returned        Step = "returned"
	DataMoved       Step = "data-moved"
	StepWiped       Step = "wiped"
	AccountsRemoved Step = "accounts-removed"
)

// Steps lists the steps of the leaver's checklist in order.
func Steps() []Step { return []Step{Returned, DataMoved, StepWiped, AccountsRemoved} }

// Leaver is the checklist of somebody who had the device and left.
type Leaver struct {
	Left   time.Time   `json:"left"` // when they leave or left; it may lie ahead
	Role   string      `json:"role"`
	Done   []Done      `json:"done,omitempty"`
	Signed []Signature `json:"signed,omitempty"`
}

// Done is a step that was done.
type Done struct {
	Step   Step      `json:"step"`
	At     time.Time `json:"at"`
	Method string    `json:"method,omitempty"` // how
	By     string    `json:"by,omitempty"`     // who says so, until that is forgotten
}

// Signature is one of the two that close a checklist.
type Signature struct {
	At time.Time `json:"at"`
	By string    `json:"by,omitempty"` // until that is forgotten
}

// Has reports whether a step was done.
func (l *Leaver) Has(s Step) bool {
	return l != nil && slices.ContainsFunc(l.Done, func(d Done) bool { return d.Step == s })
}

// Missing lists the steps that were not done yet.
func (l *Leaver) Missing() []Step {
	return slices.DeleteFunc(Steps(), l.Has)
}

// Signatures is how many close a checklist.
const Signatures = 2

// Closed reports whether every step was done and two people signed.
func (l *Leaver) Closed() bool {
	return l != nil && len(l.Missing()) == 0 && len(l.Signed) >= Signatures
}

// Wipe is one time that the device was wiped. Nobody but who did it knows.
type Wipe struct {
	At     time.Time `json:"at"`
	Method string    `json:"method"`
	By     string    `json:"by,omitempty"` // who says so, until that is forgotten
}

// Out reports whether the device is not in use any more on a day.
func (a Asset) Out(now time.Time) bool {
	return a.Retired != "" && string(a.Retired) <= now.Format(time.DateOnly)
}

// Take returns the asset as a change leaves it. The change is about this asset
// and was checked; who may make it was asked before. A change that was taken
// already changes nothing.
func (a Asset) Take(c Change, m Made) (Asset, error) {
	if m.Entry <= a.Entry {
		return a, nil
	}
	if a.Tag == "" {
		return a, void("there is no asset %s in the register", c.Tag)
	}
	next := a.clone()
	next.Entry = m.Entry
	if err := next.take(c, m); err != nil {
		return a, err
	}
	return next, nil
}

// Import returns the asset as a line of a list leaves it. device is what it is
// tied to after that. A list that is older than another that says what manages
// the device changes nothing: what is known of it is newer.
func (a Asset) Import(i Item, asOf time.Time, m Made) Asset {
	if m.Entry <= a.Entry || i.listed() && asOf.Before(a.ListedAt) {
		return a
	}
	next := a.clone()
	next.Entry = m.Entry
	if next.Tag == "" {
		next.Tag = i.Tag
	}
	if a.Tag != "" && SerialKey(a.Serial) != SerialKey(i.Serial) {
		next.SerialEntry = m.Entry
	}
	next.Description = i.Description
	if asOf.After(next.AsOf) {
		next.AsOf = asOf
	}
	if i.listed() {
		next.ListedAt = asOf
	}
	if i.Device != "" {
		next.become(i.Device)
	}
	return next
}

// become ties the asset to an enrolled device.
func (a *Asset) become(id posture.DeviceID) {
	if a.Device == id {
		return
	}
	a.Before = slices.DeleteFunc(a.Before, func(b posture.DeviceID) bool { return b == id })
	if a.Device != "" {
		a.Before = bounded(append(a.Before, a.Device))
	}
	a.Device, a.BySerial = id, time.Time{}
}

func (a Asset) clone() Asset {
	a.Before, a.Past, a.Wipes = slices.Clone(a.Before), slices.Clone(a.Past), slices.Clone(a.Wipes)
	if a.Held != nil {
		h := *a.Held
		a.Held = &h
	}
	if a.Leaver != nil {
		l := *a.Leaver
		l.Done, l.Signed = slices.Clone(l.Done), slices.Clone(l.Signed)
		a.Leaver = &l
	}
	return a
}

// bounded keeps the newest of a list.
func bounded[T any](list []T) []T {
	const most = 50
	return list[max(0, len(list)-most):]
}

func (a *Asset) take(c Change, m Made) error {
	at := m.At
	if !c.When.IsZero() {
		at = c.When
	}
	switch c.What {
	case Tie:
		a.become(c.Device)
		a.BySerial = time.Time{}
	case TieBySerial:
		return a.admit(c.Device, at, c.On)
	case Untie:
		if a.Device == "" {
			return void("%s is not tied to a device", a.Tag)
		}
		a.Before, a.Device, a.BySerial = bounded(append(a.Before, a.Device)), "", time.Time{}
	case Allocate:
		return a.allocate(*c.Allocation, at, m)
	case HandBack:
		return a.handBack(at)
	case Left:
		return a.leave(at)
	case Stays:
		return a.stay()
	case DoneStep:
		return a.step(Done{Step: c.Step, At: at, Method: c.Method, By: m.By})
	case Sign:
		return a.sign(m)
	case Wiped:
		a.Wipes = bounded(append(a.Wipes, Wipe{At: at, Method: c.Method, By: m.By}))
		if a.Leaver != nil && !a.Leaver.Has(StepWiped) {
			return a.step(Done{Step: StepWiped, At: at, Method: c.Method, By: m.By})
		}
	case Retire:
		a.Retired = c.Date
	case Recovery:
		a.Escrow, a.EscrowAt = c.Escrow, at
	case Investigate:
		if c.On && !a.Investigation {
			a.InvestigationAt = at
		}
		if a.Investigation = c.On; !c.On {
			a.InvestigationAt = time.Time{}
		}
	default:
		return void("%s is no change of an asset", c.What)
	}
	return nil
}

func (a *Asset) allocate(x Allocation, at time.Time, m Made) error {
	switch {
	case a.Held != nil:
		return void("%s has %s already: record first that it was handed back", a.Held.Role, a.Tag)
	case a.Out(at):
		return void("%s was retired on %s", a.Tag, a.Retired)
	case !x.Ends.IsZero() && !x.Ends.After(at):
		return void("the loan of %s would end before it begins", a.Tag)
	}
	a.Held = &Held{
		Role: x.Role, Person: m.Person, Named: x.Named, From: at, Ends: x.Ends, Guest: x.Guest, Notice: x.Notice,
		NoticeVersion: x.NoticeVersion, Condition: x.Condition, By: m.By, Entry: m.Entry,
	}
	if a.Leaver.Closed() {
		a.Leaver = nil
	}
	return nil
}

// handBack ends the time of whoever has the device. If they leave, or left, that
// is the first step of their checklist.
func (a *Asset) handBack(at time.Time) error {
	if a.Held == nil {
		return void("nobody has %s", a.Tag)
	}
	h := *a.Held
	h.Back = at
	a.Past, a.Held = bounded(append(a.Past, h)), nil
	if a.Leaver != nil && !a.Leaver.Has(Returned) {
		a.Leaver.Done = append(a.Leaver.Done, Done{Step: Returned, At: at})
	}
	return nil
}

// leave begins the checklist of whoever has the device, or corrects when they
// leave: what was done already stays done.
func (a *Asset) leave(at time.Time) error {
	if a.Held == nil {
		return void("nobody has %s", a.Tag)
	}
	at = at.Truncate(time.Millisecond)
	if a.Leaver != nil && !a.Leaver.Has(Returned) {
		a.Leaver.Left = at
		return nil
	}
	a.Leaver = &Leaver{Left: at, Role: a.Held.Role}
	return nil
}

// stay takes back that whoever has the device leaves.
func (a *Asset) stay() error {
	if a.Held == nil || a.Leaver == nil || a.Leaver.Has(Returned) {
		return void("nobody who has %s is recorded as leaving", a.Tag)
	}
	a.Leaver = nil
	return nil
}

// Leaves returns when whoever has the device leaves, or left, and has not
// returned it; ok is false if nobody does.
func (a Asset) Leaves() (at time.Time, ok bool) {
	if a.Held == nil || a.Leaver == nil || a.Leaver.Has(Returned) {
		return time.Time{}, false
	}
	return a.Leaver.Left, true
}

func (a *Asset) step(d Done) error {
	switch {
	case a.Leaver == nil:
		return void("nobody who has %s is recorded as leaving", a.Tag)
	case a.Leaver.Has(d.Step):
		return void("%s was recorded already for %s", d.Step, a.Tag)
	}
	a.Leaver.Done = append(a.Leaver.Done, d)
	if d.Step == Returned && a.Held != nil {
		return a.handBack(d.At)
	}
	return nil
}

// sign takes one of two signatures. The two are of different accounts, and the
// console, at which anybody may stand, gives one of them at most.
func (a *Asset) sign(m Made) error {
	l := a.Leaver
	switch {
	case l == nil:
		return void("nobody who has %s is recorded as leaving", a.Tag)
	case len(l.Missing()) > 0:
		return void("not everything on the checklist of %s is done: %v is missing", a.Tag, l.Missing())
	case len(l.Signed) >= Signatures:
		return void("the checklist of %s is signed already", a.Tag)
	}
	for _, s := range l.Signed {
		if s.By != "" && (s.By == m.By || AtConsole(s.By) && AtConsole(m.By)) {
			return void("the second signature is another person's, and not given at the console twice")
		}
	}
	l.Signed = append(l.Signed, Signature{At: m.At, By: m.By})
	return nil
}

// AtConsole reports whether a decision was made at the console of the
// collector, under an account of its system.
func AtConsole(by string) bool { return strings.HasPrefix(by, "console") }
