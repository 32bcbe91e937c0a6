package web

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/caretaker-school/caretaker/collector/concern"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// hollybanks is the address at which people of Hollybank report.
const hollybanks = "K7QM2-XHD4R"

// reported keeps what is reported at Hollybank, in memory. The zero value has
// what every school has some day.
type reported struct {
	raised  []view.Concern
	address string
	full    bool
	broken  error
	owned   []view.Registered // of the register
}

func newConcerns() reported {
	told := concern.Told{Thing: "HB-LT-014", From: "Alex Rowan", Reach: "01632 960 014"}
	c := reported{address: hollybanks, raised: []view.Concern{
		{
			ID: "0000-0001", Kind: concern.Suspicious, Words: "It asked for my password twice.", Raised: now.Add(-30 * time.Hour), Entry: 701, By: "staff",
			Aside: view.Act{By: "technician", At: now.Add(-29 * time.Hour), Reason: "Rung back: a mistyped password.", Entry: 704},
		},
		{ID: "0000-0002", Kind: concern.Stolen, Words: "From the back of my car.", Raised: now.Add(-20 * time.Hour), Entry: 710, Case: "in-1", Incident: "2026-03"},
		{ID: "K7QM-2XHD", Kind: concern.Lost, Told: told, Words: "Left on the 16:20 train, in the luggage rack. The bag is blue.", Raised: now.Add(-20 * time.Minute), Entry: 720},
		{ID: "K7QM-2XHE", Kind: concern.FoundStick, Words: "In the car park, by the gate.", Raised: now.Add(-5 * time.Minute), Entry: 721},
	}}
	held := &register.Held{Role: "Year 4 class teacher", Person: "Staff", From: now.Add(-400 * time.Hour)}
	c.owned = []view.Registered{
		{Asset: register.Asset{Tag: "HB-LT-009", Description: register.Description{What: "Dell Latitude 5440"}, Device: "d-009", Held: held}},
		{Asset: register.Asset{Tag: "HB-LT-015", Device: "d-015", Held: &register.Held{Role: "Year 5 class teacher", Person: "Staffordshire Lee"}}},
	}
	return c
}

// concernsOf is what keeps reports, of what answers the pages' questions.
func concernsOf(q Queries) ConcernKeeper {
	s, _ := q.(*school)
	return s
}

func (s *school) Concerns(_ context.Context, id posture.SchoolID, q view.ConcernQuery, _ time.Time) (view.ConcernPage, error) {
	var p view.ConcernPage
	for _, c := range s.told.raised {
		if id == hollybank && (!q.Waiting || c.Waiting()) {
			p.Concerns = append(p.Concerns, c)
		}
	}
	if !q.Waiting {
		slices.Reverse(p.Concerns)
	}
	return p, s.fail
}

func (s *school) Concern(_ context.Context, id posture.SchoolID, reference string, _ time.Time) (view.Concern, error) {
	for _, c := range s.told.raised {
		if c.ID == reference && id == hollybank {
			return c, s.fail
		}
	}
	return view.Concern{}, view.ErrNotFound
}

func (s *school) WaitingConcerns(ctx context.Context, id posture.SchoolID, now time.Time) (int, time.Time, error) {
	p, err := s.Concerns(ctx, id, view.ConcernQuery{Waiting: true}, now)
	if err != nil || len(p.Concerns) == 0 {
		return 0, time.Time{}, err
	}
	return len(p.Concerns), p.Concerns[0].Raised, nil
}

func (s *school) ConcernAddress(_ context.Context, id posture.SchoolID, _ time.Time) (view.ConcernAddress, error) {
	if id != hollybank || s.told.address == "" {
		return view.ConcernAddress{}, view.ErrNotFound
	}
	return view.ConcernAddress{Address: s.told.address, Since: now.Add(-900 * time.Hour), By: "administrator"}, s.fail
}

func (s *school) SchoolAt(_ context.Context, address string) (posture.SchoolID, error) {
	if address != s.told.address || address == "" {
		return "", view.ErrNotFound
	}
	return hollybank, s.fail
}

func (s *school) RaiseConcern(_ context.Context, _ posture.SchoolID, d decision.Decision, kind concern.Kind) (string, error) {
	switch {
	case s.told.full:
		return "", ErrFull
	case s.told.broken != nil:
		return "", s.told.broken
	}
	s.decided = append(s.decided, d)
	s.told.raised = append(s.told.raised, view.Concern{ID: "ZZZZ-0001", Kind: kind, Words: d.Reason, Told: *d.Concern, Raised: d.At})
	return "ZZZZ-0001", nil
}

func (s *school) SetConcernsAside(_ context.Context, _ posture.SchoolID, d decision.Decision, references []string) (uint64, error) {
	if d.Reason == "refuse this" {
		return 0, &decision.RefusedError{Why: "report K7QM-2XHD was set aside already, by dpo"}
	}
	s.decided, s.asked = append(s.decided, d), append(s.asked, references...)
	return 1, nil
}

func (s *school) RenewConcernAddress(_ context.Context, _ posture.SchoolID, d decision.Decision) (uint64, error) {
	s.decided, s.told.address = append(s.decided, d), "00000-00001"
	return 1, nil
}

func (s *school) Assets(_ context.Context, id posture.SchoolID, q view.AssetQuery, _ time.Time) (view.AssetPage, error) {
	var p view.AssetPage
	if id == hollybank && q.Names {
		from, _ := strconv.Atoi(q.After) // at first there is none
		p.Assets = s.told.owned[from:min(from+cmp.Or(q.Limit, 50), len(s.told.owned))]
		if to := from + len(p.Assets); to < len(s.told.owned) {
			p.Next = strconv.Itoa(to)
		}
	}
	return p, s.fail
}
