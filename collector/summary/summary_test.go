package summary_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/summary"
)

var autumn = summary.Term{ID: "2026-09-03", Name: "Autumn term", From: "2026-09-03", To: "2026-12-18"}

func counts(devices int) summary.Counts {
	return summary.Counts{School: "Hollybank Primary School", Term: autumn, At: time.Date(2026, 12, 19, 0, 0, 0, 0, time.UTC), Devices: devices}
}

// split draws parts of a total.
func split(t *rapid.T, total, n int, label string) []int {
	parts := make([]int, n)
	for i := range n - 1 {
		parts[i] = rapid.IntRange(0, min(total, rapid.SampledFrom([]int{1, 6, 12, 60}).Draw(t, label))).Draw(t, label)
		total -= parts[i]
	}
	parts[n-1] = total
	at := rapid.IntRange(0, n-1).Draw(t, label)
	parts[at], parts[n-1] = parts[n-1], parts[at]
	return parts
}

func drawn(t *rapid.T, term string) summary.Counts {
	devices := rapid.IntRange(0, 45).Draw(t, term+" devices")
	c := counts(devices)
	c.Term.Name, c.Term.ID = term, term
	s := split(t, devices, 2, term+" heard")
	c.Silent = s[1]
	if e := split(t, devices, 4, term+" enrolled"); rapid.Bool().Draw(t, term+" registered") {
		c.Register = &summary.Register{Agent: e[0], Silent: e[1], Unregistered: e[2], Nothing: rapid.IntRange(0, 9).Draw(t, "nothing")}
	}
	for i := range rapid.IntRange(1, 4).Draw(t, term+" rules") {
		n := split(t, devices, 5, term+" rule")
		c.Rules = append(c.Rules, summary.RuleCount{Rule: fmt.Sprintf("R-%d", i), Title: "A rule", Met: n[0], NotMet: n[1], NotProven: n[2], Exempt: n[3], NotFor: n[4]})
	}
	c.Found, c.Settled = rapid.IntRange(0, 12).Draw(t, "found"), rapid.IntRange(0, 12).Draw(t, "settled")
	c.Exempt, c.Ended = rapid.IntRange(0, 12).Draw(t, "exempt"), rapid.IntRange(0, 12).Draw(t, "ended")
	c.Incidents = []summary.IncidentCount{{Kind: "Lost laptop", Open: rapid.IntRange(0, 8).Draw(t, "open"), Told: rapid.IntRange(0, 8).Draw(t, "told")}}
	return c
}

// solver works out what counts may be, from what is published alone.
type solver struct {
	totals []summary.Cell   // what is told of the total, by whatever reports tell it
	rows   [][]summary.Cell // each adds up to the total
}

const most = 120

func allows(c summary.Cell, n int) bool {
	switch {
	case c.Count != nil:
		return n == *c.Count
	case c.Few:
		return n < summary.Least
	}
	return n >= summary.Least
}

// sums says which sums cells can have.
func sums(cells []summary.Cell) (out [most + 1]bool) {
	out[0] = true
	for _, c := range cells {
		var next [most + 1]bool
		for s, can := range out {
			for n := 0; can && s+n <= most; n++ {
				next[s+n] = next[s+n] || allows(c, n)
			}
		}
		out = next
	}
	return out
}

// values lists what a cell of a row can be.
func (s solver) values(row, cell int) (list []int) {
	var total [most + 1]bool
	for n := range total {
		total[n] = true
		for _, c := range s.totals {
			total[n] = total[n] && allows(c, n)
		}
	}
	for _, r := range s.rows {
		can := sums(r)
		for n := range total {
			total[n] = total[n] && can[n]
		}
	}
	others := append(append([]summary.Cell{}, s.rows[row][:cell]...), s.rows[row][cell+1:]...)
	rest := sums(others)
	for n := range most + 1 {
		for t := n; t <= most && allows(s.rows[row][cell], n); t++ {
			if total[t] && rest[t-n] {
				list = append(list, n)
				break
			}
		}
	}
	return list
}

func rowsOf(r summary.Report) solver {
	s := solver{totals: []summary.Cell{r.Devices}, rows: [][]summary.Cell{r.Heard}}
	if r.Enrolled != nil {
		s.rows = append(s.rows, r.Enrolled)
	}
	for _, u := range r.Rules {
		s.rows = append(s.rows, u.Cells)
	}
	return s
}

// From everything that is published, also of the term before and in
// corrections, no count that is held back can be worked out to one value.
func TestNothingHeldBackFollows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spring, summer := drawn(t, "spring"), drawn(t, "summer")
		first, err := summary.Make(spring, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		second, err := summary.Make(summer, nil, &first)
		if err != nil {
			t.Fatal(err)
		}
		// A correction of the same term, once more was known.
		late := summer
		if rapid.Bool().Draw(t, "differs") {
			late = drawn(t, "summer")
		}
		third, err := summary.Make(late, []summary.Report{second}, &first)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []summary.Report{first, second, third} {
			s := rowsOf(r)
			for i, row := range s.rows {
				for j, c := range row {
					if got := s.values(i, j); c.Count == nil && len(got) < 2 {
						t.Fatalf("row %d, cell %d can only be %v:\n%+v", i, j, got, s)
					}
				}
			}
		}
		// What later reports repeat of an earlier one is what that told.
		for _, u := range second.Rules {
			for i, c := range u.Before {
				for _, was := range first.Rules {
					if was.Rule == u.Rule && was.Cells[i].Words() != c.Words() {
						t.Fatalf("%s: %s of the term before, which told %s", u.Rule, c.Words(), was.Cells[i].Words())
					}
				}
			}
		}
	})
}

// Who knows how a report is made, and tries every school that it could be of,
// still finds more than one.
func TestNothingFollowsFromTheWayItIsMade(t *testing.T) {
	type seen map[string][]map[int]bool
	found := seen{}
	hidden := map[string][]bool{}
	each := func(counts []int) {
		r := summary.RuleCount{Rule: "R", Title: "R", Met: counts[0], NotMet: counts[1], NotProven: counts[2], Exempt: counts[3], NotFor: counts[4]}
		total := r.Met + r.NotMet + r.NotProven + r.Exempt + r.NotFor
		c := summary.Counts{School: "S", Term: autumn, At: time.Unix(1, 0), Devices: total, Rules: []summary.RuleCount{r}}
		made, err := summary.Make(c, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		key := made.Devices.Words()
		for _, x := range append(made.Rules[0].Cells, made.Heard...) {
			key += "|" + x.Words()
		}
		if found[key] == nil {
			for range counts {
				found[key] = append(found[key], map[int]bool{})
			}
		}
		hidden[key] = nil
		for i, n := range counts {
			found[key][i][n] = true
			hidden[key] = append(hidden[key], made.Rules[0].Cells[i].Count == nil)
		}
	}
	const largest = 15
	for total := range 22 {
		var fill func(counts []int, left int)
		fill = func(counts []int, left int) {
			if len(counts) == 4 {
				if left <= largest {
					each(append(append([]int{}, counts...), left))
				}
				return
			}
			for n := 0; n <= min(left, largest); n++ {
				fill(append(counts, n), left-n)
			}
		}
		fill(nil, total)
	}
	for key, cells := range found {
		for i, values := range cells {
			if hidden[key][i] && len(values) < 2 {
				t.Errorf("%s: cell %d can only be %v", key, i, values)
			}
		}
	}
}

func TestNineLaptops(t *testing.T) {
	c := counts(9)
	c.Silent = 1
	c.Rules = []summary.RuleCount{{Rule: "ENC-01", Title: "The system disk is encrypted", Met: 7, NotMet: 2}, {Rule: "AV-01", Title: "Antivirus is on", Met: 9}}
	c.Register = &summary.Register{Agent: 8, Silent: 1}
	r, err := summary.Make(c, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var page bytes.Buffer
	if err := summary.Print(&page, r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Devices enrolled", "fewer than 5", "5 or more", "Autumn term", "What this cannot say", "Decisions needed"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page does not say %q:\n%s", want, &page)
		}
	}
	if got := *r.Devices.Count; got != 9 {
		t.Errorf("got %d devices, want 9", got)
	}
	if got, want := r.Rules[0].Cells[0].Words()+", "+r.Rules[1].Cells[0].Words()+", "+r.Rules[1].Cells[1].Words(), "5 or more, 5 or more, fewer than 5"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestWhatChanged(t *testing.T) {
	c := counts(60)
	c.Rules = []summary.RuleCount{{Rule: "ENC-01", Title: "Encrypted", Met: 30, NotMet: 10, NotProven: 8, Exempt: 6, NotFor: 6}}
	first, err := summary.Make(c, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Rules[0].Met, c.Rules[0].NotMet = 33, 7
	c.Policy.Number = 2
	second, err := summary.Make(c, nil, &first)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := second.Rules[0].Since(), "met: 3 more; not met: 3 fewer"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := strings.Join(second.Changed, " "); !strings.Contains(got, "Policy 2 is in force, after policy 0.") {
		t.Errorf("got %q", got)
	}
	c.Devices = 61
	if _, err := summary.Make(c, nil, nil); err == nil {
		t.Error("devices that are counted as more or fewer make no report")
	}
}

// TestWhatIsCountedIsSaidAsPeopleSayIt: one product is no "1 products", and a day is
// written in words.
func TestWhatIsCountedIsSaidAsPeopleSayIt(t *testing.T) {
	c := counts(9)
	c.Policy.Number, c.Policy.Due, c.Policy.Review = 2, true, "2026-12-01"
	for over, want := range map[int]string{
		1: "Buy licences or remove programs: more copies of 1 product are installed than were bought.",
		3: "Buy licences or remove programs: more copies of 3 products are installed than were bought.",
	} {
		c.Licences = summary.Licences{Products: 3, Signed: 3, Over: over}
		r, err := summary.Make(c, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(r.Decide, want) {
			t.Errorf("decisions needed are %q, want %q among them", r.Decide, want)
		}
		if want := "The policy was to be reviewed by 1 December 2026."; !slices.Contains(r.Late, want) {
			t.Errorf("late is %q, want %q among it", r.Late, want)
		}
	}
	for want, l := range map[string]summary.Licences{
		"No licences are registered.": {},
		"Reconciled and signed for 1 of 1 product; none is installed more often than it was bought.":          {Products: 1, Signed: 1},
		"Reconciled and signed for 2 of 3 products; more copies of 1 product are installed than were bought.": {Products: 3, Signed: 2, Over: 1},
	} {
		if got := (summary.Report{Licences: l}).LicenceWords(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	r, err := summary.Make(counts(9), nil, nil)
	if err != nil {
		f.Fatal(err)
	}
	data, err := summary.Encode(r)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"format":1,"devices":{"count":3}}`))
	f.Add([]byte("{"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := summary.Decode(data)
		if err != nil {
			return
		}
		if again, err := summary.Encode(r); err != nil || !bytes.Equal(again, data) {
			t.Fatalf("written again: %q, %v", again, err)
		}
		if err := summary.Print(new(bytes.Buffer), r); err != nil {
			t.Fatal(err)
		}
	})
}

// What a page says of rules is what their cells say: each rule is on it once, and a
// rule that is met by so many or more is met by no fewer.
func TestAPageTellsWhatTheReportTells(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawn(t, "autumn")
		for i := range c.Rules {
			c.Rules[i].Title = fmt.Sprintf("Rule %d", i)
		}
		r, err := summary.Make(c, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		page := r.Page()
		times := map[string]int{}
		for _, u := range page.Rules {
			times[u.Title]++
		}
		for _, a := range page.Alike {
			for _, title := range a.Of {
				times[title]++
				var least, of int
				if n, _ := fmt.Sscanf(a.Words, "Met by %d or more of the %d devices", &least, &of); n != 2 {
					continue
				}
				for i, u := range r.Rules {
					if u.Title == title && (c.Rules[i].Met < least || of != c.Devices || !slices.Contains(solver{[]summary.Cell{r.Devices}, [][]summary.Cell{u.Cells}}.values(0, 0), least)) {
						t.Fatalf("%q is said of %+v, which tells %+v", a.Words, c.Rules[i], u.Cells)
					}
				}
			}
		}
		for _, u := range r.Rules {
			if times[u.Title] != 1 {
				t.Fatalf("%s is on the page %d times:\n%+v", u.Title, times[u.Title], page)
			}
		}
		if told := len(page.Counts) + len(page.Few); told != len(r.Coverage())+len(r.Breaches)+len(r.Exemptions) {
			t.Fatalf("%d counts are on the page: %+v", told, page)
		}
		if told := len(page.Incidents) + len(page.NoKinds); told != len(r.Incidents) {
			t.Fatalf("%d kinds of incidents are on the page: %+v", told, page)
		}
	})
}
