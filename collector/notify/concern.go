package notify

import (
	"context"
	"time"

	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// concernKind is the kind of what stands in for something that was reported
// without signing in, and concernRule the place of its rule. No rule has subjects
// of that kind.
const (
	concernKind = "report"
	concernRule = "reports"
)

// lookedLate is after how long a report that nobody has looked at is told again,
// to the head too.
const lookedLate = 24 * time.Hour

// concerns are what people reported without signing in and nobody has looked at
// yet, as something to be told. A notice says how many there are and since when,
// and never a word of what a stranger wrote: it would be a way to write to those
// who are told, in the school's own name.
func (t *Teller) concerns(ctx context.Context, school posture.SchoolID, now time.Time) ([]item, error) {
	var list []item
	for q := (view.ConcernQuery{Waiting: true, Limit: 500}); ; {
		page, err := t.o.Source.Concerns(ctx, school, q, now)
		if err != nil {
			return nil, err
		}
		for _, c := range page.Concerns {
			severity := posture.High
			if now.Sub(c.Raised) >= lookedLate {
				severity = posture.Critical
			}
			b := &view.Breach{
				Rule: concernRule, Title: "what people reported", Number: 1, Subject: posture.Subject{Kind: concernKind, Key: c.ID},
				Severity: severity, FirstFailed: c.Raised,
			}
			list = append(list, item{key: keyOf(school, b), severity: severity, breach: b, what: Reported})
		}
		if q.After = page.Next; q.After == "" {
			return list, nil
		}
	}
}
