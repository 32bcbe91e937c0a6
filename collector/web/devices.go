package web

import (
	"net/http"
	"strings"

	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// devicesPage lists a school's devices.
type devicesPage struct {
	Rows   []deviceRow
	Total  int
	Search string
	All    string // address without a search
	Next   string
	First  string
	Legend []standingWords
}

// deviceRow is a device as lists show it.
type deviceRow struct {
	view.Device
	Name     string // asset tag if there is one, else hostname
	Second   string // the hostname beside an asset tag
	Address  string
	Bar      bar
	Heard    *moment
	System   string
	Breaches int
}

func (s *site) devices(w http.ResponseWriter, r *http.Request, v visit) error {
	q := r.URL.Query()
	query := view.DeviceQuery{Search: bounded(q.Get("q")), After: q.Get("after")}
	found, err := s.Queries.Devices(r.Context(), v.school.ID, query, v.now)
	if err != nil {
		return err
	}
	body := devicesPage{Total: found.Total, Search: query.Search, All: schoolAddress(v.school.ID) + "/devices", Legend: legend()}
	c := s.clockwork(v)
	for _, d := range found.Devices {
		body.Rows = append(body.Rows, newDeviceRow(v.school.ID, d, c))
	}
	body.Next, body.First = turn(body.All, q, query.After, found.Next)
	return s.write(w, http.StatusOK, "devices", s.page(v, "Devices", "devices"), body)
}

func newDeviceRow(school posture.SchoolID, d view.Device, c clockwork) deviceRow {
	row := deviceRow{
		Device: d, Address: deviceAddress(school, d.ID), Heard: c.moment(d.LastContact),
		Bar: newBar(d.Met, d.NotMet, d.NotProven, d.Exempt), System: d.OSName, Breaches: d.Open,
	}
	row.Name, row.Second = names(d)
	if row.System == "" {
		row.System = platform(d.Platform)
	}
	return row
}

// names returns what a device is called, and its other name if it has two.
func names(d view.Device) (first, second string) {
	switch {
	case d.AssetTag != "" && d.Hostname != "" && !strings.EqualFold(d.AssetTag, d.Hostname):
		return d.AssetTag, d.Hostname
	case d.AssetTag != "":
		return d.AssetTag, ""
	case d.Hostname != "":
		return d.Hostname, ""
	}
	return string(d.ID), ""
}
