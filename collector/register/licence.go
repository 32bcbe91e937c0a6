package register

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Licence is a product of which the school bought licences.
type Licence struct {
	Product  string      `json:"product"`  // as people call it
	Programs []string    `json:"programs"` // names of installed programs that need one; * stands for any characters
	Bought   int         `json:"bought"`
	Excluded []Exclusion `json:"excluded,omitempty"` // devices that do not count, by hand
	// Signed is the last reconciliation that was signed, with its numbers as
	// they were then.
	Signed *Reconciled `json:"signed,omitempty"`
	Entry  uint64      `json:"entry"` // of the ledger that changed it last, counted from 1
}

// Exclusion is a device that does not count for a product, and why.
type Exclusion struct {
	Device posture.DeviceID `json:"device"`
	Reason string           `json:"reason"`
}

// Purchase is what a change says about a product.
type Purchase struct {
	Programs []string `json:"programs"`
	Bought   int      `json:"bought"`
}

// Counted is a device that has a product installed.
type Counted struct {
	Device   posture.DeviceID `json:"device"`
	Tag      string           `json:"tag,omitempty"`
	Excluded string           `json:"excluded,omitempty"` // why it does not count; "" if it does
}

// Reconciled compares what was bought with what is installed, at one moment.
type Reconciled struct {
	Product string    `json:"product"`
	At      time.Time `json:"at"`
	Term    string    `json:"term,omitempty"` // for which it is signed, such as "autumn 2026"
	Bought  int       `json:"bought"`
	Devices []Counted `json:"devices"` // that have it installed, by tag
	// Unread is how many devices there are of which it is not known what is
	// installed. They may have it too.
	Unread int       `json:"unread"`
	By     string    `json:"by,omitempty"` // who signed it, until that is forgotten
	Sent   time.Time `json:"signed,omitzero"`
}

// Installed is how many devices count.
func (r Reconciled) Installed() (n int) {
	for _, d := range r.Devices {
		if d.Excluded == "" {
			n++
		}
	}
	return n
}

// Over reports whether more are installed than were bought.
func (r Reconciled) Over() bool { return r.Installed() > r.Bought }

// The licences of a change.
const (
	mostPatterns = 20
	mostCounted  = 20_000
)

// OfLicence reports whether a change is about a licence.
func (c Change) OfLicence() bool {
	return c.What == SetLicence || c.What == ExcludeDevice || c.What == IncludeDevice || c.What == SignLicence
}

func (c Change) checkLicence() error {
	if err := line("the product", c.Tag, mostText, true); err != nil {
		return err
	}
	switch c.What {
	case ExcludeDevice:
		return errors.Join(checkDevice(c.Device), line("the reason", c.Method, mostText, true))
	case IncludeDevice:
		return checkDevice(c.Device)
	case SignLicence:
		return c.checkReconciled()
	}
	if c.Purchase == nil || c.Purchase.Bought < 0 || c.Purchase.Bought > 1_000_000 {
		return errors.New("how many were bought is missing, or cannot be")
	}
	if len(c.Purchase.Programs) == 0 || len(c.Purchase.Programs) > mostPatterns {
		return fmt.Errorf("a product is told by the names of 1 to %d programs", mostPatterns)
	}
	for _, p := range c.Purchase.Programs {
		if err := checkPattern(p); err != nil {
			return err
		}
	}
	return nil
}

func checkPattern(p string) error {
	if err := line("the name of a program", p, mostText, true); err != nil {
		return err
	}
	if strings.Trim(p, "* ") == "" {
		return errors.New("the name of a program is more than *")
	}
	return nil
}

func (c Change) checkReconciled() error {
	r := c.Reconciled
	if r == nil || len(r.Devices) > mostCounted || Key(r.Product) != Key(c.Tag) || r.At.IsZero() || r.Bought < 0 || r.Unread < 0 || r.By != "" {
		return errors.New("what is signed is a reconciliation of the product")
	}
	wrong := []error{line("the term", r.Term, mostText, true)}
	for _, d := range r.Devices {
		wrong = append(wrong, checkDevice(d.Device), line("the reason", d.Excluded, 2*mostText, false))
	}
	return errors.Join(wrong...)
}

// Needs reports whether a program of a name needs a licence of the product.
// Case does not matter.
func (l Licence) Needs(program string) bool {
	name := strings.ToLower(program)
	return slices.ContainsFunc(l.Programs, func(p string) bool { return matches(strings.ToLower(p), name) })
}

// matches reports whether a name is like a pattern in which * stands for any
// characters.
func matches(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	if !strings.HasPrefix(name, parts[0]) {
		return false
	}
	name = name[len(parts[0]):]
	last := parts[len(parts)-1]
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(name, p)
		if i < 0 {
			return false
		}
		name = name[i+len(p):]
	}
	return strings.HasSuffix(name, last)
}

// Owner is a device, as far as counting licences asks.
type Owner struct {
	Device  posture.DeviceID
	Tag     string
	Revoked bool
	Retired Date             // of its asset, if that is not in use any more
	Now     posture.DeviceID // the device that its asset is now, if it was installed again
	NowTag  string
}

// Tally counts the devices that have a product installed as they come, and lists
// the first of them by tag: of those that count so many, and of the others, with
// the reason, as many. Make it with Licence.Tally.
type Tally struct {
	licence Licence
	most    int
	lists   [2][]keyed // that count, and that do not
	numbers [2]int
}

// AllDevices has a Tally list every device.
const AllDevices = math.MaxInt

// Tally begins to count.
func (l Licence) Tally(most int) *Tally { return &Tally{licence: l, most: most} }

// Add takes in a device that has the product.
func (t *Tally) Add(o Owner) {
	one, which := keyed{Key(o.Tag), Counted{Device: o.Device, Tag: o.Tag, Excluded: t.licence.excludes(o)}}, 0
	if one.Excluded != "" {
		which = 1
	}
	t.numbers[which]++
	t.lists[which] = append(t.lists[which], one)
	if len(t.lists[which])/2 >= t.most { // sorted once for as many as it lists
		t.trim(which)
	}
}

// trim leaves of a list the first that are listed.
func (t *Tally) trim(which int) {
	list := t.lists[which]
	slices.SortFunc(list, byTag)
	t.lists[which] = list[:min(len(list), t.most)]
}

// Counted is how many devices count so far, and how many do not.
func (t *Tally) Counted() (counted, not int) { return t.numbers[0], t.numbers[1] }

// Reconciled compares what was counted with what was bought. unread is how many
// devices there are of which it is not known what is installed.
func (t *Tally) Reconciled(unread int, now time.Time) Reconciled {
	r := Reconciled{Product: t.licence.Product, At: now, Bought: t.licence.Bought, Devices: []Counted{}, Unread: unread}
	var all []keyed
	for which := range t.lists {
		t.trim(which)
		all = append(all, t.lists[which]...)
	}
	slices.SortFunc(all, byTag)
	for _, one := range all {
		r.Devices = append(r.Devices, one.Counted)
	}
	return r
}

// keyed is a device with the key of its tag, which takes long to make.
type keyed struct {
	key string
	Counted
}

func byTag(a, b keyed) int {
	return cmp.Or(strings.Compare(a.key, b.key), strings.Compare(string(a.Device), string(b.Device)))
}

func (l Licence) excludes(o Owner) string {
	for _, e := range l.Excluded {
		if e.Device == o.Device {
			return e.Reason
		}
	}
	switch {
	case o.Retired != "":
		return "retired on " + string(o.Retired)
	case o.Now != "":
		return "installed again: " + o.NowTag + " is the device " + string(o.Now) + " now"
	case o.Revoked:
		return "its certificate was revoked"
	}
	return ""
}

// Take returns the licence as a change leaves it, as Asset.Take does.
func (l Licence) Take(c Change, made Made) (Licence, error) {
	if made.Entry <= l.Entry {
		return l, nil
	}
	next := l
	next.Excluded = slices.Clone(l.Excluded)
	next.Entry = made.Entry
	without := func() {
		next.Excluded = slices.DeleteFunc(next.Excluded, func(e Exclusion) bool { return e.Device == c.Device })
	}
	switch {
	case c.What == SetLicence:
		next.Product = cmp.Or(l.Product, c.Tag)
		next.Programs, next.Bought = slices.Clone(c.Purchase.Programs), c.Purchase.Bought
	case l.Product == "":
		return l, void("there is no licence for %s in the register", c.Tag)
	case c.What == ExcludeDevice:
		without()
		next.Excluded = append(next.Excluded, Exclusion{Device: c.Device, Reason: c.Method})
	case c.What == IncludeDevice:
		without()
	case c.What == SignLicence:
		r := *c.Reconciled
		r.By, r.Sent = made.By, made.At
		next.Signed = &r
	default:
		return l, void("%s is no change of a licence", c.What)
	}
	return next, nil
}
