package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/api"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// IncidentArguments ask for incidents.
type IncidentArguments struct {
	School   string             `json:"school"`
	Incident string             `json:"incident,omitempty"` // number or identifier of the only one
	State    view.IncidentState `json:"state,omitempty"`
	After    string             `json:"after,omitempty"`
	Limit    int                `json:"limit,omitempty"`
}

// IncidentChange records something about an incident. What it is linked to is
// given by the names that people use.
type IncidentChange struct {
	School   string          `json:"school"`
	Incident string          `json:"incident,omitempty"` // number or identifier; none for one that is opened
	Change   incident.Change `json:"change"`
	Words    string          `json:"words"`
	Devices  []string        `json:"devices,omitempty"`  // identifiers or host names
	Assets   []string        `json:"assets,omitempty"`   // tags
	Media    []string        `json:"media,omitempty"`    // numbers
	Breaches []string        `json:"breaches,omitempty"` // each a device, a slash and a rule
	Evidence []string        `json:"evidence,omitempty"` // SHA-256 of sealed bundles
	Sticks   []string        `json:"sticks,omitempty"`   // media, registered or not, by the hashes of their serial numbers
	Lost     bool            `json:"lost,omitempty"`     // the devices, assets and media are lost
}

// IncidentAnswer is what was recorded about an incident.
type IncidentAnswer struct {
	School   posture.SchoolID `json:"school"`
	ID       string           `json:"id"`
	Number   string           `json:"number"`           // "" until it is shown, if that takes a while
	TellBy   *incident.Moment `json:"tellBy,omitempty"` // of one that was opened, or of which that was corrected
	Due      string           `json:"due,omitempty"`    // the same in words
	Entry    uint64           `json:"entry"`            // of the ledger
	Recorded incident.What    `json:"recorded"`
}

// RecordIncident implements api.IncidentRecorder.
func (c *collector) RecordIncident(ctx context.Context, id posture.SchoolID, name string, d decision.Decision, change incident.Change) (api.RecordedIncident, error) {
	s, err := c.school(string(id))
	if err != nil {
		return api.RecordedIncident{}, err
	}
	c.keeping.Lock()
	defer c.keeping.Unlock()
	switch err := c.followed(ctx, s); {
	case err == nil:
		defer c.show(ctx, s)
	case change.What != incident.Open || change.Concern != "": // which is recorded in any case: its number takes in what is not shown
		return api.RecordedIncident{}, err
	}
	change = plain(change)
	answer := api.RecordedIncident{}
	if change.What == incident.Open {
		if change.Concern != "" {
			if change, err = c.because(ctx, id, change); err != nil {
				return answer, err
			}
		}
		if change.ID, change.Number, err = c.newIncident(ctx, s, change); err != nil {
			return answer, err
		}
		answer.Number = change.Number
	} else {
		i, err := c.view.Queries().Incident(ctx, id, name, c.clock.Now())
		if err != nil {
			return answer, err
		}
		if err := recordable(i.Incident, change); err != nil {
			return answer, err
		}
		change.ID, answer.Number = i.ID, i.Number
	}
	answer.ID = change.ID
	if err := errors.Join(c.happened(change), c.linkable(ctx, id, change)); err != nil {
		return answer, err
	}
	answer.Entry, err = s.recordIncident(ctx, d, change, c.clock.Now())
	return answer, err
}

// KeepIncident implements web.IncidentKeeper.
func (c *collector) KeepIncident(ctx context.Context, id posture.SchoolID, name string, d decision.Decision, change incident.Change) (number string, err error) {
	made, err := c.RecordIncident(ctx, id, name, d, change)
	return made.Number, err
}

// plain writes a change's moments as they are recorded: in UTC, to the second.
func plain(c incident.Change) incident.Change {
	for _, m := range []**incident.Moment{&c.Happened, &c.Aware, &c.When, &c.Told} {
		if *m != nil {
			moment := incident.NewMoment((*m).At, (*m).Zone)
			*m = &moment
		}
	}
	return c
}

// newIncident makes the identifier of an incident, and looks for its number.
// What is recorded and not shown yet is counted too; if that is more than can be
// looked through, the number is given when it is shown.
func (c *collector) newIncident(ctx context.Context, s *school, change incident.Change) (id, number string, err error) {
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", "", fmt.Errorf("make the identifier of an incident: %w", err)
	}
	id = "in-" + hex.EncodeToString(random[:])
	if change.Aware == nil {
		return id, "", nil // it is refused for that
	}
	now := c.clock.Now()
	year := incident.NewMoment(now, change.Aware.Zone).Wall().Year()
	shown, err := c.view.Next(s.ID)
	if err != nil {
		return "", "", err
	}
	size := s.ledger.Size()
	if size-min(shown, size) > mostUnshown {
		return id, "", nil
	}
	n, err := c.view.Queries().FreeIncident(ctx, s.ID, year, now)
	if err != nil && !errors.Is(err, view.ErrNotFound) {
		return "", "", err
	}
	n = max(n, 1)
	for at := shown; at < size; at++ {
		used, err := s.numbered(ctx, ledger.Index(at), year)
		if err != nil {
			return "", "", err
		}
		n = max(n, used+1)
	}
	return id, incident.FormatNumber(year, n), nil
}

// mostUnshown is how many entries are looked through for numbers of incidents.
const mostUnshown = 2000

// numbered returns the number that an entry gives to an incident of a year; 0
// if it gives none.
func (s *school) numbered(ctx context.Context, at ledger.Index, year int) (int, error) {
	r, err := s.ledger.Read(ctx, at)
	if err != nil {
		return 0, err
	}
	for n, section := range r.Envelope.Sections {
		if section.Name != incident.Section || r.Envelope.Kind != proof.KindDecision {
			continue
		}
		body, err := s.ledger.Body(ctx, at, n)
		if err != nil {
			return 0, err
		}
		c, err := incident.Decode(body)
		if err != nil {
			continue // a later version's
		}
		if of, number, err := incident.ParseNumber(c.Number); err == nil && of == year {
			return number, nil
		}
	}
	return 0, nil
}

// mostChanges is how much is recorded about one incident.
const mostChanges = 1000

// recordable says why a change makes no sense as things stand.
func recordable(i incident.Incident, c incident.Change) error {
	refused := func(format string, args ...any) error {
		return &decision.RefusedError{Why: fmt.Sprintf(format, args...)}
	}
	switch {
	case i.Changes >= mostChanges:
		return refused("%d things were recorded about incident %s already: open another and link it", i.Changes, i.Number)
	case i.Closed && (c.What == incident.Close || c.What == incident.Tell):
		return refused("incident %s is closed: open it again first", i.Number)
	case !i.Closed && c.What == incident.Reopen:
		return refused("incident %s is open", i.Number)
	case c.What == incident.Correct:
		return corrects(i, c)
	case c.What != incident.Found:
		return nil
	}
	for _, l := range c.Links {
		at := slices.IndexFunc(i.Links, func(known incident.Linked) bool { return known.Same(l) })
		if at < 0 {
			return refused("incident %s says nothing of %s", i.Number, l.Words())
		}
		since, lost := i.Links[at].Lost()
		if !lost {
			return refused("%s is not lost by incident %s", l.Words(), i.Number)
		}
		if c.When != nil && c.When.At.Before(since.At) {
			return refused("%s was lost %s, and cannot have been found before", l.Words(), since)
		}
	}
	return nil
}

// corrects says why a correction cannot be one.
func corrects(i incident.Incident, c incident.Change) error {
	happened, aware := c.Happened, c.Aware
	if n := len(i.Happened); happened == nil && n > 0 {
		happened = &i.Happened[n-1].When
	}
	if n := len(i.Aware); aware == nil && n > 0 {
		aware = &i.Aware[n-1].When
	}
	if happened != nil && aware != nil && aware.At.Before(happened.At) {
		return &decision.RefusedError{Why: fmt.Sprintf("the school cannot have become aware of it %s: it happened %s", aware, happened)}
	}
	return nil
}

// happened says that nothing is recorded that is still to come, nor in a zone
// that nobody can read.
func (c *collector) happened(change incident.Change) error {
	now := c.clock.Now()
	for _, m := range []*incident.Moment{change.Happened, change.Aware, change.When, change.Told} {
		if m == nil {
			continue
		}
		if err := incident.CheckZone(m.Zone); err != nil {
			return &decision.RefusedError{Why: err.Error()}
		}
		if m.At.After(now) {
			return &decision.RefusedError{Why: fmt.Sprintf("what is recorded has happened: %s lies ahead", m)}
		}
	}
	return nil
}

// linkable says which of a change's links is to nothing.
func (c *collector) linkable(ctx context.Context, school posture.SchoolID, change incident.Change) error {
	for _, l := range change.Links {
		var err error
		switch l.What {
		case incident.Device:
			_, err = c.view.Queries().Device(ctx, school, l.Device, c.clock.Now())
		case incident.Asset:
			_, err = c.view.Queries().Asset(ctx, school, l.Name, c.clock.Now())
		case incident.Medium:
			_, err = c.view.Queries().Medium(ctx, school, l.Name, c.clock.Now())
		case incident.Breach:
			err = c.breached(ctx, school, l)
		}
		if errors.Is(err, view.ErrNotFound) {
			err = &decision.RefusedError{Why: fmt.Sprintf("the school knows nothing of %s", l.Words())}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) breached(ctx context.Context, school posture.SchoolID, l incident.Link) error {
	list, err := c.breachesOf(ctx, school, l.Device, l.Rule, breach.Statuses()...)
	if err != nil {
		return err
	}
	for _, b := range list {
		if l.Subject == "" || l.Subject == b.Subject.Key {
			return nil
		}
	}
	return view.ErrNotFound
}

// recordIncident records a change of an incident.
func (s *school) recordIncident(ctx context.Context, d decision.Decision, change incident.Change, now time.Time) (entry uint64, err error) {
	return s.record(ctx, now, func(salts [2][proof.SaltSize]byte) ([]proof.Section, error) {
		return decision.IncidentSections(d, change, salts)
	})
}

// changeIncident records a change as the operator.
func (c *collector) changeIncident(ctx context.Context, a IncidentChange) (IncidentAnswer, error) {
	s, err := c.school(a.School)
	if err != nil {
		return IncidentAnswer{}, err
	}
	links, err := c.links(ctx, a)
	if err != nil {
		return IncidentAnswer{}, err
	}
	a.Change.Links = links
	a.Words = cmp.Or(strings.TrimSpace(a.Words), map[incident.What]string{
		incident.Add: "linked to the incident", incident.Found: "found again", incident.Correct: "what was recorded before is not right",
	}[a.Change.What])
	d := decision.Decision{Kind: decision.Incident, By: operator(), At: c.clock.Now(), Reason: a.Words}
	answer := IncidentAnswer{School: s.ID, Recorded: a.Change.What}
	if a.Change.Concern != "" {
		if a.Change, err = c.because(ctx, s.ID, a.Change); err != nil {
			return answer, err
		}
	}
	made, err := c.RecordIncident(ctx, s.ID, a.Incident, d, a.Change)
	if errors.Is(err, view.ErrNotFound) {
		err = fmt.Errorf("%s has no incident %q", s.Name, a.Incident)
	}
	answer.ID, answer.Number, answer.Entry = made.ID, made.Number, made.Entry
	if aware := a.Change.Aware; aware != nil && err == nil {
		by := incident.NewMoment(incident.TellBy(aware.At), aware.Zone)
		answer.TellBy, answer.Due = &by, incident.Due(by, c.clock.Now())
	}
	return answer, err
}

// links turns the names that people use into links. The device that an asset
// is, is linked with it.
func (c *collector) links(ctx context.Context, a IncidentChange) ([]incident.Link, error) {
	list := slices.Clone(a.Change.Links)
	add := func(l incident.Link) {
		if !slices.ContainsFunc(list, l.Same) {
			list = append(list, l)
		}
	}
	for _, name := range a.Devices {
		d, err := c.device(ctx, ListArguments{School: a.School, Device: name})
		if err != nil {
			return nil, err
		}
		add(incident.Link{What: incident.Device, Device: d.ID, Lost: a.Lost})
	}
	for _, tag := range a.Assets {
		asset, err := c.asset(ctx, AssetArguments{School: a.School, Tag: tag})
		if err != nil {
			return nil, err
		}
		add(incident.Link{What: incident.Asset, Name: asset.Tag, Lost: a.Lost})
		if asset.Device != "" {
			add(incident.Link{What: incident.Device, Device: asset.Device, Lost: a.Lost})
		}
	}
	for _, number := range a.Media {
		add(incident.Link{What: incident.Medium, Name: number, Lost: a.Lost})
	}
	for _, serial := range a.Sticks {
		add(incident.Link{What: incident.Stick, Digest: serial})
	}
	for _, name := range a.Breaches {
		device, rule, ok := strings.Cut(name, "/")
		if !ok {
			return nil, fmt.Errorf("%.80q names no breach: write its device and its rule, such as hb-lt-014/ENC-01", name)
		}
		d, err := c.device(ctx, ListArguments{School: a.School, Device: device})
		if err != nil {
			return nil, err
		}
		add(incident.Link{What: incident.Breach, Device: d.ID, Rule: rule})
	}
	for _, digest := range a.Evidence {
		add(incident.Link{What: incident.Evidence, Digest: digest})
	}
	return list, nil
}

func (c *collector) incidents(ctx context.Context, a IncidentArguments) (view.IncidentPage, error) {
	s, err := c.record(a.School)
	if err != nil {
		return view.IncidentPage{}, err
	}
	return c.view.Queries().Incidents(ctx, s.id, view.IncidentQuery{State: a.State, After: a.After, Limit: a.Limit}, c.clock.Now())
}

func (c *collector) incident(ctx context.Context, a IncidentArguments) (view.Incident, error) {
	s, err := c.record(a.School)
	if err != nil {
		return view.Incident{}, err
	}
	one, err := c.view.Queries().Incident(ctx, s.id, a.Incident, c.clock.Now())
	if errors.Is(err, view.ErrNotFound) {
		err = fmt.Errorf("%s has no incident %q", s.name, a.Incident)
	}
	return one, err
}
