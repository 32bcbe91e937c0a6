package beds

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// TestProgramsAgreeWithImportedHives imports what a laptop's registry holds,
// as regedit writes it, and compares the agent's list with the one that a
// person made of the same files.
func TestProgramsAgreeWithImportedHives(t *testing.T) {
	w := newWindows(t)
	cannot(t, "that Windows keeps its hives so: these are invented, after what is documented of real ones")
	w.settled()
	for _, hive := range []string{"machine.reg", "pupil.reg", "teacher.reg"} {
		w.imports(hive)
	}
	programs := w.checks().Facts.Programs
	if diff := cmp.Diff(listed(t, "programs.txt"), lines(programs.Items)); diff != "" {
		t.Errorf("the programs are not those of the hives (-hives +agent):\n%s", diff)
	}
	// One person is not signed in, so that their hive is not loaded.
	if programs.Absent != posture.None || len(programs.Gaps) != 1 || programs.Gaps[0].Absent != posture.NotVisible {
		t.Errorf("the programs are %s, with the gaps %+v; want one of a person who is not signed in", programs.Absent, programs.Gaps)
	}

	w.does("reg", "delete", `HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\7-Zip`, "/f")
	left := lines(w.checks().Facts.Programs.Items)
	want := slices.DeleteFunc(listed(t, "programs.txt"), func(line string) bool { return strings.HasPrefix(line, "windows|7-Zip 24.09 (x64)|") })
	if diff := cmp.Diff(want, left); diff != "" {
		t.Errorf("with a program less, they are not those of the hives (-hives +agent):\n%s", diff)
	}
}

// lines writes programs as the file of what is wanted does.
func lines(programs []posture.Program) []string {
	var all []string
	for _, p := range programs {
		all = append(all, strings.Join([]string{p.Source, p.Name, p.Version, p.Publisher, p.Architecture}, "|"))
	}
	slices.Sort(all)
	return all
}

// listed returns the lines of a file of testdata that say something.
func listed(t *testing.T, name string) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	must(t, err)
	var all []string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimRight(line, "\n"); line != "" && !strings.HasPrefix(line, "#") {
			all = append(all, line)
		}
	}
	slices.Sort(all)
	return all
}
