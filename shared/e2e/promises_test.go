package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestPromisesHaveTests(t *testing.T) {
	text, err := os.ReadFile("../docs/promises.md")
	must(t, err)
	rows := regexp.MustCompile(`(?m)^\| (\d+) \|[^|]+\|([^|]+)\|$`).FindAllStringSubmatch(string(text), -1)
	if len(rows) != 11 {
		t.Fatalf("the table has %d promises, want 11", len(rows))
	}
	_, cases, _ := strings.Cut(string(text), "## What people decide")
	survived := regexp.MustCompile(`(?m)^\| ()([^|]+\|[^|]+)\|$`).FindAllStringSubmatch(cases, -1)
	if len(survived) < 20 {
		t.Fatalf("the table of what they survive has %d rows", len(survived))
	}
	for _, row := range survived[1:] { // without the heading
		if strings.HasPrefix(row[2], " ---") || strings.Contains(row[2], "Tests that would fail") {
			continue // the heads of the two tables
		}
		what, tests, _ := strings.Cut(row[2], "|")
		rows = append(rows, []string{row[0], strings.TrimSpace(what), tests})
	}
	inRoom := regexp.MustCompile("`([a-z/0-9]+)`([^`]+)")
	test := regexp.MustCompile(`\bTest\w+`)
	for _, row := range rows {
		named := 0
		for _, room := range inRoom.FindAllStringSubmatch(row[2], -1) {
			files, err := filepath.Glob(filepath.Join("../..", room[1], "*_test.go"))
			must(t, err)
			var source strings.Builder
			for _, f := range files {
				data, err := os.ReadFile(f)
				must(t, err)
				source.Write(data)
			}
			for _, name := range test.FindAllString(room[2], -1) {
				named++
				if !strings.Contains(source.String(), "func "+name+"(") {
					t.Errorf("%q names %s in %s, and there is none", row[1], name, room[1])
				}
			}
		}
		if named == 0 {
			t.Errorf("%q names no test", row[1])
		}
	}
}
