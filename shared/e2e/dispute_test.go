package e2e

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/api"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/dispute"
	"github.com/caretaker-school/caretaker/collector/evidence"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/subject"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// TestAFactIsDisputedAndAnswered: a member of staff says on the page of their own
// laptop that what it says of its disks is wrong. It stands beside the fact on the
// laptop's page, in evidence and in what they are given who ask; the officer answers
// it, and nobody what they said themselves. The fact stays what it was.
func TestAFactIsDisputedAndAnswered(t *testing.T) {
	w := worldAt(t, inLondon(t, "2026-11-02 09:00"))
	c := w.collect()
	l := w.laptop("own", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	school := "/schools/" + string(w.only())
	w.imports("tag,what,class\nHB-LT-014,Dell Latitude 5440,SS\n", time.Time{})
	w.keeps(register.Change{What: register.Tie, Tag: "HB-LT-014", Device: posture.DeviceID(l.device)}, "")
	w.keeps(register.Change{What: register.Allocate, Tag: "HB-LT-014", Allocation: &register.Allocation{Role: "Class teacher"}}, "the-staff")
	w.clock.Advance(time.Hour)
	w.allShown()
	was := l.shown()
	staff := w.signIn(c, "staff")

	staff.shows(school+"/mine", "HB-LT-014", "What is written here about it is wrong")
	const words = "It asked for the key of its disk this morning."
	if at := staff.sends(school+"/mine/disputes?laptop=HB-LT-014", url.Values{"about": {"encryption"}, "reason": {words}}); at != school+"/mine" {
		t.Fatalf("saying so led to %s", at)
	}
	staff.shows(school+"/mine", words, "To be answered by the end of Wed 2 Dec 2026")
	for _, path := range []string{"/privacy/disputes", "/devices/" + l.device + "/disputes"} {
		if status, _ := staff.get(school + path); status != http.StatusForbidden {
			t.Errorf("staff at %s: %d", path, status)
		}
	}

	technician, officer := w.callerOf(c, "Morgan Ellis", access.Technician), w.callerOf(c, "Priya Anand", access.DPO)
	w.signIn(c, "technician").shows(school+"/devices/"+l.device, "What somebody says is wrong here", words, "the-staff")
	var open view.DisputePage
	if got := officer.ask(school+"/disputes?open=true", nil, &open); got != http.StatusOK || len(open.Disputes) != 1 {
		t.Fatalf("what waits: %d %+v", got, open)
	}
	one := open.Disputes[0]
	if one.Due != "2026-12-02" || one.By != "the-staff" || !one.Own || one.Asset != "HB-LT-014" || one.Fact != was.Entry {
		t.Errorf("what was recorded: %+v; the last report is entry %d", one, was.Entry)
	}
	if is := l.shown(); is.NotMet != was.NotMet || is.Met != was.Met {
		t.Errorf("a dispute changed where the laptop stands: %+v", is.Device)
	}

	about := w.evidenceOf(l)
	if !strings.Contains(about, words) || !strings.Contains(about, "Not answered when this was made; due by Wed 2 Dec 2026") || strings.Contains(about, "the-staff") {
		t.Errorf("the evidence says:\n%s", about)
	}

	// Who answers: neither who keeps the laptops, nor the console, nor who said it.
	answer := api.DisputeAnswer{Outcome: dispute.NotUpheld, Words: "Read again at noon: the disk is not encrypted."}
	if got := technician.ask(school+"/disputes/"+one.ID+"/answer", answer, nil); got != http.StatusForbidden {
		t.Errorf("a technician answers: %d", got)
	}
	if err := w.do("dispute.answer", collectorapp.DisputeArguments{ID: one.ID, Outcome: dispute.Upheld, Words: "so it is"}, new(any)); err == nil || !strings.Contains(err.Error(), "--key") {
		t.Errorf("the console answers: %v", err)
	}
	var own view.Dispute
	if got := officer.ask(school+"/disputes", api.NewDispute{About: dispute.Holder, Device: posture.DeviceID(l.device), For: "the-staff", Words: "lent to somebody else since"}, &own); got != http.StatusCreated {
		t.Fatalf("the officer records one: %d", got)
	}
	if got := officer.ask(school+"/disputes/"+own.ID+"/answer", answer, nil); got != http.StatusConflict {
		t.Errorf("the officer answers what they recorded: %d", got)
	}
	var answered view.Dispute
	if got := officer.ask(school+"/disputes/"+one.ID+"/answer", answer, &answered); got != http.StatusCreated || answered.Outcome != dispute.NotUpheld {
		t.Fatalf("the officer answers: %d %+v", got, answered)
	}
	if got := officer.ask(school+"/disputes/"+one.ID+"/answer", answer, nil); got != http.StatusConflict {
		t.Errorf("it is answered twice: %d", got)
	}
	staff.shows(school+"/mine", "Not upheld", "Read again at noon")
	if about := w.evidenceOf(l); !strings.Contains(about, "Not upheld") || !strings.Contains(about, "Read again at noon") {
		t.Errorf("the evidence says:\n%s", about)
	}

	// And who asks what is kept about them is given both.
	change := api.NewRequestChange{Change: subject.Change{What: subject.Receive, Name: "the-staff", How: subject.Spoken, On: "2026-11-02"}, Reason: "asked"}
	var request api.Request
	if got := officer.ask(school+"/subject-requests", change, &request); got != http.StatusCreated {
		t.Fatalf("a request: %d", got)
	}
	at := school + "/subject-requests/" + request.ID
	if got := officer.ask(at+"/exports", api.NewExport{People: []string{"the-staff"}, Accounts: []string{"the-staff"}}, nil); got != http.StatusCreated {
		t.Fatalf("gathering: %d", got)
	}
	var export api.Export
	if got := officer.ask(at+"/export", nil, &export); got != http.StatusOK {
		t.Fatalf("reading it: %d", got)
	}
	sheet, err := subject.Decode(export.File)
	must(t, err)
	slices.SortFunc(sheet.Disputes, func(a, b subject.Dispute) int { return strings.Compare(b.Outcome, a.Outcome) }) // both were said at one moment
	if len(sheet.Disputes) != 2 || sheet.Disputes[0].Words.Words != words || sheet.Disputes[0].Outcome != "Not upheld" || !strings.Contains(strings.Join(sheet.Disputes[1].Why, " "), "recorded for you") {
		t.Errorf("what they are given: %+v", sheet.Disputes)
	}
}

// evidenceOf is what evidence of now says of a laptop, once it verifies.
func (w *world) evidenceOf(l *laptop) string {
	w.t.Helper()
	made := ask[collectorapp.EvidenceAnswer](w, "evidence.device", collectorapp.EvidenceArguments{School: string(w.only()), Device: l.device})
	b, _, err := evidence.Verify(made.Bundle, evidence.Trust{})
	must(w.t, err)
	var text strings.Builder
	must(w.t, evidence.Print(&text, b, time.UTC, time.Time{}))
	return text.String()
}
