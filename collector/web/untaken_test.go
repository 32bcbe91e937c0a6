package web

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/collector/release"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// AgentOn implements Updater: one laptop has gone back.
func (u *releases) AgentOn(school posture.SchoolID, device posture.DeviceID) release.Runs {
	if school != "hollybank" || device != "d-014" {
		return release.Runs{}
	}
	return release.Runs{Version: "v1.2.0", System: "windows-amd64", Untaken: "v1.3.0", Why: "it had reported, and then ended 5 times in a row <soon> after its start"}
}

func TestALaptopSaysWhatItDoesNotRun(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	c := newClient(t, h, "technician")
	c.want("/schools/hollybank/devices/d-014", http.StatusOK, "Version v1.3.0 does not run here: it had reported, and then ended 5 times in a row <soon> after its start.")
	if text := c.want("/schools/hollybank/devices/d-010", http.StatusOK); strings.Contains(text, "does not run here") {
		t.Error("of another laptop it is said too")
	}
	for want, r := range map[string]release.Runs{
		"": {Version: "v1.2.0"},
		"No newer version is taken: the disk has no room.": {Why: "the disk has no room"},
	} {
		if got := untaken(r); got != want {
			t.Errorf("%+v: got %q, want %q", r, got, want)
		}
	}
}
