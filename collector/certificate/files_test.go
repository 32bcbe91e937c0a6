package certificate

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func certificate(t *testing.T, lasts time.Duration) (certFile, keyFile string, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now(), NotAfter: time.Now().Add(lasts), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AddCert(cert)
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", keyDER), roots
}

// TestARenewedCertificateIsTakenUp without a restart; one that cannot be used
// leaves the old one in its place, with a word in the log.
func TestARenewedCertificateIsTakenUp(t *testing.T) {
	certFile, keyFile, roots := certificate(t, 365*24*time.Hour)
	newCert, newKey, newRoots := certificate(t, 365*24*time.Hour)
	var log bytes.Buffer
	f, err := OpenFiles(certFile, keyFile, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	port, _ := listen(t)
	ln := tls.NewListener(port, f.TLS())
	trouble := func() string { return f.State(time.Now()).Trouble }
	trusted := func(by *x509.CertPool) bool {
		t.Helper()
		accepted := make(chan error, 1)
		go func() {
			conn, err := ln.Accept()
			if err == nil {
				_ = conn.(*tls.Conn).Handshake() // the client says how it went
				err = conn.Close()
			}
			accepted <- err
		}()
		conn, err := tls.Dial("tcp", ln.Addr().String(), &tls.Config{RootCAs: by})
		if err == nil {
			conn.Close()
		}
		<-accepted
		return err == nil
	}
	put := func(from, to string) {
		t.Helper()
		data, err := os.ReadFile(from)
		if err == nil {
			err = errors.Join(os.WriteFile(to+".new", data, 0o600), os.Chtimes(to+".new", time.Time{}, time.Now().Add(time.Hour)), os.Rename(to+".new", to))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if !trusted(roots) || trusted(newRoots) || trouble() != "" {
		t.Fatalf("it does not begin with its own certificate: %s", trouble())
	}
	open := hold(t, ln, roots)
	put(newCert, certFile) // and not yet its key
	if !trusted(roots) || !strings.Contains(log.String(), "cannot be used") {
		t.Errorf("with half of the new one the old one is not used, or without a word: %s", &log)
	}
	if !strings.Contains(trouble(), "the old one is") {
		t.Errorf("it says %q", trouble())
	}
	put(newKey, keyFile)
	if !trusted(newRoots) || trusted(roots) {
		t.Errorf("the new one is not used: %s", &log)
	}
	if err := os.Remove(certFile); err != nil {
		t.Fatal(err)
	}
	if !trusted(newRoots) || strings.Count(log.String(), "cannot be used") != 2 {
		t.Errorf("when it is gone from the disk it is not used on, or without a word: %s", &log)
	}
	open("a connection that was open all the while")
}

// hold opens a connection, and returns what asks it for an echo.
func hold(t *testing.T, ln net.Listener, roots *x509.CertPool) func(what string) {
	t.Helper()
	ended := make(chan error, 1)
	go func() {
		conn, err := ln.Accept()
		if err == nil {
			_, err = io.Copy(conn, conn)
			conn.Close()
		}
		ended <- err
	}()
	conn, err := tls.Dial("tcp", ln.Addr().String(), &tls.Config{RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	return func(what string) {
		t.Helper()
		said := make([]byte, len(what))
		_, err := io.WriteString(conn, what)
		if err == nil {
			_, err = io.ReadFull(conn, said)
		}
		if err != nil || string(said) != what {
			t.Errorf("%s: %q, %v", what, said, err)
		}
		conn.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// TestTheEndOfACertificateIsSaid while there is time to put another in its place.
func TestTheEndOfACertificateIsSaid(t *testing.T) {
	cert, key, _ := certificate(t, 90*24*time.Hour)
	f, err := OpenFiles(cert, key, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for days, want := range map[int]string{1: "", 68: "", 70: "ends on", 89: "ends on", 91: "ended on"} {
		if got := f.State(time.Now().Add(time.Duration(days) * 24 * time.Hour)).Trouble; (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("after %d of 90 days: %q, want %q", days, got, want)
		}
	}
	for _, names := range [][2]string{{cert, ""}, {"", key}, {key, cert}, {"no-such.pem", key}} {
		if _, err := OpenFiles(names[0], names[1], slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%v were taken", names)
		}
	}
}
