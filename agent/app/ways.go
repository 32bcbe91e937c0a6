package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/caretaker-school/caretaker/agent/route"
	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// newRoutes returns the ways to the collector of an agent whose state is in a
// folder: as it was told, as its environment says, as this system is set.
func newRoutes(state string, log *slog.Logger) *route.Routes {
	return route.New(route.Options{
		Setting: func() (route.Setting, error) { return route.Load(state) },
		Sources: append([]route.Source{route.FromEnvironment}, systemProxies(log)...),
		Log:     log,
	})
}

// obstacles returns what kinds of obstacles stood in the ways to the collector,
// in the order of trying; none if that was not what went wrong.
func obstacles(reason error) []string {
	blocked, ok := errors.AsType[*route.BlockedError](reason)
	if !ok {
		return nil
	}
	var all []string
	for _, o := range blocked.Tried {
		all = append(all, string(o.Kind))
	}
	return all
}

// named returns the proxies that a system's settings name for an address, and
// what could not be found out.
func named(settings []system.ProxySetting, address string) (all []route.Proxy, err error) {
	for _, s := range settings {
		found, bad := route.List(s.Proxies, s.Bypass, address, wire.Visible(s.From, 80))
		all, err = append(all, found...), errors.Join(err, bad)
		if s.Trouble != "" {
			err = errors.Join(err, errors.New(wire.Visible(s.Trouble, 300)))
		}
	}
	return all, err
}

// answerWays answers in a child which proxies this system names for a URL.
func answerWays(request []byte) ([]system.ProxySetting, error) {
	var url string
	if err := json.Unmarshal(request, &url); err != nil {
		return nil, fmt.Errorf("read the request for proxies: %w", err)
	}
	return system.ProxiesFor(url)
}

// ProxyConfig is a proxy as whoever sets up a laptop names it.
type ProxyConfig struct {
	Proxy        string // host:port or http://host:port
	User         string
	PasswordFile string    // "-": read it from Stdin
	Stdin        io.Reader // for "-"
}

// maxPassword bounds what is read of a file with a password, in bytes.
const maxPassword = 1024

// Setting returns the setting that uses the proxy. Its password is in a file:
// what is given to a command everybody on the machine can read.
func (c ProxyConfig) Setting() (route.Setting, error) {
	p, err := route.ParseProxy(c.Proxy)
	switch {
	case err != nil:
		return route.Setting{}, err
	case p.User != "" || p.Password != "":
		return route.Setting{}, errors.New("a name and a password do not belong into the proxy's address, where others on this machine can read them while the command runs: give them with --user and --password-file")
	case c.User == "" && c.PasswordFile == "":
		return route.ToProxy(p), nil
	case c.User == "" || c.PasswordFile == "":
		return route.Setting{}, errors.New("a proxy that wants somebody to sign in needs both a name and a file with the password")
	}
	from := c.Stdin
	if c.PasswordFile != "-" {
		f, err := os.Open(c.PasswordFile)
		if err != nil {
			return route.Setting{}, fmt.Errorf("read the proxy's password: %w", err)
		}
		defer f.Close()
		from = f
	}
	text, err := io.ReadAll(io.LimitReader(from, maxPassword))
	if err != nil {
		return route.Setting{}, fmt.Errorf("read the proxy's password: %w", err)
	}
	p.User, p.Password = c.User, strings.TrimRight(string(text), "\r\n")
	return route.ToProxy(p), nil
}

// setProxy keeps a proxy in a state folder.
func setProxy(state string, c ProxyConfig) error {
	s, err := c.Setting()
	if err != nil {
		return err
	}
	return s.Save(state)
}
