package web

import (
	"context"
	"net/http"
	"net/url"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// twoRow is a laptop to whose name two machines answer, or of which a copy asks
// who it is.
type twoRow struct {
	Name, Address string
	Since         *moment // since when neither is believed; nil: the laptop is
	Heard         *moment
	Machines      []machineRow
}

// machineRow is a machine that asks who it is.
type machineRow struct {
	Code, Hostname, System string
	Agree, Differ          []string // numbers of its firmware
	Moved                  bool
	Last                   *moment
	Keep, Admit, Field     string // addresses of the decisions, and the field of the reason
}

func newTwoRow(school posture.SchoolID, one view.TwoOfOne, c clockwork) twoRow {
	name, _ := names(one.Hostname, one.AssetTag, one.Device)
	row := twoRow{Name: name, Address: deviceAddress(school, one.Device), Heard: c.moment(one.LastContact)}
	if one.Twice != nil {
		row.Since = c.moment(one.Twice.Since)
	}
	for _, m := range one.Claimants {
		at := enrolmentsAddress(school) + "/apart/" + url.PathEscape(string(m.Device)) + "/" + url.PathEscape(m.Key)
		row.Machines = append(row.Machines, machineRow{
			Code: m.Code, Hostname: m.Hostname, System: platform(m.Platform), Agree: numbersOf(m.Agree), Differ: numbersOf(m.Differ),
			Moved: m.Moved, Last: c.moment(m.Last), Keep: at + "/name", Admit: at + "/own", Field: "apart-" + m.Key,
		})
	}
	return row
}

// tellApart says which of two machines keeps a laptop's name, or that one is a
// laptop of its own.
func tellApart(keeps bool) func(*site, http.ResponseWriter, *http.Request, visit) error {
	return func(s *site, w http.ResponseWriter, r *http.Request, v visit) error {
		change := admission.Change{What: admission.TellApart, Device: posture.DeviceID(r.PathValue("device")), Key: r.PathValue("key"), Keeps: keeps}
		done := "apart-own"
		if keeps {
			done = "apart-name"
		}
		return s.admits(w, r, v, "apart-"+change.Key, change, done)
	}
}

// twoToDecide says on the overview that machines ask who they are.
func (s *site) twoToDecide(ctx context.Context, v visit) (*toDecide, error) {
	two, err := s.Admissions.TwoMachines(ctx, v.school.ID)
	if n := len(two.Devices); err != nil || n == 0 {
		return nil, err
	}
	return &toDecide{count(len(two.Devices), "laptop") + " to whose name two machines answer, to be told apart", enrolmentsAddress(v.school.ID) + "#apart"}, nil
}
