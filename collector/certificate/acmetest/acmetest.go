// Package acmetest runs a real authority for certificates on this machine, for
// tests. It is in no released program.
package acmetest

import (
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
)

// Name is one that the authority finds on this machine, as it does every name
// that ends with .example.
const Name = "collector.hollybank.example"

// Authority is Pebble, which Let's Encrypt tests its own clients with, on this
// machine: it speaks ACME over TLS, finds names by asking a server of names, and
// connects to what it finds.
type Authority struct {
	Directory string
	Known     string         // file with the certificate by which it is known itself
	Roots     *x509.CertPool // by which what it makes is known
	Down      atomic.Bool    // it answers nothing of use
	Orders    atomic.Int32   // certificates that were ordered
}

// New starts one that looks for proofs at two ports of this machine.
func New(t *testing.T, tlsPort, httpPort int) *Authority {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	a := &Authority{Roots: x509.NewCertPool()}
	quiet := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	maker := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {Description: "usual", ValidityPeriod: 90 * 24 * 3600}})
	looker := va.New(quiet, httpPort, tlsPort, true, names(t), store)
	front := wfe.New(quiet, store, looker, maker, []string{"authority.example"}, true, false, 0, 0)
	inner := front.Handler()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.Down.Load() {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"type":"urn:ietf:params:acme:error:unauthorized","detail":"closed for the holidays"}`)
			return
		}
		inner.ServeHTTP(&answered{w, func(code int) {
			if code == http.StatusCreated && strings.HasSuffix(r.URL.Path, "/order-plz") {
				a.Orders.Add(1) // some are refused by chance, and sent again
			}
		}}, r)
	}))
	server.Config.ErrorLog = quiet
	t.Cleanup(server.Close)
	a.Directory = server.URL + wfe.DirectoryPath
	a.Known = filepath.Join(t.TempDir(), "authority.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(a.Known, text, 0o600); err != nil {
		t.Fatal(err)
	}
	a.Roots.AddCert(maker.GetRootCert(0).Cert)
	return a
}

// answered tells with which status a request is answered.
type answered struct {
	http.ResponseWriter
	tell func(code int)
}

// WriteHeader implements http.ResponseWriter.
func (w *answered) WriteHeader(code int) {
	w.tell(code)
	w.ResponseWriter.WriteHeader(code)
}

// names serves the addresses of the names of .example: this machine.
func names(t *testing.T) (address string) {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &dns.Server{Listener: ln, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(r)
		if q := r.Question[0]; q.Qtype == dns.TypeA && strings.HasSuffix(q.Name, ".example.") {
			m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.IPv4(127, 0, 0, 1)})
		}
		_ = w.WriteMsg(m)
	})}
	served := make(chan error, 1)
	go func() { served <- s.ActivateAndServe() }()
	t.Cleanup(func() {
		_ = s.Shutdown()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}
