package probe

import (
	"context"
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/agent/system/systemtest"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// TestScrubbedMachinesAnswerTheSame: what a volunteer sends is judged as the
// machine was. Only what tells one machine from another may differ.
func TestScrubbedMachinesAnswerTheSame(t *testing.T) {
	probes := maps.Clone(asked)
	delete(probes, "hardware") // which is nothing but what tells one machine from another
	probes["volumes"] = func(ctx context.Context, sys system.Reader) any { return Volumes(ctx, sys) }
	probes["media"] = func(ctx context.Context, sys system.Reader) any { return Media(ctx, sys, Question{MediaKey: mediaKey}) }
	for section, ask := range probes {
		dirs, err := filepath.Glob(filepath.Join("testdata", section, "windows-*"))
		if err != nil || len(dirs) == 0 {
			t.Fatalf("no recorded machines of %s with Windows: %v", section, err)
		}
		for _, dir := range dirs {
			t.Run(filepath.ToSlash(dir), func(t *testing.T) { compareScrubbed(t, systemtest.Load(t, dir), ask) })
		}
	}
}

func compareScrubbed(t *testing.T, sys system.Reader, ask func(context.Context, system.Reader) any) {
	t.Helper()
	r := system.NewRecorder(sys)
	want := ask(t.Context(), r)
	head, reads, err := r.Bytes(t.Context(), system.Machine{RecordedAt: assessed})
	if posture.None != system.Absence(err) && strings.Contains(err.Error(), "learn what to scrub") {
		return // it keeps its names from us, and so is not recorded
	}
	if err != nil {
		t.Fatal(err)
	}
	again, err := system.NewReplay(head, reads)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(withoutIdentity(t, want), withoutIdentity(t, ask(t.Context(), again))); diff != "" {
		t.Errorf("as it was -, scrubbed +\n%s", diff)
	}
}

// withoutIdentity writes an answer, one item a text, without what tells one
// machine or medium from another, in an order of its own.
func withoutIdentity(t *testing.T, answer any) []string {
	t.Helper()
	data, err := json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	var found map[string]any
	if err := json.Unmarshal(data, &found); err != nil {
		t.Fatal(err)
	}
	items, _ := found["items"].([]any)
	delete(found, "items")
	var list []string
	for _, item := range append(items, found) {
		if fields, ok := item.(map[string]any); ok {
			for _, name := range []string{"id", "hostname", "serial"} {
				delete(fields, name)
			}
		}
		text, err := json.MarshalIndent(item, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, string(text))
	}
	slices.Sort(list)
	return list
}
