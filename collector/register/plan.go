package register

import (
	"fmt"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Enrolled is an enrolled device, as far as the register asks.
type Enrolled struct {
	ID   posture.DeviceID
	Host string
	Tag  string // of the asset that it is; "" if of none
}

// Plan is what importing a list would change.
type Plan struct {
	New     []string `json:"new"`     // tags
	Changed []Edit   `json:"changed"` // what is said differently
	Tied    []Tied   `json:"tied"`    // assets that are found among the enrolled devices
	Same    int      `json:"same"`    // assets about which nothing changes
	Dated   int      `json:"dated"`   // assets without an agent of which only this is new: that they were on a later list
	Unknown []Tied   `json:"unknown"` // host names of which no device is enrolled yet
	// Change is what is recorded; without items there is nothing to record.
	Change Change `json:"-"`
}

// Nothing reports whether there is nothing to record.
func (p Plan) Nothing() bool { return len(p.Change.Items) == 0 }

// Edit is one field of an asset that the list says differently.
type Edit struct {
	Tag   string `json:"tag"`
	Field string `json:"field"`
	From  string `json:"from"`
	To    string `json:"to"`
}

// Tied is an asset and a device.
type Tied struct {
	Tag    string           `json:"tag"`
	Host   string           `json:"host"`
	Device posture.DeviceID `json:"device,omitempty"`
}

// older says that a list is older than what is known of a device already.
func older(l Line, had Asset, asOf time.Time) Wrong {
	const moment = "2006-01-02 15:04 MST"
	return Wrong{Line: l.Line, What: fmt.Sprintf("this list is of %s, and what manages %s was said by a list of %s: an older list says nothing new",
		asOf.UTC().Format(moment), had.Tag, had.ListedAt.UTC().Format(moment))}
}

// Prepare works out what importing a list would change. What cannot be is a
// *WrongError, and then nothing may be recorded.
func Prepare(lines []Line, assets map[string]Asset, enrolled []Enrolled, asOf time.Time) (Plan, error) {
	p := Plan{New: []string{}, Changed: []Edit{}, Tied: []Tied{}, Unknown: []Tied{}, Change: Change{What: Import, AsOf: asOf}}
	hosts := map[string][]Enrolled{}
	for _, e := range enrolled {
		hosts[Key(e.Host)] = append(hosts[Key(e.Host)], e)
	}
	for i := range lines {
		lines[i].keep(assets[Key(lines[i].Tag)])
	}
	wrong := serialsOnce(lines, assets)
	for _, l := range lines {
		had := assets[Key(l.Tag)]
		if l.listed() && asOf.Before(had.ListedAt) {
			if len(wrong) < mostWrong {
				wrong = append(wrong, older(l, had, asOf))
			}
			continue
		}
		if l.Host != "" {
			why := p.tie(&l, assets, hosts[Key(l.Host)])
			if why != "" && len(wrong) < mostWrong {
				wrong = append(wrong, Wrong{Line: l.Line, Column: "host", What: why})
			}
		}
		if why := CheckTie(l.Tag, l.Class); why != nil && (l.Device != "" || assets[Key(l.Tag)].Device != "") && len(wrong) < mostWrong {
			wrong = append(wrong, Wrong{Line: l.Line, Column: "class", What: why.Error()})
		}
		p.compare(l, assets, asOf)
	}
	if wrong != nil {
		return Plan{}, &WrongError{wrong}
	}
	return p, nil
}

// tie finds the device of a line by its host name, and says why it cannot be.
func (p *Plan) tie(l *Line, assets map[string]Asset, named []Enrolled) (why string) {
	switch {
	case len(named) == 0:
		p.Unknown = append(p.Unknown, Tied{Tag: l.Tag, Host: l.Host})
		return ""
	case len(named) > 1:
		return fmt.Sprintf("%d enrolled devices are named %s: leave the cell empty, and tie the right one with register tie %s DEVICE", len(named), l.Host, l.Tag)
	}
	device := named[0]
	if device.Tag != "" && Key(device.Tag) != Key(l.Tag) {
		return fmt.Sprintf("%s is the asset %s already: untie it first with register untie %s", l.Host, device.Tag, device.Tag)
	}
	had := assets[Key(l.Tag)].Device
	if had != "" && had != device.ID {
		return fmt.Sprintf("%s is tied to the device %s already: untie it first with register untie %s", l.Tag, had, l.Tag)
	}
	if had == "" {
		l.Device = device.ID
		p.Tied = append(p.Tied, Tied{Tag: l.Tag, Host: l.Host, Device: device.ID})
	}
	return ""
}

// compare lists what a line says that the register does not.
func (p *Plan) compare(l Line, assets map[string]Asset, asOf time.Time) {
	was, known := assets[Key(l.Tag)]
	before := len(p.Changed)
	if !known {
		p.New = append(p.New, l.Tag)
	} else {
		for _, f := range []struct{ field, from, to string }{
			{"what", was.What, l.What},
			{"class", string(was.Class), string(l.Class)},
			{"group", was.Group, l.Group},
			{"bought", string(was.Bought), string(l.Bought)},
			{"retired", string(was.Retired), string(l.Retired)},
			{"serial", was.Serial, l.Serial},
			{"managed", was.Managed, l.Managed},
			{"encrypted", string(was.Encrypted), string(l.Encrypted)},
			{"enrolled", string(was.Enrolled), string(l.Enrolled)},
			{"seen", string(was.Seen), string(l.Seen)},
		} {
			if f.from != f.to {
				p.Changed = append(p.Changed, Edit{l.Tag, f.field, f.from, f.to})
			}
		}
	}
	// What looks after a device where no agent can is as fresh as the list.
	fresher := l.Managed != "" && l.listed() && asOf.After(was.ListedAt)
	if known && len(p.Changed) == before && l.Device == "" && !fresher {
		p.Same++
		return
	}
	if known && len(p.Changed) == before && l.Device == "" {
		p.Dated++
	}
	p.Change.Items = append(p.Change.Items, l.Item)
}

// Words returns what a plan says, for people.
func (p Plan) Words() string {
	var b strings.Builder
	fmt.Fprintf(&b, "New: %d. Changed: %d. Tied to an enrolled device: %d. As before: %d. As before, and dated anew: %d.\n",
		len(p.New), len(edited(p.Changed)), len(p.Tied), p.Same, p.Dated)
	for _, e := range p.Changed {
		fmt.Fprintf(&b, "  %s: %s was %q, would be %q\n", e.Tag, e.Field, e.From, e.To)
	}
	for _, t := range p.Tied {
		fmt.Fprintf(&b, "  %s is the enrolled device %s\n", t.Tag, t.Host)
	}
	for _, t := range p.Unknown {
		fmt.Fprintf(&b, "  %s: no device named %s is enrolled yet; import the list again once it is\n", t.Tag, t.Host)
	}
	return b.String()
}

func edited(list []Edit) map[string]bool {
	tags := map[string]bool{}
	for _, e := range list {
		tags[Key(e.Tag)] = true
	}
	return tags
}
