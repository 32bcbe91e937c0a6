package web

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
)

// sheetPage is what a technician takes along to a trolley or a room: each laptop by
// its tag, how it stands in words, what to do, and a box to tick.
type sheetPage struct {
	Groups      []sheetGroup
	Asked       string
	Search      string
	Group       string
	Choices     []choice   // the groups of the register; none if there are more than fit, and one is typed
	Asks        url.Values // what is asked for beside the group
	Address     string
	Devices     string // address of the list
	Count       int
	Made        *moment
	School      string
	Next, First string
	Cut         bool // not every device was looked at for the group
}

// sheetGroup is the laptops of one group of the register.
type sheetGroup struct {
	Name   string
	Common []sheetTask // what is to do on several of them, said once
	Rows   []sheetRow
}

// sheetRow is one laptop.
type sheetRow struct {
	Name, Second string
	With         string // role of who has it
	States       []string
	ToDo         []sheetTask
	Unproven     []string // titles of rules that are not proven, of which nobody can do much at the laptop
	group        string
}

// sheetTask is one thing to see to.
type sheetTask struct {
	Title, What, Fix string
	Rule             string // its title
	Proven           bool
}

// Bounds of a sheet: how many laptops are on one, and among how many they are looked
// for.
const (
	mostOnSheet   = 60
	mostForSheet  = 2000
	mostTasks     = 8
	sheetPageSize = 200
)

// sheet is the list of devices on paper. Its addresses ask as those of the list do,
// and for a group of the register too.
func (s *site) sheet(w http.ResponseWriter, r *http.Request, v visit) error {
	q := r.URL.Query()
	o, err := s.Queries.Overview(r.Context(), v.school.ID, v.now)
	if err != nil {
		return err
	}
	query := deviceQuery(q)
	page := sheetPage{
		Asked: askedWords(o, query), Search: query.Search, Group: oneLine(q.Get("group")), Devices: schoolAddress(v.school.ID) + "/devices",
		Made: s.clockwork(v).moment(v.now), School: v.school.Name, Asks: viewQuery(q),
	}
	page.Address = page.Devices + "/sheet"
	page.Asks.Del("columns")
	page.Asks.Del("group")
	groups, whole, err := s.Register.AssetGroups(r.Context(), v.school.ID, v.now)
	if err != nil {
		return err
	}
	if whole {
		page.Choices = sheetChoices(groups, page.Group)
	}
	rows, next, cut, err := s.sheetRows(r, v, query, page.Group)
	if err != nil {
		return err
	}
	page.Count, page.Cut = len(rows), cut
	page.Groups = inGroups(rows)
	page.Next, page.First = turn(page.Address, q, query.After, next)
	title := "Sheet to take along"
	if page.Group != "" {
		title += ": " + visible(page.Group)
	}
	return s.write(w, http.StatusOK, "sheet", s.page(v, title, "devices"), page)
}

// sheetChoices are the groups of the register to choose from, and what was asked for
// though it is none of them.
func sheetChoices(groups []string, asked string) []choice {
	is := func(g string) bool { return register.Key(g) == register.Key(asked) }
	list := []choice{{"", "All of them", asked == ""}}
	for _, g := range groups {
		list = append(list, choice{g, g, asked != "" && is(g)})
	}
	if asked != "" && !slices.ContainsFunc(groups, is) {
		list = append(list, choice{asked, asked + " (no group of the register)", true})
	}
	return list
}

// sheetRows are the laptops of a sheet, and where the next one goes on.
func (s *site) sheetRows(r *http.Request, v visit, query view.DeviceQuery, group string) (rows []sheetRow, next string, cut bool, err error) {
	query.Limit = mostOnSheet
	if group != "" {
		query.Limit = sheetPageSize
	}
	for seen := 0; ; {
		found, err := s.Queries.Devices(r.Context(), v.school.ID, query, v.now)
		if err != nil {
			return nil, "", false, err
		}
		for _, d := range found.Devices {
			if seen++; len(rows) == mostOnSheet && group != "" {
				return rows, "", true, nil
			}
			a, err := s.assetFor(r, v, d)
			if err != nil {
				return nil, "", false, err
			}
			if group != "" && register.Key(a.Group) != register.Key(group) {
				continue
			}
			row, err := s.newSheetRow(r, v, d, a)
			if err != nil {
				return nil, "", false, err
			}
			rows = append(rows, row)
		}
		switch query.After = found.Next; {
		case found.Next == "":
			return rows, "", false, nil
		case group == "":
			return rows, found.Next, false, nil
		case seen >= mostForSheet:
			return rows, "", true, nil
		}
	}
}

// assetFor is what the register says of a device; the zero asset if nothing.
func (s *site) assetFor(r *http.Request, v visit, d view.Device) (view.Registered, error) {
	if d.AssetTag == "" {
		return view.Registered{}, nil
	}
	a, err := s.Register.Asset(r.Context(), v.school.ID, d.AssetTag, v.now)
	if isMissing(err) {
		return view.Registered{}, nil
	}
	return a, err
}

func (s *site) newSheetRow(r *http.Request, v visit, d view.Device, a view.Registered) (sheetRow, error) {
	row := sheetRow{group: a.Group}
	row.Name, row.Second = names(d.Hostname, d.AssetTag, d.ID)
	if a.Held != nil {
		row.With = a.Held.Role
	}
	one, err := s.Queries.Device(r.Context(), v.school.ID, d.ID, v.now)
	if err != nil {
		return row, err
	}
	for _, g := range groupFindings(one.Findings) {
		if t, ok := newSheetTask(g); ok {
			row.ToDo = append(row.ToDo, t)
		}
	}
	row.States = sheetStates(one, row.ToDo, s.clockwork(v))
	if one.LastReport > 0 && !one.Silent {
		for _, t := range row.ToDo {
			if !t.Proven && !slices.Contains(row.Unproven, t.Rule) {
				row.Unproven = append(row.Unproven, t.Rule)
			}
		}
	}
	row.ToDo = slices.DeleteFunc(row.ToDo, func(t sheetTask) bool { return !t.Proven })
	if one.Silent && one.LastReport > 0 {
		// Nothing else will prove any of it.
		row.ToDo = append(row.ToDo, sheetTask{Title: "Switch it on, and connect it to a network", What: "Until it is heard from nothing of it is proven."})
	}
	if more := len(row.ToDo) - mostTasks; more > 0 {
		row.ToDo = append(row.ToDo[:mostTasks], sheetTask{Title: "And " + count(more, "more rule") + ": see its page"})
	}
	return row, nil
}

// newSheetTask is what one rule asks somebody to do; ok is false if nothing.
func newSheetTask(all []view.Finding) (t sheetTask, ok bool) {
	f := all[0]
	t = sheetTask{Title: f.Title, Rule: f.Title, What: sentence(f.Message)}
	if label := subjectLabel(f.Subject, f.Message); label != "" && len(all) == 1 {
		t.Title += ": " + label
	}
	if len(all) > 1 {
		t.Title += ": " + things(len(all), f.Subject.Kind)
		t.What = ""
	}
	switch f.Standing {
	case view.NotMet:
		t.Fix, t.Proven = f.Remediation, true
	case view.NotProven:
		if !strings.HasPrefix(t.What, "Not proven") {
			t.What = strings.TrimSpace("Not proven. " + t.What)
		}
	default:
		return t, false
	}
	return t, true
}

// sheetStates say in words how a laptop stands.
func sheetStates(d view.DeviceDetail, toDo []sheetTask, c clockwork) (states []string) {
	heard := "Never heard from"
	if at := c.moment(d.LastContact); at != nil {
		heard = "Last heard from " + at.Text
	}
	if d.Lost != nil {
		states = append(states, "Marked lost")
	}
	if d.Silent {
		heard += ", for longer than the policy allows: what it last said proves nothing today"
	}
	states = append(states, heard)
	wrong := 0
	for _, t := range toDo {
		if t.Proven {
			wrong++
		}
	}
	switch {
	case d.LastReport == 0:
		return append(states, "It has not reported yet, so nothing is known of it")
	case wrong > 0:
		states = append(states, count(wrong, "rule")+" not met")
	}
	if n := len(toDo) - wrong; n > 0 {
		states = append(states, count(n, "rule")+" not proven")
	}
	if len(toDo) == 0 {
		states = append(states, "Every rule that covers it is met or exempt")
	}
	return states
}

// inGroups puts laptops together by the groups of the register, and within one by
// name. Those without one come last.
func inGroups(rows []sheetRow) (groups []sheetGroup) {
	slices.SortStableFunc(rows, func(a, b sheetRow) int {
		return cmp.Or(cmp.Compare(groupRank(a.group), groupRank(b.group)), strings.Compare(register.Key(a.group), register.Key(b.group)), strings.Compare(register.Key(a.Name), register.Key(b.Name)))
	})
	for _, row := range rows {
		last := len(groups) - 1
		if last < 0 || register.Key(groups[last].Name) != register.Key(row.group) {
			groups = append(groups, sheetGroup{Name: row.group})
			last++
		}
		groups[last].Rows = append(groups[last].Rows, row)
	}
	for i := range groups {
		groups[i].sayOnce()
	}
	return groups
}

// mostRepeated is on how many laptops of a group the same is said of each.
const mostRepeated = 2

// sayOnce takes what would be said again and again of the laptops of a group out
// of their rows: a sheet of one page is taken along, one of twenty is not.
func (g *sheetGroup) sayOnce() {
	same, order := map[sheetTask]int{}, []sheetTask{}
	shared := func(t sheetTask) sheetTask { return sheetTask{Title: t.Rule, Fix: t.Fix} }
	for _, row := range g.Rows {
		for _, t := range slices.CompactFunc(slices.Clone(row.ToDo), func(a, b sheetTask) bool { return shared(a) == shared(b) }) {
			if t.Fix == "" {
				continue
			}
			if same[shared(t)]++; same[shared(t)] == mostRepeated+1 {
				order = append(order, shared(t))
			}
		}
	}
	g.Common = order
	for _, row := range g.Rows {
		for i, t := range row.ToDo {
			if slices.Contains(order, shared(t)) {
				row.ToDo[i].Fix, row.ToDo[i].What = "", ""
			}
		}
	}
}

func groupRank(group string) int {
	if group == "" {
		return 1
	}
	return 0
}
