package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// Bounds of a bundle that is read.
const (
	maxBundle   = 128 << 20 // bytes
	mostObjects = 1 << 20   // entries, sections and what the sheet lists
	maxZone     = 64        // bytes of a zone's name
	maxSilence  = 10 * 365 * 24 * 60 * 60
)

// Read reads a file of evidence, and no more of another than it takes to see
// that it is too large.
func Read(r io.Reader) ([]byte, error) {
	sealed, err := io.ReadAll(io.LimitReader(r, maxBundle+1))
	if err == nil && len(sealed) > maxBundle {
		err = fmt.Errorf("it is larger than %d bytes", maxBundle)
	}
	if err != nil {
		return nil, fmt.Errorf("read the evidence: %w", err)
	}
	return sealed, nil
}

// Trust is what whoever verifies knows from elsewhere: the school's key, or a
// checkpoint that the school gave away. Without either, a bundle can only be
// consistent with itself.
type Trust struct {
	Key        *identity.SchoolVerifier
	Checkpoint []byte // a signed note
}

// Verdict is what was verified.
type Verdict struct {
	Origin  bool `json:"origin"`  // it comes from the school that is trusted
	Entries int  `json:"entries"` // that are in the ledger
	Signed  int  `json:"signed"`  // reports and contacts that the device's key signed
}

// Verify checks a sealed bundle: the seal, that every entry is in the ledger of
// the checkpoint, every section against its entry, every signature of the
// device, and that the answer is what the entries say. Its error says what is
// wrong; without trust the origin is not proven.
func Verify(sealed []byte, trust Trust) (*Bundle, Verdict, error) {
	if len(sealed) > maxBundle {
		return nil, Verdict{}, fmt.Errorf("read the evidence: it is larger than %d bytes", maxBundle)
	}
	b, key, err := unseal(sealed)
	if err != nil {
		return nil, Verdict{}, err
	}
	v := Verdict{Entries: len(b.Entries)}
	if v.Origin, err = trust.covers(b, key); err != nil {
		return nil, Verdict{}, err
	}
	checkpoint, err := key.Checkpoint([]byte(b.Checkpoint))
	if err != nil {
		return nil, Verdict{}, fmt.Errorf("check the checkpoint: %w", err)
	}
	for i, e := range b.Entries {
		if i > 0 && b.Entries[i-1].Index >= e.Index {
			return nil, Verdict{}, fmt.Errorf("check entry %d: it is out of order", e.Index)
		}
		if err := e.check(b, checkpoint); err != nil {
			return nil, Verdict{}, fmt.Errorf("check entry %d: %w", e.Index, err)
		}
	}
	switch {
	case b.Year != nil:
		return b, v, checkYear(b)
	case b.Device == "":
		return b, v, checkPosition(b)
	}
	if v.Signed, err = checkSignatures(b); err != nil {
		return nil, Verdict{}, err
	}
	return b, v, checkAnswer(b)
}

// unseal reads the bundle and checks its seal with the key that it names.
func unseal(sealed []byte) (*Bundle, identity.SchoolVerifier, error) {
	format, body, seal, err := split(sealed)
	if err != nil {
		return nil, identity.SchoolVerifier{}, fmt.Errorf("read the evidence: %w", err)
	}
	b := &Bundle{}
	// An object takes far more room in memory than in a file, if it says nothing.
	if n := bytes.Count(body, []byte{'{'}); n > mostObjects {
		return nil, identity.SchoolVerifier{}, fmt.Errorf("read the evidence: it holds %d objects, more than %d", n, mostObjects)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(b); err != nil {
		return nil, identity.SchoolVerifier{}, fmt.Errorf("read the evidence: %w", err)
	}
	key, err := identity.ParseSchoolVerifier(b.Key)
	switch {
	case err != nil:
	case b.Format != format:
		err = fmt.Errorf("its format is %d, and its first line says %d", b.Format, format)
	case format == 1 && (b.Device == "" || b.Zone != "" || b.Asset != "" || !b.Aware.IsZero() || b.Silence != 0):
		err = errors.New("it holds what evidence of its format does not")
	case len(b.Zone) > maxZone || len(b.Asset) > maxZone || b.Silence < 0 || b.Silence > maxSilence:
		err = errors.New("its zone or its silence is not one")
	case !b.Aware.IsZero() && !b.TellBy.Equal(incident.TellBy(b.Aware)), b.Aware.IsZero() != b.TellBy.IsZero():
		err = errors.New("the regulator is to be told 72 hours after the school became aware, and it says something else")
	case (format == FormatYear) != (b.Year != nil), b.Year != nil && b.Device != "":
		err = errors.New("it holds what evidence of its format does not")
	case (b.Device == "") != (b.Position != nil || b.Year != nil), b.Position != nil && b.Year != nil:
		err = errors.New("it is about a device or about a school, and not both")
	case b.At.After(b.MadeAt):
		err = errors.New("it was made before the moment that it is about")
	case b.School != key.School:
		err = fmt.Errorf("it is of school %.70q, and its key of %s", string(b.School), key.School)
	}
	if err != nil {
		return nil, key, fmt.Errorf("read the evidence: %w", err)
	}
	// Whoever reads the text with other means must not read anything else.
	if again, err := json.Marshal(b); err != nil || !bytes.Equal(again, body) {
		return nil, key, errors.New("read the evidence: it is not written as evidence is")
	}
	sum := sha256.Sum256(sealed[:len(headlines()[format])+1+len(body)+1])
	switch signed, err := key.Document(Document, seal); {
	case err != nil:
		return nil, key, fmt.Errorf("check the seal: %w", err)
	case !bytes.Equal(signed, sum[:]):
		return nil, key, errors.New("check the seal: the evidence is not what was sealed")
	}
	return b, key, nil
}

// split takes a file of evidence apart: exactly three lines, of which the first
// names the format.
func split(sealed []byte) (format int, body, seal []byte, err error) {
	lines := bytes.Split(sealed, []byte("\n"))
	format = slices.Index(headlines(), string(lines[0]))
	if len(lines) != 4 || format < 1 || len(lines[3]) > 0 {
		return 0, nil, nil, errors.New("this is not a file of evidence, or it is of a later version, or cut short")
	}
	seal, err = base64.StdEncoding.Strict().DecodeString(string(lines[2]))
	if err == nil && base64.StdEncoding.EncodeToString(seal) != string(lines[2]) {
		err = errors.New("it is not written as base64 is")
	}
	if err != nil {
		return 0, nil, nil, fmt.Errorf("its seal: %w", err)
	}
	return format, lines[1], seal, nil
}

// covers reports whether the bundle comes from what is trusted. That it comes
// from elsewhere is an error.
func (t Trust) covers(b *Bundle, key identity.SchoolVerifier) (bool, error) {
	if t.Key != nil && t.Key.String() != key.String() {
		return false, fmt.Errorf("the evidence is sealed with the key %s, and the one that is trusted is %s", key, t.Key)
	}
	if t.Checkpoint != nil {
		known, err := key.Checkpoint(t.Checkpoint)
		if err != nil {
			return false, fmt.Errorf("the checkpoint that is trusted is not by the key that sealed the evidence: %w", err)
		}
		own, err := proof.ReadCheckpoint([]byte(b.Checkpoint))
		if err != nil {
			return false, fmt.Errorf("read the evidence's checkpoint: %w", err)
		}
		if known.Size == own.Size && known.Root != own.Root {
			return false, errors.New("the school has signed two records of one size that differ: one of them was rewritten")
		}
	}
	return t.Key != nil || t.Checkpoint != nil, nil
}

// check proves that an entry is in the tree of the checkpoint, and that its
// sections are what it names.
func (e Entry) check(b *Bundle, c proof.Checkpoint) error {
	p := proof.Inclusion{Index: e.Index, Size: c.Size, Path: e.Path}
	if err := p.Verify(proof.LeafHash(e.Envelope), c.Root); err != nil {
		return err
	}
	env, err := proof.DecodeEnvelope(e.Envelope)
	if err != nil {
		return err
	}
	if env.School != string(b.School) {
		return fmt.Errorf("it is of school %.70q", env.School)
	}
	for i, s := range e.Sections {
		if s.Number < 0 || s.Number >= len(env.Sections) || len(s.Salt) != proof.SaltSize || i > 0 && e.Sections[i-1].Number >= s.Number {
			return fmt.Errorf("it has no section %d of this form", s.Number)
		}
		ref := env.Sections[s.Number]
		if (proof.Section{Name: ref.Name, Class: ref.Class, Salt: [proof.SaltSize]byte(s.Salt), Body: s.Body}).Digest() != ref.Digest {
			return fmt.Errorf("section %s is not what was recorded", ref.Name)
		}
	}
	return nil
}

// checkSignatures checks what the device signed with the key that it enrolled
// with. A report that does not follow the one before is no error: the answer
// says that something is missing there.
func checkSignatures(b *Bundle) (signed int, err error) {
	o, err := open(b)
	if err != nil {
		return 0, fmt.Errorf("read the evidence: %w", err)
	}
	for _, r := range o.reports {
		if err := proof.VerifyStatement(o.key, proof.HashReport(r.envelope.Statement), r.envelope.Signature); err != nil {
			return signed, fmt.Errorf("check report %d: %w", r.statement.Sequence, err)
		}
		signed++
	}
	for _, e := range b.Entries {
		env, err := proof.DecodeEnvelope(e.Envelope)
		if err != nil || env.Kind != proof.KindContacts {
			continue
		}
		for _, s := range e.Sections {
			if env.Sections[s.Number].Name != roster.SectionContact {
				continue
			}
			c, err := proof.DecodeSignedContact(s.Body)
			if err == nil {
				err = proof.VerifyStatement(o.key, proof.HashContact(c.Statement), c.Signature)
			}
			if err != nil {
				return signed, fmt.Errorf("check the contact in entry %d: %w", e.Index, err)
			}
			signed++
		}
	}
	return signed, nil
}

// checkAnswer works the answer out again.
func checkAnswer(b *Bundle) error {
	s, err := Answer(b)
	if err != nil {
		return err
	}
	ours, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("check the answer: %w", err)
	}
	theirs, err := json.Marshal(b.Sheet)
	if err != nil {
		return fmt.Errorf("check the answer: %w", err)
	}
	if !bytes.Equal(ours, theirs) {
		return errors.New("check the answer: it is not what the entries say")
	}
	return nil
}
