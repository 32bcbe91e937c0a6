package view

import (
	"bytes"
	"cmp"
	"container/heap"
	"fmt"
	"slices"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// search finds the devices that a question selects, by hostname. It looks at the
// first by name, which is quick where many are selected; what is left of the page
// it takes from the index, which is quick where few are.
type search struct {
	r     *reader
	query DeviceQuery
	want  string // in lower case
	limit int
	look  int // devices by name before it asks the index
	ids   []posture.DeviceID
	next  string

	examined int
	v        Vector                    // of the device that is looked at
	slots    []int                     // of the rules that are asked about; -1 for one that nothing was judged by
	moved    map[posture.DeviceID]bool // devices that stand otherwise than the index says, for their age
	many     bool                      // so many do that any may
}

// How many devices a search looks at by name before it asks the index, unless the
// view was told otherwise; how many that may be meant the index gives at once; and
// how many that aged are kept in mind.
const (
	usualLook   = 4096
	mostOffered = 4096
	mostMoved   = 8192
)

func (s *search) run(after []byte) error {
	look := s.look
	if !s.asks() || s.query.Older && s.query.Standing == "" {
		look = mostExamined // there is nothing to choose by, or nothing that the index holds
	}
	after, more, err := s.byName(after, look)
	if err != nil || !more {
		return err
	}
	if look == mostExamined {
		s.next = cursor(after)
		return nil
	}
	return s.byIndex(after)
}

// asks reports whether the question selects by anything that the index holds.
func (s *search) asks() bool { return s.want != "" || s.query.Standing != "" || s.query.Silent }

// byName looks at devices in the order of their names until the page is full; more
// says that there are others after the last it looked at.
func (s *search) byName(after []byte, most int) (last []byte, more bool, err error) {
	values := s.asks() || s.query.Older
	last = after
	err = s.r.each(key(s.r.school.ID, famName), after, values, func(k []byte, item *badger.Item) (bool, error) {
		if s.examined++; s.examined > most {
			more = true
			return false, nil
		}
		host, rest, ok := part(k)
		id, _, ok2 := part(rest)
		if !ok || !ok2 {
			return true, nil
		}
		fits := true
		if values {
			var err error
			if fits, err = s.selects(host, posture.DeviceID(id), item); err != nil {
				return false, err
			}
		}
		if fits && len(s.ids) == s.limit {
			s.next = cursor(last)
			return false, nil
		}
		if fits {
			s.ids = append(s.ids, posture.DeviceID(id))
		}
		last = bytes.Clone(k)
		return true, nil
	})
	return last, more, err
}

// selects reports whether the device of a row of names is meant.
func (s *search) selects(host string, id posture.DeviceID, item *badger.Item) (fits bool, err error) {
	err = item.Value(func(data []byte) error {
		tag, data, ok := takeText(data)
		if !ok {
			return errVector
		}
		if fits = strings.Contains(host, s.want) || strings.Contains(tag, s.want); !fits {
			return nil
		}
		err := s.v.decode(data)
		fits = s.fits(&s.v)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("read the standing of device %s: %w", id, err)
	}
	if !fits || !s.query.Older {
		return fits, nil
	}
	row, _, err := s.r.row(id)
	return row.old(s.r.policy.Number), err
}

// byIndex fills the page with what the index offers after a place.
func (s *search) byIndex(after []byte) error {
	s.slots = s.askedSlots()
	if err := s.gatherMoved(); err != nil {
		return err
	}
	for {
		offers, more, err := s.offers(after)
		if err != nil {
			return err
		}
		for _, o := range offers {
			k := text(text(nil, o.host), string(o.id))
			fits, err := s.confirm(o, k)
			if err != nil {
				return err
			}
			if s.examined++; fits && len(s.ids) == s.limit || s.examined > mostExamined {
				s.next = cursor(after)
				return nil
			}
			if fits {
				s.ids = append(s.ids, o.id)
			}
			after = k
		}
		if !more {
			return nil
		}
	}
}

// confirm asks a device's row of names whether it is meant.
func (s *search) confirm(o offer, k []byte) (bool, error) {
	if s.query.Standing == "" && !s.query.Silent && !s.query.Older {
		return true, nil // its names are what the index holds
	}
	item, err := s.r.txn.Get(append(key(s.r.school.ID, famName), k...))
	if err != nil {
		return false, fmt.Errorf("the index names device %s, which has no row: %w", o.id, err)
	}
	return s.selects(o.host, o.id, item)
}

// offer is a device of the index that may be meant.
type offer struct {
	host string
	id   posture.DeviceID
}

func (o offer) compare(p offer) int {
	return cmp.Or(cmp.Compare(o.host, p.host), cmp.Compare(o.id, p.id))
}

// offered holds the first of what was offered, the last of them on top.
type offered []offer

func (h offered) Len() int           { return len(h) }
func (h offered) Less(i, j int) bool { return h[i].compare(h[j]) > 0 }
func (h offered) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *offered) Push(x any)        { *h = append(*h, x.(offer)) }
func (h *offered) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// offers returns the first devices of the index after a place that may be meant,
// by name; more says that there are others.
func (s *search) offers(after []byte) (list []offer, more bool, err error) {
	var from offer
	if host, rest, ok := part(after); ok {
		id, _, _ := part(rest)
		from = offer{host, posture.DeviceID(id)}
	}
	most := mostOffered
	if s.query.Standing == "" && !s.query.Silent && !s.query.Older {
		most = s.limit - len(s.ids) + 1 // all of them are meant
	}
	want := []byte(s.want)
	var first offered
	err = s.r.eachOfIndex(func(x *indexed) {
		if !bytes.Contains(x.host, want) && !bytes.Contains(x.tag, want) || !s.may(x) {
			return
		}
		if full := len(first) == most; full && bytes.Compare(x.host, []byte(first[0].host)) > 0 {
			more = true
			return
		}
		o := offer{string(x.host), posture.DeviceID(x.id)}
		if from.id != "" && o.compare(from) <= 0 {
			return
		}
		heap.Push(&first, o)
		if len(first) > most {
			heap.Pop(&first)
			more = true
		}
	})
	slices.SortFunc(first, offer.compare)
	return first, more, err
}

// may reports whether a device of the index can stand as it was asked for.
func (s *search) may(x *indexed) bool {
	if s.many || s.moved[posture.DeviceID(x.id)] {
		return true
	}
	if s.query.Silent {
		return false
	}
	if s.query.Standing == "" {
		return true
	}
	wanted := place(s.query.Standing)
	for _, slot := range s.slots {
		at, judged := place(NotProven), false
		if slot >= 0 {
			at, judged = x.state(uint16(slot))
		}
		if judged && at == wanted || !judged && s.query.Standing == NotProven {
			return true
		}
	}
	return false
}

// askedSlots returns the places of the rules that are asked about.
func (s *search) askedSlots() (slots []int) {
	for i := range s.r.policy.Rules {
		rule := &s.r.policy.Rules[i]
		if s.query.Rule != "" && s.query.Rule != rule.ID {
			continue
		}
		slot, ok := s.r.slotOf(rule)
		if !ok {
			slots = append(slots, -1)
			continue
		}
		slots = append(slots, int(slot))
	}
	return slots
}

// gatherMoved finds the devices that stand otherwise than the index says because
// of the time that has passed, unless they are too many: then any may.
func (s *search) gatherMoved() error {
	s.moved = map[posture.DeviceID]bool{}
	if aged := s.query.Standing == NotMet || s.query.Standing == NotProven || s.query.Standing == Exempt; !aged && !s.query.Silent {
		return nil // it becomes nothing else by the passing of time
	}
	n := 0
	note := func(id posture.DeviceID, _ *Vector) error {
		if s.moved[id] = true; len(s.moved) > mostMoved {
			s.many = true
		}
		return nil
	}
	err := s.r.eachCohort(func(v *Vector, devices int) bool {
		if s.many || !s.ages(v) {
			return true
		}
		if n += devices; n > mostMoved {
			s.many = true
		}
		return s.many
	}, note)
	if err != nil || s.many {
		return err
	}
	return s.r.eachEnded(note)
}

// ages reports whether a device of a cohort may stand as it was asked for, and
// not while nothing goes stale. Where its devices differ, any may.
func (s *search) ages(early *Vector) bool {
	late := early.latest()
	if s.query.Silent {
		return early.silent(&s.r.policy, s.r.nowMs) || late.silent(&s.r.policy, s.r.nowMs)
	}
	for _, state := range early.Rules {
		rule := s.r.rule(state.Slot)
		if rule == nil || s.query.Rule != "" && s.query.Rule != rule.ID || state.settled() == s.query.Standing {
			continue
		}
		is := early.standing(&s.r.policy, rule, state, s.r.nowMs)
		if is == s.query.Standing || is != late.standing(&s.r.policy, rule, state, s.r.nowMs) {
			return true
		}
	}
	return false
}

// fits reports whether a device stands as it was asked for.
func (s *search) fits(v *Vector) bool {
	if s.query.Silent && !v.silent(&s.r.policy, s.r.nowMs) {
		return false
	}
	if s.query.Standing == "" {
		return true
	}
	for i := range s.r.policy.Rules {
		rule := &s.r.policy.Rules[i]
		if (s.query.Rule == "" || s.query.Rule == rule.ID) && s.r.standingOn(v, rule) == s.query.Standing {
			return true
		}
	}
	return false
}
