package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/caretaker-school/caretaker/collector/certificate"
	"github.com/caretaker-school/caretaker/collector/web"
)

// certificateFolder holds, in the data folder, what an authority gave.
const certificateFolder = "certificate"

// ACME says that the pages' certificate is asked for at an authority, and how.
type ACME struct {
	Names     []string // for which; none: nobody is asked
	Agreed    bool     // somebody has accepted the authority's terms
	Contact   string   // mail address for the authority
	Directory string   // URL; "": Let's Encrypt
	Roots     string   // PEM file by which the authority itself is known; "": as this machine knows others
	Plain     string   // address at which it finds its proof over plain HTTP; "": it finds it on the pages
}

// certified is where the pages' certificate comes from.
type certified interface {
	TLS() *tls.Config
	State(now time.Time) certificate.State
}

// secure reports whether the pages are served over TLS.
func (c Config) secure() bool { return c.WebCertificate != "" || len(c.ACME.Names) > 0 }

// scheme is how the address of the pages begins.
func (c Config) scheme() string {
	if c.secure() {
		return "https"
	}
	return "http"
}

// checkCertificate says what cannot be meant about the pages' certificate.
func (c Config) checkCertificate() error {
	a := c.ACME
	switch {
	case (c.WebCertificate == "") != (c.WebKey == ""):
		return errors.New("serve pages: a certificate and its key are given together or not at all")
	case len(a.Names) == 0 && (a.Agreed || a.Contact != "" || a.Directory != "" || a.Roots != "" || a.Plain != ""):
		return errors.New("serve pages: an authority is asked for a certificate only for a name: give it with --acme-name")
	case len(a.Names) > 0 && c.WebCertificate != "":
		return errors.New("serve pages: a certificate is given, or an authority is asked for one, not both")
	case len(a.Names) > 0 && !a.Agreed:
		return errors.New("serve pages: read the authority's terms, and accept them with --acme-accept-terms")
	}
	return nil
}

// openCertificate opens where the pages' certificate comes from, if they are
// served with one, and returns what renews it until its context ends.
func (c *collector) openCertificate(ctx context.Context, config Config, pages net.Listener) (func(context.Context) error, error) {
	nothing := func(context.Context) error { return nil }
	if config.WebCertificate != "" {
		files, err := certificate.OpenFiles(config.WebCertificate, config.WebKey, c.log)
		if err != nil {
			return nil, fmt.Errorf("serve pages: load the certificate and key: %w", err)
		}
		c.certified = files
		return nothing, nil
	}
	a := config.ACME
	if len(a.Names) == 0 {
		return nothing, nil
	}
	keeper, err := certificate.Open(certificate.Options{
		Names: a.Names, Agreed: a.Agreed, Contact: a.Contact, Directory: a.Directory, Roots: a.Roots, Plain: a.Plain != "",
		Folder: filepath.Join(c.data, certificateFolder), Clock: c.clock, Log: c.log,
	})
	if err != nil {
		return nil, fmt.Errorf("serve pages: %w", err)
	}
	c.certified = keeper
	if a.Plain == "" {
		return keeper.Run, nil
	}
	_, port, err := net.SplitHostPort(pages.Addr().String())
	if err != nil {
		return nil, fmt.Errorf("serve pages: %w", err)
	}
	proofs, err := new(net.ListenConfig).Listen(ctx, "tcp", a.Plain)
	if err != nil {
		return nil, fmt.Errorf("serve an authority that looks for its proof: %w", err)
	}
	c.close = append(c.close, func() error {
		proofs.Close() // if it never came to serve
		return nil
	})
	return func(ctx context.Context) error {
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() error { return keeper.Run(ctx) })
		g.Go(func() error { return web.Serve(ctx, proofs, keeper.Challenges(port), c.log) })
		return g.Wait()
	}, nil
}

// over returns a listener of pages that are served with the certificate, if there
// is one.
func (c *collector) over(pages net.Listener) net.Listener {
	if c.certified == nil {
		return pages
	}
	return tls.NewListener(pages, c.certified.TLS())
}

// certificateNow says which certificate the pages are served with; nil without
// one.
func (c *collector) certificateNow() *certificate.State {
	if c.certified == nil {
		return nil
	}
	s := c.certified.State(c.clock.Now())
	return &s
}
