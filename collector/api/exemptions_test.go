package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Exemption implements ExemptionQueries.
func (d *decided) Exemption(_ context.Context, _ posture.SchoolID, id string, _ time.Time) (view.Exemption, error) {
	by, ok := map[string]string{"ex-1": "Morgan Ellis", "ex-2": "Ada Park"}[id]
	if !ok {
		return view.Exemption{}, view.ErrNotFound
	}
	return view.Exemption{ExemptionRow: view.ExemptionRow{ID: id, Asked: view.Act{By: by}}}, nil
}

// Exemptions implements ExemptionQueries.
func (d *decided) Exemptions(_ context.Context, _ posture.SchoolID, q view.ExemptionQuery, _ time.Time) (view.ExemptionPage, error) {
	d.exemptions = q
	return view.ExemptionPage{Exemptions: []view.Exemption{}}, nil
}

// TestExemptionsTakeTwoRoles: a technician asks and never approves, a data
// protection officer does; a governor and another school do neither.
func TestExemptionsTakeTwoRoles(t *testing.T) {
	w := newWorld(t)
	const at = "/api/v1/schools/hollybank/exemptions"
	const ask = `{"scope":{"rule":"ENC-01","of":"device","device":"d1"},"until":"2026-12-18T00:00:00Z","reason":"a new disk is ordered"}`
	const because = `{"reason":"until the disk comes"}`
	for _, c := range []struct {
		who, path, body string
		want            int
	}{
		{"Morgan Ellis", "", ask, http.StatusCreated},
		{"Priya Anand", "", ask, http.StatusCreated},
		{"Sam Okafor", "", ask, http.StatusForbidden},
		{"Elsewhere", "", ask, http.StatusNotFound},
		{"Morgan Ellis", "", strings.Replace(ask, "device", "trust", 1), http.StatusBadRequest},
		{"Morgan Ellis", "", strings.Replace(ask, `"device":"d1"`, `"group":"Year 6"`, 1), http.StatusBadRequest},
		{"Morgan Ellis", "", strings.Replace(ask, "2026-12-18", "2028-12-18", 1), http.StatusBadRequest},
		{"Morgan Ellis", "", strings.Replace(ask, "2026-12-18", "2025-12-18", 1), http.StatusBadRequest},
		{"Morgan Ellis", "", strings.Replace(ask, "a new disk is ordered", "", 1), http.StatusBadRequest},
		{"Morgan Ellis", "", strings.Replace(ask, `"until"`, `"approver":"me","until"`, 1), http.StatusBadRequest},
		{"Morgan Ellis", "/ex-1/approval", because, http.StatusForbidden},
		{"Sam Okafor", "/ex-1/approval", because, http.StatusForbidden},
		{"Elsewhere", "/ex-1/approval", because, http.StatusNotFound},
		{"Priya Anand", "/ex-1/approval", because, http.StatusCreated},
		{"Priya Anand", "/ex-1/approval", `{"reason":""}`, http.StatusBadRequest},
		{"Priya Anand", "/EX%201/approval", because, http.StatusBadRequest},
		{"Priya Anand", "/ex-1/refusal", because, http.StatusCreated},
		{"Morgan Ellis", "/ex-1/refusal", because, http.StatusCreated}, // their own
		{"Morgan Ellis", "/ex-2/refusal", because, http.StatusForbidden},
		{"Morgan Ellis", "/ex-9/refusal", because, http.StatusNotFound},
		{"Morgan Ellis", "/ex-2/end", because, http.StatusCreated},
		{"Sam Okafor", "/ex-2/end", because, http.StatusForbidden},
	} {
		if got, answer := w.ask(t, c.who, http.MethodPost, at+c.path, c.body); got != c.want {
			t.Errorf("%s: %s %s: %d, want %d: %s", c.who, c.path, c.body, got, c.want, answer)
		}
	}
	var made []string
	for _, d := range w.made {
		made = append(made, string(d.Kind)+" by "+d.By)
	}
	want := []string{
		"ask-exemption by Morgan Ellis", "ask-exemption by Priya Anand", "exempt by Priya Anand",
		"refuse-exemption by Priya Anand", "refuse-exemption by Morgan Ellis", "end-exemption by Morgan Ellis",
	}
	if !slices.Equal(made, want) {
		t.Errorf("recorded %q, want %q", made, want)
	}
	if e := w.made[0].Exemption; e.Scope != (breach.Scope{Rule: "ENC-01", Of: breach.OneDevice, Device: "d1"}) || e.AskedBy != "" || e.Approver != "" {
		t.Errorf("asked for %+v", e)
	}
	w.refuse = &decision.RefusedError{Why: "this exemption is refused already"}
	if got, answer := w.ask(t, "Priya Anand", http.MethodPost, at+"/ex-1/approval", because); got != http.StatusConflict || !strings.Contains(answer, "refused already") {
		t.Errorf("refused: %d %s", got, answer)
	}
}

func TestExemptionsAreListed(t *testing.T) {
	w := newWorld(t)
	const at = "/api/v1/schools/hollybank/exemptions"
	if got, answer := w.ask(t, "Morgan Ellis", http.MethodGet, at+"?state=asked&state=approved&rule=ENC-01&device=d1&limit=3", ""); got != http.StatusOK {
		t.Errorf("listed: %d %s", got, answer)
	}
	q := w.exemptions
	if !slices.Equal(q.States, []view.ExemptionState{view.ExemptionAsked, view.ExemptionApproved}) || q.Rule != "ENC-01" || q.Device != "d1" || q.Limit != 3 {
		t.Errorf("asked for %+v", q)
	}
	for path, want := range map[string]int{
		"?state=forgiven": http.StatusBadRequest, "/ex-1": http.StatusOK, "/ex-9": http.StatusNotFound,
	} {
		if got, answer := w.ask(t, "Priya Anand", http.MethodGet, at+path, ""); got != want {
			t.Errorf("%s: %d, want %d: %s", path, got, want, answer)
		}
	}
	if got, _ := w.ask(t, "Sam Okafor", http.MethodGet, at+"/ex-1", ""); got != http.StatusForbidden {
		t.Errorf("a governor reads an exemption: %d", got)
	}
}

func FuzzReadExemption(f *testing.F) {
	f.Add([]byte(`{"scope":{"rule":"ENC-01","of":"group","group":"Year 6"},"until":"2026-12-18T00:00:00Z","reason":"x"}`))
	f.Add([]byte(`{"scope":[]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var n NewExemption
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(body))
		if readBody(r, &n) != nil {
			return
		}
		d := decision.Ask("ex-1", n.Scope, n.Until, "Morgan Ellis", n.Reason, start)
		if d.CheckNew() != nil {
			return
		}
		if n.Scope.Check() != nil || !n.Until.After(start) || n.Until.Sub(start) > breach.LongestExemption {
			t.Errorf("%s may be asked for", body)
		}
		if _, err := json.Marshal(d); err != nil {
			t.Errorf("%s cannot be written: %v", body, err)
		}
	})
}
