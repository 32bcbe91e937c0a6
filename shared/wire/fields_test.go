package wire

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the list of fields")

var (
	protoMessage = regexp.MustCompile(`^message (\w+) \{$`)
	protoField   = regexp.MustCompile(`^  (repeated )?(\w+) (\w+) = \d+;$`)
)

const fieldsFile = "../docs/fields.md"

// TestFieldList holds the promise that what is collected is one list, each
// field with its purpose.
func TestFieldList(t *testing.T) {
	data, err := os.ReadFile("proto/caretaker/v1/facts.proto")
	if err != nil {
		t.Fatal(err)
	}
	got := fieldList(t, string(data))
	if *update {
		if err := os.WriteFile(fieldsFile, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(fieldsFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("shared/docs/fields.md is not what facts.proto says: go test ./shared/wire -run TestFieldList -update")
	}
}

func fieldList(t *testing.T, proto string) []byte {
	t.Helper()
	var out bytes.Buffer
	out.WriteString("<!-- Made from shared/wire/proto/caretaker/v1/facts.proto: go test ./shared/wire -run TestFieldList -update -->\n\n" +
		"# What the agent collects\n\nThis is all that a laptop tells the school's collector about itself. " +
		"Nothing outside this list is collected, logged or sent. " +
		"`caretaker-agent check --json` prints what would be sent from this computer.\n\n" +
		"A purpose such as ENC-01 is a rule of [rules.md](rules.md). A field of the type Text, Truth, Number or Instant carries either its value or the reason why it could not be read.\n")
	var comment []string
	for i, line := range strings.Split(proto, "\n") {
		text, isComment := strings.CutPrefix(strings.TrimSpace(line), "//")
		switch {
		case isComment:
			comment = append(comment, strings.TrimSpace(text))
			continue
		case protoMessage.MatchString(line):
			fmt.Fprintf(&out, "\n## %s\n\n%s\n\n| Field | Type | What it is | Purpose |\n|---|---|---|---|\n",
				protoMessage.FindStringSubmatch(line)[1], strings.Join(comment, " "))
		case protoField.MatchString(line):
			m := protoField.FindStringSubmatch(line)
			what, purpose, ok := strings.Cut(strings.Join(comment, " "), "Purpose:")
			if purpose = strings.TrimSpace(purpose); !ok || len(purpose) < 6 || len(strings.TrimSpace(what)) < 5 {
				t.Errorf("facts.proto:%d: field %s does not say what it is and its purpose", i+1, m[3])
			}
			fmt.Fprintf(&out, "| `%s` | %s%s | %s | %s |\n", m[3], strings.Replace(m[1], "repeated", "list of", 1), m[2], strings.TrimSpace(what), purpose)
		case line != "" && line != "}" && !strings.HasPrefix(line, "syntax ") && !strings.HasPrefix(line, "package ") && !strings.HasPrefix(line, "option "):
			t.Errorf("facts.proto:%d: the list of fields does not understand %q", i+1, line)
		}
		comment = nil
	}
	return out.Bytes()
}
