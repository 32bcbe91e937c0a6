package system

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/windows"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// TestSignaturesAreToldApart signs nothing itself: the program was signed by
// osslsigncode for "Hollybank Software Ltd", whose root no Windows trusts.
func TestSignaturesAreToldApart(t *testing.T) {
	signed, err := os.ReadFile("../probe/testdata/executables/signed.exe")
	must(t, err)
	signer := bytes.Index(signed, []byte("Hollybank Software Ltd"))
	j, err := newJudge()
	must(t, err)
	changed, cut, renamed, unsigned := bytes.Clone(signed), signed[:len(signed)/2], bytes.Clone(signed), bytes.Clone(signed)
	clear(unsigned[64+24+112+4*8:][:8]) // the directory of signatures
	changed[0x204]++                    // in the first section
	copy(renamed[signer:], "Hollybank Hardware Ltd")
	valid, renamedTo := Signature{State: posture.SignedUnproven, Signer: "Hollybank Software Ltd"}, Signature{State: posture.SignedInvalid}
	if isWine() { // which follows no certificate to a root, and looks at none on the way
		valid.State, renamedTo = posture.SignedValid, Signature{State: posture.SignedValid, Signer: "Hollybank Hardware Ltd"}
	}
	for _, c := range []struct {
		name    string
		content []byte
		want    Signature
		code    bool // it may be that it could not be judged: then it says why
	}{
		{name: "signed", content: signed, want: valid},
		{name: "tampered", content: changed, want: Signature{State: posture.SignedInvalid}},
		{name: "tampered name", content: renamed, want: renamedTo},
		{name: "cut", content: cut, want: Signature{State: posture.SignedInvalid}, code: true},
		{name: "unsigned", content: unsigned, want: Signature{State: posture.Unsigned}},
		{name: "not a program", content: []byte("a letter"), want: Signature{State: posture.Unsigned}},
		{name: "empty", want: Signature{State: posture.Unsigned}, code: true},
	} {
		name := filepath.Join(t.TempDir(), "quiz.exe")
		must(t, os.WriteFile(name, c.content, 0o644))
		f, err := os.Open(name)
		must(t, err)
		got, err := j.signature(t.Context(), windows.Handle(f.Fd()))
		must(t, f.Close())
		if c.code && CodeOf(err) != 0 && got == (Signature{}) {
			continue
		}
		if got.State == posture.SignedInvalid {
			got.Signer = "" // a signature that does not hold names somebody or nobody
		}
		if err != nil || got != c.want {
			t.Errorf("%s: got %+v, %v, want %+v", c.name, got, err, c.want)
		}
	}
}
