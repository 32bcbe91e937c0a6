package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/api"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
)

// incident shows an incident at the console.
func (w *world) incident(name string) view.Incident {
	w.t.Helper()
	return ask[view.Incident](w, "incident.show", collectorapp.IncidentArguments{Incident: name})
}

// records records something about an incident at the console, and waits until
// it shows.
func (w *world) records(change collectorapp.IncidentChange) collectorapp.IncidentAnswer {
	w.t.Helper()
	a := ask[collectorapp.IncidentAnswer](w, "incident.change", change)
	w.allShown()
	return a
}

// renewed is a caller with a new key of an account.
func (p caller) renewed(account string) caller {
	p.w.t.Helper()
	p.key = ask[collectorapp.KeyAnswer](p.w, "key.create", collectorapp.KeyArguments{Account: account, Label: "story", Lasts: 24 * time.Hour}).Key
	return p
}

// atLondon is a moment as clocks in London showed it.
func atLondon(t *testing.T, text string) *incident.Moment {
	t.Helper()
	m := incident.NewMoment(inLondon(t, text), "Europe/London")
	return &m
}

// reaches moves the clock on to a moment.
func (w *world) reaches(text string) {
	w.t.Helper()
	w.clock.Advance(inLondon(w.t, text).Sub(w.clock.Now()))
}

// TestALostLaptopIsFollowedToTheEnd: a technician opens the incident of a laptop
// that was left on a train, on the weekend on which clocks change. The deadline
// is a time on the wall and stays when it is corrected; the officer decides; the
// laptop shows as lost until it is found, and what was recorded is there in the
// end, after a rebuild too.
func TestALostLaptopIsFollowedToTheEnd(t *testing.T) {
	w := worldAt(t, inLondon(t, "2026-10-23 15:00"))
	c := w.collect()
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	w.imports("tag,what,host\nHB-LT-014,staff laptop,"+l.shown().Hostname+"\n", time.Time{})
	until(t, "the tag shows", func() bool { return l.shown().AssetTag == "HB-LT-014" })
	must(t, l.stop())
	w.reaches("2026-10-23 17:12")

	technician, head := w.callerOf(c, "Morgan Ellis", access.Technician), w.callerOf(c, "Jo Marsh", access.Head)
	governor := w.callerOf(c, "Sam Okafor", access.Governor)
	at := technician.school() + "/incidents"
	opens := api.NewIncident{Words: "left on the 16:20 train", Change: incident.Change{
		What: incident.Open, Kind: incident.LostDevice, Happened: atLondon(t, "2026-10-23 16:20"), Aware: atLondon(t, "2026-10-23 17:10"),
		Links: []incident.Link{{What: incident.Device, Device: l.shown().ID, Lost: true}, {What: incident.Asset, Name: "HB-LT-014", Lost: true}},
	}}
	if got := governor.ask(at, opens, nil); got != http.StatusForbidden {
		t.Errorf("a governor opens an incident: %d", got)
	}
	unknown := opens
	unknown.Change.Links = []incident.Link{{What: incident.Asset, Name: "HB-LT-099"}}
	if got := technician.ask(at, unknown, nil); got != http.StatusConflict {
		t.Errorf("of an asset that nobody has: %d", got)
	}
	ahead := opens
	ahead.Change.Aware = atLondon(t, "2026-10-23 17:30")
	if got := technician.ask(at, ahead, nil); got != http.StatusConflict {
		t.Errorf("of what is still to come: %d", got)
	}
	var made api.RecordedIncident
	if got := technician.ask(at, opens, &made); got != http.StatusCreated || made.Number != "2026-01" {
		t.Fatalf("the technician opens it: %d %+v", got, made)
	}
	// Another, before the first shows: its number is its own.
	second := w.records(collectorapp.IncidentChange{Words: "a stick, in the car park", Change: incident.Change{
		What: incident.Open, Kind: incident.FoundStick, Aware: atLondon(t, "2026-10-23 17:00"),
	}})
	if second.Number != "2026-02" || second.Due != "due Mon 26 Oct 2026 16:00 GMT, in 2 days 23 hours" {
		t.Errorf("the second: %+v", second)
	}
	if d := l.shown(); d.Lost == nil || d.Lost.Since.String() != "Fri 23 Oct 2026 16:20 BST" || d.Lost.Incident != "2026-01" {
		t.Errorf("the laptop shows %+v", d.Lost)
	}
	var devices view.DevicePage
	if got := head.ask(technician.school()+"/devices", nil, &devices); got != http.StatusOK || len(devices.Devices) != 1 || devices.Devices[0].Lost == nil {
		t.Errorf("the list shows %d %+v", got, devices)
	}

	w.decides(technician, head, at)
	w.isFound(l)
	same(w, "the incident", func() view.Incident { return w.incident("2026-01") })
	w.verified()
}

// decides has the deadline pass over the hour by which clocks change.
func (w *world) decides(technician, head caller, at string) {
	t := w.t
	t.Helper()
	if got := w.incident("2026-01").Due; got != "due Mon 26 Oct 2026 16:10 GMT, in 2 days 23 hours" {
		t.Errorf("at first it is %s", got)
	}
	w.reaches("2026-10-25 09:10") // clocks were put back in the night
	if got := w.incident("2026-01").Due; got != "due Mon 26 Oct 2026 16:10 GMT, in 1 day 7 hours" {
		t.Errorf("on Sunday it is %s", got)
	}
	technician, head = technician.renewed("Morgan Ellis"), head.renewed("Jo Marsh")
	note := api.NewIncident{Words: "not handed in", Change: incident.Change{What: incident.Spoke, Whom: "train company, lost property", When: atLondon(t, "2026-10-24 10:00")}}
	if got := technician.ask(at+"/2026-01/notes", note, nil); got != http.StatusCreated {
		t.Errorf("the technician notes whom he asked: %d", got)
	}
	tell := api.NewIncident{Words: "its disk was encrypted, and the key is safe", Change: incident.Change{What: incident.Tell, Audience: incident.Regulator, Answer: incident.No}}
	if got := technician.ask(at+"/2026-01/decisions", tell, nil); got != http.StatusForbidden {
		t.Errorf("the technician decides: %d", got)
	}
	if got := head.ask(at+"/2026-01/decisions", tell, nil); got != http.StatusCreated {
		t.Errorf("the head decides: %d", got)
	}
	correct := api.NewIncident{Words: "the office was told earlier", Change: incident.Change{What: incident.Correct, Aware: atLondon(t, "2026-10-23 16:50")}}
	if got := head.ask(at+"/2026-01/decisions", correct, nil); got != http.StatusCreated {
		t.Errorf("the head corrects: %d", got)
	}
	early := api.NewIncident{Words: "x", Change: incident.Change{What: incident.Correct, Aware: atLondon(t, "2026-10-23 16:00")}}
	if got := head.ask(at+"/2026-01/decisions", early, nil); got != http.StatusConflict {
		t.Errorf("aware before it happened: %d", got)
	}
	w.allShown()
	i := w.incident("2026-01")
	if len(i.Aware) != 2 || i.Aware[0].TellBy.String() != "Mon 26 Oct 2026 16:10 GMT" || i.Due != "due Mon 26 Oct 2026 15:50 GMT, in 1 day 6 hours" {
		t.Errorf("corrected it is %s, %+v", i.Due, i.Aware)
	}
	told, ok := i.Told(incident.Regulator)
	if !ok || told.Answer != incident.No || told.By != "Jo Marsh" || told.Words != tell.Words || told.Decided.String() != "Sun 25 Oct 2026 09:10 GMT" {
		t.Errorf("decided: %+v", told)
	}
	if len(i.Contacts) != 1 || i.Contacts[0].By != "Morgan Ellis" || i.Contacts[0].When.String() != "Sat 24 Oct 2026 10:00 BST" {
		t.Errorf("contacts: %+v", i.Contacts)
	}
	w.reaches("2026-10-26 18:00")
	if i := w.incident("2026-01"); i.Due != "was due Mon 26 Oct 2026 15:50 GMT, 2 hours 10 minutes ago" || !i.Over {
		t.Errorf("on Monday evening it %s", i.Due)
	}
}

// isFound closes the incident, and finds the laptop after that.
func (w *world) isFound(l *laptop) {
	t := w.t
	t.Helper()
	closes := collectorapp.IncidentChange{Incident: "2026-01", Words: "nothing was at risk", Change: incident.Change{What: incident.Close, Outcome: incident.Internal}}
	w.records(closes)
	if l.shown().Lost == nil {
		t.Error("closing the incident found the laptop")
	}
	if err := w.do("incident.change", closes, new(any)); err == nil || !strings.Contains(err.Error(), "is closed") {
		t.Errorf("closed twice: %v", err)
	}
	open := ask[view.IncidentPage](w, "incident.list", collectorapp.IncidentArguments{State: view.IncidentOpen})
	all := ask[view.IncidentPage](w, "incident.list", collectorapp.IncidentArguments{})
	if len(open.Incidents) != 1 || open.Incidents[0].Number != "2026-02" || len(all.Incidents) != 2 || all.Incidents[1].Number != "2026-01" {
		t.Errorf("listed: %+v of %+v", open, all)
	}
	// By its tag: the laptop that it is, is found with it.
	found := collectorapp.IncidentChange{Incident: "2026-01", Assets: []string{"hb-lt-014"}, Change: incident.Change{What: incident.Found}}
	w.records(found)
	if l.shown().Lost != nil {
		t.Errorf("found, it shows %+v", l.shown().Lost)
	}
	if err := w.do("incident.change", found, new(any)); err == nil || !strings.Contains(err.Error(), "not lost") {
		t.Errorf("found twice: %v", err)
	}
	i := w.incident("2026-01")
	for _, link := range i.Links {
		if len(link.Losses) != 1 || link.Losses[0].Since.String() != "Fri 23 Oct 2026 16:20 BST" || link.Losses[0].Found == nil {
			t.Errorf("its history: %+v", link)
		}
	}
	if err := w.do("incident.change", collectorapp.IncidentChange{Incident: "2026-09", Words: "x", Change: incident.Change{What: incident.Note}}, new(any)); err == nil ||
		!strings.Contains(err.Error(), `no incident "2026-09"`) {
		t.Errorf("of an incident that is none: %v", err)
	}
	// What names nobody is kept as long as the ledger, the words as incidents are.
	classes := map[string]string{}
	for _, e := range w.entries() {
		if i := slices.IndexFunc(e.Sections, func(s collectorapp.SectionView) bool { return s.Name == incident.Section }); i >= 0 {
			for _, s := range e.Sections {
				classes[s.Name] = s.Class
			}
		}
	}
	if classes[incident.Section] != "kept" || classes["decision"] != "incidents" {
		t.Errorf("kept as %v", classes)
	}
}

// TestAFoundStickIsAnIncident: a stick of the register is linked as lost by the
// console, with sealed evidence, and nothing that is not there can be linked.
func TestAFoundStickIsAnIncident(t *testing.T) {
	w := worldAt(t, inLondon(t, "2026-11-09 07:40"))
	w.collect()
	until(t, "the school shows", func() bool { return w.do("incident.list", collectorapp.IncidentArguments{}, new(any)) == nil })
	ask[collectorapp.RegisterAnswer](w, "register.change", collectorapp.RegisterArguments{Change: register.Change{
		What: register.RegisterMedium, Tag: "M-031", Issue: &register.Issue{Role: "Year 4 class teacher", Serials: []string{strings.Repeat("ab", 32)}},
	}})
	w.allShown()
	change := collectorapp.IncidentChange{
		Words: "found in the car park", Media: []string{"M-031"}, Evidence: []string{strings.Repeat("cd", 32)}, Lost: true,
		Change: incident.Change{What: incident.Open, Kind: incident.LostStick, Aware: atLondon(t, "2026-11-09 07:40")},
	}
	if got := w.records(change); got.Number != "2026-01" || got.TellBy.String() != "Thu 12 Nov 2026 07:40 GMT" {
		t.Errorf("opened: %+v", got)
	}
	i := w.incident("2026-01")
	if since, lost := i.Links[0].Lost(); len(i.Links) != 2 || !lost || since.String() != "Mon 9 Nov 2026 07:40 GMT" {
		t.Errorf("linked: %+v", i.Links)
	}
	change.Media = []string{"M-099"}
	if err := w.do("incident.change", change, new(any)); err == nil || !strings.Contains(err.Error(), "M-099") {
		t.Errorf("a stick that nobody registered: %v", err)
	}
	w.clock.Advance(time.Hour)
	w.records(collectorapp.IncidentChange{Incident: i.ID, Media: []string{"m-031"}, Words: "under a car", Change: incident.Change{What: incident.Found}})
	if _, lost := w.incident("2026-01").Links[0].Lost(); lost {
		t.Error("found, it is lost still")
	}
	w.verified()
}
