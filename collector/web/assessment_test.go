package web

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/view"
)

// TestALaptopIsAskedToAssessItself: its page says that it was asked, that it has
// answered, or that it could not be asked; nobody is shown a progress that is
// not there.
func TestALaptopIsAskedToAssessItself(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	c := newClient(t, h, "technician")
	const at = "/schools/hollybank/devices/"
	r := c.post(at+"d-014/assessment", nil)
	to := r.Header().Get("Location")
	if r.Code != http.StatusSeeOther || !strings.HasPrefix(to, at+"d-014?") || !slices.Equal(s.asked, []string{"technician asks d-014"}) {
		t.Fatalf("asking led to %d %s, and %q", r.Code, to, s.asked)
	}
	c.want(to, http.StatusOK, "It was asked just now to assess itself.")
	s.change(func(devices []view.DeviceDetail) { devices[13].LastReport++ })
	c.want(to, http.StatusOK, "It has assessed itself since you asked, and reported:")
	again := c.post(at+"d-014/assessment", nil).Header().Get("Location")
	for _, step := range []struct {
		came, held time.Time
		words      string
	}{
		{came: now.Add(-time.Minute), held: now.Add(-time.Hour), words: "It was asked just now to assess itself."},
		{came: now.Add(time.Second), held: now.Add(-time.Hour), words: "It was asked just now to assess itself."}, // it lives, and has looked at disks alone
		{came: now.Add(time.Second), held: now.Add(-time.Second), words: "It has assessed itself since you asked, and found nothing changed."},
	} {
		s.change(func(devices []view.DeviceDetail) { devices[13].LastContact, devices[13].HeldAt = step.came, step.held })
		c.want(again, http.StatusOK, step.words)
	}
	c.want(c.post(at+"d-007/assessment", nil).Header().Get("Location"), http.StatusOK, "It is not connected now")
	for _, q := range []string{"", "?asked=soon&report=1", "?asked=2026-10-23T15:00:00Z", "?asked=2027-10-23T15:00:00Z&report=99999"} {
		if text := c.want(at+"d-014"+q, http.StatusOK); strings.Contains(text, "to assess itself.") {
			t.Errorf("%q shows a progress", q)
		}
	}
}
