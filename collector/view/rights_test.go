package view

import (
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// TestWhoHasADeviceCanAdministerIt: what is not known of the person who has the
// device is not proven, and never met.
func TestWhoHasADeviceCanAdministerIt(t *testing.T) {
	given := time.Date(2026, 11, 25, 8, 30, 0, 0, time.UTC)
	yes, no := posture.Read(true), posture.Read(false)
	unread := posture.Unread[bool](posture.Denied)
	none, two, some := posture.Read(int64(0)), posture.Read(int64(2)), posture.Unread[int64](posture.Denied)
	for name, c := range map[string]struct {
		daily   posture.Reading[bool]
		admins  posture.Reading[int64]
		guest   bool
		read    time.Duration // after it was given out
		silent  bool
		want    Standing
		nothing bool
	}{
		"nobody can":                      {daily: no, admins: none, guest: true, read: time.Hour, want: Met},
		"nobody can, and who is not told": {daily: unread, admins: none, guest: true, read: time.Hour, want: Met},
		"the daily user can":              {daily: yes, admins: two, guest: true, read: time.Hour, want: NotMet},
		"the daily user is not the guest": {daily: no, admins: two, guest: true, read: time.Hour, want: NotProven},
		"the daily user has had it":       {daily: no, admins: two, read: time.Hour, want: Met},
		"who cannot be read":              {daily: unread, admins: some, read: time.Hour, want: NotProven},
		"how many cannot be read":         {daily: no, admins: some, guest: true, read: time.Hour, want: NotProven},
		"read before":                     {daily: no, admins: none, read: 0, want: NotProven},
		"the same of what fails":          {daily: yes, admins: two, read: -time.Hour, want: NotProven},
		"silent":                          {daily: no, admins: none, read: time.Hour, silent: true, want: NotProven},
		"nothing was read":                {nothing: true, want: NotProven},
	} {
		d := DeviceDetail{Device: Device{ID: "d-1", Silent: c.silent}}
		if !c.nothing {
			d.Facts.Security = posture.Found("linux", posture.Security{DailyUserAdmin: c.daily, Administrators: c.admins})
		}
		if got := RightsOf(register.Held{From: given, Guest: c.guest}, d, given.Add(c.read)); got.Standing != c.want || got.Why == "" {
			t.Errorf("%s: %+v, want %s", name, got, c.want)
		}
	}
	if got := RightsOf(register.Held{From: given}, DeviceDetail{}, given.Add(time.Hour)); got.Standing != NotProven {
		t.Errorf("without an agent: %+v", got)
	}
}
