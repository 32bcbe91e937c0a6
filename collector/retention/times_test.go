package retention

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/decision"
)

func TestSpans(t *testing.T) {
	day := func(s string) time.Time {
		at, err := time.Parse(time.DateOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	for _, c := range []struct{ span, from, to string }{
		{"90 days", "2026-10-31", "2027-01-29"},
		{"1 day", "2026-12-31", "2027-01-01"},
		{"6 months", "2026-08-31", "2027-02-28"}, // February has no such day
		{"13 months", "2026-10-31", "2027-11-30"},
		{"1 year", "2028-02-29", "2029-02-28"},
		{"6 years", "2026-07-01", "2032-07-01"},
	} {
		s, err := ParseSpan(c.span)
		if err != nil || s.String() != c.span || !s.After(day(c.from)).Equal(day(c.to)) {
			t.Errorf("%s after %s: %s, %v, written %s", c.span, c.from, s.After(day(c.from)), err, s)
		}
	}
	for _, wrong := range []string{"", "0 days", "-1 days", "90", "days", "9999999 days", "1.5 years", "2 weeks", "for ever", "0x10 days", "a days"} {
		if s, err := ParseSpan(wrong); err == nil && s.String() != strings.TrimSpace(wrong) {
			t.Errorf("%q is taken for %s", wrong, s)
		}
	}
}

// TestNobodyChoosesNothingOrForEver: what is usual is within its bounds, and what
// is not within them is refused with all that is wrong.
func TestNobodyChoosesNothingOrForEver(t *testing.T) {
	if err := Usual().Check(); err != nil || len(Usual()) != len(Terms()) {
		t.Errorf("what is usual: %v", err)
	}
	for _, term := range Terms() {
		if term.Least.longer(term.Usual) || term.Usual.longer(term.Most) {
			t.Errorf("%s: %s is not between %s and %s", term.Item, term.Usual, term.Least, term.Most)
		}
	}
	err := Times{Media: {1, Days}, Link: {10, Years}, "diaries": {1, Years}}.Check()
	for _, want := range []string{"media: 1 day is less than 31 days, the least", "link: 10 years is more than 2 years, the most", `"diaries" is nothing`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %s", err, want)
		}
	}
	if (Times{}).Check() == nil {
		t.Error("nothing is changed by saying nothing")
	}
}

func TestWhatIsRecordedIsRead(t *testing.T) {
	want := Times{Media: {60, Days}, Incidents: {7, Years}}
	body, err := Encode(want)
	if err != nil || string(body) != `{"times":{"incidents":"7 years","media":"60 days"}}` {
		t.Fatalf("%s, %v", body, err)
	}
	if got, err := Decode(body); err != nil || !maps.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	// What a later version says of other things is passed over, and what was
	// within other bounds counts.
	if got, err := Decode([]byte(`{"times":{"media":"1 day","dreams":7}}`)); err != nil || !maps.Equal(got, Times{Media: {1, Days}}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, wrong := range []string{"", "{", `{"times":{"media":"often"}}`, `{"times":{"media":0}}`, `{"times":{}} {}`, strings.Repeat(" ", mostBody+1)} {
		if got, err := Decode([]byte(wrong)); err == nil {
			t.Errorf("%.40q is read as %v", wrong, got)
		}
	}
}

// TestEveryKindOfDecisionHasItsTime: a kind of decision that nobody has thought
// about is kept for ever, which is safe and not what anybody was told. So each
// stands in the table.
func TestEveryKindOfDecisionHasItsTime(t *testing.T) {
	files, err := filepath.Glob("../decision/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(err, files)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if of, ok := v.Type.(*ast.Ident); !ok || of.Name != "Kind" {
				return true
			}
			for _, value := range v.Values {
				text, err := strconv.Unquote(value.(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				if _, ok := kinds[decision.Kind(text)]; !ok {
					t.Errorf("%s: how long is a decision of the kind %q kept?", name, text)
				}
			}
			return true
		})
	}
	if !slices.Contains(slices.Collect(maps.Keys(kinds)), decision.Acknowledge) {
		t.Error("the table is empty")
	}
}

// FuzzDecode reads how long things are kept, as anybody may have written it.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"times":{"media":"60 days"}}`, `{"times":{"link":"1 month","later":[]}}`, `{"times":null}`, `{}`, `[]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := Decode(body)
		if err != nil {
			return
		}
		for i, s := range got {
			if again, err := ParseSpan(s.String()); err != nil || again != s {
				t.Errorf("%s: %v is written %s and read as %v, %v", i, s, s, again, err)
			}
		}
	})
}
