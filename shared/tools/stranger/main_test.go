package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// kept is evidence that the collector made, in every format.
func kept(t *testing.T) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob("../../../collector/evidence/testdata/v*/*.evidence")
	if err != nil || len(names) < 3 {
		t.Fatalf("evidence that was kept: %v, %v", names, err)
	}
	files := map[string][]byte{}
	for _, name := range names {
		if files[name], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// key is what the evidence says its key is.
func key(t *testing.T, file []byte) string {
	t.Helper()
	var b bundle
	if err := json.Unmarshal(bytes.Split(file, []byte("\n"))[1], &b); err != nil {
		t.Fatal(err)
	}
	return b.Key
}

// tried is verify for a file in memory. What it cannot read at all ends the
// program, which is no word of approval either.
func tried(t *testing.T, name string, file []byte, trusted string) (err error) {
	t.Helper()
	if err := os.WriteFile(name, file, 0o600); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if what := recover(); what != nil {
			err = fmt.Errorf("it ended: %v", what)
		}
	}()
	_, err = verify(name, trusted)
	return err
}

// TestEveryByteCounts: evidence of every format is good as it was made, and is
// not once any byte of it is changed.
func TestEveryByteCounts(t *testing.T) {
	step := 41
	if os.Getenv("CARETAKER_THOROUGH") == "1" {
		step = 1
	}
	work := filepath.Join(t.TempDir(), "evidence")
	for name, whole := range kept(t) {
		trusted := key(t, whole)
		if err := tried(t, work, whole, trusted); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if tried(t, work, whole, strings.Replace(trusted, "+", "+0", 1)) == nil {
			t.Errorf("%s: it is good by another key", name)
		}
		for i := 0; i < len(whole); i += step {
			changed := bytes.Clone(whole)
			changed[i] ^= 1 << (i % 8)
			if tried(t, work, changed, trusted) == nil {
				t.Errorf("%s: byte %d was changed, and it is good", name, i)
			}
		}
	}
}

// TestItIsShort: whoever reads it must be able to read all of it.
func TestItIsShort(t *testing.T) {
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(source, []byte("\n")); n > 200 {
		t.Errorf("it has %d lines, more than 200", n)
	}
	for _, line := range strings.Split(string(source), "\n") {
		if strings.HasPrefix(line, "\t\"") && strings.Contains(strings.Split(line, "/")[0], ".") {
			t.Errorf("it imports %s, which is not of the standard library", line)
		}
	}
}
