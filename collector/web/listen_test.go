package web

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
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
		ln, _, err := Listen(t.Context(), address, "", "")
		if err == nil {
			ln.Close()
			t.Errorf("served without a certificate on %q", address)
			continue
		}
		if !strings.Contains(err.Error(), "without a certificate") {
			t.Errorf("%q: got %v", address, err)
		}
	}
	if _, _, err := Listen(t.Context(), "127.0.0.1:0", "cert.pem", ""); err == nil {
		t.Error("a certificate without its key was taken")
	}
	if _, _, err := Listen(t.Context(), "127.0.0.1:0", "no-such.pem", "no-such.pem"); err == nil {
		t.Error("a certificate that is not there was taken")
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
		ln, isTLS, err := Listen(ctx, address, cert, key)
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
