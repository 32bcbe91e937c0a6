package identity

import (
	"crypto/elliptic"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
)

// FuzzRequest reads what a stranger sends to be certified: a key that is taken
// is on P-256 and can be written.
func FuzzRequest(f *testing.F) {
	dir := f.TempDir()
	key, err := MakeDeviceKey(filepath.Join(dir, "device.pem"))
	if err != nil {
		f.Fatal(err)
	}
	request, err := key.Request()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(request)
	f.Add(request[:len(request)-1])
	f.Add([]byte{0x30, 0x80})
	f.Fuzz(func(t *testing.T, der []byte) {
		public, err := CheckRequest(der)
		if err != nil {
			return
		}
		if public.Curve != elliptic.P256() {
			t.Fatalf("a key on %s was taken", public.Params().Name)
		}
		if _, err := KeyFingerprint(public); err != nil {
			t.Errorf("it was taken, and cannot be written: %v", err)
		}
	})
}

// FuzzCertificate reads certificates that the other end shows: whom they name
// can be an identifier.
func FuzzCertificate(f *testing.F) {
	dir := f.TempDir()
	authority, err := NewAuthority(dir, "hollybank", monday)
	if err != nil {
		f.Fatal(err)
	}
	key, err := MakeDeviceKey(filepath.Join(dir, "device.pem"))
	if err != nil {
		f.Fatal(err)
	}
	device, err := authority.Issue("d1", key.Public(), monday)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(device)
	f.Add(authority.Certificate.Raw)
	f.Fuzz(func(t *testing.T, der []byte) {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return
		}
		if school, id, err := CertificateDevice(c); err == nil && (!validID(string(school)) || !validID(string(id))) {
			t.Errorf("it names %q of %q", id, school)
		}
		if authority.verifyDevice(c) == nil && c.CheckSignatureFrom(authority.Certificate) != nil {
			t.Error("a certificate that the authority has not signed was taken")
		}
		_, _ = key.Certificate(der)
	})
}

// FuzzServerName reads the name that a client asks for.
func FuzzServerName(f *testing.F) {
	f.Add("hollybank.school.caretaker")
	f.Add(".school.caretaker")
	f.Add("..school.caretaker\x00")
	f.Fuzz(func(t *testing.T, name string) {
		if school, ok := SchoolOf(name); ok && (ServerName(school) != name || !validID(string(school))) {
			t.Errorf("%q asks for %q", name, school)
		}
	})
}

// FuzzSchoolVerifier reads a school's public key as people carry it: what is
// taken is written alike.
func FuzzSchoolVerifier(f *testing.F) {
	key, err := NewSchoolKey(filepath.Join(f.TempDir(), "school.pem"), "hollybank")
	if err != nil {
		f.Fatal(err)
	}
	v, err := key.Verifier()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(v.String())
	f.Add("caretaker.school/+00000000+AQ==")
	f.Fuzz(func(t *testing.T, text string) {
		v, err := ParseSchoolVerifier(text)
		if err != nil {
			return
		}
		again, err := ParseSchoolVerifier(v.String())
		if err != nil || again.School != v.School || string(again.Key) != string(v.Key) {
			t.Errorf("%q became %q: %v", text, v, err)
		}
	})
}

// FuzzKeyFile reads files in the place of keys and certificates.
func FuzzKeyFile(f *testing.F) {
	dir := f.TempDir()
	if _, err := NewAuthority(dir, "hollybank", monday); err != nil {
		f.Fatal(err)
	}
	if _, err := NewSchoolKey(filepath.Join(dir, "school.pem"), "hollybank"); err != nil {
		f.Fatal(err)
	}
	for _, name := range []string{authorityKeyFile, authorityFile, "school.pem"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	path := filepath.Join(dir, "fuzzed.pem")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if key, err := LoadDeviceKey(path); err == nil && key.Public().Curve != elliptic.P256() {
			t.Errorf("a device's key on %s was loaded", key.Public().Params().Name)
		}
		if key, err := LoadSchoolKey(path, "hollybank"); err == nil {
			if _, err := key.Verifier(); err != nil {
				t.Errorf("a school's key was loaded that has no public half: %v", err)
			}
		}
		_, _ = readPEM(path, pemCertificate)
	})
}
