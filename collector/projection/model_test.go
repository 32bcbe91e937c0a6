package projection

import (
	"time"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// What follows is breach-states.md once more, in as few words as can be: what may
// be shown of four rules, worked out anew from all that was ever recorded whenever
// somebody asks. It knows nothing of rows, counters or memories, and calls nothing
// of what it is to judge.

const (
	modelSilence  = 14 * 24 * time.Hour // a device may not be heard from
	modelFirewall = 24 * time.Hour      // grace of CFG-01; the others have none
	modelFacts    = 7 * 24 * time.Hour  // what a device found proves something
	modelMedia    = 24 * time.Hour      // what it found of media
	modelFlap     = 24 * time.Hour      // failing again within it is the same breach
)

// saying is what a device said about a rule.
type saying int

const (
	nothing saying = iota // there is no such thing on the device
	holds
	fails
	untold // it could not tell
)

// matter is a rule and what it fails on.
type matter struct{ rule, subject string }

var modelRules = []string{"ENC-01", "CFG-01", "USB-01", "LIF-01"}

var modelMatters = map[string]matter{
	"ENC-01": {"ENC-01", "aaaaaaaaaaaa"}, "CFG-01": {"CFG-01", ""}, "USB-01": {"USB-01", serial}, "LIF-01": {"LIF-01", ""},
}

// act is one thing that was recorded.
type act struct {
	what     string
	device   string
	at       time.Time // when it was so, truly
	received time.Time
	class    proof.Class // by which it may be forgotten; proof.Kept: it may not

	saw    map[string]saying // report: by rule
	judged map[string]bool   // report: the rules of the policy that it names
	on     matter            // acknowledge, settle
	id     string            // permit, end
	scope  modelScope        // permit
	until  time.Time         // permit
	groups []string          // assign
}

// modelScope is what an exemption covers: the first that is not empty, or all.
type modelScope struct {
	rule, device, subject, group string
	one                          bool // only that subject
}

// chronicle is all that was recorded of a school and is not forgotten.
type chronicle []act

// forgotten returns what is left when a class was forgotten up to a month.
func (c chronicle) forgotten(class proof.Class, last ledger.Month) chronicle {
	var left chronicle
	for _, a := range c {
		y, m, _ := a.received.UTC().Date()
		old := y < last.Year || y == last.Year && m <= last.Month
		if a.class != class || !old {
			left = append(left, a)
		}
	}
	return left
}

// stretch is a breach: from its first failure until it was mended.
type stretch struct {
	first, last, mended time.Time // mended is zero while it stands
	settled             bool      // a person said so, and the device did not
	acknowledged        bool
}

func (s stretch) stands() bool { return s.mended.IsZero() }

// known is what the chronicle tells of a device.
type known struct {
	heard    time.Time // by the collector's clock
	reported bool
	saw      map[string]saying
	readAt   time.Time
	judged   map[string]bool
	groups   []string
	breaches map[matter][]stretch
	inForce  map[string]bool // the rules of the school's policy; nil: all
}

// tell returns what is known of every device, and the exemptions that were given.
func (c chronicle) tell() (map[string]*known, []act) {
	devices, permits := map[string]*known{}, []act{}
	var inForce map[string]bool
	for _, a := range c {
		d := devices[a.device]
		switch a.what {
		case "enrol":
			devices[a.device] = &known{heard: a.received, breaches: map[matter][]stretch{}}
		case "assign":
			d.groups = a.groups
		case "report":
			d.hear(a.received)
			d.report(a)
		case "contact":
			d.hear(a.received)
			d.contact(a)
		case "acknowledge":
			d.silent(a.received)
			if s := d.last(a.on); s != nil && s.stands() {
				s.acknowledged = true
			}
		case "settle":
			d.mend(a.on, a.at, true)
		case "publish":
			inForce = a.judged
		case "permit":
			permits = append(permits, a)
		case "end":
			for i := range permits {
				if permits[i].id == a.id && permits[i].until.After(a.at) {
					permits[i].until = a.at
				}
			}
		}
	}
	for _, d := range devices {
		d.inForce = inForce
	}
	return devices, permits
}

// hear takes in that a device was heard: a silence that was too long is over.
func (d *known) hear(received time.Time) {
	d.silent(received)
	d.heard = received
	d.mend(modelMatters["LIF-01"], received, false)
}

// silent takes in that a device has been silent for too long by a moment, if it has.
func (d *known) silent(now time.Time) {
	if now.After(d.heard.Add(modelSilence)) {
		d.fail(modelMatters["LIF-01"], d.heard.Add(modelSilence))
	}
}

func (d *known) report(a act) {
	for rule, was := range d.judged {
		if was && !a.judged[rule] {
			for t := range d.breaches {
				if t.rule == rule {
					d.mend(t, a.at, false)
				}
			}
		}
	}
	d.reported, d.saw, d.readAt, d.judged = true, map[string]saying{}, a.at, a.judged
	for rule, v := range a.saw {
		if !a.judged[rule] {
			continue
		}
		d.saw[rule] = v
		switch v {
		case fails:
			d.fail(modelMatters[rule], a.at)
		case holds:
			d.mend(modelMatters[rule], a.at, false)
		}
	}
}

// contact takes in that nothing has changed: what was settled and fails still does
// so again.
func (d *known) contact(a act) {
	if !d.reported {
		return
	}
	d.readAt = a.at
	for rule, v := range d.saw {
		if s := d.last(modelMatters[rule]); v == fails && s != nil && s.settled {
			d.fail(modelMatters[rule], a.at)
		}
	}
}

func (d *known) last(t matter) *stretch {
	if n := len(d.breaches[t]); n > 0 {
		return &d.breaches[t][n-1]
	}
	return nil
}

func (d *known) fail(t matter, at time.Time) {
	s := d.last(t)
	if s == nil || !s.stands() && at.Sub(s.mended) > modelFlap {
		d.breaches[t] = append(d.breaches[t], stretch{first: at, last: at})
		return
	}
	s.mended, s.settled = time.Time{}, false
	if at.After(s.last) {
		s.last = at
	}
}

func (d *known) mend(t matter, at time.Time, settled bool) {
	s := d.last(t)
	if s == nil || !s.stands() {
		return
	}
	if s.mended = at; at.Before(s.last) {
		s.mended = s.last
	}
	s.settled = settled
}

// covers reports whether an exemption covers a matter of a device.
func (s modelScope) covers(device string, d *known, t matter) bool {
	switch {
	case s.rule != t.rule:
		return false
	case s.device != "":
		return s.device == device && (!s.one || s.subject == t.subject)
	case s.group != "":
		for _, g := range d.groups {
			if g == s.group {
				return true
			}
		}
		return false
	}
	return true
}

func permitted(permits []act, device string, d *known, t matter, now time.Time) bool {
	for _, p := range permits {
		if p.scope.covers(device, d, t) && !now.Before(p.at) && now.Before(p.until) {
			return true
		}
	}
	return false
}

// status returns how a breach shows.
func (s stretch) status(t matter, permitted bool, now time.Time) string {
	grace := time.Duration(0)
	if t.rule == "CFG-01" {
		grace = modelFirewall
	}
	switch {
	case !s.stands():
		return "resolved"
	case permitted:
		return "exempt"
	case now.Before(s.first.Add(grace)):
		return "pending"
	case s.acknowledged:
		return "acknowledged"
	}
	return "open"
}

// standing returns how the rule shows for the device; "" if nothing is found.
func (d *known) standing(rule string, permitted bool, now time.Time) string {
	v, age := d.saw[rule], modelFacts
	switch rule {
	case "LIF-01":
		v = holds
		if now.After(d.heard.Add(modelSilence)) {
			v = fails
		}
	case "USB-01":
		age = modelMedia
	}
	switch {
	case v == nothing:
		return ""
	case v == fails && permitted:
		return "Exempt"
	case v == fails:
		return "Not met"
	case v == untold, d.inForce != nil && !d.inForce[rule], now.After(d.heard.Add(modelSilence)), rule != "LIF-01" && now.After(d.readAt.Add(age)):
		return "Not proven"
	}
	return "Met"
}
