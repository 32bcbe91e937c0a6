package summary_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/summary"
)

// yearOf makes the report of a year from counts of its terms; one that is nil has
// no signed report.
func yearOf(tb rapid.TB, terms []*summary.Counts, between summary.BetweenCounts) (summary.Year, map[uint64]*summary.Report) {
	tb.Helper()
	reports := map[uint64]*summary.Report{}
	p := summary.YearParts{
		School: "Hollybank Primary School", Year: "2026-27", From: "2026-08-01", To: "2027-07-31", Number: 1,
		At: time.Date(2027, 7, 31, 22, 59, 59, 0, time.UTC), Between: between.Publish(),
	}
	var before *summary.Report
	for i, c := range terms {
		name := fmt.Sprintf("Term %d", i+1)
		t := summary.TermPart{YearTerm: summary.YearTerm{Term: summary.Term{ID: name, Name: name, From: "2026-09-03", To: "2026-12-18"}}}
		if c != nil {
			c.Term = t.Term
			r, err := summary.Make(*c, nil, before)
			if err != nil {
				tb.Fatal(err)
			}
			data, err := summary.Encode(r)
			if err != nil {
				tb.Fatal(err)
			}
			t.Report, t.Number, t.Entry, t.Digest = &r, 1, uint64(i+10), summary.Digest(data)
			reports[t.Entry], before = &r, &r
		}
		p.Terms = append(p.Terms, t)
	}
	y, err := summary.MakeYear(p)
	if err != nil {
		tb.Fatal(err)
	}
	return y, reports
}

func drawnYear(t *rapid.T) ([]*summary.Counts, summary.BetweenCounts) {
	var terms []*summary.Counts
	for i := range rapid.IntRange(1, 4).Draw(t, "terms") {
		c := drawn(t, fmt.Sprint("term ", i))
		terms = append(terms, &c)
	}
	if at := rapid.IntRange(0, 2*len(terms)).Draw(t, "not signed"); len(terms) > 1 && at < len(terms) {
		terms[at] = nil
	}
	few := func(of string) int { return rapid.IntRange(0, 12).Draw(t, of) }
	return terms, summary.BetweenCounts{Found: few("found between"), Settled: few("settled between"), Ended: few("ended between"), Incidents: []summary.KindCount{{Kind: "Lost laptop", Count: few("lost between")}}}
}

func findReports(reports map[uint64]*summary.Report) func(uint64) (*summary.Report, error) {
	return func(entry uint64) (*summary.Report, error) {
		if r := reports[entry]; r != nil {
			return r, nil
		}
		return nil, errors.New("there is no such report")
	}
}

// What a year tells of a sum leaves every count that was held back anything that it
// could be before: whoever subtracts what the terms told from what the year tells
// learns nothing. And the sum itself is what the year tells.
func TestAYearGivesNothingAway(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		terms, between := drawnYear(t)
		y, reports := yearOf(t, terms, between)
		if err := y.Follows(findReports(reports)); err != nil {
			t.Fatal(err)
		}
		truth := map[string]int{"Began": between.Found, "Were settled": between.Settled, "Ended": between.Ended, "Lost laptop": between.Incidents[0].Count}
		parts := map[string][]summary.Cell{"Began": {y.Between.Found}, "Were settled": {y.Between.Settled}, "Ended": {y.Between.Ended}, "Lost laptop": {y.Between.Incidents[0].Cell}}
		missing := false
		for i, c := range terms {
			if c == nil {
				missing = true
				continue
			}
			truth["Began"], truth["Were settled"], truth["Ended"] = truth["Began"]+c.Found, truth["Were settled"]+c.Settled, truth["Ended"]+c.Ended
			truth["Lost laptop"] += c.Incidents[0].Open + c.Incidents[0].Told
			r := reports[uint64(i+10)]
			parts["Began"], parts["Were settled"] = append(parts["Began"], r.Breaches[0].Cell), append(parts["Were settled"], r.Breaches[1].Cell)
			parts["Ended"] = append(parts["Ended"], r.Exemptions[1].Cell)
			parts["Lost laptop"] = append(parts["Lost laptop"], r.Incidents[0].Cells...)
		}
		for _, l := range append(append(append([]summary.YearLine{}, y.Breaches...), y.Exemptions[1:]...), y.Incidents...) {
			follows(t, l, parts[l.Words], missing)
			if n := truth[l.Words]; !missing && (n < l.Year.Least || l.Year.Most != nil && n > *l.Year.Most) {
				t.Fatalf("%s were %d, and the year tells %s", l.Words, n, l.Year.Words())
			}
		}
	})
}

// follows checks that the sum of a line allows whatever its cells allow.
func follows(t *rapid.T, l summary.YearLine, cells []summary.Cell, missing bool) {
	least := 0
	for _, c := range cells {
		switch {
		case c.Count != nil:
			least += *c.Count
		case !c.Few:
			least += summary.Least
		}
	}
	for i, c := range cells {
		if c.Count != nil {
			continue
		}
		for n := range 40 { // whatever it could be stays possible, with all others at their least, and at their most
			if !allows(c, n) {
				continue
			}
			low, high := least+n, 0
			if !c.Few {
				low -= summary.Least
			}
			open := missing || !c.Few
			for j, other := range cells {
				switch {
				case j == i:
					high += n
				case other.Count != nil:
					high += *other.Count
				case other.Few:
					high += summary.Least - 1
				default:
					open = true
				}
			}
			if l.Year.Least > low || l.Year.Most != nil && (open || *l.Year.Most < high) {
				t.Fatalf("%s: the year tells %s, and cell %d of %+v could have been %d", l.Words, l.Year.Words(), i, cells, n)
			}
		}
	}
}

func TestAYearIsWhatItsTermsComeTo(t *testing.T) {
	nine := func() *summary.Counts {
		c := counts(9)
		c.Found, c.Settled = 12, 3
		c.Rules = []summary.RuleCount{{Rule: "ENC-01", Title: "The system disk is encrypted", Met: 7, NotMet: 2}}
		c.Incidents = []summary.IncidentCount{{Kind: "Lost laptop", Open: 1}}
		return &c
	}
	y, reports := yearOf(t, []*summary.Counts{nine(), nil, nine()}, summary.BetweenCounts{Found: 6, Incidents: []summary.KindCount{{Kind: "Lost laptop"}}})
	var page bytes.Buffer
	if err := summary.PrintYear(&page, y); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Report of the school year 2026-27", "30 or more", "Term 2, 2026-09-03 to 2026-12-18: no report of it was signed", "fewer than 5", "5 or more", "What this cannot say", "Anything of Term 2"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page does not say %q:\n%s", want, &page)
		}
	}
	data, err := summary.EncodeYear(y)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := summary.DecodeYear(data); err != nil || again.Follows(findReports(reports)) != nil {
		t.Errorf("read again: %v", err)
	}
	for name, spoil := range map[string]func(*summary.Year){
		"a rule's cell":     func(y *summary.Year) { y.Rules[0].Terms[0][1] = summary.Cell{} },
		"a sum":             func(y *summary.Year) { *y.Breaches[0].Year = summary.Sum{Least: 31} },
		"what was left":     func(y *summary.Year) { y.Left = nil },
		"another's report":  func(y *summary.Year) { y.Terms[0].Digest = y.Terms[2].Digest },
		"a term left out":   func(y *summary.Year) { y.Terms = y.Terms[1:] },
		"a report left out": func(y *summary.Year) { y.Terms[0].Number, y.Terms[0].Entry, y.Terms[0].Digest = 0, 0, "" },
	} {
		spoiled, err := summary.DecodeYear(data)
		if err != nil {
			t.Fatal(err)
		}
		if spoil(&spoiled); spoiled.Follows(findReports(reports)) == nil {
			t.Errorf("%s was changed, and the year follows all the same", name)
		}
	}
	if _, err := summary.MakeYear(summary.YearParts{School: "S", Year: "2026-27", Number: 1, At: time.Unix(1, 0), Terms: []summary.TermPart{{YearTerm: summary.YearTerm{Term: autumn}}}}); err == nil {
		t.Error("a year of which no term has a signed report has a report")
	}
}

func FuzzDecodeYear(f *testing.F) {
	c := counts(9)
	y, _ := yearOf(f, []*summary.Counts{&c}, summary.BetweenCounts{})
	data, err := summary.EncodeYear(y)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"format":1,"terms":[{"id":"a","name":"b"}]}`))
	f.Add([]byte("{"))
	f.Fuzz(func(t *testing.T, data []byte) {
		y, err := summary.DecodeYear(data)
		if err != nil {
			return
		}
		if again, err := summary.EncodeYear(y); err != nil || !bytes.Equal(again, data) {
			t.Fatalf("written again: %q, %v", again, err)
		}
		if err := summary.PrintYear(new(bytes.Buffer), y); err != nil {
			t.Fatal(err)
		}
	})
}
