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
	"github.com/caretaker-school/caretaker/collector/evidence"
	"github.com/caretaker-school/caretaker/shared/identity"
)

// summerTerm is a calendar with the last term of a school year.
const summerTerm = `name: Hollybank Primary School, summer
zone: Europe/London
from: 2027-01-01
to: 2027-12-20
terms:
  - {name: Spring term, from: 2027-01-05, to: 2027-03-25}
  - {name: Summer term, from: 2027-04-12, to: 2027-07-21}
  - {name: Autumn term, from: 2027-09-02, to: 2027-12-17}
`

// TestTheReportOfAYear: made of the signed reports of its terms, signed by head and
// data-protection officer, given to governors, and checked by a stranger.
func TestTheReportOfAYear(t *testing.T) {
	w := worldAt(t, inLondon(t, "2027-07-20 09:00"))
	c := w.collect()
	until(t, "the school shows", func() bool { return w.do("calendar.show", collectorapp.CalendarArguments{}, new(any)) == nil })
	ask[collectorapp.CalendarAnswer](w, "calendar.set", collectorapp.CalendarArguments{File: "summer.yaml", Source: []byte(summerTerm)})
	laptops := w.trolley(c, 2, "plain-laptop")
	const year, term = "2026-27", "2027-04-12"
	w.clock.Advance(inLondon(t, "2027-07-26 09:00").Sub(w.clock.Now()))
	w.allShown()
	if err := w.do("report.year.make", collectorapp.YearArguments{Year: year}, new(any)); err == nil || !strings.Contains(err.Error(), "not over") {
		t.Errorf("the report of a year that is not over: %v", err)
	}
	w.clock.Advance(inLondon(t, "2027-08-02 09:00").Sub(w.clock.Now()))
	w.allShown()
	head, dpo := w.callerOf(c, "Sam Okafor", access.Head), w.callerOf(c, "Priya Anand", access.DPO)
	business, governor := w.callerOf(c, "Lee Birch", access.Business), w.callerOf(c, "Jo Marsh", access.Governor)
	both := w.callerOf(c, "Robin Ash", access.Head)
	at := "/schools/" + string(w.only()) + "/years"
	if err := w.do("report.year.make", collectorapp.YearArguments{Year: year}, new(any)); err == nil || !strings.Contains(err.Error(), "is signed") {
		t.Errorf("the report of a year none of whose terms has a signed report: %v", err)
	}
	if err := w.do("report.make", collectorapp.TermArguments{Term: "2027-01-05"}, new(any)); err == nil || !strings.Contains(err.Error(), "Spring term ended on 2027-03-25, before the school's record begins") {
		t.Errorf("the report of a term before there was a record: %v", err)
	}
	ask[collectorapp.TermAnswer](w, "report.make", collectorapp.TermArguments{Term: term})
	for as, key := range map[string]string{"head": head.key, "business-manager": business.key} {
		ask[collectorapp.TermAnswer](w, "report.sign", collectorapp.TermArguments{Term: term, As: as, Key: key})
	}
	w.allShown()

	// It is made by whoever may, and of what was signed alone.
	if got := governor.ask(at+"/"+year+"/reports", api.TermReason{Reason: "mine"}, nil); got != http.StatusForbidden {
		t.Errorf("a governor makes it: %d", got)
	}
	var made api.YearReport
	if got := head.ask(at+"/"+year+"/reports", api.TermReason{Reason: "the end of the year"}, &made); got != http.StatusCreated || made.Number != 1 || len(made.Report.Terms) != 2 {
		t.Fatalf("make it: %d %+v", got, made)
	}
	if terms := made.Report.Terms; terms[0].Number != 0 || terms[1].Number != 1 {
		t.Errorf("the spring term has no signed report, the summer term has one: %+v", terms)
	}
	w.allShown()
	for _, name := range append([]string{"Okafor", "Anand", "hb-lt", laptops[0].device}, "Birch") {
		if bytes.Contains(made.Data, []byte(name)) {
			t.Errorf("the report holds %q", name)
		}
	}

	// Head and data-protection officer sign it, and nobody else, nor twice.
	signature := api.YearSignature{Number: 1, Reason: "compared with the terms"}
	for _, wrong := range []struct {
		who  caller
		as   string
		want int
	}{{dpo, "head", http.StatusForbidden}, {head, "dpo", http.StatusForbidden}, {business, "head", http.StatusForbidden}, {governor, "dpo", http.StatusForbidden}} {
		if got := wrong.who.ask(at+"/"+year+"/signatures/"+wrong.as, signature, nil); got != wrong.want {
			t.Errorf("signed as %s by who may not: %d", wrong.as, got)
		}
	}
	if got := head.ask(at+"/"+year+"/signatures/head", signature, nil); got != http.StatusCreated {
		t.Fatalf("the head signs: %d", got)
	}
	w.allShown()
	for who, again := range map[string]caller{"the same head": head, "another": both} {
		if got := again.ask(at+"/"+year+"/signatures/head", signature, nil); got != http.StatusConflict {
			t.Errorf("%s signs again: %d", who, got)
		}
	}
	var list api.YearReports
	if got := governor.ask(at, nil, &list); got != http.StatusOK || len(list.Reports) != 0 {
		t.Errorf("a governor before both have signed: %d %+v", got, list)
	}
	ask[collectorapp.YearAnswer](w, "report.year.sign", collectorapp.YearArguments{Year: year, As: "dpo", Key: dpo.key, Reason: "compared with the incidents"})
	w.allShown()
	if got := governor.ask(at, nil, &list); got != http.StatusOK || len(list.Reports) != 1 || !bytes.Equal(list.Reports[0].Data, made.Data) || len(list.Reports[0].Signed) != 2 {
		t.Fatalf("the governor's copy: %d %+v", got, list)
	}

	// The page, and the file that whoever has the school's key can check.
	pages := w.signIn(c, "governor")
	pages.shows("/schools/"+string(w.only())+"/years/"+year, "Report of the school year 2026-27", "Sam Okafor", "Priya Anand", "not known", made.Digest)
	answer, err := pages.http.Get(pages.web + "/schools/" + string(w.only()) + "/years/" + year + "/file")
	must(t, err)
	defer answer.Body.Close()
	sealed, err := io.ReadAll(answer.Body)
	must(t, err)
	b, _, err := evidence.Verify(sealed, evidence.Trust{})
	must(t, err)
	key, err := identity.ParseSchoolVerifier(b.Key)
	must(t, err)
	b, v, err := evidence.Verify(sealed, evidence.Trust{Key: &key})
	if err != nil || !v.Origin || len(b.Year.Signed) != 2 || b.Year.Signed[1].By != "Priya Anand" || b.Year.Digest != made.Digest {
		t.Fatalf("the file: %+v, %v", v, err)
	}
	strangerVerifies(t, w.dir, sealed, b)
	spoilt := bytes.Replace(sealed, []byte(`"as":"dpo"`), []byte(`"as":"DPO"`), 1)
	if _, _, err := evidence.Verify(spoilt, evidence.Trust{Key: &key}); err == nil || bytes.Equal(spoilt, sealed) {
		t.Error("another's role in it goes unnoticed")
	}
	w.clock.Advance(10 * time.Minute)
	ask[collectorapp.RebuildAnswer](w, "view.rebuild", struct{}{})
	w.allShown()
	if l := ask[collectorapp.YearList](w, "report.year.list", collectorapp.YearArguments{}); len(l.Years) != 1 || len(l.Years[0].Reports) != 1 || !l.Years[0].Reports[0].Whole() {
		t.Errorf("the years, from a view that was made again: %+v", l)
	}
	w.verified()
}
