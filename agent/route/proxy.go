package route

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpproxy"

	"github.com/caretaker-school/caretaker/shared/wire"
)

// Proxy is one that may lead to the collector. Its zero value is the straight
// way.
type Proxy struct {
	Address  string // "host:port"
	User     string // "": it is given no name
	Password string
	From     string // who names it, in words
}

// same reports whether the two are the same way: what is given to sign in is
// part of it.
func (p Proxy) same(o Proxy) bool {
	return p.Address == o.Address && p.User == o.User && p.Password == o.Password
}

// words says which way it is. A name and a password are not in it.
func (p Proxy) words() string {
	if p.Address == "" {
		return "straight"
	}
	return fmt.Sprintf("through the proxy %s (%s)", wire.Visible(p.Address, 120), p.From)
}

// String implements fmt.Stringer, so that no password is printed by accident.
func (p Proxy) String() string { return p.words() }

// GoString implements fmt.GoStringer, for the same reason.
func (p Proxy) GoString() string { return p.words() }

// The errors of what is written for a proxy. None of them repeats it: there may
// be a password in it.
var (
	errNotProxy = errors.New("a proxy is written as host:port or http://host:port")
	errScheme   = errors.New("only proxies that are spoken to over plain HTTP can be used: write host:port or http://host:port")
)

// maxProxy bounds a proxy's address, in bytes.
const maxProxy = 300

// ParseProxy reads a proxy as people write it: host:port, or a URL, which may
// hold a name and a password.
func ParseProxy(text string) (Proxy, error) {
	if text = strings.TrimSpace(text); text == "" || len(text) > maxProxy {
		return Proxy{}, errNotProxy
	}
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return Proxy{}, errNotProxy
	case u.Scheme != "http":
		return Proxy{}, errScheme
	case u.Path != "" && u.Path != "/", u.RawQuery != "", u.Fragment != "", u.Opaque != "":
		return Proxy{}, errNotProxy
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	p := Proxy{Address: net.JoinHostPort(u.Hostname(), port)}
	if u.User != nil {
		p.User = u.User.Username()
		p.Password, _ = u.User.Password()
	}
	return p, p.check()
}

func (p Proxy) check() error {
	host, port, err := net.SplitHostPort(p.Address)
	if err != nil || host == "" || len(p.Address) > maxProxy {
		return errNotProxy
	}
	for _, c := range []byte(host) {
		if c <= ' ' || c > '~' || strings.IndexByte(`/\"'@?#<>`, c) >= 0 {
			return errNotProxy
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return errNotProxy
	}
	if strings.ContainsAny(p.User, ":\r\n") || len(p.User) > 200 || len(p.Password) > 500 || strings.ContainsAny(p.Password, "\r\n") {
		return errors.New("a name for a proxy has no colon, and neither name nor password has a line break or is very long")
	}
	return nil
}

// FromEnvironment is what this program's environment names, in HTTPS_PROXY and
// NO_PROXY.
func FromEnvironment(_ context.Context, address string) ([]Proxy, error) {
	return fromEnvironment(httpproxy.FromEnvironment(), address, "the service's environment")
}

func fromEnvironment(c *httpproxy.Config, address, from string) ([]Proxy, error) {
	u, err := c.ProxyFunc()(&url.URL{Scheme: "https", Host: address})
	if err == nil && u == nil {
		return nil, nil
	}
	var p Proxy
	if err == nil {
		p, err = ParseProxy(u.String())
	} else {
		err = errNotProxy // what it says may hold a password
	}
	if err != nil {
		return nil, fmt.Errorf("read the proxy that is named in %s: %w", from, err)
	}
	p.From = from
	return []Proxy{p}, nil
}

// List reads a list of proxies as Windows writes it: "proxy:80", or for each
// scheme "http=proxy:80;https=other:81", of which https is meant. bypass is its
// list of addresses that need none.
func List(list, bypass, address, from string) ([]Proxy, error) {
	if list == "" || bypassed(bypass, address) {
		return nil, nil
	}
	var all, other []Proxy
	for _, part := range strings.FieldsFunc(list, func(c rune) bool { return c == ';' || c == ' ' || c == '\t' }) {
		scheme, text, ok := strings.Cut(part, "=")
		if !ok {
			scheme, text = "", part
		}
		if scheme != "" && scheme != "https" && scheme != "http" {
			continue
		}
		p, err := ParseProxy(text)
		if err != nil {
			return nil, fmt.Errorf("read the proxy that is named in %s: %w", from, err)
		}
		p.From = from
		if scheme == "http" { // where only that is named, it usually serves both
			other = append(other, p)
		} else {
			all = append(all, p)
		}
		if len(all)+len(other) >= mostWays {
			break
		}
	}
	if len(all) == 0 {
		return other, nil
	}
	return all, nil
}

// bypassed reports whether a list of Windows' says that an address needs no
// proxy: names with stars, and <local> for names without a dot.
func bypassed(list, address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	host = strings.ToLower(host)
	for _, pattern := range strings.FieldsFunc(strings.ToLower(list), func(c rune) bool { return c == ';' || c == ' ' || c == '\t' || c == ',' }) {
		if pattern == "<local>" && !strings.ContainsAny(host, ".:") {
			return true
		}
		if ok, err := path.Match(pattern, host); ok && err == nil {
			return true
		}
	}
	return false
}
