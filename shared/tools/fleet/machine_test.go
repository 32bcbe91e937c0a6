package main

import (
	"slices"
	"testing"

	"github.com/caretaker-school/caretaker/agent/assess"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// TestMachinesChange makes the chain that a laptop of the fleet makes: a full
// report, nothing new, a stick in, a stick out.
func TestMachinesChange(t *testing.T) {
	machines, err := recorded(t.Context(), "../../e2e/testdata/machines", terms{mediaKey: make([]byte, 32)}, morning)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range machines {
		var chain assess.Chain
		for _, step := range []struct {
			state   condition
			contact bool
			carries string // a section that it must carry
			leaves  string // one that it must not
		}{
			{asFound, false, wire.Programs, ""},
			{asFound, true, "", wire.System},
			{withStick, false, wire.MediaEvents, wire.Programs},
			{stickGone, false, wire.Media, wire.Executables},
		} {
			bodies, err := m.as(step.state, "hb-lt-00014", morning)
			if err != nil {
				t.Fatal(err)
			}
			draft, next, err := chain.Next(bodies, assess.Moment{School: "hollybank", Device: "dev-014", MadeAt: morning}, salt)
			if err != nil {
				t.Fatal(err)
			}
			carries := func(name string) bool {
				return slices.ContainsFunc(draft.Sections, func(s proof.Section) bool { return s.Name == name })
			}
			if draft.Contact != step.contact || step.carries != "" && !carries(step.carries) || carries(step.leaves) {
				t.Errorf("in condition %d: contact is %t, carries %d sections", step.state, draft.Contact, len(draft.Sections))
			}
			chain = next
		}
	}
}

func TestLaptopsHaveTheirOwnNames(t *testing.T) {
	machines, err := recorded(t.Context(), "../../e2e/testdata/machines", terms{}, morning)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"hb-lt-00014", "hb-lt-00015"} {
		bodies, err := machines[0].as(asFound, name, morning)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range bodies {
			var facts posture.Facts
			if b.Name != wire.System {
				continue
			}
			if err := wire.DecodeSection(b.Name, b.Data, b.ReadAt, &facts, nil); err != nil || facts.System.Items[0].Hostname != name {
				t.Errorf("got %v, %v, want %s", facts.System.Items, err, name)
			}
		}
	}
	if _, err := recorded(t.Context(), t.TempDir(), terms{}, morning); err == nil {
		t.Error("an empty folder gave machines")
	}
}
