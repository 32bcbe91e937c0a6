package restricted

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "make the golden files anew, which only a new format may")

// golden is a case as the first version wrote it, with what opens it.
type golden struct {
	Passphrase string   `json:"passphrase"`
	Code       string   `json:"code"`
	Wrapped    []byte   `json:"wrapped"`
	Acts       [][]byte `json:"acts"`
	Told       Told     `json:"told"`
}

// TestWhatWasSealedOpensForEver opens what the first version sealed.
func TestWhatWasSealedOpensForEver(t *testing.T) {
	file := filepath.Join("testdata", "v1.json")
	if *update {
		makeGolden(t, file)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	secret, err := Unwrap(g.Wrapped, g.Passphrase)
	if err != nil || secret.Key().Code() != g.Code {
		t.Fatalf("the key %s is not that of the passphrase: %v", g.Code, err)
	}
	s := newStory(t)
	for _, body := range g.Acts {
		s.append(body)
	}
	told, err := s.reads(person{secret, "account-0"}, one)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(told)
	if err != nil {
		t.Fatal(err)
	}
	want, err := json.Marshal(g.Told)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("it reads otherwise: %s", diff)
	}
}

func makeGolden(t *testing.T, file string) {
	t.Helper()
	p := people(t, 2)
	s := newStory(t)
	s.opens(one, p[0], p[1])
	s.must(p[0], Head{Case: one, What: Place, On: &Subject{Device: "d-14"}}, Content{Words: "the police may want it"})
	s.must(p[1], Head{Case: one, What: View}, Content{Looked: "show"})
	g := golden{Passphrase: NewPassphrase(), Code: p[0].Key().Code(), Acts: s.bodies}
	var err error
	if g.Wrapped, err = p[0].Wrap(g.Passphrase); err != nil {
		t.Fatal(err)
	}
	if g.Told, err = s.reads(p[0], one); err != nil {
		t.Fatal(err)
	}
	data, err := json.MarshalIndent(g, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(data, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}
