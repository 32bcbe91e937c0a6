package identity

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// codeAlphabet has no two characters that people take for one another: there
// is no 0, O, 1 or I.
const codeAlphabet = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"

var codeEncoding = base32.NewEncoding(codeAlphabet).WithPadding(base32.NoPadding)

const (
	codeBytes = 5 // 40 bits
	codeHalf  = 4 // characters, on each side of the hyphen
)

// ShortCode returns the code by which people recognise a device that waits to be
// admitted: 40 bits of a hash of the school and the device's key, as eight
// characters in two groups. Whoever has no key of that code cannot ask in its
// name. It is no secret, and it admits nobody.
func ShortCode(school posture.SchoolID, key *ecdsa.PublicKey) (string, error) {
	point, err := key.Bytes()
	if err != nil {
		return "", fmt.Errorf("make the code of a key: %w", err)
	}
	hash := sha256.Sum256(append([]byte("caretaker/enrolment-code/v1\n"+string(school)+"\n"), point...))
	text := codeEncoding.EncodeToString(hash[:codeBytes])
	return text[:codeHalf] + "-" + text[codeHalf:], nil
}

// ParseCode reads a code as people write it: case, spaces and hyphens mean
// nothing.
func ParseCode(text string) (string, error) {
	if len(text) > 64 {
		text = text[:64] + "…"
	}
	bare := strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(text))
	if len(bare) != 2*codeHalf || strings.Trim(bare, codeAlphabet) != "" {
		return "", fmt.Errorf("%q is no code of a laptop: it has eight letters and digits, such as KF7Q-M2XP, and no 0, O, 1 or I", text)
	}
	return bare[:codeHalf] + "-" + bare[codeHalf:], nil
}
