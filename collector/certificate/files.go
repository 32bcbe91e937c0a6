package certificate

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Files is a certificate and its key in two files. They are loaded anew when
// either of them changes; what cannot be used leaves the old ones in their
// place, with a word in the log. Connections that are open stay as they are.
type Files struct {
	certFile, keyFile string
	log               *slog.Logger

	mu     sync.Mutex // guards all below
	pair   *tls.Certificate
	files  [2]version // that were last looked at, of use or not
	failed error      // why what the files hold now is of no use; nil if it is used
}

// version tells whether a file changed.
type version struct {
	changed time.Time
	size    int64
}

// OpenFiles loads a certificate and its key, which must be of use.
func OpenFiles(certFile, keyFile string, log *slog.Logger) (*Files, error) {
	if certFile == "" || keyFile == "" {
		return nil, errors.New("a certificate and its key are given together or not at all")
	}
	f := &Files{certFile: certFile, keyFile: keyFile, log: log}
	f.files, _ = f.look() // the reason is given by what follows
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	f.pair = &pair
	return f, nil
}

// TLS returns the configuration of pages that are served with it.
func (f *Files) TLS() *tls.Config {
	return config(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return f.current(), nil })
}

// look returns which versions of the files there are.
func (f *Files) look() (files [2]version, err error) {
	for i, name := range []string{f.certFile, f.keyFile} {
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
func (f *Files) current() *tls.Certificate {
	f.mu.Lock()
	defer f.mu.Unlock()
	files, err := f.look()
	if files == f.files {
		return f.pair
	}
	f.files = files
	var pair tls.Certificate
	if err == nil {
		pair, err = tls.LoadX509KeyPair(f.certFile, f.keyFile)
	}
	if f.failed = err; err != nil {
		f.log.Error("the pages' new certificate cannot be used; the old one is", "certificate", f.certFile, "key", f.keyFile, "error", err)
		return f.pair
	}
	f.pair = &pair
	f.log.Info("the pages' new certificate is used", "certificate", f.certFile)
	return f.pair
}

// State says which certificate is used.
func (f *Files) State(now time.Time) State {
	leaf, err := serves(f.current())
	if err != nil {
		return State{Trouble: err.Error()}
	}
	f.mu.Lock()
	failed := f.failed
	f.mu.Unlock()
	s := State{Names: named(leaf), Ends: leaf.NotAfter}
	ended := !now.Before(leaf.NotAfter)
	switch {
	case failed != nil && ended:
		s.Trouble = "The pages' certificate ended on " + leaf.NotAfter.UTC().Format(moment) + ", and what is in its place cannot be used: " + failed.Error() + "."
	case failed != nil:
		s.Trouble = "What is in the place of the pages' certificate cannot be used, so that the old one is, until " + leaf.NotAfter.UTC().Format(moment) + ": " + failed.Error() + "."
	case ended:
		s.Trouble = "The pages' certificate ended on " + leaf.NotAfter.UTC().Format(moment) + ": put a new one in its place."
	case leaf.NotAfter.Sub(now) < min(soon, leaf.NotAfter.Sub(leaf.NotBefore)/3):
		s.Trouble = "The pages' certificate ends on " + leaf.NotAfter.UTC().Format(moment) + ": put a new one in its place before."
	}
	return s
}
