package restricted

import (
	"cmp"
	"crypto/rand"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/incident"
)

// NewID returns an identifier for a restricted incident. It is random: a number
// that counts would tell of the others.
func NewID() string { return "r-" + strings.ToLower(rand.Text()[:8]) }

// Told is a restricted incident as those who are named for it read it.
type Told struct {
	ID       string            `json:"id"`
	State    State             `json:"state"`
	Seniors  []Senior          `json:"seniors"`            // who are named now
	Concerns []string          `json:"concerns,omitempty"` // whom it is about
	Incident incident.Incident `json:"incident"`
	Due      string            `json:"due"`  // until when the regulator is to be told, and how long that is from now
	Over     bool              `json:"over"` // that time is over
	Asked    *Asking           `json:"asked,omitempty"`
	Holds    []HoldTold        `json:"holds,omitempty"`
	Acts     []ActTold         `json:"acts"`  // everything that was done, views aside
	Views    []Look            `json:"views"` // who looked at it, and when
}

// Senior is who is named for an incident, and the code of their key.
type Senior struct {
	Name string `json:"name"`
	Code string `json:"code"`
}

// Asking is what one senior asked, and another has not answered.
type Asking struct {
	Asked Asked     `json:"asked"`
	By    string    `json:"by"`
	Words string    `json:"words,omitempty"`
	On    *Subject  `json:"on,omitempty"`
	Whom  string    `json:"whom,omitempty"`
	At    time.Time `json:"at"`
	Entry uint64    `json:"entry"`
}

// HoldTold is something that is held.
type HoldTold struct {
	On    Subject   `json:"on"`
	By    string    `json:"by"`
	Words string    `json:"words,omitempty"`
	Since time.Time `json:"since"`
}

// ActTold is one thing that somebody did.
type ActTold struct {
	Entry     uint64        `json:"entry"` // of the ledger, counted from 1
	At        time.Time     `json:"at"`
	What      What          `json:"what"`
	Asked     Asked         `json:"asked,omitempty"`
	Recorded  incident.What `json:"recorded,omitempty"`
	By        string        `json:"by"`
	Words     string        `json:"words,omitempty"`
	On        *Subject      `json:"on,omitempty"`
	Name      string        `json:"name,omitempty"`      // who is named, or to be removed
	Forgotten bool          `json:"forgotten,omitempty"` // what was written
	Void      string        `json:"void,omitempty"`      // why it counts for nothing
}

// Look is one time that somebody looked at an incident.
type Look struct {
	By    string    `json:"by"`
	At    time.Time `json:"at"`
	What  string    `json:"what"`
	Entry uint64    `json:"entry"`
}

// Tell puts a case together with what was written, by entry. What is not there
// was forgotten. name says whose key has a code.
func Tell(c Case, wrote map[uint64]Content, name func(code string) string, now time.Time) Told {
	t := Told{ID: c.ID, State: c.State, Seniors: []Senior{}, Acts: []ActTold{}, Views: []Look{}}
	for _, n := range c.Named {
		t.Seniors = append(t.Seniors, Senior{name(n.Code()), n.Code()})
	}
	asked := map[string]Act{} // by digest
	var changes []incident.Taken
	for _, a := range c.Acts {
		w, there := wrote[a.Entry]
		by := cmp.Or(w.By, name(a.By)) // as they were called then
		if a.What == View {
			if a.Void == "" {
				t.Views = append(t.Views, Look{by, a.At, w.Looked, a.Entry})
			}
			continue
		}
		t.Acts = append(t.Acts, told(a, w, by, !there))
		if a.Void != "" {
			continue
		}
		switch a.What {
		case Ask:
			asked[a.Digest] = a
			t.Concerns = append(t.Concerns, w.Concerns...)
			if a.Asked == Open {
				changes = take(changes, a, w, by)
			}
		case Agree:
			first := asked[a.Of]
			if first.Asked == Open && len(changes) > 0 {
				changes[0].By += " and " + by
			} else {
				first.Entry, first.At = a.Entry, a.At
				changes = take(changes, first, wrote[asked[a.Of].Entry], name(first.By)+" and "+by)
			}
		case Record:
			changes = take(changes, a, w, by)
		}
	}
	t.Incident = incident.From(changes)
	t.Incident.ID, t.Incident.Number = c.ID, c.ID
	if by, known := t.Incident.TellBy(); known {
		t.Due, t.Over = incident.Due(by, now), now.After(by.At)
	}
	if p := c.Pending; p != nil {
		w := wrote[p.Entry]
		t.Asked = &Asking{Asked: p.Asked, By: name(p.By), Words: w.Words, On: p.On, Whom: w.Name, At: p.At, Entry: p.Entry}
	}
	for _, h := range c.Holds {
		t.Holds = append(t.Holds, HoldTold{h.On, name(h.By), wrote[h.Entry].Words, h.At})
	}
	return t
}

func told(a Act, w Content, by string, forgotten bool) ActTold {
	t := ActTold{
		Entry: a.Entry, At: a.At, What: a.What, Asked: a.Asked, By: by, Words: w.Words, On: a.On, Name: w.Name, Forgotten: forgotten, Void: a.Void,
	}
	if w.Change != nil {
		t.Recorded = w.Change.What
	}
	return t
}

// take adds what an act changes of the incident, if that is known.
func take(list []incident.Taken, a Act, w Content, by string) []incident.Taken {
	if w.Change == nil {
		return list
	}
	return append(list, incident.Taken{Change: *w.Change, Act: incident.Act{By: by, Words: w.Words, Recorded: a.At, Entry: a.Entry}})
}
