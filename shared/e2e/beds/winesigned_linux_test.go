package beds

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// program returns a small program for Windows.
func program(t *testing.T, w *windows) []byte {
	t.Helper()
	source := filepath.Join(w.dir, "program.go")
	must(t, os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o644))
	name := filepath.Join(w.dir, "program.exe")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", name, source)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=windows", "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build a program: %v\n%s", err, out)
	}
	data, err := os.ReadFile(name)
	must(t, err)
	return data
}

// TestSignedUnsignedAndTamperedAreToldApart puts three programs into a
// person's Downloads.
func TestSignedUnsignedAndTamperedAreToldApart(t *testing.T) {
	if _, err := exec.LookPath("osslsigncode"); err != nil {
		t.Skip("there is no osslsigncode to sign with: run make beds")
	}
	w := newWindows(t)
	cannot(t, "whom Windows trusts: Wine takes a signer that nobody vouches for, and has no catalogues")
	w.settled()
	unsigned := program(t, w)
	signed := w.signs(unsigned)
	tampered := bytes.Clone(signed)
	at := bytes.Index(tampered, []byte("Go build")) // in what is signed
	if at < 0 {
		t.Fatal("the program has no such words")
	}
	tampered[at] ^= 1
	downloads := w.drive(`users\root\Downloads`)
	want := map[string]posture.SignatureState{}
	for name, p := range map[string]struct {
		data  []byte
		state posture.SignatureState
	}{
		"unsigned.exe": {unsigned, posture.Unsigned},
		"signed.exe":   {signed, posture.SignedValid},
		"tampered.exe": {tampered, posture.SignedInvalid},
		"no name":      {append(bytes.Clone(unsigned), "another"...), posture.Unsigned}, // told by its content
	} {
		must(t, os.WriteFile(filepath.Join(downloads, name), p.data, 0o755))
		sum := sha256.Sum256(p.data)
		want[hex.EncodeToString(sum[:])] = p.state
	}
	must(t, os.WriteFile(filepath.Join(downloads, "letter.exe"), []byte("Dear parents"), 0o755)) // it is none

	executables := w.checks().Facts.Executables
	if executables.Absent != posture.None || len(executables.Gaps) > 0 {
		t.Errorf("executables are %s, with the gaps %+v", executables.Absent, executables.Gaps)
	}
	for _, e := range executables.Items {
		state, known := want[e.SHA256.Value]
		if !known {
			t.Errorf("nobody put this there: %+v", e)
			continue
		}
		delete(want, e.SHA256.Value)
		if e.Location != posture.Downloads || e.Format != posture.PE || e.Signature != posture.Read(state) {
			t.Errorf("got %+v, want one in downloads that is %s", e, state)
		}
		if state == posture.SignedValid && e.Signer.Value != "Hollybank ICT" {
			t.Errorf("it is signed by %+v", e.Signer)
		}
	}
	for sum, state := range want {
		t.Errorf("the one that is %s (%s) is not there: %+v", state, sum, executables.Items)
	}
}

// signs returns a program as the school's technician signs it.
func (w *windows) signs(data []byte) []byte {
	w.t.Helper()
	file := func(name string) string { return filepath.Join(w.dir, name) }
	must(w.t, os.WriteFile(file("unsigned"), data, 0o644))
	for _, args := range [][]string{
		{
			"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=Hollybank ICT",
			"-addext", "extendedKeyUsage=codeSigning", "-keyout", file("key.pem"), "-out", file("certificate.pem"),
		},
		{"osslsigncode", "sign", "-certs", file("certificate.pem"), "-key", file("key.pem"), "-h", "sha256", "-in", file("unsigned"), "-out", file("signed")},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			w.t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	signed, err := os.ReadFile(file("signed"))
	must(w.t, err)
	return signed
}
