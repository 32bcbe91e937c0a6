package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// looked is a book of who looked at what.
type looked struct {
	mu    sync.Mutex
	looks []viewing.Look
	full  error // why nothing is recorded
	asked view.LookQuery
}

func (l *looked) Look(_ context.Context, _ posture.SchoolID, one viewing.Look) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.full != nil {
		return l.full
	}
	if err := one.Check(); err != nil {
		return err
	}
	l.looks = append(l.looks, one)
	return nil
}

// Looks tells everything that was recorded, whatever is asked for.
func (l *looked) Looks(_ context.Context, _ posture.SchoolID, q view.LookQuery, _ time.Time) (view.LookPage, error) {
	l.asked = q
	page := view.LookPage{Looks: []view.Looked{}}
	for _, one := range l.all() {
		page.Looks = append(page.Looks, view.Looked{Seen: viewing.Seen{Look: one}})
	}
	return page, nil
}

func (l *looked) all() []viewing.Look {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.looks)
}

// TestEveryAddressSaysWhoseRecordItShows walks the table.
func TestEveryAddressSaysWhoseRecordItShows(t *testing.T) {
	if list := undeclared(routes()); len(list) > 0 {
		t.Errorf("these addresses do not say whose record they show: %q", list)
	}
	for _, r := range routes() {
		if strings.Contains(r.path, "/restricted") && r.shows != "" && r.shows != viewing.Nobody {
			t.Errorf("%s: who looks at what is restricted is recorded there, and nowhere else", r.path)
		}
	}
	for _, bad := range []route{
		{method: http.MethodGet, path: "/schools/{school}/devices/{device}/weather", shows: viewing.Nobody},
		{method: http.MethodGet, path: "/schools/{school}/weather"},
		{method: http.MethodPost, path: "/schools/{school}/weather", plain: true},
		{method: http.MethodGet, path: "/schools/{school}/weather", shows: "weather"},
	} {
		if len(undeclared([]route{bad})) == 0 {
			t.Errorf("%s %s is served, and shows %q", bad.method, bad.path, bad.shows)
		}
	}
}

// TestAProgramThatLooksIsRecorded: by the account whose key it has, and which key,
// before it has an answer; and nothing of what it was not told.
func TestAProgramThatLooksIsRecorded(t *testing.T) {
	w := newWorld(t)
	w.devices = map[posture.DeviceID]view.DeviceDetail{"d1": {}}
	get := func(who, path string) int {
		code, _ := w.ask(t, who, http.MethodGet, "/api/v1/schools/hollybank"+path, "")
		return code
	}
	key := access.KeyID(w.keys["Morgan Ellis"])
	for path, want := range map[string][]viewing.Look{
		"/devices/d1":     {{By: "Morgan Ellis", Key: key, Way: viewing.Program, What: viewing.Device, Name: "d1"}},
		"/breaches":       {{By: "Morgan Ellis", Key: key, Way: viewing.Program, What: viewing.Breaches}},
		"/overview":       nil,
		"/devices/nobody": nil,
		"/devices":        nil, // the disk is on fire
	} {
		before := len(w.looked.all())
		get("Morgan Ellis", path)
		if diff := cmp.Diff(want, w.looked.all()[before:]); diff != "" && len(want)+len(w.looked.all())-before > 0 {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	w.looked.full = fmt.Errorf("%w: %w", viewing.ErrUnrecorded, errors.New("no space left on device"))
	code, body := w.ask(t, "Morgan Ellis", http.MethodGet, "/api/v1/schools/hollybank/devices/d1", "")
	if code != http.StatusServiceUnavailable || !strings.Contains(body, "not shown") || strings.Contains(body, "space") {
		t.Errorf("what cannot be recorded: %d %s", code, body)
	}
	if code := get("Morgan Ellis", "/overview"); code != http.StatusOK {
		t.Errorf("what shows nobody's record: %d", code)
	}
}

// TestWhoReadsWhoLooked: the data-protection officer, who is recorded too; not
// those who look.
func TestWhoReadsWhoLooked(t *testing.T) {
	w := newWorld(t)
	const path = "/api/v1/schools/hollybank/views"
	for who, want := range map[string]int{"Morgan Ellis": 403, "Sam Okafor": 403, "Elsewhere": 404, "": 401, "Priya Anand": 200} {
		if code, body := w.ask(t, who, http.MethodGet, path, ""); code != want {
			t.Errorf("%s: got %d, want %d: %s", who, code, want, body)
		}
	}
	if got := w.looked.all(); len(got) != 1 || got[0].By != "Priya Anand" || got[0].What != viewing.Looks {
		t.Errorf("who read it: %+v", got)
	}
	const asked = "?device=d1&person=Alex+Fern&by=Morgan+Ellis&what=device&from=2026-10-01T00:00:00Z&to=2026-11-01T00:00:00Z&after=x&limit=7"
	if code, body := w.ask(t, "Priya Anand", http.MethodGet, path+asked, ""); code != http.StatusOK {
		t.Fatalf("got %d: %s", code, body)
	}
	want := view.LookQuery{
		Device: "d1", Person: "Alex Fern", By: "Morgan Ellis", What: viewing.Device, After: "x", Limit: 7,
		From: time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
	}
	if diff := cmp.Diff(want, w.looked.asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	for _, bad := range []string{"?from=soon", "?what=weather", "?who=Morgan"} {
		if code, _ := w.ask(t, "Priya Anand", http.MethodGet, path+bad, ""); code != http.StatusBadRequest {
			t.Errorf("%s: got %d", bad, code)
		}
	}
}
