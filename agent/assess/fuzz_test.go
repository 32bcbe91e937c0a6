package assess

import (
	"encoding/json"
	"testing"

	"github.com/caretaker-school/caretaker/shared/proof"
)

// FuzzOutcome lets a child, which has read what may be hostile, answer
// anything: what the parent makes a report of is a statement that can be read,
// with the bodies that it names, or an error.
func FuzzOutcome(f *testing.F) {
	good, err := json.Marshal(Outcome{Bodies: bodies(monday, "encrypted", "pass"), Memory: json.RawMessage(`{}`), MediaLog: json.RawMessage(`{"version":1}`)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"bodies":[{"Name":"system","Class":9,"Data":"AAAA","ReadAt":"0001-01-01T00:00:00Z"},{"Name":"system"}]}`))
	f.Add([]byte(`{"bodies":[{"Name":"\u202e"}],"memory":[[[]]],"mediaLog":7}`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		var o Outcome
		if json.Unmarshal(answer, &o) != nil {
			return
		}
		_ = remembered(o.Memory)
		_, _ = readMediaLog(o.MediaLog)
		draft, _, err := Chain{}.Next(o.Bodies, moment(monday), func() [proof.SaltSize]byte { return [proof.SaltSize]byte{1} })
		if err != nil {
			return
		}
		statement, err := proof.DecodeReportStatement(draft.Statement)
		if err != nil || len(statement.Sections) != len(draft.Sections) {
			t.Fatalf("the parent would sign what names %d sections for %d: %v", len(statement.Sections), len(draft.Sections), err)
		}
		for i, s := range draft.Sections {
			if statement.Sections[i].Digest != s.Digest() {
				t.Errorf("section %s is not the one that is signed", s.Name)
			}
		}
	})
}
