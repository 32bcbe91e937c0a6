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
	defer j.close()
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

// TestOurHashIsWindowsOwn: what is looked for in the catalogues is what Windows
// would look for.
func TestOurHashIsWindowsOwn(t *testing.T) {
	j, err := newJudge()
	must(t, err)
	defer j.close()
	f, err := os.Open("testdata/signed.exe")
	must(t, err)
	defer f.Close()
	info, err := f.Stat()
	must(t, err)
	own, ok, err := digestImage(f, info.Size())
	if err != nil || !ok {
		t.Fatalf("not hashed: %v, %v", ok, err)
	}
	for _, c := range j.catalogues {
		admin, err := j.open(c)
		must(t, err)
		theirs, err := j.hashed(windows.Handle(f.Fd()), admin)
		must(t, err)
		ours := map[string][]byte{"SHA256": own.sha256[:], "SHA1": own.sha1[:]}[c.algorithm]
		if isWine() && len(theirs) != len(ours) {
			t.Logf("Wine hashes by SHA-1 whatever is asked for")
			continue
		}
		if !bytes.Equal(ours, theirs) {
			t.Errorf("%s: ours is %x, and Windows' %x", c.algorithm, ours, theirs)
		}
	}
}
