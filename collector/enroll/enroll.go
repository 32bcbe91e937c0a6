// Package enroll admits devices to a school: it makes schools with their keys,
// makes tokens, exchanges a token for a certificate, and renews certificates.
//
// It admits by tokens alone and never sees a device's private key. Everything
// it decides is an entry of the school's ledger before anybody is told.
package enroll

import (
	"cmp"
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// School is a school with its keys. Its folder holds school.json, keys/ and
// ledger/.
type School struct {
	ID        posture.SchoolID
	Name      string
	CreatedAt time.Time
	Dir       string
	Key       *identity.SchoolKey
	Authority *identity.Authority
	MediaKey  []byte // 32 bytes: laptops hash the serials of media with it
}

// about is what school.json holds.
type about struct {
	ID        posture.SchoolID `json:"id"`
	Name      string           `json:"name"`
	CreatedAt time.Time        `json:"createdAt"`
}

const (
	schoolsDir   = "schools"
	keysDir      = "keys"
	ledgerDir    = "ledger"
	aboutFile    = "school.json"
	schoolKey    = "school.key.pem"
	mediaKeyFile = "media.key"
	mediaKeySize = 32
	unfinished   = ".new-"
	maxName      = 200
)

// LedgerDir returns the folder of the school's ledger.
func (s *School) LedgerDir() string { return filepath.Join(s.Dir, ledgerDir) }

// SnapshotFile returns the file in which the roster may save itself.
func (s *School) SnapshotFile() string { return filepath.Join(s.Dir, "roster.snapshot") }

// CreateSchool makes a school with keys of its own under the data folder. It
// is there whole or not at all. Two schools may not share a name.
func CreateSchool(data, name string, now time.Time) (*School, error) {
	name = strings.Join(strings.Fields(name), " ")
	if name == "" || wire.Visible(name, maxName) != name {
		return nil, fmt.Errorf("create school: its name %.80q is empty, longer than %d bytes, or holds a character that cannot be seen", name, maxName)
	}
	others, err := LoadSchools(data)
	if err != nil {
		return nil, err
	}
	if _, ok := FindSchool(others, name); ok {
		return nil, fmt.Errorf("create school: there is a school %q already", name)
	}
	id := posture.SchoolID("s" + random(10))
	parent := filepath.Join(data, schoolsDir)
	dir, final := filepath.Join(parent, unfinished+string(id)), filepath.Join(parent, string(id))
	if err := writeSchool(dir, about{ID: id, Name: name, CreatedAt: now.UTC()}); err != nil {
		return nil, fmt.Errorf("create school %q: %w", name, err)
	}
	if err := os.Rename(dir, final); err != nil {
		return nil, fmt.Errorf("create school %q: %w", name, err)
	}
	if err := durable.SyncDir(parent); err != nil {
		return nil, fmt.Errorf("create school %q: %w", name, err)
	}
	return loadSchool(final)
}

func writeSchool(dir string, a about) error {
	keys := filepath.Join(dir, keysDir)
	if err := os.MkdirAll(keys, 0o700); err != nil {
		return err
	}
	if _, err := identity.NewSchoolKey(filepath.Join(keys, schoolKey), a.ID); err != nil {
		return err
	}
	if _, err := identity.NewAuthority(keys, a.ID, a.CreatedAt); err != nil {
		return err
	}
	media := make([]byte, mediaKeySize)
	if _, err := rand.Read(media); err != nil {
		return err
	}
	if err := durable.WriteFile(filepath.Join(keys, mediaKeyFile), media, 0o600); err != nil {
		return err
	}
	text, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return err
	}
	if err := durable.WriteFile(filepath.Join(dir, aboutFile), append(text, '\n'), 0o600); err != nil {
		return err
	}
	return durable.SyncDir(dir)
}

// LoadSchools returns every school under the data folder, in the order of
// their identifiers. It fails if one of them cannot be loaded.
func LoadSchools(data string) ([]*School, error) {
	schools, unreadable, err := FindSchools(data)
	if err == nil && len(unreadable) > 0 {
		err = unreadable[0]
	}
	if err != nil {
		return nil, err
	}
	return schools, nil
}

// UnreadableError is a school of which a part cannot be read, such as a key.
type UnreadableError struct {
	ID   posture.SchoolID // as its folder is named
	Name string           // as far as it is known, else its identifier
	Err  error
}

func (e *UnreadableError) Error() string { return e.Err.Error() }

// Unwrap returns what could not be read.
func (e *UnreadableError) Unwrap() error { return e.Err }

// FindSchools returns every school under the data folder, in the order of
// their identifiers, and apart from them those that cannot be loaded.
func FindSchools(data string) (schools []*School, unreadable []*UnreadableError, err error) {
	entries, err := os.ReadDir(filepath.Join(data, schoolsDir))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("list the schools: %w", err)
	}
	for _, e := range entries {
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue // a crash left an unfinished one
		}
		s, err := loadSchool(filepath.Join(data, schoolsDir, e.Name()))
		if err != nil {
			unreadable = append(unreadable, &UnreadableError{ID: posture.SchoolID(e.Name()), Name: cmp.Or(s.Name, e.Name()), Err: err})
			continue
		}
		schools = append(schools, s)
	}
	return schools, unreadable, nil
}

// FindSchool returns the school of that name or identifier.
func FindSchool(schools []*School, name string) (*School, bool) {
	name = strings.Join(strings.Fields(name), " ")
	for _, s := range schools {
		if strings.EqualFold(s.Name, name) || string(s.ID) == name {
			return s, true
		}
	}
	return nil, false
}

// loadSchool loads the school in a folder; with an error it returns what it
// could.
func loadSchool(dir string) (*School, error) {
	s := &School{Dir: dir}
	var a about
	text, err := os.ReadFile(filepath.Join(dir, aboutFile))
	if err == nil {
		err = json.Unmarshal(text, &a)
	}
	if err != nil {
		return s, fmt.Errorf("load school in %s: %w", dir, err)
	}
	if string(a.ID) != filepath.Base(dir) {
		return s, fmt.Errorf("load school in %s: its folder is named for another school than %q", dir, a.ID)
	}
	s.ID, s.Name, s.CreatedAt = a.ID, a.Name, a.CreatedAt
	keys := filepath.Join(dir, keysDir)
	if s.Key, err = identity.LoadSchoolKey(filepath.Join(keys, schoolKey), a.ID); err != nil {
		return s, fmt.Errorf("load school %q: %w", a.Name, err)
	}
	if s.Authority, err = identity.LoadAuthority(keys, a.ID); err != nil {
		return s, fmt.Errorf("load school %q: %w", a.Name, err)
	}
	if s.MediaKey, err = os.ReadFile(filepath.Join(keys, mediaKeyFile)); err != nil {
		return s, fmt.Errorf("load school %q: %w", a.Name, err)
	}
	if len(s.MediaKey) != mediaKeySize {
		return s, fmt.Errorf("load school %q: its media key has %d bytes, not %d", a.Name, len(s.MediaKey), mediaKeySize)
	}
	return s, nil
}

// random returns n random characters of a-z and 2-7.
func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it ends the program rather than fail
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))[:n]
}

// RollAuthority replaces the school's certificate authority if two thirds of its
// life have passed. Laptops learn the next one by themselves.
func (s *School) RollAuthority(now time.Time) (rolled bool, err error) {
	a, rolled, err := identity.RollAuthority(filepath.Join(s.Dir, keysDir), s.ID, now)
	if err != nil {
		return false, err
	}
	s.Authority = a
	return rolled, nil
}
