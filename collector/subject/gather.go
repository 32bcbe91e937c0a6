package subject

import (
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Sources is what a sheet is gathered from. It may hold what is about others:
// Gather takes what is this person's.
type Sources struct {
	School   posture.SchoolID
	Name     string // of the school
	Request  string
	At       time.Time
	By       string
	Zone     string
	People   []string
	Accounts []string
	Roles    []string

	Assets []register.Asset
	Ties   map[string][]Tie              // by register.Key of the tag
	Owned  map[posture.DeviceID][]Owned  // in order
	Told   map[posture.DeviceID][]Report // in the order in which they were made
	Titles map[string]string             // of rules

	Uses       []register.Use
	Broken     []Broken
	Exemptions []Permission
	Incidents  []incident.Incident
	Looks      []Seen
	Looked     int
	Disputed   []Disputed
	Raised     []Raised
}

// Report is what a device said once.
type Report struct {
	Made, Received time.Time
	Findings       []posture.Finding // all that held then
	Forgotten      bool              // what it found is forgotten
	Media          []posture.MediumEvent
}

// Broken is a policy breach of a device.
type Broken struct {
	Device         posture.DeviceID
	Rule           string
	Subject        string
	Message        string
	From, Last, To time.Time // To is zero while it stands
}

// Permission is an exemption.
type Permission struct {
	ID, Rule, State  string
	Device           posture.DeviceID
	AskedBy, Reason  string
	Answered         string // by whom
	Asked, From, End time.Time
}

// Seen is that somebody looked at something about a device.
type Seen struct {
	At            time.Time
	By, Way, What string
	Device        posture.DeviceID
}

// Gather makes the sheet of a person.
func Gather(s Sources) Sheet {
	g := gathering{Sources: s, who: person{s.People, s.Accounts}, windows: s.Windows(), between: map[place]bool{}}
	g.sheet = Sheet{
		Format: Format, School: s.School, Name: s.Name, Request: s.Request, Made: s.At.UTC(), By: s.By, Zone: s.Zone,
		People: slices.Clone(s.People), Accounts: append([]string{}, s.Accounts...), Roles: append([]string{}, s.Roles...), Looked: s.Looked,
		Had: []Had{}, Uses: []Use{}, Findings: []Finding{}, Breaches: []Breach{}, Media: []Medium{}, Exemptions: []Exemption{}, Incidents: []Incident{},
		Looks: []Look{}, Shared: []Shared{},
	}
	if g.sheet.People == nil {
		g.sheet.People = []string{}
	}
	g.had()
	g.uses()
	for _, w := range g.windows {
		g.said(w)
		g.broken(w)
	}
	g.sheet.LeftOut = len(g.between)
	g.exemptions()
	g.incidents()
	g.disputes()
	g.reports()
	g.looks()
	g.sort()
	return g.sheet
}

type gathering struct {
	Sources
	who     person
	windows []Window
	sheet   Sheet
	between map[place]bool // reports of which one end only lies in a window
}

// place is a report of a device.
type place struct {
	device posture.DeviceID
	number int
}

// had takes when they had which device, and where that was not theirs alone.
func (g *gathering) had() {
	for _, a := range g.Assets {
		for _, h := range held(a) {
			if !g.who.named(h.Person) {
				continue
			}
			one := Had{Tag: a.Tag, What: a.What, Role: h.Role, From: h.From, Ends: h.Ends, Back: h.Back, Guest: h.Guest}
			if h.Notice {
				one.Notice = "given"
				if h.NoticeVersion != "" {
					one.Notice = h.NoticeVersion
				}
			}
			if h.Condition != "" {
				one.Condition = &Text{h.Condition, true}
			}
			if a.Leaver != nil && a.Held != nil && a.Held.Entry == h.Entry {
				one.Left = a.Leaver.Left
			}
			g.sheet.Had = append(g.sheet.Had, one)
			left := []span{{h.From, until(h.Back, g.At)}}
			for _, w := range g.windows {
				if w.Tag == a.Tag {
					left = without(left, span{w.From, w.To})
				}
			}
			for _, part := range left {
				g.sheet.Shared = append(g.sheet.Shared, Shared{a.Tag, part.from, part.to})
			}
		}
	}
}

func (g *gathering) uses() {
	for _, u := range g.Uses {
		if g.who.named(u.Person) {
			g.sheet.Uses = append(g.sheet.Uses, Use{u.Role, u.At, u.Version})
		}
	}
}

// said takes what a device said in a window: in reports that were both made and
// received in it. A clock that is wrong then makes nobody another person.
func (g *gathering) said(w Window) {
	open := map[Finding]int{} // without its times → place in the sheet
	for i, r := range g.Told[w.Device] {
		if made, came := w.has(r.Made), w.has(r.Received); !made || !came {
			if made || came {
				g.between[place{w.Device, i}] = true
			}
			continue
		}
		if r.Forgotten {
			g.sheet.Forgotten++
		}
		next := map[Finding]int{}
		for _, f := range r.Findings {
			if f.Result != posture.Fail && f.Result != posture.Error {
				continue
			}
			one := Finding{Tag: w.Tag, Rule: f.Rule, Title: g.Titles[f.Rule], Subject: f.Subject.Label, Result: f.Result, Message: f.Message}
			at, goesOn := open[one]
			if !goesOn {
				at = len(g.sheet.Findings)
				timed := one
				timed.From = r.Made
				g.sheet.Findings = append(g.sheet.Findings, timed)
			}
			g.sheet.Findings[at].To = r.Made
			next[one] = at
		}
		open = next
		for _, m := range r.Media {
			if w.has(m.At) {
				one := Medium{Tag: w.Tag, At: m.At, Action: m.Action, Kind: m.Kind, Product: m.Product}
				if m.Serial.Known() {
					one.Serial = m.Serial.Value
				}
				g.sheet.Media = append(g.sheet.Media, one)
			}
		}
	}
}

// broken takes the breaches that stood in a window. What one that began before or
// ended after was about may be somebody else's: then only the rule is named.
func (g *gathering) broken(w Window) {
	for _, b := range g.Broken {
		at := span{b.From, until(b.To, g.At)}.and(span{w.From, w.To})
		if b.Device != w.Device || at.empty() {
			continue
		}
		one := Breach{
			Tag: w.Tag, Rule: b.Rule, Title: g.Titles[b.Rule], From: at.from, To: at.to, Stood: b.From.Before(w.From),
			Stands: b.To.IsZero() && !at.to.Before(g.At),
		}
		if !one.Stood && (w.has(b.Last) || b.Last.IsZero()) {
			one.Subject, one.Message = b.Subject, b.Message
		}
		g.sheet.Breaches = append(g.sheet.Breaches, one)
	}
}

func (g *gathering) exemptions() {
	for _, p := range g.Exemptions {
		one := Exemption{ID: p.ID, Rule: p.Rule, Title: g.Titles[p.Rule], State: p.State, Asked: p.Asked, Until: p.End}
		if g.who.account(p.AskedBy) {
			one.Why = append(one.Why, "you asked for it")
		}
		if g.who.account(p.Answered) {
			one.Why = append(one.Why, "you answered it")
		}
		for _, w := range g.windows {
			if w.Device == p.Device && !(span{p.Asked, p.End}).and(span{w.From, w.To}).empty() {
				one.Tag = w.Tag
				one.Why = append(one.Why, "it is for a laptop that you had then")
				break
			}
		}
		if len(one.Why) == 0 {
			continue
		}
		if p.Reason != "" {
			one.Reason = &Text{p.Reason, true}
		}
		g.sheet.Exemptions = append(g.sheet.Exemptions, one)
	}
}

func (g *gathering) incidents() {
	for _, i := range g.Incidents {
		one := Incident{Number: i.Number, Kind: string(i.Kind), At: i.Opened.Recorded, Closed: i.Closed, Texts: []Text{}}
		if n := len(i.Happened); n > 0 {
			one.At = i.Happened[n-1].When.At
		}
		if g.linked(i, one.At) {
			one.Why = append(one.Why, "it is about a laptop that you had then")
		}
		acts := acts(i)
		if slices.ContainsFunc(acts, func(a incident.Act) bool { return g.who.account(a.By) }) {
			one.Why = append(one.Why, "you recorded something of it")
		}
		if len(one.Why) == 0 {
			continue
		}
		for _, a := range acts {
			if a.Words != "" && !slices.Contains(one.Texts, Text{a.Words, true}) {
				one.Texts = append(one.Texts, Text{a.Words, true})
			}
		}
		g.sheet.Incidents = append(g.sheet.Incidents, one)
	}
}

// linked reports whether an incident is linked to something that was theirs when
// it happened. One that is about a laptop that several share is about no one.
func (g *gathering) linked(i incident.Incident, at time.Time) bool {
	return slices.ContainsFunc(i.Links, func(l incident.Linked) bool {
		return slices.ContainsFunc(g.windows, func(w Window) bool {
			return w.has(at) && (l.Device != "" && l.Device == w.Device || l.What == incident.Asset && register.Key(l.Name) == register.Key(w.Tag))
		})
	})
}

// acts lists all that people wrote about an incident.
func acts(i incident.Incident) (list []incident.Act) {
	list = append(list, i.Opened)
	for _, h := range i.Happened {
		list = append(list, h.Act)
	}
	for _, a := range i.Aware {
		list = append(list, a.Act)
	}
	for _, t := range slices.Concat(i.Regulator, i.Individuals) {
		list = append(list, t.Act)
	}
	for _, l := range i.Links {
		list = append(list, l.Act)
	}
	for _, c := range i.Contacts {
		list = append(list, c.Act)
	}
	list = append(append(list, i.Notes...), i.Lessons...)
	for _, c := range i.Closings {
		list = append(list, c.Act)
	}
	return list
}

func (g *gathering) looks() {
	for _, l := range g.Looks {
		for _, w := range g.windows {
			if l.Device == w.Device && w.has(l.At) {
				g.sheet.Looks = append(g.sheet.Looks, Look{l.At, l.By, l.Way, l.What, w.Tag})
				break
			}
		}
	}
}

// sort puts everything in an order that follows from what it is.
func (g *gathering) sort() {
	s := &g.sheet
	slices.Sort(s.People)
	slices.Sort(s.Accounts)
	slices.Sort(s.Roles)
	slices.SortFunc(s.Had, func(a, b Had) int { return order(a.From.Compare(b.From), compare(a.Tag, b.Tag)) })
	slices.SortFunc(s.Uses, func(a, b Use) int { return order(a.At.Compare(b.At), compare(a.Role, b.Role)) })
	slices.SortStableFunc(s.Findings, func(a, b Finding) int {
		return order(a.From.Compare(b.From), compare(a.Tag, b.Tag), compare(a.Rule, b.Rule), compare(a.Subject, b.Subject), compare(a.Message, b.Message))
	})
	slices.SortStableFunc(s.Breaches, func(a, b Breach) int {
		return order(a.From.Compare(b.From), compare(a.Tag, b.Tag), compare(a.Rule, b.Rule), compare(a.Subject, b.Subject), a.To.Compare(b.To))
	})
	slices.SortStableFunc(s.Media, func(a, b Medium) int {
		return order(a.At.Compare(b.At), compare(a.Tag, b.Tag), compare(a.Serial, b.Serial))
	})
	slices.SortFunc(s.Exemptions, func(a, b Exemption) int { return order(a.Asked.Compare(b.Asked), compare(a.ID, b.ID)) })
	slices.SortFunc(s.Incidents, func(a, b Incident) int { return order(a.At.Compare(b.At), compare(a.Number, b.Number)) })
	slices.SortStableFunc(s.Looks, func(a, b Look) int {
		return order(a.At.Compare(b.At), compare(a.By, b.By), compare(a.What, b.What), compare(a.Tag, b.Tag))
	})
	slices.SortFunc(s.Shared, func(a, b Shared) int { return order(a.From.Compare(b.From), compare(a.Tag, b.Tag)) })
}
