package e2e

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/api"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/subject"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// christmas is a calendar with the holiday that the month of the request spans.
const christmas = `name: Hollybank Primary School, 2026/27
zone: Europe/London
from: 2026-09-01
to: 2027-03-25
terms:
  - {name: Autumn term, from: 2026-09-03, to: 2026-12-18}
  - {name: Spring term, from: 2027-01-05, to: 2027-03-25}
holidays:
  - {name: Christmas, from: 2026-12-19, to: 2027-01-04}
`

// Two names that can be found among bytes: who asks, and who has the same laptops
// before and after.
const (
	asker  = "Zq. Rowanxk"
	nobody = "Pw. Elsewherexk"
)

// s10Autumn is what is known by December: a laptop that was somebody else's, then
// the asker's, then somebody else's again, and one of the trolley that several use.
func s10Autumn(t *testing.T, w *world, c *collector) (own, shared *laptop) {
	t.Helper()
	own, shared = w.laptop("own", "windows-laptop-suspended", c.agents), w.laptop("shared", "plain-laptop", c.agents)
	until(t, "both report", func() bool { return own.shown().LastReport >= 1 && shared.shown().LastReport >= 1 })
	w.imports("tag,what,class\nHB-LT-014,Dell Latitude 5440,SS\nHB-TR-001,Dell Latitude 3140,SM\n", time.Time{})
	w.keeps(register.Change{What: register.Tie, Tag: "HB-LT-014", Device: posture.DeviceID(own.device)}, "")
	w.keeps(register.Change{What: register.Tie, Tag: "HB-TR-001", Device: posture.DeviceID(shared.device)}, "")
	ask[collectorapp.GroupAnswer](w, "device.class", collectorapp.GroupArguments{Devices: []string{shared.device}, Class: "school-multi-user", Reason: "of the trolley"})
	gives := func(tag, person string) {
		w.keeps(register.Change{What: register.Allocate, Tag: tag, Allocation: &register.Allocation{Role: "Class teacher"}}, person)
	}
	back := func(tag string) { w.keeps(register.Change{What: register.HandBack, Tag: tag}, "") }
	gives("HB-LT-014", nobody)
	own.at(w.clock.Now().Add(24 * time.Hour))
	back("HB-LT-014")
	w.clock.Advance(time.Hour)
	gives("HB-LT-014", asker)
	gives("HB-TR-001", asker)
	ask[collectorapp.RegisterAnswer](w, "register.change", collectorapp.RegisterArguments{Person: asker, Change: register.Change{
		What: register.AcknowledgeUse, Use: &register.Acknowledgement{Role: "Class teacher", Version: "2026"},
	}})
	said := own.shown().LastReport
	own.becomes("windows-laptop-with-stick")
	own.at(w.clock.Now().Add(24 * time.Hour))
	until(t, "the asker's stick is reported", func() bool { return own.shown().LastReport > said })
	ask[collectorapp.ExemptionAnswer](w, "exemption.ask", collectorapp.AskExemptionArguments{
		Rule: "USB-02", Device: own.device, Until: w.clock.Now().Add(30 * 24 * time.Hour), Reason: "their own stick, while the school's is on order",
	})
	opened := ask[collectorapp.IncidentAnswer](w, "incident.change", collectorapp.IncidentChange{Words: "Robin Hale saw it in an open car.", Change: incident.Change{
		What: incident.Open, Kind: incident.Other, Aware: momentNow(w), Happened: momentNow(w), Links: []incident.Link{{What: incident.Device, Device: posture.DeviceID(own.device)}},
	}})
	if opened.Number == "" {
		t.Fatalf("the incident is %+v", opened)
	}
	w.clock.Advance(2 * time.Hour)
	w.allShown()
	w.signIn(c, "technician").shows("/schools/"+string(w.only())+"/devices/"+own.device, "HB-LT-014")
	own.at(w.clock.Now().Add(24 * time.Hour))
	back("HB-LT-014")
	back("HB-TR-001")
	w.clock.Advance(time.Hour)
	gives("HB-LT-014", nobody)
	gives("HB-TR-001", nobody)
	said = own.shown().LastReport
	own.becomes("windows-laptop-suspended")
	own.at(w.clock.Now().Add(48 * time.Hour))
	until(t, "the next user's laptop reports", func() bool { return own.shown().LastReport > said })
	return own, shared
}

func momentNow(w *world) *incident.Moment {
	m := incident.NewMoment(w.clock.Now(), "Europe/London")
	return &m
}

// TestS10 is "Subject access": somebody who left a laptop behind asks in the
// corridor, on the last day before Christmas.
func TestS10(t *testing.T) {
	w := worldAt(t, inLondon(t, "2026-12-07 09:00"))
	c := w.collect()
	until(t, "the school shows", func() bool { return w.do("calendar.show", collectorapp.CalendarArguments{}, new(any)) == nil })
	ask[collectorapp.CalendarAnswer](w, "calendar.set", collectorapp.CalendarArguments{File: "christmas.yaml", Source: []byte(christmas)})
	own, shared := s10Autumn(t, w, c)
	w.to("2026-12-18 15:40")
	w.allShown()
	dpo, head, technician := w.callerOf(c, "Priya Anand", access.DPO), w.callerOf(c, "Sam Okafor", access.Head), w.callerOf(c, "Morgan Ellis", access.Technician)
	at := "/schools/" + string(w.only()) + "/subject-requests"

	// Given a verbal request, which the head was asked;
	asked := api.NewRequestChange{Change: subject.Change{What: subject.Receive, Name: asker, How: subject.Spoken, On: "2026-12-18"}, Reason: "asked in the corridor"}
	if got := technician.ask(at, asked, nil); got != http.StatusForbidden {
		t.Errorf("a technician records a request: %d", got)
	}
	var request api.Request
	if got := head.ask(at, asked, &request); got != http.StatusCreated || request.ID == "" {
		t.Fatalf("the head records it: %d %+v", got, request)
	}

	// when the DPO selects the person;
	var people api.People
	if got := dpo.ask(at+"/people", nil, &people); got != http.StatusOK || len(people.People) != 2 {
		t.Fatalf("whom the register names: %d %+v", got, people)
	}
	began := w.clock.Now()
	selected := api.NewExport{People: []string{asker}}
	for who, p := range map[string]caller{"a technician": technician, "the head": head} {
		for _, path := range []string{"/people", "/" + request.ID + "/export"} {
			if got := p.ask(at+path, nil, nil); got != http.StatusForbidden {
				t.Errorf("%s reads %s: %d", who, path, got)
			}
		}
		if got := p.ask(at+"/"+request.ID+"/exports", selected, nil); got != http.StatusForbidden {
			t.Errorf("%s gathers: %d", who, got)
		}
	}
	if got := dpo.ask(at+"/"+request.ID+"/exports", api.NewExport{People: []string{"Somebody Else"}}, nil); got != http.StatusConflict {
		t.Errorf("a name that the register does not have: %d", got)
	}
	var made api.Request
	if got := dpo.ask(at+"/"+request.ID+"/exports", selected, &made); got != http.StatusCreated || len(made.Exports()) != 1 {
		t.Fatalf("gathering: %d %+v", got, made)
	}
	var export api.Export
	if got := dpo.ask(at+"/"+request.ID+"/export", nil, &export); got != http.StatusOK || export.Digest != made.Exports()[0].Digest || subject.Digest(export.File) != export.Digest {
		t.Fatalf("reading it: %d %+v", got, export)
	}
	sheet, err := subject.Decode(export.File)
	must(t, err)
	s10Sheet(t, sheet, export.File, own, shared)

	// then in 10 minutes they get it: nobody waits for anything but the collector.
	if took := w.clock.Now().Sub(began); took > 10*time.Minute {
		t.Errorf("it took %s", took)
	}

	// deadline counts holidays: the month runs over Christmas and ends on a Monday.
	if request.Clock.Due != "2027-01-18" || request.Clock.Left != 31 || !strings.Contains(request.Words, "Mon 18 Jan 2027") {
		t.Errorf("the clock: %+v %q", request.Clock, request.Words)
	}

	// The same by the command, for the same account, and nothing without its key.
	if err := w.do("subject.list", collectorapp.SubjectArguments{}, new(any)); err == nil || !strings.Contains(err.Error(), "access key") {
		t.Errorf("the console without a key: %v", err)
	}
	if err := w.do("subject.list", collectorapp.SubjectArguments{Key: technician.key}, new(any)); err == nil || !strings.Contains(err.Error(), "may not") {
		t.Errorf("the console with a technician's key: %v", err)
	}
	again := ask[api.Export](w, "subject.sheet", collectorapp.SubjectArguments{Key: dpo.key, ID: request.ID})
	if !bytes.Equal(again.File, export.File) {
		t.Error("read again it is another file")
	}
	s10Pages(t, w, c, request.ID)
	s10Ends(t, w, c, dpo, at, request.ID, export)
}

// s10Sheet is what is in it, and what is not.
func s10Sheet(t *testing.T, sheet subject.Sheet, file []byte, own, shared *laptop) {
	t.Helper()
	// allocations,
	if len(sheet.Had) != 2 || sheet.Had[0].Back.IsZero() || len(sheet.Uses) != 1 || sheet.Uses[0].Version != "2026" {
		t.Errorf("allocations: %+v, rules of use %+v", sheet.Had, sheet.Uses)
	}
	had := sheet.Had[0]
	within := func(what string, at time.Time) {
		t.Helper()
		if at.Before(had.From) || at.After(had.Back) {
			t.Errorf("%s of %s is outside %s to %s", what, at, had.From, had.Back)
		}
	}
	// findings during them,
	if len(sheet.Findings) == 0 || len(sheet.Breaches) == 0 || len(sheet.Media) == 0 {
		t.Errorf("%d findings, %d breaches, %d media:\n%s", len(sheet.Findings), len(sheet.Breaches), len(sheet.Media), file)
	}
	for _, f := range sheet.Findings {
		within("a finding", f.From)
		within("a finding", f.To)
	}
	for _, b := range sheet.Breaches {
		within("a breach", b.From)
		within("a breach", b.To)
	}
	for _, m := range sheet.Media {
		within("a medium", m.At)
	}
	// exemptions,
	if len(sheet.Exemptions) != 1 || sheet.Exemptions[0].Rule != "USB-02" || sheet.Exemptions[0].Tag != "HB-LT-014" {
		t.Errorf("exemptions: %+v", sheet.Exemptions)
	}
	// incidents flagged for third-party redaction,
	if len(sheet.Incidents) != 1 || len(sheet.Incidents[0].Texts) == 0 || sheet.Incidents[0].Texts[0] != (subject.Text{Words: "Robin Hale saw it in an open car.", Check: true}) {
		t.Errorf("incidents: %+v", sheet.Incidents)
	}
	// who viewed them;
	if len(sheet.Looks) == 0 {
		t.Error("nobody has viewed them")
	}
	viewed := false
	for _, l := range sheet.Looks {
		within("a look", l.At)
		viewed = viewed || l.By == "the-technician" && l.What == "device"
	}
	if !viewed {
		t.Errorf("the technician is not among %+v", sheet.Looks)
	}
	// no other users of shared devices;
	for _, other := range []string{nobody, "Elsewherexk", shared.device} {
		if bytes.Contains(file, []byte(other)) {
			t.Errorf("the sheet holds %q", other)
		}
	}
	if len(sheet.Shared) != 1 || sheet.Shared[0].Tag != "HB-TR-001" {
		t.Errorf("left out: %+v", sheet.Shared)
	}
	for _, f := range sheet.Findings {
		if f.Tag != "HB-LT-014" {
			t.Errorf("of the trolley's laptop: %+v", f)
		}
	}
}

// s10Ends follows the request to its end, and what was gathered until it is
// forgotten.
func s10Ends(t *testing.T, w *world, c *collector, dpo caller, at, id string, export api.Export) {
	t.Helper()
	answered := api.NewRequestChange{Change: subject.Change{What: subject.Answered, On: "2026-12-18"}, Reason: "given by hand"}
	if got := dpo.ask(at+"/"+id+"/changes", answered, nil); got != http.StatusConflict {
		t.Errorf("given to somebody of whom nobody knows who they are: %d", got)
	}
	for _, change := range []subject.Change{{What: subject.Identified, On: "2026-12-18"}, {What: subject.Answered, On: "2026-12-18"}} {
		if got := dpo.ask(at+"/"+id+"/changes", api.NewRequestChange{Change: change, Reason: "known to the office"}, nil); got != http.StatusCreated {
			t.Errorf("%s: %d", change.What, got)
		}
	}
	holds := func() bool {
		found := false
		must(t, filepath.WalkDir(filepath.Join(w.data, "schools"), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			found = found || bytes.Contains(data, export.File[:64])
			return err
		}))
		return found
	}
	if !holds() {
		t.Error("what was gathered is in no file of the school")
	}
	w.to("2027-01-17 16:00")
	w.allShown()
	ask[collectorapp.PurgesAnswer](w, "retention.run", collectorapp.RetentionArguments{}) // unless the night did
	w.allShown()
	purged := ask[collectorapp.RetentionAnswer](w, "retention.show", collectorapp.RetentionArguments{})
	counted := false
	for _, p := range purged.Purges {
		counted = counted || p.Item == "exports" && p.Forgotten == 1
	}
	if !counted || holds() {
		t.Errorf("after thirty days: %+v, in a file: %v", purged.Purges, holds())
	}
	w.allShown()
	later := dpo.renewed("Priya Anand")
	var gone api.Export
	if got := later.ask(at+"/"+id+"/export", nil, &gone); got != http.StatusOK || !gone.Forgotten || len(gone.File) != 0 || gone.Digest != export.Digest {
		t.Errorf("reading what is forgotten: %d %+v", got, gone)
	}
	var request api.Request
	if got := later.ask(at+"/"+id, nil, &request); got != http.StatusOK || request.End != subject.Answered {
		t.Errorf("the request: %d %+v", got, request)
	}
	if entries := ask[view.LookPage](w, "views.list", collectorapp.ViewsArguments{}); len(entries.Looks) == 0 {
		t.Error("nobody has looked at the export")
	}
}

// s10Pages is the same in a browser: who asked, by when, and what was gathered.
func s10Pages(t *testing.T, w *world, c *collector, id string) {
	t.Helper()
	at := "/schools/" + string(w.only()) + "/privacy"
	officer := w.signIn(c, "dpo")
	officer.shows(at, "Requests of people for their data", "Privacy notice for staff")
	officer.shows(at+"/requests", asker, "Due by the end of Mon 18 Jan 2027", "In words, spoken")
	officer.shows(at+"/requests/"+id, "asked in the corridor", "Read what was gathered", "Every name under which the school has them")
	officer.shows(at+"/requests/"+id+"/export", "Look for other people before this is given out", "Robin Hale saw it in an open car.", "HB-LT-014", "Left out", "Kept of nobody")
	if _, page := officer.get(at + "/requests/" + id + "/export"); strings.Contains(page, nobody) {
		t.Error("the page names another user")
	}
	staff := w.signIn(c, "business-manager")
	for _, page := range []string{"/requests", "/requests/" + id, "/requests/" + id + "/export", "/requests/" + id + "/export/file"} {
		if status, _ := staff.get(at + page); status != http.StatusForbidden {
			t.Errorf("a business manager at %s: %d", page, status)
		}
	}
}
