package probe

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// TestOneNameIsRevealed: on a device that is its user's own too, of two programs
// the one that was asked for by its hash tells its name, and the other nothing.
func TestOneNameIsRevealed(t *testing.T) {
	named := func(name string) []byte {
		return peProgram(runnable, versionInfo(map[string]string{"ProductName": name, "ProductVersion": "2"}), nil)
	}
	asked, other := named("Moonshot Racer"), named("Private Matter")
	sum := sha256.Sum256(asked)
	sys := folders(t, "", foundFile{posture.Downloads, asked}, foundFile{posture.Home, other})
	got, _ := Executables(t.Context(), sys, nil, Withhold(true, []string{hex.EncodeToString(sum[:])}), wide)
	if len(got.Items) != 2 {
		t.Fatalf("got %+v", got.Items)
	}
	for _, e := range got.Items {
		want := posture.Unread[string](posture.NotVisible)
		if e.Location == posture.Downloads {
			want = posture.Read("Moonshot Racer")
		}
		if e.Product != want || !e.SHA256.Known() {
			t.Errorf("in %s it says %+v, want %+v", e.Location, e.Product, want)
		}
	}
	if again := Withhold(true, nil).From(got.Items); again[0].Product.Known() || again[1].Product.Known() || !got.Items[0].Product.Known() && !got.Items[1].Product.Known() {
		t.Errorf("taken back, it says %+v", again)
	}
}

// refusing fails a test that reads a file of a class of place.
type refusing struct {
	system.Reader
	t  *testing.T
	of posture.Location
}

func (r refusing) Walk(ctx context.Context, l system.WalkLimits, visit func(system.WalkedFile) error) (system.WalkSummary, error) {
	return r.Reader.Walk(ctx, l, func(f system.WalkedFile) error {
		if f.Location == r.of {
			r.t.Errorf("a file on %s was met", f.Location)
		}
		return visit(f)
	})
}

// TestAMachineForInvestigationsListsNoFileOfAMedium: what lies on the stick is
// neither listed, counted nor read, and what lies in people's folders is.
func TestAMachineForInvestigationsListsNoFileOfAMedium(t *testing.T) {
	program := peProgram(runnable, versionInfo(map[string]string{"ProductName": "Quiz"}), nil)
	sys := folders(t, "",
		foundFile{posture.OnMedia, program}, foundFile{posture.OnMedia, []byte("#!/bin/sh\n")}, foundFile{posture.Downloads, program})
	for _, aside := range []bool{false, true} {
		var facts posture.Facts
		reader := sys
		if aside {
			reader = refusing{sys, t, posture.OnMedia}
		}
		askExecutables(t.Context(), reader, Question{Now: time.Now(), Investigation: aside}, &facts)
		var places []string
		for _, e := range facts.Executables.Items {
			places = append(places, string(e.Location))
		}
		for _, s := range facts.Scripts.Items {
			places = append(places, string(s.Location))
		}
		want := "downloads media media"
		if aside {
			want = "downloads"
		}
		if got := strings.Join(places, " "); got != want || !facts.Executables.Complete() {
			t.Errorf("set aside %v: files in %q, want %q; %v", aside, got, want, facts.Executables.Gaps)
		}
	}
}
