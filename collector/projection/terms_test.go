package projection

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/summary"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// reports records the report of a term, or a signature on the one of an entry.
func (s *school) reports(tb testing.TB, now time.Time, r *summary.Report, signed decision.TermSignature) {
	tb.Helper()
	d := decision.Decision{Kind: decision.TermReport, By: "head", At: now, Reason: "the end of the term"}
	salts := [2][proof.SaltSize]byte{{1}, {2}}
	var sections []proof.Section
	var err error
	if r != nil {
		data, wrong := summary.Encode(*r)
		if wrong != nil {
			tb.Fatal(wrong)
		}
		sections, err = decision.TermReportSections(d, data, salts)
	} else {
		sections, err = decision.TermSignatureSections(d, signed, salts)
	}
	if err != nil {
		tb.Fatal(err)
	}
	s.ledger.append(s.envelope(proof.KindDecision, "", now), sections...)
}

func autumnReport(tb testing.TB, s *school) (summary.Report, string) {
	tb.Helper()
	r, err := summary.Make(summary.Counts{
		School: string(s.id), Term: summary.Term{ID: "2026-09-03", Name: "Autumn term", From: "2026-09-03", To: "2026-12-18"}, At: term, Devices: 9,
	}, nil, nil)
	if err != nil {
		tb.Fatal(err)
	}
	data, err := summary.Encode(r)
	if err != nil {
		tb.Fatal(err)
	}
	return r, summary.Digest(data)
}

// drawReport draws the report of a term, or a signature on some entry.
func drawReport(tb testing.TB, t *rapid.T, s *school, now time.Time) {
	tb.Helper()
	r, digest := autumnReport(tb, s)
	if rapid.Bool().Draw(t, "made") {
		s.reports(tb, now, &r, decision.TermSignature{})
		return
	}
	s.reports(tb, now, nil, decision.TermSignature{
		Entry: rapid.Uint64Range(1, 30).Draw(t, "signed"), Digest: digest, As: rapid.SampledFrom([]string{"head", "business-manager"}).Draw(t, "as"),
	})
}

func TestTermReportIsSigned(t *testing.T) {
	s := newSchool(t, "hollybank")
	s.enrol(t, "hb-lt-014", term)
	r, digest := autumnReport(t, s)
	s.reports(t, term, &r, decision.TermSignature{})
	entry := uint64(len(s.ledger.records))
	s.reports(t, term.Add(hour), nil, decision.TermSignature{Entry: entry, Digest: digest, As: "head"})
	s.reports(t, term.Add(2*hour), nil, decision.TermSignature{Entry: entry, Digest: digest, As: "head"})
	s.reports(t, term.Add(3*hour), nil, decision.TermSignature{Entry: entry + 1, Digest: digest, As: "business-manager"})
	f := open(t, s)
	f.catchUp(t)
	list, err := f.q.TermReports(t.Context(), s.id, "", term.Add(4*hour))
	if err != nil || len(list) != 1 {
		t.Fatalf("got %+v, %v", list, err)
	}
	if got := list[0]; got.Whole() || len(got.Signed) != 1 || !got.Signed[0].At.Equal(term.Add(hour)) || got.Digest != summary.Digest(got.Data) {
		t.Errorf("the first signature of a role counts, and of another entry none: %+v", got)
	}
	s.reports(t, term.Add(5*hour), nil, decision.TermSignature{Entry: entry, Digest: digest, As: "business-manager"})
	f.catchUp(t)
	list, err = f.q.TermReports(t.Context(), s.id, "2026-09-03", term.Add(6*hour))
	if err != nil || len(list) != 1 || !list[0].Whole() {
		t.Errorf("signed by both: %+v, %v", list, err)
	}
}
