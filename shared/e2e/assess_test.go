package e2e

import (
	"strings"
	"testing"
	"time"
)

// TestALaptopOnWhichNothingChangedAnswers: a technician who asks it to assess
// itself is told that it has, though it has nothing to report.
func TestALaptopOnWhichNothingChangedAnswers(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	w.clock.Advance(5 * time.Minute)
	technician := w.signIn(c, "technician")
	page := "/schools/" + string(l.shown().School) + "/devices/" + string(l.shown().ID)
	asked, _ := technician.post(page+"/assessment", nil, page)
	w.untilPassing(time.Second, "its page says that it has answered", func() bool {
		_, text := technician.get(asked)
		return strings.Contains(text, "It has assessed itself since you asked, and found nothing changed.")
	})
	technician.shows(page, "All were read again")
	if n := l.shown().LastReport; n != 1 {
		t.Errorf("nothing has changed, and there is report %d", n)
	}
}
