package view

import (
	"encoding/binary"
	"slices"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// gist is what the row of a list says of its breach: enough to pass over most that
// are not asked for without reading them. It never rules out what may be meant.
type gist struct {
	severity, escalated posture.Severity
	exempted, seen      bool   // an exemption may run; somebody is on it
	escalates           uint64 // when the severity rises; 0: never
	graceEnds           uint64 // 0 if that depends on more than the breach
}

const (
	gistExempted = 1 << iota
	gistSeen
)

func gistOf(b breach.Breach) []byte {
	t := b.Terms
	g := []byte{byte(t.Severity), byte(t.Escalate.Severity), 0}
	if b.Exemption.ID != "" {
		g[2] |= gistExempted
	}
	if !b.AcknowledgedAt.IsZero() {
		g[2] |= gistSeen
	}
	escalates, graceEnds := uint64(0), uint64(0)
	if t.Escalate.After > 0 && t.Escalate.Severity > t.Severity {
		escalates = ms(b.FirstFailed.Add(t.Escalate.After))
	}
	if !t.Pauses && !t.Waits {
		graceEnds = ms(b.FirstFailed.Add(t.Grace))
	}
	return binary.AppendUvarint(binary.AppendUvarint(g, escalates), graceEnds)
}

// parseGist reads what gistOf wrote; ok is false if it is something else.
func parseGist(data []byte) (g gist, ok bool) {
	if len(data) < 3 {
		return g, false
	}
	g = gist{severity: posture.Severity(data[0]), escalated: posture.Severity(data[1]), exempted: data[2]&gistExempted != 0, seen: data[2]&gistSeen != 0}
	var n, used int
	if g.escalates, n = binary.Uvarint(data[3:]); n <= 0 {
		return g, false
	}
	if g.graceEnds, used = binary.Uvarint(data[3+n:]); used <= 0 {
		return g, false
	}
	return g, true
}

// mayBeMeant reports whether a breach that is resolved, or is not, may be what was
// asked for. Times are exact to a millisecond, at which it may be either.
func (p *pager) mayBeMeant(g gist, resolved bool) bool {
	if len(p.query.Severities) > 0 {
		before := resolved || g.escalates == 0 || p.r.nowMs <= g.escalates+1
		after := g.escalates > 0 && (resolved || p.r.nowMs+1 >= g.escalates)
		if !(before && slices.Contains(p.query.Severities, g.severity)) && !(after && slices.Contains(p.query.Severities, g.escalated)) {
			return false
		}
	}
	if resolved {
		return p.wants(breach.Resolved)
	}
	open := breach.Open
	if g.seen {
		open = breach.Acknowledged
	}
	return g.exempted && p.wants(breach.Exempt) ||
		(g.graceEnds == 0 || p.r.nowMs <= g.graceEnds+1) && p.wants(breach.Pending) ||
		(g.graceEnds == 0 || p.r.nowMs+1 >= g.graceEnds) && p.wants(open)
}
