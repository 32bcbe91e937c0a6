package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/collector/access"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// looks lists who looked at what, as far as it is about a laptop or another single
// thing, the newest first.
func (w *world) looks(a collectorapp.ViewsArguments) (list []viewing.Look) {
	w.t.Helper()
	for _, l := range ask[view.LookPage](w, "views.list", a).Looks {
		if l.What.One() {
			list = append(list, l.Look)
		}
	}
	return list
}

// TestThoseWhoMonitorAreMonitored: a technician looks at a laptop that somebody has,
// on a page, by a program and at the console; the data-protection officer sees who
// looked, and while who had it; and still does after a restart and a rebuild.
func TestThoseWhoMonitorAreMonitored(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	w.imports("tag;host\r\nHB-014;"+l.shown().Hostname+"\r\n", monday)
	w.keeps(register.Change{What: register.Allocate, Tag: "HB-014", Allocation: &register.Allocation{Role: "Year 4 class teacher", Named: true}}, "Alex Fern")
	w.clock.Advance(2 * time.Hour) // what this test itself looked at was another look
	since := w.clock.Now()

	technician, governor := w.signIn(c, "technician"), w.signIn(c, "governor")
	program := w.callerOf(c, "Morgan Ellis", access.Technician)
	school := "/schools/" + string(l.shown().School)
	page := school + "/devices/" + l.device
	for range 3 {
		technician.shows(page, "HB-014")
		if got := program.ask(page, nil, new(view.DeviceDetail)); got != http.StatusOK {
			t.Fatalf("a program: %d", got)
		}
	}
	if code, _ := governor.get(page); code != http.StatusForbidden {
		t.Fatalf("a governor: %d", code)
	}
	if code, _ := technician.get(school + "/devices/d-nobody"); code != http.StatusNotFound {
		t.Fatalf("a laptop that there is not: %d", code)
	}
	for range 2 { // as a page does that stays open; by the second time it is another look
		w.clock.Advance(31 * time.Minute)
		technician.shows(page, "HB-014")
	}
	reported := w.records(collectorapp.IncidentChange{
		Words: "left on the train", Change: incident.Change{
			What: incident.Open, Kind: incident.Other, Aware: &incident.Moment{At: w.clock.Now(), Zone: "Europe/London"},
			Links: []incident.Link{{What: incident.Device, Device: posture.DeviceID(l.device)}},
		},
	})
	technician.shows(school+"/incidents/"+reported.Number, "left on the train")

	id := posture.DeviceID(l.device)
	key := strings.Split(program.key, "-")[1]
	want := []viewing.Look{
		{By: "the-technician", Way: viewing.Page, What: viewing.Incident, Name: reported.Number, Devices: []posture.DeviceID{id}},
		{By: "the-technician", Way: viewing.Page, What: viewing.Device, Name: l.device},
		{By: "Morgan Ellis", Key: key, Way: viewing.Program, What: viewing.Device, Name: l.device},
		{By: "the-technician", Way: viewing.Page, What: viewing.Device, Name: l.device},
	}
	asked := collectorapp.ViewsArguments{Person: "alex fern", From: since, To: w.clock.Now().Add(time.Hour)}
	all := func() (list []viewing.Look) {
		for _, one := range w.looks(asked) {
			if !strings.HasPrefix(one.By, "console:") {
				list = append(list, one)
			}
		}
		return list
	}
	until(t, "the looks show", func() bool { return len(all()) >= len(want) })
	if diff := cmp.Diff(want, all()); diff != "" {
		t.Errorf("who looked (-want +got):\n%s", diff)
	}

	officer := w.signIn(c, "dpo")
	views := school + "/privacy/views"
	reads := func(p *pages) {
		t.Helper()
		p.shows(views+"?laptop=HB-014", "the-technician", "Alex Fern, Year 4 class teacher", "By a program, with the key "+key)
		p.shows(views, "Who looked at what", "the-dpo") // who reads it is in it
	}
	reads(officer)
	if code, body := technician.get(views); code != http.StatusForbidden || strings.Contains(body, "Alex Fern") {
		t.Errorf("the technician reads who looked: %d", code)
	}
	same(w, "who looked", all)

	must(t, c.stop())
	ask[collectorapp.RebuildAnswer](w, "view.rebuild", struct{}{})
	if diff := cmp.Diff(want, all()); diff != "" {
		t.Errorf("rebuilt while no collector runs (-want +got):\n%s", diff)
	}
	c = w.collect()
	officer.web = strings.TrimSuffix(c.web, "/")
	reads(officer)
	for _, e := range ask[[]collectorapp.EntryView](w, "ledger.show", collectorapp.LedgerArguments{Count: 10_000}) {
		if e.Kind == proof.KindLook.String() && e.Subject != "" {
			t.Errorf("the envelope of entry %d says whom it is about: %q", e.Index, e.Subject)
		}
	}
	w.verified()
}

// TestWhoLookedIsForgottenInTime: after two years nothing says who looked, and
// nobody has it forgotten before.
func TestWhoLookedIsForgottenInTime(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	must(t, l.stop())
	must(t, c.stop())
	first := w.looks(collectorapp.ViewsArguments{Device: l.device})
	if len(first) == 0 {
		t.Fatal("nobody looked")
	}
	month := monday.Format("2006-01")
	w.clock.Advance(60 * 24 * time.Hour)
	ask[collectorapp.ForgetAnswer](w, "ledger.forget", collectorapp.ForgetArguments{Class: "people", Months: []string{month}, Reason: "tidying"})
	if diff := cmp.Diff(first, w.looks(collectorapp.ViewsArguments{Device: l.device, To: monday.Add(30 * 24 * time.Hour)})); diff != "" {
		t.Errorf("somebody had it forgotten (-want +got):\n%s", diff)
	}
	w.clock.Advance(750 * 24 * time.Hour)
	ask[collectorapp.PurgesAnswer](w, "retention.run", collectorapp.RetentionArguments{})
	if got := w.looks(collectorapp.ViewsArguments{Device: l.device, To: monday.Add(30 * 24 * time.Hour)}); len(got) > 0 {
		t.Errorf("after two years: %+v", got)
	}
	w.verified()
}
