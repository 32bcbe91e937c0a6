package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/api"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/calendar"
	"github.com/caretaker-school/caretaker/collector/view"
)

// springTerm is the invented school's calendar for the spring of 2027.
const springTerm = `name: Hollybank Primary School, spring 2027
zone: Europe/London
from: 2027-01-01
to: 2027-04-11
terms:
  - {name: Spring term, from: 2027-01-05, to: 2027-03-25}
holidays:
  - {name: Half-term, from: 2027-02-15, to: 2027-02-19}
`

// lockAndDisk is a policy with a rule that can wait for a school day, and one
// that cannot.
const lockAndDisk = `name: hollybank
title: Hollybank's own rules
rules:
  - id: HB-LOCK
    title: Locks itself
    require: facts.security.screenLock && facts.security.screenLockAfter <= duration("10m")
    severity: high
    grace: 7 school days
    classes: [SS, SM, AU]
    clauses: [C5]
    met: It locks itself.
    notMet: It does not lock itself within ten minutes.
    remediation: Set it to lock itself.
  - id: HB-DISK
    title: System disk encrypted
    for: volume
    when: volume.role == "system"
    require: volume.encryption == "full"
    severity: high
    grace: 7d
    classes: [SS, SM, AU]
    clauses: [C1]
    met: It is encrypted.
    notMet: It is not encrypted.
    remediation: Encrypt it.
`

func london(t *testing.T, text string) time.Time {
	t.Helper()
	zone, err := time.LoadLocation("Europe/London")
	must(t, err)
	at, err := time.ParseInLocation("2006-01-02 15:04", text, zone)
	must(t, err)
	return at
}

// TestGraceWaitsForTheSchoolToOpen: on the Thursday before half-term a laptop is
// enrolled that does not lock itself and whose disk is not encrypted. In the
// holiday the disk becomes a policy breach and the lock waits; then the boiler
// bursts, and the head closes the school for another week.
func TestGraceWaitsForTheSchoolToOpen(t *testing.T) {
	w := newWorld(t)
	thursday := london(t, "2027-02-11 08:05")
	w.clock.Advance(thursday.Sub(monday))
	c := w.collect()
	if err := w.do("policy.publish", collectorapp.PublishArguments{
		File: "hollybank.yaml", Source: []byte(strings.Replace(lockAndDisk, "grace: 7d", "grace: 7 school days", 1)),
	}, new(any)); err == nil || !strings.Contains(err.Error(), "hollybank.yaml:20:12: the grace of HB-DISK may not pause in the holidays") {
		t.Errorf("encryption that waits for a school day was published: %v", err)
	}
	ask[collectorapp.PublishAnswer](w, "policy.publish", collectorapp.PublishArguments{File: "hollybank.yaml", Source: []byte(lockAndDisk)})
	if s := ask[[]collectorapp.SchoolStatus](w, "status", struct{}{}); !strings.Contains(s[0].Calendar, "there is no term calendar") {
		t.Errorf("without a calendar status says %q", s[0].Calendar)
	}
	set := ask[collectorapp.CalendarAnswer](w, "calendar.set", collectorapp.CalendarArguments{File: "spring.yaml", Source: []byte(springTerm)})
	if set.To.String() != "2027-04-11" || set.Warning != "" {
		t.Errorf("set %+v", set)
	}
	l := w.laptop("laptop", "plain-laptop", c.agents)
	technician, head := w.callerOf(c, "Morgan Ellis", access.Technician), w.callerOf(c, "Alex Reid", access.Head)
	school := technician.school()
	breachOf := func(rule string) view.Breach {
		t.Helper()
		var page view.BreachPage
		if got := technician.ask(school+"/breaches?rule="+rule, nil, &page); got != http.StatusOK || len(page.Breaches) > 1 {
			t.Fatalf("the breaches of %s: %d %+v", rule, got, page)
		}
		return append(page.Breaches, view.Breach{})[0]
	}
	stand := func(lock, disk breach.Status, ends string) {
		t.Helper()
		if got := breachOf("HB-LOCK"); got.Status != lock || !got.GraceEnds.Equal(london(t, ends)) {
			t.Errorf("on %s the lock is %s and its grace ends %s; want %s and %s", w.clock.Now(), got.Status, got.GraceEnds, lock, ends)
		}
		if got := breachOf("HB-DISK"); got.Status != disk || !got.GraceEnds.Equal(london(t, "2027-02-18 08:05")) {
			t.Errorf("on %s the disk is %s and its grace ends %s; want %s", w.clock.Now(), got.Status, got.GraceEnds, disk)
		}
	}
	until(t, "both failures show", func() bool { return breachOf("HB-LOCK").Rule != "" && breachOf("HB-DISK").Rule != "" })
	stand(breach.Pending, breach.Pending, "2027-03-01 08:05")

	// Keys last a day here; the story does not.
	later := func(text string) {
		t.Helper()
		l.at(london(t, text))
		for name, p := range map[string]*caller{"Morgan Ellis": &technician, "Alex Reid": &head} {
			p.key = ask[collectorapp.KeyAnswer](w, "key.create", collectorapp.KeyArguments{Account: name, Label: "since " + text, Lasts: 24 * time.Hour}).Key
		}
	}
	later("2027-02-18 09:00")
	stand(breach.Pending, breach.Open, "2027-03-01 08:05")
	closed := strings.Replace(springTerm, "to: 2027-02-19", "to: 2027-02-26", 1)
	set2 := api.NewCalendar{Source: closed, Reason: "the boiler burst"}
	if got := technician.ask(school+"/calendar", set2, nil); got != http.StatusForbidden {
		t.Errorf("a technician closes the school: %d", got)
	}
	if got := head.ask(school+"/calendar", api.NewCalendar{Source: strings.Replace(closed, "zone", "zome", 1), Reason: "a slip"}, nil); got != http.StatusBadRequest {
		t.Errorf("a calendar with a fault: %d", got)
	}
	if got := head.ask(school+"/calendar", set2, nil); got != http.StatusCreated {
		t.Fatalf("the head closes the school: %d", got)
	}
	until(t, "another week is a holiday", func() bool { return breachOf("HB-LOCK").GraceEnds.Equal(london(t, "2027-03-08 08:05")) })
	if got := head.ask(school+"/calendar", set2, nil); got != http.StatusConflict {
		t.Errorf("the same calendar again: %d", got)
	}
	var known view.Calendar
	if got := technician.ask(school+"/calendar", nil, &known); got != http.StatusOK || known.Today.Kind != calendar.Holiday || known.Today.Name != "Half-term" {
		t.Errorf("the calendar: %d %+v", got, known.Today)
	}
	if len(known.History) != 2 || known.History[0].By != "Alex Reid" || known.History[0].Reason != "the boiler burst" || known.History[1].Source != springTerm {
		t.Errorf("the calendars that were set: %+v", known.History)
	}

	later("2027-03-01 09:00")
	stand(breach.Pending, breach.Open, "2027-03-08 08:05")
	pending := func() (n int) {
		for _, b := range w.overview(technician).Breaches {
			if b.Status == breach.Pending {
				n += b.Count
			}
		}
		return n
	}
	if got := pending(); got != 1 {
		t.Errorf("the overview counts %d breaches in grace", got)
	}
	same(w, "the overview in the holiday", func() view.Overview { return w.overview(technician) })
	later("2027-03-08 09:00")
	stand(breach.Open, breach.Open, "2027-03-08 08:05")
	if o := w.overview(technician); pending() != 0 || !strings.Contains(o.CalendarWarning, "ends on 11 April 2027") {
		t.Errorf("the overview counts %d breaches in grace and says %q", pending(), o.CalendarWarning)
	}
	same(w, "the lock", func() view.Breach { return breachOf("HB-LOCK") })
	w.verified()
}

// doingCalendar sets a calendar and shows it. It ended long ago, so that what is
// said of it does not depend on the day.
func doingCalendar(t *testing.T, person string, do func(args ...string) string) {
	t.Helper()
	text, err := os.ReadFile("testdata/calendar.yaml")
	must(t, err)
	file := filepath.Join(t.TempDir(), "calendar.yaml")
	must(t, os.WriteFile(file, []byte(strings.Replace(string(text), "Closed for", "Closed by "+person+" for", 1)), 0o600))
	do("calendar", "set", file, "--school", schoolName)
	do("calendar", "show", "--school", schoolName)
}

func (w *world) overview(p caller) (o view.Overview) {
	w.t.Helper()
	if got := p.ask(p.school()+"/overview", nil, &o); got != http.StatusOK {
		w.t.Fatalf("the overview: %d", got)
	}
	o.At = time.Time{}
	return o
}
