package identity

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// An authority is replaced when two thirds of its life have passed. The next one
// is vouched for by the one before, in a certificate that the collector shows
// with its own: whoever trusts an earlier authority learns the next one from the
// first connection that it opens, however long it was away.

// mostAuthorities bounds how often an authority was replaced.
const mostAuthorities = 8

// generation names the files of the nth authority of a school; the first has
// none.
func generation(n int) (key, certificate, voucher string) {
	if n == 1 {
		return authorityKeyFile, authorityFile, ""
	}
	return fmt.Sprintf("authority-%d.key.pem", n), fmt.Sprintf("authority-%d.pem", n), fmt.Sprintf("authority-%d.voucher.pem", n)
}

// generations returns how many authorities a school has had. The certificate of
// one is stored last.
func generations(dir string) (n int, err error) {
	for n = 1; n < mostAuthorities; n++ {
		_, certificate, _ := generation(n + 1)
		if _, err := os.Stat(filepath.Join(dir, certificate)); errors.Is(err, fs.ErrNotExist) {
			return n, nil
		} else if err != nil {
			return n, err
		}
	}
	return n, nil
}

// RollAuthority replaces a school's authority in the folder dir if two thirds of
// its life have passed, and returns the one in force. It may be interrupted, and
// is then begun anew.
func RollAuthority(dir string, school posture.SchoolID, now time.Time) (a *Authority, rolled bool, err error) {
	before, err := LoadAuthority(dir, school)
	if err != nil || now.Before(RenewAfter(before.Certificate)) {
		return before, false, err
	}
	n, err := generations(dir)
	if err != nil {
		return before, false, fmt.Errorf("replace authority: %w", err)
	}
	if n >= mostAuthorities {
		return before, false, fmt.Errorf("replace authority: it was replaced %d times", n-1)
	}
	if err := before.succeed(dir, n+1, now); err != nil {
		return before, false, fmt.Errorf("replace authority: %w", err)
	}
	a, err = LoadAuthority(dir, school)
	return a, err == nil, err
}

// succeed makes the nth authority of a school, and vouches for it.
func (a *Authority) succeed(dir string, n int, now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	made, err := authorityTemplate(a.School, now)
	if err != nil {
		return err
	}
	root, err := x509.CreateCertificate(rand.Reader, made, made, key.Public(), key)
	if err != nil {
		return err
	}
	voucher, err := x509.CreateCertificate(rand.Reader, made, a.Certificate, key.Public(), a.key)
	if err != nil {
		return err
	}
	keyAt, rootAt, voucherAt := generation(n)
	if err := writeKey(filepath.Join(dir, keyAt), key); err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		der  []byte
	}{{voucherAt, voucher}, {rootAt, root}} {
		if err := durable.WriteFile(filepath.Join(dir, f.name), pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: f.der}), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func authorityTemplate(school posture.SchoolID, now time.Time) (*x509.Certificate, error) {
	made, err := template(now, authorityLifetime)
	if err != nil {
		return nil, err
	}
	made.Subject = pkix.Name{CommonName: "Caretaker " + string(school), Organization: []string{string(school)}}
	made.IsCA, made.MaxPathLenZero, made.KeyUsage = true, true, x509.KeyUsageCertSign
	return made, nil
}

// Issued reports whether a certificate is by this authority or by one before it.
func (a *Authority) Issued(c *x509.Certificate) error {
	err := c.CheckSignatureFrom(a.Certificate)
	for _, former := range a.former {
		if err == nil {
			return nil
		}
		err = c.CheckSignatureFrom(former)
	}
	return err
}

// trust returns the authorities that may be trusted by whoever trusts known: those
// themselves, and of those that are shown each that one of them vouches for. at
// is when.
func trust(known, shown []*x509.Certificate, at time.Time) []*x509.Certificate {
	all := append([]*x509.Certificate{}, known...)
	for grew := true; grew; {
		grew = false
		for _, c := range shown[:min(len(shown), 2*mostAuthorities)] {
			if c.IsCA && !holds(all, c) && vouched(all, c, at) {
				all, grew = append(all, c), true
			}
		}
	}
	return all
}

func holds(all []*x509.Certificate, c *x509.Certificate) bool {
	for _, o := range all {
		if bytes.Equal(o.RawSubjectPublicKeyInfo, c.RawSubjectPublicKeyInfo) {
			return true
		}
	}
	return false
}

// vouched reports whether a trusted authority of the same name has signed a
// certificate, and both hold. One that begins later than now is the next one: a
// laptop's clock may lie far behind.
func vouched(all []*x509.Certificate, c *x509.Certificate, at time.Time) bool {
	for _, by := range all {
		when := at
		if when.Before(c.NotBefore) {
			when = c.NotBefore
		}
		if !when.After(by.NotAfter) && !when.After(c.NotAfter) && bytes.Equal(by.RawSubject, c.RawSubject) && c.CheckSignatureFrom(by) == nil {
			return true
		}
	}
	return false
}

// learned returns the shown authorities, as they sign themselves, that are
// trusted and were not known.
func learned(known, trusted, shown []*x509.Certificate) (fresh [][]byte) {
	for _, c := range shown {
		if c.IsCA && holds(trusted, c) && !holds(known, c) && c.CheckSignatureFrom(c) == nil {
			fresh = append(fresh, c.Raw)
		}
	}
	return fresh
}
