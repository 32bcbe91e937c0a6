package app

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/api"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/rulebook"
	"github.com/caretaker-school/caretaker/collector/web"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// putInForce is a policy that an entry put in force.
type putInForce struct {
	entry uint64
	at    time.Time
}

// shipped stands for the entry of the policy that every school has before it
// publishes any.
const shipped = ^uint64(0)

// compared remembers the texts of policies and baselines by their entries, and in
// what one asks less than the other. None of it can change.
type compared struct {
	texts   map[uint64]rulebook.Text
	results map[[2]uint64][]rulebook.Loosening
	since   map[uint64]map[string]web.PolicyRule // since when the rules of a policy ask what they ask
}

// heldTo is what a school's ledger says of its trust, and of its policies.
type heldTo struct {
	decision.Oversight
	put       []putInForce
	published []decision.Publication
}

func (s *school) heldTo(ctx context.Context) (h heldTo, err error) {
	err = s.policies.catchUp(ctx, s.ledger, func(p *decision.Policies) error {
		h = heldTo{Oversight: p.Oversight(), put: slices.Clone(s.policies.put), published: p.Published()}
		h.Baselines, h.Allowed = slices.Clone(h.Baselines), slices.Clone(h.Allowed)
		return nil
	})
	return h, err
}

// text returns the policy or baseline of an entry. The caller holds comparing.
func (s *school) text(ctx context.Context, entry uint64) (rulebook.Text, error) {
	if t, ok := s.policies.texts[entry]; ok {
		return t, nil
	}
	t, err := s.readText(ctx, entry)
	if err != nil {
		return t, err
	}
	if s.policies.texts == nil {
		s.policies.texts = map[uint64]rulebook.Text{}
	}
	s.policies.texts[entry] = t
	return t, nil
}

func (s *school) readText(ctx context.Context, entry uint64) (rulebook.Text, error) {
	if entry == shipped {
		p, source, err := rulebook.Baseline()
		return rulebook.Text{File: "the shipped policy", Source: source, Policy: p}, err
	}
	r, err := s.ledger.Read(ctx, ledger.Index(entry))
	if err != nil {
		return rulebook.Text{}, err
	}
	if n := slices.IndexFunc(r.Envelope.Sections, func(s proof.SectionRef) bool { return s.Name == decision.SectionBaseline }); n >= 0 {
		source, err := s.ledger.Body(ctx, r.Index, n)
		if err != nil {
			return rulebook.Text{}, err
		}
		p, err := rulebook.Compile("baseline", source)
		return rulebook.Text{File: "baseline", Source: source, Policy: p}, err
	}
	found, err := s.publishedIn(ctx, r)
	if err == nil && found.policy == nil {
		err = fmt.Errorf("entry %d has no policy", entry)
	}
	if err != nil {
		return rulebook.Text{}, err
	}
	return rulebook.Text{File: fmt.Sprintf("policy %d", found.policy.Number), Source: found.source, Policy: found.policy}, nil
}

// loosened returns in what the policy of an entry asks less than the baseline of
// another.
func (s *school) loosened(ctx context.Context, baseline, own uint64) ([]rulebook.Loosening, error) {
	s.policies.comparing.Lock()
	defer s.policies.comparing.Unlock()
	key := [2]uint64{baseline, own}
	if list, ok := s.policies.results[key]; ok {
		return list, nil
	}
	a, err := s.text(ctx, baseline)
	if err != nil {
		return nil, fmt.Errorf("read the baseline of entry %d: %w", baseline, err)
	}
	b, err := s.text(ctx, own)
	if err != nil {
		return nil, fmt.Errorf("read the policy of entry %d: %w", own, err)
	}
	list, err := rulebook.Compare(a, b)
	if err != nil {
		return nil, err
	}
	if s.policies.results == nil {
		s.policies.results = map[[2]uint64][]rulebook.Loosening{}
	}
	s.policies.results[key] = list
	return list, nil
}

// below returns in what a text that is not in force asks less than the baseline in
// force, which of that the trust allows, and that baseline's number; 0 if there is
// none.
func (s *school) below(ctx context.Context, own rulebook.Text, now time.Time) (not, allowed []rulebook.Loosening, baseline uint64, err error) {
	h, err := s.heldTo(ctx)
	if err != nil {
		return nil, nil, 0, err
	}
	in, ok := h.Baseline()
	if !ok {
		return nil, nil, 0, nil
	}
	s.policies.comparing.Lock()
	base, err := s.text(ctx, in.Entry)
	s.policies.comparing.Unlock()
	if err != nil {
		return nil, nil, 0, fmt.Errorf("read the baseline of %s: %w", h.Trust, err)
	}
	list, err := rulebook.Compare(base, own)
	for _, l := range list {
		if _, ok := allowedBy(h.Allowed, l, now); ok {
			allowed = append(allowed, l)
		} else {
			not = append(not, l)
		}
	}
	return not, allowed, in.Number, err
}

// allowedBy returns what allows a loosening at a moment.
func allowedBy(all []decision.Allowance, l rulebook.Loosening, now time.Time) (decision.Allowance, bool) {
	for _, a := range all {
		if a.Item == l.Item && a.Mark == proof.Digest(l.Mark) && a.Runs(now) {
			return a, true
		}
	}
	return decision.Allowance{}, false
}

// cause is how a policy came to ask less in one thing.
type cause struct {
	at     time.Time
	by     string
	policy uint64 // or baseline
	raised uint64
}

// Held implements api.Trusts.
func (c *collector) Held(ctx context.Context, id posture.SchoolID) (api.Held, error) {
	s, err := c.readable(string(id))
	if err != nil {
		return api.Held{}, err
	}
	return s.held(ctx, c.clock.Now())
}

// held says where a school stands against the baseline of its trust.
func (s *school) held(ctx context.Context, now time.Time) (api.Held, error) {
	h, err := s.heldTo(ctx)
	if err != nil {
		return api.Held{}, err
	}
	out := api.Held{
		School: s.ID, Name: s.Name, Trust: h.Trust, JoinedAt: h.Since, JoinedBy: h.By, Left: h.Left, LeftAt: h.LeftAt, LeftBy: h.LeftBy,
		Policy: s.roster.Policy(), Looser: []api.Looser{}, Allowed: h.Allowed,
	}
	baseline, ok := h.Baseline()
	if !ok {
		return out, nil
	}
	out.Baseline = &baseline
	s.policies.comparing.Lock()
	text, err := s.text(ctx, baseline.Entry)
	s.policies.comparing.Unlock()
	if err == nil {
		out.Source = string(text.Source)
	}
	list, causes, err := s.history(ctx, h)
	out.Unknown = why(err) // what cannot be compared is not known to ask enough
	if n := len(h.published); n > 0 {
		out.Follows = h.published[n-1].Number == out.Policy && h.published[n-1].Digest == baseline.Digest
	}
	for _, l := range list {
		out.Looser = append(out.Looser, looser(l, causes[key(l)], h.Allowed, now))
	}
	for _, l := range out.Looser {
		if l.Allowed == nil && (out.Since.IsZero() || l.Since.Before(out.Since)) {
			out.Since = l.Since
		}
	}
	return out, nil
}

func why(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func key(l rulebook.Loosening) string { return l.Item + "\x00" + l.Field }

// looser puts a loosening into words for people. What was allowed for a time asks
// less without that since the end of it.
func looser(l rulebook.Loosening, why cause, all []decision.Allowance, now time.Time) api.Looser {
	out := api.Looser{
		Item: l.Item, Field: l.Field, Direction: string(l.Direction), Words: l.Words, Line: l.Line, Baseline: l.Baseline,
		Since: why.at, By: why.by, Policy: why.policy, Raised: why.raised,
	}
	if l.Direction == rulebook.Either {
		out.Direction = "unclear"
	}
	if a, ok := allowedBy(all, l, now); ok {
		out.Allowed = &a
		return out
	}
	for _, a := range all {
		if a.Item == l.Item && a.Mark == proof.Digest(l.Mark) && !a.Ends().After(now) && a.Ends().After(out.Since) {
			out.Since = a.Ends()
		}
	}
	return out
}

// history goes through the baselines and policies of a school in the order in
// which they came into force, and returns in what the last policy asks less than
// the last baseline, and since when each of that is so.
func (s *school) history(ctx context.Context, h heldTo) (list []rulebook.Loosening, causes map[string]cause, err error) {
	own, baselines, put := shipped, h.Baselines, h.put
	for len(put) > 0 && put[0].entry < baselines[0].Entry {
		own, put = put[0].entry, put[1:]
	}
	var base uint64
	for len(baselines)+len(put) > 0 {
		var why cause
		if len(put) == 0 || len(baselines) > 0 && baselines[0].Entry < put[0].entry {
			b := baselines[0]
			base, baselines, why = b.Entry, baselines[1:], cause{at: b.At, raised: b.Number}
		} else {
			why = cause{at: put[0].at}
			own, put = put[0].entry, put[1:]
			for _, p := range h.published {
				if p.Entry == own {
					why.by, why.policy = p.By, p.Number
				}
			}
		}
		if list, err = s.loosened(ctx, base, own); err != nil {
			return nil, nil, err
		}
		next := map[string]cause{}
		for _, l := range list {
			next[key(l)] = why
			if before, ok := causes[key(l)]; ok {
				next[key(l)] = before
			}
		}
		causes = next
	}
	return list, causes, nil
}

// refusedBelow says in what a policy asks less than the trust's baseline.
func refusedBelow(trust, file string, not []rulebook.Loosening) error {
	why := []string{"it asks less than the baseline of " + trust + ", which does not allow that:"}
	for _, l := range not {
		why = append(why, l.Fault(file).String())
	}
	return &decision.RefusedError{Why: strings.Join(why, "\n")}
}
