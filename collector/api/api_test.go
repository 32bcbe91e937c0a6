package api

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
	"github.com/caretaker-school/caretaker/shared/posture"
)

var update = flag.Bool("update", false, "rewrite the description")

var start = time.Date(2026, 10, 23, 14, 52, 0, 0, time.UTC)

// TestDescription holds the description that is kept for readers to the routes.
func TestDescription(t *testing.T) {
	got, err := describe()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("..", "..", "shared", "docs", "openapi.json")
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("shared/docs/openapi.json is not what the routes say: go test ./collector/api -run TestDescription -update\n%s", diff)
	}
}

// TestDescriptionHoldsEveryField: what an answer says is in its description.
func TestDescriptionHoldsEveryField(t *testing.T) {
	data, err := describe()
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Components struct {
			Schemas map[string]struct {
				Properties map[string]any `json:"properties"`
			} `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(data, &document); err != nil {
		t.Fatal(err)
	}
	for _, r := range routes() {
		text, err := json.Marshal(reflect.New(reflect.TypeOf(r.gives)).Interface())
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		if err := json.Unmarshal(text, &fields); err != nil {
			t.Fatal(err)
		}
		described := document.Components.Schemas[schemaName(reflect.TypeOf(r.gives))].Properties
		for name := range fields {
			if described[name] == nil {
				t.Errorf("%s %s answers %q, which is not described", r.method, r.path, name)
			}
		}
	}
}

// decided keeps what was decided.
type decided struct {
	view.Queries // nothing is asked of it: every question is answered below
	made         []decision.Decision
	kept         []register.Change
	refuse       error
	asked        view.BreachQuery
	exemptions   view.ExemptionQuery
	assessed     []string // by whom
	devices      map[posture.DeviceID]view.DeviceDetail
}

func (d *decided) Decide(_ context.Context, school posture.SchoolID, made decision.Decision) (uint64, error) {
	if d.refuse != nil {
		return 0, d.refuse
	}
	made.Reason = string(school) + ": " + made.Reason
	d.made = append(d.made, made)
	return 41, nil
}

func (d *decided) Schools(context.Context) ([]view.School, error) {
	return []view.School{{ID: "ashfield", Name: "Ashfield Primary School"}, {ID: "hollybank", Name: "Hollybank Primary School"}}, nil
}

func (d *decided) Overview(_ context.Context, school posture.SchoolID, now time.Time) (view.Overview, error) {
	return view.Overview{School: school, At: now}, nil
}

func (d *decided) Devices(context.Context, posture.SchoolID, view.DeviceQuery, time.Time) (view.DevicePage, error) {
	return view.DevicePage{}, errors.New("the disk is on fire")
}

func (d *decided) Device(_ context.Context, _ posture.SchoolID, id posture.DeviceID, _ time.Time) (view.DeviceDetail, error) {
	if one, ok := d.devices[id]; ok {
		return one, nil
	}
	return view.DeviceDetail{}, view.ErrNotFound
}

func (d *decided) Breaches(_ context.Context, _ posture.SchoolID, q view.BreachQuery, _ time.Time) (view.BreachPage, error) {
	d.asked = q
	return view.BreachPage{Breaches: []view.Breach{}}, nil
}

// world is a door with real keys.
type world struct {
	*decided
	handler http.Handler
	looked  looked
	keys    map[string]string // by the name of the account
}

func newWorld(t *testing.T) *world {
	t.Helper()
	c := clocktest.NewDriven(start)
	a, err := access.Open(t.TempDir(), access.Options{Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{decided: &decided{}, keys: map[string]string{}}
	for name, grant := range map[string]access.Grant{
		"Morgan Ellis": {School: "hollybank", Role: access.Technician},
		"Priya Anand":  {School: "hollybank", Role: access.DPO},
		"Sam Okafor":   {School: "hollybank", Role: access.Governor},
		"Elsewhere":    {School: "ashfield", Role: access.Technician},
	} {
		if _, _, err := a.CreateAccount(t.Context(), access.NewAccount{Name: name, Grants: []access.Grant{grant}}); err != nil {
			t.Fatal(err)
		}
		if _, w.keys[name], err = a.CreateKey(access.NewKey{Account: name, Label: "test", Lasts: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	if w.handler, err = New(Config{Queries: w, Looks: &w.looked, Decider: w, Keeper: w, Importer: w, Prover: w, Recorder: w, Keys: a, Clock: c}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) ask(t *testing.T, who, method, path, body string) (int, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	if who != "" {
		r.Header.Set("Authorization", "Bearer "+w.keys[who])
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	if got := rec.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("%s %s: Cache-Control is %q", method, path, got)
	}
	if rec.Code >= 400 && rec.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s %s: %d as %s", method, path, rec.Code, rec.Header().Get("Content-Type"))
	}
	return rec.Code, rec.Body.String()
}

const good = `{"kind":"acknowledge","breach":{"device":"d1","rule":"ENC-01","kind":"volume","subject":"a"},"reason":"a new disk is ordered"}`

func TestWhoMayHaveWhat(t *testing.T) {
	w := newWorld(t)
	w.keys["nonsense"] = "ctp1-aaaaaaaa-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	for _, c := range []struct {
		who, method, path, body string
		want                    int
	}{
		{"", "GET", "/api/v1/schools", "", 401},
		{"nonsense", "GET", "/api/v1/schools", "", 401},
		{"", "GET", "/api/v1/openapi.json", "", 200},
		{"Morgan Ellis", "GET", "/api/v1/schools", "", 200},
		{"Morgan Ellis", "GET", "/api/v1/schools/hollybank/overview", "", 200},
		{"Morgan Ellis", "GET", "/api/v1/schools/ashfield/overview", "", 404},
		{"Morgan Ellis", "GET", "/api/v1/schools/nowhere/overview", "", 404},
		{"Elsewhere", "GET", "/api/v1/schools/hollybank/overview", "", 404},
		{"Sam Okafor", "GET", "/api/v1/schools/hollybank/overview", "", 403},
		{"Sam Okafor", "GET", "/api/v1/schools/hollybank/devices/d1", "", 403},
		{"Priya Anand", "GET", "/api/v1/schools/hollybank/devices/d1", "", 404},
		{"Priya Anand", "GET", "/api/v1/schools/hollybank/breaches", "", 200},
		{"Priya Anand", "POST", "/api/v1/schools/hollybank/decisions", good, 403},
		{"Elsewhere", "POST", "/api/v1/schools/hollybank/decisions", good, 404},
		{"Morgan Ellis", "POST", "/api/v1/schools/hollybank/decisions", good, 201},
		{"Morgan Ellis", "POST", "/api/v1/schools/hollybank/overview", "", 405},
		{"Morgan Ellis", "GET", "/api/v1/elsewhere", "", 404},
		{"Morgan Ellis", "GET", "/api/v1/schools/hollybank/devices", "", 500},
	} {
		if got, body := w.ask(t, c.who, c.method, c.path, c.body); got != c.want {
			t.Errorf("%s: %s %s: got %d, want %d: %s", c.who, c.method, c.path, got, c.want, body)
		} else if got == 500 && strings.Contains(body, "fire") {
			t.Errorf("the caller learns what is the log's: %s", body)
		}
	}
	if _, body := w.ask(t, "Morgan Ellis", "GET", "/api/v1/schools", ""); strings.Contains(body, "Ashfield") || !strings.Contains(body, "Hollybank") {
		t.Errorf("the schools of a key: %s", body)
	}
	want := []decision.Decision{{
		Kind: decision.Acknowledge, By: "Morgan Ellis", At: start, Reason: "hollybank: a new disk is ordered",
		Breach: breach.Key{Device: "d1", Rule: "ENC-01", Kind: "volume", ID: "a"},
	}}
	if diff := cmp.Diff(want, w.made); diff != "" {
		t.Errorf("decided (-want +got):\n%s", diff)
	}
}

func TestABadQuestionIsToldWhatIsWrong(t *testing.T) {
	w := newWorld(t)
	for path, want := range map[string]string{
		"/devices?standng=Met":                    `no parameter \"standng\"`,
		"/devices?standing=Good":                  "standing is one of Met, Not met",
		"/breaches?limit=0":                       "limit is a whole number from 1 to 500",
		"/breaches?limit=many":                    "limit is a whole number",
		"/breaches?rule=a&rule=b":                 "rule may be given once",
		"/breaches?status=fixed":                  "status is one of pending, open",
		"/breaches?rule=%ff":                      "no text",
		"/overview?at=2026-01-01T00:00:00Z":       "takes no parameter",
		"/breaches?status=%zz":                    "cannot be read",
		"/breaches?status=open;rule=ENC-01":       "cannot be read",
		"/breaches?device=":                       "device is empty",
		"/devices?rule=ENC-01":                    "give standing too",
		"/breaches?after=" + longText(maxValue+1): "longer than",
	} {
		if got, body := w.ask(t, "Morgan Ellis", "GET", "/api/v1/schools/hollybank"+path, ""); got != 400 || !strings.Contains(body, want) {
			t.Errorf("%.60s: got %d %s, want %q", path, got, body, want)
		}
	}
	for body, want := range map[string]string{
		"":                                     "EOF",
		good + good:                            "something follows",
		good + "}":                             "something follows",
		`{"kind":"acknowledge","because":"x"}`: "because",
		strings.Replace(good, "acknowledge", "exempt", 1):             "acknowledge or resolve",
		strings.Replace(good, "a new disk is ordered", "", 1):         "needs a reason",
		strings.Replace(good, "a new disk is ordered", " ", 1):        "needs a reason",
		strings.Replace(good, "a new disk", `\u001b[2J`, 1):           "cannot be seen",
		strings.Replace(good, "a new disk", `\u202e`, 1):              "U+202E",
		strings.Replace(good, `"device":"d1",`, "", 1):                "names its device",
		strings.Replace(good, "a new disk", longText(5000), 1):        "at most 4000",
		strings.Replace(good, "a new disk", longText(maxDecision), 1): "64 KiB",
	} {
		if got, answer := w.ask(t, "Morgan Ellis", "POST", "/api/v1/schools/hollybank/decisions", body); got < 400 || got >= 500 || !strings.Contains(answer, want) {
			t.Errorf("%.60s: got %d %s, want %q", body, got, answer, want)
		}
	}
	w.refuse = &decision.RefusedError{Why: "this breach is resolved already"}
	if got, body := w.ask(t, "Morgan Ellis", "POST", "/api/v1/schools/hollybank/decisions", good); got != 409 || !strings.Contains(body, "resolved already") {
		t.Errorf("a refused decision: %d %s", got, body)
	}
	if len(w.made) != 0 {
		t.Errorf("decided %+v", w.made)
	}
}

// TestAMethodThatIsNotTaken is told which are.
func TestAMethodThatIsNotTaken(t *testing.T) {
	w := newWorld(t)
	for path, want := range map[string]string{"/schools/hollybank/decisions": "POST", "/schools/hollybank/overview": "GET", "/openapi.json": "GET"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodDelete, Prefix+path, nil)
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, r)
		if got := rec.Header().Get("Allow"); rec.Code != http.StatusMethodNotAllowed || got != want {
			t.Errorf("%s: %d, Allow %q, want %q", path, rec.Code, got, want)
		}
	}
}

func longText(n int) string { return strings.Repeat("x", n) }

func TestFiltersReachTheQuestion(t *testing.T) {
	w := newWorld(t)
	if got, body := w.ask(t, "Morgan Ellis", "GET", "/api/v1/schools/hollybank/breaches?status=open&status=pending&severity=high&rule=ENC-01&device=d1&limit=7&after=z", ""); got != 200 {
		t.Fatalf("%d %s", got, body)
	}
	want := view.BreachQuery{
		Statuses: []breach.Status{breach.Pending, breach.Open}, Severities: []posture.Severity{posture.High},
		Rule: "ENC-01", Device: "d1", After: "z", Limit: 7,
	}
	if diff := cmp.Diff(want, w.asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func FuzzParseDecision(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(`{"kind":1}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		n, err := parseDecision(body)
		if err != nil {
			return
		}
		text, err := json.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := parseDecision(text); err != nil || again != n {
			t.Errorf("%s reads back as %+v, %v", text, again, err)
		}
	})
}

func FuzzReadParams(f *testing.F) {
	f.Add("status=open&limit=3")
	f.Add("a=%zz;b")
	takes := slices.Concat(routes()[2].params, routes()[4].params)
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.RawQuery = query
		p, err := readParams(r, takes)
		if n := p.limit(); err == nil && (n < 0 || n > 500) {
			t.Errorf("%q gives the limit %d", query, n)
		}
	})
}
