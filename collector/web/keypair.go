package web

import (
	"crypto/tls"
	"log/slog"
	"os"
	"sync"
	"time"
)

// keyPair is the pages' certificate and its key, in two files. It is loaded
// anew when either of them changes; a new one that cannot be used leaves the
// old one in its place, with a word in the log.
type keyPair struct {
	certFile, keyFile string
	log               *slog.Logger

	mu    sync.Mutex // guards all below
	pair  *tls.Certificate
	files [2]version // that were last looked at, of use or not
}

// version tells whether a file changed.
type version struct {
	changed time.Time
	size    int64
}

// loadKeyPair loads a certificate, which must be of use.
func loadKeyPair(certFile, keyFile string, log *slog.Logger) (*keyPair, error) {
	c := &keyPair{certFile: certFile, keyFile: keyFile, log: log}
	c.files, _ = c.look() // the reason is given by what follows
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	c.pair = &pair
	return c, nil
}

// look returns which versions of the files there are.
func (c *keyPair) look() (files [2]version, err error) {
	for i, name := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return files, err
		}
		files[i] = version{info.ModTime(), info.Size()}
	}
	return files, nil
}

// current returns the certificate as it is on disk or, if that is of no use, as
// it was.
func (c *keyPair) current() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	files, err := c.look()
	if files == c.files {
		return c.pair
	}
	c.files = files
	var pair tls.Certificate
	if err == nil {
		pair, err = tls.LoadX509KeyPair(c.certFile, c.keyFile)
	}
	if err != nil {
		c.log.Error("the pages' new certificate cannot be used; the old one is", "certificate", c.certFile, "key", c.keyFile, "error", err)
		return c.pair
	}
	c.pair = &pair
	c.log.Info("the pages' new certificate is used", "certificate", c.certFile)
	return c.pair
}
