package app

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/api"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/collector/rulebook"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// TrustArguments are about a trust, or about a school of one.
type TrustArguments struct {
	Trust  string    `json:"trust,omitempty"`
	School string    `json:"school,omitempty"`
	File   string    `json:"file,omitempty"` // name of the text, for errors
	Source []byte    `json:"source,omitempty"`
	Follow bool      `json:"follow,omitempty"` // schools without a policy of their own get it as theirs
	Draft  string    `json:"draft,omitempty"`  // of the school, in which something asks less
	Items  []string  `json:"items,omitempty"`  // rules, and parameters as param.name
	Until  time.Time `json:"until,omitzero"`
	Reason string    `json:"reason,omitempty"`
	Key    string    `json:"key,omitempty"` // of the account that decides; "": the console's operator
}

func (c *collector) doTrust(ctx context.Context, operation string, arguments json.RawMessage) (any, error) {
	return within(ctx, arguments, func(ctx context.Context, a TrustArguments) (any, error) {
		switch operation {
		case "trust.show":
			return c.trusts(ctx, a)
		case "trust.draft", "trust.publish":
			by, at, err := c.trustee(ctx, a)
			if err != nil {
				return nil, err
			}
			if operation == "trust.draft" {
				return c.draftBaseline(ctx, a, by, at)
			}
			return c.publishBaseline(ctx, a, by, at)
		}
		s, err := c.school(a.School)
		if err != nil {
			return nil, err
		}
		by, err := c.decider(a.Key, s.ID, access.KeepBaseline)
		if err != nil {
			return nil, err
		}
		if operation == "trust.allow" {
			return c.allowLooser(ctx, s, a, by)
		}
		return c.decideMembership(ctx, s, operation, a, by)
	})
}

// decideMembership records that a school joins or leaves a trust, or that
// something may not ask less any more.
func (c *collector) decideMembership(ctx context.Context, s *school, operation string, a TrustArguments, by string) (any, error) {
	d := decision.Decision{By: by, At: c.clock.Now(), Reason: a.Reason, Trust: &decision.Trust{Name: trustName(a.Trust)}}
	switch operation {
	case "trust.join":
		// Who joins a school to a trust has a say in what that trust can do.
		schools, err := c.Trusting(ctx, a.Trust)
		if err != nil {
			return nil, err
		}
		for _, other := range schools {
			if _, err := c.decider(a.Key, other, access.KeepBaseline); err != nil {
				return nil, err
			}
		}
		d.Kind = decision.JoinTrust
	case "trust.leave":
		d.Kind = decision.LeaveTrust
	case "trust.end":
		h, err := s.heldTo(ctx)
		if err != nil {
			return nil, err
		}
		if len(a.Items) != 1 {
			return nil, errors.New("name one rule or parameter that may not ask less any more")
		}
		d.Kind, d.Trust.Name, d.Trust.Item = decision.EndLooser, h.Trust, a.Items[0]
	}
	return c.DecideTrust(ctx, s.ID, d)
}

func trustName(name string) string { return strings.Join(strings.Fields(name), " ") }

// trustee names who decides about a whole trust at the command line, and the
// schools at which they may.
func (c *collector) trustee(ctx context.Context, a TrustArguments) (by string, schools []posture.SchoolID, err error) {
	schools, err = c.Trusting(ctx, a.Trust)
	if err != nil {
		return "", nil, err
	}
	if len(schools) == 0 {
		return "", nil, fmt.Errorf("no school belongs to a trust %q: a school joins one with trust join", a.Trust)
	}
	by = operator()
	for _, s := range schools {
		if by, err = c.decider(a.Key, s, access.KeepBaseline); err != nil {
			return "", nil, err
		}
	}
	return by, schools, nil
}

// Trusting implements api.Trusts.
func (c *collector) Trusting(ctx context.Context, trust string) ([]posture.SchoolID, error) {
	var schools []posture.SchoolID
	for _, r := range c.all() {
		s := r.present()
		if s == nil {
			continue // what stopped is not known to belong to any
		}
		h, err := s.heldTo(ctx)
		if err != nil {
			return nil, err
		}
		if trust != "" && strings.EqualFold(h.Trust, trustName(trust)) {
			schools = append(schools, s.ID)
		}
	}
	return schools, nil
}

// trusts says where schools stand: those of a trust, one, or all.
func (c *collector) trusts(ctx context.Context, a TrustArguments) (api.Trusted, error) {
	out := api.Trusted{Schools: []api.Held{}}
	if a.School != "" {
		s, err := c.readable(a.School)
		if err != nil {
			return out, err
		}
		held, err := s.held(ctx, c.clock.Now())
		out.Schools = append(out.Schools, held)
		return out, err
	}
	for _, r := range c.all() {
		s := r.present()
		if s == nil {
			out.Schools = append(out.Schools, api.Held{School: r.id, Name: r.name, Looser: []api.Looser{}, Unknown: r.refusal().Error()})
			continue
		}
		held, err := s.held(ctx, c.clock.Now())
		if err != nil {
			return out, err
		}
		if a.Trust == "" || strings.EqualFold(held.Trust, trustName(a.Trust)) {
			held.Source = ""
			out.Schools = append(out.Schools, held)
		}
	}
	return out, nil
}

// DecideTrust implements api.Trusts.
func (c *collector) DecideTrust(ctx context.Context, id posture.SchoolID, d decision.Decision) (api.Held, error) {
	s, err := c.school(string(id))
	if err != nil {
		return api.Held{}, err
	}
	c.publishing.Lock()
	defer c.publishing.Unlock()
	if _, err := c.recordTrust(ctx, s, d); err != nil {
		return api.Held{}, err
	}
	return s.held(ctx, c.clock.Now())
}

// recordTrust records a decision of a trust in the ledger of one of its schools, if
// it can be made now. The caller holds publishing.
func (c *collector) recordTrust(ctx context.Context, s *school, d decision.Decision, beside ...proof.Section) (entry uint64, err error) {
	if err := d.CheckNew(); err != nil {
		return 0, &decision.RefusedError{Why: err.Error()}
	}
	if err := s.policies.catchUp(ctx, s.ledger, func(p *decision.Policies) error { return p.May(d) }); err != nil {
		return 0, err
	}
	section, err := roster.Section(decision.SectionTrust, proof.Kept, d)
	if err != nil {
		return 0, err
	}
	made := roster.Maker{School: s.ID, Intake: intakeName}.Entry(proof.KindDecision, "", d.At, append([]proof.Section{section}, beside...)...)
	at, err := s.append(ctx, made)
	return uint64(at), err
}

// DraftBaseline implements api.Trusts.
func (c *collector) DraftBaseline(ctx context.Context, trust string, b api.NewBaseline, by string, at []posture.SchoolID) (api.BaselineAnswer, error) {
	answer, err := c.draftBaseline(ctx, TrustArguments{Trust: trust, File: "baseline", Source: []byte(b.Source), Reason: b.Reason}, by, at)
	return answer, unsound(err)
}

// PublishBaseline implements api.Trusts.
func (c *collector) PublishBaseline(ctx context.Context, trust string, b api.NewBaseline, by string, at []posture.SchoolID) (api.BaselineAnswer, error) {
	answer, err := c.publishBaseline(ctx, TrustArguments{Trust: trust, File: "baseline", Source: []byte(b.Source), Follow: b.Follow, Reason: b.Reason}, by, at)
	return answer, unsound(err)
}

// baseline is a text that becomes the baseline of a trust.
type baseline struct {
	trust    string
	compiled *policy.Policy
	source   []byte
	follow   bool
	by       string
	reason   string
	at       time.Time
}

func (b baseline) decision(kind decision.Kind, number uint64, drafter string) decision.Decision {
	return decision.Decision{Kind: kind, By: b.by, At: b.at, Reason: b.reason, Trust: &decision.Trust{
		Name: b.trust, Number: number, Digest: sha256.Sum256(b.source), Title: b.compiled.Title, Rules: len(b.compiled.Rules), Drafter: drafter,
	}}
}

// everySchool calls f with each school of a trust. Each is a record of its own:
// what cannot be recorded at one is said, and recorded at the others. Nothing is
// recorded if there is one that is not among those at which whoever decides may:
// it joined since that was asked. The caller holds publishing.
func (c *collector) everySchool(ctx context.Context, a TrustArguments, by string, at []posture.SchoolID, f func(b baseline, s *school) (api.BaselineRecord, error)) (api.BaselineAnswer, error) {
	answer := api.BaselineAnswer{Trust: trustName(a.Trust), Schools: []api.BaselineRecord{}}
	compiled, err := rulebook.Compile(a.File, a.Source)
	if err != nil {
		return answer, err
	}
	schools, err := c.Trusting(ctx, a.Trust)
	if err != nil {
		return answer, err
	}
	if slices.ContainsFunc(schools, func(s posture.SchoolID) bool { return !slices.Contains(at, s) }) {
		return answer, refuse("another school belongs to %s by now: ask again", answer.Trust)
	}
	b := baseline{compiled: compiled, source: a.Source, follow: a.Follow, by: by, reason: a.Reason, at: c.clock.Now()}
	var refused error
	for _, id := range schools {
		done := api.BaselineRecord{School: id}
		s, err := c.school(string(id))
		if err == nil {
			done.Name = s.Name
			if h, e := s.heldTo(ctx); e == nil {
				b.trust, answer.Trust = h.Trust, h.Trust
			}
			done, err = f(b, s)
			done.School, done.Name = id, s.Name
		}
		if err != nil {
			done.Failed, refused = err.Error(), err
		}
		answer.Schools = append(answer.Schools, done)
	}
	if !slices.ContainsFunc(answer.Schools, func(r api.BaselineRecord) bool { return r.Failed == "" }) && refused != nil {
		return answer, refused
	}
	return answer, nil
}

// draftBaseline records a text as the draft of a trust's baseline, at each of its
// schools.
func (c *collector) draftBaseline(ctx context.Context, a TrustArguments, by string, at []posture.SchoolID) (api.BaselineAnswer, error) {
	c.publishing.Lock()
	defer c.publishing.Unlock()
	return c.everySchool(ctx, a, by, at, func(b baseline, s *school) (done api.BaselineRecord, err error) {
		text, err := roster.RawSection(decision.SectionBaseline, proof.Kept, b.source)
		if err != nil {
			return done, err
		}
		done.Entry, err = c.recordTrust(ctx, s, b.decision(decision.DraftBaseline, 0, ""), text)
		return done, err
	})
}

// publishBaseline puts a text in force as the baseline of a trust, at each of its
// schools. Published again it is recorded where it was not.
func (c *collector) publishBaseline(ctx context.Context, a TrustArguments, by string, at []posture.SchoolID) (api.BaselineAnswer, error) {
	c.publishing.Lock()
	defer c.publishing.Unlock()
	number, err := c.nextBaseline(ctx, a)
	if err != nil {
		return api.BaselineAnswer{}, err
	}
	answer, err := c.everySchool(ctx, a, by, at, func(b baseline, s *school) (api.BaselineRecord, error) {
		return c.putBaseline(ctx, s, b, number)
	})
	answer.Number = number
	return answer, err
}

// nextBaseline returns the number of a baseline: the one that it has where it is in
// force, or the next.
func (c *collector) nextBaseline(ctx context.Context, a TrustArguments) (uint64, error) {
	schools, err := c.Trusting(ctx, a.Trust)
	if err != nil {
		return 0, err
	}
	var last, same uint64
	for _, id := range schools {
		s, err := c.readable(string(id))
		if err != nil {
			return 0, err
		}
		h, err := s.heldTo(ctx)
		if err != nil {
			return 0, err
		}
		if b, ok := h.Baseline(); ok {
			last = max(last, b.Number)
			if b.Digest == sha256.Sum256(a.Source) {
				same = max(same, b.Number)
			}
		}
	}
	if same == last && same > 0 {
		return same, nil
	}
	return last + 1, nil
}

// putBaseline puts a baseline in force at one school, and gives it to the school as
// its policy if it follows the trust.
func (c *collector) putBaseline(ctx context.Context, s *school, b baseline, number uint64) (done api.BaselineRecord, err error) {
	before, err := s.held(ctx, b.at)
	if err != nil {
		return done, err
	}
	drafter := ""
	err = s.policies.catchUp(ctx, s.ledger, func(p *decision.Policies) error {
		o := p.Oversight()
		if draft, ok := o.Draft(sha256.Sum256(b.source), b.by); ok && !decision.AtConsole(b.by) {
			drafter = draft.By
		}
		return nil
	})
	if err != nil {
		return done, err
	}
	if before.Baseline == nil || before.Baseline.Number != number || before.Baseline.Digest != sha256.Sum256(b.source) {
		text, err := roster.RawSection(decision.SectionBaseline, proof.Kept, b.source)
		if err != nil {
			return done, err
		}
		if done.Entry, err = c.recordTrust(ctx, s, b.decision(decision.PublishBaseline, number, drafter), text); err != nil {
			return done, err
		}
	}
	follows, err := s.followsTrust(ctx, sha256.Sum256(b.source))
	if err != nil {
		return done, err
	}
	if follows || b.follow && before.Policy == 0 {
		answer, err := c.putInForce(ctx, s, PublishArguments{
			File: "baseline", Source: b.source, Reason: fmt.Sprintf("the school follows baseline %d of %s", number, b.trust),
		}, b.by, cmp.Or(drafter, b.by))
		if err != nil {
			return done, err
		}
		done.Policy = answer.Number
	}
	after, err := s.held(ctx, b.at)
	for _, l := range after.Looser {
		if l.Allowed == nil {
			done.Looser++
		}
	}
	return done, err
}

// followsTrust reports whether the policy in force is a baseline of the trust, and not
// the one of a digest.
func (s *school) followsTrust(ctx context.Context, text proof.Digest) (bool, error) {
	h, err := s.heldTo(ctx)
	if err != nil || len(h.published) == 0 {
		return false, err
	}
	last := h.published[len(h.published)-1]
	return last.Number == s.roster.Policy() && last.Digest != text &&
		slices.ContainsFunc(h.Baselines, func(b decision.Baseline) bool { return b.Digest == last.Digest }), nil
}

// AllowLooser implements api.Trusts.
func (c *collector) AllowLooser(ctx context.Context, id posture.SchoolID, a api.NewAllowance, by string) (api.Held, error) {
	s, err := c.school(string(id))
	if err != nil {
		return api.Held{}, err
	}
	held, err := c.allowLooser(ctx, s, TrustArguments{Draft: a.Draft, Items: a.Items, Until: a.Until, Reason: a.Reason}, by)
	return held, unsound(err)
}

// allowLooser allows that a school's draft, or its policy in force, asks less than
// the baseline in some things, exactly as they stand.
func (c *collector) allowLooser(ctx context.Context, s *school, a TrustArguments, by string) (api.Held, error) {
	own, asker, err := s.asking(ctx, a.Draft)
	if err != nil {
		return api.Held{}, err
	}
	c.publishing.Lock()
	defer c.publishing.Unlock()
	now := c.clock.Now()
	not, already, _, err := s.below(ctx, own, now)
	if err != nil {
		return api.Held{}, err
	}
	h, err := s.heldTo(ctx)
	if err != nil {
		return api.Held{}, err
	}
	var decided []decision.Decision
	for _, item := range a.Items {
		var words []string
		d := decision.Decision{Kind: decision.AllowLooser, By: by, At: now, Reason: a.Reason, Trust: &decision.Trust{
			Name: h.Trust, Item: item, Asker: asker, Until: a.Until.UTC(),
		}}
		for _, l := range append(slices.Clone(not), already...) {
			if l.Item == item {
				d.Trust.Mark, words = l.Mark, append(words, l.Words)
			}
		}
		if len(words) == 0 {
			return api.Held{}, refuse("%.60q asks no less than the baseline does", item)
		}
		d.Trust.Words = strings.Join(words, "; ")
		if err := d.CheckNew(); err != nil {
			return api.Held{}, &decision.RefusedError{Why: err.Error()}
		}
		decided = append(decided, d)
	}
	if len(decided) == 0 {
		return api.Held{}, refuse("say which rules or parameters may ask less")
	}
	for _, d := range decided {
		if _, err := c.recordTrust(ctx, s, d); err != nil {
			return api.Held{}, err
		}
	}
	return s.held(ctx, c.clock.Now())
}

// asking returns the text of a draft, or of the policy in force if none is named,
// and who wrote it.
func (s *school) asking(ctx context.Context, name string) (own rulebook.Text, asker string, err error) {
	if name != "" {
		draft, source, err := s.draft(ctx, name)
		if err != nil {
			return own, "", err
		}
		p, err := rulebook.Compile(name, source)
		return rulebook.Text{File: name, Source: source, Policy: p}, draft.By, err
	}
	current, err := s.policy(ctx, 0)
	if err != nil {
		return own, "", err
	}
	h, err := s.heldTo(ctx)
	for _, p := range h.published {
		if p.Number == current.policy.Number {
			asker = cmp.Or(p.Drafter, p.By)
		}
	}
	return rulebook.Text{File: fmt.Sprintf("policy %d", current.policy.Number), Source: current.source, Policy: current.policy}, asker, err
}
