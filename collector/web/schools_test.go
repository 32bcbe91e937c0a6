package web

import (
	"net/http"
	"strings"
	"testing"
)

// TestSchoolsAtAGlance: every school of the account by its name, with what is
// not proven beside what is not met; what answers for its devices is worked out
// once for a while.
func TestSchoolsAtAGlance(t *testing.T) {
	s := newSchool(t)
	h, _ := newSite(t, s, false)
	c := newClient(t, h, "dpo everywhere")
	text := c.want("/", http.StatusOK, "Hollybank Primary School", "Oakfield Infant School", "Rules not proven everywhere", "37 by agent, 40 by dated import or not covered", "Schools by rules", "not proven",
		"Incident 2026-03, lost laptop HB-LT-014: decide whether the regulator is told")
	if strings.Index(text, "Hollybank") > strings.Index(text, "Oakfield") {
		t.Error("the schools are not in the order of their names")
	}
	c.want("/", http.StatusOK)
	c.want("/schools/hollybank", http.StatusOK, "37 by agent, 40 by dated import or not covered")
	// A governor of all schools has no devices to look at.
	newClient(t, h, "governor everywhere").want("/", http.StatusOK, "Your role there does not include its devices.")
}
