package web

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// devicesPage lists a school's devices.
type devicesPage struct {
	Rows   []deviceRow
	Total  int
	Search string
	Rules  []choice
	Stand  []choice
	Heard  []choice
	Asked  string // what was asked for beside the search, in words
	School string // name

	Enrolments string // address of what is to be decided about enrolments
	Waiting    string // address of those who wait to be admitted
	All        string // address without a search
	Table      string // address of the same as a table for spreadsheets
	Next       string
	First      string
	Legend     []standingWords
	choosing
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
	Why      []findingRow // what a filter found on it
	Owner    string
	Enrolled *moment
}

func (s *site) devices(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.showDevices(w, r, v, http.StatusOK, r.URL.Query(), "", nil)
}

// showDevices lists the devices that are asked for. name is that of a view, as it was
// typed.
func (s *site) showDevices(w http.ResponseWriter, r *http.Request, v visit, status int, q url.Values, name string, bad []wrong) error {
	q = maps.Clone(q)
	if columns := shownColumns(q["columns"]); len(columns) > 0 {
		q["columns"] = []string{strings.Join(columns, ",")}
	}
	query := deviceQuery(q)
	o, err := s.Queries.Overview(r.Context(), v.school.ID, v.now)
	if err != nil {
		return err
	}
	found, err := s.Queries.Devices(r.Context(), v.school.ID, query, v.now)
	if err != nil {
		return err
	}
	body := devicesPage{
		Total: found.Total, Search: query.Search, School: o.SchoolName, All: schoolAddress(v.school.ID) + "/devices", Legend: legend(),
		Enrolments: enrolmentsAddress(v.school.ID), Waiting: waitingAddress(v.school.ID),
		Rules: ruleChoices(o, query.Rule), Stand: standingChoices(query.Standing), Asked: askedWords(o, query),
		Heard: []choice{{"", "Any time", false}, {"silent", "Too long ago", query.Silent}},
	}
	c := s.clockwork(v)
	for _, d := range found.Devices {
		body.Rows = append(body.Rows, newDeviceRow(v.school.ID, d, c))
	}
	body.choosing = s.newChoosing(v, q)
	body.Name, body.Wrong = name, bad
	body.Table = body.All + ".csv"
	if kept := keptQuery(q); len(kept) > 0 {
		body.Table += "?" + kept.Encode()
	}
	body.Next, body.First = turn(body.All, q, query.After, found.Next)
	if len(bad) > 0 {
		return s.write(w, status, "devices", s.page(v, "Error: Devices", "devices"), body)
	}
	return s.writeLive(w, "devices", s.page(v, "Devices", "devices"), "", body)
}

// deviceQuery is what an address asks for.
func deviceQuery(q url.Values) view.DeviceQuery {
	return view.DeviceQuery{
		Search: bounded(q.Get("q")), Rule: bounded(q.Get("rule")), Standing: standingOf(q.Get("standing")),
		Silent: q.Get("heard") == "silent", Older: q.Get("policy") == "older", After: q.Get("after"),
	}
}

// everyStanding is what a list of devices can be asked for.
var everyStanding = [...]view.Standing{view.NotMet, view.NotProven, view.Exempt, view.Met, view.NotFor}

// standingOf reads a standing in an address; "" if it is none.
func standingOf(class string) view.Standing {
	for _, s := range everyStanding {
		if newStanding(s).Class == class {
			return s
		}
	}
	return ""
}

func standingChoices(chosen view.Standing) []choice {
	list := []choice{{Words: "Any standing"}}
	for _, s := range everyStanding {
		w := newStanding(s)
		list = append(list, choice{w.Class, w.Words, s == chosen})
	}
	return list
}

// askedWords says which devices a filter selects; "" if it selects all.
func askedWords(o view.Overview, q view.DeviceQuery) string {
	rule := "a rule"
	for _, r := range o.Rules {
		if r.Rule == q.Rule {
			rule = "\u201c" + visible(r.Title) + "\u201d"
		}
	}
	var words []string
	switch q.Standing {
	case view.Met:
		words = append(words, "meet "+rule)
	case view.NotMet:
		words = append(words, "do not meet "+rule)
	case view.NotProven:
		words = append(words, "are not proven to meet "+rule)
	case view.Exempt:
		words = append(words, "are exempt from "+rule)
	case view.NotFor:
		words = append(words, "are not covered by "+rule)
	}
	if q.Silent {
		words = append(words, "have not been heard from for longer than the policy allows")
	}
	if q.Older {
		words = append(words, "still judge themselves by an older policy")
	}
	if len(words) == 0 {
		return ""
	}
	return "Devices that " + strings.Join(words, " and ") + "."
}

func newDeviceRow(school posture.SchoolID, d view.Device, c clockwork) deviceRow {
	row := deviceRow{
		Device: d, Address: deviceAddress(school, d.ID), Heard: c.moment(d.LastContact),
		Bar: newBar(d.Met, d.NotMet, d.NotProven, d.Exempt), System: d.OSName, Breaches: d.Open, Owner: ownership(d.Ownership), Enrolled: c.moment(d.EnrolledAt),
	}
	row.Name, row.Second = names(d.Hostname, d.AssetTag, d.ID)
	if row.System == "" {
		row.System = platform(d.Platform)
	}
	for _, g := range groupFindings(d.Found) {
		why := newFindingRow(school, g, time.Time{}, c)
		if len(g) > 1 {
			why.count(d.FoundAll)
		}
		row.Why = append(row.Why, why)
	}
	return row
}

// names returns what a device is called, and its other name if it has two.
func names(hostname, tag string, id posture.DeviceID) (first, second string) {
	switch {
	case tag != "" && hostname != "" && !strings.EqualFold(tag, hostname):
		return tag, hostname
	case tag != "":
		return tag, ""
	case hostname != "":
		return hostname, ""
	}
	return string(id), ""
}
