package view

import (
	"context"
	"fmt"
	"time"

	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// ListsLast is for how long a school lets a list of devices that no agent covers
// count.
type ListsLast struct {
	Days int `json:"days"`
}

// PutListsLast records it.
func (tx *Tx) PutListsLast(l ListsLast) error {
	return tx.putJSON(key(tx.school, famListsLast), l)
}

// listsLast returns for how long the school's lists count.
func (r *reader) listsLast() (time.Duration, error) {
	if r.lists != 0 {
		return r.lists, nil
	}
	r.lists = register.UsualLists
	var l ListsLast
	ok, err := r.getJSON(key(r.school.ID, famListsLast), &l)
	if ok && l.Days > 0 {
		r.lists = time.Duration(l.Days) * 24 * time.Hour
	}
	return r.lists, err
}

// ListsLast returns for how long a school's lists of devices that no agent
// covers count.
func (q *Queries) ListsLast(ctx context.Context, school posture.SchoolID, now time.Time) (lasts time.Duration, err error) {
	err = q.read(ctx, school, now, func(r *reader) error {
		lasts, err = r.listsLast()
		return err
	})
	return lasts, err
}

// Listed is what is known of a device that no agent covers: what the thing that
// manages it said on a day. No agent has said any of it.
type Listed struct {
	Source string    `json:"source"` // what manages it, such as "Google Admin"
	At     time.Time `json:"at"`     // for when its list was true
	Until  time.Time `json:"until"`  // from then on it proves nothing
	Stale  bool      `json:"stale"`  // that time has come
	Says   []Saying  `json:"says"`
}

// Saying is one thing that was said of a device by what manages it.
type Saying struct {
	What     string   `json:"what"` // "encrypted" or "enrolled"
	Standing Standing `json:"standing"`
	Words    string   `json:"words"` // with whose word it is, and of when
}

// byList says what is known of an asset by lists; nil if nothing manages it.
func (r *reader) byList(a register.Asset) (*Listed, error) {
	if a.Managed == "" {
		return nil, nil //nolint:nilnil // nothing manages it, which is no error
	}
	lasts, err := r.listsLast()
	if err != nil {
		return nil, err
	}
	at, until := a.ListedOn(lasts)
	l := &Listed{Source: a.Managed, At: at, Until: until, Stale: !r.now.Before(until), Says: []Saying{}}
	for _, one := range []struct {
		what string
		said register.Said
	}{{"encrypted", a.Encrypted}, {"enrolled", a.Enrolled}} {
		l.Says = append(l.Says, l.saying(one.what, one.said, a.Enrolled))
	}
	return l, nil
}

// saying is one thing that was said. That a platform encrypts by default proves
// something only of a device on which the school's settings are in force.
func (l *Listed) saying(what string, said, enrolled register.Said) Saying {
	s := Saying{What: what, Standing: NotProven}
	source := fmt.Sprintf("by the list of %s of %s, not by an agent", l.Source, l.At.UTC().Format(time.DateOnly))
	switch said {
	case register.SaysYes:
		s.Standing, s.Words = Met, what+" "+source
	case register.SaysNo:
		s.Standing, s.Words = NotMet, "not "+what+" "+source
	case register.ByDefault:
		if enrolled == register.SaysYes {
			s.Standing = Met
		}
		s.Words = what + " by its platform's default, which " + source + " is in force"
		if s.Standing != Met {
			s.Words = what + " only if its platform's default is in force, which is not known " + source
		}
	default:
		s.Words = "not known whether " + what + " " + source
	}
	if l.Stale {
		s.Standing = NotProven
		s.Words += "; not proven since " + l.Until.UTC().Format(time.DateOnly)
	}
	return s
}
