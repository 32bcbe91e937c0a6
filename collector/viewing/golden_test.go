package viewing

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// TestGolden holds what was recorded to the byte: it is read, and written again
// alike, by every later version.
func TestGolden(t *testing.T) {
	for name, want := range map[string]Look{
		"page":    {By: "Morgan Ellis", Way: Page, What: Device, Name: "d-014"},
		"program": {By: "Priya Anand", Key: "abcd2345", Way: Program, What: Register},
		"command": {By: "console:caretaker", Way: Command, What: Incident, Name: "2026-03", Devices: []posture.DeviceID{"d-014", "d-015"}},
	} {
		file, err := os.ReadFile(filepath.Join("testdata", "golden", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		body := bytes.TrimSuffix(file, []byte("\n"))
		got, err := Decode(body)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
		section, err := Encode(want, [proof.SaltSize]byte{})
		if err != nil || !bytes.Equal(section.Body, body) || section.Name != "look" || section.Class != proof.People {
			t.Errorf("%s is written as %s, in %q of class %s: %v", name, section.Body, section.Name, section.Class, err)
		}
	}
}
