package rulebook

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/caretaker-school/caretaker/collector/fault"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
)

var update = flag.Bool("update", false, "rewrite what the golden files expect")

// golden runs a test on every file of a folder: it gives the file's parts and
// compares the last of them, which it names, with what the test makes.
func golden(t *testing.T, folder, last string, made func(*testing.T, map[string][]byte) string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", folder, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files in %s: %v", folder, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			parts := make(map[string][]byte)
			for _, f := range archive.Files {
				parts[f.Name] = f.Data
			}
			got := made(t, parts)
			if *update {
				files := archive.Files[:0]
				for _, f := range archive.Files {
					if f.Name != last {
						files = append(files, f)
					}
				}
				archive.Files = append(files, txtar.File{Name: last, Data: []byte(got)})
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(parts[last]), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", last, diff)
			}
		})
	}
}

// TestJudge judges the facts of each golden file by its policy, or by the
// shipped baseline if it has none.
func TestJudge(t *testing.T) {
	golden(t, "judge", "findings", func(t *testing.T, parts map[string][]byte) string {
		p := compiled(t, parts["policy.yaml"])
		var a policy.Assignment
		unmarshal(t, parts["assignment.json"], &a)
		now, err := time.Parse(time.RFC3339, strings.TrimSpace(string(parts["now"])))
		if err != nil {
			t.Fatal(err)
		}
		var f posture.Facts
		unmarshal(t, parts["facts.json"], &f)
		findings := policy.Evaluate(p, a, f, now)
		if school, ok := parts["school.json"]; ok {
			var s policy.SchoolFacts
			unmarshal(t, school, &s)
			s.System = f.System
			findings = policy.EvaluateSchool(p, a, s, now)
		}
		return table(findings)
	})
}

func compiled(t *testing.T, source []byte) *policy.Policy {
	t.Helper()
	if source == nil {
		p, _, err := Baseline()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p, err := Compile("policy.yaml", source)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func unmarshal(t *testing.T, data []byte, into any) {
	t.Helper()
	if len(data) == 0 {
		return
	}
	dec := json.NewDecoder(strings.NewReader(string(data)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		t.Fatal(err)
	}
}

// table writes findings for people to review.
func table(findings []posture.Finding) string {
	var b strings.Builder
	for _, f := range findings {
		subject := f.Subject.Label
		if f.Subject.Key == "" && f.Subject.Kind != "device" {
			subject = "(" + subject + ")"
		}
		fmt.Fprintf(&b, "%-7s %-28s %-14s %-16s", f.Rule, subject, f.Result, f.Reason)
		if f.Result == posture.Fail {
			fmt.Fprintf(&b, " %s after %s", f.Severity, f.Grace)
		}
		fmt.Fprintf(&b, "\n        %s\n", f.Message)
	}
	return b.String()
}

// TestRefuse compares what is said about each unsound rulebook.
func TestRefuse(t *testing.T) {
	golden(t, "refuse", "problems", func(t *testing.T, parts map[string][]byte) string {
		problems, err := Check("rules.yaml", parts["rules.yaml"])
		if err != nil {
			t.Fatal(err)
		}
		if len(problems) == 0 {
			t.Fatal("the rulebook was accepted")
		}
		return fault.ListError(problems).Error() + "\n"
	})
}
