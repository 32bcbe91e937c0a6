package proof

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
)

// Digest is a SHA-256 hash.
type Digest [sha256.Size]byte

// String returns the digest in 64 hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText implements encoding.TextMarshaler: 64 hexadecimal digits.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. It refuses what
// MarshalText does not produce.
func (d *Digest) UnmarshalText(text []byte) error {
	var v Digest
	if len(text) != hex.EncodedLen(len(v)) {
		return fmt.Errorf("%.70q is not a digest of %d hexadecimal digits", text, hex.EncodedLen(len(v)))
	}
	if _, err := hex.Decode(v[:], text); err != nil || v.String() != string(text) {
		return fmt.Errorf("%.70q is not a digest in lower-case hexadecimal", text)
	}
	*d = v
	return nil
}

// IsZero reports whether the digest was never set.
func (d Digest) IsZero() bool { return d == Digest{} }

// Class is a retention class: sections of one class and month lie in one file
// and are forgotten together. Its numbers are stored and never change.
type Class uint8

// The retention classes. shared/docs/formats.md gives each its default time.
const (
	Kept      Class = 1 // as long as the ledger: enrolments, policies, purges
	Posture   Class = 2 // changes of a device's state: its life and a year
	Media     Class = 3 // media that came and went: 90 days
	Inventory Class = 4 // programs and executables: 13 months
	Contacts  Class = 5 // heartbeats: 30 days, then each day's last
	People    Class = 6 // decisions, and who viewed what: 2 years
	Incidents Class = 7 // incidents and signed reports: 6 years
)

var classNames = [...]string{
	Kept: "kept", Posture: "posture", Media: "media", Inventory: "inventory",
	Contacts: "contacts", People: "people", Incidents: "incidents",
}

// String returns the class in one word, or its number if this version does
// not know it.
func (c Class) String() string {
	if int(c) < len(classNames) && classNames[c] != "" {
		return classNames[c]
	}
	return fmt.Sprintf("class-%d", uint8(c))
}

// SaltSize is the length of a section's salt in bytes.
const SaltSize = 16

// Section is one part of an entry that can be forgotten by itself. Its hash
// covers a random salt, so that a forgotten body cannot be guessed from it.
type Section struct {
	Name  string // such as "encryption"; 1 to 31 bytes of a-z, 0-9 and '-'
	Class Class
	Salt  [SaltSize]byte
	Body  []byte // never interpreted here
}

// Limits on what a statement or envelope may hold.
const (
	MaxName     = 31
	MaxBody     = 8 << 20 // bytes in the body of one section
	MaxSections = 1024    // in one list
)

const sectionLabel = "caretaker/section/v1\n"

// Digest returns the hash by which statements and envelopes name the section:
// SHA-256 of the label, name<1..31>, class, salt[16] and body<0..2^32-1>.
func (s Section) Digest() Digest {
	b := make([]byte, 0, len(sectionLabel)+1+MaxIdentifier+1+SaltSize+4)
	b = append(b, sectionLabel...)
	b = appendText(b, s.Name)
	b = append(b, byte(s.Class))
	b = append(b, s.Salt[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(s.Body)))
	h := sha256.New()
	h.Write(b)
	h.Write(s.Body)
	var d Digest
	h.Sum(d[:0])
	return d
}

// Check reports what is wrong with a section that came from outside.
func (s Section) Check() error {
	if err := checkName(s.Name); err != nil {
		return err
	}
	if s.Class == 0 {
		return noClass(s.Name)
	}
	if len(s.Body) > MaxBody {
		return fmt.Errorf("section %s has %d bytes, more than the %d allowed", s.Name, len(s.Body), MaxBody)
	}
	return nil
}

// SectionRef names a section by its hash.
type SectionRef struct {
	Name   string
	Class  Class
	Digest Digest
	// ReadAt is when the facts in the section were last read, in milliseconds
	// since 1970 by the device's clock; 0 where that has no meaning.
	ReadAt uint64
	// Carried is the sequence of the report that carried the body: the
	// report's own if the body comes with it, an earlier one if it has not
	// changed since.
	Carried uint64
}

// Ref returns the section's reference as carried by the report with the given
// sequence, its facts read at readAt (milliseconds since 1970).
func (s Section) Ref(readAt, carried uint64) SectionRef {
	return SectionRef{Name: s.Name, Class: s.Class, Digest: s.Digest(), ReadAt: readAt, Carried: carried}
}

func noClass(name string) error { return fmt.Errorf("section %s has no retention class", name) }

func checkName(name string) error {
	if name == "" || len(name) > MaxName {
		return fmt.Errorf("section name %.40q is not 1 to %d bytes long", name, MaxName)
	}
	for _, c := range []byte(name) {
		if !plain(c) {
			return fmt.Errorf("section name %q holds a character other than a-z, 0-9 and '-'", name)
		}
	}
	return nil
}

func plain(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' }

// checkRefs holds for every list that is written or read. Only contacts, which
// are of many devices, may share a name.
func checkRefs(refs []SectionRef, mayRepeat bool) error {
	if len(refs) > MaxSections {
		return fmt.Errorf("%d sections, more than the %d allowed", len(refs), MaxSections)
	}
	length := 0
	for _, r := range refs {
		if err := checkName(r.Name); err != nil {
			return err
		}
		if r.Class == 0 {
			return noClass(r.Name)
		}
		length += refSize(r)
	}
	if name, twice := repeated(refs); twice && !mayRepeat {
		return fmt.Errorf("section %s is named twice", name)
	}
	if length > maxRefs {
		return fmt.Errorf("its list of sections has %d bytes, more than the %d allowed", length, maxRefs)
	}
	return nil
}

// refSize is the length of an encoded reference in bytes.
func refSize(r SectionRef) int { return 1 + len(r.Name) + 1 + len(r.Digest) + 8 + 8 }

// repeated returns a name that two sections have.
func repeated(refs []SectionRef) (string, bool) {
	const few = 16 // a report has about ten: comparing each with each is quicker than a map
	if len(refs) <= few {
		for n, r := range refs {
			for _, earlier := range refs[:n] {
				if earlier.Name == r.Name {
					return r.Name, true
				}
			}
		}
		return "", false
	}
	seen := make(map[string]bool, len(refs))
	for _, r := range refs {
		if seen[r.Name] {
			return r.Name, true
		}
		seen[r.Name] = true
	}
	return "", false
}

// maxRefs is the length of the longest encoded list of sections in bytes.
const maxRefs = 1<<16 - 1

// appendRefs appends a list of sections that checkRefs has seen.
func appendRefs(b []byte, refs []SectionRef) []byte {
	at := len(b)
	b = append(b, 0, 0)
	for _, r := range refs {
		b = appendText(b, r.Name)
		b = append(b, byte(r.Class))
		b = append(b, r.Digest[:]...)
		b = binary.BigEndian.AppendUint64(b, r.ReadAt)
		b = binary.BigEndian.AppendUint64(b, r.Carried)
	}
	binary.BigEndian.PutUint16(b[at:], uint16(len(b)-at-2))
	return b
}

// refsSize is the length of what appendRefs appends.
func refsSize(refs []SectionRef) int {
	size := 2
	for _, r := range refs {
		size += refSize(r)
	}
	return size
}

// appendText appends a text of at most 255 bytes, which the caller has
// checked, after its length.
func appendText(b []byte, s string) []byte { return append(append(b, byte(len(s))), s...) }

func readRefs(s *cryptobyte.String) ([]SectionRef, error) {
	var list cryptobyte.String
	if !s.ReadUint16LengthPrefixed(&list) {
		return nil, errTruncated
	}
	if list.Empty() {
		return nil, nil
	}
	refs := make([]SectionRef, 0, min(len(list)/refSize(SectionRef{Name: "-"}), MaxSections))
	for !list.Empty() {
		if len(refs) == MaxSections {
			return nil, fmt.Errorf("more than %d sections", MaxSections)
		}
		var r SectionRef
		var name cryptobyte.String
		var class uint8
		if !list.ReadUint8LengthPrefixed(&name) || !list.ReadUint8(&class) ||
			!list.CopyBytes(r.Digest[:]) || !list.ReadUint64(&r.ReadAt) || !list.ReadUint64(&r.Carried) {
			return nil, errTruncated
		}
		r.Name, r.Class = sectionName(name), Class(class)
		refs = append(refs, r)
	}
	return refs, nil
}

// sectionName returns a name as a string. Those that are in every report are
// not made anew each time: they would be a tenth of all that a collector
// allocates.
func sectionName(name []byte) string {
	for _, known := range [...]string{
		"system", "encryption", "antivirus", "media", "media-events", "programs", "executables", "security", "findings", "contact",
	} {
		if string(name) == known {
			return known
		}
	}
	return string(name)
}
