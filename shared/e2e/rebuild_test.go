package e2e

import (
	"encoding/json"
	"testing"
	"time"

	collectorapp "github.com/caretaker-school/caretaker/collector/app"
)

func TestARebuiltViewIsTheOneThatFollowed(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	for i, machine := range []string{"plain-laptop-with-stick", "encrypted-laptop", "plain-laptop"} {
		l.becomes(machine)
		l.at(monday.Add(time.Duration(i+1) * 8 * time.Hour))
		until(t, "the report shows", func() bool { return l.shown().LastReport == uint64(i+2) })
	}
	must(t, l.stop())

	dump := func() map[string]string {
		shown := map[string]string{}
		for _, operation := range []string{"device.list", "device.show", "breach.list"} {
			text, err := json.MarshalIndent(ask[any](w, operation, collectorapp.ListArguments{Device: l.device, Limit: 100}), "", " ")
			must(t, err)
			shown[operation] = string(text)
		}
		return shown
	}
	followed := dump()
	ask[collectorapp.RebuildAnswer](w, "view.rebuild", struct{}{})
	for operation, rebuilt := range dump() {
		if rebuilt != followed[operation] {
			t.Errorf("rebuilt while it runs, %s answers\n%s\nand answered\n%s", operation, rebuilt, followed[operation])
		}
	}
	must(t, c.stop())
	ask[collectorapp.RebuildAnswer](w, "view.rebuild", struct{}{})
	for operation, rebuilt := range dump() {
		if rebuilt != followed[operation] {
			t.Errorf("rebuilt while none runs, %s answers\n%s\nand answered\n%s", operation, rebuilt, followed[operation])
		}
	}
}
