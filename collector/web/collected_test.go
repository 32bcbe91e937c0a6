package web

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite collected.json from shared/docs/fields.md")

// TestWhatIsCollectedIsTheFieldList holds the page to the list of fields, which
// its own test holds to what can be sent.
func TestWhatIsCollectedIsTheFieldList(t *testing.T) {
	list, err := os.ReadFile("../../shared/docs/fields.md")
	if err != nil {
		t.Fatal(err)
	}
	want, err := json.MarshalIndent(parseFields(t, string(list)), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile("collected.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(fieldList, want) {
		t.Error("collected.json is not what shared/docs/fields.md says: run go generate ./collector/web")
	}
	sections, err := loadCollected()
	if err != nil {
		t.Fatal(err)
	}
	if len(sections) != len(collectedWords) {
		t.Errorf("the page speaks of %d sections, and there are %d", len(collectedWords), len(sections))
	}
	h, _ := newSite(t, newSchool(t), false)
	text := newClient(t, h, "").want("/what-is-collected", http.StatusOK, "caretaker-agent check")
	for _, s := range sections {
		for _, p := range s.Parts {
			for _, f := range p.Fields {
				if !strings.Contains(text, plainText(f.What)) {
					t.Errorf("the page does not say %q", f.What)
				}
			}
		}
	}
}

var fieldRow = regexp.MustCompile("^\\| `\\w+` \\| [^|]+ \\| ([^|]+) \\| ([^|]+) \\|$")

// parseFields reads the sections of the list. What comes before the first are
// the forms in which single values travel, and each section's own fields only
// carry its parts.
func parseFields(t *testing.T, list string) []collectedSection {
	var sections []collectedSection
	var part *collectedPart
	about, heading := "", ""
	for line := range strings.Lines(list) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "## "); ok {
			heading, about, part = name, "", nil
			if section, ok := strings.CutSuffix(name, "Section"); ok {
				sections = append(sections, collectedSection{Section: section})
			}
			continue
		}
		if heading != "" && about == "" && line != "" {
			about = line
		}
		m := fieldRow.FindStringSubmatch(line)
		if m == nil || len(sections) == 0 || strings.HasSuffix(heading, "Section") {
			continue
		}
		s := &sections[len(sections)-1]
		if part == nil {
			s.Parts = append(s.Parts, collectedPart{About: about})
			part = &s.Parts[len(s.Parts)-1]
		}
		part.Fields = append(part.Fields, collectedField{What: m[1], Purpose: m[2]})
	}
	if len(sections) < 9 {
		t.Fatalf("only %d sections were found in shared/docs/fields.md", len(sections))
	}
	return sections
}
