package route

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/caretaker-school/caretaker/shared/durable"
)

// Use is how the agent is to find its way.
type Use string

// The ways to find one.
const (
	UseAutomatic Use = ""       // the environment, the system, straight
	UseDirect    Use = "direct" // straight, and no other way
	UseProxy     Use = "proxy"  // that proxy, then as UseAutomatic
)

// Setting is what the agent was told. Its zero value tells nothing.
type Setting struct {
	Use      Use    `json:"use,omitempty"`
	Address  string `json:"address,omitempty"` // of the proxy
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
}

// settingFile lies in the state folder, for the service alone: it may hold a
// password.
const settingFile = "proxy.json"

// maxSetting bounds that file, in bytes.
const maxSetting = 4 << 10

// fromSetting is who names the proxy of a setting.
const fromSetting = "the agent's setting"

func (s Setting) proxy() Proxy {
	return Proxy{Address: s.Address, User: s.User, Password: s.Password, From: fromSetting}
}

// ToProxy returns a setting that uses a proxy.
func ToProxy(p Proxy) Setting {
	return Setting{Use: UseProxy, Address: p.Address, User: p.User, Password: p.Password}
}

// Words says what is set. A name and a password are not in it.
func (s Setting) Words() string {
	switch s.Use {
	case UseDirect:
		return "straight, and no other way"
	case UseProxy:
		words := s.proxy().words()
		if s.User != "" {
			words += ", with a name and a password"
		}
		return words + "; failing that, as the environment and the system say, and straight"
	}
	return "as the environment and the system say, and straight"
}

// String implements fmt.Stringer, so that no password is printed by accident.
func (s Setting) String() string { return s.Words() }

// GoString implements fmt.GoStringer, for the same reason.
func (s Setting) GoString() string { return s.Words() }

func (s Setting) check() error {
	switch s.Use {
	case UseAutomatic, UseDirect:
		if s.Address != "" || s.User != "" || s.Password != "" {
			return errors.New("it names a proxy that is not to be used")
		}
		return nil
	case UseProxy:
		return s.proxy().check()
	}
	return fmt.Errorf("it says %.20q, which this version does not know", string(s.Use))
}

// Load reads the setting in a state folder. There is none if nothing was set.
func Load(state string) (Setting, error) {
	f, err := os.Open(filepath.Join(state, settingFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Setting{}, nil
	}
	if err != nil {
		return Setting{}, fmt.Errorf("read the agent's setting of a proxy: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSetting+1))
	if err != nil {
		return Setting{}, fmt.Errorf("read the agent's setting of a proxy: %w", err)
	}
	s, err := parseSetting(data)
	if err != nil {
		return Setting{}, fmt.Errorf("read the agent's setting of a proxy: %w; set it anew with caretaker-agent proxy set", err)
	}
	return s, nil
}

func parseSetting(data []byte) (Setting, error) {
	var s Setting
	if len(data) > maxSetting {
		return Setting{}, errors.New("it is too long")
	}
	if err := json.Unmarshal(data, &s); err != nil {
		// What the decoder says may repeat what is in it.
		return Setting{}, errors.New("it is damaged")
	}
	if err := s.check(); err != nil {
		return Setting{}, err
	}
	return s, nil
}

// Save puts the setting into a state folder, for the folder's owner alone.
func (s Setting) Save(state string) error {
	if err := s.check(); err != nil {
		return err
	}
	data, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("keep the setting of a proxy: %w", err)
	}
	if err := durable.MakePrivate(state); err != nil {
		return fmt.Errorf("make the state folder: %w", err)
	}
	if err := durable.WriteFile(filepath.Join(state, settingFile), append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("keep the setting of a proxy: %w", err)
	}
	return nil
}
