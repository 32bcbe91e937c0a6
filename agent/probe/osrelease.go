package probe

import (
	"context"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
)

// osRelease reads /etc/os-release, or /usr/lib/os-release if there is none, as
// os-release(5) orders.
func osRelease(ctx context.Context, sys system.Reader) (map[string]string, error) {
	data, err := sys.File(ctx, "/etc/os-release", 64<<10)
	if missing(err) {
		data, err = sys.File(ctx, "/usr/lib/os-release", 64<<10)
	}
	if err != nil {
		return nil, err
	}
	text, err := wholeText(data)
	if err != nil {
		return nil, err
	}
	return parseOSRelease(text), nil
}

// parseOSRelease reads assignments as a shell would, without expanding
// anything. A line that is not an assignment is passed over.
func parseOSRelease(text string) map[string]string {
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || !shellName(key) {
			continue
		}
		fields[key] = clean(unquote(value), nameRunes)
	}
	return fields
}

func shellName(s string) bool {
	for i, r := range s {
		letter := r == '_' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

// unquote removes the quotes and backslashes of a shell word. What follows the
// word is ignored.
func unquote(s string) string {
	var b strings.Builder
	var quote byte
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == quote && quote != 0:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case c == '\\' && quote != '\'' && i+1 < len(s):
			next := s[i+1]
			if quote == '"' && !strings.ContainsRune("\"\\$`", rune(next)) {
				b.WriteByte(c)
				continue
			}
			b.WriteByte(next)
			i++
		case quote == 0 && (c == ' ' || c == '\t'):
			return b.String()
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
