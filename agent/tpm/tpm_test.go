//go:build linux

package tpm_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-tpm/legacy/tpm2"
	"github.com/google/go-tpm/tpmutil"

	"github.com/caretaker-school/caretaker/agent/tpm"
	"github.com/caretaker-school/caretaker/agent/tpm/tpmtest"
)

// signs fails the test unless the key signs and its public half agrees.
func signs(t *testing.T, key *tpm.Key) {
	t.Helper()
	hash := sha256.Sum256([]byte("what the laptop says"))
	signature, err := key.Sign(rand.Reader, hash[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if !ecdsa.VerifyASN1(key.Public().(*ecdsa.PublicKey), hash[:], signature) {
		t.Fatal("the signature does not verify")
	}
}

func made(t *testing.T, of *tpm.TPM) (key *tpm.Key, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "device.key.pem")
	key, err := tpm.Make(path, of)
	if err != nil {
		t.Fatal(err)
	}
	return key, path
}

func load(t *testing.T, path string, of *tpm.TPM) *tpm.Key {
	t.Helper()
	key, err := tpm.Load(path, of)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// with runs commands on a TPM.
func with(t *testing.T, of *tpm.TPM, do func(io.ReadWriter) error) {
	t.Helper()
	rw, err := of.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer rw.Close()
	if err := do(rw); err != nil {
		t.Fatal(err)
	}
}

// command runs one that the library has none for, with an empty password.
func command(rw io.ReadWriter, code tpmutil.Command, handle tpmutil.Handle, rest ...any) error {
	auth := tpmutil.RawBytes(append(binary.BigEndian.AppendUint32(nil, 9), 0x40, 0, 0, 9, 0, 0, 0, 0, 0))
	_, status, err := tpmutil.RunCommand(rw, tpmutil.Tag(0x8002), code, append([]any{handle, auth}, rest...)...)
	if err == nil && status != tpmutil.RCSuccess {
		err = errors.New("the TPM refuses")
	}
	return err
}

// storage is a storage key as systems keep one.
func storage(rw io.ReadWriter) error {
	handle, _, err := tpm2.CreatePrimary(rw, tpm2.HandleOwner, tpm2.PCRSelection{}, "", "", tpm2.Public{
		Type: tpm2.AlgRSA, NameAlg: tpm2.AlgSHA256, Attributes: tpm2.FlagStorageDefault | tpm2.FlagNoDA,
		RSAParameters: &tpm2.RSAParams{Symmetric: &tpm2.SymScheme{Alg: tpm2.AlgAES, KeyBits: 128, Mode: tpm2.AlgCFB}, KeyBits: 2048},
	})
	if err != nil {
		return err
	}
	if err := tpm2.EvictControl(rw, "", tpm2.HandleOwner, handle, 0x81000001); err != nil {
		return err
	}
	return tpm2.FlushContext(rw, handle)
}

func ownerPassword(rw io.ReadWriter) error {
	return tpm2.HierarchyChangeAuth(rw, tpm2.HandleOwner, tpm2.AuthCommand{Session: tpm2.HandlePasswordSession, Attributes: tpm2.AttrContinueSession}, "the system's")
}

func TestKeySignsAndStaysWithItsTPM(t *testing.T) {
	software := tpmtest.New(t)
	of := software.TPM()
	key, path := made(t, of)
	signs(t, key)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the key's file: %v, %v", info.Mode(), err)
	}
	again := load(t, path, of)
	if !again.Public().(*ecdsa.PublicKey).Equal(key.Public()) {
		t.Fatal("another key was read")
	}
	signs(t, again)
	if _, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, again); err != nil {
		t.Fatal(err)
	}
	if _, err := again.Sign(rand.Reader, make([]byte, 48), crypto.SHA384); err == nil {
		t.Error("it signed a hash that its key is not for")
	}
	if _, err := tpm.Load(filepath.Join(t.TempDir(), "none"), of); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}

	software.Stop()
	err = load(t, path, of).Try() // reading asks no TPM, signing does
	if err == nil || errors.Is(err, tpm.ErrLost) {
		t.Fatalf("with its TPM switched off: %v", err)
	}
	software.Start()
	signs(t, load(t, path, of))

	other := tpmtest.New(t).TPM()
	if err := load(t, path, other).Try(); !errors.Is(err, tpm.ErrLost) {
		t.Fatalf("in another computer: %v", err)
	}
	signs(t, key)

	const clearAll = 0x126
	with(t, of, func(rw io.ReadWriter) error { return command(rw, clearAll, tpm2.HandlePlatform) })
	if err := key.Try(); !errors.Is(err, tpm.ErrLost) {
		t.Fatalf("after the TPM was cleared: %v", err)
	}
}

func TestSigningLeavesNothingInTheTPM(t *testing.T) {
	of := tpmtest.New(t).TPM()
	key, _ := made(t, of)
	for range 10 { // it has room for three
		signs(t, key)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := key.Try(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	with(t, of, func(rw io.ReadWriter) error {
		for _, first := range []uint32{0x80000000, 0x81000000} { // loaded, kept
			held, _, err := tpm2.GetCapability(rw, tpm2.CapabilityHandles, 100, first)
			if err != nil {
				return err
			}
			if len(held) > 0 {
				t.Errorf("it holds %#x still", held)
			}
		}
		return nil
	})
}

func TestKeySignsWhileTheTPMLocksOut(t *testing.T) {
	of := tpmtest.New(t).TPM()
	key, _ := made(t, of)
	const parameters = 0x13A
	with(t, of, func(rw io.ReadWriter) error {
		// No wrong password is borne with.
		if err := command(rw, parameters, tpm2.HandleLockout, uint32(0), uint32(1000), uint32(1000)); err != nil {
			return err
		}
		// What has a password is locked out.
		handle, _, err := tpm2.CreatePrimary(rw, tpm2.HandleOwner, tpm2.PCRSelection{}, "", "a word", tpm2.Public{
			Type: tpm2.AlgECC, NameAlg: tpm2.AlgSHA256, Attributes: tpm2.FlagSign | tpm2.FlagUserWithAuth | tpm2.FlagSensitiveDataOrigin,
			ECCParameters: &tpm2.ECCParams{CurveID: tpm2.CurveNISTP256, Sign: &tpm2.SigScheme{Alg: tpm2.AlgECDSA, Hash: tpm2.AlgSHA256}},
		})
		if err != nil {
			return err
		}
		if _, err := tpm2.Sign(rw, handle, "a word", make([]byte, 32), nil, nil); err == nil || !strings.Contains(err.Error(), "lockout") {
			t.Errorf("it is not locked out: %v", err)
		}
		return tpm2.FlushContext(rw, handle)
	})
	signs(t, key)
	again, _ := made(t, of)
	signs(t, again)
}

func TestKeyLiesBeneathWhatTheSystemKeeps(t *testing.T) {
	of := tpmtest.New(t).TPM()
	kept := &tpm.TPM{Open: of.Open, KeptOnly: true}
	path := filepath.Join(t.TempDir(), "key")
	if _, err := tpm.Make(path, kept); err == nil {
		t.Fatal("it made a key beneath one that is not there")
	}
	before, _ := made(t, of)
	with(t, of, storage)
	signs(t, before)
	key, _ := made(t, kept)
	with(t, of, ownerPassword)
	signs(t, key)
	signs(t, load(t, func() string { _, path := made(t, of); return path }(), of))
	if err := before.Try(); err == nil || errors.Is(err, tpm.ErrLost) {
		t.Errorf("beneath the owner's seed without the owner's password: %v", err)
	}
	with(t, of, func(rw io.ReadWriter) error {
		return tpm2.EvictControl(rw, "the system's", tpm2.HandleOwner, 0x81000001, 0x81000001)
	})
	if err := key.Try(); !errors.Is(err, tpm.ErrLost) {
		t.Errorf("the storage key was taken away: %v", err)
	}
	if _, err := tpm.Make(path, of); err == nil {
		t.Error("it made a key that it may not")
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key that was not made has a file: %v", err)
	}
}

func TestKeysThatMayBeKnownElsewhereAreNotTaken(t *testing.T) {
	of := tpmtest.New(t).TPM()
	_, path := made(t, of)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file := tpm.Decoded(t, data)
	// The attributes follow the type and the name's algorithm, each of two bytes.
	binary.BigEndian.PutUint32(file.Public[2+4:], binary.BigEndian.Uint32(file.Public[2+4:])&^uint32(tpm2.FlagFixedTPM))
	if err := os.WriteFile(path, tpm.Encoded(t, file), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := tpm.Load(path, of); err == nil || !strings.Contains(err.Error(), "outside of the TPM") {
		t.Errorf("a key that can be copied: %v", err)
	}
}
