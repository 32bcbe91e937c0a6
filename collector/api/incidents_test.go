package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// incidents keeps what was recorded about incidents.
type incidents struct {
	Queries
	names   []string
	made    []decision.Decision
	changes []incident.Change
	asked   view.IncidentQuery
	refuse  error
}

func (i *incidents) Schools(context.Context) ([]view.School, error) {
	return []view.School{{ID: "hollybank", Name: "Hollybank Primary School"}}, nil
}

func (i *incidents) Incidents(_ context.Context, _ posture.SchoolID, q view.IncidentQuery, _ time.Time) (view.IncidentPage, error) {
	i.asked = q
	return view.IncidentPage{Incidents: []view.Incident{}}, nil
}

func (i *incidents) Incident(_ context.Context, _ posture.SchoolID, name string, _ time.Time) (view.Incident, error) {
	if name != "2026-03" {
		return view.Incident{}, view.ErrNotFound
	}
	return view.Incident{Incident: incident.Incident{Number: name}}, nil
}

func (i *incidents) RecordIncident(_ context.Context, _ posture.SchoolID, name string, d decision.Decision, c incident.Change) (RecordedIncident, error) {
	if i.refuse != nil {
		return RecordedIncident{}, i.refuse
	}
	i.names, i.made, i.changes = append(i.names, name), append(i.made, d), append(i.changes, c)
	return RecordedIncident{ID: "in-1", Number: "2026-03", Entry: 42}, nil
}

// newIncidents is a door to incidents with a key for each role.
func newIncidents(t *testing.T) (*world, *incidents) {
	t.Helper()
	c := clocktest.NewDriven(start)
	a, err := access.Open(t.TempDir(), access.Options{Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	w, kept := &world{keys: map[string]string{}}, &incidents{}
	for _, role := range access.Roles() {
		grant := []access.Grant{{School: "hollybank", Role: role}}
		if _, _, err := a.CreateAccount(t.Context(), access.NewAccount{Name: string(role), Grants: grant}); err != nil {
			t.Fatal(err)
		}
		if _, w.keys[string(role)], err = a.CreateKey(access.NewKey{Account: string(role), Label: "test", Lasts: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	if w.handler, err = New(Config{Queries: kept, Looks: &w.looked, Incidents: kept, Keys: a, Clock: c}); err != nil {
		t.Fatal(err)
	}
	return w, kept
}

// TestIncidentsByRole: who may read of incidents, open one, note what becomes
// known, and decide; governors and staff none of it.
func TestIncidentsByRole(t *testing.T) {
	w, kept := newIncidents(t)
	const at = "/api/v1/schools/hollybank/incidents"
	open := `{"change":{"what":"open","kind":"lost-device","aware":{"at":"2026-10-23T17:10:00+01:00","zone":"Europe/London"},
		"links":[{"what":"device","device":"d-14","lost":true}]},"words":"left on the train"}`
	note := `{"change":{"what":"contact","whom":"the train company"},"words":"not handed in"}`
	tell := `{"change":{"what":"tell","audience":"regulator","answer":"no"},"words":"it was encrypted"}`
	for _, role := range access.Roles() {
		reads := slices.Contains([]access.Role{access.Administrator, access.Technician, access.DPO, access.Head}, role)
		decides := role == access.DPO || role == access.Head
		for _, c := range []struct {
			method, path, body string
			may                bool
			made               int
		}{
			{http.MethodGet, at, "", reads, http.StatusOK},
			{http.MethodGet, at + "/2026-03", "", reads, http.StatusOK},
			{http.MethodPost, at, open, reads, http.StatusCreated},
			{http.MethodPost, at + "/2026-03/notes", note, reads, http.StatusCreated},
			{http.MethodPost, at + "/2026-03/decisions", tell, decides, http.StatusCreated},
		} {
			want := c.made
			if !c.may {
				want = http.StatusForbidden
			}
			before := len(kept.made)
			if got, answer := w.ask(t, string(role), c.method, c.path, c.body); got != want {
				t.Errorf("%s, %s %s: %d, want %d: %s", role, c.method, c.path, got, want, answer)
			}
			recorded := c.may && c.method == http.MethodPost
			if (len(kept.made) > before) != recorded {
				t.Errorf("%s, %s %s: recorded %v", role, c.method, c.path, !recorded)
			} else if recorded && (kept.made[before].By != string(role) || kept.made[before].Kind != decision.Incident || !kept.made[before].At.Equal(start)) {
				t.Errorf("%s recorded %+v", role, kept.made[before])
			}
		}
	}
}

// TestWhatIsWrongWithAnIncident: each address takes what belongs there, and what
// is wrong is said.
func TestWhatIsWrongWithAnIncident(t *testing.T) {
	w, kept := newIncidents(t)
	const at = "/api/v1/schools/hollybank/incidents"
	for _, c := range []struct{ path, body, want string }{
		{"", `{"change":{"what":"open","kind":"other"},"words":"x"}`, "became aware"},
		{"", `{"change":{"what":"note"},"words":"x"}`, "not note"},
		{"", `{"change":{"what":"open","id":"in-9"},"words":"x"}`, "the address says"},
		{"/2026-03/notes", `{"change":{"what":"close","outcome":"police"},"words":"x"}`, "not close"},
		{"/2026-03/notes", `{"change":{"what":"note"}}`, "reason"},
		{"/2026-03/notes", `{"change":{"what":"note","colour":"red"},"words":"x"}`, "colour"},
		{"/2026-03/notes", `{"change":{"what":"link","links":[{"what":"pupil"}]},"words":"x"}`, "nothing that an incident is linked to"},
		{"/2026-03/decisions", `{"change":{"what":"note"},"words":"x"}`, "not note"},
		{"/2026-03/decisions", `{"change":{"what":"tell","audience":"press","answer":"yes"},"words":"x"}`, "no audience"},
	} {
		if got, answer := w.ask(t, "dpo", http.MethodPost, at+c.path, c.body); got != http.StatusBadRequest || !strings.Contains(answer, c.want) {
			t.Errorf("%s: %d %s, want %q", c.body, got, answer, c.want)
		}
	}
	if got, _ := w.ask(t, "dpo", http.MethodGet, at+"/2026-04", ""); got != http.StatusNotFound {
		t.Errorf("no such incident: %d", got)
	}
	if got, _ := w.ask(t, "dpo", http.MethodGet, at+"?state=closed&limit=7", ""); got != http.StatusOK || kept.asked.State != view.IncidentClosed || kept.asked.Limit != 7 {
		t.Errorf("closed ones: %d %+v", got, kept.asked)
	}
	kept.refuse = &decision.RefusedError{Why: "incident 2026-03 is open"}
	if got, answer := w.ask(t, "head", http.MethodPost, at+"/2026-03/decisions", `{"change":{"what":"reopen"},"words":"x"}`); got != http.StatusConflict || !strings.Contains(answer, "is open") {
		t.Errorf("refused: %d %s", got, answer)
	}
	if len(kept.made) != 0 {
		t.Errorf("recorded %+v", kept.made)
	}
}
