package projection

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/summary"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// reportsYear records the report of a year, or a signature on the one of an entry.
func (s *school) reportsYear(tb testing.TB, now time.Time, y *summary.Year, signed decision.YearSignature) {
	tb.Helper()
	d := decision.Decision{Kind: decision.YearReport, By: "dpo", At: now, Reason: "the end of the year"}
	salts := [2][proof.SaltSize]byte{{1}, {2}}
	var sections []proof.Section
	var err error
	if y != nil {
		data, wrong := summary.EncodeYear(*y)
		if wrong != nil {
			tb.Fatal(wrong)
		}
		sections, err = decision.YearReportSections(d, data, salts)
	} else {
		sections, err = decision.YearSignatureSections(d, signed, salts)
	}
	if err != nil {
		tb.Fatal(err)
	}
	s.ledger.append(s.envelope(proof.KindDecision, "", now), sections...)
}

func schoolYear(tb testing.TB, s *school) (summary.Year, string) {
	tb.Helper()
	r, digest := autumnReport(tb, s)
	y, err := summary.MakeYear(summary.YearParts{
		School: string(s.id), Year: "2026-27", From: "2026-08-01", To: "2027-07-31", At: term, Number: 1,
		Terms: []summary.TermPart{{YearTerm: summary.YearTerm{Term: r.Term, Number: 1, Entry: 2, Digest: digest}, Report: &r}}, Between: summary.BetweenCounts{}.Publish(),
	})
	if err != nil {
		tb.Fatal(err)
	}
	data, err := summary.EncodeYear(y)
	if err != nil {
		tb.Fatal(err)
	}
	return y, summary.Digest(data)
}

// drawYear draws the report of a year, or a signature on some entry.
func drawYear(tb testing.TB, t *rapid.T, s *school, now time.Time) {
	tb.Helper()
	y, digest := schoolYear(tb, s)
	if rapid.Bool().Draw(t, "made") {
		s.reportsYear(tb, now, &y, decision.YearSignature{})
		return
	}
	s.reportsYear(tb, now, nil, decision.YearSignature{
		Entry: rapid.Uint64Range(1, 30).Draw(t, "signed"), Digest: digest, As: rapid.SampledFrom([]string{"head", "dpo"}).Draw(t, "as"),
	})
}

func TestYearReportIsSigned(t *testing.T) {
	s := newSchool(t, "hollybank")
	s.enrol(t, "hb-lt-014", term)
	y, digest := schoolYear(t, s)
	s.reportsYear(t, term, &y, decision.YearSignature{})
	entry := uint64(len(s.ledger.records))
	s.reportsYear(t, term.Add(hour), nil, decision.YearSignature{Entry: entry, Digest: digest, As: "head"})
	s.reportsYear(t, term.Add(2*hour), nil, decision.YearSignature{Entry: entry + 1, Digest: digest, As: "dpo"})
	// A signature on the report of a term is none on that of a year.
	s.reports(t, term.Add(3*hour), nil, decision.TermSignature{Entry: entry, Digest: digest, As: "business-manager"})
	f := open(t, s)
	f.catchUp(t)
	list, err := f.q.YearReports(t.Context(), s.id, "", term.Add(4*hour))
	if err != nil || len(list) != 1 {
		t.Fatalf("got %+v, %v", list, err)
	}
	if got := list[0]; got.Whole() || len(got.Signed) != 1 || got.Signed[0].By != "dpo" || got.Digest != digest {
		t.Errorf("signed by the head alone: %+v", got)
	}
	s.reportsYear(t, term.Add(5*hour), nil, decision.YearSignature{Entry: entry, Digest: digest, As: "dpo"})
	f.catchUp(t)
	list, err = f.q.YearReports(t.Context(), s.id, "2026-27", term.Add(6*hour))
	if err != nil || len(list) != 1 || !list[0].Whole() {
		t.Errorf("signed by both: %+v, %v", list, err)
	}
	if terms, err := f.q.TermReports(t.Context(), s.id, "", term.Add(6*hour)); err != nil || len(terms) != 0 {
		t.Errorf("the report of a year is none of a term: %+v, %v", terms, err)
	}
}
