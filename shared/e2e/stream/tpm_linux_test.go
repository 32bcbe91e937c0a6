package stream

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/agent/enroll"
	"github.com/caretaker-school/caretaker/agent/tpm"
	"github.com/caretaker-school/caretaker/agent/tpm/tpmtest"
	collectorenroll "github.com/caretaker-school/caretaker/collector/enroll"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// TestKeyInTheTPMEnrolsSignsAndRenews takes a laptop whose key its TPM keeps from
// its token to a renewed certificate, and its disk to another computer.
func TestKeyInTheTPMEnrolsSignsAndRenews(t *testing.T) {
	c := newCollector(t)
	software := tpmtest.New(t)
	state := filepath.Join(t.TempDir(), "state")
	o := c.options(state, c.token(collectorenroll.NewToken{}))
	o.TPM = software.TPM()
	d, err := enroll.Enroll(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(state, "device.key.pem"))
	if err != nil || !strings.HasPrefix(string(data), "-----BEGIN TSS2 PRIVATE KEY-----\n") || d.Key.Place() != posture.InTPM {
		t.Fatalf("its key is kept in %q: %v\n%s", d.Key.Place(), err, data)
	}
	// After a crash the same key enrols as the same device.
	if err := os.Remove(filepath.Join(state, "identity.json")); err != nil {
		t.Fatal(err)
	}
	again, err := enroll.Enroll(t.Context(), o)
	if err != nil || again.Device != d.Device {
		t.Fatalf("enrolled again: %v, %v", again, err)
	}
	software.Stop()
	d, err = enroll.LoadWith(state, monday, software.TPM())
	if err != nil {
		t.Fatalf("read with the TPM switched off: %v", err)
	}
	if err := d.Usable(); err == nil || errors.Is(err, tpm.ErrLost) {
		t.Fatalf("usable with the TPM switched off: %v", err)
	}
	software.Start()
	if err := d.Usable(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Key.Sign(proof.HashReport([]byte("what it says"))); err != nil {
		t.Fatal(err)
	}
	before := string(d.Certificate)
	if err := d.Renew(t.Context(), c.clock); err != nil { // by a connection that the key authenticates
		t.Fatal(err)
	}
	if string(d.Certificate) == before {
		t.Error("the certificate is the old one")
	}

	copied, err := enroll.LoadWith(state, monday, tpmtest.New(t).TPM())
	if err != nil {
		t.Fatal(err)
	}
	if err := copied.Usable(); !errors.Is(err, tpm.ErrLost) || !strings.Contains(err.Error(), "enrol again with a new token") {
		t.Errorf("in another computer: %v", err)
	}
	if err := copied.Renew(t.Context(), c.clock); err == nil {
		t.Error("a copy of the disk was believed")
	}
	if kept, err := os.ReadFile(filepath.Join(state, "device.key.pem")); err != nil || string(kept) != string(data) {
		t.Errorf("the key was replaced: %v", err)
	}
}

// TestKeyIsInAFileWhereThereIsNoTPM says why, and makes no other later.
func TestKeyIsInAFileWhereThereIsNoTPM(t *testing.T) {
	c := newCollector(t)
	software := tpmtest.New(t)
	software.Stop()
	state := t.TempDir()
	o := c.options(state, c.token(collectorenroll.NewToken{}))
	var reason error
	o.TPM, o.InFile = software.TPM(), func(err error) { reason = err }
	d, err := enroll.Enroll(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if d.Key.Place() != posture.InFile || reason == nil {
		t.Fatalf("its key is kept in %q, because %v", d.Key.Place(), reason)
	}
	software.Start()
	d, err = enroll.LoadWith(state, monday, software.TPM())
	if err != nil || d.Key.Place() != posture.InFile {
		t.Fatalf("a TPM that came later: %v", err)
	}
	// Nor does it ask by another key than a version before this one reads.
	if _, err := d.Code(); err != nil {
		t.Fatal(err)
	}
	part, err := os.ReadFile(filepath.Join(state, "part.key.pem"))
	if err != nil || !strings.HasPrefix(string(part), "-----BEGIN PRIVATE KEY-----\n") {
		t.Errorf("%v\n%s", err, part)
	}
}
