package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

// run carries out a command line as main does.
func run(args ...string) (string, error) {
	c := root()
	var out bytes.Buffer
	c.SetOut(&out)
	c.SetErr(&out)
	c.SetArgs(args)
	err := c.ExecuteContext(context.Background())
	return out.String(), err
}

// TestSlipsOfThePen: what no command is meant by never looks like success.
func TestSlipsOfThePen(t *testing.T) {
	data := t.TempDir()
	for words, want := range map[string]string{
		"verify":                     "unknown command",
		"ledger verfy":               "unknown command",
		"token --uses 3":             "unknown flag",
		"device show":                "accepts 1 arg",
		"token create --uses 0":      "more than 0",
		"token create --lifetime 0s": "more than 0",
	} {
		out, err := run(append(strings.Fields(words), "--data", data)...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v and %q, want an error with %q", words, err, out, want)
		}
	}
	for _, words := range []string{"ledger", "token", "ledger --help", ""} {
		if out, err := run(strings.Fields(words)...); err != nil || !strings.Contains(out, "Usage:") {
			t.Errorf("%q: got %v and %q, want help", words, err, out)
		}
	}
}
