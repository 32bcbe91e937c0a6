package system

import (
	"github.com/caretaker-school/caretaker/shared/posture"
)

// What Windows' judge of signatures answers (winerror.h).
const (
	trustNoSignature        = 0x800b0100 // TRUST_E_NOSIGNATURE
	trustProviderUnknown    = 0x800b0001 // TRUST_E_PROVIDER_UNKNOWN
	trustSubjectFormUnknown = 0x800b0003 // TRUST_E_SUBJECT_FORM_UNKNOWN
)

// judged turns the answer of Windows' judge into the state of a signature. It
// was asked not to go online, and that decides what an answer may mean here.
//
// Sources: winerror.h; "Example C Program: Verifying the Signature of a PE
// File" (learn.microsoft.com/windows/win32/seccrypto); the documentation of
// CERT_CHAIN_POLICY_STATUS.
func judged(code uint32) (posture.SignatureState, error) {
	switch code {
	case 0:
		return posture.SignedValid, nil

	case 0x80096010, // TRUST_E_BAD_DIGEST: the file is not the one that was signed
		0x80096011, // TRUST_E_MALFORMED_SIGNATURE
		0x80091007, // CRYPT_E_HASH_VALUE: the same of what the signature itself covers
		0x80090006, // NTE_BAD_SIGNATURE
		0x80096002, // TRUST_E_NO_SIGNER_CERT
		0x80096003, // TRUST_E_COUNTER_SIGNER
		0x80096004, // TRUST_E_CERT_SIGNATURE: a certificate was tampered with
		0x80096005, // TRUST_E_TIME_STAMP
		0x80096019, // TRUST_E_BASIC_CONSTRAINTS: a certificate of a person made another
		0x800b0004, // TRUST_E_SUBJECT_NOT_TRUSTED
		0x800b0101, // CERT_E_EXPIRED: no time stamp shows that it was signed in time
		0x800b0102, // CERT_E_VALIDITYPERIODNESTING
		0x800b0103, // CERT_E_ROLE
		0x800b0104, // CERT_E_PATHLENCONST
		0x800b0105, // CERT_E_CRITICAL
		0x800b0106, // CERT_E_PURPOSE
		0x800b0107, // CERT_E_ISSUERCHAINING
		0x800b0108, // CERT_E_MALFORMED
		0x800b010c, // CERT_E_REVOKED
		0x800b010d, // CERT_E_UNTRUSTEDTESTROOT
		0x800b0110, // CERT_E_WRONG_USAGE: a certificate for something else, such as a web site
		0x800b0111, // TRUST_E_EXPLICIT_DISTRUST
		0x800b0113, // CERT_E_INVALID_POLICY
		0x800b0114: // CERT_E_INVALID_NAME
		return posture.SignedInvalid, nil

	case 0x800b0109, // CERT_E_UNTRUSTEDROOT
		0x800b010a, // CERT_E_CHAINING
		0x800b0112: // CERT_E_UNTRUSTEDCA
		// What was signed is unchanged, but by whom is not proven. Anybody can
		// make such a certificate; yet Windows fetches roots that it trusts,
		// and certificates on the way to them, when first it meets them, and
		// here it may not. So this is no verdict.
		return posture.SignedUnproven, nil
	}
	// Such as 0x80092026, CRYPT_E_SECURITY_SETTINGS: a policy of the machine
	// keeps it from judging. That is not known, and no state.
	return "", newCodeError(code)
}

// isUnsigned reports whether "no signature", with the error behind it, means
// that there is none. Windows says the same of a signature that it could not
// read.
func isUnsigned(code, behind uint32) bool {
	if code != trustNoSignature {
		return code == trustSubjectFormUnknown || code == trustProviderUnknown
	}
	switch behind {
	case 0, trustNoSignature, trustSubjectFormUnknown, trustProviderUnknown:
		return true
	}
	return false
}
