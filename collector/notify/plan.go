package notify

import (
	"maps"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/shared/posture"
)

const (
	// settle is for how long what cannot wait is gathered, so that two dozen
	// laptops that are switched on together are one line.
	settle = 10 * time.Minute
	// awake is for how long after the digest people are told at once of what is
	// grave but exposes nothing. What becomes so in the night, or stood through
	// a holiday, is in the next digest.
	awake = 12 * time.Hour
	// waking is for how long a school has to be open before anybody is told of
	// what fell silent while it was closed.
	waking = 24 * time.Hour
	// patience is for how long a digest waits for a school of which what is
	// shown is not complete, such as while its view is made again.
	patience = time.Hour
	// mostItems bounds how many breaches one notice tells. The rest is told by
	// the next.
	mostItems = 20_000
)

// look is what was seen of one school at one moment: every breach that stands
// and may have to be told to somebody.
type look struct {
	school posture.SchoolID
	name   string
	rules  map[string]rule
	items  []item
	ready  bool // all of it was seen
	quiet  bool // people are left alone with what is not urgent
	still  bool // and with what is
	given  *Given
}

// planned is a notice that is due.
type planned struct {
	notice Notice
	items  []item
	causes []string // that are told at once
}

// plan works out what a channel is told now. It changes nothing but first: since
// when something that cannot wait has been gathered.
func (t *Teller) plan(c Channel, s *state, looks []look, first *time.Time, now time.Time) (p planned, digest bool) {
	due := t.boundary(now)
	digest = due.After(s.since(c))
	var all, hasty []item
	var hastyCauses []string
	ready := true
	for _, l := range looks {
		if !c.covers(l.school) {
			continue
		}
		ready = ready && l.ready
		for _, it := range l.items {
			if !wanted(c, s, l, it) {
				continue
			}
			pressing := urgent(l.rules[it.breach.Rule], it.breach)
			if c.Kind != Syslog && !it.what.pressing() && (pressing && l.still || !pressing && l.quiet || it.sleeps) {
				continue
			}
			all = append(all, it)
			cause := string(l.school) + "/" + it.breach.Rule + "/" + string(whatOf(it, s.marks))
			soon := atOnce(l.rules[it.breach.Rule], it.breach) && (pressing || now.Sub(due) < awake)
			if c.Kind == Syslog || soon && now.Sub(s.causes[cause]) >= it.what.rests() {
				hasty, hastyCauses = append(hasty, it), append(hastyCauses, cause)
			}
		}
	}
	switch {
	case len(hasty) == 0:
		*first = time.Time{}
	case first.IsZero():
		*first = now
	}
	if digest && !ready && now.Sub(due) < patience {
		digest = false
	}
	digest = digest && c.Kind != Syslog
	chosen := all
	if !digest {
		chosen = nil
		if !first.IsZero() && now.Sub(*first) >= settle {
			chosen = hasty
		}
	}
	chosen = chosen[:min(len(chosen), mostItems)]
	var notes []Given
	if digest {
		notes = given(c, s, looks, len(chosen) > 0, due)
	}
	if len(chosen) == 0 && len(notes) == 0 {
		return p, digest
	}
	p.items = chosen
	if len(hasty) > 0 {
		slices.Sort(hastyCauses)
		p.causes = slices.Compact(hastyCauses)
	}
	p.notice = Notice{At: now, Digest: digest, Pages: t.settings.Pages, Parts: parts(looks, chosen, s.marks), Checkpoints: notes}
	if c.Role == access.Governor {
		p.notice.withoutCounts()
	}
	for _, part := range p.notice.Parts {
		for _, cause := range part.Causes {
			p.notice.Laptops = max(p.notice.Laptops, cause.Laptops)
		}
	}
	return p, digest
}

// wanted reports whether a channel is to be told of a breach that stands.
func wanted(c Channel, s *state, l look, it item) bool {
	if s.known(it.key, it.severity) {
		return false
	}
	what := whatOf(it, s.marks)
	if what == Opened && !it.breach.AcknowledgedAt.IsZero() {
		return false // somebody is on it
	}
	return told[c.Role](what, l.rules[it.breach.Rule], it.breach)
}

// parts groups what is told by school and cause.
func parts(looks []look, chosen []item, known map[key]mark) []Part {
	bySchool := map[posture.SchoolID][]item{}
	in := map[key]posture.SchoolID{}
	for _, l := range looks {
		for _, it := range l.items {
			in[it.key] = l.school
		}
	}
	for _, it := range chosen {
		bySchool[in[it.key]] = append(bySchool[in[it.key]], it)
	}
	list := []Part{}
	for _, id := range slices.Sorted(maps.Keys(bySchool)) {
		i := slices.IndexFunc(looks, func(l look) bool { return l.school == id })
		list = append(list, Part{School: id, Name: looks[i].name, Causes: causes(bySchool[id], known, looks[i].rules)})
	}
	return list
}

// boundary is the last moment, now or before, at which a digest was due.
func (t *Teller) boundary(now time.Time) time.Time {
	hour, minute, err := digestAt(t.settings.Digest)
	if err != nil {
		hour, minute, _ = digestAt(defaultDigest) // it was checked when it was set
	}
	local := now.In(t.zone)
	at := time.Date(local.Year(), local.Month(), local.Day(), hour, minute, 0, 0, t.zone)
	if at.After(now) {
		at = time.Date(local.Year(), local.Month(), local.Day()-1, hour, minute, 0, 0, t.zone)
	}
	return at
}
