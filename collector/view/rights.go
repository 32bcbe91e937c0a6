package view

import (
	"context"
	"fmt"
	"time"

	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Rights says whether whoever has a device can administer it. Whose accounts can
// stays on the device, so that of a guest it is proven only where nobody's can.
type Rights struct {
	Standing Standing  `json:"standing"`        // Met: they cannot; Not met: they can
	Why      string    `json:"why"`             // in a sentence
	ReadAt   time.Time `json:"readAt,omitzero"` // when the device last read it, by the collector's clock
	Accounts int64     `json:"accounts"`        // people's accounts that can administer it; -1 if that is not known
}

// Rights judges whether whoever has had a device since they were given it can
// administer it.
func (q *Queries) Rights(ctx context.Context, school posture.SchoolID, h register.Held, device posture.DeviceID, now time.Time) (Rights, error) {
	d, err := q.Device(ctx, school, device, now)
	if err != nil {
		return Rights{}, err
	}
	var read time.Time
	err = q.read(ctx, school, now, func(r *reader) error {
		row, _, err := r.row(device)
		read = row.Vector.LastRead("security")
		return err
	})
	return RightsOf(h, d, read), err
}

// RightsOf judges what a device last said, which it last read at a moment, by who
// has had it since when: what was read before is of somebody else.
func RightsOf(h register.Held, d DeviceDetail, read time.Time) Rights {
	out := Rights{Standing: NotProven, Accounts: -1, ReadAt: read}
	answer := d.Facts.Security
	switch {
	case d.ID == "":
		out.Why = "it has no agent that could say"
		return out
	case answer.Absent != posture.None || len(answer.Items) == 0:
		out.Why = "the device could not read it"
		return out
	case !read.After(h.From):
		out.Why = "the device has said nothing of it since it was given out"
		return out
	case d.Silent:
		out.Why = "the device is not heard from"
		return out
	}
	s := answer.Items[0]
	if s.Administrators.Absent == posture.None {
		out.Accounts = s.Administrators.Value
	}
	known, daily := s.DailyUserAdmin.Absent == posture.None, s.DailyUserAdmin.Value
	switch {
	case known && daily:
		out.Standing, out.Why = NotMet, "the person who mostly uses it can administer it"
	case out.Accounts == 0:
		out.Standing, out.Why = Met, "nobody's account can administer it"
	case known && !h.Guest:
		out.Standing, out.Why = Met, "the person who mostly uses it cannot administer it"
	case out.Accounts > 0:
		out.Why = fmt.Sprintf("accounts of people that can administer it: %d; whether the guest's is among them is not known", out.Accounts)
	default:
		out.Why = "the device could not read it"
	}
	return out
}
