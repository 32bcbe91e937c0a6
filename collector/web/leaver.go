package web

import (
	"net/http"
	"net/url"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
)

// leaversPage lists the checklists that are not closed.
type leaversPage struct {
	Nav         []menuLink
	Rows        []leaverRow
	Next, First string
}

// leaverRow is a checklist in a list.
type leaverRow struct {
	Tag, What, Role, Address string
	Left                     string
	Ahead                    bool // they have not left yet
	Missing                  []string
	Signatures               int
}

func (s *site) leavers(w http.ResponseWriter, r *http.Request, v visit) error {
	q, c := r.URL.Query(), s.clockwork(v)
	found, err := s.Register.Assets(r.Context(), v.school.ID, view.AssetQuery{Leavers: true, After: q.Get("after")}, v.now)
	if err != nil {
		return err
	}
	page := leaversPage{Nav: registerNav(v, "leavers")}
	for _, a := range found.Assets {
		row := leaverRow{
			Tag: a.Tag, What: a.What, Role: a.Leaver.Role, Address: assetAddress(v.school.ID, a.Tag) + "/checklist",
			Left: c.leaving(a.Leaver.Left), Ahead: a.Leaves, Signatures: len(a.Leaver.Signed),
		}
		for _, step := range a.Leaver.Missing() {
			row.Missing = append(row.Missing, stepWords(step))
		}
		page.Rows = append(page.Rows, row)
	}
	page.Next, page.First = turn(registerAddress(v.school.ID)+"/leavers", q, q.Get("after"), found.Next)
	return s.write(w, http.StatusOK, "leavers", s.page(v, "Leavers", "register"), page)
}

// checklistPage is the checklist of somebody who leaves.
type checklistPage struct {
	Nav              []menuLink
	Tag, What, Role  string
	Asset            string // address, or ""
	Address          string
	Left             string
	Ahead            bool
	Steps            []stepLine
	Signed           []doneLine
	Missing          int // signatures
	Closed           bool
	MayKeep, MaySign bool
	WhyNot           string // why whoever looks may not sign
	CanStay          bool   // that they leave can be taken back
	Done             string
	Wrong            []wrong
	Method           string // as typed
	When             typed
	Never            typed         // of the other steps
	Open             register.Step // the step with which something is wrong
}

// stepLine is a step of the checklist.
type stepLine struct {
	Step  register.Step
	Words string
	Done  *doneLine
	How   bool // it has to be said how it was done
}

func stepWords(step register.Step) string {
	switch step {
	case register.Returned:
		return "The device came back"
	case register.DataMoved:
		return "Work was moved off it"
	case register.StepWiped:
		return "It was wiped"
	case register.AccountsRemoved:
		return "Their accounts were removed"
	}
	return string(step)
}

func (s *site) checklist(w http.ResponseWriter, r *http.Request, v visit) error {
	a, err := s.assetOf(r, v)
	if err != nil {
		return err
	}
	return s.showChecklist(w, r, v, http.StatusOK, a, checklistPage{})
}

// showChecklist shows the checklist of an asset. What was typed, and what is wrong
// with it, is in the page already.
func (s *site) showChecklist(w http.ResponseWriter, r *http.Request, v visit, status int, a view.Registered, page checklistPage) error {
	if a.Leaver == nil {
		return view.ErrNotFound
	}
	s.fillChecklist(&page, v, a)
	page.Done = registerDone(r.URL.Query().Get("done"))
	title := "Leaver’s checklist of " + visible(a.Tag)
	title = titleOf(title, page.Wrong)
	return s.write(w, status, "checklist", s.page(v, title, "register"), page)
}

func (s *site) fillChecklist(p *checklistPage, v visit, a view.Registered) {
	c, l := s.clockwork(v), a.Leaver
	p.Nav, p.Tag, p.What, p.Role = registerNav(v, "leavers"), a.Tag, a.What, l.Role
	p.Asset, p.Left, p.Ahead, p.Closed = assetAddress(v.school.ID, a.Tag), c.leaving(l.Left), a.Leaves, l.Closed()
	p.Address, p.MayKeep = p.Asset+"/checklist", v.account.May(v.school.ID, access.KeepRegister)
	_, leaving := a.Asset.Leaves()
	p.CanStay = p.MayKeep && leaving
	for _, step := range register.Steps() {
		line := stepLine{Step: step, Words: stepWords(step), How: step == register.StepWiped}
		for _, done := range l.Done {
			if done.Step == step {
				line.Done = &doneLine{Method: done.Method, By: done.By, At: c.moment(done.At)}
			}
		}
		p.Steps = append(p.Steps, line)
	}
	own := false
	for _, signed := range l.Signed {
		p.Signed = append(p.Signed, doneLine{By: signed.By, At: c.moment(signed.At)})
		own = own || signed.By != "" && breach.SamePerson(signed.By, v.account.Name)
	}
	p.Missing = max(0, register.Signatures-len(l.Signed))
	switch {
	case p.Missing == 0:
	case len(l.Missing()) > 0:
		p.WhyNot = "It is signed once everything on it is done."
	case own:
		p.WhyNot = "You have signed. The second signature is another person’s."
	default:
		p.MaySign = true
	}
}

// recordStep records that a step of the checklist was done.
func (s *site) recordStep(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.onChecklist(w, r, v, "step", func(f url.Values, page *checklistPage) register.Change {
		step := register.Step(r.PathValue("step"))
		page.Open, page.Method, page.When = step, oneLine(f.Get("method-"+string(step))), typedOf(f, string(step))
		at, bad := s.happened(page.When, string(step))
		page.Wrong = bad
		if step == register.StepWiped && page.Method == "" {
			page.Wrong = append(page.Wrong, wrong{"method-" + string(step), "Say how it was wiped, such as “reset to factory state, keys destroyed”."})
		}
		return register.Change{What: register.DoneStep, Step: step, Method: page.Method, When: at}
	})
}

// signChecklist gives one of the two signatures that close it.
func (s *site) signChecklist(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.onChecklist(w, r, v, "signature", func(url.Values, *checklistPage) register.Change {
		return register.Change{What: register.Sign}
	})
}

// onChecklist records what a form on the page of a checklist says.
func (s *site) onChecklist(w http.ResponseWriter, r *http.Request, v visit, done string, read func(url.Values, *checklistPage) register.Change) error {
	f, err := form(w, r, maxForm)
	if err != nil {
		return err
	}
	a, err := s.assetOf(r, v)
	if err != nil {
		return err
	}
	var page checklistPage
	change := read(f, &page)
	if change.Tag = a.Tag; len(page.Wrong) == 0 {
		if err = s.keep(r, v, change, ""); mended(err) {
			page.Wrong = append(page.Wrong, wrong{done, sentence(err.Error())})
		} else if err != nil {
			return err
		}
	}
	if len(page.Wrong) > 0 {
		return s.showChecklist(w, r, v, http.StatusUnprocessableEntity, a, page)
	}
	http.Redirect(w, r, assetAddress(v.school.ID, a.Tag)+"/checklist?done="+done, http.StatusSeeOther)
	return nil
}
