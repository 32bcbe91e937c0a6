package web

import (
	"context"
	"fmt"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/restricted"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// theCase is the only restricted incident, for which the head is named, and
// theirPassphrase the one that opens it.
const (
	theCase         = "r-k3m2p7qa"
	theirPassphrase = "4jkq-x7ab-walnut"
)

// confidence keeps one restricted incident and what is done about it.
type confidence struct {
	done  []Deed
	asked []string // who asked with which passphrase
}

func (c *confidence) SeniorKeys(context.Context, posture.SchoolID) ([]SeniorKey, error) {
	return []SeniorKey{
		{Name: "head", Code: "3kfa-77qd-abcd-m2xy", Made: now.Add(-900 * time.Hour), By: "head"},
		{Name: "dpo everywhere", Code: "9abc-77qd-abcd-m2xy", Made: now.Add(-800 * time.Hour), By: "console:root"},
	}, nil
}

func (c *confidence) MakeSeniorKey(_ context.Context, _ posture.SchoolID, a access.Account) (SeniorKey, string, error) {
	return SeniorKey{Name: a.Name, Code: "zzzz-77qd-abcd-m2xy", Made: now, By: a.Name}, "made-up-pass-phrase", nil
}

// enters refuses a wrong passphrase, and knows who is named.
func (c *confidence) enters(who Unlock) error {
	c.asked = append(c.asked, who.Account.Name)
	if who.Passphrase != theirPassphrase {
		return ErrPassphrase
	}
	return nil
}

func (c *confidence) Confided(_ context.Context, _ posture.SchoolID, who Unlock) ([]restricted.Told, error) {
	if err := c.enters(who); err != nil {
		return nil, err
	}
	if who.Account.Name != "head" {
		return nil, nil
	}
	return []restricted.Told{newTold()}, nil
}

func (c *confidence) Confide(_ context.Context, _ posture.SchoolID, who Unlock, name string) (restricted.Told, error) {
	if err := c.enters(who); err != nil {
		return restricted.Told{}, err
	}
	if name != theCase || who.Account.Name != "head" {
		return restricted.Told{}, fmt.Errorf("no restricted incident: %w", view.ErrNotFound)
	}
	return newTold(), nil
}

func (c *confidence) Act(_ context.Context, _ posture.SchoolID, who Unlock, d Deed) (string, error) {
	if err := c.enters(who); err != nil {
		return "", err
	}
	switch {
	case d.Words == "refuse this":
		return "", &decision.RefusedError{Why: "it holds something still"}
	case d.Incident != "" && d.Incident != theCase:
		return "", view.ErrNotFound
	}
	c.done = append(c.done, d)
	return theCase, nil
}

// newTold is an allegation that two seniors have opened, with a hold that one of
// them asked to lift.
func newTold() restricted.Told {
	at := func(d time.Duration) *incident.Moment {
		m := incident.NewMoment(now.Add(d), Zone)
		return &m
	}
	var changes []incident.Taken
	add := func(c incident.Change, words string) {
		c.ID = theCase
		changes = append(changes, incident.Taken{Change: c, Act: incident.Act{By: "head and dpo everywhere", Words: words, Recorded: now.Add(time.Duration(len(changes)) * time.Minute), Entry: uint64(900 + len(changes))}})
	}
	add(incident.Change{What: incident.Open, Kind: incident.Disclosure, Aware: at(-2 * time.Hour), Links: []incident.Link{{What: incident.Device, Device: "d-014"}}}, "Is said to have copied records.")
	add(incident.Change{What: incident.Spoke, Whom: "Police"}, "They come on Monday.")
	add(incident.Change{What: incident.Note}, "The laptop is in the safe.")
	folded := incident.From(changes)
	folded.ID, folded.Number = theCase, theCase
	by, _ := folded.TellBy()
	on := restricted.Subject{Device: "d-014"}
	return restricted.Told{
		ID: theCase, State: restricted.Opened, Seniors: []restricted.Senior{{Name: "head", Code: "3kfa-77qd-abcd-m2xy"}, {Name: "dpo everywhere", Code: "9abc-77qd-abcd-m2xy"}},
		Concerns: []string{"Morgan Ellis"}, Incident: folded, Due: incident.Due(by, now),
		Asked: &restricted.Asking{Asked: restricted.Lift, By: "dpo everywhere", Words: "The police have it.", On: &on, At: now.Add(-time.Hour)},
		Holds: []restricted.HoldTold{{On: on, By: "head", Words: "The police may want it.", Since: now.Add(-2 * time.Hour)}},
		Views: []restricted.Look{{By: "dpo everywhere", At: now.Add(-time.Hour), What: "show"}},
	}
}
