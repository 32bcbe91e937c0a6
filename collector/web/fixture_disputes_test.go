package web

import (
	"context"
	"time"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/dispute"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// disputed is what is disputed at Hollybank: about one laptop, about a person, and
// something that is answered. What was written is an attack.
func disputed() []view.Dispute {
	return []view.Dispute{
		{
			ID: "dp-1", About: dispute.Encryption, Device: "d-009", Asset: "HB-LT-009", Hostname: "hb-lt-009", Fact: 641, On: "2026-10-20", Due: "2026-11-20",
			Told: dispute.Told{Own: true}, By: "staff", Words: "It asked for the key of the disk this morning, so it <b>is</b> encrypted.", Raised: now.Add(-76 * time.Hour), Entry: 690,
		},
		{
			ID: "dp-2", About: dispute.Uses, On: "2026-09-20", Due: "2026-10-20", Told: dispute.Told{For: "Sam Carter"}, By: "technician",
			Words: "She signed the rules of use in September.", Raised: now.Add(-800 * time.Hour), Entry: 511,
		},
		{
			ID: "dp-3", About: dispute.Rule, Rule: "ENC-01", Device: "d-009", Asset: "HB-LT-009", Hostname: "hb-lt-009", Fact: 512, On: "2026-09-20", Due: "2026-10-20",
			By: "dpo", Words: "The disk was replaced.", Raised: now.Add(-801 * time.Hour), Entry: 510, Outcome: dispute.NotUpheld,
			Answered: view.Act{By: "head", At: now.Add(-700 * time.Hour), Reason: "Read again after that: it is not encrypted.", Entry: 530},
		},
		{ID: "dp-4", About: dispute.Holder, Asset: "HB-CB-001", On: "2024-09-20", Due: "2024-10-20", Forgotten: true, Raised: now.Add(-18000 * time.Hour), Entry: 3, Outcome: dispute.Upheld, Answered: view.Act{At: now.Add(-17900 * time.Hour), Entry: 9}},
	}
}

// disputesKept is what records disputes, of what answers the pages' questions.
func disputesKept(q Queries) Disputes {
	s, _ := q.(*school)
	return s
}

func (s *school) Disputes(_ context.Context, id posture.SchoolID, q view.DisputeQuery, _ time.Time) (p view.DisputePage, err error) {
	for _, d := range disputed() {
		if id == hollybank && (q.Device == "" || d.Device == q.Device) && (!q.Open || d.Open()) {
			p.Disputes = append(p.Disputes, d)
		}
	}
	return p, s.fail
}

func (s *school) Dispute(_ context.Context, id posture.SchoolID, name string, _ time.Time) (view.Dispute, error) {
	for _, d := range disputed() {
		if id == hollybank && d.ID == name {
			return d, s.fail
		}
	}
	return view.Dispute{}, view.ErrNotFound
}

func (s *school) OpenDisputes(_ context.Context, id posture.SchoolID, _ time.Time) (int, string, error) {
	if id != hollybank {
		return 0, "", nil
	}
	return 2, "2026-10-20", s.fail
}

// RaiseDispute implements Disputes: it keeps what was said, and refuses what says
// so.
func (s *school) RaiseDispute(_ context.Context, _ posture.SchoolID, by string, told dispute.Told, change dispute.Change, words string) (view.Dispute, error) {
	if words == "refuse this" {
		return view.Dispute{}, &decision.RefusedError{Why: "no rule ENC-01 finds anything on this laptop"}
	}
	s.decided = append(s.decided, decision.Decision{Kind: decision.Dispute, By: by, Reason: words, Dispute: &told})
	s.changed = append(s.changed, change)
	return view.Dispute{ID: "dp-9"}, nil
}

func (s *school) AnswerDispute(_ context.Context, _ posture.SchoolID, by, id string, outcome dispute.Outcome, words string) (view.Dispute, error) {
	if words == "refuse this" {
		return view.Dispute{}, &decision.RefusedError{Why: "it was answered already, by dpo"}
	}
	s.decided = append(s.decided, decision.Decision{Kind: decision.Dispute, By: by, Reason: words})
	s.changed = append(s.changed, dispute.Change{What: dispute.Answer, ID: id, Outcome: outcome})
	return view.Dispute{ID: id}, nil
}
