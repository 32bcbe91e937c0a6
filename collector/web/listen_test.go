package web

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestPlainPagesStayOnThisMachine(t *testing.T) {
	for _, address := range []string{":0", "0.0.0.0:0", "[::]:0", "192.0.2.1:0", "collector.example:0", "localhost.example:0", "127.0.0.1", ""} {
		ln, err := Listen(t.Context(), address, false)
		if err == nil {
			ln.Close()
			t.Errorf("served without a certificate on %q", address)
			continue
		}
		if !strings.Contains(err.Error(), "without a certificate") {
			t.Errorf("%q: got %v", address, err)
		}
	}
}

func TestServe(t *testing.T) {
	pair, roots := certificate(t)
	for _, secure := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		ln, err := Listen(ctx, "127.0.0.1:0", secure)
		if err != nil {
			t.Fatal(err)
		}
		if secure {
			ln = tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}})
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

func certificate(t *testing.T) (pair tls.Certificate, roots *x509.CertPool) {
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
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, roots
}
