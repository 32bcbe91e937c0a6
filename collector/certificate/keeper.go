package certificate

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/net/idna"

	"github.com/caretaker-school/caretaker/shared/clock"
)

// LetsEncrypt is the authority that is asked unless another is named.
const LetsEncrypt = acme.LetsEncryptURL

// Options say what is asked for, and where. Names, Folder, Clock and Log are
// required, and so is Agreed.
type Options struct {
	Names     []string // for which the pages are to have a certificate
	Agreed    bool     // somebody has accepted the authority's terms
	Contact   string   // mail address that the authority may write to; "": none
	Directory string   // URL of the authority's directory; "": LetsEncrypt
	Roots     string   // PEM file with the certificates by which the authority itself is known; "": the machine's
	// Plain has the authority look for its proof over plain HTTP, on port 80,
	// where Challenges answers; otherwise it looks on port 443, on the pages.
	Plain  bool
	Folder string // for keys and the certificate, readable by this account alone
	Clock  clock.Clock
	Log    *slog.Logger
}

// Keeper has a certificate from an authority, and a new one in good time.
type Keeper struct {
	Options
	roots     *x509.CertPool // nil: the machine's
	account   *ecdsa.PrivateKey
	mailboxes []string
	proofs    proofs

	mu      sync.Mutex       // guards all below
	pair    *tls.Certificate // nil: there is none yet
	next    time.Time        // when is asked again
	tries   int              // that failed since the last that did not
	failing time.Time        // when the first of these was
	reason  error            // why the last of these failed
}

// Open reads what was kept before. It asks nobody.
func Open(o Options) (*Keeper, error) {
	k := &Keeper{Options: o}
	if err := k.check(); err != nil {
		return nil, fmt.Errorf("have a certificate from an authority: %w", err)
	}
	if err := k.openFolder(); err != nil {
		return nil, fmt.Errorf("have a certificate from an authority: %w", err)
	}
	k.next = k.due(o.Clock.Now())
	return k, nil
}

// check makes of the options what the authority understands.
func (k *Keeper) check() error {
	if !k.Agreed {
		return errors.New("its terms must be accepted first")
	}
	var names []string
	for _, n := range k.Names {
		name, err := cleanName(n)
		if err != nil {
			return err
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if k.Names = names; len(names) == 0 {
		return errors.New("it needs a name, by which people reach the pages")
	}
	if k.Directory == "" {
		k.Directory = LetsEncrypt
	}
	if u, err := url.Parse(k.Directory); err != nil || u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%.200q is not the address of an authority's directory: it begins with https://", k.Directory)
	}
	if k.Contact != "" {
		if at := strings.LastIndexByte(k.Contact, '@'); at < 1 || at == len(k.Contact)-1 || strings.ContainsAny(k.Contact, " \t\r\n?,") {
			return fmt.Errorf("%.200q is not a mail address", k.Contact)
		}
		k.mailboxes = []string{"mailto:" + k.Contact}
	}
	if k.Roots != "" {
		text, err := os.ReadFile(k.Roots)
		if err != nil {
			return fmt.Errorf("read by what the authority is known: %w", err)
		}
		if k.roots = x509.NewCertPool(); !k.roots.AppendCertsFromPEM(text) {
			return fmt.Errorf("%s holds no certificate", k.Roots)
		}
	}
	return nil
}

// cleanName returns a name as certificates have it.
func cleanName(name string) (string, error) {
	if net.ParseIP(name) != nil {
		return "", fmt.Errorf("%s is an address: an authority is asked for a name", name)
	}
	clean, err := idna.Lookup.ToASCII(strings.TrimSuffix(name, "."))
	if err != nil || clean == "" || strings.ContainsAny(clean, "*:/") {
		return "", fmt.Errorf("%.253q is no name of a machine, such as collector.hollybank.example", name)
	}
	return clean, nil
}

// TLS returns the configuration of pages that are served with the certificate.
// It answers an authority that looks for its proof there too.
func (k *Keeper) TLS() *tls.Config { return config(k.give, acme.ALPNProto) }

// give returns what a handshake is answered with: the certificate, whatever name
// was asked for; to an authority that looks for its proof, that.
func (k *Keeper) give(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if slices.Equal(hello.SupportedProtos, []string{acme.ALPNProto}) {
		return k.proofs.certificate(hello.ServerName)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.pair == nil {
		return nil, errors.New("there is no certificate yet")
	}
	return k.pair, nil
}

// What is waited between attempts: an authority allows a few in an hour.
const (
	firstRetry = 5 * time.Minute
	lastRetry  = 6 * time.Hour
)

// due returns when a new certificate is asked for: when two thirds of the
// present one's life have passed.
func (k *Keeper) due(now time.Time) time.Time {
	if k.pair == nil {
		return now
	}
	leaf := k.pair.Leaf
	return leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore) * 2 / 3)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Run has a certificate, and new ones in good time, until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	for {
		k.mu.Lock()
		wait := k.next.Sub(k.Clock.Now())
		k.mu.Unlock()
		over, stop := k.Clock.After(max(wait, 0))
		select {
		case <-ctx.Done():
			stop()
			return nil
		case <-over:
		}
		k.renew(ctx)
	}
}

// renew asks for a certificate once.
func (k *Keeper) renew(ctx context.Context) {
	pair, err := k.obtain(ctx)
	if err == nil {
		err = k.keep(pair)
	}
	if ctx.Err() != nil {
		return
	}
	now := k.Clock.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil {
		k.pair, k.tries, k.failing, k.reason = pair, 0, time.Time{}, nil
		k.next = later(k.due(now), now.Add(firstRetry)) // a clock that is wrong must not ask without end
		k.Log.Info("the pages have a new certificate", "names", k.Names, "ends", pair.Leaf.NotAfter, "renewed", k.next)
		return
	}
	if k.tries == 0 {
		k.failing = now
	}
	k.reason = err
	wait := min(firstRetry<<min(k.tries, 10), lastRetry)
	if limit, ok := limited(err); ok {
		wait = max(wait, min(limit, 24*time.Hour))
	}
	k.tries++
	k.next = now.Add(wait)
	k.Log.Warn("no new certificate for the pages", "names", k.Names, "error", err, "tried again", k.next)
}

// limited returns how long an authority asks to be left alone.
func limited(err error) (time.Duration, bool) {
	if e, ok := errors.AsType[*acme.Error](err); ok {
		return acme.RateLimit(e)
	}
	return 0, false
}

// State says which certificate is used.
func (k *Keeper) State(now time.Time) State {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := State{Names: k.Names, Renews: k.next, Failing: k.failing}
	if k.pair != nil {
		s.Ends = k.pair.Leaf.NotAfter
	}
	ended := k.pair != nil && !now.Before(s.Ends)
	switch {
	case k.tries == 0 && ended:
		s.Trouble = "The pages' certificate ended on " + s.Ends.UTC().Format(moment) + "; a new one is being asked for."
	case k.tries == 0 && k.pair == nil:
		s.Trouble = "The pages have no certificate yet: it is being asked for."
	case k.tries == 0:
	case k.pair == nil:
		s.Trouble = fmt.Sprintf("The pages have no certificate, and nobody can open them: since %s it was asked for in vain: %v.", k.failing.UTC().Format(moment), k.reason)
	case ended:
		s.Trouble = fmt.Sprintf("The pages' certificate ended on %s, and a new one was asked for in vain since %s: %v.", s.Ends.UTC().Format(moment), k.failing.UTC().Format(day), k.reason)
	default:
		s.Trouble = fmt.Sprintf("The pages' certificate is not renewed: since %s a new one was asked for in vain: %v. The one in use ends on %s.",
			k.failing.UTC().Format(moment), k.reason, s.Ends.UTC().Format(moment))
	}
	return s
}
