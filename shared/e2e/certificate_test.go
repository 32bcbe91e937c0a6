package e2e

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/certificate"
	"github.com/caretaker-school/caretaker/collector/certificate/acmetest"
)

// freePort returns the address and port of this machine at which nothing listens.
func freePort(t *testing.T) (address string, port int) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, ln.Close())
	return ln.Addr().String(), ln.Addr().(*net.TCPAddr).Port
}

// TestPagesHaveTheirCertificateFromAnAuthority: the collector asks one for it,
// which connects to the pages before it gives any. People who have signed in are
// signed in still when the collector is started again, and nobody is asked for
// another certificate.
func TestPagesHaveTheirCertificateFromAnAuthority(t *testing.T) {
	w := newWorld(t)
	address, port := freePort(t)
	authority := acmetest.New(t, port, 1)
	var figures string
	serve := func() *collector {
		return w.collectBy(w.clock, func(c *collectorapp.Config) {
			c.Web, c.Metrics = address, "0"
			c.Figures = func(at string) { figures = at }
			c.ACME = collectorapp.ACME{Names: []string{acmetest.Name}, Agreed: true, Directory: authority.Directory, Roots: authority.Known}
		})
	}
	state := func() certificate.State {
		return *ask[[]collectorapp.SchoolStatus](w, "status", struct{}{})[0].Certificate
	}
	c := serve()
	until(t, "there is a certificate", func() bool { return !state().Ends.IsZero() })
	if s := state(); s.Trouble != "" || s.Renews.IsZero() {
		t.Errorf("it says %+v", s)
	}
	account := ask[collectorapp.AccountAnswer](w, "account.create", collectorapp.AccountArguments{Name: "the-dpo", Role: "dpo"})
	jar, err := cookiejar.New(nil)
	must(t, err)
	browser := &http.Client{Jar: jar, Transport: &http.Transport{
		ForceAttemptHTTP2: true, DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: authority.Roots},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}}
	site := "https://" + net.JoinHostPort(acmetest.Name, strconv.Itoa(port))
	lands := func(want string, asked func() (*http.Response, error)) {
		t.Helper()
		answer, err := asked()
		must(t, err)
		must(t, answer.Body.Close())
		if answer.StatusCode != http.StatusOK || answer.ProtoMajor != 2 || answer.Header.Get("Strict-Transport-Security") == "" ||
			!strings.HasPrefix(answer.Request.URL.Path, want) {
			t.Errorf("%s at %s over %s, want %s", answer.Status, answer.Request.URL, answer.Proto, want)
		}
	}
	lands("/schools/", func() (*http.Response, error) {
		return browser.PostForm(site+"/sign-in", url.Values{"name": {account.Name}, "password": {account.Password}, "next": {"/"}})
	})
	metrics, err := http.Get("http://" + figures + "/metrics")
	must(t, err)
	text, err := io.ReadAll(metrics.Body)
	must(t, err)
	must(t, metrics.Body.Close())
	for _, line := range []string{"caretaker_certificate_end_timestamp_seconds 1", "caretaker_certificate_trouble 0"} {
		if !strings.Contains(string(text), line) {
			t.Errorf("there is no %s", line)
		}
	}
	must(t, c.stop())
	c = serve()
	lands("/schools/", func() (*http.Response, error) { return browser.Get(site + "/") })
	if n := authority.Orders.Load(); n != 1 {
		t.Errorf("%d certificates were ordered, want 1", n)
	}
	if info, err := os.Stat(filepath.Join(w.data, "certificate")); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o700 {
		t.Errorf("others may read the keys: %v, %v", info.Mode(), err)
	}
	must(t, c.stop())
}

// TestPagesAreNotServedInTheClear beyond this machine, nor with half of what they
// need for anything else.
func TestPagesAreNotServedInTheClear(t *testing.T) {
	w := newWorld(t)
	for want, set := range map[string]func(*collectorapp.Config){
		"this machine alone": func(c *collectorapp.Config) { c.Web = "0.0.0.0:0" },
		"together or not":    func(c *collectorapp.Config) { c.WebCertificate = "cert.pem" },
		"no-such.pem":        func(c *collectorapp.Config) { c.WebCertificate, c.WebKey = "no-such.pem", "no-such.pem" },
		"accept-terms":       func(c *collectorapp.Config) { c.ACME.Names = []string{acmetest.Name} },
		"only for a name":    func(c *collectorapp.Config) { c.ACME.Agreed = true },
		"not both": func(c *collectorapp.Config) {
			c.WebCertificate, c.WebKey, c.ACME.Names = "a", "b", []string{acmetest.Name}
		},
		"is no name of a mac": func(c *collectorapp.Config) { c.ACME = collectorapp.ACME{Names: []string{"*.example"}, Agreed: true} },
	} {
		config := collectorapp.Config{Data: w.data, Agents: "127.0.0.1:0", Web: "127.0.0.1:0", Log: logTo(t, "collector")}
		set(&config)
		if err := collectorapp.Run(t.Context(), config, w.clock); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
