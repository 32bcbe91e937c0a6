package proof

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Checkpoint is what a ledger says of itself: that its first Size entries have
// the tree hash Root. Its text is that of C2SP tlog-checkpoint: the origin,
// the size and the root in base64, a line each.
type Checkpoint struct {
	Origin string
	Size   uint64
	Root   Digest
}

// maxCheckpoint bounds the text of a signed checkpoint in bytes.
const maxCheckpoint = 4096

// Origin returns the origin of a school's ledger, which is also the name of
// the key that signs its checkpoints.
func Origin(school string) string { return "caretaker.school/" + school }

// Text returns the checkpoint's unsigned text.
func (c Checkpoint) Text() string {
	return c.Origin + "\n" + strconv.FormatUint(c.Size, 10) + "\n" + base64.StdEncoding.EncodeToString(c.Root[:]) + "\n"
}

// SignCheckpoint returns the checkpoint as a signed note.
func SignCheckpoint(c Checkpoint, signer note.Signer) ([]byte, error) {
	if _, err := parseCheckpoint(c.Text()); err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	signed, err := note.Sign(&note.Note{Text: c.Text()}, signer)
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	return signed, nil
}

// OpenCheckpoint reads a signed checkpoint. It refuses one without a valid
// signature by verifier's key, and one of another origin.
func OpenCheckpoint(signed []byte, verifier note.Verifier, origin string) (Checkpoint, error) {
	if len(signed) > maxCheckpoint {
		return Checkpoint{}, fmt.Errorf("open checkpoint: it has %d bytes, more than the %d allowed", len(signed), maxCheckpoint)
	}
	n, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("open checkpoint: %w", err)
	}
	c, err := parseCheckpoint(n.Text)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("open checkpoint: %w", err)
	}
	if c.Origin != origin {
		return Checkpoint{}, fmt.Errorf("open checkpoint: it is of %.100q, not of %q", c.Origin, origin)
	}
	return c, nil
}

// ReadCheckpoint reads a signed checkpoint without checking its signature. It
// says what was claimed, not by whom.
func ReadCheckpoint(signed []byte) (Checkpoint, error) {
	if len(signed) > maxCheckpoint {
		return Checkpoint{}, fmt.Errorf("read checkpoint: it has %d bytes, more than the %d allowed", len(signed), maxCheckpoint)
	}
	_, err := note.Open(signed, note.VerifierList())
	var unverified *note.UnverifiedNoteError
	if !errors.As(err, &unverified) {
		return Checkpoint{}, fmt.Errorf("read checkpoint: %w", err)
	}
	c, err := parseCheckpoint(unverified.Note.Text)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("read checkpoint: %w", err)
	}
	return c, nil
}

// parseCheckpoint reads what Text writes and refuses anything else.
func parseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return Checkpoint{}, errors.New("it has not three lines")
	}
	size, err := strconv.ParseUint(lines[1], 10, 63)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("its size %.30q is not a number", lines[1])
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != len(Digest{}) {
		return Checkpoint{}, fmt.Errorf("its root %.60q is not 32 bytes in base64", lines[2])
	}
	c := Checkpoint{Origin: lines[0], Size: size, Root: Digest(root)}
	school, ok := strings.CutPrefix(c.Origin, Origin(""))
	if !ok || checkIdentifier("school", school, 1) != nil {
		return Checkpoint{}, fmt.Errorf("its origin %.100q is not a school's ledger", c.Origin)
	}
	if c.Text() != text {
		return Checkpoint{}, errors.New("it is not written in the one way that is allowed")
	}
	return c, nil
}

// CheckpointSigner returns the signer of a school's checkpoints.
func CheckpointSigner(school string, key ed25519.PrivateKey) (note.Signer, error) {
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok || len(key) != ed25519.PrivateKeySize {
		return nil, errors.New("make checkpoint signer: the key is not an Ed25519 private key")
	}
	verifier, err := CheckpointVerifier(school, public)
	if err != nil {
		return nil, fmt.Errorf("make checkpoint signer: %w", err)
	}
	return checkpointSigner{verifier: verifier, key: key}, nil
}

type checkpointSigner struct {
	verifier note.Verifier
	key      ed25519.PrivateKey
}

func (s checkpointSigner) Name() string    { return s.verifier.Name() }
func (s checkpointSigner) KeyHash() uint32 { return s.verifier.KeyHash() }

func (s checkpointSigner) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

// CheckpointVerifier returns the verifier of a school's checkpoints.
func CheckpointVerifier(school string, key ed25519.PublicKey) (note.Verifier, error) {
	text, err := CheckpointKey(school, key)
	if err != nil {
		return nil, err
	}
	return note.NewVerifier(text)
}

// CheckpointKey returns a school's public key as note verifiers write it,
// such as "caretaker.school/hollybank+1a2b3c4d+AbCd…": what the school
// publishes and a stranger trusts.
func CheckpointKey(school string, key ed25519.PublicKey) (string, error) {
	if err := checkIdentifier("school", school, 1); err != nil {
		return "", err
	}
	if len(key) != ed25519.PublicKeySize {
		return "", errors.New("the key is not an Ed25519 public key")
	}
	return note.NewEd25519VerifierKey(Origin(school), key)
}
