package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	collectorapp "github.com/caretaker-school/caretaker/collector/app"
)

// incidentDeeds are the commands of incidents.
var incidentDeeds = []string{
	"incident open", "incident list", "incident show", "incident note", "incident tell", "incident link", "incident found",
	"incident correct", "incident close", "incident reopen",
}

// doingIncidents does them, each once what it rests on shows. In the end the
// laptop is not lost.
func doingIncidents(t *testing.T, x *talk, answers map[string]string) {
	t.Helper()
	then := func(args ...string) string {
		t.Helper()
		name := args[0] + " " + args[1]
		args = append(args, "--school", schoolName, "--data", x.Data, "--json")
		until(t, name+" can be done", func() bool {
			o := command(t, "caretaker-collector", args...)
			answers[name] = o.Stdout
			return o.Status == 0
		})
		return answers[name]
	}
	var made collectorapp.IncidentAnswer
	opened := then("incident", "open", "--kind", "lost-device", "--happened", "2026-10-23 16:20", "--aware", "2026-10-23 17:10",
		"--device", x.Device, "--lost", "--words", "left on the 16:20 train")
	must(t, json.Unmarshal([]byte(opened), &made))
	if made.TellBy == nil || made.TellBy.String() != "Mon 26 Oct 2026 16:10 GMT" {
		t.Errorf("opened: %s", opened)
	}
	file := filepath.Join(t.TempDir(), "sealed")
	must(t, os.WriteFile(file, []byte("evidence"), 0o600))
	then("incident", "show", made.ID)
	people := good(t, "caretaker-collector", "device", "show", x.Device, "--school", schoolName, "--data", x.Data)
	if !strings.Contains(people, "LOST since Fri 23 Oct 2026 16:20 BST: incident "+made.Number+"\n") {
		t.Errorf("the laptop shows as\n%s", people)
	}
	people = good(t, "caretaker-collector", "incident", "list", "--school", schoolName, "--data", x.Data)
	if !strings.Contains(people, made.Number) || !strings.Contains(people, "due Mon 26 Oct 2026 16:10 GMT, ") || !strings.Contains(people, "regulator: not decided") {
		t.Errorf("listed as\n%s", people)
	}
	for _, c := range [][]string{
		{"note", "--words", "not handed in", "--contact", "train company, lost property", "--at", "2026-10-24 10:00"},
		{"note", "--words", "carry it in the bag that has a strap", "--lesson"},
		{"tell", "regulator", "yes", "--words", "to be safe", "--at", "2026-10-24 11:00", "--told", "2026-10-24 12:00"},
		{"tell", "individuals", "no", "--words", "its disk was encrypted"},
		{"correct", "--aware", "2026-10-23 16:50", "--words", "the office was told earlier"},
		{"link", "--evidence", file},
		{"close", "--outcome", "internal", "--words", "nothing was at risk"},
		{"reopen", "--words", "it was handed in"},
		{"found", "--device", x.Device, "--words", "at the station"},
	} {
		then(append([]string{"incident", c[0], made.ID}, c[1:]...)...)
	}
	until(t, "the laptop shows as found", func() bool {
		return strings.Contains(then("incident", "show", made.ID), `"foundAct"`)
	})
	people = good(t, "caretaker-collector", "incident", "show", made.Number, "--school", schoolName, "--data", x.Data)
	for _, want := range []string{
		"to be told by Mon 26 Oct 2026 16:10 GMT", "to be told by Mon 26 Oct 2026 15:50 GMT", "They were told Sat 24 Oct 2026 12:00 BST",
		"Spoke to train company, lost property, Sat 24 Oct 2026 10:00 BST: not handed in", "Lesson: carry it", "Closed, internal", "Opened again", "Found again",
	} {
		if !strings.Contains(people, want) {
			t.Errorf("shown without %q:\n%s", want, people)
		}
	}
	then("incident", "list", "--all")
}
