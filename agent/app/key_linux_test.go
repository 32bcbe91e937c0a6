package app

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/agent/tpm/tpmtest"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/release"
)

// TestStatusSaysWhereTheKeyIsAndWhyItCannotBeUsed starts a service whose key the
// TPM keeps, with the TPM switched off, and in another computer.
func TestStatusSaysWhereTheKeyIsAndWhyItCannotBeUsed(t *testing.T) {
	software := tpmtest.New(t)
	l := newLaptopWith(t, software.TPM())
	folder := l.state.dir
	l.do()
	if len(l.waiting()) == 0 {
		t.Error("it reported nothing")
	}
	if said := l.position.Upkeep.told().Key; said != posture.InTPM {
		t.Errorf("reports say that its key is kept in %q", said)
	}
	said := func() string {
		s, err := ReadStatus(folder, release.Built(), monday)
		must(t, err)
		var words strings.Builder
		PrintStatus(&words, s)
		return words.String()
	}
	if words := said(); !strings.Contains(words, "this computer's TPM, which gives it to nobody") {
		t.Errorf("status: %s", words)
	}

	before, err := os.ReadFile(filepath.Join(folder, "device.key.pem"))
	must(t, err)
	waits := len(l.waiting())
	software.Stop()
	starts := func(c Config) error {
		c.State, c.Log = folder, slog.New(slog.DiscardHandler)
		_, err := newService(c, l.clock)
		return err
	}
	if err := starts(Config{TPM: software.TPM()}); err == nil || !strings.Contains(said(), "Trouble:          sign statement: sign in the TPM:") {
		t.Errorf("with the TPM switched off: %v\n%s", err, said())
	}
	if err := starts(Config{TPM: tpmtest.New(t).TPM()}); err == nil || !strings.Contains(said(), "move "+folder+" away and enrol again with a new token") {
		t.Errorf("in another computer: %v\n%s", err, said())
	}
	software.Start()
	l.start(folder)
	l.do()
	if now := len(l.waiting()); now < waits {
		t.Errorf("of %d that waited %d are left", waits, now)
	}
	if after, err := os.ReadFile(filepath.Join(folder, "device.key.pem")); err != nil || string(after) != string(before) {
		t.Errorf("the key was replaced: %v", err)
	}
}
