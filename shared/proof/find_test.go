package proof

import (
	"bytes"
	"crypto/ed25519"
	"mime/quotedprintable"
	"strings"
	"testing"
)

// passedOn are ways in which a checkpoint comes back from people.
func passedOn(t testing.TB) (signed string, ways map[string]string) {
	t.Helper()
	signer, err := CheckpointSigner("shollybank", ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	note, err := SignCheckpoint(Checkpoint{Origin: Origin("shollybank"), Size: 12, Root: Digest{1, 2, 3}}, signer)
	if err != nil {
		t.Fatal(err)
	}
	signed = string(note)
	end := len(signed) - 20
	mail := "Hollybank Primary School\n\nKeep this.\n\n-----BEGIN CARETAKER CHECKPOINT-----\n" + signed + "-----END CARETAKER CHECKPOINT-----\n\nNotice 00\n"
	var stored strings.Builder
	w := quotedprintable.NewWriter(&stored)
	if _, err := w.Write([]byte(mail)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return signed, map[string]string{
		"saved as a file":  "Subject: =?UTF-8?q?Hollybank?=\r\n\r\n" + stored.String(),
		"as it is":         signed,
		"a mail":           mail,
		"other line ends":  strings.ReplaceAll(mail, "\n", "\r\n"),
		"old line ends":    strings.ReplaceAll(mail, "\n", "\r"),
		"quoted":           "> " + strings.ReplaceAll(mail, "\n", "\n> "),
		"quoted twice":     ">> " + strings.ReplaceAll(mail, "\n", "\n>> "),
		"indented":         "\t " + strings.ReplaceAll(mail, "\n", "  \n\t\u00a0"),
		"without the gap":  strings.ReplaceAll(mail, "\n\n", "\n"),
		"with more gaps":   strings.ReplaceAll(mail, "\n", "\n\n"),
		"wrapped":          strings.ReplaceAll(signed[:end]+"\n"+signed[end:], "shollybank ", "shollybank\n"),
		"another dash":     strings.ReplaceAll(mail, "— ", "-- "),
		"a short dash":     strings.ReplaceAll(mail, "— ", "– "),
		"byte-order mark":  "\ufeff" + signed,
		"without an end":   strings.TrimSuffix(signed, "\n"),
		"words after it":   strings.TrimSuffix(signed, "\n") + " and so on",
		"a name in a line": "caretaker.school/shollybank is where it is from\ncaretaker.school/shollybank\n" + mail,
	}
}

func TestCheckpointsAreFoundInWhatPeoplePassOn(t *testing.T) {
	signed, ways := passedOn(t)
	for name, text := range ways {
		found, err := FindCheckpoints([]byte(text))
		if err != nil || len(found) != 1 || string(found[0]) != signed {
			t.Errorf("%s: found %q, %v", name, found, err)
		}
	}
	two, err := FindCheckpoints([]byte(ways["a mail"] + ways["quoted"]))
	if err != nil || len(two) != 2 {
		t.Errorf("of two: %q, %v", two, err)
	}
	for _, none := range []string{"", "caretaker.school/shollybank\n12\n", strings.Replace(signed, "\n12\n", "\n012\n", 1), signed[:len(signed)-10], strings.Replace(signed, "— c", "—c", 1)} {
		if found, err := FindCheckpoints([]byte(none)); err != nil || len(found) != 0 {
			t.Errorf("found %q in %q, %v", found, none, err)
		}
	}
	if _, err := FindCheckpoints(make([]byte, mostFoundIn+1)); err == nil {
		t.Error("a text of any length is read")
	}
}

func FuzzFindCheckpoints(f *testing.F) {
	_, ways := passedOn(f)
	for _, text := range ways {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		found, err := FindCheckpoints(text)
		if err != nil {
			return
		}
		for _, note := range found {
			if _, err := ReadCheckpoint(note); err != nil {
				t.Fatalf("found what is none: %q: %v", note, err)
			}
			again, err := FindCheckpoints(note)
			if err != nil || len(again) != 1 || !bytes.Equal(again[0], note) {
				t.Fatalf("%q is found as %q, %v", note, again, err)
			}
		}
	})
}
