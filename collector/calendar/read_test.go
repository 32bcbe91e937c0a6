package calendar

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/fault"
)

func TestFaultsNameTheirLineAndWhatToDo(t *testing.T) {
	for _, row := range []struct{ name, old, new, want string }{
		{"no zone", "zone: Europe/London\n", "", `calendar.yaml:2:1: the calendar lacks the field "zone": add it`},
		{"a zone that is none", "Europe/London", "Hollybank", `calendar.yaml:3:7: "Hollybank" is not a zone such as Europe/London`},
		{"this machine's zone", "Europe/London", "Local", "is not a zone"},
		{"a path for a zone", "Europe/London", "../../etc/passwd", "is not a zone"},
		{"a date the other way round", "from: 2026-09-01", "from: 01/09/2026", `calendar.yaml:4:7: the calendar's first day: "01/09/2026" is not a date such as 2026-09-01`},
		{"a day that is not", "to: 2026-10-30", "to: 2026-10-32", "is not a date"},
		{"another century", "to: 2027-08-31", "to: 3027-08-31", "is not a date from 2000 to 2099"},
		{"a misspelt field", "holidays:", "holydays:", `calendar.yaml:10:1: the calendar has no field "holydays": the fields are name, zone,`},
		{"twice", "closed:", "name: again\nclosed:", "twice"},
		{"a term that ends before it begins", "from: 2026-09-03, to: 2026-12-18", "from: 2026-12-18, to: 2026-09-03", `calendar.yaml:7:5: "Autumn term" ends on 2026-09-03, before it begins on 2026-12-18`},
		{"terms that overlap", "from: 2027-01-05", "from: 2026-12-18", `calendar.yaml:8:5: the terms "Autumn term" and "Spring term" overlap`},
		{"a holiday of another year", "from: 2027-02-15, to: 2027-02-19", "from: 2028-02-15, to: 2028-02-19", "is not within the calendar"},
		{"a calendar that ends before it begins", "to: 2027-08-31", "to: 2025-08-31", "before it begins"},
		{"a very long calendar", "to: 2027-08-31", "to: 2047-08-31", "more than five years"},
		{"an odd weekend", "terms:", "weekend: [saturday, caturday]\nterms:", `"caturday" is not a day of the week`},
		{"never open", "terms:", "weekend: [monday, tuesday, wednesday, thursday, friday, saturday, sunday]\nterms:", "not open on any day"},
		{"no list", "{name: Training day, on: 2026-11-02}", "Training day", "the closed day must have the fields name, on"},
		{"a closed day without a date", "{name: Training day, on: 2026-11-02}", "{name: Training day}", `lacks the field "on"`},
		{"an anchor", "terms:", "terms: &a", "anchors"},
		{"a tag", "Europe/London", "!zone Europe/London", "tags"},
		{"turned text", "Training day", "Training \"\u202e\" day", "bidirectional"},
		{"not YAML", "terms:", "terms: [", "this is not YAML"},
		{"not UTF-8", "Training", "\xff\xfe", "UTF-8"},
	} {
		_, err := Parse("calendar.yaml", []byte(strings.Replace(year, row.old, row.new, 1)))
		if problems, ok := errors.AsType[fault.ListError](err); !ok || len(problems) == 0 || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got %v, want %q", row.name, err, row.want)
		}
	}
	for _, text := range []string{"", "# nothing\n", "[]", "terms", strings.Repeat("a", MostSource+1)} {
		if _, err := Parse("calendar.yaml", []byte(text)); err == nil {
			t.Errorf("%.20q was read", text)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(year))
	f.Add([]byte("name: a\nzone: UTC\nfrom: 2026-09-01\nto: 2026-09-02\nterms: [{name: b, from: 2026-09-01, to: 2026-09-02}]\n"))
	f.Add([]byte("terms: {}\nclosed: [1]\nfrom: 2026-13-01"))
	f.Add([]byte("name: &a [*a]"))
	f.Add([]byte("- 2026-09-01\n"))
	f.Fuzz(func(t *testing.T, source []byte) {
		c, err := Parse("fuzz", source)
		if err != nil {
			problems, ok := errors.AsType[fault.ListError](err)
			if !ok || len(problems) == 0 || c != nil {
				t.Fatalf("refused with %v", err)
			}
			for _, p := range problems {
				if p.Line < 1 || p.Column < 1 || p.Message == "" {
					t.Fatalf("a problem without a place or a word: %+v", p)
				}
			}
			return
		}
		from, to, ok := c.Speaks()
		if !ok || to < from || c.Name() == "" {
			t.Fatalf("read, and it speaks of %s to %s", from, to)
		}
		start := from.Time()
		if end := c.After(start, 24*time.Hour); !end.After(start) {
			t.Fatalf("a day after %s is %s", start, end)
		}
		if days := c.Spans(); days[0].From != from || days[len(days)-1].To != to {
			t.Fatalf("spans: %+v", days)
		}
	})
}

// TestWhatWasRecordedIsRead reads a calendar as the first version accepted it.
// Ledgers hold such texts for ever, so that no later version may refuse it, or
// read other days from it.
func TestWhatWasRecordedIsRead(t *testing.T) {
	source, err := os.ReadFile("testdata/v1.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c := parsed(t, string(source))
	var days [5]int
	for _, d := range c.days {
		days[d.kind]++
	}
	if want := [5]int{0, 190, 80, 93, 2}; days != want {
		t.Errorf("days by kind: got %v, want %v", days, want)
	}
	if got, want := c.After(at(t, c, "2026-10-22 09:30"), 2*schoolDay), at(t, c, "2026-11-03 09:30"); !got.Equal(want) {
		t.Errorf("a grace over half-term ends at %s, want %s", got, want)
	}
}
