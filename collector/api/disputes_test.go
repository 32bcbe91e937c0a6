package api

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/dispute"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// disputing keeps what is disputed and what is answered.
type disputing struct {
	incidents
	asked   view.DisputeQuery
	raised  []dispute.Change
	by      []string
	refused error
}

func (d *disputing) Disputes(_ context.Context, _ posture.SchoolID, q view.DisputeQuery, _ time.Time) (view.DisputePage, error) {
	d.asked = q
	return view.DisputePage{Disputes: []view.Dispute{{ID: "dp-1"}}}, nil
}

func (d *disputing) Dispute(_ context.Context, _ posture.SchoolID, id string, _ time.Time) (view.Dispute, error) {
	if id != "dp-1" {
		return view.Dispute{}, view.ErrNotFound
	}
	return view.Dispute{ID: id}, nil
}

func (d *disputing) RaiseDispute(_ context.Context, _ posture.SchoolID, by string, told dispute.Told, c dispute.Change, words string) (view.Dispute, error) {
	d.raised, d.by = append(d.raised, c), append(d.by, by)
	return view.Dispute{ID: "dp-2", Words: words, Told: told}, d.refused
}

func (d *disputing) AnswerDispute(_ context.Context, _ posture.SchoolID, by, id string, o dispute.Outcome, words string) (view.Dispute, error) {
	d.raised, d.by = append(d.raised, dispute.Change{ID: id, Outcome: o}), append(d.by, by)
	return view.Dispute{ID: id, Words: words}, d.refused
}

// TestDisputesByRole: who reads what is disputed, records it, and answers.
func TestDisputesByRole(t *testing.T) {
	c := clocktest.NewDriven(start)
	a, err := access.Open(t.TempDir(), access.Options{Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	w, kept := &world{keys: map[string]string{}}, &disputing{}
	for _, role := range access.Roles() {
		if _, _, err := a.CreateAccount(t.Context(), access.NewAccount{Name: string(role), Grants: []access.Grant{{School: "hollybank", Role: role}}}); err != nil {
			t.Fatal(err)
		}
		if _, w.keys[string(role)], err = a.CreateKey(access.NewKey{Account: string(role), Label: "test", Lasts: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	w.handler, err = New(Config{Queries: kept, Disputes: kept, Looks: &w.looked, Keys: a, Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	const at = "/api/v1/schools/hollybank/disputes"
	const body = `{"about":"encryption","device":"d-014","for":"Sam Carter","words":"it was replaced"}`
	for _, role := range access.Roles() {
		for _, q := range []struct {
			method, path, body string
			right              access.Right
		}{
			{http.MethodGet, at + "?open=true&device=d-014", "", access.DisputeFacts},
			{http.MethodGet, at + "/dp-1", "", access.DisputeFacts},
			{http.MethodPost, at, body, access.DisputeFacts},
			{http.MethodPost, at + "/dp-1/answer", `{"outcome":"upheld","words":"read again"}`, access.AnswerDisputes},
		} {
			before := len(kept.raised)
			got, answer := w.ask(t, string(role), q.method, q.path, q.body)
			if may := got == http.StatusOK || got == http.StatusCreated; may != role.May(q.right) || !may && got != http.StatusForbidden {
				t.Errorf("%s, %s %s: %d: %s", role, q.method, q.path, got, answer)
			}
			if recorded := len(kept.raised) > before; recorded != (role.May(q.right) && q.method == http.MethodPost) || recorded && kept.by[before] != string(role) {
				t.Errorf("%s, %s %s recorded %+v", role, q.method, q.path, kept.raised[before:])
			}
		}
	}
	if !kept.asked.Open || kept.asked.Device != "d-014" || kept.raised[0].About != dispute.Encryption || kept.raised[0].Device != "d-014" {
		t.Errorf("asked %+v, raised %+v", kept.asked, kept.raised[0])
	}
	if got, _ := w.ask(t, "dpo", http.MethodGet, at+"/dp-7", ""); got != http.StatusNotFound {
		t.Errorf("no such dispute: %d", got)
	}
	kept.refused = &decision.RefusedError{Why: "it was answered already, by dpo"}
	if got, answer := w.ask(t, "head", http.MethodPost, at+"/dp-1/answer", `{"outcome":"upheld","words":"x"}`); got != http.StatusConflict || !strings.Contains(answer, "already") {
		t.Errorf("refused: %d %s", got, answer)
	}
}
