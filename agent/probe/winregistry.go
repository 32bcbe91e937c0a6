package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// registryKey is a key of Windows' registry as settings are read from it: a
// value that is not there is a setting that nobody made, a value that could
// not be read is an error.
type registryKey struct{ system.RegistryKey }

// settings reads a key that need not be there; then it holds nothing.
func settings(ctx context.Context, sys system.Reader, path string) (registryKey, error) {
	key, err := sys.Key(ctx, path)
	if missing(err) {
		return registryKey{}, nil
	}
	return registryKey{key}, err
}

// errLost means that something is not there that every Windows has, from which
// nothing can be concluded.
var errLost = errors.New("it should be there and is not")

// mustSettings reads a key that every Windows has.
func mustSettings(ctx context.Context, sys system.Reader, path string) (registryKey, error) {
	key, err := sys.Key(ctx, path)
	if missing(err) {
		return registryKey{}, errLost
	}
	return registryKey{key}, err
}

// valueError returns why a value could not be read, or nil.
func valueError(v system.Value) error {
	var like error
	switch v.Absent {
	case posture.NotAsked, posture.None:
		return nil
	case posture.Denied:
		like = fs.ErrPermission
	case posture.TimedOut:
		like = context.DeadlineExceeded
	case posture.Unsupported:
		like = errors.ErrUnsupported
	default:
		like = errUnknown
	}
	if v.Code == 0 {
		return like
	}
	return &system.CodeError{Code: v.Code, Like: like}
}

// number returns a number and whether there is one. Some settings are numbers
// written as text, and one of old was bytes.
func (k registryKey) number(name string) (n int64, there bool, err error) {
	v, ok := k.Values.Get(name)
	if !ok || v.IsNull() {
		return 0, false, nil
	}
	switch {
	case valueError(v) != nil:
		return 0, false, valueError(v)
	case v.Number != nil:
		return *v.Number, true, nil
	case v.Text != nil:
		if n, err = strconv.ParseInt(strings.TrimSpace(*v.Text), 10, 64); err != nil {
			return 0, false, errUnknown
		}
		return n, true, nil
	case len(v.Bytes) > 0 && len(v.Bytes) <= 8:
		var b [8]byte
		copy(b[:], v.Bytes)
		return int64(binary.LittleEndian.Uint64(b[:])), true, nil
	}
	return 0, false, errUnknown
}

// text returns a text and whether there is one.
func (k registryKey) text(name string) (s string, there bool, err error) {
	v, ok := k.Values.Get(name)
	if !ok || v.IsNull() {
		return "", false, nil
	}
	switch {
	case valueError(v) != nil:
		return "", false, valueError(v)
	case v.Text != nil:
		return *v.Text, true, nil
	case v.Number != nil:
		return strconv.FormatInt(*v.Number, 10), true, nil
	}
	return "", false, errUnknown
}

// holds reports whether a key lies below it.
func (k registryKey) holds(name string) bool {
	return slices.ContainsFunc(k.Keys, func(key string) bool { return strings.EqualFold(key, name) })
}

// settingNumber returns the number of that name from the first key that has one:
// policy before preference.
func settingNumber(name string, keys ...registryKey) (n int64, there bool, err error) {
	for _, k := range keys {
		if n, there, err = k.number(name); there || err != nil {
			return n, there, err
		}
	}
	return 0, false, nil
}

// settingText is settingNumber for texts.
func settingText(name string, keys ...registryKey) (s string, there bool, err error) {
	for _, k := range keys {
		if s, there, err = k.text(name); there || err != nil {
			return s, there, err
		}
	}
	return "", false, nil
}

const profileList = `HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList`

// isPerson reports whether a security identifier is of the kinds that people
// have: of a machine or domain, or of Entra. It never leaves this package.
func isPerson(sid string) bool {
	rest, ok := strings.CutPrefix(sid, "S-1-5-21-")
	if !ok {
		rest, ok = strings.CutPrefix(sid, "S-1-12-1-")
	}
	return ok && rest != "" && strings.Trim(rest, "0123456789-") == ""
}

// loadedHives returns whose settings are loaded, and the names of all keys
// that stand beside them.
func loadedHives(ctx context.Context, sys system.Reader) (people, all []string, err error) {
	root, err := mustSettings(ctx, sys, "HKU")
	if err != nil {
		return nil, nil, err
	}
	if len(root.Keys) == 0 {
		return nil, nil, errLost // the system's own are always loaded
	}
	for _, name := range root.Keys {
		if isPerson(name) {
			people = append(people, name)
		}
	}
	return people, root.Keys, nil
}

// profiles returns who has a folder on this machine. Windows puts a profile
// aside as ".bak" when it could not load it.
func profiles(ctx context.Context, sys system.Reader) ([]string, error) {
	list, err := mustSettings(ctx, sys, profileList)
	if err != nil {
		return nil, err
	}
	if len(list.Keys) == 0 {
		return nil, errLost // services have profiles too
	}
	var people []string
	for _, name := range list.Keys {
		if name = strings.TrimSuffix(name, ".bak"); isPerson(name) {
			people = append(people, name)
		}
	}
	slices.Sort(people)
	return slices.Compact(people), nil
}

// someHidden reports whether somebody has a profile whose settings are not
// loaded, as those of people who are not signed in are not.
func someHidden(profiles, loaded []string) bool {
	return slices.ContainsFunc(profiles, func(sid string) bool { return !slices.Contains(loaded, sid) })
}
