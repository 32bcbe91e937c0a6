package app

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/collector/rulebook"
	"github.com/caretaker-school/caretaker/shared/clock"
)

// TestAPolicyThatCannotBeOpenedHidesNoOther: between two policies lies one that
// another key signed. Those after it are found, shown and compared all the same,
// and of a number that is not found it is said that there is one that cannot be read.
func TestAPolicyThatCannotBeOpenedHidesNoOther(t *testing.T) {
	data := t.TempDir()
	do[InitAnswer](t, data, "init", InitArguments{School: "Hollybank Primary School"})
	_, source, err := rulebook.Baseline()
	if err != nil {
		t.Fatal(err)
	}
	publish := func(title string) {
		t.Helper()
		text := strings.Replace(string(source), "Baseline for school laptops", title, 1)
		do[PublishAnswer](t, data, "policy.publish", PublishArguments{File: "own.yaml", Source: []byte(text), Reason: "agreed"})
	}
	publish("The first")
	c, err := open(t.Context(), data, false, clock.System{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.school("")
	if err != nil {
		t.Fatal(err)
	}
	entry, err := roster.Maker{School: s.ID, Intake: intakeName}.Policy([]byte("signed by nobody"), source, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.append(t.Context(), entry); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	publish("The second")

	diff := do[DiffAnswer](t, data, "policy.diff", DiffArguments{From: 1, To: 2})
	if len(diff.Changes) != 1 || !strings.Contains(fmt.Sprint(diff.Changes[0]), "The second") {
		t.Errorf("from 1 to 2: %+v", diff.Changes)
	}
	err = Do(t.Context(), data, "policy.diff", DiffArguments{From: 1, To: 7}, &DiffAnswer{}, clock.System{})
	if err == nil || !strings.Contains(err.Error(), "no policy 7 that can be read") || !strings.Contains(err.Error(), "entry ") {
		t.Errorf("from 1 to 7: %v", err)
	}
}
