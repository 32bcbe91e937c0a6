package e2e

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/api"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/summary"
)

// autumnTerm is a calendar with the term that is reported of.
const autumnTerm = `name: Hollybank Primary School, autumn
zone: Europe/London
from: 2026-09-01
to: 2027-03-25
terms:
  - {name: Autumn term, from: 2026-09-03, to: 2026-12-18}
  - {name: Spring term, from: 2027-01-05, to: 2027-03-25}
holidays:
  - {name: October half-term, from: 2026-10-26, to: 2026-10-30}
`

// TestS11 is "Governors' report": of nine staff laptops, for the autumn term.
func TestS11(t *testing.T) {
	w := worldAt(t, inLondon(t, "2026-12-01 09:00"))
	c := w.collect()
	until(t, "the school shows", func() bool { return w.do("calendar.show", collectorapp.CalendarArguments{}, new(any)) == nil })
	ask[collectorapp.CalendarAnswer](w, "calendar.set", collectorapp.CalendarArguments{File: "autumn.yaml", Source: []byte(autumnTerm)})
	laptops := w.trolley(c, 9, "plain-laptop")
	w.keeps(register.Change{What: register.Allocate, Tag: "HB-LT-101", Allocation: &register.Allocation{Role: "Poisoned room 7 teacher"}}, "A. Poisoned Rowan")
	const term = "2026-09-03"
	if err := w.do("report.make", collectorapp.TermArguments{Term: term}, new(any)); err == nil || !strings.Contains(err.Error(), "not over") {
		t.Errorf("a report of a term that is not over: %v", err)
	}
	w.clock.Advance(inLondon(t, "2026-12-21 09:00").Sub(w.clock.Now()))
	w.allShown()
	technician, head := w.callerOf(c, "Morgan Ellis", access.Technician), w.callerOf(c, "Sam Okafor", access.Head)
	business, governor := w.callerOf(c, "Lee Birch", access.Business), w.callerOf(c, "Jo Marsh", access.Governor)
	at := "/schools/" + string(w.only()) + "/terms"
	governors, staff := w.signIn(c, "governor"), w.signIn(c, "technician")

	// When the autumn report runs.
	var made api.TermReport
	if got := technician.ask(at+"/"+term+"/reports", api.TermReason{Reason: "the end of term"}, &made); got != http.StatusCreated || made.Number != 1 {
		t.Fatalf("make the report: %d %+v", got, made)
	}
	if got := governor.ask(at+"/"+term+"/reports", api.TermReason{Reason: "mine"}, nil); got != http.StatusForbidden {
		t.Errorf("a governor makes a report: %d", got)
	}
	w.allShown()

	// Then no person, tag, hostname or room appears,
	var page bytes.Buffer
	must(t, summary.Print(&page, made.Report))
	_, shown := staff.get(at + "/" + term)
	body := shown[strings.Index(shown, "<main"):]
	poisons := []string{"Poisoned", "Rowan", "Okafor", "Birch", "hb-lt", "HB-LT", "teacher"}
	for _, l := range laptops {
		poisons = append(poisons, l.device)
	}
	for _, name := range poisons {
		for where, text := range map[string]string{"the report": string(made.Data), "its text": page.String(), "its page": body} {
			if strings.Contains(text, name) {
				t.Errorf("%s holds %q", where, name)
			}
		}
	}

	// groups under 5 are suppressed including by subtraction,
	if n := made.Report.Devices.Count; n == nil || *n != 9 {
		t.Errorf("nine laptops: %+v", made.Report.Devices)
	}
	for _, r := range made.Report.Rules {
		for _, cell := range r.Cells {
			if cell.Count != nil {
				t.Errorf("%s: of nine laptops %d are told of apart", r.Rule, *cell.Count)
			}
		}
	}

	// head and business manager sign,
	signature := api.TermSignature{Number: 1, Reason: "checked against the overview"}
	if got := technician.ask(at+"/"+term+"/signatures/head", signature, nil); got != http.StatusForbidden {
		t.Errorf("the technician signs as head: %d", got)
	}
	if got := head.ask(at+"/"+term+"/signatures/head", signature, nil); got != http.StatusCreated {
		t.Fatalf("the head signs: %d", got)
	}
	w.allShown()
	var list api.TermReports
	if got := governor.ask(at, nil, &list); got != http.StatusOK || len(list.Reports) != 0 {
		t.Errorf("a governor before both have signed: %d %+v", got, list)
	}
	if status, _ := governors.get(at + "/" + term); status != http.StatusNotFound {
		t.Errorf("its page before both have signed: %d", status)
	}
	if got := head.ask(at+"/"+term+"/signatures/head", signature, nil); got != http.StatusConflict {
		t.Errorf("the head signs twice: %d", got)
	}
	ask[collectorapp.TermAnswer](w, "report.sign", collectorapp.TermArguments{Term: term, As: "business-manager", Key: business.key, Reason: "compared with the invoices"})
	w.allShown()

	// the E-Safety Governor gets a copy,
	if got := governor.ask(at, nil, &list); got != http.StatusOK || len(list.Reports) != 1 || !bytes.Equal(list.Reports[0].Data, made.Data) || len(list.Reports[0].Signed) != 2 {
		t.Fatalf("the governor's copy: %d %+v", got, list)
	}
	governors.shows("/", "Autumn term", "Signed by head and business manager")
	governors.shows(at+"/"+term, "Report of Autumn term", "fewer than 5", "5 or more", "Sam Okafor", "Lee Birch", made.Digest, "ct-signature")
	for _, other := range []string{"", "/devices", "/breaches", "/incidents", "/evidence", "/settings", "/settings/people"} {
		if status, _ := governors.get("/schools/" + string(w.only()) + other); status != http.StatusForbidden {
			t.Errorf("a governor at %q: %d", other, status)
		}
	}

	// and re-download is byte-identical, also when much has happened since.
	file := func() []byte {
		answer, err := governors.http.Get(governors.web + at + "/" + term + "/file?number=1")
		must(t, err)
		defer answer.Body.Close()
		data, err := io.ReadAll(answer.Body)
		must(t, err)
		if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "application/json" {
			t.Fatalf("the file: %s at %s", answer.Status, answer.Request.URL)
		}
		return data
	}
	first := file()
	w.clock.Advance(10 * time.Minute)
	w.keeps(register.Change{What: register.Retire, Tag: "HB-LT-109", Date: "2026-12-21"}, "")
	corrected := ask[collectorapp.TermAnswer](w, "report.make", collectorapp.TermArguments{Term: term, Reason: "asked again"})
	w.allShown()
	if corrected.Report.Number != 2 || corrected.Entry == made.Entry {
		t.Errorf("a correction stands beside it: %+v", corrected.Report)
	}
	ask[collectorapp.RebuildAnswer](w, "view.rebuild", struct{}{})
	w.allShown()
	if again := file(); !bytes.Equal(first, again) || !bytes.Equal(first, made.Data) || summary.Digest(again) != made.Digest {
		t.Errorf("downloaded again it is %d bytes, and was %d", len(again), len(first))
	}
	if l := ask[collectorapp.TermList](w, "report.list", collectorapp.TermArguments{}); len(l.Terms) != 1 || len(l.Terms[0].Reports) != 2 || !l.Terms[0].Reports[0].Whole() || l.Terms[0].Reports[1].Whole() {
		t.Errorf("the terms: %+v", l)
	}
	w.verified()
}
