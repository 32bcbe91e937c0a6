package certificate

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"golang.org/x/crypto/acme"
)

// proofs are what an authority looks for while it asks whether a name leads
// here.
type proofs struct {
	mu           sync.Mutex                  // guards all below
	certificates map[string]*tls.Certificate // by name
	answers      map[string]string           // by path
}

// put puts a proof where the authority will look for it, until withdraw is
// called.
func (p *proofs) put(client *acme.Client, name string, c *acme.Challenge) (withdraw func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.Type == "http-01" {
		answer, err := client.HTTP01ChallengeResponse(c.Token)
		if err != nil {
			return nil, err
		}
		path := client.HTTP01ChallengePath(c.Token)
		if p.answers == nil {
			p.answers = map[string]string{}
		}
		p.answers[path] = answer
		return func() { p.withdraw(func() { delete(p.answers, path) }) }, nil
	}
	certificate, err := client.TLSALPN01ChallengeCert(c.Token, name)
	if err != nil {
		return nil, err
	}
	if p.certificates == nil {
		p.certificates = map[string]*tls.Certificate{}
	}
	p.certificates[name] = &certificate
	return func() { p.withdraw(func() { delete(p.certificates, name) }) }, nil
}

func (p *proofs) withdraw(remove func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	remove()
}

// certificate returns the proof about a name that an authority finds in a
// handshake.
func (p *proofs) certificate(name string) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.certificates[strings.ToLower(name)]; c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("no authority was asked about %.253q", name)
}

func (p *proofs) answer(path string) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a, ok := p.answers[path]
	return a, ok
}

// Challenges answers, over plain HTTP, an authority that looks for its proof.
// Whoever else comes is told where the pages are, which are served at port, if
// they ask for one of the names; it shows nothing itself.
func (k *Keeper) Challenges(port string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		if answer, ok := k.proofs.answer(r.URL.Path); ok && r.Method == http.MethodGet {
			h.Set("Content-Type", "application/octet-stream")
			_, _ = w.Write([]byte(answer)) // an authority that left asks again
			return
		}
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		name, err := cleanName(host)
		if err != nil || !slices.Contains(k.Names, name) || r.Method != http.MethodGet && r.Method != http.MethodHead {
			http.Error(w, "There is nothing here.", http.StatusNotFound)
			return
		}
		if port != "443" {
			name = net.JoinHostPort(name, port)
		}
		to := url.URL{Scheme: "https", Host: name, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
		http.Redirect(w, r, to.String(), http.StatusPermanentRedirect)
	})
}
