package view

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/shared/posture"
)

const (
	mostEvents   = 200    // shown of a device
	mostBreaches = 10_000 // shown of a device
)

func unmarshal(data []byte, into any) error { return json.Unmarshal(data, into) }

func (q *Queries) device(ctx context.Context, school posture.SchoolID, id posture.DeviceID, now time.Time) (DeviceDetail, error) {
	var d DeviceDetail
	var row DeviceRow
	err := q.read(ctx, school, now, func(r *reader) (err error) {
		var ok bool
		if row, ok, err = r.row(id); err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("device %.63s of school %s: %w", id, school, ErrNotFound)
		}
		d, err = r.detail(ctx, row, q.view.facts)
		return err
	})
	return d, err
}

func (r *reader) detail(ctx context.Context, row DeviceRow, source FactSource) (DeviceDetail, error) {
	summary, err := r.summary(row)
	if err != nil {
		return DeviceDetail{}, err
	}
	d := DeviceDetail{
		Device: summary, KeyFingerprint: row.KeyFingerprint, Entry: row.Entry, HeldAt: row.HeldAt, Disagreements: row.Disagreements,
		Findings: []Finding{}, Breaches: []Breach{}, Events: []MediumEvent{}, Gaps: []Gap{},
	}
	told, err := r.assigned(row.ID)
	if err != nil {
		return d, err
	}
	d.Groups = told.Groups
	var reported []posture.Finding
	if source != nil && len(row.Places) > 0 {
		if d.Facts, reported, err = source.Facts(ctx, r.school.ID, row.Places); err != nil {
			return d, fmt.Errorf("read the facts of device %s: %w", row.ID, err)
		}
	}
	followed, err := r.ofDevice(row)
	if err != nil {
		return d, err
	}
	if d.Findings, err = r.findings(row, reported, followed); err != nil {
		return d, err
	}
	past, err := r.rowsOf(text(key(r.school.ID, famPast), string(row.ID)))
	if err != nil {
		return d, err
	}
	for _, b := range append(followed, past...) {
		if b.Number > 0 && len(d.Breaches) < mostBreaches {
			d.Breaches = append(d.Breaches, r.words(b, row))
		}
	}
	slices.SortStableFunc(d.Breaches, func(a, b Breach) int { return b.FirstFailed.Compare(a.FirstFailed) })
	if d.Events, err = r.events(row.ID); err != nil {
		return d, err
	}
	if d.Gaps, err = r.gaps(row.ID); err != nil {
		return d, err
	}
	if d.Quarantine, err = r.quarantine(row.ID); err != nil {
		return d, err
	}
	d.ReplacedBy = row.ReplacedBy
	d.Earlier, err = r.earlier(row)
	return d, err
}

// findings joins what the device and the school found with words, standing and
// since when, in the order of the policy's rules.
func (r *reader) findings(row DeviceRow, reported []posture.Finding, followed []breach.Breach) ([]Finding, error) {
	exempt := map[breach.Key]bool{}
	for _, b := range followed {
		if b.Exemption.Runs(r.now) {
			exempt[b.Key] = true
		}
	}
	since, err := r.since(row.ID)
	if err != nil {
		return nil, err
	}
	order := map[string]int{}
	for i, rule := range r.policy.Rules {
		order[rule.ID] = i + 1
	}
	list := []Finding{}
	for _, f := range append(slices.Clone(reported), row.Own...) {
		k := breach.KeyOf(row.ID, f.Rule, f.Subject)
		list = append(list, r.finding(row, f, exempt[k], since[k]))
	}
	slices.SortStableFunc(list, func(a, b Finding) int {
		x, y := order[a.Rule], order[b.Rule]
		if x == 0 || y == 0 {
			x, y = -x, -y // rules that the policy does not have come last
		}
		return cmp.Or(cmp.Compare(x, y), strings.Compare(a.Rule, b.Rule), strings.Compare(a.Subject.Key, b.Subject.Key))
	})
	return list, nil
}

// Doubt returns a finding that rests on what is damaged in the ledger. It proves
// nothing any more.
func Doubt(f posture.Finding) posture.Finding {
	f.Result, f.Reason = posture.Error, "damaged"
	f.Message = "Not proven: what the device recorded about it is damaged in the ledger."
	return f
}

func (r *reader) finding(row DeviceRow, f posture.Finding, exempt bool, since time.Time) Finding {
	if slices.Contains(row.Unproven, f.Rule) {
		f = Doubt(f)
	}
	if row.Twice != (Twice{}) && f.Result == posture.Pass {
		f.Result, f.Reason, f.Message = posture.Unknown, "twice", row.Twice.Words()
	}
	rule, known := r.policy.Rule(f.Rule)
	if !known {
		rule = Rule{ID: f.Rule, Title: f.Rule}
	}
	if f.FactAt.IsZero() {
		f.FactAt = factAt(row, rule)
	}
	if lapsedAt := row.Vector.lapsesAt(&rule); f.Result == posture.Pass && lapsedAt > 0 && r.nowMs >= lapsedAt {
		f.Result, f.Reason, since = posture.Fail, "not-met", at(lapsedAt)
		f.Message = strings.ReplaceAll(rule.NotMet, "{subject}", cmp.Or(f.Subject.Label, "this device"))
	}
	switch {
	case f.Result == posture.Pass && !known:
		// How old its facts may be is not known any more either.
		f.Result, f.Reason = posture.Unknown, "withdrawn"
		f.Message = "It was met by a policy that is not in force any more. The one that is has no such rule."
	case f.Result == posture.Pass && row.Vector.stale(&r.policy, &rule, r.nowMs):
		f.Result, f.Reason = posture.Unknown, "stale"
		f.Message = "It was met when it was last read, which is too long ago to prove anything now."
	}
	out := Finding{
		Finding: f, Title: rule.Title, Remediation: rule.Remedy(row.Platform), Clauses: rule.Clauses,
		Standing: NotProven, Since: since,
	}
	switch {
	case f.Result == posture.Fail && exempt:
		out.Standing = Exempt
	case f.Result == posture.Fail:
		out.Standing = NotMet
	case f.Result == posture.Pass:
		out.Standing = Met
	case f.Result == posture.NotApplicable:
		out.Standing = NotFor
	}
	return out
}

// factAt returns when the oldest of the facts that a rule reads was read, by
// the device's clock.
func factAt(row DeviceRow, rule Rule) time.Time {
	var oldest time.Time
	for _, p := range row.Places {
		if !p.ReadAt.IsZero() && slices.Contains(rule.Facts, p.Name) && (oldest.IsZero() || p.ReadAt.Before(oldest)) {
			oldest = p.ReadAt
		}
	}
	return oldest
}

// since returns since when each result of a device has been what it is.
func (r *reader) since(id posture.DeviceID) (map[breach.Key]time.Time, error) {
	m := map[breach.Key]time.Time{}
	_, err := r.get(text(key(r.school.ID, famState), string(id)), func(data []byte) error {
		return eachStates(data, func(rule string, states []State) {
			for _, s := range states {
				m[breach.Key{Device: id, Rule: rule, Kind: s.Kind, ID: s.Key}] = s.Since
			}
		})
	})
	return m, err
}

func (r *reader) events(id posture.DeviceID) ([]MediumEvent, error) {
	list := []MediumEvent{}
	err := r.newest(text(key(r.school.ID, famEvent), string(id)), func(data []byte) error {
		var e MediumEvent
		err := unmarshal(data, &e)
		list = append(list, e)
		return err
	})
	return list, err
}

// newest reads the last rows under a prefix, last first.
func (r *reader) newest(prefix []byte, f func(data []byte) error) error {
	it := r.txn.NewIterator(badger.IteratorOptions{Prefix: prefix, Reverse: true, PrefetchValues: true, PrefetchSize: 50})
	defer it.Close()
	n := 0
	for it.Seek(append(bytes.Clone(prefix), 0xff)); it.Valid() && n < mostEvents; it.Next() {
		if err := it.Item().Value(f); err != nil {
			return fmt.Errorf("read row %q: %w", it.Item().Key(), err)
		}
		n++
	}
	return nil
}

func (r *reader) gaps(id posture.DeviceID) ([]Gap, error) {
	list := []Gap{}
	err := r.each(text(key(r.school.ID, famGap), string(id)), nil, true, func(k []byte, item *badger.Item) (bool, error) {
		var g Gap
		err := item.Value(func(data []byte) error { return unmarshal(data, &g) })
		list = append(list, g)
		return len(list) < mostEvents, err
	})
	return list, err
}
