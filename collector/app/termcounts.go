package app

import (
	"context"
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/evidence"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/summary"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// counting counts what was known of a school at the end of a term, or of a year,
// from its view as it was then.
type counting struct {
	q      *view.Queries
	school posture.SchoolID
	in     func(time.Time) bool // whether a moment is one of those that count
	to     time.Time            // the end
	counts *summary.Counts
}

// in reports whether a moment lies in the term.
func (t span) in(m time.Time) bool { return !m.Before(t.from) && !m.After(t.to) }

// counts counts what was known of a school at the end of a term.
func (c *collector) counts(ctx context.Context, s *school, t span) (summary.Counts, error) {
	counts := summary.Counts{School: s.Name, Term: t.Term, At: t.to}
	var where evidence.Position
	err := c.past(ctx, s, t.to, &where, func(q *view.Queries) error {
		policy, err := inquire(ctx, q, s, t.to, &where)
		if err != nil {
			return err
		}
		if err := s.review(ctx, policy.Number, t.to, &counts); err != nil {
			return err
		}
		g := counting{q, s.ID, t.in, t.to, &counts}
		for _, ask := range []func(context.Context) error{g.breaches, g.exemptions, g.incidents, g.licences, g.loans, g.calendar} {
			if err := ask(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return counts, err
	}
	counts.Devices, counts.Silent, counts.Forgotten, counts.Damaged = where.Devices, where.Silent, where.Forgotten > 0, where.Damaged > 0
	if r := where.Register; r.Kept {
		counts.Register = &summary.Register{Agent: r.Agent, Silent: r.Silent, Unregistered: r.Unregistered, List: r.Import, OldList: r.StaleImport, Nothing: r.Nothing}
	}
	for _, r := range where.Rules {
		counts.Rules = append(counts.Rules, summary.RuleCount{Rule: r.Rule, Title: r.Title, Met: r.Met, NotMet: r.NotMet, NotProven: r.NotProven, Exempt: r.Exempt, NotFor: r.NotFor})
	}
	return counts, nil
}

// review says by when the policy that was in force was to be reviewed.
func (s *school) review(ctx context.Context, number uint64, at time.Time, counts *summary.Counts) error {
	counts.Policy.Number = number
	return s.policies.catchUp(ctx, s.ledger, func(p *decision.Policies) error {
		if how, ok := p.Publication(number); ok {
			counts.Policy.Review, counts.Policy.Due = how.ReviewBy, how.ReviewDue(at)
		}
		return nil
	})
}

func (g counting) breaches(ctx context.Context) error {
	q := view.BreachQuery{Statuses: breach.Statuses(), Limit: 500}
	for {
		page, err := g.q.Breaches(ctx, g.school, q, g.to)
		if err != nil {
			return err
		}
		for _, b := range page.Breaches {
			if g.in(b.FirstFailed) {
				g.counts.Found++
			}
			if !b.ResolvedAt.IsZero() && g.in(b.ResolvedAt) {
				g.counts.Settled++
			}
		}
		if q.After = page.Next; q.After == "" {
			return nil
		}
	}
}

func (g counting) exemptions(ctx context.Context) error {
	q := view.ExemptionQuery{Limit: 500}
	for {
		page, err := g.q.Exemptions(ctx, g.school, q, g.to)
		if err != nil {
			return err
		}
		for _, e := range page.Exemptions {
			ends := e.Until
			if e.Ended.Done() {
				ends = e.Ended.At
			}
			switch e.ExemptionRow.State(g.to) {
			case view.ExemptionApproved:
				g.counts.Exempt++
			case view.ExemptionAsked:
				g.counts.Waiting = true
			case view.ExemptionEnded:
				if e.Approved.Done() && g.in(ends) {
					g.counts.Ended++
				}
			case view.ExemptionRefused:
			}
		}
		if q.After = page.Next; q.After == "" {
			return nil
		}
	}
}

// kindsOfIncidents are the kinds in the words of the page.
var kindsOfIncidents = []struct {
	kind  incident.Kind
	words string
}{
	{incident.LostDevice, "Lost laptop"},
	{incident.LostStick, "Lost stick or disk"},
	{incident.FoundStick, "Found stick or disk"},
	{incident.Disclosure, "Somebody learnt what they should not"},
	{incident.Other, "Something else"},
}

func (g counting) incidents(ctx context.Context) error {
	found := map[incident.Kind]*summary.IncidentCount{}
	q := view.IncidentQuery{Limit: 500}
	for {
		page, err := g.q.Incidents(ctx, g.school, q, g.to)
		if err != nil {
			return err
		}
		for _, i := range page.Incidents {
			told, answered := i.Told(incident.Regulator)
			undecided := !i.Closed && (!answered || told.Answer == incident.NotYet)
			g.counts.Undecided = g.counts.Undecided || undecided
			g.counts.Late = g.counts.Late || undecided && i.Over
			if !g.in(i.Opened.Recorded) {
				continue
			}
			n := found[i.Kind]
			if n == nil {
				n = &summary.IncidentCount{}
				found[i.Kind] = n
			}
			switch {
			case !i.Closed:
				n.Open++
			case answered && told.Answer == incident.Yes:
				n.Told++
			default:
				n.NotTold++
			}
		}
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	for _, k := range kindsOfIncidents { // also those of which there were none, so that a row tells nothing
		n := summary.IncidentCount{}
		if found[k.kind] != nil {
			n = *found[k.kind]
		}
		n.Kind = k.words
		g.counts.Incidents = append(g.counts.Incidents, n)
	}
	return nil
}

// licences counts by what was signed: it is then that people count.
func (g counting) licences(ctx context.Context) error {
	products, err := g.q.Signed(ctx, g.school, g.to, func(signed register.Reconciled) {
		if !g.in(signed.Sent) {
			return
		}
		g.counts.Licences.Signed++
		if signed.Over() {
			g.counts.Licences.Over++
		}
	})
	g.counts.Licences.Products += products
	return err
}

func (g counting) loans(ctx context.Context) error {
	q := view.AssetQuery{Overdue: true, Limit: 500}
	for {
		page, err := g.q.Assets(ctx, g.school, q, g.to)
		if err != nil {
			return err
		}
		g.counts.LoansOver += len(page.Assets)
		if q.After = page.Next; q.After == "" {
			return nil
		}
	}
}

func (g counting) calendar(ctx context.Context) error {
	known, err := g.q.Calendar(ctx, g.school, g.to)
	g.counts.CalendarMissing = known.Warning != ""
	return err
}
