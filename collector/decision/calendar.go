package decision

import (
	"errors"
	"fmt"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/calendar"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// Calendar sets a term calendar. The calendar itself is in a section of its own,
// as it was written, and is kept as long as the ledger: when grace ran out must
// be told the same once it is forgotten who set it.
const Calendar Kind = "calendar"

// CalendarSection is the name of the section that holds a calendar's text.
const CalendarSection = "calendar"

// checkCalendar is Check for a decision that sets a calendar.
func (d Decision) checkCalendar() error {
	if d.Breach != (breach.Key{}) || d.Exemption != nil || d.Person != "" {
		return errors.New("a decision that sets a calendar is about nothing else")
	}
	return nil
}

// CalendarSections returns the sections of the entry that sets a calendar. The
// salts are random. What is wrong with the text is a fault.ListError.
func CalendarSections(d Decision, file string, source []byte, salts [2][proof.SaltSize]byte) ([]proof.Section, error) {
	if d.Kind != Calendar {
		return nil, fmt.Errorf("a calendar is set by a decision of that kind, not %.40q", string(d.Kind))
	}
	if _, err := calendar.Parse(file, source); err != nil {
		return nil, err
	}
	section, err := Encode(d, salts[1])
	if err != nil {
		return nil, err
	}
	return []proof.Section{{Name: CalendarSection, Class: proof.Kept, Salt: salts[0], Body: source}, section}, nil
}
