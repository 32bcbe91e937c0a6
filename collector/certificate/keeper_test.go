package certificate

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/certificate/acmetest"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
)

const collector = acmetest.Name

// told hears what is logged, so that tests wait for what happened and not for
// time.
type told struct{ said chan string }

func (w told) Write(p []byte) (int, error) { w.said <- string(p); return len(p), nil }

// wait returns the next line that holds a text.
func (w told) wait(t *testing.T, text string) string {
	t.Helper()
	for {
		select {
		case line := <-w.said:
			if strings.Contains(line, text) {
				return line
			}
		case <-t.Context().Done():
			t.Fatalf("it was never said: %s", text)
		}
	}
}

// bed is pages that are served with a keeper's certificate.
type bed struct {
	*Keeper
	log   told
	clock *clocktest.Driven
	pages net.Listener
	stop  func()
}

// listen opens a port of this machine.
func listen(t *testing.T) (net.Listener, int) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln, ln.Addr().(*net.TCPAddr).Port
}

// options are for a keeper of the collector's name at an authority.
func options(t *testing.T, a *acmetest.Authority, c clock.Clock, to io.Writer) Options {
	return Options{
		Names: []string{collector}, Agreed: true, Contact: "office@hollybank.example", Directory: a.Directory, Roots: a.Known,
		Folder: filepath.Join(t.TempDir(), "certificate"), Clock: c, Log: slog.New(slog.NewTextHandler(to, nil)),
	}
}

// run starts a keeper, and pages on a port.
func run(t *testing.T, pages net.Listener, o Options, log told, c *clocktest.Driven) *bed {
	t.Helper()
	k, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	b := &bed{Keeper: k, log: log, clock: c, pages: pages}
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx) }()
	server := &http.Server{ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stream" {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			_, _ = io.Copy(w, r.Body)
			return
		}
		io.WriteString(w, r.Proto)
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(tls.NewListener(pages, k.TLS())) }()
	b.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		server.Close()
		<-served
	}
	return b
}

// client speaks to the pages by their name.
func (b *bed) client(a *acmetest.Authority) *http.Client {
	return &http.Client{Transport: &http.Transport{
		ForceAttemptHTTP2: true, DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: a.Roots},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, b.pages.Addr().String())
		},
	}}
}

// seen opens a page and returns the certificate that it came with.
func (b *bed) seen(t *testing.T, a *acmetest.Authority) *x509.Certificate {
	t.Helper()
	r, err := b.client(a).Get("https://" + collector + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.ProtoMajor != 2 {
		t.Errorf("got %s", r.Proto)
	}
	return r.TLS.PeerCertificates[0]
}

func newBed(t *testing.T) (*acmetest.Authority, *bed) {
	pages, port := listen(t)
	a := acmetest.New(t, port, 1)
	log, c := told{make(chan string, 1000)}, clocktest.NewDriven(time.Now())
	return a, run(t, pages, options(t, a, c, log), log, c)
}

// TestACertificateIsHadAndKept: from an authority that opens a TLS connection to
// the pages and finds the proof there. It is on disk for nobody else, and used
// again after a restart without a word to the authority.
func TestACertificateIsHadAndKept(t *testing.T) {
	a, b := newBed(t)
	b.log.wait(t, "a new certificate")
	first := b.seen(t, a)
	if s := b.State(b.clock.Now()); s.Trouble != "" || !s.Ends.Equal(first.NotAfter) || !s.Renews.Before(first.NotAfter.Add(-29*24*time.Hour)) || len(s.Names) != 1 {
		t.Errorf("it says %+v", s)
	}
	conn, err := tls.Dial("tcp", b.pages.Addr().String(), &tls.Config{RootCAs: a.Roots, ServerName: "other.hollybank.example"})
	if err == nil {
		conn.Close()
		t.Error("it has a certificate for a name that it was not given")
	}
	if a.Orders.Load() != 1 {
		t.Errorf("%d certificates were ordered, want 1", a.Orders.Load())
	}
	b.stop()
	if runtime.GOOS != "windows" {
		for name, want := range map[string]os.FileMode{"": 0o700, accountFile: 0o600, certificateFile: 0o600} {
			info, err := os.Stat(filepath.Join(b.Folder, name))
			if err != nil || info.Mode().Perm() != want {
				t.Errorf("%q has mode %v (%v), want %v", name, info.Mode(), err, want)
			}
		}
	}
	a.Down.Store(true)
	again, err := Open(b.Options)
	if err != nil {
		t.Fatal(err)
	}
	if s := again.State(b.clock.Now()); s.Trouble != "" || !s.Ends.Equal(first.NotAfter) || !s.Renews.After(b.clock.Now()) {
		t.Errorf("after a restart it says %+v", s)
	}
	for what, change := range map[string]func(*Options){
		"another name":      func(o *Options) { o.Names = append(o.Names, "pages.hollybank.example") },
		"another authority": func(o *Options) { o.Directory = LetsEncrypt },
	} {
		o := b.Options
		o.Names = append([]string{}, o.Names...)
		change(&o)
		k, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		if s := k.State(b.clock.Now()); !s.Ends.IsZero() || s.Renews.After(b.clock.Now()) {
			t.Errorf("with %s it says %+v, want that another certificate is asked for", what, s)
		}
	}
}

// TestItIsRenewed when two thirds of its life have passed, under a connection that
// stays open.
func TestItIsRenewed(t *testing.T) {
	a, b := newBed(t)
	defer b.stop()
	b.log.wait(t, "a new certificate")
	first := b.seen(t, a)
	up, down := io.Pipe()
	stream, err := b.client(a).Post("https://"+collector+"/stream", "text/plain", up)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	b.clock.Advance(59 * 24 * time.Hour)
	if got := b.seen(t, a); got.SerialNumber.Cmp(first.SerialNumber) != 0 {
		t.Error("it was renewed after 59 of 90 days")
	}
	b.clock.Advance(2 * 24 * time.Hour)
	b.log.wait(t, "a new certificate")
	if got := b.seen(t, a); got.SerialNumber.Cmp(first.SerialNumber) == 0 {
		t.Error("it was not renewed after 61 of 90 days")
	} else if bytes.Equal(got.RawSubjectPublicKeyInfo, first.RawSubjectPublicKeyInfo) {
		t.Error("the new one has the old one's key")
	}
	if _, err := io.WriteString(down, "still here"); err != nil {
		t.Fatal(err)
	}
	down.Close()
	if said, err := io.ReadAll(stream.Body); err != nil || string(said) != "still here" {
		t.Errorf("the open connection got %q, %v", said, err)
	}
}

// TestARenewalThatFailsIsSaid a month before the end, with its reason; the old
// certificate is used meanwhile, and it is tried again.
func TestARenewalThatFailsIsSaid(t *testing.T) {
	a, b := newBed(t)
	defer b.stop()
	b.log.wait(t, "a new certificate")
	first := b.seen(t, a)
	a.Down.Store(true)
	b.clock.Advance(61 * 24 * time.Hour)
	b.log.wait(t, "no new certificate")
	s := b.State(b.clock.Now())
	if s.Failing.IsZero() || !strings.Contains(s.Trouble, "not renewed") || !strings.Contains(s.Trouble, "closed for the holidays") ||
		!strings.Contains(s.Trouble, first.NotAfter.UTC().Format(moment)) || first.NotAfter.Sub(s.Failing) < 28*24*time.Hour {
		t.Errorf("it says %+v", s)
	}
	if got := b.seen(t, a); got.SerialNumber.Cmp(first.SerialNumber) != 0 {
		t.Error("the old certificate is not used")
	}
	since := s.Failing
	for _, wait := range []time.Duration{firstRetry, 2 * firstRetry, 4 * firstRetry} {
		b.clock.Advance(wait)
		b.log.wait(t, "no new certificate")
	}
	if s := b.State(b.clock.Now()); !s.Failing.Equal(since) {
		t.Errorf("it fails since %v, want %v", s.Failing, since)
	}
	if s := b.State(first.NotAfter); !strings.Contains(s.Trouble, "ended on") || !strings.Contains(s.Trouble, "closed for the holidays") {
		t.Errorf("at its end it says %+v", s)
	}
	a.Down.Store(false)
	b.clock.Advance(lastRetry)
	b.log.wait(t, "a new certificate")
	if s := b.State(b.clock.Now()); s.Trouble != "" || !s.Failing.IsZero() {
		t.Errorf("after it was had it says %+v", s)
	}
}

// TestNobodyProvesAnothersName: the pages are not where the authority looks.
func TestNobodyProvesAnothersName(t *testing.T) {
	elsewhere, port := listen(t)
	elsewhere.Close()
	a := acmetest.New(t, port, 1)
	pages, _ := listen(t)
	log, c := told{make(chan string, 1000)}, clocktest.NewDriven(time.Now())
	b := run(t, pages, options(t, a, c, log), log, c)
	defer b.stop()
	b.log.wait(t, "no new certificate")
	if s := b.State(c.Now()); !strings.Contains(s.Trouble, "no certificate") || !strings.Contains(s.Trouble, collector) {
		t.Errorf("it says %+v", s)
	}
	if answer, err := b.client(a).Get("https://" + collector + "/"); err == nil {
		_ = answer.Body.Close() // the test has failed
		t.Error("a page was served without a certificate")
	}
}

// TestProofOverPlainHTTP has the authority look on the other port, which shows
// nothing else and sends people to the pages.
func TestProofOverPlainHTTP(t *testing.T) {
	pages, _ := listen(t)
	plain, port := listen(t)
	a := acmetest.New(t, 1, port)
	log, c := told{make(chan string, 1000)}, clocktest.NewDriven(time.Now())
	o := options(t, a, c, log)
	o.Plain, o.Names = true, []string{collector, "Laptops.Hollybank.example."}
	k, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: k.Challenges("8443")}
	served := make(chan error, 1)
	go func() { served <- server.Serve(plain) }()
	defer func() {
		server.Close()
		<-served
	}()
	pair, err := k.obtain(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(pair.Leaf.DNSNames, " "); got != collector+" laptops.hollybank.example" {
		t.Errorf("it is for %s", got)
	}
	if len(k.proofs.answers)+len(k.proofs.certificates) != 0 {
		t.Error("proofs are left")
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, ask := range []struct {
		method, host, path string
		code               int
		to                 string
	}{
		{http.MethodGet, collector + ":" + strconv.Itoa(port), "/schools?x=1", http.StatusPermanentRedirect, "https://" + collector + ":8443/schools?x=1"},
		{http.MethodGet, "COLLECTOR.hollybank.example", "//evil.example/", http.StatusPermanentRedirect, "https://" + collector + ":8443//evil.example/"},
		{http.MethodGet, "evil.example", "/", http.StatusNotFound, ""},
		{http.MethodPost, collector, "/sign-in", http.StatusNotFound, ""},
		{http.MethodGet, "evil.example", "/.well-known/acme-challenge/none", http.StatusNotFound, ""},
	} {
		r, err := http.NewRequestWithContext(t.Context(), ask.method, "http://"+plain.Addr().String()+ask.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = ask.host
		got, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got.Body.Close()
		if got.StatusCode != ask.code || got.Header.Get("Location") != ask.to {
			t.Errorf("%s %s%s: %d to %q, want %d to %q", ask.method, ask.host, ask.path, got.StatusCode, got.Header.Get("Location"), ask.code, ask.to)
		}
	}
	pages.Close()
}

func TestWhatIsRefused(t *testing.T) {
	good := Options{Names: []string{collector}, Agreed: true, Folder: filepath.Join(t.TempDir(), "c"), Clock: clock.System{}, Log: slog.New(slog.DiscardHandler)}
	if _, err := Open(good); err != nil {
		t.Fatal(err)
	}
	none := filepath.Join(t.TempDir(), "none.pem")
	if err := os.WriteFile(none, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Options){
		"terms":              func(o *Options) { o.Agreed = false },
		"needs a name":       func(o *Options) { o.Names = nil },
		"is an address":      func(o *Options) { o.Names = []string{"192.0.2.1"} },
		"no name":            func(o *Options) { o.Names = []string{"*.hollybank.example"} },
		"https://":           func(o *Options) { o.Directory = "http://authority.example/dir" },
		"mail address":       func(o *Options) { o.Contact = "office" },
		"no certificate":     func(o *Options) { o.Roots = none },
		"known":              func(o *Options) { o.Roots = none + ".missing" },
		"is no name of a ma": func(o *Options) { o.Names = []string{""} },
	} {
		o := good
		change(&o)
		if _, err := Open(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// FuzzKept reads what is in the folder, whatever that is: it is used only with its
// own key, for every name, from the authority that is asked.
func FuzzKept(f *testing.F) {
	k := &Keeper{Options: Options{Names: []string{collector}, Directory: LetsEncrypt}}
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nAuthority: " + LetsEncrypt + "\n\nAAAA\n-----END PRIVATE KEY-----\n"))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	f.Add([]byte("nothing"))
	f.Fuzz(func(t *testing.T, text []byte) {
		k.pair = nil
		if err := k.decode(text); (err == nil) != (k.pair != nil) {
			t.Errorf("got %v with %v", k.pair, err)
		}
		if k.pair != nil && k.pair.Leaf.VerifyHostname(collector) != nil {
			t.Error("it is for another name")
		}
	})
}
