package e2e

import (
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/notify"
	"github.com/caretaker-school/caretaker/collector/notify/notifytest"
	"github.com/caretaker-school/caretaker/collector/view"
)

// stranger is somebody with a browser and no account.
func (w *world) stranger(c *collector) *pages {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	must(w.t, err)
	return &pages{t: w.t, web: strings.TrimSuffix(c.web, "/"), http: &http.Client{Jar: jar}}
}

// sends posts a form and returns where it led.
func (p *pages) sends(path string, form url.Values) string {
	p.t.Helper()
	answer, err := p.http.PostForm(p.web+path, form)
	must(p.t, err)
	must(p.t, answer.Body.Close())
	if answer.StatusCode != http.StatusOK {
		p.t.Fatalf("%s answered %s", path, answer.Status)
	}
	return answer.Request.URL.Path
}

// TestAReportWithoutSigningInBecomesAnIncident: at half past nine in the evening
// a teacher who has no password at hand reports a lost laptop. The technician is
// told by mail, opens the incident from the report in one step, and its 72 hours
// are counted from when the teacher reported it.
func TestAReportWithoutSigningInBecomesAnIncident(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	server := w.mails()
	w.tells(notify.Mail, office, "technician")
	l := w.laptop("hb-lt-014", "encrypted-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	school := string(w.only())
	technician := w.signIn(c, "technician")
	teacher := w.stranger(c)

	if status, _ := teacher.get("/report/k7qm2-xhd4r"); status != http.StatusNotFound {
		t.Errorf("before the school has an address, one leads to %d", status)
	}
	ask[view.ConcernAddress](w, "concern.address", collectorapp.ConcernArguments{School: school, Renew: true})
	address := ask[view.ConcernAddress](w, "concern.address", collectorapp.ConcernArguments{School: school})
	at := "/report/" + strings.ToLower(address.Address)
	teacher.shows(at, "Report something lost or suspicious", schoolName)

	reported := w.clock.Now()
	named := l.shown().Hostname
	led := teacher.sends(at, url.Values{"kind": {"lost"}, "thing": {named}, "reason": {"Left on the 16:20 train."}, "from": {"Alex Rowan"}})
	reference, ok := strings.CutPrefix(led, at+"/")
	if !ok {
		t.Fatalf("the report led to %s", led)
	}
	teacher.shows(led, "Your report was taken", reference)
	if nobodys := teacher.sends(at, url.Values{"kind": {"suspicious"}, "thing": {"HB-LT-999"}, "reason": {"There is no such laptop."}}); len(nobodys) != len(led) {
		t.Errorf("a report of a laptop that there is not led to %s", nobodys)
	}
	until(t, "both reports show", func() bool {
		return len(ask[view.ConcernPage](w, "concern.list", collectorapp.ConcernArguments{School: school, Waiting: true}).Concerns) == 2
	})
	if d := l.shown(); d.Lost != nil {
		t.Fatalf("a stranger marked the laptop lost: %+v", d.Lost)
	}

	const told = "Reported without signing in, and not yet looked at: 2 reports"
	var letter notifytest.Letter
	w.untilPassing(5*time.Minute, "a letter tells of the reports", func() bool {
		letters := alerts(server)
		i := slices.IndexFunc(letters, func(l notifytest.Letter) bool { return strings.Contains(l.Data, told) })
		if i >= 0 {
			letter = letters[i]
		}
		return i >= 0
	})
	if strings.Contains(letter.Data, "Rowan") || strings.Contains(letter.Data, "train") {
		t.Errorf("the letter is %s", letter.Data)
	}
	incidents := "/schools/" + school + "/incidents"
	technician.shows(incidents, "2 reports not yet looked at")
	technician.shows(incidents+"/reports/"+reference, "Alex Rowan", "Nobody has looked at it yet", named)
	london, err := time.LoadLocation("Europe/London")
	must(t, err)
	local := reported.In(london)
	opened := technician.sends(incidents, url.Values{
		"concern": {reference}, "kind": {"lost-device"}, "device": {named}, "reason": {"Left on the 16:20 train."},
		"aware-day": {local.Format(time.DateOnly)}, "aware-time": {local.Format("15:04")},
	})
	i := w.incident(strings.TrimPrefix(opened, incidents+"/"))
	if by, known := i.TellBy(); !known || by.At.Sub(reported) > 72*time.Hour || by.At.Sub(reported) < 72*time.Hour-time.Second {
		t.Errorf("reported %s, and the regulator is to be told by %s", reported, by)
	}
	if d := l.shown(); d.Lost == nil || d.Lost.Incident != i.Number {
		t.Errorf("after the incident was opened the laptop is %+v", d.Lost)
	}
	technician.shows(incidents+"/reports/"+reference, "Incident "+i.Number)
	w.isAnsweredOnce(school, reference)

	// The address is made anew: what is printed leads nowhere, the record is whole.
	ask[view.ConcernAddress](w, "concern.address", collectorapp.ConcernArguments{School: school, Renew: true, Reason: "misused"})
	if status, _ := teacher.get(at); status != http.StatusNotFound {
		t.Errorf("the address before leads to %d", status)
	}
	ask[json.RawMessage](w, "view.rebuild", struct{}{})
	until(t, "the reports show again", func() bool {
		all := ask[view.ConcernPage](w, "concern.list", collectorapp.ConcernArguments{School: school}).Concerns
		return len(all) == 2 && all[1].Incident == i.Number && all[0].Aside.Reason == "there is no such laptop"
	})
	// Laptops that connect from then on show where, to whoever sits at them.
	now := ask[view.ConcernAddress](w, "concern.address", collectorapp.ConcernArguments{School: school})
	other := w.laptop("hb-lt-022", "encrypted-laptop", c.agents)
	until(t, "a laptop says where a loss is reported", func() bool {
		return other.status().ReportPage == "https://caretaker.hollybank.example/report/"+now.Address
	})
	w.verified()
}

// isAnsweredOnce checks that one report is not made two incidents of, nor set
// aside afterwards, and sets the other aside.
func (w *world) isAnsweredOnce(school, reference string) {
	w.t.Helper()
	again := collectorapp.IncidentChange{School: school, Words: "again", Change: incident.Change{What: incident.Open, Kind: incident.Other, Concern: reference}}
	if err := w.do("incident.change", again, new(collectorapp.IncidentAnswer)); err == nil || !strings.Contains(err.Error(), "was opened because of report "+reference+" already") {
		w.t.Errorf("a second incident: %v", err)
	}
	aside := collectorapp.ConcernArguments{School: school, References: []string{reference}, Reason: "a hoax"}
	if err := w.do("concern.set-aside", aside, new(collectorapp.ConcernAnswer)); err == nil || !strings.Contains(err.Error(), "already") {
		w.t.Errorf("set aside after the incident: %v", err)
	}
	waiting := ask[view.ConcernPage](w, "concern.list", collectorapp.ConcernArguments{School: school, Waiting: true}).Concerns
	if len(waiting) != 1 {
		w.t.Fatalf("waiting: %+v", waiting)
	}
	ask[collectorapp.ConcernAnswer](w, "concern.set-aside", collectorapp.ConcernArguments{School: school, References: []string{strings.ToLower(waiting[0].ID)}, Reason: "there is no such laptop"})
}
