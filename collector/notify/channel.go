package notify

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Kind is the way on which notices go.
type Kind string

// The kinds of channels.
const (
	Mail    Kind = "mail"
	Webhook Kind = "webhook"
	Teams   Kind = "teams"
	Syslog  Kind = "syslog"
)

// Channel is where notices go, and for whom they are. Its address may be a
// secret in itself, such as a workflow's, so that only Place may be shown.
type Channel struct {
	ID      string           `json:"id"`
	Kind    Kind             `json:"kind"`
	School  posture.SchoolID `json:"school"` // or access.EverySchool
	Role    access.Role      `json:"role"`   // chooses what is told
	Address string           `json:"address"`
	Secret  string           `json:"secret,omitempty"` // with which a webhook's body is signed
	Added   time.Time        `json:"added"`
}

// covers reports whether the channel is told of a school.
func (c Channel) covers(school posture.SchoolID) bool {
	return c.School == access.EverySchool || c.School == school
}

// Place is the address as it may be shown and logged.
func (c Channel) Place() string {
	if c.Kind == Webhook || c.Kind == Teams {
		if u, err := url.Parse(c.Address); err == nil {
			return u.Scheme + "://" + u.Host + "/…"
		}
		return string(c.Kind)
	}
	return c.Address
}

// Protection says how the way to a mail server is kept secret.
type Protection string

// The protections.
const (
	StartTLS Protection = "starttls" // begun in the clear, and refused if it stays so
	TLS      Protection = "tls"      // from the first byte
	Plain    Protection = "none"     // to a server on this machine only
)

// MailServer is the server that takes mail for everybody.
type MailServer struct {
	Address    string     `json:"address,omitempty"` // host:port
	Protection Protection `json:"protection,omitempty"`
	From       string     `json:"from,omitempty"`
	User       string     `json:"user,omitempty"` // "": no sign-in
	Password   string     `json:"password,omitempty"`
}

// Settings are all that is set about notices. They are kept in a file of their
// own that only the collector's account can read, and never in the ledger.
type Settings struct {
	Pages       string     `json:"pages,omitempty"`       // where people reach the pages; "": notices have no link
	Digest      string     `json:"digest,omitempty"`      // when the day's digest is made, such as 07:30
	Authorities string     `json:"authorities,omitempty"` // PEM: trusted beside the system's
	Mail        MailServer `json:"mail,omitzero"`
	Channels    []Channel  `json:"channels,omitempty"`
}

const (
	settingsFile  = "settings.json"
	defaultDigest = "07:30"
	mostChannels  = 200
	mostAddress   = 2000 // characters; a workflow's address is long
)

func (s Settings) clone() Settings {
	s.Channels = slices.Clone(s.Channels)
	return s
}

func (s Settings) channel(id string) (Channel, bool) {
	i := slices.IndexFunc(s.Channels, func(c Channel) bool { return c.ID == id })
	if i < 0 {
		return Channel{}, false
	}
	return s.Channels[i], true
}

func readSettings(dir string) (Settings, error) {
	var s Settings
	data, err := os.ReadFile(filepath.Join(dir, settingsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err == nil {
		err = s.check()
	}
	if err != nil {
		return Settings{}, fmt.Errorf("read the settings of notices: %w", err)
	}
	return s, nil
}

func writeSettings(dir string, s Settings) error {
	if err := s.check(); err != nil {
		return err
	}
	data, err := json.MarshalIndent(s, "", "  ")
	if err == nil {
		err = durable.WriteFile(filepath.Join(dir, settingsFile), append(data, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("store the settings of notices: %w", err)
	}
	return nil
}

func (s Settings) check() error {
	if len(s.Channels) > mostChannels {
		return fmt.Errorf("there are %d ways for notices already, and %d are the most", len(s.Channels)-1, mostChannels)
	}
	if s.Pages != "" {
		if _, err := checkURL(s.Pages); err != nil {
			return fmt.Errorf("the pages' address: %w", err)
		}
	}
	if _, _, err := digestAt(s.Digest); err != nil {
		return err
	}
	if s.Authorities != "" {
		if _, err := pool(s.Authorities); err != nil {
			return err
		}
	}
	if err := s.Mail.check(); err != nil {
		return err
	}
	for _, c := range s.Channels {
		if err := c.check(); err != nil {
			return err
		}
		if c.Kind == Mail && s.Mail.Address == "" {
			return errors.New("mail needs a server: name it with notice set --mail-server HOST:PORT --mail-from ADDRESS")
		}
	}
	return nil
}

func (m MailServer) check() error {
	if m == (MailServer{}) {
		return nil
	}
	host, port, err := net.SplitHostPort(m.Address)
	if err != nil || host == "" || !wholePort(port) {
		return fmt.Errorf("the mail server %.80q is not of the form HOST:PORT", m.Address)
	}
	if err := mailAddress(m.From); err != nil {
		return fmt.Errorf("the address that notices come from: %w", err)
	}
	switch {
	case m.Protection != StartTLS && m.Protection != TLS && m.Protection != Plain:
		return fmt.Errorf("%.40q is no way to protect mail: starttls, tls or none", m.Protection)
	case m.Protection == Plain && !onlyHere(host):
		return errors.New("mail without TLS goes to a server on this machine only: anybody on the way could read it")
	case m.Protection == Plain && m.User != "":
		return errors.New("a password is not sent without TLS")
	case m.User == "" && m.Password != "":
		return errors.New("a password needs the name of its account: --mail-user")
	}
	return nil
}

func (c Channel) check() error {
	if len(c.Address) > mostAddress {
		return fmt.Errorf("an address has at most %d characters", mostAddress)
	}
	if c.School == "" {
		return errors.New("a notice is about a school, or about all")
	}
	if !tells(c.Role) {
		return fmt.Errorf("there are no notices for the role %.40q: only for %s", c.Role, rolesTold())
	}
	var err error
	switch c.Kind {
	case Mail:
		err = mailAddress(c.Address)
	case Webhook, Teams:
		var u *url.URL
		if u, err = checkURL(c.Address); err == nil && u.Scheme != "https" {
			err = errors.New("an address for notices begins with https://: anybody on the way could read them")
		}
		if err == nil && c.Kind == Webhook && len(c.Secret) < 16 {
			err = errors.New("a webhook needs a secret of at least 16 characters, with which its bodies are signed")
		}
	case Syslog:
		_, _, err = syslogAddress(c.Address)
	default:
		err = fmt.Errorf("%.40q is no way for notices: mail, webhook, teams or syslog", c.Kind)
	}
	return err
}

// mailAddress reads a bare address: no name beside it, which would be a
// person's.
func mailAddress(text string) error {
	a, err := mail.ParseAddress(text)
	if err != nil || a.Name != "" || a.Address != text || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' }) {
		return fmt.Errorf("%.80q is not a mail address such as office@school.example", text)
	}
	return nil
}

// checkURL reads an address of the web.
func checkURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("this is not an address of the web") // which could be a secret
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("an address begins with https://")
	case u.Hostname() == "" || u.Opaque != "":
		return nil, errors.New("this address names no host")
	case u.User != nil:
		return nil, errors.New("an address does not carry a password")
	case u.Fragment != "":
		return nil, errors.New("an address has no part after #")
	case u.Port() != "" && !wholePort(u.Port()):
		return nil, errors.New("the port of this address is not a number from 1 to 65535")
	}
	return u, nil
}

// syslogAddress reads udp://HOST:PORT, tcp://HOST:PORT or tls://HOST:PORT.
func syslogAddress(text string) (network, address string, err error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil || u.Fragment != "" || !slices.Contains([]string{"udp", "tcp", "tls"}, u.Scheme) {
		return "", "", fmt.Errorf("%.80q is not of the form udp://HOST:PORT, tcp://HOST:PORT or tls://HOST:PORT", text)
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"udp": "514", "tcp": "601", "tls": "6514"}[u.Scheme]
	}
	if u.Hostname() == "" || !wholePort(port) {
		return "", "", fmt.Errorf("%.80q names no host and port", text)
	}
	return u.Scheme, net.JoinHostPort(u.Hostname(), port), nil
}

func wholePort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}

// digestAt reads a time of day.
func digestAt(text string) (hour, minute int, err error) {
	if text == "" {
		text = defaultDigest
	}
	t, err := time.Parse("15:04", text)
	if err != nil {
		return 0, 0, fmt.Errorf("%.20q is not a time of day such as %s", text, defaultDigest)
	}
	return t.Hour(), t.Minute(), nil
}

// random returns a name that nobody can guess.
func random(size int) (string, error) {
	b := make([]byte, size)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("make an identifier: %w", err)
	}
	return hex.EncodeToString(b), nil
}
