package web

import (
	"cmp"
	"context"
	"net/http"
	"net/url"

	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
)

// allocationPage is the form by which a device is given to somebody.
type allocationPage struct {
	Nav            []menuLink
	Address, Asset string
	Tag            string
	Holder         *heldLine // who has it already
	Retired        string    // since when it is not in use
	Notice         *register.GuestNotice
	Notices        string // address
	Form           allocationForm
	Wrong          []wrong
}

// allocationForm is an allocation as it is typed.
type allocationForm struct {
	Role, Person, Condition string
	From, Until             typed
	Guest, Notice           bool
}

func (s *site) allocation(w http.ResponseWriter, r *http.Request, v visit) error {
	a, err := s.assetOf(r, v)
	if err != nil {
		return err
	}
	return s.showAllocation(w, r, v, http.StatusOK, a, allocationForm{}, nil)
}

func (s *site) showAllocation(w http.ResponseWriter, r *http.Request, v visit, status int, a view.Registered, f allocationForm, bad []wrong) error {
	page := allocationPage{
		Nav: registerNav(v, "devices"), Asset: assetAddress(v.school.ID, a.Tag), Tag: a.Tag, Holder: newHeld(a, s.clockwork(v)),
		Notices: registerAddress(v.school.ID) + "/guest-notices", Form: f, Wrong: bad,
	}
	page.Address = page.Asset + "/allocation"
	if a.Out {
		page.Retired = calendarDay(a.Retired)
	}
	var err error
	if page.Notice, err = s.noticeInUse(r.Context(), v); err != nil {
		return err
	}
	title := "Allocate " + visible(a.Tag)
	title = titleOf(title, bad)
	return s.write(w, status, "allocation", s.page(v, title, "register"), page)
}

// noticeInUse is what guests are told now; nil if the school has recorded nothing.
func (s *site) noticeInUse(ctx context.Context, v visit) (*register.GuestNotice, error) {
	known, err := s.Register.GuestNotices(ctx, v.school.ID, v.now)
	if err != nil || len(known.Notices) == 0 {
		return nil, err
	}
	return &known.Notices[0], nil
}

// allocate records who gets a device, and until when.
func (s *site) allocate(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxForm)
	if err != nil {
		return err
	}
	a, err := s.assetOf(r, v)
	if err != nil {
		return err
	}
	typed := allocationForm{
		Role: oneLine(f.Get("role")), Person: oneLine(f.Get("person")), Condition: oneLine(f.Get("condition")),
		From: typedOf(f, "from"), Until: typedOf(f, "until"), Guest: f.Get("guest") != "", Notice: f.Get("notice") != "",
	}
	change, bad := s.allocationIn(v, f, typed)
	if change.Tag = a.Tag; len(bad) == 0 {
		if err = s.keep(r, v, change, typed.Person); mended(err) {
			bad = append(bad, wrong{"role", sentence(err.Error())})
		} else if err != nil {
			return err
		}
	}
	if len(bad) > 0 {
		return s.showAllocation(w, r, v, http.StatusUnprocessableEntity, a, typed, bad)
	}
	http.Redirect(w, r, assetAddress(v.school.ID, a.Tag)+"?done=allocation", http.StatusSeeOther)
	return nil
}

// allocationIn is the allocation that was typed, and what is wrong with it.
func (s *site) allocationIn(v visit, f url.Values, t allocationForm) (register.Change, []wrong) {
	x := &register.Allocation{Role: t.Role, Guest: t.Guest, Notice: t.Notice, Condition: t.Condition}
	from, bad := s.happened(t.From, "from")
	if t.Role == "" {
		bad = append(bad, wrong{"role", "Say for which role it is, such as “Year 4 class teacher”."})
	}
	if t.Person != "" {
		if err := register.CheckPerson(t.Person); err != nil {
			bad = append(bad, wrong{"person", sentence(err.Error())})
		}
	}
	if t.Until != (typed{}) {
		end := t.Until
		if end.Time == "" {
			end.Time = "23:59"
		}
		at, ok := end.moment(s.Location)
		switch {
		case !ok:
			bad = append(bad, wrong{"until-day", "Enter the day on which the loan ends, and the time if it matters, or leave both empty."})
		case !at.After(cmp.Or(from, v.now)):
			bad = append(bad, wrong{"until-day", "The loan would be over already. Check the day and the time."})
		}
		x.Ends = at.UTC()
	}
	switch {
	case t.Notice: // what they were told is what the form showed, whatever is recorded meanwhile
		x.NoticeVersion = bounded(f.Get("notice-version"))
	case t.Guest:
		bad = append(bad, wrong{"notice", "A guest is given the school’s notice with the device. Give it to them, and say so here."})
	}
	return register.Change{What: register.Allocate, Allocation: x, When: from}, bad
}
