package register

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/body"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Section is the name of the section that carries a change. It is kept as long
// as the ledger and names nobody; who made the change, and the name of whoever
// has a device, are in the decision beside it, which can be forgotten.
const Section = "register"

// What is the sort of a change.
type What string

// The sorts of changes.
const (
	Import      What = "import"        // what the school's list says about devices
	Tie         What = "tie"           // an asset is an enrolled device
	TieBySerial What = "tie-by-serial" // it is one, which said its serial number and was admitted by it
	Untie       What = "untie"         // it is none
	Allocate    What = "allocate"      // somebody has it from now on
	HandBack    What = "hand-back"     // it was handed back
	Left        What = "left"          // whoever has it leaves, or left: the only change of which the time may lie ahead
	Stays       What = "stays"         // they do not after all
	DoneStep    What = "step"          // a step of the leaver's checklist was done
	Sign        What = "sign"          // the checklist is signed
	Wiped       What = "wiped"         // it was wiped
	SetNotice   What = "guest-notice"  // what guests are told, in a version
	Retire      What = "retire"        // it is not in use any more
	Recovery    What = "recovery"      // the school holds its recovery key, or does not
	Investigate What = "investigate"   // found media are plugged into it, or no longer

	RegisterMedium What = "register-medium" // a medium is issued to a role
	EraseMedium    What = "erase-medium"    // it was erased
	WithdrawMedium What = "withdraw-medium" // it is not in use any more: lost, broken, destroyed

	SetLicence    What = "licence"         // how many licences of a product were bought
	ExcludeDevice What = "licence-exclude" // a device does not count for it, and why
	IncludeDevice What = "licence-include" // it counts again
	SignLicence   What = "licence-sign"    // what is installed was reconciled with what was bought, and signed for

	AcknowledgeUse What = "acknowledge-use" // somebody acknowledged the rules of use

	ListsLast What = "lists-last" // for how long a list of devices that no agent covers counts
)

// Item is what a list says about one device.
type Item struct {
	Tag string `json:"tag"`
	Description
	Device posture.DeviceID `json:"device,omitempty"` // the enrolled device that it is
	// Listed says that the list has a column about what manages devices. Of a
	// list that was recorded before that was said, it is so if it names anything.
	Listed *bool `json:"listed,omitempty"`
}

// listed reports whether the line says what manages the device, or that nothing
// does.
func (i Item) listed() bool {
	if i.Listed == nil {
		return i.Managed != ""
	}
	return *i.Listed
}

// Allocation is who gets a device.
type Allocation struct {
	Role   string    `json:"role"`
	Named  bool      `json:"named,omitempty"` // the decision names the person
	Ends   time.Time `json:"ends,omitzero"`   // of a loan
	Guest  bool      `json:"guest,omitempty"`
	Notice bool      `json:"notice,omitempty"`
	// NoticeVersion says which notice it was, if the school has recorded one.
	NoticeVersion string `json:"noticeVersion,omitempty"`
	Condition     string `json:"condition,omitempty"`
}

// Change is one change of the register. It holds no name of a person.
type Change struct {
	What       What             `json:"what"`
	Tag        string           `json:"tag,omitempty"`        // of the asset; the number of a medium; a product
	Items      []Item           `json:"items,omitempty"`      // of an import
	AsOf       time.Time        `json:"asOf,omitzero"`        // of an import: when the list was true
	When       time.Time        `json:"when,omitzero"`        // when it happened, if not when it was recorded
	Device     posture.DeviceID `json:"device,omitempty"`     // of a tie, or of what does not count for a licence
	Allocation *Allocation      `json:"allocation,omitempty"` // of an allocation
	Issue      *Issue           `json:"issue,omitempty"`      // of a medium
	Purchase   *Purchase        `json:"purchase,omitempty"`   // of a licence
	Reconciled *Reconciled      `json:"reconciled,omitempty"` // of signing for one
	Use        *Acknowledgement `json:"use,omitempty"`        // of the rules of use
	Step       Step             `json:"step,omitempty"`       // of the checklist
	Text       string           `json:"text,omitempty"`       // of a notice
	Method     string           `json:"method,omitempty"`     // how something was wiped, erased or done
	Date       Date             `json:"date,omitempty"`       // of retiring
	Escrow     Escrow           `json:"escrow,omitempty"`     //
	On         bool             `json:"on,omitempty"`         // of a tie by serial number: somebody approved the device by its code
	Days       int              `json:"days,omitempty"`       // for which lists count
}

// The reasons that are recorded where nobody gives another.
const (
	UsualReason  = "recorded in the school's register"
	ImportReason = "a list of devices was imported"
)

// Bounds of one change.
const (
	mostItems = 5000
	mostBody  = 4 << 20
)

// MostList bounds a list of devices as a spreadsheet saves it, in bytes.
const MostList = mostBody

// Check reports what a change lacks.
func (c Change) Check() error {
	switch {
	case c.OfLicence():
		return c.checkLicence()
	case c.What == AcknowledgeUse:
		return c.checkUse()
	case c.What == SetNotice:
		return c.checkNotice()
	case c.What == ListsLast:
		return c.checkDays()
	case c.What != Import:
		if err := c.checkTag(); err != nil {
			return err
		}
	}
	switch c.What {
	case Import:
		return c.checkImport()
	case Tie:
		return checkDevice(c.Device)
	case TieBySerial:
		return c.checkAdmit()
	case Allocate:
		return c.checkAllocation()
	case DoneStep:
		return c.checkStep()
	case Wiped:
		return line("how it was wiped", c.Method, mostText, true)
	case Retire:
		if c.Date == "" {
			return errors.New("the day of retiring is missing")
		}
		return c.Date.check()
	case Recovery:
		if c.Escrow != KeyHeld && c.Escrow != KeyNotHeld {
			return fmt.Errorf("a recovery key is %q or %q, not %.40q", KeyHeld, KeyNotHeld, string(c.Escrow))
		}
		return nil
	case RegisterMedium:
		return c.checkIssue()
	case EraseMedium, WithdrawMedium:
		return line("how or why", c.Method, mostText, true)
	case Untie, HandBack, Left, Stays, Sign, Investigate:
		return nil
	}
	return fmt.Errorf("%.40q is no change of the register that this version knows", string(c.What))
}

func (c Change) checkTag() error { return CheckTag(c.Tag) }

func (c Change) checkImport() error {
	if len(c.Items) == 0 || len(c.Items) > mostItems {
		return fmt.Errorf("a list has from 1 to %d devices, not %d", mostItems, len(c.Items))
	}
	if c.AsOf.IsZero() {
		return errors.New("a list says when it was true")
	}
	if err := checkSerials(c.Items); err != nil {
		return err
	}
	tags, devices := map[string]bool{}, map[posture.DeviceID]bool{}
	for _, i := range c.Items {
		if err := errors.Join(CheckTag(i.Tag), i.check()); err != nil {
			return err
		}
		if tags[Key(i.Tag)] {
			return fmt.Errorf("the list names %s twice", i.Tag)
		}
		tags[Key(i.Tag)] = true
		if i.Device == "" {
			continue
		}
		if err := checkDevice(i.Device); err != nil {
			return err
		}
		if devices[i.Device] {
			return fmt.Errorf("the list has two assets that are the device %s", i.Device)
		}
		devices[i.Device] = true
	}
	return nil
}

func (c Change) checkAllocation() error {
	if c.Allocation == nil {
		return errors.New("who gets the device is missing")
	}
	if c.Allocation.Guest && !c.Allocation.Notice {
		return errors.New("a guest is given the school's notice with the device: record that it was")
	}
	return errors.Join(
		line("the role", c.Allocation.Role, mostText, true), line("the version of the notice", c.Allocation.NoticeVersion, mostTag, false),
		line("the condition", c.Allocation.Condition, mostText, false),
	)
}

func (c Change) checkStep() error {
	for _, s := range Steps() {
		if s != c.Step {
			continue
		}
		return line("how it was done", c.Method, mostText, s == StepWiped)
	}
	return fmt.Errorf("%.40q is no step of the checklist: %v are", string(c.Step), Steps())
}

// CheckPerson reports what is wrong with the name of a person.
func CheckPerson(name string) error {
	if err := line("the name", name, mostList, true); err != nil {
		return err
	}
	if strings.IndexByte("=+-@'", name[0]) >= 0 {
		return fmt.Errorf("the name begins with %q, which a spreadsheet takes for a formula", name[:1])
	}
	return nil
}

// bodies are the sections of changes.
var bodies = body.Of[Change]{What: "a change of the register", Most: mostBody}

// Encode returns the body of the section of a change.
func Encode(c Change) ([]byte, error) { return bodies.Encode(c) }

// Decode reads what Encode wrote. Fields that this version does not know are
// passed over; a sort of change that it does not know is an error.
func Decode(data []byte) (Change, error) { return bodies.Decode(data) }
