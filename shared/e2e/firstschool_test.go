package e2e

import (
	"os"
	"path/filepath"
	"testing"

	collectorapp "github.com/caretaker-school/caretaker/collector/app"
)

// TestACollectorThatWasJustInstalledWaitsForItsFirstSchool: a service manager
// starts it before anybody has made one.
func TestACollectorThatWasJustInstalledWaitsForItsFirstSchool(t *testing.T) {
	w := emptyWorld(t)
	must(t, os.Mkdir(w.data, 0o700))
	// What it noted of itself is no reason not to start.
	must(t, os.WriteFile(filepath.Join(w.data, "served.json"), []byte("{"), 0o600))
	c := w.collect()
	ask[collectorapp.InitAnswer](w, "init", collectorapp.InitArguments{School: schoolName})
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	w.verified()
}
