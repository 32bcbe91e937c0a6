package assess

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/policy/baseline"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// walked is what a walk of people's folders answers.
func walked(t *testing.T, a posture.Answer[posture.Executable]) []wire.Body {
	t.Helper()
	bodies, err := wire.EncodeFacts(posture.Facts{Executables: a, Scripts: posture.Found[posture.Tally]("folders")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(bodies, func(b wire.Body) bool { return b.Name != wire.Executables })
}

func program(name string) posture.Executable {
	return posture.Executable{
		Location: posture.Home, Format: posture.ELF, SHA256: posture.Read(strings.Repeat("ab", 32)), Product: posture.Read(name),
		Version: posture.Read("1"), Signer: posture.Read("A. Maker"),
	}
}

// assessed assesses a recorded laptop and decodes what came of it.
func assessed(t *testing.T, r Request) (Outcome, posture.Facts, []posture.Finding) {
	t.Helper()
	return assessedOn(t, filepath.Join("..", "..", "shared", "e2e", "testdata", "machines", "plain-laptop"), r)
}

func assessedOn(t *testing.T, machine string, r Request) (Outcome, posture.Facts, []posture.Finding) {
	t.Helper()
	replay, err := system.OpenReplay(machine)
	if err != nil {
		t.Fatal(err)
	}
	r.Now = monday
	o, err := Assess(t.Context(), replay, r)
	if err != nil {
		t.Fatal(err)
	}
	var facts posture.Facts
	var findings []posture.Finding
	for _, b := range o.Bodies {
		if err := wire.DecodeSection(b.Name, b.Data, b.ReadAt, &facts, &findings); err != nil {
			t.Fatal(err)
		}
	}
	return o, facts, findings
}

// TestAWalkThatFailedLeavesNoOldAnswer: what an earlier walk found is not what
// people's folders hold now.
func TestAWalkThatFailedLeavesNoOldAnswer(t *testing.T) {
	before, _, _ := assessed(t, Request{Due: Sections(), Folders: walked(t, posture.Found("folders", program("Tux")))})
	for name, story := range map[string]struct {
		folders []wire.Body
		absent  posture.Absence
		want    posture.Absence
	}{
		"killed":            {nil, posture.TimedOut, posture.TimedOut},
		"no answer":         {nil, posture.None, posture.Unreadable},
		"not an answer":     {[]wire.Body{{Name: wire.Executables, Data: []byte("\xff\xff")}}, posture.None, posture.Unreadable},
		"another's answer":  {[]wire.Body{{Name: wire.Security, Data: nil}}, posture.None, posture.Unreadable},
		"unknown answer":    {[]wire.Body{{Name: "wishes", Data: nil}}, posture.None, posture.Unreadable},
		"killed, and words": {walked(t, posture.Found("folders", program("Tux"))), posture.Denied, posture.Denied},
	} {
		_, facts, _ := assessed(t, Request{Due: []string{wire.Executables}, Before: before.Bodies, Folders: story.folders, FoldersAbsent: story.absent})
		if a := facts.Executables; a.Absent != story.want || len(a.Items) != 0 || !a.ReadAt.Equal(monday) || facts.Scripts.Absent != story.want {
			t.Errorf("%s: got %+v", name, a)
		}
		if facts.Security.Absent != posture.None {
			t.Errorf("%s: it took the security facts with it", name)
		}
	}
}

// TestSectionsThatCannotBeReadAreAskedAnew: another version of the agent wrote
// them, or some are missing.
func TestSectionsThatCannotBeReadAreAskedAnew(t *testing.T) {
	all, want, _ := assessed(t, Request{Due: Sections(), Folders: walked(t, posture.Found("folders", program("Tux")))})
	for _, name := range Sections() {
		without := slices.DeleteFunc(slices.Clone(all.Bodies), func(b wire.Body) bool { return b.Name == name })
		damaged := append(slices.Clone(without), wire.Body{Name: name, Data: []byte("\xff\xff")})
		for _, before := range [][]wire.Body{without, damaged} {
			_, got, _ := assessed(t, Request{Before: append(before, wire.Body{Name: "wishes"})})
			if name == wire.Executables { // only a walk can tell
				if got.Executables.Absent != posture.Unreadable {
					t.Errorf("executables: got %v", got.Executables.Absent)
				}
				continue
			}
			if got.System.Absent != want.System.Absent || got.Volumes.Absent != want.Volumes.Absent || got.Security.Absent != want.Security.Absent ||
				got.Programs.Absent != want.Programs.Absent || got.Media.Absent != want.Media.Absent || got.Antivirus.Absent != want.Antivirus.Absent {
				t.Errorf("without %s: got %+v", name, got)
			}
		}
	}
}

// TestNamesAreWithheldAtOnce: a laptop that may be used for its user's own
// keeps no name that was read before it might.
func TestNamesAreWithheldAtOnce(t *testing.T) {
	found := walked(t, posture.Found("folders", program("Tux")))
	before, facts, _ := assessed(t, Request{Due: Sections(), Folders: found})
	if !facts.Executables.Items[0].Product.Known() {
		t.Fatal("the name is not known at first")
	}
	_, facts, _ = assessed(t, Request{Before: before.Bodies, Assignment: policy.Assignment{PersonalUse: true}})
	if e := facts.Executables.Items[0]; e.Product.Known() || e.Version.Known() || e.Signer.Known() || !e.SHA256.Known() {
		t.Errorf("got %+v", e)
	}
}

// TestProgramsOfPeopleAreWithheldAtOnce: the list of what is installed that was
// made before a laptop became its user's own too is not told, nor judged, again; and
// when it is that no more, what its people installed is asked for at once.
func TestProgramsOfPeopleAreWithheldAtOnce(t *testing.T) {
	machine := filepath.Join("..", "probe", "testdata", "programs", "windows-pupil-laptop")
	walk := walked(t, posture.Found("folders", program("Tux")))
	before, facts, _ := assessedOn(t, machine, Request{Due: Sections(), Folders: walk})
	all := len(facts.Programs.Items)
	own, facts, _ := assessedOn(t, machine, Request{Before: before.Bodies, Assignment: policy.Assignment{PersonalUse: true}})
	if got := len(facts.Programs.Items); got >= all {
		t.Errorf("%d programs are told, and before it was anybody's own %d were", got, all)
	}
	if _, facts, _ = assessedOn(t, machine, Request{Before: own.Bodies}); len(facts.Programs.Items) != all {
		t.Errorf("when it is nobody's own any more %d programs are told, and want %d", len(facts.Programs.Items), all)
	}
}

// TestARuleThatCannotBePlannedIsNotProven, and the facts arrive all the same.
func TestARuleThatCannotBePlannedIsNotProven(t *testing.T) {
	p, err := policy.Decode(baseline.School())
	if err != nil {
		t.Fatal(err)
	}
	p.Number = 4
	for i := range p.Rules {
		p.Rules[i].Require = []byte("a condition of another time")
	}
	compiled, err := policy.Encode(p)
	if err != nil {
		t.Fatal(err)
	}
	o, facts, findings := assessed(t, Request{Due: Sections(), Policy: compiled})
	if o.Policy != 4 || facts.Security.Absent != posture.None || len(findings) == 0 {
		t.Fatalf("policy %d, %d findings", o.Policy, len(findings))
	}
	for _, f := range findings {
		if f.Result == posture.Pass || f.Result == posture.Fail {
			t.Errorf("%s: %v", f.Rule, f.Result)
		}
	}
}

func TestDamagedMemoryIsNone(t *testing.T) {
	for _, data := range []string{``, `{`, `[]`, `{"answers":7}`, `{"answers":{"apt":{"inputs":"x","answer":{}}}}`} {
		if o, _, _ := assessed(t, Request{Due: Sections(), Memory: json.RawMessage(data)}); !json.Valid(o.Memory) {
			t.Errorf("%s: kept %s", data, o.Memory)
		}
	}
}
