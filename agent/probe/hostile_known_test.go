package probe

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// TestWhatIsKnownIsBounded: neither many programs nor long names make it more
// than a child has room for, and what was saved is loaded.
func TestWhatIsKnownIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		most int // programs
	}{
		"many programs": {"", knownPrograms},
		"long names":    {strings.Repeat("𓀀", nameRunes), knownBytes / (3 * 4 * nameRunes)},
	} {
		k := NewKnown()
		k.begin()
		for i := range uint64(knownPrograms + 1000) {
			p := program{format: posture.PE, product: posture.Read(c.text), version: posture.Read(c.text), signature: posture.Read(posture.SignedUnproven), signer: posture.Read(c.text)}
			binary.LittleEndian.PutUint64(p.sum[:], i)
			k.put(system.FileIdentity{Inode: i}, p)
		}
		k.end(true)
		if k.Len() > c.most || k.Len() < c.most/2 {
			t.Errorf("%s: %d are known, want at most %d", name, k.Len(), c.most)
		}
		var saved bytes.Buffer
		if err := k.Save(&saved); err != nil || saved.Len() > knownBytes+1024 {
			t.Errorf("%s: saved %d bytes, %v", name, saved.Len(), err)
		}
		if again, err := LoadKnown(&saved); err != nil || again.Len() != k.Len() || again.room != k.room {
			t.Errorf("%s: loaded %v", name, err)
		}
	}
}
