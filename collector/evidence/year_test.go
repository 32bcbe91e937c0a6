package evidence

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/summary"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// decided records sections, and returns their entry, counted from 1.
func (l *laptop) decided(at time.Time, sections []proof.Section, err error) uint64 {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
	l.append(l.maker.Entry(proof.KindDecision, "", at, sections...))
	return l.school.Ledger.Size()
}

var twoSalts = [2][proof.SaltSize]byte{{1}, {2}}

// reported records a term's report with both signatures, and the report of the year
// made of it, signed by the head.
func (l *laptop) reported() (q YearQuestion, y summary.Year) {
	l.t.Helper()
	end := monday.Add(300 * day)
	said := func(kind decision.Kind, by string) decision.Decision {
		return decision.Decision{Kind: kind, By: by, At: end, Reason: "checked"}
	}
	autumn := summary.Term{ID: "2026-09-03", Name: "Autumn term", From: "2026-09-03", To: "2026-12-18"}
	counts := summary.Counts{School: "Hollybank Primary School", Term: autumn, At: monday.Add(100 * day), Devices: 9, Found: 12, Rules: []summary.RuleCount{{Rule: "ENC-01", Title: "The system disk is encrypted", Met: 7, NotMet: 2}}}
	report := must(summary.Make(counts, nil, nil))
	data := must(summary.Encode(report))
	termEntry := l.decided(end, must(decision.TermReportSections(said(decision.TermReport, "Robin Ash"), data, twoSalts)), nil)
	q = YearQuestion{By: "Robin Ash", Now: end.Add(day), Zone: "Europe/London", Entries: []uint64{termEntry}}
	for _, as := range []string{"head", "business-manager"} {
		signature := decision.TermSignature{Entry: termEntry, Digest: summary.Digest(data), As: as}
		q.Entries = append(q.Entries, l.decided(end, must(decision.TermSignatureSections(said(decision.TermReport, "Lee Birch"), signature, twoSalts)), nil))
	}
	y = must(summary.MakeYear(summary.YearParts{
		School: "Hollybank Primary School", Year: "2026-27", From: "2026-08-01", To: "2027-07-31", At: end, Number: 1,
		Terms:   []summary.TermPart{{YearTerm: summary.YearTerm{Term: autumn, Number: 1, Entry: termEntry, Digest: summary.Digest(data)}, Report: &report}},
		Between: summary.BetweenCounts{Found: 3, Incidents: []summary.KindCount{{Kind: "Lost laptop", Count: 1}}}.Publish(),
	}))
	year := must(summary.EncodeYear(y))
	q.Report = l.decided(end, must(decision.YearReportSections(said(decision.YearReport, "Robin Ash"), year, twoSalts)), nil)
	signature := decision.YearSignature{Entry: q.Report, Digest: summary.Digest(year), As: "head"}
	q.Entries = append(q.Entries, l.decided(end.Add(time.Hour), must(decision.YearSignatureSections(said(decision.YearReport, "Sam Okafor"), signature, twoSalts)), nil))
	return q, y
}

func TestTheReportOfAYearIsProven(t *testing.T) {
	l := newLaptop(t)
	q, y := l.reported()
	b, err := CollectYear(t.Context(), l.school, q)
	if err != nil {
		t.Fatal(err)
	}
	sealed := must(b.Seal(l.sealing))
	if dir := os.Getenv("CARETAKER_KEEP_EVIDENCE"); dir != "" {
		must(0, os.WriteFile(filepath.Join(dir, "hollybank-year.evidence"), sealed, 0o644))
	}
	b, v, err := Verify(sealed, Trust{Key: &l.school.Key})
	if err != nil || !v.Origin || v.Entries != 5 {
		t.Fatalf("got %+v, %v", v, err)
	}
	if len(b.Year.Signed) != 1 || b.Year.Signed[0].By != "Sam Okafor" || b.Year.Signed[0].As != "head" || !b.At.Equal(y.At) {
		t.Errorf("got %+v", b.Year)
	}
	var page bytes.Buffer
	if err := Print(&page, b, time.UTC, time.Time{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Report of the school year 2026-27", "Head", "Sam Okafor", "Data-protection officer", "not signed", "fewer than 5", "How this is known"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, &page)
		}
	}
	for _, e := range b.Entries { // who signed for a term is not in it
		for _, section := range e.Sections {
			if bytes.Contains(section.Body, []byte("Lee Birch")) {
				t.Errorf("entry %d names who signed for a term", e.Index)
			}
		}
	}
}

// Sealed again with the school's own key, a bundle that says something else than its
// entries is refused all the same.
func TestTheReportOfAYearIsNotSpoilt(t *testing.T) {
	l := newLaptop(t)
	q, _ := l.reported()
	for name, spoil := range map[string]func(*Bundle){
		"another who signed":     func(b *Bundle) { b.Year.Signed[0].By = "Lee Birch" },
		"a signature more":       func(b *Bundle) { b.Year.Signed = append(b.Year.Signed, Signature{As: "dpo", At: b.At}) },
		"none at all":            func(b *Bundle) { b.Year.Signed = []Signature{} },
		"another moment":         func(b *Bundle) { b.At = b.At.Add(-day) },
		"without the term":       func(b *Bundle) { b.Entries = b.Entries[1:] },
		"without its signature":  func(b *Bundle) { b.Entries = append(b.Entries[:1:1], b.Entries[2:]...) },
		"without what it signs":  func(b *Bundle) { b.Entries[3].Sections = []Section{} },
		"a word in the report":   func(b *Bundle) { b.Entries[3].Sections[0].Body[40] ^= 1 },
		"without what is unsure": func(b *Bundle) { b.Year.NotKnown = nil },
		"no year":                func(b *Bundle) { b.Year = nil },
		"of a device too":        func(b *Bundle) { b.Device = "d1" },
	} {
		b, err := CollectYear(t.Context(), l.school, q)
		if err != nil {
			t.Fatal(err)
		}
		spoil(b)
		sealed, err := b.Seal(l.sealing)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := Verify(sealed, Trust{Key: &l.school.Key}); err == nil {
			t.Errorf("%s: it verifies", name)
		}
	}
	for name, wrong := range map[string]func(*YearQuestion){
		"another entry":        func(q *YearQuestion) { q.Report = 1 },
		"none":                 func(q *YearQuestion) { q.Report = 0 },
		"one to come":          func(q *YearQuestion) { q.Report = 99 },
		"without the term":     func(q *YearQuestion) { q.Entries = q.Entries[1:] },
		"what is nothing here": func(q *YearQuestion) { q.Entries = append(q.Entries, 1) },
	} {
		asked := q
		asked.Entries = append([]uint64{}, q.Entries...)
		wrong(&asked)
		if _, err := CollectYear(t.Context(), l.school, asked); err == nil {
			t.Errorf("%s: evidence was made", name)
		}
	}
}
