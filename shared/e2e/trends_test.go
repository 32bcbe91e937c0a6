package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/collector/access"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/summary"
	"github.com/caretaker-school/caretaker/collector/view"
)

// TestTrendsOverASummer follows two laptops through a term, a summer in which
// nothing is heard, and the next term: the days are counted as they ended, the
// summer is a gap, and neither what is forgotten nor a view that is made again
// changes any of it.
func TestTrendsOverASummer(t *testing.T) {
	w := worldAt(t, inLondon(t, "2027-06-14 09:00"))
	c := w.collect()
	w.hasSummer()
	laptops := w.trolley(c, 2, "windows-laptop")
	at := func(when string) { w.clock.Advance(inLondon(t, when).Sub(w.clock.Now())) }
	on := func(l *laptop) { // it is switched on until it was heard from
		t.Helper()
		l.run()
		l.saysAll(w.clock.Now())
		must(t, l.stop())
	}
	at("2027-06-21 09:00")
	on(laptops[0])
	on(laptops[1])
	at("2027-07-05 09:00")
	laptops[1].becomesNamed("windows-laptop-suspended", "hb-lt-102")
	on(laptops[0])
	on(laptops[1])
	at("2027-09-06 09:00")
	on(laptops[0])
	w.allShown()

	asked := collectorapp.TrendArguments{From: "2027-06-07", To: "2027-09-30"}
	trend := ask[view.Trend](w, "trends.show", asked)
	var got []string
	for _, d := range trend.Days {
		r, _ := d.On("ENC-02")
		got = append(got, fmt.Sprintf("%s: %d met, %d not met, %d not proven; %d encrypted, %d not, %d not proven", d.Date,
			r.Met, r.NotMet, r.NotProven, d.Encryption.Proven, d.Encryption.Open, d.Encryption.Unproven))
	}
	want := []string{
		"2027-06-14: 2 met, 0 not met, 0 not proven; 2 encrypted, 0 not, 0 not proven",
		"2027-06-21: 2 met, 0 not met, 0 not proven; 2 encrypted, 0 not, 0 not proven",
		"2027-07-05: 1 met, 1 not met, 0 not proven; 1 encrypted, 1 not, 0 not proven",
		"2027-09-06: 1 met, 1 not met, 0 not proven; 1 encrypted, 1 not, 0 not proven",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want - and got +:\n%s", diff)
	}
	gaps := 0
	for _, week := range trend.Weeks() {
		if week.Last == nil {
			gaps++
		}
	}
	if gaps < 9 {
		t.Errorf("of the summer %d weeks are gaps", gaps)
	}
	// The other laptop's firewall was on in July. Nobody knows of September.
	if r, _ := trend.Now.On("CFG-01"); r.Met != 1 || r.NotProven != 1 {
		t.Errorf("a silent laptop: %+v", r)
	}

	july := ask[summary.Month](w, "report.month", collectorapp.TrendArguments{Month: "2027-07"})
	if july.Disks[1].Count.Now != 1 || july.Disks[1].Count.Before != 0 || !slices.ContainsFunc(july.Decide, func(s string) bool { return strings.Contains(s, "decide whether it stays in use") }) {
		t.Errorf("the summary of July: %+v", july)
	}
	if august := ask[summary.Month](w, "report.month", collectorapp.TrendArguments{}); !august.At.IsZero() || august.Month != "2027-08" {
		t.Errorf("the summary of August: %+v", august)
	}

	// What the days were counted from is forgotten, and the view is made again.
	for _, class := range []string{"posture", "contacts", "inventory"} {
		ask[collectorapp.ForgetAnswer](w, "ledger.forget", collectorapp.ForgetArguments{Class: class, Months: []string{"2027-06", "2027-07"}, Reason: "the summer is over"})
	}
	w.allShown()
	same := func(when string) {
		t.Helper()
		if diff := cmp.Diff(trend.Days[:3], ask[view.Trend](w, "trends.show", asked).Days[:3]); diff != "" {
			t.Errorf("%s the days say before - and after +:\n%s", when, diff)
		}
	}
	same("once something was forgotten")
	ask[collectorapp.RebuildAnswer](w, "view.rebuild", struct{}{})
	w.allShown()
	same("once the view was made again")

	at("2027-09-07 12:00")
	changed := ask[view.Changed](w, "trends.changes", collectorapp.TrendArguments{From: "2027-07-01", Rule: "ENC-02"})
	if changed.Found != 1 || changed.Changes[0].What != view.Opened || changed.Changes[0].Hostname != "hb-lt-102" || changed.Counts[view.Silenced] == 0 {
		t.Errorf("what changed: %+v", changed)
	}

	// People look rather than read; governors have the report of the term.
	school := "/schools/" + string(w.only())
	dpo, governor := w.signIn(c, "dpo"), w.signIn(c, "governor")
	dpo.shows(school+"/trends?of=2027-06-07", "Trends", "Summer term", "Proven encrypted", "nothing was heard: not known", "Summaries for senior leaders")
	dpo.shows(school+"/trends/rules/ENC-02", "Disk protection is on", "The same as a table")
	dpo.shows(school+"/trends/changes?since=2027-07-01", "HB-LT-102", "Went silent")
	dpo.shows(school+"/trends/months/2027-07", "Summary of July 2027", "Not encrypted, or not guarded")
	for _, path := range []string{"/trends", "/trends/rules/ENC-02", "/trends/changes", "/trends/months/2027-07"} {
		if status, _ := governor.get(school + path); status != http.StatusForbidden {
			t.Errorf("a governor at %s: %d", path, status)
		}
	}
	senior := w.callerOf(c, "Robin Hale", access.Senior)
	var told view.Trend
	if got := senior.ask(school+"/trends?from=2027-06-07&to=2027-09-06", nil, &told); got != http.StatusOK || len(told.Days) < 4 {
		t.Errorf("over the API: %d %+v", got, told)
	}
	if got := senior.ask(school+"/trends/changes", nil, nil); got != http.StatusForbidden {
		t.Errorf("a senior is told of devices: %d", got)
	}
}
