package identity

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

func testToken(t testing.TB) Token {
	t.Helper()
	token, err := NewToken([]string{"collector.hollybank.example:8443", "[2001:db8::7]:443"}, "hollybank", proof.Digest{1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestTokenTravels(t *testing.T) {
	want := testToken(t)
	text := want.String()
	for _, variant := range []string{text, strings.ToUpper(text), " " + text[:40] + "\n  " + text[40:] + "\r\n"} {
		got, err := ParseToken(variant)
		if err != nil {
			t.Fatalf("%q: %v", variant, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", variant, diff)
		}
	}
	if got := HashSecret(want.Secret[:]); !SameHash(got, want.Hash()) || SameHash(got, proof.Digest{}) {
		t.Error("the hash of a secret does not tell it from another")
	}
}

func TestMistypedTokenIsRefused(t *testing.T) {
	text := testToken(t).String()
	for i := range len(text) {
		changed := []byte(text)
		if changed[i]++; changed[i] == 'z'+1 {
			changed[i] = 'a'
		}
		if _, err := ParseToken(string(changed)); err == nil {
			t.Errorf("character %d changed: accepted", i)
		}
		if _, err := ParseToken(text[:i]); err == nil {
			t.Errorf("cut after %d characters: accepted", i)
		}
	}
	if _, err := ParseToken(strings.Repeat("a", 10_000)); err == nil {
		t.Error("an endless token was accepted")
	}
}

func TestTokenNeedsAnAddressAndASchool(t *testing.T) {
	long := []string{strings.Repeat("a", 250) + ":1", "b:2"}
	for _, c := range []struct {
		addresses []string
		school    posture.SchoolID
	}{
		{nil, "hollybank"},
		{[]string{"no-port"}, "hollybank"},
		{[]string{"h:0"}, "hollybank"},
		{[]string{"h:70000"}, "hollybank"},
		{[]string{":443"}, "hollybank"},
		{[]string{"a\nb:443"}, "hollybank"},
		{[]string{"user@h:443"}, "hollybank"},
		{long, "hollybank"},
		{[]string{"a:1", "b:1", "c:1", "d:1", "e:1"}, "hollybank"},
		{[]string{"h:443"}, ""},
		{[]string{"h:443"}, "Hollybank Primary"},
	} {
		if token, err := NewToken(c.addresses, c.school, proof.Digest{}); err == nil {
			t.Errorf("addresses %q of %q: got %v, want an error", c.addresses, c.school, token)
		}
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add(testToken(f).String())
	f.Add("ctk1-")
	f.Add("ctk1-aaaa")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := ParseToken(text)
		if err != nil {
			return
		}
		again, err := ParseToken(token.String())
		if err != nil || !cmp.Equal(token, again) {
			t.Errorf("%q: written again it is %+v, %v, not %+v", text, again, err, token)
		}
	})
}

func FuzzDecodeToken(f *testing.F) {
	token := testToken(f)
	raw, err := tokenEncoding.DecodeString(strings.TrimPrefix(token.String(), tokenPrefix))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw[:len(raw)-tokenSum])
	f.Fuzz(func(t *testing.T, content []byte) {
		token, err := decodeToken(content)
		if err != nil {
			return
		}
		if again, err := ParseToken(token.String()); err != nil || !cmp.Equal(token, again) {
			t.Errorf("%x: written again it is %+v, %v, not %+v", content, again, err, token)
		}
	})
}
