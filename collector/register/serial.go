package register

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// mostSerial bounds a serial number as it stands on a label.
const mostSerial = 64

// rounded is what spreadsheets make of a long number that they take for one.
var rounded = regexp.MustCompile(`^[0-9]([.,][0-9]+)?[eE]\+[0-9]+$`)

// SerialKey is how two spellings of a serial number are told to be the same: case
// and blanks do not count.
func SerialKey(serial string) string { return posture.NormaliseSerial(serial) }

// CheckMakersSerial reports what is wrong with the serial number of a device, as its maker
// gives it; "" is none.
func CheckMakersSerial(serial string) error {
	if serial == "" {
		return nil
	}
	if err := line("the serial number", serial, mostSerial, false); err != nil {
		return err
	}
	switch {
	case rounded.MatchString(serial):
		return fmt.Errorf("%q is a number that a spreadsheet has rounded: format the column as text, and enter the serial number again", serial)
	case !posture.TellsComputer(SerialKey(serial)):
		return fmt.Errorf("%q is what makers leave in place of a serial number, or too short to be one: leave the cell empty, or enter the one on the label", serial)
	}
	return nil
}

// checkSerials reports that two lines of a list have one serial number.
func checkSerials(items []Item) error {
	seen := map[string]string{}
	for _, i := range items {
		if i.Serial == "" {
			continue
		}
		if other, ok := seen[SerialKey(i.Serial)]; ok {
			return fmt.Errorf("the list gives %s and %s one serial number", other, i.Tag)
		}
		seen[SerialKey(i.Serial)] = i.Tag
	}
	return nil
}

// serialsOnce says of which lines the serial number is that of an asset which
// the list does not name.
func serialsOnce(lines []Line, assets map[string]Asset) []Wrong {
	listed := map[string]bool{}
	for _, l := range lines {
		listed[Key(l.Tag)] = true
	}
	others := map[string]Asset{}
	for tag, a := range assets {
		if a.Serial != "" && !listed[tag] {
			others[SerialKey(a.Serial)] = a
		}
	}
	var bad []Wrong
	for _, l := range lines {
		a, taken := others[SerialKey(l.Serial)]
		if l.Serial == "" || !taken || len(bad) == mostWrong {
			continue
		}
		what := fmt.Sprintf("%s has the serial number %s already: each device has its own. If both are one device, correct that one", a.Tag, l.Serial)
		if a.Retired != "" {
			what = fmt.Sprintf("%s, retired from %s, has the serial number %s already: if it is this device, take it from that one first", a.Tag, a.Retired, l.Serial)
		}
		bad = append(bad, Wrong{Line: l.Line, Column: "serial", What: what})
	}
	return bad
}

// WhyWaits says why the register does not admit the asset now, by its serial number
// alone; "" if it does. It completes "it waits, because …".
func (a Asset) WhyWaits(now time.Time) string {
	switch {
	case a.Device != "":
		return fmt.Sprintf("the register's %s has enrolled already", a.Tag)
	case a.Out(now):
		return fmt.Sprintf("the register's %s was retired from %s on", a.Tag, a.Retired)
	case a.Investigation:
		return fmt.Sprintf("the register's %s is set aside for found sticks, which a person has to say of a laptop", a.Tag)
	case Personal(a.Class):
		return fmt.Sprintf("the register's %s is somebody's own, and gets no agent", a.Tag)
	}
	return ""
}

// admit ties the asset to a device that said its serial number, and of which
// nobody has seen more unless somebody approved it. Where it was tied meanwhile,
// the device stays untied.
func (a *Asset) admit(id posture.DeviceID, at time.Time, approved bool) error {
	if a.Device != "" && a.Device != id {
		return void("%s is another enrolled device already", a.Tag)
	}
	a.become(id)
	if a.BySerial = at; approved {
		a.BySerial = time.Time{}
	}
	return nil
}

// checkAdmit is Check of that change.
func (c Change) checkAdmit() error {
	if c.When != (time.Time{}) {
		return errors.New("a device is admitted when that is recorded")
	}
	return checkDevice(c.Device)
}
