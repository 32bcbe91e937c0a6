package api

import (
	"context"
	"net/http"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/health"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Physician says how well the collector keeps a school.
type Physician interface {
	Health(ctx context.Context, school posture.SchoolID) (health.Report, error)
}

// Health is how well the collector keeps a school, in words as well.
type Health struct {
	health.Report
	Lines []HealthLine `json:"lines"`
}

// HealthLine is one thing in words.
type HealthLine struct {
	Title string `json:"title"`
	State string `json:"state"` // "in order", "needs somebody" or "not known"
	Words string `json:"words"`
}

func healthRoutes() []route {
	return []route{{
		method: http.MethodGet, path: "/schools/{school}/health", right: access.ReadSettings, shows: viewing.Nobody,
		words: "How well the collector keeps a school: its disk, its record, its clock, its certificate, and whether notices arrive.",
		gives: Health{}, serve: (*door).health,
	}}
}

func (d *door) health(r *http.Request, v visit) (any, error) {
	report, err := d.Physician.Health(r.Context(), v.school.ID)
	answer := Health{Report: report, Lines: []HealthLine{}}
	for _, l := range report.Lines() {
		answer.Lines = append(answer.Lines, HealthLine{l.Title, l.State.String(), l.Words})
	}
	return answer, err
}
