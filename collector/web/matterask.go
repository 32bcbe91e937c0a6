package web

import (
	"context"
	"errors"
	"strings"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// mostAsked bounds the subjects of which a form offers to ask for one alone.
const mostAsked = 100

// scopeKey names a subject in the form of a matter.
func scopeKey(s posture.Subject) string { return s.Kind + ":" + s.Key }

// scopesOf are what an exemption from a rule on a laptop can be for: all that the
// rule finds on it, or one of the things of which a breach stands.
func scopesOf(standing []breachRow, chosen string) (list []choice) {
	for _, b := range standing {
		if b.Subject.Kind == "device" || len(list) == mostAsked {
			continue
		}
		key := scopeKey(b.Subject)
		list = append(list, choice{key, "This one alone: " + subjectWords(b.Subject), chosen == key})
	}
	if len(list) == 0 {
		return nil
	}
	return append([]choice{{"", "All that this rule finds on this laptop, now and until then", chosen == ""}}, list...)
}

// subjectWords names a subject in words, such as a stick by its make.
func subjectWords(s posture.Subject) string {
	t := newThing(s)
	words := t.Label
	for _, more := range []string{t.Where, t.Hash} {
		if more != "" {
			words = strings.TrimSpace(words + " " + more)
		}
	}
	if words == "" {
		words = s.Kind
	}
	return words
}

// scopeOf is the scope that was chosen among those that a page offers.
func (p matterPage) scopeOf(device posture.DeviceID, chosen string) (breach.Scope, bool) {
	scope := breach.Scope{Rule: p.Rule, Of: breach.OneDevice, Device: device}
	if chosen == "" {
		return scope, true
	}
	for _, b := range p.Standing {
		if b.Subject.Kind != "device" && scopeKey(b.Subject) == chosen {
			scope.Of, scope.Kind, scope.Subject = breach.OneBreach, b.Subject.Kind, b.Subject.Key
			return scope, true
		}
	}
	return scope, false
}

// nameSubjects says of exemptions for one thing what that is called, as far as it
// is known still. Those that are for more are as they were.
func (s *site) nameSubjects(ctx context.Context, v visit, rows []exemptionRow) error {
	devices := map[posture.DeviceID]view.DeviceDetail{}
	for i := range rows {
		scope := rows[i].Scope
		if scope.Of != breach.OneBreach || scope.Subject == "" {
			continue
		}
		d, known := devices[scope.Device]
		if !known {
			var err error
			if d, err = s.Queries.Device(ctx, v.school.ID, scope.Device, v.now); err != nil && !errors.Is(err, view.ErrNotFound) {
				return err
			}
			devices[scope.Device] = d
		}
		rows[i].nameSubject(d)
	}
	return nil
}

func (row *exemptionRow) nameSubject(d view.DeviceDetail) {
	is := func(rule string, s posture.Subject) bool {
		return rule == row.Scope.Rule && s.Kind == row.Scope.Kind && s.Key == row.Scope.Subject && s.Label != ""
	}
	name := func(s posture.Subject) {
		row.Of = strings.TrimSuffix(row.Of, subjectKindWords(row.Scope)) + subjectWords(s) + ", this one alone"
	}
	for _, f := range d.Findings {
		if is(f.Rule, f.Subject) {
			name(f.Subject)
			return
		}
	}
	for _, b := range d.Breaches {
		if is(b.Rule, b.Subject) {
			name(b.Subject)
			return
		}
	}
}
