package web

import (
	"errors"
	"net/http"
	"time"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/summary"
	"github.com/caretaker-school/caretaker/collector/view"
)

// monthPage is the summary of a month for senior leaders.
type monthPage struct {
	summary.Month
	Back      string
	Title     string
	Last      *moment
	Before    *moment
	Standings []string
}

// monthLink leads to the summary of a month.
type monthLink struct{ Words, Address string }

// mostMonths is how many months are offered.
const mostMonths = 12

// monthsOf are the months that are over, the latest first, as far as the school
// was counted in the time that a trend tells of.
func monthsOf(address string, t view.Trend) (list []monthLink) {
	if len(t.Days) == 0 {
		return nil
	}
	first := t.Days[0].Date.Time()
	now := t.Now.Date.Time()
	for month := time.Date(now.Year(), now.Month()-1, 1, 0, 0, 0, 0, time.UTC); len(list) < mostMonths; month = month.AddDate(0, -1, 0) {
		if month.AddDate(0, 1, 0).Before(first) || !month.AddDate(0, 1, 0).After(first) {
			return list
		}
		list = append(list, monthLink{month.Format("January 2006"), address + "/months/" + month.Format("2006-01")})
	}
	return list
}

func (s *site) month(w http.ResponseWriter, r *http.Request, v visit) error {
	month, err := time.Parse("2006-01", r.PathValue("month"))
	if err != nil {
		return view.ErrNotFound
	}
	m, err := s.Trends.Month(r.Context(), v.school.ID, month, v.now)
	if _, early := errors.AsType[*decision.RefusedError](err); early {
		return view.ErrNotFound
	}
	if err != nil {
		return err
	}
	c := s.clockwork(v)
	page := monthPage{
		Month: m, Back: schoolAddress(v.school.ID) + "/trends", Title: m.Title(), Last: c.moment(m.At), Before: c.moment(m.Before),
		Standings: summary.Standings()[:4],
	}
	return s.write(w, http.StatusOK, "month", s.page(v, page.Title, "trends"), page)
}
