package rulebook

import (
	"bytes"
	"strings"
	"testing"
)

func TestChoose(t *testing.T) {
	_, source, err := Baseline()
	if err != nil {
		t.Fatal(err)
	}
	same, err := Choose("school.yaml", source, map[string]string{"media": "encrypted", "programs": "deny"})
	if err != nil || !bytes.Equal(same, source) {
		t.Errorf("what is so already changes the text: %v", err)
	}
	other, err := Choose("school.yaml", source, map[string]string{"media": "registered", "programs": "allow", "portablePrograms": "record"})
	if err != nil {
		t.Fatal(err)
	}
	p, err := Compile("school.yaml", other)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"media": "registered", "programs": "allow", "portablePrograms": "record"} {
		if got := parameters(p)[name].Text; got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if a, b := strings.Count(string(other), "\n"), strings.Count(string(source), "\n"); a != b {
		t.Errorf("%d lines were %d", a, b)
	}
	for name, choice := range map[string]map[string]string{
		"no such choice":    {"media": "anything"},
		"no such parameter": {"sweets": "ban"},
		"not a choice":      {"seenWithin": "1d"},
		"more than a word":  {"media": "ban\n    choices: [ban]"},
	} {
		if _, err := Choose("school.yaml", source, choice); err == nil {
			t.Errorf("%s was chosen", name)
		}
	}
}
