package probe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Bounds on what is read whole. Configuration is small; what is larger is not
// configuration.
const (
	lineLimit   = 4 << 10  // a file of one value, such as in sysfs
	configLimit = 1 << 20  // a configuration file
	tableLimit  = 16 << 20 // a table of accounts
	nameRunes   = 200      // of a name or version that is reported
)

// errUnknown means that a reading was understood by nobody.
var errUnknown = errors.New("it says nothing that is known")

// errNoLists means that the package manager has nothing to compare with, so
// that this system has no way to tell.
var errNoLists = fmt.Errorf("there are no lists of packages: %w", errors.ErrUnsupported)

// missing reports whether an error says that there is no such thing: the one
// error from which a probe may conclude something.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// firstLine returns the first line of a small file, without white space around
// it. The kernel ends values with a new line or a zero: one that has neither
// was cut short.
func firstLine(ctx context.Context, sys system.Reader, path string) (string, error) {
	data, err := sys.File(ctx, path, lineLimit)
	if err != nil {
		return "", err
	}
	end := strings.IndexAny(string(data), "\n\x00")
	if end < 0 && len(data) > 0 {
		return "", errUnknown
	}
	return strings.TrimSpace(string(data[:max(end, 0)])), nil
}

// wholeText refuses a text that does not end with a new line: programs and
// editors end every text with one, and a setting beyond the cut may be the
// one that matters.
func wholeText(data []byte) (string, error) {
	if n := len(data); n > 0 && data[n-1] != '\n' {
		return "", errUnknown
	}
	return string(data), nil
}

// exists reports whether something lies at path; an error other than "there is
// no such thing" is the caller's to report.
func exists(ctx context.Context, sys system.Reader, path string) (bool, error) {
	_, err := sys.Stat(ctx, path)
	switch {
	case err == nil:
		return true, nil
	case missing(err):
		return false, nil
	}
	return false, err
}

// anyExists is exists for the first of several paths that does; an error only
// if none exists and one could not be looked at.
func anyExists(ctx context.Context, sys system.Reader, paths ...string) (bool, error) {
	var failed error
	for _, p := range paths {
		found, err := exists(ctx, sys, p)
		if found {
			return true, nil
		}
		if err != nil && failed == nil {
			failed = err
		}
	}
	return false, failed
}

// entries returns what lies in a folder; nothing if there is no such folder.
func entries(ctx context.Context, sys system.Reader, dir string) ([]system.Entry, error) {
	list, err := sys.Dir(ctx, dir)
	if missing(err) {
		return nil, nil
	}
	return list, err
}

// clean makes text from a machine fit to be reported: valid UTF-8 without
// control characters or characters that turn the direction of writing, single
// spaces, at most limit runes.
func clean(s string, limit int) string {
	var b strings.Builder
	n, space := 0, false
each:
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			space = true
			continue
		case r == utf8.RuneError, unicode.IsControl(r), unicode.In(r, unicode.Cf, unicode.Co, unicode.Cs):
			continue
		}
		if space && n > 0 {
			if n+1 >= limit {
				break each
			}
			b.WriteByte(' ')
			n++
		}
		space = false
		if n == limit {
			break each
		}
		b.WriteRune(r)
		n++
	}
	return b.String()
}

// absentFor makes a reading that says why err left it without a value.
func absentFor[T any](err error) posture.Reading[T] {
	return posture.Unread[T](system.Absence(err))
}
