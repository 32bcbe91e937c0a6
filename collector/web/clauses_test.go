package web

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	clauseRow   = regexp.MustCompile(`(?m)^\| C(\d+) \| [^|]+ \| ([^|]+) \|$`)
	namedInRow  = regexp.MustCompile(`\*([A-Z][^*]+)\*`)
	linkedInRow = regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`)
)

// TestClausesAreAnsweredByWhatThereIs: each clause of the schools' policies has one
// row, and the pages and documents that its answer names are there.
func TestClausesAreAnsweredByWhatThereIs(t *testing.T) {
	docs := filepath.Join("..", "..", "shared", "docs")
	text, err := os.ReadFile(filepath.Join(docs, "clauses.md"))
	if err != nil {
		t.Fatal(err)
	}
	h, _ := newSite(t, newSchool(t), false)
	var pages strings.Builder
	for _, who := range []string{"administrator everywhere", "dpo everywhere", "head everywhere", "robin"} {
		c := newClient(t, h, who)
		for _, p := range slices.Concat(browserPages, registerPages, settingPictures) {
			if r := c.get(p.path); r.Code == http.StatusOK {
				pages.WriteString(plainText(r.Body.String()) + "\n")
			}
		}
	}
	var numbers []string
	for _, row := range clauseRow.FindAllStringSubmatch(string(text), -1) {
		numbers = append(numbers, row[1])
		for _, named := range namedInRow.FindAllStringSubmatch(row[2], -1) {
			if !strings.Contains(pages.String(), named[1]) {
				t.Errorf("C%s is answered by %q, which no page says", row[1], named[1])
			}
		}
		for _, linked := range linkedInRow.FindAllStringSubmatch(row[2], -1) {
			if _, err := os.Stat(filepath.Join(docs, linked[1])); err != nil {
				t.Errorf("C%s leads to a document that is not there: %v", row[1], err)
			}
		}
	}
	want := make([]string, 73)
	for i := range want {
		want[i] = fmt.Sprint(i + 1)
	}
	if !slices.Equal(numbers, want) {
		t.Errorf("the clauses answered are %s, want each of C1 to C73 once and in order", numbers)
	}
}
