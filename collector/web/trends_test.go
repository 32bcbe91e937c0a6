package web

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/calendar"
	"github.com/caretaker-school/caretaker/collector/view"
)

// TestAGapIsAGap: a week in which nothing was heard has no column and no counts,
// and nothing is drawn across it.
func TestAGapIsAGap(t *testing.T) {
	from := day(2026, 9, 7)
	counted := func(d calendar.Date, met, unproven int) view.CountedDay {
		return view.CountedDay{Date: d, Devices: met + unproven, Rules: []view.CountedRule{{Rule: "ENC-01", Met: met, NotProven: unproven}}}
	}
	trend := view.Trend{
		From: from, To: from + 20, Now: view.CountedDay{Date: from + 20},
		Days: []view.CountedDay{counted(from, 4, 0), counted(from+4, 3, 1), counted(from+16, 2, 2)},
	}
	got := newTrend(trend, "System disk encrypted", ruleLayers("ENC-01"), counts("ENC-01"), 300, 100)
	want := []trendPath{
		{"not-proven", "url(#hatch)", "M0 75h99v25h-99zM200 50h99v50h-99z"},
		{"met", "", "M0 0h99v75h-99zM200 0h99v50h-99z"},
	}
	if len(got.Paths) != len(want) || got.Paths[0] != want[0] || got.Paths[1] != want[1] {
		t.Errorf("got %+v, want %+v", got.Paths, want)
	}
	if len(got.Rows) != 3 || got.Rows[1].Known || !got.Rows[0].Known || !got.Gaps {
		t.Errorf("got %+v", got.Rows)
	}
	if want := "By 27 September 2026: 2 not proven, 2 met. By 13 September 2026: 1 not proven, 3 met."; got.Words != want {
		t.Errorf("got %q", got.Words)
	}
}

// TestARuleThatWasNotThere: before a rule was in the policy nothing is known of
// it, which is not that no device met it.
func TestARuleThatWasNotThere(t *testing.T) {
	from := day(2026, 9, 7)
	trend := view.Trend{From: from, To: from + 13, Now: view.CountedDay{Date: from + 13}, Days: []view.CountedDay{
		{Date: from, Devices: 3}, {Date: from + 7, Devices: 3, Rules: []view.CountedRule{{Rule: "CFG-05", NotMet: 3}}},
	}}
	got := newTrend(trend, "x", ruleLayers("CFG-05"), counts("CFG-05"), 300, 100)
	if got.Rows[0].Known || !got.Rows[1].Known || len(got.Paths) != 1 || got.Paths[0].Class != "not-met" {
		t.Errorf("got %+v", got)
	}
}

// TestColumnsHoldWhatTheyCount: whatever is counted, no column is higher than the
// drawing, and what counts anything is seen.
func TestColumnsHoldWhatTheyCount(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		from := day(2026, 9, 7)
		trend := view.Trend{From: from, Now: view.CountedDay{Date: from + 7*60}}
		trend.To = trend.Now.Date
		for d := from; d <= trend.To; d += 7 {
			if !rapid.Bool().Draw(rt, "heard") {
				continue
			}
			of := func() int { return rapid.SampledFrom([]int{0, 0, 1, 7, 900, 100_000}).Draw(rt, "count") }
			trend.Days = append(trend.Days, view.CountedDay{Date: d, Rules: []view.CountedRule{{Rule: "A", Met: of(), NotMet: of(), NotProven: of(), Exempt: of()}}})
		}
		got := newTrend(trend, "x", ruleLayers("A"), counts("A"), smallTrend, shortTrend)
		layers := map[string]bool{}
		for _, p := range got.Paths {
			layers[p.Class] = true
			if strings.Contains(p.D, " -") || strings.Contains(p.D, "v-") || strings.Contains(p.D, "NaN") {
				rt.Fatalf("drawn outside: %s", p.D)
			}
		}
		for _, row := range got.Rows {
			for i, n := range row.Counts {
				if n > 0 && !layers[got.Layers[i].Class] {
					rt.Fatalf("%d %s are not drawn", n, got.Layers[i].Words)
				}
			}
		}
	})
}

// TestTrends goes through the pages as the head does: the year, a term, a rule,
// and what changed; each drawing has its table.
func TestTrends(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	head := newClient(t, h, "head")
	year := head.get("/schools/hollybank/trends").Body.String()
	for _, want := range []string{
		`<h1 class="govuk-heading-l">Trends</h1>`, "Proven encrypted", "Encryption as a table", "Definitions as a table", "Autumn term: 3 September 2026 to 18 December 2026",
		`href="/schools/hollybank/trends/rules/ENC-01"`, "nothing was heard: not known", `class="ct-trend__not-proven" fill="url(#hatch)"`, "What changed since last week",
	} {
		if !strings.Contains(year, want) {
			t.Errorf("the year lacks %q", want)
		}
	}
	term := head.get("/schools/hollybank/trends?of=2026-04-13").Body.String()
	if !strings.Contains(term, "Summer term, April 2026</bdi>, a column a week") || !strings.Contains(term, `/trends/rules/ENC-01?of=2026-04-13`) {
		t.Error("the term is not the one that was asked for:")
	}
	rule := head.get("/schools/hollybank/trends/rules/ENC-01?of=2026").Body.String()
	if !strings.Contains(rule, "System disk encrypted") || !strings.Contains(rule, "19 October to 23 October 2026") || !strings.Contains(rule, "The same as a table") {
		t.Error("the rule has no table")
	}
	changed := head.get("/schools/hollybank/trends/changes?what=silent").Body.String()
	if !strings.Contains(changed, "Went silent") || strings.Contains(changed, "<strong>Began</strong>") || !strings.Contains(changed, "since <time") {
		t.Error("what changed is not what was asked for")
	}
	month := head.get("/schools/hollybank/trends/months/2026-09").Body.String()
	if !strings.Contains(month, "Summary of September 2026") || !strings.Contains(month, "decide whether it stays in use") || !strings.Contains(year, "/trends/months/2026-09") {
		t.Error("the month is not summed up")
	}
	for path, want := range map[string]int{
		"/schools/hollybank/trends/months/2026-10":             http.StatusNotFound,
		"/schools/hollybank/trends/months/soon":                http.StatusNotFound,
		"/schools/hollybank/trends?of=1999-09-01":              http.StatusNotFound,
		"/schools/hollybank/trends/rules/XX-99":                http.StatusNotFound,
		"/schools/hollybank/trends/changes?since=2199-01-01":   http.StatusUnprocessableEntity,
		"/schools/hollybank/trends/changes?since=%3Cscript%3E": http.StatusUnprocessableEntity,
		"/schools/oakfield/trends":                             http.StatusNotFound,
		"/schools/oakfield/trends/changes":                     http.StatusNotFound,
	} {
		if got := head.get(path).Code; got != want {
			t.Errorf("%s: got %d, want %d", path, got, want)
		}
	}
}

// TestWhoSeesTrends: small numbers tell of people, so governors and staff are not
// shown them; those who may see no device are not shown what changed on one.
func TestWhoSeesTrends(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	for role, want := range map[string][2]int{
		"governor": {http.StatusForbidden, http.StatusForbidden}, "staff": {http.StatusForbidden, http.StatusForbidden},
		"senior": {http.StatusOK, http.StatusForbidden}, "business-manager": {http.StatusOK, http.StatusForbidden},
		"technician": {http.StatusOK, http.StatusOK}, "dpo": {http.StatusOK, http.StatusOK},
	} {
		c := newClient(t, h, role)
		trends := c.get("/schools/hollybank/trends")
		if got := [2]int{trends.Code, c.get("/schools/hollybank/trends/changes").Code}; got != want {
			t.Errorf("%s: got %v, want %v", role, got, want)
		}
		if links := strings.Contains(trends.Body.String(), "/trends/changes"); links != (want[1] == http.StatusOK) {
			t.Errorf("%s: a link to what changed: %v", role, links)
		}
	}
}

// TestPeriods: a school year is offered once, with its terms.
func TestPeriods(t *testing.T) {
	trend := view.Trend{Terms: trendTerms, Now: view.CountedDay{Date: calendar.DateOf(time.Date(2026, 10, 23, 0, 0, 0, 0, time.UTC))}}
	var got []string
	for _, p := range periods(trend) {
		got = append(got, p.key+" "+p.words)
	}
	want := []string{
		" The last 52 weeks", "2026-09-03 Autumn term, September 2026", "2026 School year 2026 to 2027", "2026-04-13 Summer term, April 2026",
		"2026-01-05 Spring term, January 2026", "2025 School year 2025 to 2026",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q", got)
	}
}
