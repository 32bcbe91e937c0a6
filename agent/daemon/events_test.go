package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
)

// written is an event log in memory.
type written []string

func (w *written) Info(n uint32, s string) error    { return w.add("info", n, s) }
func (w *written) Warning(n uint32, s string) error { return w.add("warning", n, s) }
func (w *written) Error(n uint32, s string) error   { return w.add("error", n, s) }

func (w *written) add(kind string, n uint32, text string) error {
	*w = append(*w, fmt.Sprintf("%s %d %s", kind, n, text))
	return nil
}

func TestEventsAreWhatAnAdministratorLooksFor(t *testing.T) {
	var got written
	log := slog.New(newEventHandler(&got))
	log.Info("document taken")
	log.Log(t.Context(), Notice, "the service has started")
	log.With("of", "disks").Warn("changes are looked for at the usual times only", "reason", errors.New("it is not\r\nthere"))
	log.WithGroup("disk").Error("assessment failed", "left", 3)
	log.Error("too long", "text", strings.Repeat("long ", maxEvent))
	want := []string{
		`info 1 msg="the service has started"`,
		`warning 2 msg="changes are looked for at the usual times only" of=disks reason="it is not\r\nthere"`,
		`error 3 msg="assessment failed" disk.left=3`,
	}
	if len(got) != 4 || !slices.Equal(got[:3], want) {
		t.Fatalf("got  %q\nwant %q", got, want)
	}
	if n := len(got[3]); n > maxEvent+20 || !strings.HasSuffix(got[3], " …") {
		t.Errorf("a long event: got %d bytes", n)
	}
}
