package web

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/evidence"
	"github.com/caretaker-school/caretaker/collector/summary"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// yearly has the report of a school year whose summer term has a signed report, and
// whose spring term has none; the head has signed it. Its correction nobody has.
type yearly struct {
	years []view.SchoolYear
}

func newYearly(t testing.TB, summer summary.Report) yearly {
	t.Helper()
	data, err := summary.Encode(summer)
	if err != nil {
		t.Fatal(err)
	}
	spring := summary.Term{ID: "2026-01-05", Name: "Spring term", From: "2026-01-05", To: "2026-03-27"}
	between := summary.BetweenCounts{Found: 6, Settled: 1, Incidents: []summary.KindCount{{Kind: "Lost laptop", Count: 1}}}
	made := func(number int, entry uint64, signed ...string) view.YearReport {
		y, err := summary.MakeYear(summary.YearParts{
			School: "Hollybank Primary School", Year: "2025-26", From: "2025-08-01", To: "2026-07-31", At: now, Number: number, Between: between.Publish(),
			Terms: []summary.TermPart{{YearTerm: summary.YearTerm{Term: spring}}, {YearTerm: summary.YearTerm{Term: summer.Term, Number: 1, Entry: 7, Digest: summary.Digest(data)}, Report: &summer}},
		})
		if err != nil {
			t.Fatal(err)
		}
		data, err := summary.EncodeYear(y)
		if err != nil {
			t.Fatal(err)
		}
		one := view.YearReport{Year: y.Year, Signable: view.Signable{Entry: entry, Digest: summary.Digest(data), Data: data, By: "Sam Okafor", At: now}}
		for _, as := range signed {
			one.Signed = append(one.Signed, view.TermSigned{As: as, By: "The " + as, At: now, Digest: one.Digest})
		}
		return one
	}
	return yearly{[]view.SchoolYear{
		{ID: "2025-26", From: "2025-08-01", To: "2026-07-31", Reports: []view.YearReport{made(1, 12, "head", "dpo"), made(2, 13, "head")}},
		{ID: "2024-25", From: "2024-08-01", To: "2025-07-31"},
	}}
}

func (f yearly) EndedYears(_ context.Context, school posture.SchoolID, _ time.Time) (list []view.SchoolYear, _ error) {
	if school != hollybank {
		return nil, nil
	}
	return append(list, f.years...), nil
}

func (yearly) MakeYear(_ context.Context, _ posture.SchoolID, d decision.Decision, year string) (view.YearReport, error) {
	if year == "2024-25" && d.Kind == decision.YearReport {
		return view.YearReport{Year: year}, nil
	}
	return view.YearReport{}, &decision.RefusedError{Why: "no report of a term of it is signed"}
}

func (yearly) SignYear(_ context.Context, _ posture.SchoolID, d decision.Decision, _ string, number int, as access.Role) (view.YearReport, error) {
	if number == 1 {
		return view.YearReport{}, &decision.RefusedError{Why: "this report is signed already by the " + string(as)}
	}
	return view.YearReport{}, nil
}

func (yearly) SealYear(_ context.Context, school posture.SchoolID, r view.YearReport, _, _ string) (*evidence.Bundle, []byte, error) {
	return &evidence.Bundle{School: school, At: now, Year: &evidence.YearSheet{Year: r.Year}}, []byte("sealed " + r.Digest), nil
}

func TestTheReportOfAYear(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	const at = "/schools/hollybank/years/2025-26"
	head, dpo := newClient(t, h, "head"), newClient(t, h, "dpo")
	dpo.want("/schools/hollybank/terms", http.StatusOK, "School years", "1 August 2025 to 31 July 2026", "1 of 2 signatures", "Signed by head and data-protection officer")
	body := dpo.want(at, http.StatusOK, "Report of the school year 2025-26 (correction 1)", "Anything of Spring term", "Not signed yet", "not known", "18 or more", "fewer than 5", "SHA-256")
	if strings.Contains(body, "Sign as head") || !strings.Contains(body, "Sign as data-protection officer") {
		t.Error("the data-protection officer signs as such, and the head has signed")
	}
	dpo.want(at+"?number=1", http.StatusOK, "A later report corrects this one", "The head", "The dpo")
	if got := dpo.get(at + "?number=9"); got.Code != http.StatusNotFound {
		t.Errorf("a report that there is not: %d", got.Code)
	}
	if got := dpo.get(at + "/file?number=1"); got.Code != http.StatusOK || !strings.HasPrefix(got.Body.String(), "sealed ") || !strings.Contains(got.Header().Get("Content-Disposition"), "hollybank-2025-26-") {
		t.Errorf("the file: %d %q %s", got.Code, got.Header(), got.Body)
	}
	// The words that somebody gives for what they checked are kept where they are wrong.
	if got := dpo.post(at+"/signatures/dpo?number=2", url.Values{"reason": {""}}); got.Code != http.StatusUnprocessableEntity || !strings.Contains(got.Body.String(), "Say what you checked.") {
		t.Errorf("without a word: %d", got.Code)
	}
	if got := dpo.post(at+"/signatures/dpo?number=1", url.Values{"reason": {"the terms"}}); got.Code != http.StatusUnprocessableEntity || !strings.Contains(got.Body.String(), "signed already by the dpo") {
		t.Errorf("signed already: %d", got.Code)
	}
	if got := dpo.post(at+"/signatures/dpo", url.Values{"reason": {"the terms"}}); got.Code != http.StatusNotFound {
		t.Errorf("which report is not said: %d", got.Code)
	}
	if got := dpo.post(at+"/signatures/dpo?number=2", url.Values{"reason": {"the terms"}}); got.Code != http.StatusSeeOther || got.Header().Get("Location") != at+"?number=2" {
		t.Errorf("signed: %d %s", got.Code, got.Header())
	}
	for _, wrong := range []struct {
		who  *client
		path string
	}{{dpo, "/signatures/head?number=2"}, {head, "/signatures/dpo?number=2"}, {newClient(t, h, "technician"), "/signatures/dpo?number=2"}, {dpo, "/reports"}} {
		if got := wrong.who.post(at+wrong.path, url.Values{"reason": {"the terms"}}); got.Code != http.StatusForbidden {
			t.Errorf("%s: %d", wrong.path, got.Code)
		}
	}
	if got := head.post("/schools/hollybank/years/2024-25/reports", nil); got.Code != http.StatusSeeOther {
		t.Errorf("made: %d", got.Code)
	}
	if got := head.post("/schools/hollybank/years/2023-24/reports", nil); got.Code != http.StatusUnprocessableEntity || !strings.Contains(got.Body.String(), "No report of a term of it is signed") {
		t.Errorf("refused: %d", got.Code)
	}
	// Governors have what both have signed, and no other.
	governor := newClient(t, h, "governor")
	governor.want(at, http.StatusOK, "Report of the school year 2025-26 ")
	if got := governor.get(at + "?number=2"); got.Code != http.StatusNotFound {
		t.Errorf("a governor before both have signed: %d", got.Code)
	}
	if got := governor.get(at + "/file?number=2"); got.Code != http.StatusNotFound {
		t.Errorf("its file: %d", got.Code)
	}
}
