package body

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

type words struct {
	Who  string   `json:"who"`
	What []string `json:"what"`
}

func TestOneDocumentAndNothingElse(t *testing.T) {
	for text, want := range map[string]string{
		`{"who":"head","what":["a"]}`:          "",
		` {"who":"head","what":["a"]} ` + "\n": "",
		`{"who":"head","what":["a"],"why":1}`:  "",
		`{"who":"head"} {"who":"dpo"}`:         "something follows",
		`{"who":"head"}]`:                      "something follows",
		`{"who":"head"`:                        "EOF",
		``:                                     "EOF",
		`{"who":1}`:                            "cannot unmarshal",
		`{"who":"` + strings.Repeat("a", 100) + `"}`: "more than the 64 allowed",
	} {
		got, err := Decode[words]([]byte(text), 64)
		switch {
		case want == "" && (err != nil || got.Who != "head" || len(got.What) != 1):
			t.Errorf("%s: got %+v, %v", text, got, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || !reflect.DeepEqual(got, words{})):
			t.Errorf("%s: got %+v, %v, want %q and nothing of it", text, got, err, want)
		}
	}
}

// Check implements Checked.
func (w words) Check() error {
	if w.Who == "" {
		return errors.New("who is missing")
	}
	return nil
}

func TestWhatIsWrongIsNeitherWrittenNorRead(t *testing.T) {
	notes := Of[words]{What: "a note", Most: 40}
	data, err := notes.Encode(words{Who: "head"})
	if err != nil {
		t.Fatal(err)
	}
	if back, err := notes.Decode(data); err != nil || back.Who != "head" {
		t.Errorf("what was written is read as %+v, %v", back, err)
	}
	for _, bad := range []words{{}, {Who: strings.Repeat("a", 60)}} {
		if data, err := notes.Encode(bad); err == nil || data != nil {
			t.Errorf("%+v was written as %q", bad, data)
		}
	}
	for text, want := range map[string]string{`{"what":["a"]}`: "read a note: who is missing", `{"who":"` + strings.Repeat("a", 60) + `"}`: "read a note"} {
		if got, err := notes.Decode([]byte(text)); err == nil || !strings.Contains(err.Error(), want) || !reflect.DeepEqual(got, words{}) {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"who":"head","what":["a"]}`))
	f.Add([]byte(`{"who":"head"}{`))
	f.Add([]byte("{\"who\":\"\xff\"}\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := Decode[words](data, 64)
		if err != nil && !reflect.DeepEqual(got, words{}) {
			t.Errorf("%q: refused (%v), and %+v of it kept", data, err, got)
		}
		if err == nil && len(data) > 64 {
			t.Errorf("%q: it is too long", data)
		}
	})
}
