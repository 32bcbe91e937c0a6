package rulebook

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/policy/baseline"
	"github.com/caretaker-school/caretaker/shared/posture"
)

func encoded(t testing.TB, p *policy.Policy) []byte {
	t.Helper()
	body, err := policy.Encode(p)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestCompiledBaselineIsCurrent(t *testing.T) {
	p, _, err := Baseline()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(encoded(t, p), baseline.School()) {
		t.Error("shared/policy/baseline is not what the rulebook compiles: run go generate ./collector/rulebook")
	}
}

func TestCompilingTwiceGivesTheSameBytes(t *testing.T) {
	first, source, err := Baseline()
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		p, err := Compile("school.yaml", source)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(encoded(t, first), encoded(t, p)) {
			t.Fatal("the same rulebook compiled to other bytes")
		}
	}
}

// TestBaselineHoldsTheRulePack names every rule of the pack with what matters
// most about it, so that none is lost or softened unseen.
func TestBaselineHoldsTheRulePack(t *testing.T) {
	p, _, err := Baseline()
	if err != nil {
		t.Fatal(err)
	}
	day := 24 * time.Hour
	type row struct {
		side     policy.Side
		severity posture.Severity
		grace    time.Duration
		classes  int
	}
	want := map[string]row{
		"ENC-01": {policy.OnDevice, posture.Critical, 0, 3},
		"ENC-02": {policy.OnDevice, posture.High, day, 3},
		"ENC-03": {policy.OnDevice, posture.High, 7 * day, 2},
		"ENC-04": {policy.AtSchool, posture.Moderate, 7 * day, 2},
		"ENC-05": {policy.AtSchool, posture.High, 0, 3},
		"AV-01":  {policy.OnDevice, posture.Critical, 4 * time.Hour, 3},
		"AV-02":  {policy.OnDevice, posture.High, day, 3},
		"AV-03":  {policy.OnDevice, posture.Critical, 0, 2},
		"USB-01": {policy.OnDevice, posture.High, 0, 2},
		"USB-02": {policy.AtSchool, posture.Moderate, 0, 2},
		"USB-03": {policy.OnDevice, posture.High, 7 * day, 2},
		"EXE-01": {policy.OnDevice, posture.Moderate, 5 * day, 2},
		"EXE-02": {policy.OnDevice, posture.High, 0, 2},
		"EXE-03": {policy.OnDevice, posture.Moderate, 5 * day, 2},
		"EXE-04": {policy.AtSchool, posture.Moderate, 30 * day, 2},
		"PAT-01": {policy.OnDevice, posture.Critical, 0, 3},
		"PAT-02": {policy.OnDevice, posture.High, 0, 3},
		"CFG-01": {policy.OnDevice, posture.High, day, 3},
		"CFG-02": {policy.OnDevice, posture.High, 7 * day, 3},
		"CFG-03": {policy.OnDevice, posture.High, 7 * day, 2},
		"CFG-04": {policy.OnDevice, posture.Moderate, 14 * day, 2},
		"CFG-05": {policy.AtSchool, posture.Moderate, day, 2},
		"LIF-01": {policy.AtSchool, posture.Moderate, 0, 3},
		"LIF-02": {policy.AtSchool, posture.High, 3 * day, 3},
		"LIF-03": {policy.AtSchool, posture.High, day, 2},
		"LIF-04": {policy.AtSchool, posture.Low, 14 * day, 2},
	}
	if len(p.Rules) != len(want) {
		t.Errorf("%d rules, want %d", len(p.Rules), len(want))
	}
	for id, w := range want {
		r, ok := p.Rule(id)
		if got := (row{r.Side, r.Severity, r.Grace, len(r.Classes)}); !ok || got != w {
			t.Errorf("%s is %+v, want %+v", id, got, w)
		}
	}
	if r, _ := p.Rule("ENC-02"); r.Escalate == nil || *r.Escalate != (policy.Escalation{After: day, Severity: posture.Critical}) {
		t.Error("ENC-02 does not become critical after a day")
	}
}

// TestRulesAreMapped sees that shared/docs/rules.md says of every rule which
// side judges it and which facts it reads.
func TestRulesAreMapped(t *testing.T) {
	doc, err := os.ReadFile("../../shared/docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string][]string)
	for line := range strings.Lines(string(doc)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) > 5 {
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			rows[cells[1]] = cells[1:]
		}
	}
	p, _, err := Baseline()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range p.Rules {
		row, ok := rows[r.ID]
		if !ok {
			t.Errorf("%s (%s) is not in shared/docs/rules.md", r.ID, r.Title)
			continue
		}
		if want := []string{r.ID, r.Title, string(r.Side), strings.Join(r.Facts, ", ")}; strings.Join(row[:4], "|") != strings.Join(want, "|") {
			t.Errorf("shared/docs/rules.md says %v, want %v", row[:4], want)
		}
		for _, system := range row[4:7] {
			if system == "" {
				t.Errorf("shared/docs/rules.md does not say on which systems the facts of %s can be read", r.ID)
			}
		}
		delete(rows, r.ID)
	}
	for id := range rows {
		if identifier.MatchString(id) {
			t.Errorf("shared/docs/rules.md has %s, which is no rule", id)
		}
	}
}

func FuzzCompile(f *testing.F) {
	f.Add(schoolSource)
	f.Add([]byte("name: a\ntitle: b\nrules:\n  - id: X\n    require: 'facts.security.tpm && ''a'' == \"b\"'\n"))
	f.Add([]byte("name: a\ntitle: b\nparameters: {x: {value: a, choices: [a]}}\nrules:\n  - id: X\n    require: |\n\n      facts.\n"))
	f.Fuzz(func(t *testing.T, source []byte) {
		p, err := Compile("rules.yaml", source)
		if err != nil {
			problems, checkErr := Check("rules.yaml", source)
			if checkErr != nil {
				t.Fatalf("a rulebook could not be compiled, and nothing is wrong with it: %v", checkErr)
			}
			for _, problem := range problems {
				if problem.Line < 1 || problem.Column < 1 || problem.Message == "" {
					t.Fatalf("a problem without a place: %+v", problem)
				}
			}
			return
		}
		l, err := policy.Load(encoded(t, p))
		if err != nil {
			t.Fatalf("what compiled cannot be loaded: %v", err)
		}
		for _, found := range l.Evaluate(policy.Assignment{}, posture.Facts{}, time.Unix(0, 0)) {
			if found.Reason == "evaluation" {
				t.Logf("%s could not be evaluated", found.Rule)
			}
		}
	})
}
