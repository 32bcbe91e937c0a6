package proof

import (
	"encoding/base64"
	"errors"
	"strings"
	"unicode"
)

// mostFoundIn bounds the text in which checkpoints are looked for, in bytes.
const mostFoundIn = 1 << 20

// signatureSize is of a signature of a checkpoint: the hash of its key, and
// Ed25519's.
const signatureSize = 4 + 64

// FindCheckpoints finds signed checkpoints in a text that people passed on, such
// as a mail that was cut and pasted: between other lines, quoted, indented, with
// other line ends, with the signature broken over several lines, with another
// dash before it. It returns each as it was signed, and never says by whom: a
// signature is over the checkpoint's own lines, so that nothing that was changed
// in them verifies.
func FindCheckpoints(text []byte) ([][]byte, error) {
	if len(text) > mostFoundIn {
		return nil, errors.New("find checkpoints: the text is longer than a mail")
	}
	plain := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(text))
	found := findIn(plain)
	if len(found) == 0 {
		found = findIn(asStored.Replace(plain))
	}
	return found, nil
}

// asStored undoes what a mail that was saved as a file has done to a
// checkpoint's lines: quoted-printable.
var asStored = strings.NewReplacer("=\n", "", "=3D", "=", "=E2=80=94", "—")

func findIn(text string) (found [][]byte) {
	var lines []string
	for line := range strings.Lines(text) {
		if line = unquoted(line); line != "" {
			lines = append(lines, line)
		}
	}
	for i := range lines {
		if note := checkpointAt(lines[i:]); note != nil {
			found = append(found, note)
		}
	}
	return found
}

// unquoted is a line without what mail puts around it.
func unquoted(line string) string {
	return strings.TrimFunc(strings.TrimLeftFunc(line, func(r rune) bool { return r == '>' || r == '|' || blank(r) }), blank)
}

func blank(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) }

// checkpointAt is the signed checkpoint with which lines begin; nil if they do
// not.
func checkpointAt(lines []string) []byte {
	if len(lines) < 4 || !strings.HasPrefix(lines[0], Origin("")) {
		return nil
	}
	c, err := parseCheckpoint(strings.Join(lines[:3], "\n") + "\n")
	if err != nil {
		return nil
	}
	signature, ok := signatureIn(lines[3:], c.Origin)
	if !ok {
		return nil
	}
	return []byte(c.Text() + "\n— " + c.Origin + " " + signature + "\n")
}

// mostPieces is of how many pieces a signature is put together.
const mostPieces = 8

// signatureIn is the signature with which lines begin: a dash, the name of the
// key, and base64.
func signatureIn(lines []string, name string) (string, bool) {
	words := strings.Fields(strings.Join(lines[:min(len(lines), mostPieces)], " "))
	if len(words) < 3 || strings.TrimFunc(words[0], func(r rune) bool { return unicode.Is(unicode.Pd, r) }) != "" || words[1] != name {
		return "", false
	}
	whole := ""
	for _, piece := range words[2:min(len(words), 2+mostPieces)] {
		whole += piece
		if b, err := base64.StdEncoding.DecodeString(whole); err == nil && len(b) == signatureSize {
			return whole, true
		}
	}
	return "", false
}
