// Package saved keeps what an account has saved for itself of a school's list of
// devices: which columns it shows, and what it asks for, under names. There is one
// small file for each account.
//
// It is no part of the record: nobody decides anything by it, it never says what
// somebody may see, and it goes when the account does.
package saved

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/caretaker-school/caretaker/collector/body"
	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Bounds of what an account saves.
const (
	MostViews   = 20 // at a school
	mostSchools = 200
	mostColumns = 20
	mostName    = 60   // characters
	mostQuery   = 1024 // bytes
	mostFile    = 8 << 20
)

// View is what an account asks of a list, under a name.
type View struct {
	Name  string `json:"name"`
	Query string `json:"query"` // of the address
}

// List is what an account has saved at one school.
type List struct {
	Columns []string `json:"columns,omitempty"` // which are shown, in their order; none: the usual ones
	Views   []View   `json:"views,omitempty"`   // in the order of their names
}

// WrongError says what is wrong with what somebody wants to save.
type WrongError struct{ Why string }

// Error implements error.
func (e *WrongError) Error() string { return e.Why }

func wrong(format string, args ...any) error { return &WrongError{fmt.Sprintf(format, args...)} }

// Add adds a view, in the place of one that has its name.
func (l *List) Add(v View) error {
	if err := v.check(); err != nil {
		return err
	}
	views := slices.DeleteFunc(slices.Clone(l.Views), func(o View) bool { return key(o.Name) == key(v.Name) })
	if len(views) >= MostViews {
		return wrong("there are %d saved views already: remove one first", MostViews)
	}
	l.Views = append(views, v)
	slices.SortFunc(l.Views, func(a, b View) int { return strings.Compare(key(a.Name), key(b.Name)) })
	return nil
}

// Remove removes the view of a name. Without one it changes nothing.
func (l *List) Remove(name string) {
	l.Views = slices.DeleteFunc(slices.Clone(l.Views), func(o View) bool { return key(o.Name) == key(name) })
}

func key(name string) string { return strings.ToLower(name) }

func (v View) check() error {
	switch {
	case strings.TrimSpace(v.Name) == "":
		return wrong("a saved view has a name")
	case utf8.RuneCountInString(v.Name) > mostName || strings.TrimSpace(v.Name) != v.Name:
		return wrong("the name of a saved view has at most %d characters", mostName)
	case len(v.Query) > mostQuery:
		return wrong("what the view asks for is too long to be saved")
	}
	for _, r := range v.Name + v.Query {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return wrong("the name of a saved view holds the character %U, which cannot be seen", r)
		}
	}
	return nil
}

// document is the file of an account.
type document struct {
	Schools map[posture.SchoolID]List `json:"schools"`
}

// Check implements body.Checked.
func (d document) Check() error {
	if len(d.Schools) > mostSchools {
		return wrong("views are saved at %d schools at most", mostSchools)
	}
	for _, l := range d.Schools {
		if len(l.Columns) > mostColumns || len(l.Views) > MostViews {
			return errors.New("it holds more than is ever saved")
		}
		for _, v := range l.Views {
			if err := v.check(); err != nil {
				return err
			}
		}
	}
	return nil
}

var documents = body.Of[document]{What: "what an account has saved", Most: mostFile}

// Store is the directory of the files.
type Store struct {
	dir string
	mu  sync.Mutex // guards the files
}

// In returns the store in a directory, which is made when something is saved.
func In(dir string) *Store { return &Store{dir: dir} }

// Of returns what an account has saved at a school.
func (s *Store) Of(account string, school posture.SchoolID) (List, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.read(account)
	return d.Schools[school], err
}

// Change saves what change makes of what an account has saved at a school. What
// change refuses is not saved, and neither is anything over a file that cannot be
// read.
func (s *Store) Change(account string, school posture.SchoolID, change func(*List) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.read(account)
	if err != nil {
		return err
	}
	l := d.Schools[school]
	if err := change(&l); err != nil {
		return err
	}
	if d.Schools == nil {
		d.Schools = map[posture.SchoolID]List{}
	}
	if d.Schools[school] = l; len(l.Columns)+len(l.Views) == 0 {
		delete(d.Schools, school)
	}
	data, err := documents.Encode(d)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("make the directory of what accounts have saved: %w", err)
	}
	if err := durable.WriteFile(s.file(account), append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("save what an account has chosen: %w", err)
	}
	return nil
}

// Prune removes the files of accounts that are no more.
func (s *Store) Prune(known func(account string) bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	files, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list what accounts have saved: %w", err)
	}
	var failed []error
	for _, f := range files {
		account, ours := strings.CutSuffix(f.Name(), ".json")
		if ours && !known(account) {
			failed = append(failed, os.Remove(filepath.Join(s.dir, f.Name())))
		}
	}
	return errors.Join(failed...)
}

func (s *Store) file(account string) string { return filepath.Join(s.dir, account+".json") }

func (s *Store) read(account string) (document, error) {
	if account == "" || strings.Trim(account, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return document{}, fmt.Errorf("%.40q is no identifier of an account", account)
	}
	data, err := os.ReadFile(s.file(account))
	if errors.Is(err, fs.ErrNotExist) {
		return document{}, nil
	}
	if err != nil {
		return document{}, fmt.Errorf("read what an account has saved: %w", err)
	}
	return parse(data)
}

func parse(data []byte) (document, error) { return documents.Decode(data) }
