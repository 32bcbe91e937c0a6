package policy

import (
	"fmt"
	"slices"
	"time"

	p "github.com/caretaker-school/caretaker/shared/posture"
)

// cause is one thing that can be wrong with an agent: how it is said, with what to
// do about it, and how it is put among facts of which nothing else is wrong.
type cause struct {
	words string
	alone func(*Agent)
}

// causes are what may be wrong with an agent, the plainest to mend first.
func causes(a Agent) (list []cause) {
	several := func(r p.Reading[int64], one, many, remedy string, put func(*Agent)) {
		if !r.Known() || r.Value <= 0 {
			return
		}
		words := one
		if r.Value > 1 {
			words = fmt.Sprintf(many, r.Value)
		}
		list = append(list, cause{words + " " + remedy, put})
	}
	if off := a.Skew.Value; a.Skew.Known() && off != 0 {
		way := "ahead of"
		if off < 0 {
			way = "behind"
		}
		list = append(list, cause{
			"Its clock is " + roughly(off.Abs()) + " " + way + " the collector's. Set it to the right time.",
			func(x *Agent) { x.Skew = a.Skew },
		})
	}
	several(a.ProbeErrors, "A part of its latest report could not be read, or not in time.", "%d parts of its latest report could not be read, or not in time.",
		"Restart the device, and look again after an hour.", func(x *Agent) { x.ProbeErrors = a.ProbeErrors })
	several(a.Dropped, "A report of it never arrived.", "%d reports of it never arrived.",
		"Leave it on and connected for an hour: it then reports all anew.", func(x *Agent) { x.Dropped = a.Dropped })
	several(a.Disagreements, "It judged a rule otherwise than the collector does from the same facts.", "It judged %d rules otherwise than the collector does from the same facts.",
		"Install the agent again; if that does not mend it, find out whether somebody changed it.", func(x *Agent) { x.Disagreements = a.Disagreements })
	return list
}

// sick says which of the things that are wrong with an agent a rule is not met for,
// and what to do about each: those that are enough alone, or all if it takes
// several. It is "" of a rule that does not look at the agent.
func (r *loadedRule) sick(s *scope) string {
	school := s.context.school
	if school == nil || !slices.Contains(r.Facts, "agent") || school.Agent.Absent != p.None || len(school.Agent.Items) != 1 {
		return ""
	}
	fails := func(a Agent) bool {
		facts := *school
		facts.Agent.Items = []Agent{a}
		c := *s.context
		c.school = &facts
		other := newScope(s.language, &c, s.roots)
		other.name, other.subject = s.name, s.subject
		v := r.require.eval(other)
		return v.known && !v.value
	}
	well := Agent{Skew: p.Read(time.Duration(0)), ProbeErrors: p.Read(int64(0)), Disagreements: p.Read(int64(0)), Dropped: p.Read(int64(0))}
	if fails(well) {
		return "" // for something else
	}
	all, enough := "", ""
	for _, c := range causes(school.Agent.Items[0]) {
		all += " " + c.words
		one := well
		if c.alone(&one); fails(one) {
			enough += " " + c.words
		}
	}
	if enough != "" {
		return enough
	}
	return all
}

// roughly is a span of time in its largest unit.
func roughly(d time.Duration) string {
	unit, name := 24*time.Hour, "day"
	switch {
	case d < 2*time.Minute:
		unit, name = time.Second, "second"
	case d < 2*time.Hour:
		unit, name = time.Minute, "minute"
	case d < 2*24*time.Hour:
		unit, name = time.Hour, "hour"
	}
	if n := int64(d / unit); n != 1 {
		return fmt.Sprintf("%d %ss", n, name)
	}
	return "1 " + name
}
