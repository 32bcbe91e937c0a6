package register

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// GuestNotice is what guests and supply teachers are told when they are given a
// device: the school's own words, in one version.
type GuestNotice struct {
	Version string    `json:"version"`
	Text    string    `json:"text"`
	Since   time.Time `json:"since"`
	By      string    `json:"by,omitempty"` // who recorded it, until that is forgotten
	Entry   uint64    `json:"entry"`        // of the ledger, counted from 1
}

// mostNotice bounds a notice, in bytes.
const mostNotice = 16 << 10

// checkNotice is Check for a notice: its version is the change's tag.
func (c Change) checkNotice() error {
	if err := errors.Join(CheckTag(c.Tag), checkText("the notice", c.Text, mostNotice)); err != nil {
		return err
	}
	return nil
}

// checkText checks a text of several lines that people can see.
func checkText(what, s string, most int) error {
	switch {
	case strings.TrimSpace(s) == "":
		return fmt.Errorf("%s is empty", what)
	case len(s) > most:
		return fmt.Errorf("%s has more than %d bytes", what, most)
	case !utf8.ValidString(s):
		return fmt.Errorf("%s is not text in UTF-8", what)
	}
	for _, r := range s {
		if r != '\n' && !unicode.IsPrint(r) || r == utf8.RuneError {
			return fmt.Errorf("%s holds the character %U, which cannot be seen", what, r)
		}
	}
	return nil
}

// Take returns the notice as a change leaves it. A version is written once: what
// somebody was told stays what it was.
func (n GuestNotice) Take(c Change, m Made) (GuestNotice, error) {
	if m.Entry <= n.Entry {
		return n, nil
	}
	if n.Version != "" {
		return n, void("the notice %s is recorded already: give the new text another version", n.Version)
	}
	at := m.At
	if !c.When.IsZero() {
		at = c.When
	}
	return GuestNotice{Version: c.Tag, Text: c.Text, Since: at, By: m.By, Entry: m.Entry}, nil
}

// Newest puts notices in order, the one that was recorded last first.
func Newest(list []GuestNotice) {
	slices.SortFunc(list, func(a, b GuestNotice) int { return cmp.Compare(b.Entry, a.Entry) })
}
