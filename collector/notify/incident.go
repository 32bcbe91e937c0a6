package notify

import (
	"context"
	"time"

	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// The kinds of what stands in for an incident: for one by which something is
// lost, and for one about which nobody has decided whether the regulator is
// told. No rule has subjects of them.
const (
	lossKind     = "incident"
	deadlineKind = "deadline"
)

// When it is told how long the regulator can still be told.
const (
	dayBefore   = 24 * time.Hour
	hoursBefore = 6 * time.Hour
)

// incidents are what open incidents give to tell. Restricted ones are not among
// them: no list has those.
func (t *Teller) incidents(ctx context.Context, school posture.SchoolID, now time.Time) ([]item, error) {
	var list []item
	for q := (view.IncidentQuery{State: view.IncidentOpen, Limit: 500}); ; {
		page, err := t.o.Source.Incidents(ctx, school, q, now)
		if err != nil {
			return nil, err
		}
		for _, i := range page.Incidents {
			if it, ok := loss(school, i); ok {
				list = append(list, it)
			}
			if it, ok := undecided(school, i, now); ok {
				list = append(list, it)
			}
		}
		if q.After = page.Next; q.After == "" {
			return list, nil
		}
	}
}

// loss is an incident as something to be told: once, however much is lost.
func loss(school posture.SchoolID, i view.Incident) (it item, ok bool) {
	b := asBreach(i, lossKind, i.ID)
	for _, l := range i.Links {
		if since, lost := l.Lost(); lost && (!ok || since.At.Before(b.FirstFailed)) {
			b.FirstFailed, ok = since.At, true
		}
	}
	return item{key: keyOf(school, b), severity: b.Severity, breach: b, what: Lost}, ok
}

// undecided is an open incident of which the regulator was not told, and nobody
// has decided that it need not be, as something to be told: once a day before the hours for
// that end, once six hours before, and once when they have ended. Hours that end
// at another time, because it was corrected when the school became aware, are
// other hours. What was missed is not made up for: the latest says it all.
func undecided(school posture.SchoolID, i view.Incident, now time.Time) (it item, ok bool) {
	by, known := i.TellBy()
	t, decided := i.Told(incident.Regulator)
	if !known || decided && (t.Answer == incident.No || t.Told != nil) {
		return it, false
	}
	left := by.At.Sub(now)
	switch {
	case left <= 0:
		it.what = Overdue
	case left <= hoursBefore:
		it.what = DueInHours
	case left <= dayBefore:
		it.what = DueInDay
	default:
		return it, false
	}
	b := asBreach(i, deadlineKind, i.ID+" "+by.At.UTC().Format(time.RFC3339)+" "+string(it.what))
	b.FirstFailed = i.Aware[len(i.Aware)-1].When.At
	it.key, it.severity, it.breach, it.due = keyOf(school, b), b.Severity, b, by.At
	return it, true
}

func asBreach(i view.Incident, kind, key string) *view.Breach {
	return &view.Breach{
		Rule: i.Number, Title: "incident " + i.Number, Number: 1, Subject: posture.Subject{Kind: kind, Key: key}, Severity: posture.Critical,
	}
}
