package web

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/view"
)

// mostRunning bounds how many incidents the overview names.
const mostRunning = 5

// running lists the open incidents of which it is not settled whether the
// regulator is told, with the time that is left: whoever opens the overview on
// a Friday evening must see a clock that runs.
func (s *site) running(ctx context.Context, v visit) (list []toDecide, err error) {
	if !v.account.May(v.school.ID, access.ReadIncidents) {
		return nil, nil
	}
	open, err := s.Queries.Incidents(ctx, v.school.ID, view.IncidentQuery{State: view.IncidentOpen}, v.now)
	if errors.Is(err, view.ErrNotFound) {
		return nil, nil // its record could not be opened, which is said elsewhere
	}
	if err != nil {
		return nil, err
	}
	more := 0
	for _, i := range open.Incidents {
		words, waits := tellWords(i)
		switch {
		case !waits:
		case len(list) == mostRunning:
			more++
		default:
			row := newIncidentRow(v.school.ID, i, s.clockwork(v))
			title := "Incident " + i.Number + ", " + strings.ToLower(row.Kind)
			if len(row.Things) > 0 {
				title += " " + row.Things[0]
			}
			list = append(list, toDecide{visible(title) + ": " + words, row.Address})
		}
	}
	if more > 0 || open.Next != "" && len(list) == mostRunning {
		list = append(list, toDecide{"More incidents in which it is not settled whether the regulator is told", incidentAddress(v.school.ID, "")})
	}
	return list, nil
}

// askedFor says how many exemptions wait for an answer that whoever looks may
// give; their own are another person's to answer.
func (s *site) askedFor(ctx context.Context, v visit) (list []toDecide, err error) {
	if !v.account.May(v.school.ID, access.ApproveExemptions) {
		return nil, nil
	}
	query := view.ExemptionQuery{States: []view.ExemptionState{view.ExemptionAsked}, Limit: mostExemptions}
	waiting, err := s.Queries.Exemptions(ctx, v.school.ID, query, v.now)
	if errors.Is(err, view.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	n := 0
	for _, e := range waiting.Exemptions {
		if !breach.SamePerson(e.Asked.By, v.account.Name) {
			n++
		}
	}
	if n == 0 {
		return nil, nil
	}
	words := count(n, "exemption") + " asked for, to approve or refuse"
	if waiting.Next != "" {
		words = "more than " + words
	}
	return []toDecide{{capital(words), schoolAddress(v.school.ID) + "/exemptions"}}, nil
}

// tellWords says what is not settled about telling the regulator; waits is
// false if all is.
func tellWords(i view.Incident) (words string, waits bool) {
	told, decided := i.Told(incident.Regulator)
	switch {
	case !decided || told.Answer == incident.NotYet:
		words = "decide whether the regulator is told"
	case told.Answer == incident.Yes && told.Told == nil:
		words = "the regulator is to be told, and nobody has recorded when"
	default:
		return "", false
	}
	if i.Due == "" {
		return words, true
	}
	return fmt.Sprintf("%s, %s", words, i.Due), true
}
