package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/concern"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// concerns keeps what was reported and what is done about it.
type concerns struct {
	incidents
	waiting bool
	aside   []string
	refused error
}

func (c *concerns) Concerns(_ context.Context, _ posture.SchoolID, q view.ConcernQuery, _ time.Time) (view.ConcernPage, error) {
	c.waiting = q.Waiting
	return view.ConcernPage{Concerns: []view.Concern{{ID: "K7QM-2XHD", Kind: concern.Lost}}}, nil
}

func (c *concerns) Concern(_ context.Context, _ posture.SchoolID, id string, _ time.Time) (view.Concern, error) {
	if id != "K7QM-2XHD" {
		return view.Concern{}, view.ErrNotFound
	}
	return view.Concern{ID: id, Kind: concern.Lost}, nil
}

func (c *concerns) ConcernAddress(context.Context, posture.SchoolID, time.Time) (view.ConcernAddress, error) {
	return view.ConcernAddress{Address: "K7QM2-XHD4R"}, nil
}

func (c *concerns) SetConcernsAside(_ context.Context, _ posture.SchoolID, d decision.Decision, references []string) (uint64, error) {
	if c.refused != nil {
		return 0, c.refused
	}
	c.made, c.aside = append(c.made, d), references
	return 7, nil
}

func (c *concerns) RenewConcernAddress(_ context.Context, _ posture.SchoolID, d decision.Decision) (uint64, error) {
	c.made = append(c.made, d)
	return 8, nil
}

// TestReportsByRole: who may read what was reported without signing in, set it
// aside, and make another address for it.
func TestReportsByRole(t *testing.T) {
	c := clocktest.NewDriven(start)
	a, err := access.Open(t.TempDir(), access.Options{Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	w, kept := &world{keys: map[string]string{}}, &concerns{}
	for _, role := range access.Roles() {
		if _, _, err := a.CreateAccount(t.Context(), access.NewAccount{Name: string(role), Grants: []access.Grant{{School: "hollybank", Role: role}}}); err != nil {
			t.Fatal(err)
		}
		if _, w.keys[string(role)], err = a.CreateKey(access.NewKey{Account: string(role), Label: "test", Lasts: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	w.handler, err = New(Config{Queries: kept, Concerns: kept, Looks: &w.looked, Keys: a, Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	const at = "/api/v1/schools/hollybank/"
	for _, role := range access.Roles() {
		reads := slices.Contains([]access.Role{access.Administrator, access.Technician, access.DPO, access.Head}, role)
		renews := role == access.Administrator || role == access.Head
		for _, q := range []struct {
			method, path, body string
			may                bool
		}{
			{http.MethodGet, "concerns?waiting=true", "", reads},
			{http.MethodGet, "concerns/k7qm2xhd", "", reads},
			{http.MethodGet, "concern-address", "", reads},
			{http.MethodPost, "concerns/aside", `{"references":["k7qm-2xhd"],"reason":"a hoax"}`, reads},
			{http.MethodPost, "concern-address", `{"reason":"misused"}`, renews},
		} {
			before := len(kept.made)
			got, answer := w.ask(t, string(role), q.method, at+q.path, q.body)
			if may := got == http.StatusOK || got == http.StatusCreated; may != q.may || !may && got != http.StatusForbidden {
				t.Errorf("%s, %s %s: %d: %s", role, q.method, q.path, got, answer)
			}
			if recorded := len(kept.made) > before; recorded != (q.may && q.method == http.MethodPost) || recorded && kept.made[before].By != string(role) {
				t.Errorf("%s, %s %s recorded %+v", role, q.method, q.path, kept.made[before:])
			}
		}
	}
	if !kept.waiting || !slices.Equal(kept.aside, []string{"K7QM-2XHD"}) {
		t.Errorf("asked for waiting ones: %v; set aside %v", kept.waiting, kept.aside)
	}
	for body, want := range map[string]string{
		`{"references":["<b>"],"reason":"x"}`:       "is no reference",
		`{"references":[],"reason":"x"}`:            "at least one",
		`{"references":["K7QM-2XHD"]}`:              "reason",
		`{"references":["K7QM-2XHD"],"colour":"x"}`: "colour",
	} {
		if got, answer := w.ask(t, "dpo", http.MethodPost, at+"concerns/aside", body); got != http.StatusBadRequest || !strings.Contains(answer, want) {
			t.Errorf("%s: %d %s", body, got, answer)
		}
	}
	if got, _ := w.ask(t, "dpo", http.MethodGet, at+"concerns/nothing", ""); got != http.StatusNotFound {
		t.Errorf("no such report: %d", got)
	}
	kept.refused = &decision.RefusedError{Why: "set aside already"}
	if got, answer := w.ask(t, "dpo", http.MethodPost, at+"concerns/aside", `{"references":["K7QM-2XHD"],"reason":"x"}`); got != http.StatusConflict || !strings.Contains(answer, "already") {
		t.Errorf("refused: %d %s", got, answer)
	}
}
