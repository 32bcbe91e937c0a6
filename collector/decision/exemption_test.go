package decision

import (
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
)

// exemptions are a decision of each kind about one.
func exemptions() []Decision {
	scope := breach.Scope{Rule: "ENC-01", Of: breach.OneDevice, Device: "hb-lt-014"}
	ask := Ask("ex-1", scope, start.Add(30*24*time.Hour), "Morgan Ellis", "a new disk is ordered", start)
	asked := *ask.Exemption
	asked.AskedBy, asked.Reason = ask.By, ask.Reason
	return []Decision{
		ask, Approve(asked, "Priya Anand", "until the end of the month", start.Add(time.Hour)),
		About(RefuseExemption, "ex-1", "Priya Anand", "lend it another", start.Add(time.Hour)),
		About(EndExemption, "ex-1", "Morgan Ellis", "the disk has come", start.Add(2*time.Hour)),
	}
}

func TestWhatAnExemptionLacks(t *testing.T) {
	all := exemptions()
	ask, approve, end := all[0], all[1], all[3]
	for name, c := range map[string]struct {
		of    Decision
		spoil func(d *Decision, e *breach.Exemption)
	}{
		"no exemption":                 {ask, func(d *Decision, _ *breach.Exemption) { d.Exemption = nil }},
		"no identifier":                {ask, func(_ *Decision, e *breach.Exemption) { e.ID = "" }},
		"an identifier of other words": {ask, func(_ *Decision, e *breach.Exemption) { e.ID = "Ex 1" }},
		"no scope":                     {ask, func(_ *Decision, e *breach.Exemption) { e.Scope = breach.Scope{} }},
		"no end":                       {ask, func(_ *Decision, e *breach.Exemption) { e.Until = time.Time{} }},
		"an end that is over":          {ask, func(_ *Decision, e *breach.Exemption) { e.Until = start }},
		"more than a year":             {ask, func(_ *Decision, e *breach.Exemption) { e.Until = start.Add(367 * 24 * time.Hour) }},
		"an ask that approves":         {ask, func(_ *Decision, e *breach.Exemption) { e.Approver = "Priya Anand" }},
		"an ask about a breach":        {ask, func(d *Decision, _ *breach.Exemption) { d.Breach = acknowledge().Breach }},
		"a reason as long as a letter": {ask, func(d *Decision, _ *breach.Exemption) { d.Reason = strings.Repeat("x", mostExemptionReason+1) }},
		"own approver": {approve, func(d *Decision, e *breach.Exemption) {
			d.By, e.Approver = e.AskedBy, e.AskedBy
		}},
		"own approver in other letters": {approve, func(d *Decision, e *breach.Exemption) {
			d.By, e.Approver = "MORGAN ELLIS ", "MORGAN ELLIS "
		}},
		"approved by another":     {approve, func(_ *Decision, e *breach.Exemption) { e.Approver = "Sam Okafor" }},
		"approved at the console": {approve, func(d *Decision, e *breach.Exemption) { d.By, e.Approver = "console:root", "console:root" }},
		"backdated":               {approve, func(d *Decision, e *breach.Exemption) { e.From = d.At.Add(-time.Hour) }},
		"nobody asked":            {approve, func(_ *Decision, e *breach.Exemption) { e.AskedBy = "" }},
		"an end and more":         {end, func(_ *Decision, e *breach.Exemption) { e.Ended = start }},
	} {
		e := *c.of.Exemption
		d := c.of
		d.Exemption = &e
		refuse(t, name, d, func(d *Decision) { c.spoil(d, &e) })
	}
}

func TestIdentifiersAreSuch(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		id := NewExemptionID()
		if !exemptionID.MatchString(id) || seen[id] {
			t.Errorf("%q is no identifier, or was made before", id)
		}
		seen[id] = true
	}
}
