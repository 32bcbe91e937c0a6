package system

import (
	"testing"

	"github.com/caretaker-school/caretaker/shared/posture"
)

func TestJudgementsOfSignatures(t *testing.T) {
	for _, c := range []struct {
		code uint32
		want posture.SignatureState // "" if it is not known
	}{
		{0, posture.SignedValid},
		{0x80096010, posture.SignedInvalid},  // bad digest
		{0x800b0111, posture.SignedInvalid},  // explicit distrust
		{0x800b0101, posture.SignedInvalid},  // expired
		{0x800b010c, posture.SignedInvalid},  // revoked
		{0x800b0109, posture.SignedUnproven}, // untrusted root
		{0x800b010a, posture.SignedUnproven}, // chaining
		{0x80092026, ""},                     // security settings
		{0x800b010e, ""},                     // revocation could not be looked up
		{0x80070005, ""},
		{0x8000ffff, ""},
	} {
		got, err := judged(c.code)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%#x: got %q and %v, want %q", c.code, got, err, c.want)
		}
		if c.want == "" && CodeOf(err) != c.code {
			t.Errorf("%#x: the error has code %#x", c.code, CodeOf(err))
		}
	}
	if got, err := judged(0x80070005); Absence(err) != posture.Denied {
		t.Errorf("access denied: got %q, %v", got, err)
	}
}

func TestNoSignatureIsNotAlwaysNone(t *testing.T) {
	for _, c := range []struct {
		code, behind uint32
		want         bool
	}{
		{trustNoSignature, 0, true},
		{trustNoSignature, trustNoSignature, true},
		{trustNoSignature, trustSubjectFormUnknown, true},
		{trustNoSignature, trustProviderUnknown, true},
		{trustNoSignature, 0x80070005, false},
		{trustNoSignature, 5, false},
		{trustSubjectFormUnknown, 0, true},
		{0x80096010, 0, false},
		{0, 0, false},
	} {
		if got := isUnsigned(c.code, c.behind); got != c.want {
			t.Errorf("%#x with %#x behind it: got %v", c.code, c.behind, got)
		}
	}
}
