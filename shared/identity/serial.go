package identity

import (
	"crypto/hmac"
	"crypto/sha256"

	"github.com/caretaker-school/caretaker/shared/proof"
)

// HideSerial returns what a laptop says of its serial number when it asks to be
// admitted with a token, of which it gives the hash of the secret. Whoever knows
// both knows the number again. It hides the number from who reads what was said, and
// not from who has the token and tries all numbers there are. The number is
// normalised.
func HideSerial(token proof.Digest, number string) []byte {
	mac := hmac.New(sha256.New, token[:])
	mac.Write([]byte("caretaker serial\x00" + number))
	return mac.Sum(nil)
}
