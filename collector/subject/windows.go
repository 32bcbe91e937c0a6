package subject

import (
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Tie says that an asset was an enrolled device for a time.
type Tie struct {
	Device   posture.DeviceID
	From, To time.Time // To is zero while it is
}

// Owned says of which class a device was from a moment on.
type Owned struct {
	From  time.Time
	Class posture.Ownership
}

// Window is a time in which a device was one person's alone, as far as the
// register knows: what it said of itself then is about them.
type Window struct {
	Tag      string
	Device   posture.DeviceID
	From, To time.Time
}

// has reports whether a moment lies in the window.
func (w Window) has(t time.Time) bool { return !t.Before(w.From) && t.Before(w.To) }

// span is a time from a moment on and before another.
type span struct{ from, to time.Time }

func (s span) empty() bool { return !s.from.Before(s.to) }

func (s span) and(o span) span {
	if o.from.After(s.from) {
		s.from = o.from
	}
	if o.to.Before(s.to) {
		s.to = o.to
	}
	return s
}

// without returns what is left of spans outside another.
func without(list []span, o span) (left []span) {
	if o.empty() {
		return list
	}
	for _, s := range list {
		if s.and(o).empty() {
			left = append(left, s)
			continue
		}
		for _, part := range []span{{s.from, o.from}, {o.to, s.to}} {
			if part = part.and(s); !part.empty() {
				left = append(left, part)
			}
		}
	}
	return left
}

// until is the end of something that may still go on at a moment.
func until(end, now time.Time) time.Time {
	if end.IsZero() || end.After(now) {
		return now
	}
	return end
}

// person is whose sheet it is: every name that they go by.
type person struct{ people, accounts []string }

func (p person) named(name string) bool {
	return name != "" && slices.ContainsFunc(p.people, func(n string) bool { return register.Key(n) == register.Key(name) })
}

func (p person) account(name string) bool {
	return name != "" && slices.ContainsFunc(p.accounts, func(n string) bool { return register.Key(n) == register.Key(name) })
}

// held lists every time that anybody had an asset.
func held(a register.Asset) []register.Held {
	list := slices.Clone(a.Past)
	if a.Held != nil {
		list = append(list, *a.Held)
	}
	return list
}

// Windows lists when devices were this person's alone: while they had the asset
// and nobody else did, while it was that device, and while that was nobody's to
// share. What is left of the times in which they had an asset and it was not
// theirs alone is not about them.
func (s Sources) Windows() (list []Window) {
	who := person{s.People, s.Accounts}
	for _, a := range s.Assets {
		all := held(a)
		for i, h := range all {
			if !who.named(h.Person) {
				continue
			}
			theirs := []span{{h.From, until(h.Back, s.At)}}
			for j, other := range all {
				if i != j && !who.named(other.Person) {
					theirs = without(theirs, span{other.From, until(other.Back, s.At)})
				}
			}
			for _, t := range s.Ties[register.Key(a.Tag)] {
				for _, part := range theirs {
					part = part.and(span{t.From, until(t.To, s.At)})
					for _, alone := range s.alone(t.Device, part) {
						list = append(list, Window{a.Tag, t.Device, alone.from, alone.to})
					}
				}
			}
		}
	}
	slices.SortFunc(list, func(a, b Window) int {
		return order(a.From.Compare(b.From), compare(a.Tag, b.Tag), compare(string(a.Device), string(b.Device)))
	})
	return slices.Compact(list)
}

// alone returns the parts of a span in which a device was of a class that has one
// user. A class that is not known is none.
func (s Sources) alone(id posture.DeviceID, of span) (parts []span) {
	classes := s.Owned[id]
	for i, o := range classes {
		to := of.to
		if i+1 < len(classes) {
			to = classes[i+1].From
		}
		part := of.and(span{o.From, to})
		if !part.empty() && (o.Class == posture.SchoolSingleUser || o.Class == posture.Authorised) {
			parts = append(parts, part)
		}
	}
	return parts
}
