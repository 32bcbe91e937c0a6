package projection

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// permissions are the exemptions that were approved and not taken back, by
// rule. They are a cache of what the view's rows say.
type permissions map[string][]breach.Exemption

// permitted returns the school's permissions.
func (f *folder) permitted(tx *view.Tx) (permissions, error) {
	if f.permissions != nil {
		return f.permissions, nil
	}
	list, err := tx.Permissions()
	if err != nil {
		return nil, err
	}
	made := permissions{}
	for _, e := range list {
		made[e.Scope.Rule] = append(made[e.Scope.Rule], e)
	}
	f.permissions = made
	return made, nil
}

// exempt takes in what a person decided about an exemption. Whoever recorded it
// has looked whether it can be; what was recorded in between may have made it
// void, so that the order of the ledger decides: only what is asked for can be
// approved, by another person than asked, word for word, and once.
func (f *folder) exempt(ctx context.Context, tx *view.Tx, d decision.Decision, r ledger.Record) error {
	was, known, err := tx.Exemption(d.Exemption.ID)
	if err != nil {
		return err
	}
	received := moment(r.Envelope.ReceivedAt)
	row, why := after(was, known, d, view.Act{By: d.By, At: earlier(d.At, received), Reason: d.Reason, Entry: uint64(r.Index)})
	if why != "" {
		f.log.Warn("a decision about an exemption changes nothing", "entry", uint64(r.Index), "kind", d.Kind, "why", why)
		return nil
	}
	if err := tx.PutExemption(row); err != nil {
		return err
	}
	f.permissions = nil
	if d.Kind == decision.Exempt || d.Kind == decision.EndExemption {
		return f.spread(ctx, tx, row.Scope, r)
	}
	return nil
}

// after returns an exemption after a decision about it, or why the decision is
// void. The same entry once more is the same decision.
func after(e view.ExemptionRow, known bool, d decision.Decision, act view.Act) (next view.ExemptionRow, void string) {
	again := func(a view.Act) bool { return a.Done() && a.Entry == act.Entry }
	asked := e.Permission()
	switch {
	case d.Kind == decision.AskExemption && known && !again(e.Asked):
		return e, "there is one of that name already"
	case d.Kind == decision.AskExemption:
		if !known {
			e = view.ExemptionRow{ID: d.Exemption.ID, Scope: d.Exemption.Scope, Until: d.Exemption.Until.UTC(), Asked: act}
		}
		return e, ""
	case !known:
		return e, "nobody asked for it"
	case d.Kind == decision.EndExemption && e.Approved.Done() && (!e.Ended.Done() || again(e.Ended)):
		e.Ended = act
		return e, ""
	case d.Kind == decision.EndExemption:
		return e, "it does not run"
	case again(e.Approved) || again(e.Refused):
		return e, ""
	case e.Answered() || !act.At.Before(e.Until):
		return e, "it does not wait for an answer any more"
	case d.Kind == decision.RefuseExemption:
		e.Refused = act
		return e, ""
	case breach.SamePerson(act.By, e.Asked.By) || decision.AtConsole(act.By):
		return e, "whoever asked, and the console, cannot approve"
	case !sameWords(*d.Exemption, asked):
		return e, "it is not what was asked for"
	}
	e.Approved = act
	if err := e.Permission().Check(); err != nil {
		return view.ExemptionRow{}, err.Error()
	}
	return e, ""
}

// sameWords reports whether what is approved is what was asked for.
func sameWords(approved, asked breach.Exemption) bool {
	return approved.Scope == asked.Scope && approved.Until.Equal(asked.Until) && approved.AskedBy == asked.AskedBy && approved.Reason == asked.Reason
}

// earlier returns a time, or the moment at which the collector heard of it if
// it lies ahead of that.
func earlier(at, heard time.Time) time.Time {
	if at.After(heard) {
		return heard
	}
	return at.UTC()
}

// spread settles the exemptions of every breach that a scope may cover. It may
// take more than one transaction; done again it changes nothing.
func (f *folder) spread(ctx context.Context, tx *view.Tx, scope breach.Scope, r ledger.Record) error {
	devices := []posture.DeviceID{scope.Device}
	if scope.Device == "" {
		var err error
		if devices, err = tx.Followed(scope.Rule); err != nil {
			return err
		}
	}
	for _, id := range devices {
		was, ok, err := tx.Device(id)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		j, err := f.judge(ctx, tx, was, moment(r.Envelope.ReceivedAt), order(r.Index, 0))
		if err != nil {
			return err
		}
		if err := j.excuseRule(scope.Rule); err != nil {
			return err
		}
		if err := j.save(was); err != nil {
			return err
		}
	}
	return nil
}

// excuseStep is the place of exemptions among the events of an entry: after
// what lapsed, and after what was found or decided.
const excuseStep = 2

// excuseRule settles the exemptions of every breach of a rule on the device.
func (j *judgement) excuseRule(id string) error {
	states, err := j.tx.States(j.row.ID, id)
	if err != nil || len(states) == 0 {
		return err
	}
	if rule, ok := j.policy.rules[id]; ok {
		if err := j.lapse(rule); err != nil {
			return err
		}
	}
	for _, s := range states {
		k := breach.Key{Device: j.row.ID, Rule: id, Kind: s.Kind, ID: s.Key}
		if err := j.excuse(k, excuseStep, s.Result == posture.Fail); err != nil {
			return err
		}
		if s.Cased {
			continue
		}
		if err := j.follow(k); err != nil {
			return err
		}
	}
	return j.retally(id)
}

// regroup settles the exemptions of groups, to which the device may belong since
// now, or no more.
func (j *judgement) regroup() error {
	for _, rule := range slices.Sorted(maps.Keys(j.permissions)) {
		if !slices.ContainsFunc(j.permissions[rule], func(e breach.Exemption) bool { return e.Scope.Of == breach.OneGroup }) {
			continue
		}
		if err := j.excuseRule(rule); err != nil {
			return err
		}
	}
	return nil
}

// excuse gives a breach the exemption that covers it, or takes the one away that
// does so no more. Of several it has the one that ends last, so that it is
// exempt for as long as any of them runs. What is resolved needs none, unless it
// fails still, as when it was settled by a decision, or may fail again by the
// passing of time alone.
func (j *judgement) excuse(k breach.Key, step uint64, fails bool) error {
	was, known, err := j.tx.Case(k)
	if err != nil {
		return err
	}
	has := was.Exemption
	bears := fails || was.Number > 0 && was.ResolvedAt.IsZero() || j.lapsing(k)
	if !bears && has.ID == "" {
		return nil
	}
	want, err := j.permission(k)
	if err != nil {
		return err
	}
	e := breach.Event{Order: j.order + step, At: j.received, Received: j.received}
	switch {
	case want.ID != "" && want.ID == has.ID && has.Ended.IsZero():
		return nil
	case want.ID != "" && bears:
		e.What, e.Exemption = breach.Exempted, want
	case want.ID == "" && known && has.ID != "" && has.Ended.IsZero() && j.received.Before(has.Until):
		e.What, e.Exemption = breach.ExemptionEnded, has
	default:
		return nil
	}
	return j.event(k, e)
}

// lapsing reports whether a key is of a breach that can come about by the
// passing of time alone, without an entry that says so.
func (j *judgement) lapsing(k breach.Key) bool {
	rule, ok := j.policy.rules[k.Rule]
	return ok && rule.Lapse() && k.Kind == "device" && k.ID == ""
}

// excusable reports whether an exemption may bear on a rule before it fails.
func (j *judgement) excusable(rule string) bool {
	return len(j.permissions[rule]) > 0 && j.lapsing(breach.Key{Rule: rule, Kind: "device"})
}

// permission returns the exemption that covers a breach and ends last, or none.
func (j *judgement) permission(k breach.Key) (last breach.Exemption, err error) {
	for _, e := range j.permissions[k.Rule] {
		if !j.received.Before(e.Until) {
			continue
		}
		if e.Scope.Of == breach.OneGroup && !j.grouped {
			a, _, err := j.tx.LatestAssignment(j.row.ID)
			if err != nil {
				return last, err
			}
			j.groups, j.grouped = a.Groups, true
		}
		if e.Scope.Covers(k, j.groups) && (last.ID == "" || e.Until.After(last.Until) || e.Until.Equal(last.Until) && e.ID < last.ID) {
			last = e
		}
	}
	return last, nil
}

// retally is tally after what changes no result: what was not proven is not
// proven still.
func (j *judgement) retally(rule string) error {
	was, ok := j.tx.State(j.row.Vector, rule)
	if err := j.tally(rule); err != nil {
		return err
	}
	if ok && was.Unproven() {
		j.tallies[rule].Add(posture.Unknown, time.Time{})
	}
	return nil
}
