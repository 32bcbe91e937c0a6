package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/api"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
)

// schoolYear is the invented school's calendar around a summer.
const schoolYear = `name: Hollybank Primary School, 2027/28
zone: Europe/London
from: 2027-07-01
to: 2028-07-21
terms:
  - {name: Summer term, from: 2027-07-01, to: 2027-07-22}
  - {name: Autumn term, from: 2027-09-02, to: 2027-12-17}
  - {name: Spring term, from: 2028-01-04, to: 2028-03-31}
  - {name: Summer term, from: 2028-04-18, to: 2028-07-21}
`

// leaver is a name that can be found among bytes.
const leaver = "Zq. Rowanxk"

// to moves the clock to a moment in London.
func (w *world) to(text string) {
	w.t.Helper()
	w.clock.Advance(london(w.t, text).Sub(w.clock.Now()))
}

// rule returns the breach of a rule on the only device, or none.
func (w *world) rule(device, rule string) view.Breach {
	w.t.Helper()
	for _, b := range ask[view.BreachPage](w, "breach.list", collectorapp.ListArguments{Device: device}).Breaches {
		if b.Rule == rule {
			return b
		}
	}
	return view.Breach{}
}

// TestS8 is "Leaver": a teacher leaves on 31 August.
func TestS8(t *testing.T) {
	w := worldAt(t, inLondon(t, "2027-07-19 09:00"))
	c := w.collect()
	ask[collectorapp.CalendarAnswer](w, "calendar.set", collectorapp.CalendarArguments{File: "year.yaml", Source: []byte(schoolYear)})
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport >= 1 })
	w.imports("tag,what,class,host\nHB-LT-014,Dell Latitude 5440,SS,"+l.shown().Hostname+"\n", time.Time{})
	w.keeps(register.Change{What: register.Allocate, Tag: "HB-LT-014", Allocation: &register.Allocation{Role: "Year 4 class teacher"}}, leaver)
	ask[collectorapp.RegisterAnswer](w, "register.change", collectorapp.RegisterArguments{Person: leaver, Change: register.Change{
		What: register.AcknowledgeUse, Use: &register.Acknowledgement{Role: "Year 4 class teacher", Version: "2027"},
	}})
	if got := standing(l.shown(), "LIF-04"); got != view.Met {
		t.Errorf("the rules of use are acknowledged, and LIF-04 is %s", got)
	}
	reports := l.shown().LastReport
	must(t, l.stop())

	// Given a teacher leaves 31 Aug; when the leaver is recorded, in July,
	w.to("2027-07-20 10:00")
	leaves := func(on string) collectorapp.RegisterArguments {
		return collectorapp.RegisterArguments{On: on, Change: register.Change{What: register.Left, Tag: "HB-LT-014"}}
	}
	refusedWith(t, w.do("register.change", leaves("2028-08-31"), new(any)), "a year ahead at most")
	ask[collectorapp.RegisterAnswer](w, "register.change", leaves("2027-08-13")) // a slip,
	ask[collectorapp.RegisterAnswer](w, "register.change", collectorapp.RegisterArguments{Change: register.Change{What: register.Stays, Tag: "HB-LT-014"}})
	if a := w.asset("HB-LT-014"); a.Leaver != nil || a.Leaves || a.Held == nil {
		t.Errorf("taken back: %+v", a)
	}
	early := w.callerOf(c, "Robin Falk", access.Technician)
	if got := early.ask(early.school()+"/register", api.NewChange{
		Change: register.Change{What: register.Left, Tag: "HB-LT-014", When: london(t, "2027-08-13 16:00")}, Reason: "another slip",
	}, nil); got != http.StatusCreated {
		t.Errorf("recorded ahead through the API: %d", got)
	}
	ask[collectorapp.RegisterAnswer](w, "register.change", leaves("2027-08-31")) // and corrected
	w.allShown()

	// then a checklist runs (returned, data moved, wiped by method, accounts
	// removed, two signatures)
	if a := w.asset("HB-LT-014"); a.Leaver == nil || !a.Leaves || len(a.Leaver.Missing()) != 4 || !a.Leaver.Left.Equal(london(t, "2027-09-01 00:00")) {
		t.Fatalf("the checklist is %+v", a.Leaver)
	}
	// and nothing fails while they have it: they leave when the day is over.
	for _, at := range []string{"2027-07-21 10:00", "2027-08-13 20:00", "2027-08-31 23:59"} {
		w.to(at)
		if got := w.rule(l.device, "LIF-03"); got.Status != breach.NotYet || standing(l.shown(), "LIF-03") == view.NotMet || !w.asset("HB-LT-014").Leaves {
			t.Errorf("on %s LIF-03 is %s, %s", at, got.Status, standing(l.shown(), "LIF-03"))
		}
	}

	// five school days overdue raises LIF-03, by itself: the laptop is in a
	// cupboard and nobody records anything
	for _, day := range []struct {
		at   string
		want breach.Status
	}{{"2027-09-01 00:00", breach.Pending}, {"2027-09-01 12:00", breach.Pending}, {"2027-09-08 23:59", breach.Pending}, {"2027-09-09 00:00", breach.Open}} {
		w.to(day.at)
		if got := w.rule(l.device, "LIF-03"); got.Status != day.want || !got.FirstFailed.Equal(london(t, "2027-09-01 00:00")) || standing(l.shown(), "LIF-03") != view.NotMet {
			t.Errorf("on %s LIF-03 is %s since %s, want %s", day.at, got.Status, got.FirstFailed, day.want)
		}
	}

	same(w, "the breach", func() view.Breach { return w.rule(l.device, "LIF-03") })

	w.to("2027-09-09 10:00")
	technician, head := w.callerOf(c, "Morgan Ellis", access.Technician), w.callerOf(c, "Alex Reid", access.Head)
	at := technician.school() + "/register"
	does := func(change register.Change, want int) {
		t.Helper()
		change.What, change.Tag = register.DoneStep, "HB-LT-014"
		if got := technician.ask(at, api.NewChange{Change: change, Reason: "the checklist"}, nil); got != want {
			t.Errorf("%s: %d, want %d", change.Step, got, want)
		}
	}
	does(register.Change{Step: register.Returned}, http.StatusCreated)
	if got := w.rule(l.device, "LIF-03"); got.Status != breach.NotYet && got.Status != breach.Resolved {
		t.Errorf("returned, LIF-03 is %s", got.Status)
	}
	does(register.Change{Step: register.DataMoved}, http.StatusCreated)
	does(register.Change{Step: register.StepWiped}, http.StatusBadRequest) // by what method?
	does(register.Change{Step: register.StepWiped, Method: "reset, and its keys destroyed"}, http.StatusCreated)
	does(register.Change{Step: register.AccountsRemoved}, http.StatusCreated)
	for _, sign := range []struct {
		who  caller
		want int
	}{{technician, http.StatusCreated}, {technician, http.StatusConflict}, {head, http.StatusCreated}} {
		if got := sign.who.ask(at+"/HB-LT-014/signatures", api.NewSignature{Reason: "seen"}, nil); got != sign.want {
			t.Errorf("signed: %d, want %d", got, sign.want)
		}
	}
	if a := w.asset("HB-LT-014"); !a.Leaver.Closed() || len(a.Leaver.Signed) != 2 || len(a.Past) != 1 || a.Past[0].Person != leaver {
		t.Errorf("in the end it is %+v", a)
	}

	// the person–device link is purged on schedule: six months after return
	would := func(on string) (links uint64) {
		t.Helper()
		for _, p := range ask[collectorapp.PurgesAnswer](w, "retention.preview", collectorapp.RetentionArguments{On: london(t, on)}).Purges {
			if p.Item == "link" {
				links += p.Forgotten
			}
		}
		return links
	}
	if early, then := would("2028-03-09 08:59"), would("2028-03-09 09:01"); early != 0 || then != 2 {
		t.Errorf("a minute before six months %d would be forgotten, and a minute after %d; want 0 and the allocation and the acknowledgement", early, then)
	}
	w.to("2028-03-08 12:00")
	w.untilPassing(time.Hour, "a night passes", func() bool { return w.clock.Now().After(london(t, "2028-03-09 04:00")) })
	if a := w.asset("HB-LT-014"); a.Past[0].Person != leaver {
		t.Errorf("forgotten before its time: %+v", a.Past)
	}
	if len(holding(t, w.data, leaver)) == 0 {
		t.Error("no file holds the name: that none does later would prove nothing")
	}
	purged := func() (links uint64) {
		t.Helper()
		for _, p := range ask[collectorapp.RetentionAnswer](w, "retention.show", collectorapp.RetentionArguments{}).Purges {
			if p.Item == "link" {
				links += p.Forgotten
			}
		}
		return links
	}
	w.untilPassing(time.Hour, "the next night it is forgotten", func() bool { return purged() == 2 })
	w.allShown()

	// It is an entry with counts only; no view holds the name, the register has
	// the device, and the device its history.
	a := w.asset("HB-LT-014")
	if len(a.Past) != 1 || a.Past[0].Person != "" || !a.Past[0].Named || a.Past[0].Role != "Year 4 class teacher" || a.What != "Dell Latitude 5440" ||
		string(a.Device) != l.device || !a.Leaver.Closed() {
		t.Errorf("afterwards it is %+v", a)
	}
	if d := l.shown(); d.LastReport != reports || d.AssetTag != "HB-LT-014" || len(d.Facts.Volumes.Items) == 0 || w.coverage().Registered != 1 {
		t.Errorf("afterwards the device is %+v", d.Device)
	}
	head = w.callerOf(c, "Sam Okafor", access.Head) // a key lasts a day here
	for _, path := range []string{"/register", "/register/HB-LT-014", "/acknowledgements", "/devices/" + l.device, "/breaches", "/retention"} {
		var answer json.RawMessage
		if got := head.ask(head.school()+path, nil, &answer); got != http.StatusOK || strings.Contains(string(answer), leaver) {
			t.Errorf("%s: %d %s", path, got, answer)
		}
	}
	same(w, "the asset", func() view.Registered { return w.asset("HB-LT-014") })
	w.verified()
	must(t, c.stop())
	for _, file := range holding(t, w.data, leaver) {
		t.Errorf("%s holds the name", file)
	}
}
