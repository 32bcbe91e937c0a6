package e2e

import (
	"strings"
	"testing"
	"time"

	collectorapp "github.com/caretaker-school/caretaker/collector/app"
)

// TestTheAuthorityIsReplaced: a collector that is started twenty-one years on
// has another certificate authority. A laptop that slept through all of it opens
// a connection, learns the next one, and renews once somebody has approved it.
func TestTheAuthorityIsReplaced(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	network := newLink(t, c.agents)
	l := w.laptop("laptop", "windows-laptop", network.Address())
	w.untilPassing(time.Second, "it is acknowledged", func() bool { return l.status().Acknowledged >= 1 && l.status().Waiting == 0 })
	must(t, l.stop())
	must(t, c.stop())
	w.clock.Advance(21 * 365 * 24 * time.Hour)
	c = w.collect()
	network.Mend(c.agents)
	l.run()
	w.untilPassing(time.Minute, "it waits to be let in again", func() bool { return strings.Contains(l.status().Trouble, "approve") })
	ask[collectorapp.AdmissionAnswer](w, "renewal.approve", collectorapp.RenewalArguments{Device: l.device, Reason: "found in the attic"})
	before := l.shown().LastContact
	w.untilPassing(10*time.Minute, "it reports again", func() bool { return l.shown().LastContact.After(before.AddDate(20, 0, 0)) })
	// Whoever enrols now knows the present authority alone.
	fresh := w.laptop("fresh", "windows-laptop", c.agents)
	w.untilPassing(time.Second, "it is acknowledged", func() bool { return fresh.status().Acknowledged >= 1 })
	w.verified()
}
