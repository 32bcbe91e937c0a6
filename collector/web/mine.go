package web

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/view"
)

// minePage is what whoever works at a school sees of their own laptop.
type minePage struct {
	School  string
	Account string
	Laptops []ownLaptop
	Report  string // where a loss is reported; "" if the school has no address for it
	Ring    ring
	Fields  []collectedSection

	Disputes []disputeRow // what they say is wrong
	Dispute  string       // where they say so of what is about no laptop
	Done     string
}

// ownLaptop is a laptop that the register says somebody has.
type ownLaptop struct {
	Name, What string
	Since      *moment // since when they have it
	Ends       *moment // of a loan
	Enrolled   bool    // it is a laptop that reports
	Heard      *moment
	Silent     bool
	Lost       string // since when it is recorded as lost
	NotMet     []ownRule
	NotProven  []ownReason
	Met        int
	Report     string // where its loss is reported
	Dispute    string // where it is said that something about it is wrong
}

// ownRule is a rule on somebody's own laptop.
type ownRule struct{ Title, Message, Remediation string }

// ownReason is why rules are not proven, with their titles.
type ownReason struct {
	Message string
	Titles  []string
}

// mostOwn bounds the laptops that one person is shown.
const mostOwn = 10

// mine shows whoever has signed in the laptops that the register says they have:
// by their name, as it is written there and in their account.
func (s *site) mine(w http.ResponseWriter, r *http.Request, v visit) error {
	page := minePage{
		School: v.school.Name, Account: v.account.Name, Fields: s.fields,
		Dispute: schoolAddress(v.school.ID) + "/mine/disputes", Done: disputeDone(r.URL.Query().Get("done")),
	}
	var err error
	if page.Ring, err = s.ring(r.Context(), v.school.ID, v.now); err != nil {
		return err
	}
	a, err := s.Queries.ConcernAddress(r.Context(), v.school.ID, v.now)
	if err == nil {
		page.Report = reportAddress(a.Address)
	} else if !errors.Is(err, view.ErrNotFound) {
		return err
	}
	own, err := s.own(r.Context(), v)
	if err != nil {
		return err
	}
	for _, one := range own {
		laptop, err := s.ownLaptop(r.Context(), v, one)
		if err != nil {
			return err
		}
		if page.Report != "" {
			laptop.Report = page.Report + "?thing=" + url.QueryEscape(one.Tag)
		}
		laptop.Dispute = page.Dispute + "?" + url.Values{"laptop": {one.Tag}}.Encode()
		page.Laptops = append(page.Laptops, laptop)
	}
	if page.Disputes, err = s.ownDisputes(r.Context(), v, own); err != nil {
		return err
	}
	return s.write(w, http.StatusOK, "mine", s.page(v, "Your laptop", "mine"), page)
}

// own lists what the register says that whoever has signed in has.
func (s *site) own(ctx context.Context, v visit) (list []view.Registered, err error) {
	query := view.AssetQuery{Search: v.account.Name, Names: true, Limit: 100}
	for len(list) < mostOwn {
		found, err := s.Queries.Assets(ctx, v.school.ID, query, v.now)
		if err != nil {
			return nil, err
		}
		for _, a := range found.Assets {
			if a.Held != nil && breach.SamePerson(a.Held.Person, v.account.Name) && len(list) < mostOwn {
				list = append(list, a)
			}
		}
		if query.After = found.Next; query.After == "" {
			break
		}
	}
	return list, nil
}

func (s *site) ownLaptop(ctx context.Context, v visit, a view.Registered) (ownLaptop, error) {
	c := s.clockwork(v)
	laptop := ownLaptop{Name: a.Tag, What: a.What, Since: c.moment(a.Held.From), Ends: c.moment(a.Held.Ends)}
	if a.Device == "" {
		return laptop, nil
	}
	d, err := s.Queries.Device(ctx, v.school.ID, a.Device, v.now)
	if errors.Is(err, view.ErrNotFound) {
		return laptop, nil
	}
	if err != nil {
		return laptop, err
	}
	laptop.Enrolled, laptop.Heard, laptop.Silent = true, c.moment(d.LastContact), d.Silent
	if d.Lost != nil {
		laptop.Lost = d.Lost.Since.String()
	}
	laptop.NotMet, laptop.NotProven, laptop.Met = ownRules(d.Findings)
	return laptop, nil
}

// ownRules says where a laptop stands, each rule once: by the worst of what it
// is about. A name of a program or a disk is on the laptop, and not here.
func ownRules(findings []view.Finding) (notMet []ownRule, notProven []ownReason, met int) {
	grave := map[view.Standing]int{view.Met: 1, view.Exempt: 2, view.NotProven: 3, view.NotMet: 4}
	worst := map[string]view.Finding{}
	for _, f := range findings {
		if was, ok := worst[f.Rule]; !ok || grave[f.Standing] > grave[was.Standing] {
			worst[f.Rule] = f
		}
	}
	for _, f := range worst {
		rule := ownRule{Title: f.Title, Message: f.Message, Remediation: f.Remediation}
		switch f.Standing {
		case view.Met, view.Exempt:
			met++
		case view.NotFor:
		case view.NotMet:
			notMet = append(notMet, rule)
		default:
			n := slices.IndexFunc(notProven, func(r ownReason) bool { return r.Message == f.Message })
			if n < 0 {
				n, notProven = len(notProven), append(notProven, ownReason{Message: f.Message})
			}
			notProven[n].Titles = append(notProven[n].Titles, f.Title)
		}
	}
	slices.SortFunc(notMet, func(a, b ownRule) int { return cmp.Compare(a.Title, b.Title) })
	for _, r := range notProven {
		slices.Sort(r.Titles)
	}
	slices.SortFunc(notProven, func(a, b ownReason) int { return cmp.Compare(a.Titles[0], b.Titles[0]) })
	return notMet, notProven, met
}
