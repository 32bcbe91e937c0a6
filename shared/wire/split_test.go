package wire

import (
	"reflect"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// FuzzSplit takes bodies apart and puts them together again: the same facts come
// out, and a body that is refused whole is refused again.
func FuzzSplit(f *testing.F) {
	facts := posture.Facts{
		Programs: posture.Found("dpkg",
			posture.Program{Source: "dpkg", Name: "bash", Version: "5.2", Architecture: "amd64"},
			posture.Program{Source: "dpkg", Name: "vim", Version: "9", Architecture: "amd64"}),
		Executables: posture.Found("walk", posture.Executable{Location: posture.Downloads, Format: posture.ELF, Signature: posture.Read(posture.Unsigned)}),
		Scripts:     posture.Found("walk", posture.Tally{Location: posture.Downloads, Format: posture.Script, Count: 3}),
	}
	facts.Programs.Gaps = []posture.Gap{{Source: "flatpak", Absent: posture.TimedOut}}
	bodies, err := EncodeFacts(facts, nil)
	if err != nil {
		f.Fatal(err)
	}
	for _, b := range bodies {
		f.Add(b.Name, b.Data)
	}
	f.Add(Programs, []byte{0x12})
	f.Add("no such section", []byte{})
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		items, rest, ok := Split(name, data)
		if !ok {
			return
		}
		var whole, again posture.Facts
		var found, foundAgain []posture.Finding
		at := time.Unix(1, 0)
		wholeErr, againErr := DecodeSection(name, data, at, &whole, &found), DecodeSection(name, Join(name, items, rest), at, &again, &foundAgain)
		if (wholeErr == nil) != (againErr == nil) || !reflect.DeepEqual(whole, again) || !reflect.DeepEqual(found, foundAgain) {
			t.Errorf("whole: %v %+v, taken apart: %v %+v", wholeErr, whole, againErr, again)
		}
	})
}
