package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"path/filepath"
	"strings"
	"testing"
)

// TestAShortCode: it follows from the key and the school alone, and stays what it
// was: laptops that wait show it through an upgrade of either end.
func TestAShortCode(t *testing.T) {
	// The generator of the curve is a public key like any other.
	params := elliptic.P256().Params()
	point := make([]byte, 65)
	point[0] = 4
	params.Gx.FillBytes(point[1:33])
	params.Gy.FillBytes(point[33:])
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		t.Fatal(err)
	}
	code, err := ShortCode("shollybank", key)
	if err != nil || code != goldenCode {
		t.Errorf("got %q, %v", code, err)
	}
	if other, _ := ShortCode("soakfield", key); other == code {
		t.Error("two schools give a key one code")
	}
	made, err := MakeDeviceKey(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	if other, err := ShortCode("shollybank", made.Public()); err != nil || other == code || len(other) != 9 || strings.ContainsAny(other, "01OI") {
		t.Errorf("got %q, %v", other, err)
	}
}

const goldenCode = "D7EH-WQBP"

func FuzzParseCode(f *testing.F) {
	f.Add("KF7Q-M2XP")
	f.Add(" kf7q m2xp")
	f.Add("KF7Q-M2X0")
	f.Add("ſ234-5678")
	f.Fuzz(func(t *testing.T, text string) {
		code, err := ParseCode(text)
		if err != nil {
			return
		}
		if again, err := ParseCode(code); err != nil || again != code || len(code) != 9 || strings.ContainsAny(code, "01OIio") {
			t.Fatalf("%q became %q and %q, %v", text, code, again, err)
		}
	})
}
