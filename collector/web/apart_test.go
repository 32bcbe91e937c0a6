package web

import (
	"net/http"
	"strings"
	"testing"
)

// TestALostLaptopIsShownApart: its page says that it is lost and shows what it
// has said since apart, and offers nothing that would be given to it.
func TestALostLaptopIsShownApart(t *testing.T) {
	h, _ := newSite(t, newSchool(t), false)
	c := newClient(t, h, "technician")
	text := c.want("/schools/hollybank/devices/d-010", http.StatusOK, "Lost since Thu 22 Oct 2026 11:12 BST", "incident 2026-03", "What came then changes nothing above",
		"It says that it does not meet ENC-01, CFG-01.", "It says that it meets every rule it judges.")
	if strings.Contains(text, "Assess it now") {
		t.Error("a lost laptop can be asked to assess itself")
	}
	text = c.want("/schools/hollybank/devices/d-011", http.StatusOK, "It has not taken version 4 of the policy yet", "Groups: trolley-b, year-4", "Before it was set up anew", "hb-lt-011")
	if strings.Contains(text, "Lost since") {
		t.Error("a laptop that is not lost is shown as lost")
	}
}
