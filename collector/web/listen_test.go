package web

import (
	"bytes"
	"context"
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
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestPlainPagesStayOnThisMachine(t *testing.T) {
	for _, address := range []string{":0", "0.0.0.0:0", "[::]:0", "192.0.2.1:0", "collector.example:0", "localhost.example:0", "127.0.0.1", ""} {
		ln, _, err := Listen(t.Context(), address, "", "", slog.New(slog.DiscardHandler))
		if err == nil {
			ln.Close()
			t.Errorf("served without a certificate on %q", address)
			continue
		}
		if !strings.Contains(err.Error(), "without a certificate") {
			t.Errorf("%q: got %v", address, err)
		}
	}
	if _, _, err := Listen(t.Context(), "127.0.0.1:0", "cert.pem", "", slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a certificate without its key was taken")
	}
	if _, _, err := Listen(t.Context(), "127.0.0.1:0", "no-such.pem", "no-such.pem", slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "no-such.pem") {
		t.Errorf("a certificate that is not there: got %v, want its name", err)
	}
}

func TestServe(t *testing.T) {
	certFile, keyFile, roots := certificate(t)
	for _, secure := range []bool{false, true} {
		address, cert, key := "127.0.0.1:0", "", ""
		if secure {
			cert, key = certFile, keyFile
		}
		ctx, cancel := context.WithCancel(t.Context())
		ln, isTLS, err := Listen(ctx, address, cert, key, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if isTLS != secure {
			t.Errorf("got TLS %v, want %v", isTLS, secure)
		}
		done := make(chan error, 1)
		go func() {
			done <- Serve(ctx, ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }), slog.New(slog.DiscardHandler))
		}()
		scheme := map[bool]string{false: "http://", true: "https://"}[secure]
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}}
		r, err := client.Get(scheme + ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if secure && (r.ProtoMajor != 2 || r.TLS.Version < tls.VersionTLS12) {
			t.Errorf("got %s over %x", r.Proto, r.TLS.Version)
		}
		client.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("stopping: %v", err)
		}
	}
}

func certificate(t *testing.T) (certFile, keyFile string, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
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
	certFile, keyFile, roots := certificate(t)
	newCert, newKey, newRoots := certificate(t)
	var log bytes.Buffer
	ln, _, err := Listen(t.Context(), "127.0.0.1:0", certFile, keyFile, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
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
	if !trusted(roots) || trusted(newRoots) {
		t.Fatal("it does not begin with its own certificate")
	}
	put(newCert, certFile) // and not yet its key
	if !trusted(roots) || !strings.Contains(log.String(), "cannot be used") {
		t.Errorf("with half of the new one the old one is not used, or without a word: %s", &log)
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
}
