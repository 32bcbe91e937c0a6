package web

import (
	"context"
	"net/http"
	"strings"

	"github.com/caretaker-school/caretaker/collector/health"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// HealthDesk says how well the collector keeps a school.
type HealthDesk interface {
	Health(ctx context.Context, school posture.SchoolID) (health.Report, error)
}

// healthPage is how well the collector is.
type healthPage struct {
	Address string
	Rows    []healthRow
	Lead    string
	Amiss   bool
}

// healthRow is one thing in words.
type healthRow struct {
	Title, Words string
	Look         standingWords
	At           *moment
}

// healthLook is how a state looks: by shape and words as well as by colour.
func healthLook(s health.State) standingWords {
	switch s {
	case health.Well:
		return standingWords{"In order", "met"}
	case health.Amiss:
		return standingWords{"Needs somebody", "not-met"}
	default:
		return standingWords{"Not known", "not-proven"}
	}
}

func (s *site) health(w http.ResponseWriter, r *http.Request, v visit) error {
	report, err := s.Desk.Health(r.Context(), v.school.ID)
	if err != nil {
		return err
	}
	page := healthPage{Address: settingsAddress(v, "/health"), Lead: healthWords(report), Amiss: report.Amiss() > 0}
	c := s.clockwork(v)
	for _, l := range report.Lines() {
		words := sentence(l.Words)
		if !l.At.IsZero() { // the moment ends the sentence
			words = strings.TrimSuffix(words, ".")
		}
		page.Rows = append(page.Rows, healthRow{l.Title, words, healthLook(l.State), c.moment(l.At)})
	}
	return s.write(w, http.StatusOK, "health", s.page(v, "Health of the collector", "settings"), page)
}

func healthWords(r health.Report) string {
	if n := r.Amiss(); n > 0 {
		return sentence(count(n, "thing") + " " + map[bool]string{true: "needs", false: "need"}[n == 1] + " somebody")
	}
	return "Nothing needs anybody."
}

func (s *site) healthState(ctx context.Context, v visit) (string, bool, error) {
	report, err := s.Desk.Health(ctx, v.school.ID)
	return healthWords(report), report.Amiss() > 0, err
}
