package web

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/rulebook"
	"github.com/caretaker-school/caretaker/shared/posture"
)

const riverside = "Riverside Schools"

// trustees is the desk of a trust to which hollybank and oakfield belong: hollybank
// asks less in three things, of which one is allowed, and oakfield has not got the
// newest baseline.
type trustees struct {
	loose   bool // oakfield belongs to none
	decided []decision.Decision
	allowed []TrustAllowance
	put     []string
}

// trustsOf is the desk of a school's trust, made when its pages are.
func trustsOf(q Queries) TrustDesk {
	s, ok := q.(*school)
	if !ok {
		return nil
	}
	if s.trust == nil {
		s.trust = &trustees{}
	}
	return s.trust
}

func (t *trustees) Standing(_ context.Context, id posture.SchoolID, at time.Time) (TrustStanding, error) {
	_, source, err := rulebook.Baseline()
	if err != nil {
		return TrustStanding{}, err
	}
	if id == oakfield && t.loose {
		return TrustStanding{Left: riverside, LeftAt: at.AddDate(0, -1, 0), LeftBy: "network-manager"}, nil
	}
	out := TrustStanding{Trust: riverside, Joined: at.AddDate(0, -6, 0), JoinedBy: "network-manager", Source: source, Policy: 3}
	out.Baseline = &decision.Baseline{Number: 2, Title: "All our schools", Rules: 26, By: "network-manager", Drafter: "Mo Adeyemi", At: at.AddDate(0, 0, -20), Reason: "A new year."}
	if id == oakfield {
		out.Baseline.Number, out.Policy, out.Follows = 1, 0, true
		return out, nil
	}
	allowance := decision.Allowance{Item: "param.lockWithin", Words: "15 minutes instead of 10", By: "network-manager", At: at.AddDate(0, 0, -5), Until: at.AddDate(0, 0, 20), Reason: "The hall's clock. " + hostile}
	past := decision.Allowance{Item: "USB-01", Words: "medium instead of high", By: "network-manager", At: at.AddDate(0, -3, 0), Until: at.AddDate(0, -2, 0), Ended: at.AddDate(0, -2, -5), EndedBy: "Mo Adeyemi", Reason: "A loan."}
	out.Allowed = []decision.Allowance{past, allowance}
	out.Since = at.AddDate(0, 0, -12)
	out.Looser = []TrustLoosening{
		{Item: "AV-01", Words: "its severity is medium instead of critical", Since: at.AddDate(0, 0, -12), By: "technician", Policy: 3},
		{Item: "LIF-01", Words: "its condition reads otherwise", Unclear: true, Since: at.AddDate(0, 0, -20), Raised: 2},
		{Item: "param.lockWithin", Words: "15 minutes instead of 10", Since: at.AddDate(0, 0, -12), By: "technician", Policy: 3, Allowed: &allowance},
	}
	out.Stricter = []PolicyChange{{Parameter: "media", Words: `was "encrypted" and becomes "ban"`}, {Rule: "=HB-01", Words: "is new: " + hostileName, Way: "tighter"}}
	out.Drafts = []TrustDraft{{decision.Baseline{Title: "Next year", Rules: 26, By: "Mo Adeyemi", At: at.AddDate(0, 0, -1), Reason: "For January."}, []byte(strings.Replace(string(source), "severity: medium", "severity: high", 1))}}
	return out, nil
}

func (t *trustees) Members(_ context.Context, trust string) (string, []posture.SchoolID, error) {
	switch {
	case !strings.EqualFold(trust, riverside):
		return "", nil, nil
	case t.loose:
		return riverside, []posture.SchoolID{hollybank}, nil
	}
	return riverside, []posture.SchoolID{hollybank, oakfield}, nil
}

func (t *trustees) WeighBaseline(_ context.Context, _ string, source []byte) (WeighedPolicy, error) {
	p, err := rulebook.Compile("baseline", source)
	if err != nil {
		return WeighedPolicy{}, unsound(err, source)
	}
	was, _, err := rulebook.Baseline()
	return WeighedPolicy{
		Policy: p, MaxAge: rulebook.UsualAge(source), Changes: changesIn(rulebook.Diff(was, p)),
		At: []SchoolBelow{{School: hollybank, Looser: []string{"AV-01", "param.lockWithin"}}, {School: oakfield, Unknown: "its record cannot be read"}},
	}, err
}

func (t *trustees) record(what string, b TrustText, by string, at []posture.SchoolID) ([]TrustRecord, error) {
	if b.Reason == "refuse this" {
		return nil, &decision.RefusedError{Why: "a school of this trust asks for two people"}
	}
	t.put = append(t.put, fmt.Sprintf("%s by %s at %v, follow %v: %s", what, by, at, b.Follow, b.Reason))
	return []TrustRecord{{School: hollybank, Name: "Hollybank Primary School", Looser: 2}, {School: oakfield, Name: "Oakfield Infant School", Failed: "its record cannot be written"}}, nil
}

func (t *trustees) ProposeBaseline(_ context.Context, _ string, b TrustText, by string, at []posture.SchoolID) ([]TrustRecord, error) {
	return t.record("proposed", b, by, at)
}

func (t *trustees) PublishBaseline(_ context.Context, _ string, b TrustText, by string, at []posture.SchoolID) ([]TrustRecord, error) {
	return t.record("put in force", b, by, at)
}

func (t *trustees) Allow(_ context.Context, _ posture.SchoolID, a TrustAllowance, by string) error {
	if a.Reason == "refuse this" {
		return &decision.RefusedError{Why: by + " wrote what asks less: somebody else has to allow it"}
	}
	t.allowed = append(t.allowed, a)
	return nil
}

func (t *trustees) Decide(_ context.Context, _ posture.SchoolID, d decision.Decision) error {
	if d.Reason == "refuse this" {
		return &decision.RefusedError{Why: "it is not allowed that it asks less"}
	}
	t.decided = append(t.decided, d)
	return nil
}
