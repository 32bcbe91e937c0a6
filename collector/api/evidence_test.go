package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Prove implements Prover: it answers with what it was asked.
func (d *decided) Prove(_ context.Context, school posture.SchoolID, q EvidenceQuestion) (Evidence, error) {
	switch {
	case q.Device != "d1":
		return Evidence{}, view.ErrNotFound
	case q.At.After(start):
		return Evidence{}, ErrNotYet
	}
	return Evidence{Device: q.Device, At: q.At, TellBy: q.Aware, MadeBy: q.By, Page: string(school) + " in " + q.Zone.String()}, nil
}

// TestEvidenceIsMadeByRole: whoever may have evidence made gets it under the
// account's name, about the school's own devices and moments that have come.
func TestEvidenceIsMadeByRole(t *testing.T) {
	w := newWorld(t)
	const at = "/api/v1/schools/hollybank/devices/d1/evidence"
	for _, c := range []struct {
		who, path string
		want      int
	}{
		{"Priya Anand", at, http.StatusOK},
		{"Morgan Ellis", at + "?zone=Europe/Paris", http.StatusOK},
		{"Sam Okafor", at, http.StatusForbidden},
		{"Elsewhere", at, http.StatusNotFound},
		{"", at, http.StatusUnauthorized},
		{"Priya Anand", strings.Replace(at, "d1", "d2", 1), http.StatusNotFound},
		{"Priya Anand", at + "?at=2026-10-24T10:00:00Z", http.StatusBadRequest},
		{"Priya Anand", at + "?at=yesterday", http.StatusBadRequest},
		{"Priya Anand", at + "?aware=2026-10-23", http.StatusBadRequest},
		{"Priya Anand", at + "?zone=Local", http.StatusBadRequest},
		{"Priya Anand", at + "?zone=../../etc/passwd", http.StatusBadRequest},
		{"Priya Anand", at + "?when=2026-10-23T10:00:00Z", http.StatusBadRequest},
	} {
		if got, answer := w.ask(t, c.who, http.MethodGet, c.path, ""); got != c.want {
			t.Errorf("%s, %s: %d, want %d: %s", c.who, c.path, got, c.want, answer)
		}
	}
	_, answer := w.ask(t, "Priya Anand", http.MethodGet, at+"?at=2026-10-23T15:20:00%2B01:00&aware=2026-10-23T15:30:00%2B01:00", "")
	var got Evidence
	if err := json.Unmarshal([]byte(answer), &got); err != nil {
		t.Fatal(err)
	}
	if !got.At.Equal(start.Add(-32*time.Minute)) || !got.TellBy.Equal(start.Add(-22*time.Minute)) || got.MadeBy != "Priya Anand" || got.Page != "hollybank in Europe/London" {
		t.Errorf("asked %+v", got)
	}
}
