package access

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Provider is a service elsewhere that vouches for people.
type Provider struct {
	ID     string `json:"id"`   // in addresses
	Name   string `json:"name"` // as people know it
	Issuer string `json:"issuer"`
	Client string `json:"client"`
	Secret string `json:"secret,omitempty"` // Providers leaves it out
	// Domain is the organisation's at Google: whoever is not of it is a stranger.
	Domain string `json:"domain,omitempty"`
	// Vouches says that the provider asks everybody for a second step, so that
	// none is asked for here.
	Vouches bool `json:"vouches,omitempty"`
	// Schools are those it vouches for; none: every school.
	Schools []posture.SchoolID `json:"schools,omitempty"`
	Added   time.Time          `json:"added"`
}

// Back is where the provider sends people back to, on our pages.
func (p Provider) Back() string { return "/sign-in/with/" + p.ID + "/back" }

type providersJSON struct {
	Providers []Provider `json:"providers"`
}

var providersIn = file[Provider]{name: "providers.json", what: "sign-on services", parse: parseProviders, pack: func(list []Provider) any { return providersJSON{list} }}

func parseProviders(data []byte) ([]Provider, error) {
	var j providersJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return nil, fmt.Errorf("read the sign-on services: %w", err)
	}
	if len(j.Providers) > maxProviders {
		return nil, fmt.Errorf("read the sign-on services: %d of them, more than %d", len(j.Providers), maxProviders)
	}
	for _, p := range j.Providers {
		if err := p.check(); err != nil {
			return nil, fmt.Errorf("read the sign-on service %.40q: %w", p.ID, err)
		}
	}
	return j.Providers, nil
}

var (
	providerID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,30}$`)
	tenantID   = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	domainName = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)+$`)
)

// tenant returns the organisation that an issuer of Microsoft's is pinned to.
func (p Provider) tenant() (string, bool) {
	u, err := url.Parse(p.Issuer)
	if err != nil || !strings.HasPrefix(u.Host, "login.microsoftonline.") {
		return "", false
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	return first, true
}

func (p Provider) check() error {
	u, err := url.Parse(p.Issuer)
	switch {
	case !providerID.MatchString(p.ID):
		return errors.New("a sign-on service needs a short name of small letters, digits and dashes")
	case p.Name == "" || utf8.RuneCountInString(p.Name) > 40 || !printable(p.Name):
		return errors.New("a sign-on service needs a name of up to 40 characters that people know")
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || len(p.Issuer) > 300:
		return errors.New("the issuer is an address such as https://accounts.google.com")
	case u.Scheme != "https" && (u.Scheme != "http" || !ownMachine(u.Hostname())):
		return errors.New("the issuer's address begins with https://: what it says must not be changed on its way")
	case p.Client == "" || len(p.Client) > 300 || len(p.Secret) > 1000:
		return errors.New("a sign-on service needs the client's identifier, as the service shows it")
	case p.Domain != "" && !domainName.MatchString(p.Domain):
		return errors.New("the domain is a name such as hollybank.example")
	case p.Issuer == googleIssuer && p.Domain == "":
		return errors.New("at Google everybody may have an account: say the school's own domain")
	}
	if tenant, ok := p.tenant(); ok && (!tenantID.MatchString(tenant) || p.Issuer != "https://"+u.Host+"/"+tenant+"/v2.0") {
		return errors.New("at Microsoft every organisation may have accounts: the issuer is https://login.microsoftonline.com/TENANT/v2.0 with the school's own tenant identifier")
	}
	return nil
}

func ownMachine(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// Providers lists the sign-on services, without their secrets.
func (a *Access) Providers() []Provider {
	a.mu.RLock()
	defer a.mu.RUnlock()
	list := slices.Clone(a.providers)
	for i := range list {
		list[i].Secret = ""
	}
	return list
}

// SetProvider adds a sign-on service, or says it anew.
func (a *Access) SetProvider(p Provider) error {
	if err := p.check(); err != nil {
		return err
	}
	p.Added = a.clock.Now().UTC().Truncate(time.Second)
	return a.changeProviders(func(list []Provider) ([]Provider, error) {
		list = slices.DeleteFunc(list, func(o Provider) bool { return o.ID == p.ID })
		if len(list) >= maxProviders {
			return nil, fmt.Errorf("there are %d sign-on services already", len(list))
		}
		return append(list, p), nil
	})
}

// ErrNoProvider says that there is no sign-on service of that name.
var ErrNoProvider = errors.New("there is no such sign-on service")

// RemoveProvider removes a sign-on service. Links to it stay, and are worth
// nothing until it is added again.
func (a *Access) RemoveProvider(id string) error {
	return a.changeProviders(func(list []Provider) ([]Provider, error) {
		kept := slices.DeleteFunc(list, func(o Provider) bool { return o.ID == id })
		if len(kept) == len(list) {
			return nil, ErrNoProvider
		}
		return kept, nil
	})
}

func (a *Access) changeProviders(f func([]Provider) ([]Provider, error)) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.noProviders != nil {
		return a.noProviders
	}
	next, err := providersIn.change(a.dir, a.providers, f)
	if err == nil {
		a.providers = next
	}
	return err
}

func (a *Access) provider(id string) (Provider, bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if i := slices.IndexFunc(a.providers, func(p Provider) bool { return p.ID == id }); i >= 0 {
		return a.providers[i], true
	}
	return Provider{}, false
}
