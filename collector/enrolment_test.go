package main

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// TestWhoWaitsIsReadAtTheTrolley: the code that the laptop shows comes first; which
// asset it says to be stands beneath, with how little that proves.
func TestWhoWaitsIsReadAtTheTrolley(t *testing.T) {
	asked := time.Date(2026, time.November, 20, 10, 0, 0, 0, time.UTC)
	c := &cobra.Command{}
	var out strings.Builder
	c.SetOut(&out)
	showPending(c, []admission.Pending{
		{Code: "K7F-2QX", Platform: posture.Windows, Hostname: "hb-lt-014", Manufacturer: "Acme", Model: "Classbook 14", Asked: asked, Token: "t-1", Asset: "HB-LT-014", Why: "its token asks for approval", Ends: asked.Add(time.Hour)},
		{Code: "M2C-9RT", Platform: posture.Linux, Hostname: "hb-lt-015", Asked: asked, Token: "t-1", Refused: asked, RefusedFor: "not ours"},
	})
	lines := strings.Split(out.String(), "\n")
	if len(lines) != 6 || !strings.HasPrefix(lines[0], "K7F-2QX  windows hb-lt-014 (Acme Classbook 14), asked ") ||
		strings.TrimSpace(lines[1]) != "HB-LT-014 by its serial number, which proves less than the code" ||
		!strings.HasPrefix(strings.TrimSpace(lines[2]), "its token asks for approval; forgotten ") ||
		!strings.HasPrefix(lines[3], "M2C-9RT") || !strings.HasSuffix(lines[4], ": not ours") {
		t.Errorf("it reads\n%s", out.String())
	}
	out.Reset()
	if showPending(c, nil); out.String() != "No laptop waits to be admitted.\n" {
		t.Errorf("where none waits it reads %q", out.String())
	}
	for want, d := range map[string]admission.Decided{
		"": {Device: "d-1"}, " It is HB-LT-014 of the register.": {Asset: "HB-LT-014"},
		" It is tied to no asset: HB-LT-014 is another laptop.": {Untied: "HB-LT-014 is another laptop"},
	} {
		if got := assetWords(d); got != want {
			t.Errorf("%+v: it reads %q, want %q", d, got, want)
		}
	}
}
