package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Grouper says of which class and groups devices are. What cannot be decided as
// things stand is a *decision.RefusedError.
type Grouper interface {
	Group(ctx context.Context, school posture.SchoolID, device posture.DeviceID, d decision.Decision, g decision.Grouping) (entry uint64, err error)
}

// groupsPage lists the groups of a school, or the laptops of one.
type groupsPage struct {
	All, Address string // of the policy, and of this page
	Groups       []groupRow
	Of           *groupRow
	Rows         []groupedRow
	Next, First  string
	Rules        []string // that look at groups
	MayGroup     bool
}

type groupRow struct {
	Name, Address string
	Devices, Due  int
}

type groupedRow struct {
	Name, Second, Address string
	Due                   bool
}

// mostGrouped is how many laptops of a group a page lists.
const mostGrouped = 100

func (s *site) groups(w http.ResponseWriter, r *http.Request, v visit) error {
	all, err := s.Queries.GroupSizes(r.Context(), v.school.ID, v.now)
	if err != nil {
		return err
	}
	text, err := s.Policies.Policy(r.Context(), v.school.ID, 0)
	if err != nil {
		return err
	}
	page := groupsPage{All: policyAddress(v.school.ID), Address: policyAddress(v.school.ID) + "/groups", MayGroup: v.account.May(v.school.ID, access.GroupDevices)}
	for _, rule := range text.Policy.Rules {
		if text.Rules[rule.ID].Groups {
			page.Rules = append(page.Rules, rule.ID)
		}
	}
	q := r.URL.Query()
	for _, g := range all {
		row := groupRow{Name: g.Name, Address: page.Address + "?" + url.Values{"group": {g.Name}}.Encode(), Devices: g.Devices, Due: g.Due}
		page.Groups = append(page.Groups, row)
		if q.Get("group") == g.Name {
			page.Of = &row
		}
	}
	if q.Has("group") && page.Of == nil {
		return errNoPage
	}
	if page.Of != nil {
		after := q.Get("after")
		list, more, err := s.Queries.GroupDevices(r.Context(), v.school.ID, page.Of.Name, posture.DeviceID(after), mostGrouped, v.now)
		if err != nil {
			return err
		}
		next := ""
		if more {
			next = string(list[len(list)-1].ID)
		}
		for _, d := range list {
			row := groupedRow{Address: devicePolicyAddress(v.school.ID, d.ID), Due: d.Due}
			row.Name, row.Second = names(d.Hostname, d.AssetTag, d.ID)
			page.Rows = append(page.Rows, row)
		}
		page.Next, page.First = turn(page.Address, q, after, next)
	}
	title := "Groups of laptops"
	if page.Of != nil {
		title = "Group " + visible(page.Of.Name)
	}
	return s.write(w, http.StatusOK, "groups", s.page(v, title, "policy"), page)
}

func devicePolicyAddress(school posture.SchoolID, id posture.DeviceID) string {
	return deviceAddress(school, id) + "/policy"
}

// devicePolicyPage says by which policy a laptop is judged, and why by these rules.
type devicePolicyPage struct {
	Name, Second, Device string
	Address              string
	Policy               policyHead
	Judged               uint64 // the policy by which it judged itself last; 0: the shipped one
	Due, Unheard         bool
	Class                string
	Groups               []string
	Personal             bool
	Covers, Spares       []coveredRule
	History              []assignedRow
	More                 int
	MayGroup             bool
	Classes              []choice
	Typed                string // groups, one a line
	Reason               string
	Done                 string
	Wrong                []wrong
}

type coveredRule struct {
	ID, Title, Address string
	Groups             bool // it looks at the groups too
}

type assignedRow struct {
	Class, Groups, By, Reason string
	At                        *moment
}

const mostAssigned = 20

func (s *site) devicePolicy(w http.ResponseWriter, r *http.Request, v visit) error {
	page := devicePolicyPage{}
	if r.URL.Query().Get("done") == "grouped" {
		page.Done = "Recorded. The laptop goes by it once it has heard of it; exemptions for a group, at once."
	}
	return s.showDevicePolicy(w, r, v, http.StatusOK, page, nil)
}

func (s *site) showDevicePolicy(w http.ResponseWriter, r *http.Request, v visit, status int, page devicePolicyPage, typed url.Values) error {
	id := posture.DeviceID(r.PathValue("device"))
	d, err := s.Queries.Device(r.Context(), v.school.ID, id, v.now)
	if err != nil {
		return err
	}
	history, err := s.Queries.Assignments(r.Context(), v.school.ID, id, v.now)
	if err != nil {
		return err
	}
	text, err := s.Policies.Policy(r.Context(), v.school.ID, 0)
	if err != nil {
		return err
	}
	c := s.clockwork(v)
	page.Name, page.Second = names(d.Hostname, d.AssetTag, d.ID)
	page.Device, page.Address = deviceAddress(v.school.ID, id), devicePolicyAddress(v.school.ID, id)
	page.Policy = newPolicyHead(v.school.ID, text, c)
	page.Judged, page.Due, page.Unheard = d.Policy, d.PolicyDue > 0, d.LastReport == 0
	page.Class, page.Groups = ownership(d.Ownership), d.Groups
	for _, rule := range text.Policy.Rules {
		one := coveredRule{ID: rule.ID, Title: rule.Title, Address: matterAddress(v.school.ID, id, rule.ID), Groups: text.Rules[rule.ID].Groups}
		if rule.Covers(d.Ownership) {
			page.Covers = append(page.Covers, one)
		} else {
			page.Spares = append(page.Spares, one)
		}
	}
	for _, a := range history[:min(len(history), mostAssigned)] {
		page.History = append(page.History, assignedRow{ownership(a.Ownership), strings.Join(a.Groups, ", "), a.By, a.Reason, c.moment(a.At)})
	}
	if page.More = max(0, len(history)-mostAssigned); len(history) > 0 {
		page.Personal = history[0].PersonalUse
	}
	class := string(d.Ownership)
	page.Typed = strings.Join(d.Groups, "\n")
	if typed != nil {
		class, page.Typed = typed.Get("class"), typed.Get("groups")
	}
	for _, o := range []posture.Ownership{posture.SchoolSingleUser, posture.SchoolMultiUser, posture.Authorised} {
		page.Classes = append(page.Classes, choice{string(o), ownership(o), string(o) == class})
	}
	page.MayGroup = v.account.May(v.school.ID, access.GroupDevices)
	title := "Policy of " + page.Name
	title = titleOf(title, page.Wrong)
	return s.write(w, status, "device-policy", s.page(v, title, "devices"), page)
}

// groupDevice records of which class and in which groups a laptop is.
func (s *site) groupDevice(w http.ResponseWriter, r *http.Request, v visit) error {
	reason, err := readReason(w, r)
	if err != nil {
		return err
	}
	f, page := r.PostForm, devicePolicyPage{Reason: reason}
	g := decision.Grouping{Class: posture.Ownership(f.Get("class")), Groups: lines(strings.ReplaceAll(f.Get("groups"), "\r\n", "\n")), Only: true}
	made := decision.Decision{Kind: decision.Assign, By: v.account.Name, At: v.now, Reason: reason}
	switch {
	case reason == "":
		page.Wrong = append(page.Wrong, wrong{"group-reason", "Say in a few words why, so that it can be understood next year."})
	case made.CheckNew() != nil:
		page.Wrong = append(page.Wrong, wrong{"group-reason", sentence(made.CheckNew().Error())})
	}
	if err := decision.CheckClass(g.Class); err != nil {
		page.Wrong = append(page.Wrong, wrong{"class", "Choose of which class it is."})
	}
	for _, name := range g.Groups {
		if err := decision.CheckGroup(name); err != nil {
			page.Wrong = append(page.Wrong, wrong{"groups", sentence(err.Error())})
		}
	}
	if len(page.Wrong) > 0 {
		return s.showDevicePolicy(w, r, v, http.StatusUnprocessableEntity, page, f)
	}
	_, err = s.Grouper.Group(r.Context(), v.school.ID, posture.DeviceID(r.PathValue("device")), made, g)
	if refused, ok := errors.AsType[*decision.RefusedError](err); ok {
		page.Wrong = append(page.Wrong, wrong{"groups", sentence(refused.Error())})
		return s.showDevicePolicy(w, r, v, http.StatusUnprocessableEntity, page, f)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, devicePolicyAddress(v.school.ID, posture.DeviceID(r.PathValue("device")))+"?done=grouped", http.StatusSeeOther)
	return nil
}
