package incident

import (
	"cmp"
	"slices"
	"time"
)

// From puts together what was recorded about an incident. In which order the
// changes come, and how often, makes no difference: they are put in the order
// of the ledger, and each counts once.
func From(changes []Taken) Incident {
	changes = slices.Clone(changes)
	slices.SortStableFunc(changes, func(a, b Taken) int { return cmp.Compare(a.Entry, b.Entry) })
	changes = slices.CompactFunc(changes, func(a, b Taken) bool { return a.Entry == b.Entry })
	i := Incident{Kinds: []Sorted{}, Aware: []Aware{}, Changes: len(changes)}
	for _, c := range changes {
		i.take(c)
	}
	i.date()
	return i
}

// take adds a change that is later than those before.
func (i *Incident) take(t Taken) {
	i.ID, i.Entry = t.ID, t.Entry
	switch t.What {
	case Open:
		if i.Opened.Entry == 0 {
			i.Opened, i.Number = t.Act, t.Number
		} else { // nothing is lost, whatever it is
			i.Notes = append(i.Notes, t.Act)
		}
	case Note:
		i.Notes = append(i.Notes, t.Act)
	case Lesson:
		i.Lessons = append(i.Lessons, t.Act)
	case Spoke:
		i.Contacts = append(i.Contacts, Contact{Whom: t.Whom, When: i.when(t), Act: t.Act})
	case Tell:
		told := Telling{Answer: t.Answer, Decided: i.when(t), Told: t.Told, Act: t.Act}
		if t.Audience == Individuals {
			i.Individuals = append(i.Individuals, told)
		} else {
			i.Regulator = append(i.Regulator, told)
		}
	case Found:
		i.found(t)
	case Close, Reopen:
		i.Closed = t.What == Close
		i.Closings = append(i.Closings, Closing{Outcome: t.Outcome, Again: !i.Closed, Act: t.Act})
	}
	i.say(t)
	if t.What != Found {
		i.link(t)
	}
}

// say takes what a change says of the incident itself.
func (i *Incident) say(t Taken) {
	if t.Kind != "" {
		i.Kind = t.Kind
		i.Kinds = append(i.Kinds, Sorted{t.Kind, t.Act})
	}
	if t.Happened != nil {
		i.Happened = append(i.Happened, Happened{*t.Happened, t.Act})
	}
	if t.Aware != nil {
		i.Aware = append(i.Aware, Aware{*t.Aware, Moment{TellBy(t.Aware.At), t.Aware.Zone}, t.Act})
	}
}

// when returns when something was that a change is about.
func (i *Incident) when(t Taken) Moment {
	if t.When != nil {
		return *t.When
	}
	return Moment{t.Recorded.Truncate(time.Second), i.zone()}
}

// zone is the one in which the incident was recorded.
func (i *Incident) zone() string {
	if len(i.Aware) == 0 {
		return "UTC"
	}
	return i.Aware[len(i.Aware)-1].When.Zone
}

// link takes the links of a change.
func (i *Incident) link(t Taken) {
	for _, l := range t.Links {
		at := slices.IndexFunc(i.Links, func(known Linked) bool { return known.Same(l) })
		if at < 0 {
			at = len(i.Links)
			i.Links = append(i.Links, Linked{Link: l, Act: t.Act})
		}
		if !l.Lost {
			continue
		}
		linked := &i.Links[at]
		linked.Link.Lost = true
		if _, lost := linked.Lost(); !lost {
			linked.Losses = append(linked.Losses, Loss{Since: i.when(t), Act: t.Act, said: t.When != nil})
		}
	}
}

// found takes what was found again.
func (i *Incident) found(t Taken) {
	for _, l := range t.Links {
		at := slices.IndexFunc(i.Links, func(known Linked) bool { return known.Same(l) })
		if at < 0 {
			i.Links = append(i.Links, Linked{Link: l, Act: t.Act})
			continue
		}
		if _, lost := i.Links[at].Lost(); !lost {
			continue
		}
		last := &i.Links[at].Losses[len(i.Links[at].Losses)-1]
		when, act := i.when(t), t.Act
		last.Found, last.FoundAct = &when, &act
	}
	for n := range i.Links {
		_, i.Links[n].Link.Lost = i.Links[n].Lost()
	}
}

// date says since when the first loss of each thing is, if nobody said: since
// it happened, or else since the school became aware.
func (i *Incident) date() {
	var since Moment
	switch {
	case len(i.Happened) > 0:
		since = i.Happened[len(i.Happened)-1].When
	case len(i.Aware) > 0:
		since = i.Aware[len(i.Aware)-1].When
	default:
		return
	}
	for n := range i.Links {
		if losses := i.Links[n].Losses; len(losses) > 0 && !losses[0].said {
			losses[0].Since = since
		}
	}
}
