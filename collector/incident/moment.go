package incident

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Moment is a time as people read it off a clock: when, and the zone in which
// they did.
type Moment struct {
	At   time.Time `json:"at"`
	Zone string    `json:"zone"` // such as Europe/London
}

// NewMoment returns a time in a zone, to the second.
func NewMoment(t time.Time, zone string) Moment {
	return Moment{At: t.UTC().Truncate(time.Second), Zone: zone}
}

// Bounds of a moment. A zone that this machine does not know is recorded and
// read all the same.
const (
	mostZone  = 64
	firstYear = 2000
	lastYear  = 2199
)

func (m Moment) check(what string) error {
	if year := m.At.Year(); year < firstYear || year > lastYear {
		return fmt.Errorf("%s is in the year %d, and nothing of this school is", what, year)
	}
	if m.At.Nanosecond() != 0 {
		return fmt.Errorf("%s is finer than a second, and no clock on a wall is", what)
	}
	if m.Zone == "" || len(m.Zone) > mostZone || strings.Trim(m.Zone, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/_+-") != "" {
		return fmt.Errorf("%s has the zone %.80q: zones are like Europe/London", what, m.Zone)
	}
	return nil
}

// CheckZone reports whether times can be shown in a zone.
func CheckZone(name string) error {
	if name == "" || name == "Local" {
		return errors.New("the zone is missing: zones are like Europe/London")
	}
	if _, err := time.LoadLocation(name); err != nil {
		return fmt.Errorf("%.80q is no zone that is known here: %w", name, err)
	}
	return nil
}

// Wall returns the time as clocks in its zone show it; in UTC if the zone is
// not known here.
func (m Moment) Wall() time.Time {
	zone, err := time.LoadLocation(m.Zone)
	if err != nil || m.Zone == "Local" {
		return m.At.UTC()
	}
	return m.At.In(zone)
}

// String returns the time with the day of the week, which people check, and
// the zone, without which the hour means nothing.
func (m Moment) String() string { return m.Wall().Format("Mon 2 Jan 2006 15:04 MST") }

// regulatorHours is how long a school has to tell the regulator, counted from
// when it became aware (UK GDPR, article 33). Nights, holidays and the hour by
// which clocks change count.
const regulatorHours = 72 * time.Hour

// TellBy returns until when the regulator must be told of what the school
// became aware of at a time.
func TellBy(aware time.Time) time.Time { return aware.Add(regulatorHours) }

// Due says until when something is to be done, and how long that is from now:
// "due Mon 26 Oct 2026 16:10 GMT, in 2 days 3 hours", "was due …, 40 minutes ago".
func Due(by Moment, now time.Time) string {
	wall := by.String()
	if left := by.At.Sub(now); left >= 0 {
		return "due " + wall + ", in " + span(left)
	}
	return "was due " + wall + ", " + span(now.Sub(by.At)) + " ago"
}

// span says how long a time is, never more than it is.
func span(d time.Duration) string {
	days, hours, minutes := int(d/(24*time.Hour)), int(d/time.Hour)%24, int(d/time.Minute)%60
	switch {
	case days > 0:
		return of(days, "day") + and(hours, "hour")
	case hours > 0:
		return of(hours, "hour") + and(minutes, "minute")
	case minutes > 0:
		return of(minutes, "minute")
	}
	return "less than a minute"
}

func of(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

func and(n int, unit string) string {
	if n == 0 {
		return ""
	}
	return " " + of(n, unit)
}
