package register

import (
	"bytes"
	"encoding/csv"
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/shared/posture"
)

var september = time.Date(2026, time.September, 7, 8, 0, 0, 0, time.UTC)

func TestAListAsSpreadsheetsSaveIt(t *testing.T) {
	want := Item{Tag: "HB-LT-014", Description: Description{
		What: "Dell Latitude 5440", Class: posture.SchoolSingleUser, Group: "Year 4; Year 5", Bought: "2024-09-01",
	}}
	for name, file := range map[string]string{
		"commas":              "tag,what,class,group,bought\nHB-LT-014,Dell Latitude 5440,SS,Year 4; Year 5,2024-09-01\n",
		"semicolons and CRLF": "\xef\xbb\xbfTag;What;Class;Group;Bought\r\nHB-LT-014;Dell Latitude 5440;SS;\"Year 4; Year 5\";01/09/2024\r\n;;;;\r\n",
		"tabs, other order":   "class\tbought\ttag\twhat\tgroup\nschool-single-user\t1/9/2024\tHB-LT-014\tDell Latitude 5440\tYear 4; Year 5",
		"kept as a text":      "tag,what,class,group,bought\n\"=\"\"HB-LT-014\"\"\", Dell Latitude 5440 ,ss,Year 4; Year 5,2024-09-01\n",
	} {
		lines, err := ParseCSV([]byte(file))
		if err != nil || len(lines) != 1 || lines[0].Item != want {
			t.Errorf("%s: %+v, %v", name, lines, err)
		}
	}
}

func TestEverythingThatIsWrongIsSaid(t *testing.T) {
	file := "tag,what,class,bought\n" +
		"HB-LT-014,fine,SS,2024-09-01\n" +
		",no tag,SS,\n" +
		"hb-lt-014,twice,XX,yesterday\n" +
		"HB-LT-015,\"=HYPERLINK(\"\"http://example.org\"\")\",SS,\n" +
		"HB-LT-016,fine,SS,2024-09-01,too much\n"
	_, err := ParseCSV([]byte(file))
	wrong, ok := errors.AsType[*WrongError](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	for i, want := range []string{
		`line 3, column "tag": the tag is missing`,
		`line 4, column "class": "XX" is no class of ownership: write SS`,
		`line 4, column "bought": "yesterday" is no date: write it as 2026-09-01`,
		`line 4, column "tag": the tag hb-lt-014 is on line 2 already`,
		`line 5, column "what": "=HYPERLINK(\"http://example.org\")" looks like a formula`,
		`line 6: there is "too much" beyond the named columns`,
	} {
		if i >= len(wrong.List) || !strings.HasPrefix(wrong.List[i].String(), want) {
			t.Errorf("%d: want %s in\n%v", i, want, err)
		}
	}
	for name, file := range map[string]string{
		"empty": " \n", "UTF-16": "\xff\xfet\x00a\x00g\x00", "not UTF-8": "tag\nHB\xff\n", "no tag column": "what\nlaptop\n",
		"unknown column": "tag,colour\nHB-1,red\n", "column twice": "tag,what,what\nHB-1,a,b\n", "only a head": "tag,what\n",
		"a quote": "tag,what\nHB-1,a \"b\" c\n",
	} {
		if lines, err := ParseCSV([]byte(file)); err == nil {
			t.Errorf("%s: read as %+v", name, lines)
		}
	}
}

func TestAPlanSaysWhatWouldChange(t *testing.T) {
	lines, err := ParseCSV([]byte("tag,what,host\nHB-1,new,hb-lt-001\nHB-2,as before,\nHB-3,changed,\nHB-4,not enrolled,hb-lt-004\n"))
	if err != nil {
		t.Fatal(err)
	}
	assets := map[string]Asset{
		"hb-2": {Tag: "HB-2", Description: Description{What: "as before", Group: "office"}, Entry: 1},
		"hb-3": {Tag: "HB-3", Description: Description{What: "old"}, Entry: 1},
	}
	p, err := Prepare(lines, assets, []Enrolled{{ID: "d-1", Host: "HB-LT-001"}}, september)
	if err != nil || len(p.New) != 2 || p.Same != 1 || len(p.Changed) != 1 || len(p.Tied) != 1 || len(p.Unknown) != 1 || len(p.Change.Items) != 3 {
		t.Fatalf("got %+v, %v", p, err)
	}
	if p.Tied[0].Device != "d-1" || p.Changed[0] != (Edit{"HB-3", "what", "old", "changed"}) {
		t.Errorf("got %+v", p)
	}
	for name, enrolled := range map[string][]Enrolled{
		"two of a name":    {{ID: "d-1", Host: "hb-lt-001"}, {ID: "d-2", Host: "HB-LT-001"}},
		"another asset is": {{ID: "d-1", Host: "hb-lt-001", Tag: "HB-9"}},
	} {
		if _, err := Prepare(lines, assets, enrolled, september); err == nil || !strings.Contains(err.Error(), `line 2, column "host"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestImportingTwiceChangesNothing: what was imported is as it was imported, and
// the same list then has nothing to say.
func TestImportingTwiceChangesNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var file strings.Builder
		file.WriteString("tag,what,group\n")
		for i := range rapid.IntRange(1, 20).Draw(rt, "lines") {
			file.WriteString("HB-" + string(rune('a'+i)) + "," + rapid.SampledFrom([]string{"", "laptop", "tablet"}).Draw(rt, "what") + ",\n")
		}
		lines, err := ParseCSV([]byte(file.String()))
		if err != nil {
			rt.Fatal(err)
		}
		assets := map[string]Asset{}
		for entry := range uint64(2) {
			p, err := Prepare(lines, assets, nil, september)
			if err != nil {
				rt.Fatal(err)
			}
			if entry == 1 && len(p.Change.Items) > 0 {
				rt.Fatalf("the same list again changes %+v", p.Change.Items)
			}
			for _, i := range p.Change.Items {
				assets[Key(i.Tag)] = assets[Key(i.Tag)].Import(i, september, Made{At: september, Entry: entry + 1})
			}
		}
		if len(assets) != len(lines) {
			rt.Fatalf("%d lines made %d assets", len(lines), len(assets))
		}
	})
}

func TestTheLeaversChecklist(t *testing.T) {
	a := Asset{}.Import(Item{Tag: "HB-1"}, september, Made{At: september, Entry: 1})
	entry := uint64(1)
	take := func(by string, c Change) error {
		t.Helper()
		entry++
		c.Tag = "HB-1"
		if err := c.Check(); err != nil {
			t.Fatal(err)
		}
		next, err := a.Take(c, Made{By: by, At: september, Entry: entry})
		a = next
		return err
	}
	want := func(err error, void bool) {
		t.Helper()
		if (err != nil) != void {
			t.Errorf("got %v", err)
		}
	}
	want(take("technician", Change{What: Left}), true)
	want(take("technician", Change{What: Allocate, Allocation: &Allocation{Role: "Year 4"}}), false)
	want(take("technician", Change{What: Allocate, Allocation: &Allocation{Role: "Year 5"}}), true)
	want(take("technician", Change{What: Left}), false)
	want(take("technician", Change{What: Sign}), true)
	for _, s := range Steps() {
		want(take("technician", Change{What: DoneStep, Step: s, Method: "BitLocker key destroyed"}), false)
	}
	want(take("technician", Change{What: DoneStep, Step: Returned}), true)
	want(take("console:office", Change{What: Sign}), false)
	want(take("console:other", Change{What: Sign}), true)
	want(take("Head", Change{What: Sign}), false)
	want(take("DPO", Change{What: Sign}), true)
	if !a.Leaver.Closed() || a.Held != nil || len(a.Past) != 1 || a.Past[0].Back.IsZero() {
		t.Errorf("got %+v", a)
	}
}

// TestALeaverAhead: that somebody leaves on a day to come can be corrected without
// losing what was done, and taken back until the device is returned, which handing
// it back is too.
func TestALeaverAhead(t *testing.T) {
	a := Asset{}.Import(Item{Tag: "HB-1"}, september, Made{At: september, Entry: 1})
	entry := uint64(1)
	take := func(c Change) bool {
		t.Helper()
		entry++
		c.Tag = "HB-1"
		next, err := a.Take(c, Made{By: "technician", At: september, Entry: entry})
		a = next
		return err == nil
	}
	role := Change{What: Allocate, Allocation: &Allocation{Role: "Year 4"}}
	if take(Change{What: Stays}) || !take(role) || take(Change{What: Stays}) {
		t.Fatal("it was taken back that somebody leaves who does not")
	}
	day := september.AddDate(0, 1, 0)
	if !take(Change{What: Left, When: day}) || !take(Change{What: DoneStep, Step: DataMoved}) || !take(Change{What: Left, When: day.AddDate(0, 0, 3)}) {
		t.Fatal("somebody does not leave")
	}
	if at, ok := a.Leaves(); !ok || !at.Equal(day.AddDate(0, 0, 3)) || !a.Leaver.Has(DataMoved) {
		t.Errorf("corrected: %+v", a.Leaver)
	}
	if !take(Change{What: Stays}) || a.Leaver != nil {
		t.Errorf("taken back: %+v", a.Leaver)
	}
	if !take(Change{What: Left, When: day}) || !take(Change{What: HandBack}) || !a.Leaver.Has(Returned) || take(Change{What: Stays}) {
		t.Errorf("handed back: %+v", a.Leaver)
	}
	if _, ok := a.Leaves(); ok || !take(role) {
		t.Error("who has it next leaves too")
	}
	if _, ok := a.Leaves(); ok {
		t.Error("who has it next leaves too")
	}
}

// TestNoCellIsAFormula: whatever a text is, no spreadsheet takes what is written
// for a formula.
func TestNoCellIsAFormula(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := rapid.String().Draw(rt, "text")
		var out bytes.Buffer
		if err := WriteCSV(&out, []Line{{Item: Item{Tag: s, Description: Description{What: "=" + s}}, Host: "@" + s}}); err != nil {
			rt.Fatal(err)
		}
		rows, err := csv.NewReader(&out).ReadAll()
		if err != nil {
			rt.Fatal(err)
		}
		for _, cell := range rows[1] {
			if cell != "" && strings.IndexByte("=+-@\t\r", cell[0]) >= 0 {
				rt.Fatalf("%q", cell)
			}
		}
	})
}

func FuzzParseCSV(f *testing.F) {
	f.Add([]byte("tag,what,class,group,bought,retired,host,managed\nHB-1,laptop,SS,Year 4,2024-09-01,,hb-lt-001,\n"))
	f.Add([]byte("\xef\xbb\xbftag;what\r\n=\"HB-1\";\"a \"\"b\"\"\"\r\n"))
	f.Add([]byte("tag\twhat\n\n\"HB"))
	f.Add([]byte("tag,serial\nHB-1,PF2X9Q7R\nHB-2,pf2x 9q7r\nHB-3,Default string\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		lines, err := ParseCSV(data)
		if err != nil {
			if _, ok := errors.AsType[*WrongError](err); !ok {
				t.Fatalf("it does not say what is wrong: %v", err)
			}
			return
		}
		p, err := Prepare(lines, nil, nil, september)
		if err != nil {
			t.Fatal(err)
		}
		body, err := Encode(p.Change)
		if err != nil {
			t.Fatalf("what was read cannot be recorded: %v", err)
		}
		if again, err := Decode(body); err != nil || len(again.Items) != len(lines) {
			t.Fatalf("%d of %d devices: %v", len(again.Items), len(lines), err)
		}
		var out bytes.Buffer
		if err := WriteCSV(&out, lines); err != nil {
			t.Fatal(err)
		}
		if again, err := ParseCSV(out.Bytes()); err != nil || len(again) != len(lines) {
			t.Fatalf("what was written cannot be read: %v\n%s", err, out.Bytes())
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"what":"import","asOf":"2026-09-07T08:00:00Z","items":[{"tag":"HB-1","device":"d-1"}]}`))
	f.Add([]byte(`{"what":"allocate","tag":"HB-1","allocation":{"role":"Year 4","ends":"2026-09-07T08:00:00Z"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Decode(data)
		if err != nil {
			return
		}
		body, err := Encode(c)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if _, err := Decode(body); err != nil {
			t.Fatal(err)
		}
	})
}
