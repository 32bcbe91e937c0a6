package view

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/register"
)

// IncidentOffer is an incident that nobody has opened, ready to be: as a command,
// and as what the address for programs takes.
type IncidentOffer struct {
	Command string          `json:"command"`
	Change  incident.Change `json:"change"`
	Words   string          `json:"words"`
	TellBy  incident.Moment `json:"tellBy"` // until when the regulator would have to be told, if personal data are at risk
}

// mostSeen is on how many devices it is said that a medium was seen.
const mostSeen = 12

// offer offers to open an incident for a medium that was found: with the medium,
// the machine and where it was seen. Unless somebody says when it was found, the
// school became aware of it when it was plugged in.
func (r *reader) offer(m *FoundMedium, query FoundQuery, machines []register.Asset) {
	aware := query.Found
	if aware == nil {
		if m.At.IsZero() {
			return
		}
		zone := query.Zone
		if zone == "" {
			zone = "UTC"
		}
		at := incident.NewMoment(m.At, zone)
		aware = &at
	}
	o := &IncidentOffer{Change: incident.Change{What: incident.Open, Kind: incident.FoundStick, Aware: aware}}
	o.TellBy = incident.NewMoment(incident.TellBy(aware.At), aware.Zone)
	args := []string{"incident open --kind found-stick", "--school " + quoted(r.school.Name)}
	args = append(args, "--aware "+aware.At.Format(time.RFC3339), "--time-zone "+aware.Zone)
	link := func(l incident.Link, flag, name string) {
		o.Change.Links = append(o.Change.Links, l)
		args = append(args, "--"+flag+" "+quoted(name))
	}
	if m.Number != "" {
		link(incident.Link{What: incident.Medium, Name: m.Number}, "medium", m.Number)
	}
	if m.Serial != "" {
		link(incident.Link{What: incident.Stick, Digest: m.Serial}, "stick", m.Serial)
	}
	for _, a := range machines {
		if a.Tag == m.On {
			link(incident.Link{What: incident.Asset, Name: a.Tag}, "asset", a.Tag)
			o.Change.Links = append(o.Change.Links, incident.Link{What: incident.Device, Device: a.Device})
		}
	}
	words := []string{m.says()}
	for i, s := range m.Seen {
		if i == mostSeen {
			words = append(words, fmt.Sprintf("and on %d more", len(m.Seen)-mostSeen))
			break
		}
		link(incident.Link{What: incident.Device, Device: s.Device}, "device", string(s.Device))
		words = append(words, fmt.Sprintf("seen on %s %d times, last %s", plainName(s), s.Times, incident.NewMoment(s.Last, aware.Zone)))
	}
	o.Words = strings.Join(words, "; ")
	args = append(args, "--words "+quoted(o.Words))
	o.Command = "caretaker-collector " + strings.Join(args, " ")
	m.Offer = o
}

// says says in a few words what is known of a medium.
func (m FoundMedium) says() string {
	s := "a medium was found"
	if m.On != "" {
		s += " and plugged into " + m.On
	}
	switch m.Match {
	case IsRegistered:
		return s + ": registered " + m.Number + ", issued to " + safe(m.Role)
	case WasWithdrawn:
		return s + ": registered " + m.Number + " once, and withdrawn"
	case Unregistered:
		return s + ": unregistered"
	case NeverSeen:
		return s + ": never seen before"
	case CannotBeKnown:
	}
	return s + ": it tells no serial number"
}

func plainName(s Seen) string {
	if s.AssetTag != "" {
		return safe(s.AssetTag)
	}
	return safe(s.Hostname)
}

// safe leaves out what a shell or a terminal could take for more than a word:
// names come from laptops and from people.
func safe(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune(" -_.,:;/()+", r) {
			return r
		}
		return -1
	}, s)
}

// quoted is a safe word as every shell takes it.
func quoted(s string) string { return strconv.Quote(safe(s)) }
