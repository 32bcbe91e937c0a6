package restricted

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"filippo.io/age"

	"github.com/caretaker-school/caretaker/collector/incident"
)

// The body of an act:
//
//	opaque magic[20]       "caretaker/sealed/v1\n"
//	opaque head<0..2^32-1>   JSON, see Head
//	opaque sealed<0..2^32-1> an age file: JSON, see Content, and spaces
//	opaque signature[64]   Ed25519, of all before
//
// It is the body of a section "decision" beside which the entry has none, so
// that the envelope, which stays, says no more than that something was decided.
const magic = "caretaker/sealed/v1\n"

// MostBody bounds the body of an act, in bytes.
const MostBody = 96 << 10

// Sealed reports whether the body of a decision is an act of a restricted
// incident, and for those whom it does not name no more than that.
func Sealed(body []byte) bool { return bytes.HasPrefix(body, []byte(magic)) }

// Content is what somebody wrote. Only who is named reads it.
type Content struct {
	By       string           `json:"by"`                 // name of the account
	Words    string           `json:"words,omitempty"`    //
	Change   *incident.Change `json:"change,omitempty"`   // of asking to open, to close and to open again, and of a record
	Concerns []string         `json:"concerns,omitempty"` // of asking to open: whom it is about
	Name     string           `json:"name,omitempty"`     // of naming and removing: who it is
	Looked   string           `json:"looked,omitempty"`   // of a view: at what
}

// Bounds of what somebody writes.
const (
	mostWords    = 4000
	mostName     = 200
	mostConcerns = 10
)

// CheckNew reports what is wrong with what is about to be written.
func (c Content) CheckNew() error {
	switch {
	case len(c.Words) > mostWords:
		return fmt.Errorf("at most %d bytes are written at once", mostWords)
	case len(c.Concerns) > mostConcerns:
		return fmt.Errorf("an incident is about at most %d people", mostConcerns)
	}
	for _, s := range append([]string{c.By, c.Name, c.Looked}, c.Concerns...) {
		if len(s) > mostName || strings.ContainsRune(s, '\n') {
			return errors.New("a name is one line")
		}
	}
	for _, s := range append([]string{c.Words, c.By, c.Name}, c.Concerns...) {
		for _, r := range s {
			if r != '\n' && !unicode.IsPrint(r) || r == utf8.RuneError {
				return fmt.Errorf("it holds the character %U, which cannot be seen", r)
			}
		}
	}
	if c.Change == nil {
		return nil
	}
	if err := c.Change.Check(); err != nil {
		return err
	}
	if c.Change.Number != "" || c.Change.What == incident.Found || slices.ContainsFunc(c.Change.Links, func(l incident.Link) bool { return l.Lost }) {
		return errors.New("that something is lost or found is seen by everybody who lists it: record it as an incident that is not restricted")
	}
	return nil
}

// padTo is to a multiple of what the content is filled up, so that its size
// tells little.
const padTo = 512

func (c Content) pad() ([]byte, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("write what is sealed: %w", err)
	}
	return append(text, bytes.Repeat([]byte(" "), padTo-len(text)%padTo)...), nil
}

// Make seals and signs an act. What is written is sealed to the key that the
// head begins, or else to that of the case.
func (s Secret) Make(h Head, c Content, to string) ([]byte, error) {
	if h.To != "" {
		to = h.To
	}
	h.By = s.Key().Code()
	if err := errors.Join(h.check(), c.CheckNew()); err != nil {
		return nil, err
	}
	text, err := c.pad()
	if err != nil {
		return nil, err
	}
	recipient, err := age.ParseX25519Recipient(to)
	if err != nil {
		return nil, fmt.Errorf("seal an act: %w", err)
	}
	sealed, err := seal(text, recipient)
	if err != nil {
		return nil, err
	}
	head, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("write an act: %w", err)
	}
	body := append([]byte(magic), binary.BigEndian.AppendUint32(nil, uint32(len(head)))...)
	body = binary.BigEndian.AppendUint32(append(body, head...), uint32(len(sealed)))
	body = append(body, sealed...)
	body = append(body, ed25519.Sign(s.sign, body)...)
	if len(body) > MostBody {
		return nil, fmt.Errorf("an act has %d bytes, more than the %d allowed", len(body), MostBody)
	}
	return body, nil
}

// Parse reads an act as it was recorded in an entry, counted from 1. Whether it
// counts for anything is for the case to say.
func Parse(body []byte, entry uint64, at time.Time) (Act, error) {
	bad := errors.New("read an act of a restricted incident: it is not whole")
	if !Sealed(body) || len(body) > MostBody {
		return Act{}, bad
	}
	take := func(from []byte) (part, rest []byte, ok bool) {
		if len(from) < 4 || uint64(binary.BigEndian.Uint32(from)) > uint64(len(from)-4) {
			return nil, nil, false
		}
		n := binary.BigEndian.Uint32(from) + 4
		return from[4:n], from[n:], true
	}
	head, rest, ok := take(body[len(magic):])
	if !ok {
		return Act{}, bad
	}
	sealed, signature, ok := take(rest)
	if !ok || len(signature) != ed25519.SignatureSize {
		return Act{}, bad
	}
	a := Act{Entry: entry, At: at, Sealed: sealed, signed: body[:len(body)-len(signature)], proof: signature}
	if err := json.Unmarshal(head, &a.Head); err != nil {
		return Act{}, fmt.Errorf("read an act of a restricted incident: %w", err)
	}
	if err := a.check(); err != nil {
		return Act{}, fmt.Errorf("read an act of a restricted incident: %w", err)
	}
	sum := sha256.Sum256(body)
	a.Digest = hex.EncodeToString(sum[:])
	return a, nil
}

// Ring is the secrets with which the acts of a case are opened, the newest
// first. The zero value opens nothing.
type Ring struct {
	identities []*age.X25519Identity
}

type ringJSON struct {
	Secrets []string `json:"secrets"`
}

// mostRing bounds how often the key of a case changes.
const mostRing = 200

// Turn makes a new key for a case and seals it, with those before, to those who
// are named from then on. It returns what the head of the act has.
func (r Ring) Turn(named []Named) (to string, keys []byte, err error) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return "", nil, fmt.Errorf("make the key of a restricted incident: %w", err)
	}
	if len(r.identities) >= mostRing {
		return "", nil, fmt.Errorf("the key of an incident changes at most %d times", mostRing)
	}
	j := ringJSON{Secrets: []string{identity.String()}}
	for _, old := range r.identities {
		j.Secrets = append(j.Secrets, old.String())
	}
	text, err := json.Marshal(j)
	if err != nil {
		return "", nil, fmt.Errorf("write the key of a restricted incident: %w", err)
	}
	var recipients []age.Recipient
	for _, n := range named {
		recipient, err := age.ParseX25519Recipient(n.Recipient)
		if err != nil {
			return "", nil, fmt.Errorf("seal the key of a restricted incident: %w", err)
		}
		recipients = append(recipients, recipient)
	}
	keys, err = seal(text, recipients...)
	return identity.Recipient().String(), keys, err
}

// Ring opens the keys of a case with the secret of a senior who is named.
func (s Secret) Ring(c Case) (Ring, error) {
	text, err := open(c.Keys, s.identity)
	if err != nil {
		return Ring{}, fmt.Errorf("open the key of incident %s: %w", c.ID, err)
	}
	var j ringJSON
	if err := json.Unmarshal(text, &j); err != nil || len(j.Secrets) == 0 || len(j.Secrets) > mostRing {
		return Ring{}, fmt.Errorf("open the key of incident %s: it is not whole", c.ID)
	}
	var r Ring
	for _, text := range j.Secrets {
		identity, err := age.ParseX25519Identity(text)
		if err != nil {
			return Ring{}, fmt.Errorf("open the key of incident %s: %w", c.ID, err)
		}
		r.identities = append(r.identities, identity)
	}
	return r, nil
}

// Open opens what was sealed to the keys of a case.
func (r Ring) Open(sealed []byte) ([]byte, error) {
	if len(r.identities) == 0 {
		return nil, errors.New("no key opens this")
	}
	with := make([]age.Identity, 0, len(r.identities))
	for _, i := range r.identities {
		with = append(with, i)
	}
	return open(sealed, with...)
}

// Read opens what was written in an act.
func (r Ring) Read(a Act) (Content, error) {
	text, err := r.Open(a.Sealed)
	if err != nil {
		return Content{}, fmt.Errorf("open entry %d: %w", a.Entry, err)
	}
	var c Content
	if err := json.Unmarshal(text, &c); err != nil {
		return Content{}, fmt.Errorf("open entry %d: %w", a.Entry, err)
	}
	if c.Change != nil {
		if err := c.Change.Check(); err != nil {
			return Content{}, fmt.Errorf("open entry %d: %w", a.Entry, err)
		}
	}
	return c, nil
}

// Seal encrypts a text to a case, for which no secret is needed.
func Seal(text []byte, to string) ([]byte, error) {
	recipient, err := age.ParseX25519Recipient(to)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return seal(text, recipient)
}
