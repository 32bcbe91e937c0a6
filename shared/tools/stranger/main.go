// Stranger FILE KEY verifies evidence as somebody would who has nothing of ours
// but shared/docs/formats.md: it uses the standard library alone.
package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
)

type bundle struct {
	Format                          int
	School, Key, Device, Checkpoint string
	Entries                         []struct {
		Index    uint64
		Envelope []byte
		Path     []string
		Sections []struct {
			Number     int
			Salt, Body []byte
		}
	}
}

func main() {
	words, err := verify(os.Args[1], os.Args[2])
	if err != nil {
		log.Fatal("not good: ", err)
	}
	fmt.Println("good:", words)
}

func verify(name, trusted string) (string, error) { //nolint:gocognit // step by step, as formats.md has it
	file, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	lines := strings.Split(string(file), "\n")
	var b bundle
	if len(lines) != 4 || lines[3] != "" || json.Unmarshal([]byte(lines[1]), &b) != nil ||
		b.Format < 1 || b.Format > 3 || lines[0] != "caretaker evidence v"+strconv.Itoa(b.Format) {
		return "", errors.New("it is not evidence")
	}
	parts := strings.SplitN(b.Key, "+", 3) // origin, hash, 1 byte of algorithm and the key
	raw, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || b.Key != trusted || len(parts) != 3 || parts[0] != "caretaker.school/"+b.School || len(raw) != 33 || raw[0] != 1 {
		return "", errors.New("the key is another, or none")
	}
	key := ed25519.PublicKey(raw[1:])
	sum := sha256.Sum256([]byte(lines[0] + "\n" + lines[1] + "\n"))
	document := "\x08evidence\x00\x00\x00\x20" + string(sum[:])
	seal, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(seal) != len(document)+64 || string(seal[:len(document)]) != document || strings.Contains(lines[2], "\r") ||
		!ed25519.Verify(key, []byte("caretaker/document/v1\n"+document), seal[len(document):]) {
		return "", errors.New("the seal does not fit")
	}
	size, root, err := checkpoint(b, key)
	if err != nil {
		return "", err
	}
	device, signed := (*ecdsa.PublicKey)(nil), 0
	for _, e := range b.Entries {
		if err := included(e.Envelope, e.Index, size, e.Path, root); err != nil {
			return "", fmt.Errorf("entry %d: %w", e.Index, err)
		}
		v := parseEnvelope(e.Envelope)
		for _, s := range e.Sections {
			if s.Number < 0 || s.Number >= len(v.names) {
				return "", fmt.Errorf("entry %d has no section %d", e.Index, s.Number)
			}
			h := "caretaker/section/v1\n" + string([]byte{byte(len(v.names[s.Number]))}) + v.names[s.Number] + string([]byte{v.classes[s.Number]}) +
				string(s.Salt) + string(binary.BigEndian.AppendUint32(nil, uint32(len(s.Body)))) + string(s.Body)
			if d := sha256.Sum256([]byte(h)); len(s.Salt) != 16 || !bytes.Equal(d[:], v.digests[s.Number]) {
				return "", fmt.Errorf("entry %d, section %s is not what was recorded", e.Index, v.names[s.Number])
			}
			switch {
			case v.kind == 3 && v.names[s.Number] == "enrolment":
				if device, err = deviceKey(s.Body); err != nil || v.subject != b.Device {
					return "", errors.Join(err, errors.New("the enrolment is not the device's"))
				}
			case v.kind == 2:
				n := int(binary.BigEndian.Uint16(s.Body))
				if !good(device, "caretaker/contact/v1\n", s.Body[2:2+n], s.Body[3+n:]) {
					return "", fmt.Errorf("entry %d: the contact is not the device's", e.Index)
				}
				signed++
			case v.names[s.Number] == "revocation" && v.subject != b.Device:
				return "", fmt.Errorf("entry %d revokes another device", e.Index)
			}
		}
		if v.kind == 1 && b.Device != "" { // of a school the entries only say where the moment lies
			if v.subject != b.Device || !good(device, "caretaker/report/v1\n", v.statement, v.signature) {
				return "", fmt.Errorf("entry %d: the report is not the device's", e.Index)
			}
			signed++
		}
	}
	return fmt.Sprintf("%d entries of %d, %d signatures of %q of school %s", len(b.Entries), size, signed, b.Device, b.School), nil
}

// checkpoint checks the note's signature: the text up to the empty line.
func checkpoint(b bundle, key ed25519.PublicKey) (size uint64, root []byte, err error) {
	text, signatures, ok := strings.Cut(b.Checkpoint, "\n\n")
	lines, fields := strings.Split(text, "\n"), strings.Fields(signatures)
	if !ok || len(lines) != 3 || len(fields) != 3 || lines[0] != "caretaker.school/"+b.School || fields[1] != lines[0] {
		return 0, nil, errors.New("the checkpoint is not one")
	}
	signature, err := base64.StdEncoding.DecodeString(fields[2])
	if err != nil || len(signature) != 4+64 || !ed25519.Verify(key, []byte(text+"\n"), signature[4:]) {
		return 0, nil, errors.New("the checkpoint is not the school's")
	}
	if size, err = strconv.ParseUint(lines[1], 10, 63); err != nil {
		return 0, nil, err
	}
	root, err = base64.StdEncoding.DecodeString(lines[2])
	return size, root, err
}

// included follows RFC 9162, section 2.1.3.2.
func included(leaf []byte, index, size uint64, path []string, root []byte) error {
	h := sha256.Sum256(append([]byte{0}, leaf...))
	fn, sn := index, size-1
	for _, text := range path {
		p, err := hex.DecodeString(text)
		if err != nil || sn == 0 {
			return errors.New("the proof is not one")
		}
		if fn&1 == 1 || fn == sn {
			h = sha256.Sum256(append(append([]byte{1}, p...), h[:]...))
			for fn&1 == 0 && fn != 0 {
				fn, sn = fn>>1, sn>>1
			}
		} else {
			h = sha256.Sum256(append(append([]byte{1}, h[:]...), p...))
		}
		fn, sn = fn>>1, sn>>1
	}
	if index >= size || sn != 0 || !bytes.Equal(h[:], root) {
		return errors.New("it is not in the ledger")
	}
	return nil
}

type envelope struct {
	kind                 byte
	subject              string
	statement, signature []byte
	names                []string
	classes              []byte
	digests              [][]byte
}

func parseEnvelope(e []byte) (v envelope) {
	take := func(n int) (b []byte) { b, e = e[:n], e[n:]; return b }
	short := func() []byte { return take(int(take(1)[0])) }
	long := func() []byte { return take(int(binary.BigEndian.Uint16(take(2)))) }
	take(1)
	v.kind = take(1)[0]
	short()
	v.subject = string(short())
	take(16)
	short()
	v.statement, v.signature = long(), short()
	for e = long(); len(e) > 0; take(16) {
		v.names = append(v.names, string(short()))
		v.classes = append(v.classes, take(1)[0])
		v.digests = append(v.digests, take(32))
	}
	return v
}

func deviceKey(enrolment []byte) (*ecdsa.PublicKey, error) {
	var e struct{ Certificate []byte }
	err := json.Unmarshal(enrolment, &e)
	c, bad := x509.ParseCertificate(e.Certificate)
	if err = errors.Join(err, bad); err != nil {
		return nil, err
	}
	key, _ := c.PublicKey.(*ecdsa.PublicKey)
	return key, nil
}

func good(key *ecdsa.PublicKey, label string, statement, signature []byte) bool {
	h := sha256.Sum256(append([]byte(label), statement...))
	return key != nil && ecdsa.VerifyASN1(key, h[:], signature)
}
