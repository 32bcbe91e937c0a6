package evidence

import (
	"strings"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// What a laptop says of its disks and media is in words of machines. These are
// the words for people; what has none stands as the laptop said it.

func encryptionWords(s posture.EncryptionState) string {
	switch s {
	case posture.Encrypted:
		return "fully encrypted"
	case posture.Unencrypted:
		return "not encrypted"
	case posture.Partial:
		return "partly encrypted"
	case posture.Encrypting:
		return "being encrypted, not finished"
	case posture.Decrypting:
		return "encryption being taken off"
	}
	return string(s)
}

func protectionWords(s posture.ProtectionState) string {
	switch s {
	case posture.ProtectionOn:
		return "guarded"
	case posture.ProtectionSuspended:
		return "in the clear, protection suspended"
	case posture.ProtectionClearKey:
		return "in the clear, guarded by nothing"
	case posture.ProtectionOff:
		return "none to guard"
	case posture.ProtectionLocked:
		return "guarded, and not opened since start"
	}
	return string(s)
}

// Openers says in words what opens a disk, of the kinds that posture.Volume
// lists.
func Openers(kinds string) string {
	words := map[string]string{
		"tpm": "its own chip (TPM)", "tpm-pin": "its own chip (TPM) with a PIN", "tpm-startup-key": "its own chip (TPM) with a key on a stick",
		"tpm-pin-startup-key": "its own chip (TPM) with a PIN and a key on a stick", "tpm-certificate": "its own chip (TPM) with a certificate",
		"external-key": "a key in a file", "recovery-password": "a recovery password", "public-key": "a certificate", "passphrase": "a password",
		"account": "an account", "other": "something else",
	}
	list := strings.Split(kinds, ", ")
	for i, kind := range list {
		if w, known := words[kind]; known {
			list[i] = w
		}
	}
	return strings.Join(list, ", ")
}
