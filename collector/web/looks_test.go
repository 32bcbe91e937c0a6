package web

import (
	"context"
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

func (l *looked) Looks(context.Context, posture.SchoolID, view.LookQuery, time.Time) (view.LookPage, error) {
	return view.LookPage{}, nil
}

func (l *looked) all() []viewing.Look {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.looks)
}

// looksOf is the book of who looks at a school: its own, if it has one.
func looksOf(q Queries) Looks {
	if own, ok := q.(Looks); ok {
		return own
	}
	return &looked{}
}

// TestEveryRouteSaysWhoseRecordItShows walks the table: what names a laptop, or
// another thing that is somebody's, shows a record.
func TestEveryRouteSaysWhoseRecordItShows(t *testing.T) {
	if list := undeclared(routes()); len(list) > 0 {
		t.Errorf("these pages do not say whose record they show: %q", list)
	}
	for _, r := range routes() {
		if r.need != atSchool && r.shows != viewing.Nobody {
			t.Errorf("%s shows records of a school and asks nobody for a right there", r.pattern)
		}
		if r.shows.One() && !strings.Contains(r.pattern, "{"+namedIn[r.shows]+"}") && r.shows != viewing.Person {
			t.Errorf("%s shows %s and does not name it", r.pattern, r.shows)
		}
	}
	for _, bad := range []route{
		{"GET /schools/{school}/devices/{device}/weather", atSchool, access.ReadDevices, viewing.Nobody, nil},
		{"GET /schools/{school}/weather", atSchool, access.ReadDevices, "", nil},
		{"GET /schools/{school}/weather", atSchool, access.ReadDevices, "weather", nil},
	} {
		if len(undeclared([]route{bad})) == 0 {
			t.Errorf("%s is served, and shows %q", bad.pattern, bad.shows)
		}
	}
}

// TestWhoLooksIsRecordedBeforeTheySee: every page that shows somebody's record, and
// only what was seen: nothing of what is not there, or not for them, or leads
// elsewhere.
func TestWhoLooksIsRecordedBeforeTheySee(t *testing.T) {
	w := newSchool(t)
	h, _ := newSite(t, w, false)
	c := newClient(t, h, "dpo")
	recorded := func(ask func()) []viewing.Look {
		before := len(w.looks.all())
		ask()
		return w.looks.all()[before:]
	}
	for _, route := range routes() {
		method, path := example(route.pattern, "hollybank")
		if route.need != atSchool || method != http.MethodGet || !access.DPO.May(route.right) || strings.HasSuffix(path, "/changes") {
			continue
		}
		var code int
		got := recorded(func() { code = c.get(path).Code })
		if code != http.StatusOK {
			t.Errorf("%s: got %d", path, code)
			continue
		}
		if route.shows == viewing.Nobody || path == "/schools/hollybank/evidence" {
			if len(got) > 0 {
				t.Errorf("%s shows nobody's record, and %+v is recorded", path, got)
			}
			continue
		}
		want := viewing.Look{By: "dpo", Way: viewing.Page, What: route.shows}
		if route.shows.One() {
			parts := strings.Split(strings.TrimPrefix(route.pattern, "GET "), "/")
			want.Name = strings.Split(path, "/")[slices.Index(parts, "{"+namedIn[route.shows]+"}")]
		}
		if diff := cmp.Diff([]viewing.Look{want}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	for _, path := range []string{
		"/schools/hollybank/devices/d-nobody", "/schools/oakfield/devices/d-014", "/schools/hollybank/incidents/2026-99",
		"/schools/hollybank/evidence?device=hb-lt-014&day=2026-10-23&time=16:20", // leads to the sheet
	} {
		if got := recorded(func() { c.get(path) }); len(got) > 0 {
			t.Errorf("%s shows nothing, and %+v is recorded", path, got)
		}
	}
	if got := recorded(func() { c.get("/schools/hollybank/evidence?device=lt-01&day=2026-10-23&time=16:20") }); len(got) != 1 || got[0].What != viewing.Devices {
		t.Errorf("laptops to choose from: %+v is recorded", got)
	}
	if got := recorded(func() { newClient(t, h, "governor").get("/schools/hollybank/devices/d-014") }); len(got) > 0 {
		t.Errorf("a governor was shown nothing, and %+v is recorded", got)
	}
}

// TestWhatCannotBeRecordedIsNotShown: not a byte of it, nor its name as a file.
func TestWhatCannotBeRecordedIsNotShown(t *testing.T) {
	w := newSchool(t)
	h, _ := newSite(t, w, false)
	c := newClient(t, h, "dpo")
	w.looks.full = fmt.Errorf("%w: no space left on device", viewing.ErrUnrecorded)
	for _, route := range routes() {
		method, path := example(route.pattern, "hollybank")
		if route.need != atSchool || method != http.MethodGet || !access.DPO.May(route.right) || strings.HasSuffix(path, "/changes") {
			continue
		}
		got := c.get(path)
		if route.shows == viewing.Nobody || path == "/schools/hollybank/evidence" {
			if got.Code != http.StatusOK {
				t.Errorf("%s shows nobody's record: got %d", path, got.Code)
			}
			continue
		}
		text := plainText(got.Body.String())
		if got.Code != http.StatusServiceUnavailable || !strings.Contains(text, "That cannot be recorded now, so it is not shown to anybody.") {
			t.Errorf("%s: got %d: %.200s", path, got.Code, text)
		}
		if strings.Contains(text, "hb-lt-014") || strings.Contains(text, "no space left") || got.Header().Get("Content-Disposition") != "" || !strings.HasPrefix(got.Header().Get("Content-Type"), "text/html") {
			t.Errorf("%s gives something away: %v %.300s", path, got.Header(), text)
		}
	}
}
