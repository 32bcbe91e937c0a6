package identity

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// SchoolKey signs a school's checkpoints, policies and assignments: Ed25519.
type SchoolKey struct {
	school posture.SchoolID
	key    ed25519.PrivateKey
}

// NewSchoolKey makes a school's key and stores it in a new file at path,
// readable by its owner alone.
func NewSchoolKey(path string, school posture.SchoolID) (*SchoolKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make school key: %w", err)
	}
	if err := writeKey(path, key); err != nil {
		return nil, fmt.Errorf("make school key: %w", err)
	}
	return &SchoolKey{school, key}, nil
}

// LoadSchoolKey reads the school's key in the file at path.
func LoadSchoolKey(path string, school posture.SchoolID) (*SchoolKey, error) {
	key, err := readKey[ed25519.PrivateKey](path)
	if err != nil {
		return nil, fmt.Errorf("load school key: %w", err)
	}
	return &SchoolKey{school, key}, nil
}

// Signer returns the signer of the school's checkpoints.
func (k *SchoolKey) Signer() (note.Signer, error) {
	return proof.CheckpointSigner(string(k.school), k.key)
}

// SignDocument signs a document of a kind, such as proof.SignDocument's "policy".
func (k *SchoolKey) SignDocument(kind string, body []byte) ([]byte, error) {
	return proof.SignDocument(kind, body, k.key)
}

// Verifier returns the public half.
func (k *SchoolKey) Verifier() (SchoolVerifier, error) {
	public, ok := k.key.Public().(ed25519.PublicKey)
	if !ok {
		return SchoolVerifier{}, errors.New("the school's key has no public half")
	}
	text, err := proof.CheckpointKey(string(k.school), public)
	if err != nil {
		return SchoolVerifier{}, fmt.Errorf("name the school's key: %w", err)
	}
	return ParseSchoolVerifier(text)
}

// SchoolVerifier is the public half of a school's key. Its zero value verifies
// nothing.
type SchoolVerifier struct {
	School posture.SchoolID
	Key    ed25519.PublicKey
	Note   note.Verifier // of checkpoints
	text   string
}

// ParseSchoolVerifier reads a school's public key as note verifiers write it.
func ParseSchoolVerifier(text string) (SchoolVerifier, error) {
	if len(text) > 256 {
		return SchoolVerifier{}, fmt.Errorf("read the school's public key: it has %d characters, too many", len(text))
	}
	verifier, err := note.NewVerifier(text)
	if err != nil {
		return SchoolVerifier{}, fmt.Errorf("read the school's public key: %w", err)
	}
	school, ok := strings.CutPrefix(verifier.Name(), proof.Origin(""))
	if !ok {
		return SchoolVerifier{}, fmt.Errorf("read the school's public key: %.80q is not the name of a school's ledger", verifier.Name())
	}
	// NewVerifier accepted it: name+hash+base64, where only the last may hold a plus.
	parts := strings.SplitN(text, "+", 3)
	raw, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(raw) != 1+ed25519.PublicKeySize {
		return SchoolVerifier{}, errors.New("read the school's public key: it is not an Ed25519 key")
	}
	return SchoolVerifier{School: posture.SchoolID(school), Key: raw[1:], Note: verifier, text: text}, nil
}

// String returns the key as note verifiers write it.
func (v SchoolVerifier) String() string { return v.text }

// Document returns the body of a document of that kind signed by the school.
func (v SchoolVerifier) Document(kind string, document []byte) ([]byte, error) {
	return proof.VerifyDocument(kind, document, v.Key)
}

// Checkpoint reads a checkpoint signed by the school.
func (v SchoolVerifier) Checkpoint(signed []byte) (proof.Checkpoint, error) {
	if v.Note == nil {
		return proof.Checkpoint{}, errors.New("open checkpoint: no school's key is known")
	}
	return proof.OpenCheckpoint(signed, v.Note, proof.Origin(string(v.School)))
}
