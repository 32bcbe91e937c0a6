package register

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Manager is what the thing that looks after a device says of it, where no agent
// can be. It is that thing's word, on the day of its list, and nothing that was
// read on the device.
type Manager struct {
	Encrypted Said `json:"encrypted,omitempty"` // whether its storage is encrypted
	Enrolled  Said `json:"enrolled,omitempty"`  // whether the school's settings are in force on it
	Seen      Date `json:"seen,omitempty"`      // the day on which the manager last heard of it
}

// Said is what a manager says; "" if it says nothing.
type Said string

// What a manager can say.
const (
	SaysYes   Said = "yes"
	SaysNo    Said = "no"
	ByDefault Said = "by default" // the maker of the platform says that all such devices are, while the school's settings are in force
)

// ParseSaid reads what a manager says, as people write it.
func ParseSaid(s string) (Said, error) {
	switch said := Said(Key(s)); said {
	case SaysYes, SaysNo, ByDefault:
		return said, nil
	case "default":
		return ByDefault, nil
	}
	return "", fmt.Errorf("%.40q is none of %q, %q and %q", s, SaysYes, SaysNo, ByDefault)
}

func (m Manager) checkManager() error {
	var wrong []error
	for _, said := range []Said{m.Encrypted, m.Enrolled} {
		if parsed, err := ParseSaid(string(said)); said != "" && (err != nil || parsed != said) {
			wrong = append(wrong, fmt.Errorf("%.40q is nothing that a manager says", string(said)))
		}
	}
	if m.Enrolled == ByDefault {
		wrong = append(wrong, errors.New("nothing is enrolled by default"))
	}
	return errors.Join(append(wrong, m.Seen.check())...)
}

// UsualLists is for how long a list of devices that no agent covers counts,
// until the school says otherwise: a proposal, as long as a laptop may be silent
// before it counts as missing.
const UsualLists = 30 * 24 * time.Hour

const mostDays = 366

func (c Change) checkDays() error {
	if c.Days < 1 || c.Days > mostDays {
		return fmt.Errorf("a list counts for 1 to %d days, not %d", mostDays, c.Days)
	}
	if c.Tag != "" {
		return errors.New("how long lists count is said of all of them")
	}
	return nil
}

// ListedOn returns when what manages a device was last said, and that is nothing
// that can be trusted any more from when on: a list ages by its own date, and
// what it says of a device by the day on which its manager last heard of that.
func (a Asset) ListedOn(lasts time.Duration) (at, until time.Time) {
	if at = a.ListedAt; at.IsZero() {
		at = a.AsOf
	}
	until = at.Add(lasts)
	if day, err := time.Parse(time.DateOnly, string(a.Seen)); err == nil {
		if seen := day.Add(24 * time.Hour).Add(lasts); seen.Before(until) {
			until = seen
		}
	}
	return at, until
}

// managed are the columns of a list that are about what manages a device.
var managed = []string{"managed", "encrypted", "enrolled", "seen"}

// saysManager reports whether a list with these columns says anything of what
// manages devices.
func saysManager(columns []string) bool {
	return slices.ContainsFunc(columns, func(c string) bool { return slices.Contains(managed, c) })
}
