package wire

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible returns s as valid UTF-8 of at most most bytes in which every
// character is one that can be seen: control, bidirectional and other
// invisible characters are written as \u{202e}, what is not UTF-8 becomes
// U+FFFD, and what is cut ends in an ellipsis. Applying it again changes
// nothing.
func Visible(s string, most int) string {
	s = escape(s, most)
	if len(s) <= most {
		return s
	}
	return cut(s, most-len("…")) + "…"
}

// key is like Visible for a text that tells things apart: where it must cut,
// it ends in a hash of the whole, so that two long keys stay two.
func key(s string, most int) string {
	escaped := escape(s, len(s)*8)
	if len(escaped) <= most {
		return escaped
	}
	hash := sha256.Sum256([]byte(escaped))
	tail := "~" + hex.EncodeToString(hash[:8])
	return cut(escaped, most-len(tail)) + tail
}

// escape stops soon after most bytes.
func escape(s string, most int) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if b.Len() > most {
			break
		}
		if unicode.IsPrint(r) { // letters, marks, numbers, punctuation, symbols and the ASCII space
			b.WriteRune(r)
			continue
		}
		fmt.Fprintf(&b, "\\u{%x}", r)
	}
	return b.String()
}

func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// cut returns the longest prefix of at most most bytes that ends between
// characters.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

// isHash reports whether s is a SHA-256 hash in lower-case hexadecimal digits.
func isHash(s string) bool {
	if len(s) != 2*sha256.Size {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
