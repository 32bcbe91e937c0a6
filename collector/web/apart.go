package web

import (
	"strings"

	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// apart is what a page says of a device beside what its reports say: that it is
// lost, that it is known no more, that it was another before.
type apart struct {
	Lost      *moment // since when it is marked lost
	Incident  string  // address of the incident that says so
	Number    string  // of that incident
	Revoked   *moment
	Timeline  []apartRow // what came while it was lost, newest first
	More      int        // reports beyond these
	Earlier   []earlierRow
	Successor string // address of the enrolment that took its place
	PolicyDue string // what it has not taken yet, as a sentence
	Groups    string
}

// apartRow is a report that came while the device was lost.
type apartRow struct {
	Number   uint64
	Entry    uint64
	Made     *moment
	Received *moment
	Words    string
}

// earlierRow is an enrolment of the same computer before this one.
type earlierRow struct {
	Name, Address      string
	Enrolled, Replaced *moment
}

func newApart(school posture.SchoolID, d view.DeviceDetail, c clockwork) apart {
	a := apart{Revoked: c.moment(d.RevokedAt), Groups: strings.Join(d.Groups, ", ")}
	if d.Lost != nil {
		a.Lost, a.Incident, a.Number = c.moment(d.Lost.Since.At), incidentAddress(school, d.Lost.Incident), d.Lost.Incident
	}
	if q := d.Quarantine; q != nil {
		for _, r := range q.Timeline[:min(len(q.Timeline), maxRows)] {
			row := apartRow{Number: r.Sequence, Entry: r.Entry, Made: c.moment(r.MadeAt), Received: c.moment(r.ReceivedAt), Words: "It says that it meets every rule it judges."}
			switch {
			case r.Unread:
				row.Words = "What it says cannot be read."
			case len(r.NotMet) > 0:
				row.Words = "It says that it does not meet " + strings.Join(r.NotMet, ", ") + "."
			}
			a.Timeline = append(a.Timeline, row)
		}
		a.More = max(0, q.Reports-len(a.Timeline))
	}
	for _, e := range d.Earlier {
		name, _ := names(e.Hostname, "", e.Device)
		a.Earlier = append(a.Earlier, earlierRow{name, deviceAddress(school, e.Device), c.moment(e.EnrolledAt), c.moment(e.ReplacedAt)})
	}
	if d.ReplacedBy != "" {
		a.Successor = deviceAddress(school, d.ReplacedBy)
	}
	if d.PolicyDue > 0 {
		a.PolicyDue = "It has not taken version " + number64(d.PolicyDue) + " of the policy yet, and judges by an older one."
	}
	return a
}
