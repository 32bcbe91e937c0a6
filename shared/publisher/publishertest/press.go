// Package publishertest is a publisher for tests: real keys, and releases that are
// signed as real ones are.
package publishertest

import (
	"crypto/ed25519"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/shared/publisher"
	"github.com/caretaker-school/caretaker/shared/tools/publish/signing"
)

// Press is a publisher with three keys, of which two must sign a release, and a
// fourth that says what is current.
type Press struct {
	t     testing.TB
	Dir   signing.Folder
	Keys  []ed25519.PrivateKey // the last one says what is current
	Lasts signing.Lasts
}

// New returns a publisher who has said, as of now, which keys are theirs.
func New(t testing.TB, now time.Time) *Press {
	t.Helper()
	p := &Press{t: t, Dir: signing.Folder(t.TempDir()), Lasts: signing.Lasts{Release: now.AddDate(1, 0, 0), Fresh: now.AddDate(0, 6, 0)}}
	for range 4 {
		p.Keys = append(p.Keys, Key(t))
	}
	p.Root(p.Keys, now.AddDate(5, 0, 0))
	p.Sign(0, 1)
	return p
}

// Key makes a key.
func Key(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Root says which keys are the publisher's from now on. It waits for signatures.
func (p *Press) Root(keys []ed25519.PrivateKey, expires time.Time) {
	p.t.Helper()
	public := func(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }
	if _, err := p.Dir.Root(signing.Keys{
		Release: []ed25519.PublicKey{public(keys[0]), public(keys[1]), public(keys[2])}, Threshold: 2, Fresh: []ed25519.PublicKey{public(keys[3])},
	}, expires); err != nil {
		p.t.Fatal(err)
	}
}

// Sign signs all that those keys are for.
func (p *Press) Sign(who ...int) {
	p.t.Helper()
	for _, i := range who {
		if _, err := p.Dir.Sign(p.Keys[i]); err != nil {
			p.t.Fatal(err)
		}
	}
}

// Release puts a version into the folder: the given programs by system, or, if
// there are none, short texts for two systems. It waits for signatures.
func (p *Press) Release(version string, programs map[string]string) {
	p.t.Helper()
	if programs == nil {
		program := filepath.Join(p.t.TempDir(), "program")
		if err := os.WriteFile(program, []byte("program "+version), 0o755); err != nil {
			p.t.Fatal(err)
		}
		programs = map[string]string{"linux-amd64": program, "windows-arm64": program}
	}
	if err := p.Dir.Release(version, programs, p.Lasts); err != nil {
		p.t.Fatal(err)
	}
}

// Publish puts a version into the folder and signs it.
func (p *Press) Publish(version string, programs map[string]string) {
	p.t.Helper()
	p.Release(version, programs)
	p.Sign(0, 1, 3)
}

// Metadata returns what is signed in the folder, as far as it is.
func (p *Press) Metadata() publisher.Metadata {
	p.t.Helper()
	m, err := publisher.ReadFolder(os.DirFS(string(p.Dir)))
	if err != nil {
		p.t.Fatal(err)
	}
	return m
}

// Trusted returns the root that programs are built with: the first one.
func (p *Press) Trusted() []byte {
	p.t.Helper()
	root, err := os.ReadFile(filepath.Join(string(p.Dir), "metadata", "1.root.json"))
	if err != nil {
		p.t.Fatal(err)
	}
	return root
}
