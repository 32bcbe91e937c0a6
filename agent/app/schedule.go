package app

import (
	"slices"
	"time"
)

// schedule says which sections are to be read when. Most are read after a
// fixed time, give or take a tenth so that a school's laptops do not all wake
// at once; some are hurried because the system told of a change.
type schedule struct {
	every  map[string]time.Duration
	due    map[string]time.Time
	jitter func() float64 // from 0 up to 1
}

// newSchedule makes a schedule on which everything is due at once.
func newSchedule(every map[string]time.Duration, now time.Time, jitter func() float64) *schedule {
	s := &schedule{every: every, due: map[string]time.Time{}, jitter: jitter}
	for section := range every {
		s.due[section] = now
	}
	return s
}

// hurry makes sections due at a time, unless they are due before it.
func (s *schedule) hurry(at time.Time, sections ...string) {
	for _, section := range sections {
		if due, ok := s.due[section]; ok && at.Before(due) {
			s.due[section] = at
		}
	}
}

// all names every section.
func (s *schedule) all() []string {
	var names []string
	for section := range s.every {
		names = append(names, section)
	}
	slices.Sort(names)
	return names
}

// next returns when the first section is due, as seen at now.
func (s *schedule) next(now time.Time) time.Time {
	var first time.Time
	for section := range s.due {
		if at := s.at(section, now); first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}

// at returns when a section is due: what was planned, or now if the plan lies
// so far ahead that the clock must have been set back since.
func (s *schedule) at(section string, now time.Time) time.Time {
	if at := s.due[section]; at.Sub(now) <= 2*s.every[section] {
		return at
	}
	return now
}

// take returns the sections that are due and sets their next time. Sections
// that will be due within a third of their interval are taken along, so that
// they are read by one child rather than by several in turn: most of what a
// round costs does not depend on how much is read.
func (s *schedule) take(now time.Time) []string {
	if s.next(now).After(now) {
		return nil
	}
	var due []string
	for section := range s.due {
		every := s.every[section]
		if s.at(section, now).Sub(now) > every/3 {
			continue
		}
		due = append(due, section)
		s.due[section] = now.Add(every - every/10 + time.Duration(s.jitter()*float64(every/5)))
	}
	slices.Sort(due)
	return due
}
