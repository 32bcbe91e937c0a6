package app

import (
	"context"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/api"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/rulebook"
	"github.com/caretaker-school/caretaker/collector/web"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// trustDesk implements web.TrustDesk.
type trustDesk struct{ *collector }

// Standing implements web.TrustDesk.
func (d trustDesk) Standing(ctx context.Context, id posture.SchoolID, now time.Time) (web.TrustStanding, error) {
	s, err := d.readable(string(id))
	if err != nil {
		return web.TrustStanding{}, err
	}
	held, err := s.held(ctx, now)
	if err != nil {
		return web.TrustStanding{}, err
	}
	out := web.TrustStanding{
		Trust: held.Trust, Joined: held.JoinedAt, JoinedBy: held.JoinedBy, Left: held.Left, LeftAt: held.LeftAt, LeftBy: held.LeftBy,
		Baseline: held.Baseline, Source: []byte(held.Source), Policy: held.Policy, Follows: held.Follows, Since: held.Since, Allowed: held.Allowed, Unknown: held.Unknown,
	}
	for _, l := range held.Looser {
		out.Looser = append(out.Looser, web.TrustLoosening{
			Item: l.Item, Words: l.Words, Unclear: l.Direction == "unclear", Since: l.Since, By: l.By, Policy: l.Policy, Raised: l.Raised, Allowed: l.Allowed,
		})
	}
	h, err := s.heldTo(ctx)
	if err != nil {
		return out, err
	}
	s.policies.comparing.Lock()
	for _, b := range h.Drafts() {
		one := web.TrustDraft{Baseline: b}
		if t, err := s.text(ctx, b.Entry); err == nil {
			one.Source = t.Source
		}
		out.Drafts = append(out.Drafts, one)
	}
	s.policies.comparing.Unlock()
	if held.Baseline != nil {
		stricter, err := s.stricter(ctx, h, held.Baseline.Entry)
		if err != nil && out.Unknown == "" {
			out.Unknown = plainly(err)
		}
		out.Stricter = stricter
	}
	return out, ctx.Err()
}

// stricter says in what the policy in force asks more than a baseline, as far as
// that can be told: in what the baseline asks less than it.
func (s *school) stricter(ctx context.Context, h heldTo, baseline uint64) ([]web.PolicyChange, error) {
	own := shipped
	if len(h.put) > 0 {
		own = h.put[len(h.put)-1].entry
	}
	list, err := s.loosened(ctx, own, baseline)
	if err != nil {
		return nil, err
	}
	more := map[string]bool{}
	for _, l := range list {
		if l.Direction == rulebook.Looser {
			more[l.Item] = true
		}
	}
	s.policies.comparing.Lock()
	defer s.policies.comparing.Unlock()
	a, err := s.text(ctx, baseline)
	if err != nil {
		return nil, err
	}
	b, err := s.text(ctx, own)
	if err != nil {
		return nil, err
	}
	var out []web.PolicyChange
	for _, c := range changesOf(rulebook.Diff(a.Policy, b.Policy)) {
		if c.Way != string(rulebook.Looser) && (more[c.Rule] || c.Parameter != "" && more["param."+c.Parameter]) {
			out = append(out, c)
		}
	}
	return out, nil
}

// Members implements web.TrustDesk.
func (d trustDesk) Members(ctx context.Context, trust string) (string, []posture.SchoolID, error) {
	schools, err := d.Trusting(ctx, trust)
	if err != nil || len(schools) == 0 {
		return "", nil, err
	}
	s, err := d.readable(string(schools[0]))
	if err != nil {
		return "", nil, err
	}
	h, err := s.heldTo(ctx)
	return h.Trust, schools, err
}

// WeighBaseline implements web.TrustDesk.
func (d trustDesk) WeighBaseline(ctx context.Context, trust string, source []byte) (out web.WeighedPolicy, err error) {
	if out.Policy, err = rulebook.Compile("baseline", source); err != nil {
		return out, unsoundPage(err, source)
	}
	schools, err := d.Trusting(ctx, trust)
	if err != nil {
		return out, err
	}
	out.MaxAge = rulebook.UsualAge(source)
	compare := comparing(rulebook.Text{Source: source, Policy: out.Policy})
	current := rulebook.Text{}
	var number uint64
	for _, id := range schools {
		s, err := d.readable(string(id))
		if err != nil {
			return out, err
		}
		h, err := s.heldTo(ctx)
		if err != nil {
			return out, err
		}
		if at := s.underBaseline(ctx, h, compare, d.clock.Now()); len(at.Looser) > 0 || at.Unknown != "" {
			out.At = append(out.At, at)
		}
		b, ok := h.Baseline()
		if !ok || b.Number <= number {
			continue
		}
		s.policies.comparing.Lock()
		t, err := s.text(ctx, b.Entry)
		s.policies.comparing.Unlock()
		if err == nil {
			current, number = t, b.Number
		}
	}
	if current.Policy != nil {
		out.Changes = changesOf(rulebook.Diff(current.Policy, out.Policy))
	}
	return out, nil
}

// comparing compares policies with a text that is to be a baseline. Most schools of a
// trust have one and the same, which is compared once.
func comparing(baseline rulebook.Text) func(own rulebook.Text) ([]rulebook.Loosening, error) {
	known := map[string][]rulebook.Loosening{}
	return func(own rulebook.Text) ([]rulebook.Loosening, error) {
		if list, ok := known[string(own.Source)]; ok {
			return list, nil
		}
		list, err := rulebook.Compare(baseline, own)
		if err == nil {
			known[string(own.Source)] = list
		}
		return list, err
	}
}

// underBaseline says in what a school would ask less than a text, were that its
// trust's baseline. A school that follows the baseline word for word would not.
func (s *school) underBaseline(ctx context.Context, h heldTo, compare func(rulebook.Text) ([]rulebook.Loosening, error), now time.Time) web.SchoolBelow {
	out := web.SchoolBelow{School: s.ID}
	held, err := s.held(ctx, now)
	if err == nil && held.Follows {
		return out
	}
	own := shipped
	if len(h.put) > 0 {
		own = h.put[len(h.put)-1].entry
	}
	var list []rulebook.Loosening
	if err == nil {
		s.policies.comparing.Lock()
		policy, failed := s.text(ctx, own)
		s.policies.comparing.Unlock()
		if err = failed; err == nil {
			list, err = compare(policy)
		}
	}
	if err != nil {
		out.Unknown = plainly(err)
	}
	for _, l := range list {
		if _, ok := allowedBy(h.Allowed, l, now); !ok && !slices.Contains(out.Looser, l.Item) {
			out.Looser = append(out.Looser, l.Item)
		}
	}
	return out
}

// ProposeBaseline implements web.TrustDesk.
func (d trustDesk) ProposeBaseline(ctx context.Context, trust string, b web.TrustText, by string, at []posture.SchoolID) ([]web.TrustRecord, error) {
	a, err := d.draftBaseline(ctx, TrustArguments{Trust: trust, File: "baseline", Source: b.Source, Reason: b.Reason}, by, at)
	return recordsOf(a), unsoundPage(err, b.Source)
}

// PublishBaseline implements web.TrustDesk.
func (d trustDesk) PublishBaseline(ctx context.Context, trust string, b web.TrustText, by string, at []posture.SchoolID) ([]web.TrustRecord, error) {
	a, err := d.publishBaseline(ctx, TrustArguments{Trust: trust, File: "baseline", Source: b.Source, Follow: b.Follow, Reason: b.Reason}, by, at)
	return recordsOf(a), unsoundPage(err, b.Source)
}

func recordsOf(a api.BaselineAnswer) (out []web.TrustRecord) {
	for _, r := range a.Schools {
		out = append(out, web.TrustRecord{School: r.School, Name: r.Name, Policy: r.Policy, Looser: r.Looser, Failed: r.Failed})
	}
	return out
}

// Allow implements web.TrustDesk.
func (d trustDesk) Allow(ctx context.Context, id posture.SchoolID, a web.TrustAllowance, by string) error {
	s, err := d.school(string(id))
	if err != nil {
		return err
	}
	_, err = d.allowLooser(ctx, s, TrustArguments{Draft: a.Draft, Items: a.Items, Until: a.Until, Reason: a.Reason}, by)
	return err
}

// Decide implements web.TrustDesk.
func (d trustDesk) Decide(ctx context.Context, id posture.SchoolID, made decision.Decision) error {
	_, err := d.DecideTrust(ctx, id, made)
	return err
}
