package projection

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/calendar"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// judgement is what one statement or decision does to one device.
type judgement struct {
	tx       *view.Tx
	row      view.DeviceRow
	asset    *register.Asset // what the school keeps about the device, once it was read
	policy   *prepared       // the school's
	received time.Time
	order    uint64
	tallies  map[string]*view.Tally
	gone     []string  // rules that judge the device no more
	named    *prepared // the policy by which the device was judged, while its findings are taken in

	permissions permissions // the school's
	groups      []string    // to which the device belongs, once grouped
	grouped     bool
}

func (f *folder) judge(ctx context.Context, tx *view.Tx, row view.DeviceRow, received time.Time, order uint64) (*judgement, error) {
	current, err := f.current(ctx, tx)
	if err != nil {
		return nil, err
	}
	permitted, err := f.permitted(tx)
	if err != nil {
		return nil, err
	}
	return &judgement{
		tx: tx, row: row, policy: current, received: received, order: order, tallies: map[string]*view.Tally{}, permissions: permitted,
	}, nil
}

// save writes the device's row.
func (j *judgement) save(was view.DeviceRow) error {
	v := j.tx.Forget(j.row.Vector, j.gone)
	j.row.Vector = j.tx.Vector(v, j.tallies).Ended(j.received)
	return j.tx.PutDevice(was, j.row)
}

// event takes an event into the breach of a key, if there is or should be one.
func (j *judgement) event(k breach.Key, e breach.Event) error {
	was, ok, err := j.tx.Case(k)
	if err != nil || (!ok && e.What != breach.Failed && e.What != breach.Exempted) {
		return err
	}
	if e.What == breach.Failed && e.Terms.Waits {
		if e.Online, err = j.tx.OnlineAt(j.row, was.Began(e)); err != nil {
			return err
		}
	}
	next, closed := was.Next(e)
	next = next.Heard(j.row.Online, j.row.LastContact)
	j.row.Awaits(next)
	if ok && next == was {
		return nil
	}
	return j.tx.PutCase(was, next, closed)
}

// lapse takes in that a rule failed because nothing was heard for too long,
// if it did before this moment.
func (j *judgement) lapse(rule *view.Rule) error {
	state, ok := j.tx.State(j.row.Vector, rule.ID)
	if !ok {
		return nil
	}
	when := j.row.Vector.LapsesAt(state, rule, j.tx.Terms())
	if when.IsZero() || when.After(j.received) {
		return nil
	}
	e := j.row.Vector.Lapsed(rule, when)
	e.Order = j.order
	k := breach.Key{Device: j.row.ID, Rule: rule.ID, Kind: "device"}
	if err := j.event(k, e); err != nil {
		return err
	}
	return j.follow(k)
}

// lapseAll is lapse for every rule that fails by the passing of time: it did so
// when it did, not when somebody looks.
func (j *judgement) lapseAll() error {
	for _, rule := range j.policy.lapses {
		if err := j.lapse(rule); err != nil {
			return err
		}
	}
	return nil
}

// follow marks on the subject of a key that a breach is followed there, if one
// is: also one that has only been exempted yet, so that the exemption counts
// when the subject fails by silence alone.
func (j *judgement) follow(k breach.Key) error {
	if _, ok, err := j.tx.Case(k); err != nil || !ok {
		return err
	}
	states, err := j.tx.States(j.row.ID, k.Rule)
	if err != nil {
		return err
	}
	for i, s := range states {
		if s.Kind == k.Kind && s.Key == k.ID {
			states[i].Cased = true
		}
	}
	return j.tx.PutStates(j.row.ID, k.Rule, states)
}

// apply takes the findings of one rule into states, breaches and tally. whole
// says that a subject which is not among the findings is not on the device; at
// is when they were made, step their place among the events of this entry.
func (j *judgement) apply(id string, findings []posture.Finding, whole bool, at time.Time, step uint64) error {
	before, err := j.tx.States(j.row.ID, id)
	if err != nil {
		return err
	}
	excusable := j.excusable(id)
	if unchanged(before, findings) && !excusable {
		return j.tally(id)
	}
	prior := make(map[breach.Key]view.State, len(before))
	for _, s := range before {
		prior[breach.Key{Kind: s.Kind, ID: s.Key}] = s
	}
	after := make([]view.State, 0, len(findings))
	seen := make(map[breach.Key]bool, len(findings))
	for _, f := range findings {
		k := breach.Key{Kind: f.Subject.Kind, ID: f.Subject.Key}
		if seen[k] {
			continue
		}
		seen[k] = true
		was, known := prior[k]
		s := view.State{Kind: k.Kind, Key: k.ID, Result: f.Result, Since: at, Cased: was.Cased}
		if known && was.Result == f.Result {
			s.Since = was.Since
		}
		if f.Result == posture.Fail || !known || was.Cased || excusable {
			if s.Cased, err = j.finding(f, at, step); err != nil {
				return err
			}
		}
		after = append(after, s)
		proves := f.Result == posture.Pass || f.Result == posture.NotApplicable || (f.Result == posture.Fail && f.Subject.Key != "")
		whole = whole && proves
	}
	for _, s := range before {
		k := breach.Key{Kind: s.Kind, ID: s.Key}
		if seen[k] || !s.Cased {
			continue
		}
		stands, err := j.vanished(id, s, whole, at, step)
		if err != nil {
			return err
		}
		if stands {
			// It is remembered as something of which nothing is known, so that
			// its breach is met again when it comes back.
			s.Result = posture.Unknown
			s.Gone = true
			after = append(after, s)
		}
	}
	slices.SortFunc(after, view.CompareStates)
	if !slices.Equal(before, after) {
		if err := j.tx.PutStates(j.row.ID, id, after); err != nil {
			return err
		}
	}
	return j.tally(id)
}

// unchanged reports whether a rule finds about one subject what it found before,
// and no breach is or could be touched: most rules, most of the time.
func unchanged(before []view.State, findings []posture.Finding) bool {
	if len(before) != 1 || len(findings) != 1 {
		return false
	}
	s, f := before[0], findings[0]
	return s.Kind == f.Subject.Kind && s.Key == f.Subject.Key && s.Result == f.Result && f.Result != posture.Fail && !s.Cased && !s.Gone
}

// finding takes one finding into the breach of its key, and reports whether
// there is one.
func (j *judgement) finding(f posture.Finding, at time.Time, step uint64) (bool, error) {
	k := breach.KeyOf(j.row.ID, f.Rule, f.Subject)
	e := breach.Event{Order: j.order + step, At: at, Received: j.received}
	switch {
	case f.Result == posture.Fail:
		e.What = breach.Failed
		e.Terms = breach.Terms{Severity: f.Severity, Grace: f.Grace, Label: f.Subject.Label, Message: f.Message}
		if rule, ok := j.policy.rules[f.Rule]; ok {
			e.Terms.Escalate = rule.Escalate
		}
		if rule, ok := cmp.Or(j.named, j.policy).rules[f.Rule]; ok {
			e.Terms.Pauses, e.Terms.Waits = rule.Pauses, rule.Waits && f.Grace > 0
		}
	case f.Result == posture.Pass:
		e.What = breach.Met
	case f.Result == posture.NotApplicable && (f.Subject.Kind == "device" || breach.Leaves(f.Subject.Kind)):
		e.What = breach.Vanished
	}
	if err := j.event(k, e); err != nil {
		return false, err
	}
	if err := j.excuse(k, step+1, f.Result == posture.Fail); err != nil {
		return false, err
	}
	if e.What == breach.Failed {
		return true, nil
	}
	_, ok, err := j.tx.Case(k)
	return ok, err
}

// vanished takes in that a subject is not among the findings any more, and
// reports whether its breach stands.
func (j *judgement) vanished(rule string, s view.State, whole bool, at time.Time, step uint64) (stands bool, err error) {
	k := breach.Key{Device: j.row.ID, Rule: rule, Kind: s.Kind, ID: s.Key}
	if whole && (breach.Leaves(s.Kind) || s.Key == "") {
		e := breach.Event{What: breach.Vanished, Order: j.order + step, At: at, Received: j.received}
		if err := j.event(k, e); err != nil {
			return false, err
		}
	}
	b, ok, err := j.tx.Case(k)
	return ok && (b.ResolvedAt.IsZero() || b.Exemption.Runs(j.received)), err
}

// withdraw takes in that a rule judges the device no more.
func (j *judgement) withdraw(id string, at time.Time) error {
	states, err := j.tx.States(j.row.ID, id)
	if err != nil {
		return err
	}
	for _, s := range states {
		k := breach.Key{Device: j.row.ID, Rule: id, Kind: s.Kind, ID: s.Key}
		e := breach.Event{What: breach.RuleWithdrawn, Order: j.order, At: at, Received: j.received}
		if err := j.event(k, e); err != nil {
			return err
		}
	}
	j.gone = append(j.gone, id)
	return j.tx.PutStates(j.row.ID, id, nil)
}

// tally sums up where the device stands on a rule.
func (j *judgement) tally(id string) error {
	states, err := j.tx.States(j.row.ID, id)
	if err != nil {
		return err
	}
	rule := j.policy.rules[id]
	t := &view.Tally{}
	for _, s := range states {
		var until time.Time
		if s.Cased {
			b, _, err := j.tx.Case(breach.Key{Device: j.row.ID, Rule: id, Kind: s.Kind, ID: s.Key})
			if err != nil {
				return err
			}
			t.Followed(!b.ResolvedAt.IsZero() && !b.ResolvedAt.After(j.row.LastContact) && !j.received.Before(b.Exemption.Ends()))
			if b.Exemption.Runs(j.received) {
				until = b.Exemption.Ends()
			}
		}
		switch {
		case s.Gone:
		case s.Result == posture.Pass && rule != nil && rule.Lapse():
			t.Lapses(until)
		default:
			t.Add(s.Result, until)
		}
	}
	j.tallies[id] = t
	return nil
}

// school judges the rules of the school's side.
func (j *judgement) school(a policy.Assignment) error {
	facts, err := j.kept()
	if err != nil {
		return err
	}
	findings := j.policy.loaded.EvaluateSchool(a, schoolFacts(j.row, facts, j.tx.Terms(), j.received), j.received)
	j.row.Own, j.row.SchoolPolicy = findings, j.policy.words.Number
	for _, group := range byRule(findings) {
		if err := j.apply(group[0].Rule, group, true, j.received, 1); err != nil {
			return err
		}
	}
	return nil
}

// schoolFacts are what the collector knows about a device, beside what the
// school keeps about it, by what is known of the school's days. What nobody
// keeps stays not asked.
func schoolFacts(row view.DeviceRow, kept policy.SchoolFacts, days *calendar.Calendar, now time.Time) policy.SchoolFacts {
	coverage := policy.Coverage{EncryptionProven: posture.Read(row.Proven), EncryptionAt: posture.Unread[time.Time](posture.NotAsked)}
	if at := row.EncryptionAt(); !at.IsZero() {
		coverage.EncryptionAt = posture.Read(at)
	}
	agent := policy.Agent{
		Skew:          row.Clock.Measured(),
		ProbeErrors:   posture.Read(int64(row.ProbeErrors)),
		Disagreements: posture.Read(int64(len(row.Disagreements))),
		Dropped:       posture.Read(int64(row.Dropped)),
	}
	kept.Contact = answer(now, policy.Contact{LastAt: row.LastContact, Silence: posture.Read(days.BetweenInTerm(row.LastContact, now))})
	if row.LastReport == 0 {
		// It has said nothing yet, which is neither good nor bad; if it stays
		// silent, the rule about contact says so.
		return kept
	}
	kept.System = answer(row.ObservedAt, posture.System{
		Hostname: row.Hostname, Platform: row.Platform, Chassis: chassis(row.Chassis),
	})
	kept.Coverage, kept.Agent = answer(now, coverage), answer(now, agent)
	return kept
}

func chassis(c string) posture.Reading[posture.Chassis] {
	if c == "" {
		return posture.Unread[posture.Chassis](posture.NotAsked)
	}
	return posture.Read(posture.Chassis(c))
}

// failsStill takes in that a subject fails as it did before.
func (j *judgement) failsStill(rule string, s view.State) error {
	k := breach.Key{Device: j.row.ID, Rule: rule, Kind: s.Kind, ID: s.Key}
	b, ok, err := j.tx.Case(k)
	if err != nil || !ok {
		return err
	}
	err = j.event(k, breach.Event{
		What: breach.Failed, Order: j.order + 1, At: later(j.row.HeldAt, b.LastFailed), Received: j.received, Terms: b.Terms,
	})
	if err != nil {
		return err
	}
	return j.excuse(k, excuseStep, true)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
