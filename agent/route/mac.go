package route

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/caretaker-school/caretaker/agent/plist"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// fromSystem is who names the proxies of a Mac.
const fromSystem = "this system's setting"

// FromPreferences reads the proxies for an address from the settings of a Mac's
// networks (SystemConfiguration/preferences.plist): those for HTTPS of each
// network that is in use, in their order. A script that is to name one is not
// run, and is told.
func FromPreferences(data []byte, address string) ([]Proxy, error) {
	read, err := plist.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", fromSystem, err)
	}
	root := dict(read)
	set := strings.TrimPrefix(text(root["CurrentSet"]), "/Sets/")
	network := dict(dict(dict(root["Sets"])[set])["Network"])
	used := dict(network["Service"])
	order := list(dict(dict(network["Global"])["IPv4"])["ServiceOrder"])
	services := dict(root["NetworkServices"])
	var all []Proxy
	var troubles []error
	for _, id := range order {
		name := text(id)
		if _, ok := used[name]; !ok || len(all) >= mostWays || len(troubles) >= mostWays {
			continue
		}
		service := dict(services[name])
		if _, off := service["__INACTIVE__"]; off {
			continue
		}
		p, err := fromService(dict(service["Proxies"]), address)
		all = append(all, p...)
		if err != nil {
			troubles = append(troubles, err)
		}
	}
	return all, errors.Join(troubles...)
}

// fromService reads the proxies of one network.
func fromService(proxies map[string]any, address string) (all []Proxy, err error) {
	if on(proxies["ProxyAutoConfigEnable"]) {
		where := "a file"
		if u, bad := url.Parse(text(proxies["ProxyAutoConfigURLString"])); bad == nil && u.Host != "" {
			where = wire.Visible(u.Host, 80)
		}
		err = fmt.Errorf("%s is a script (a PAC, from %s), which the agent does not run on this system: ask whoever runs the network for the proxy's name, and give it with caretaker-agent proxy set", fromSystem, where)
	}
	host := text(proxies["HTTPSProxy"])
	if !on(proxies["HTTPSEnable"]) || host == "" || spared(proxies, address) {
		return nil, err
	}
	port, _ := proxies["HTTPSPort"].(int64)
	if port == 0 {
		port = 80
	}
	p, bad := ParseProxy(net.JoinHostPort(host, strconv.FormatInt(port, 10)))
	if bad != nil {
		return nil, errors.Join(err, fmt.Errorf("read %s: %w", fromSystem, bad))
	}
	p.From = fromSystem
	return []Proxy{p}, err
}

// spared reports whether a Mac's list says that an address needs no proxy.
func spared(proxies map[string]any, address string) bool {
	var patterns []string
	for _, p := range list(proxies["ExceptionsList"]) {
		patterns = append(patterns, text(p))
	}
	if on(proxies["ExcludeSimpleHostnames"]) {
		patterns = append(patterns, "<local>")
	}
	return bypassed(strings.Join(patterns, ";"), address)
}

func dict(v any) map[string]any { d, _ := v.(map[string]any); return d }
func list(v any) []any          { l, _ := v.([]any); return l }
func text(v any) string         { s, _ := v.(string); return s }

// on reports whether a setting is: a number, or in newer lists a truth.
func on(v any) bool {
	switch v := v.(type) {
	case int64:
		return v != 0
	case bool:
		return v
	}
	return false
}
