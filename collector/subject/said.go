package subject

import (
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Disputed is a recorded fact of which somebody said that it is wrong.
type Disputed struct {
	ID, About, Rule string
	Device          posture.DeviceID
	Tag             string
	By, For         string // who recorded it, and on whose behalf
	Words           string
	Said            time.Time
	Due             string
	Outcome, Answer string // "" until it is answered
	Answered        time.Time
	AnsweredBy      string
	Fact            uint64
}

// Raised is what somebody reported on the school's page for reports, signed in or
// not.
type Raised struct {
	Reference, Kind string
	Thing, From, By string           // what the sticker says, who tells it and the account, as far as any was given
	Device          posture.DeviceID // that is called so; "" if none is
	Words           string
	At              time.Time
	Incident, State string
	Forgotten       bool
}

// Dispute is a fact that they disputed, or somebody for them, or that was about a
// device while it was theirs.
type Dispute struct {
	ID       string    `json:"id"`
	About    string    `json:"about"`
	Rule     string    `json:"rule,omitempty"`
	Tag      string    `json:"tag,omitempty"`
	Fact     uint64    `json:"fact,omitempty"` // entry of the record that held it then
	Why      []string  `json:"why"`
	Said     time.Time `json:"said"`
	Due      string    `json:"due"`
	Words    *Text     `json:"words,omitempty"`
	Outcome  string    `json:"outcome,omitempty"` // none: it is not answered yet
	Answered time.Time `json:"answered,omitzero"`
	Answer   *Text     `json:"answer,omitempty"`
}

// Reported is what was reported on the page for reports and can be tied to them:
// by what is said in it, which nobody has checked unless they had signed in.
type Reported struct {
	Reference string    `json:"reference"`
	Kind      string    `json:"kind"`
	At        time.Time `json:"at"`
	Why       []string  `json:"why"`
	Words     *Text     `json:"words,omitempty"`
	State     string    `json:"state"`
}

// wasTheirs reports whether a device, or what is called so, was theirs alone at a moment.
func (g *gathering) wasTheirs(device posture.DeviceID, tag string, at time.Time) bool {
	return slices.ContainsFunc(g.windows, func(w Window) bool {
		return w.has(at) && (device != "" && w.Device == device || device == "" && tag != "" && register.Key(w.Tag) == register.Key(tag))
	})
}

// disputes takes what they disputed, and what was disputed about a device while it
// was theirs alone.
func (g *gathering) disputes() {
	for _, d := range g.Disputed {
		one := Dispute{
			ID: d.ID, About: d.About, Rule: d.Rule, Tag: d.Tag, Fact: d.Fact, Said: d.Said, Due: d.Due, Outcome: d.Outcome, Answered: d.Answered,
		}
		if g.who.account(d.By) {
			one.Why = append(one.Why, "you recorded it")
		}
		if g.who.named(d.For) || g.who.account(d.For) {
			one.Why = append(one.Why, "it was recorded for you")
		}
		if g.who.account(d.AnsweredBy) {
			one.Why = append(one.Why, "you answered it")
		}
		if g.wasTheirs(d.Device, d.Tag, d.Said) {
			one.Why = append(one.Why, "it is about a device that you had then")
		}
		if len(one.Why) == 0 {
			continue
		}
		if d.Words != "" {
			one.Words = &Text{d.Words, true}
		}
		if d.Answer != "" {
			one.Answer = &Text{d.Answer, true}
		}
		g.sheet.Disputes = append(g.sheet.Disputes, one)
	}
	slices.SortStableFunc(g.sheet.Disputes, func(a, b Dispute) int { return order(a.Said.Compare(b.Said), compare(a.ID, b.ID)) })
}

// reports takes what was reported on the school's page for reports, as far as it
// says whose it is. Who told it, where that is somebody else, is not taken.
func (g *gathering) reports() {
	for _, r := range g.Raised {
		one := Reported{Reference: r.Reference, Kind: r.Kind, At: r.At, State: r.State}
		if g.who.account(r.By) {
			one.Why = append(one.Why, "you reported it, signed in")
		}
		if g.who.named(r.From) || g.who.account(r.From) {
			one.Why = append(one.Why, "it gives your name as who tells it, which nobody has checked")
		}
		if g.wasTheirs(r.Device, r.Thing, r.At) {
			one.Why = append(one.Why, "it names a device that you had then")
		}
		if r.Incident != "" && slices.ContainsFunc(g.sheet.Incidents, func(i Incident) bool { return i.Number == r.Incident }) {
			one.Why = append(one.Why, "incident "+r.Incident+", which stands here, was opened because of it")
		}
		switch {
		case len(one.Why) > 0:
			if r.Words != "" {
				one.Words = &Text{r.Words, true}
			}
			g.sheet.Reports = append(g.sheet.Reports, one)
		case r.Forgotten:
			g.sheet.ReportsForgotten++
		case r.By == "":
			g.sheet.Untied++
		}
	}
	slices.SortStableFunc(g.sheet.Reports, func(a, b Reported) int { return order(a.At.Compare(b.At), compare(a.Reference, b.Reference)) })
}
