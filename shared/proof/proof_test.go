package proof

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// TestTruncatedOrLonger cuts every encoding at every byte and adds one: only
// the whole is read.
func TestTruncatedOrLonger(t *testing.T) {
	encodings := map[string]struct {
		data []byte
		read func([]byte) error
	}{}
	add := func(name string, data []byte, err error, read func([]byte) error) {
		if err != nil {
			t.Fatal(err)
		}
		encodings[name] = struct {
			data []byte
			read func([]byte) error
		}{data, read}
	}
	report, err := exampleReport().Encode()
	add("report", report, err, func(b []byte) error { _, err := DecodeReportStatement(b); return err })
	contact, err := exampleContact().Encode()
	add("contact", contact, err, func(b []byte) error { _, err := DecodeContactStatement(b); return err })
	envelope, err := exampleEnvelope(t).Encode()
	add("envelope", envelope, err, func(b []byte) error { _, err := DecodeEnvelope(b); return err })
	signed, err := SignedContact{contact, []byte("s")}.Encode()
	add("signed contact", signed, err, func(b []byte) error { _, err := DecodeSignedContact(b); return err })
	key := exampleSchoolKey()
	document, err := SignDocument("policy", []byte("body"), key)
	add("document", document, err, func(b []byte) error {
		_, err := VerifyDocument("policy", b, key.Public().(ed25519.PublicKey))
		return err
	})
	for name, e := range encodings {
		if err := e.read(e.data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for at := range e.data {
			if e.read(e.data[:at]) == nil {
				t.Errorf("%s cut at byte %d was read", name, at)
			}
		}
		if e.read(append(bytes.Clone(e.data), 0)) == nil {
			t.Errorf("%s with a byte more was read", name)
		}
	}
}

// TestRefusedStatements is what may be neither written nor read.
func TestRefusedStatements(t *testing.T) {
	for name, change := range map[string]func(*ReportStatement){
		"no school":                func(r *ReportStatement) { r.School = "" },
		"a capital":                func(r *ReportStatement) { r.Device = "Dev-014" },
		"a line break":             func(r *ReportStatement) { r.Boot = "a\nb" },
		"too long a name":          func(r *ReportStatement) { r.Device = strings.Repeat("d", MaxIdentifier+1) },
		"sequence 0":               func(r *ReportStatement) { r.Sequence = 0 },
		"a witness without root":   func(r *ReportStatement) { r.Witness.Root = Digest{} },
		"a witness without size":   func(r *ReportStatement) { r.Witness.Size = 0 },
		"a section from tomorrow":  func(r *ReportStatement) { r.Sections[0].Carried = r.Sequence + 1 },
		"a section from nowhere":   func(r *ReportStatement) { r.Sections[0].Carried = 0 },
		"a section named twice":    func(r *ReportStatement) { r.Sections[1].Name = r.Sections[0].Name },
		"a section without class":  func(r *ReportStatement) { r.Sections[0].Class = 0 },
		"a section without a name": func(r *ReportStatement) { r.Sections[0].Name = "" },
		"a section with a colon":   func(r *ReportStatement) { r.Sections[0].Name = "a:b" },
	} {
		r := exampleReport()
		change(&r)
		if got, err := r.Encode(); err == nil {
			t.Errorf("%s: encoded as %x", name, got)
		}
	}
	for name, change := range map[string]func(*ContactStatement){
		"count 0":               func(c *ContactStatement) { c.Count = 0 },
		"a hash of no report":   func(c *ContactStatement) { c.Report = 0 },
		"a report without hash": func(c *ContactStatement) { c.Hash = Digest{} },
	} {
		c := exampleContact()
		change(&c)
		if got, err := c.Encode(); err == nil {
			t.Errorf("%s: encoded as %x", name, got)
		}
	}
	e := exampleContacts()
	e.Kind = KindDecision
	if got, err := e.Encode(); err == nil {
		t.Errorf("two sections of one name in a decision: encoded as %x", got)
	}
}

// TestLimits holds for the largest lists: what is encoded can be read.
func TestLimits(t *testing.T) {
	e := exampleContacts()
	for len(e.Sections) < MaxSections {
		e.Sections = append(e.Sections, e.Sections[0])
	}
	data, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := DecodeEnvelope(data); err != nil || len(got.Sections) != MaxSections {
		t.Errorf("got %d sections, %v", len(got.Sections), err)
	}
	e.Sections = append(e.Sections, e.Sections[0])
	if _, err := e.Encode(); err == nil {
		t.Error("encoded more sections than are allowed")
	}
	for n := range e.Sections {
		e.Sections[n].Name = strings.Repeat("n", MaxName)
	}
	e.Sections = e.Sections[:MaxSections]
	if _, err := e.Encode(); err == nil {
		t.Error("encoded a list that is longer than its length can say")
	}
}

func TestVerifyStatement(t *testing.T) {
	key := exampleDeviceKey(t)
	hash := digest("a statement")
	signature, err := ecdsa.SignASN1(rand.Reader, key, hash[:])
	if err != nil {
		t.Fatal(err)
	}
	if err := VerifyStatement(&key.PublicKey, hash, signature); err != nil {
		t.Error(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	larger, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"another hash":  VerifyStatement(&key.PublicKey, digest("another"), signature),
		"another key":   VerifyStatement(&other.PublicKey, hash, signature),
		"another curve": VerifyStatement(&larger.PublicKey, hash, signature),
		"no key":        VerifyStatement(nil, hash, signature),
		"no signature":  VerifyStatement(&key.PublicKey, hash, nil),
	} {
		if err == nil {
			t.Errorf("%s: verified", name)
		}
	}
}

func TestCheckStatement(t *testing.T) {
	if err := exampleEnvelope(t).CheckStatement(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*Envelope){
		"another device":    func(e *Envelope) { e.Subject = "dev-015" },
		"another school":    func(e *Envelope) { e.School = "oakfield" },
		"another sequence":  func(e *Envelope) { e.Sequence++ },
		"a section missing": func(e *Envelope) { e.Sections = nil },
		"another hash":      func(e *Envelope) { e.Sections[0].Digest[0]++ },
		"no statement":      func(e *Envelope) { e.Statement = nil },
	} {
		e := exampleEnvelope(t)
		change(&e)
		if e.CheckStatement() == nil {
			t.Errorf("%s: went unseen", name)
		}
	}
}

func TestDocument(t *testing.T) {
	key := exampleSchoolKey()
	public := key.Public().(ed25519.PublicKey)
	document, err := SignDocument("policy", []byte("a policy"), key)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := VerifyDocument("policy", document, public); err != nil || string(body) != "a policy" {
		t.Errorf("got %q, %v", body, err)
	}
	if _, err := VerifyDocument("assignment", document, public); err == nil {
		t.Error("a policy passed for an assignment")
	}
	for bit := range len(document) * 8 {
		document[bit/8] ^= 1 << (bit % 8)
		if _, err := VerifyDocument("policy", document, public); err == nil {
			t.Errorf("verified with bit %d flipped", bit)
		}
		document[bit/8] ^= 1 << (bit % 8)
	}
}

func TestCheckpoint(t *testing.T) {
	signer, err := CheckpointSigner("hollybank", exampleSchoolKey())
	if err != nil {
		t.Fatal(err)
	}
	public := exampleSchoolKey().Public().(ed25519.PublicKey)
	verifier, err := CheckpointVerifier("hollybank", public)
	if err != nil {
		t.Fatal(err)
	}
	c := Checkpoint{Origin: Origin("hollybank"), Size: 42, Root: digest("a root")}
	signed, err := SignCheckpoint(c, signer)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := OpenCheckpoint(signed, verifier, Origin("hollybank")); err != nil || got != c {
		t.Errorf("got %+v, %v, want %+v", got, err, c)
	}
	if got, err := ReadCheckpoint(signed); err != nil || got != c {
		t.Errorf("read without a key: got %+v, %v, want %+v", got, err, c)
	}
	if _, err := OpenCheckpoint(signed, verifier, Origin("oakfield")); err == nil {
		t.Error("opened as another school's")
	}
	other, err := CheckpointVerifier("hollybank", ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenCheckpoint(signed, other, Origin("hollybank")); err == nil {
		t.Error("opened with another key")
	}
	forged := bytes.Replace(signed, []byte("\n42\n"), []byte("\n43\n"), 1)
	if _, err := OpenCheckpoint(forged, verifier, Origin("hollybank")); err == nil {
		t.Error("opened with another size")
	}
	for _, text := range []string{
		"", "caretaker.school/hollybank\n42\n", c.Text() + "more\n", strings.Replace(c.Text(), "42", "042", 1),
		strings.Replace(c.Text(), "hollybank", "Hollybank", 1), strings.Replace(c.Text(), "42", "-1", 1),
		strings.Replace(c.Text(), "caretaker.school", "example.org", 1),
	} {
		if got, err := parseCheckpoint(text); err == nil {
			t.Errorf("%q: read as %+v", text, got)
		}
	}
}

// TestProofsJSON sends an inclusion proof through JSON, as evidence does.
func TestProofsJSON(t *testing.T) {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var out []tlog.Hash
		for _, i := range indexes {
			out = append(out, stored[i])
		}
		return out, nil
	})
	leaf := func(n int64) []byte { return []byte{byte(n)} }
	var roots []Digest
	for n := range int64(11) {
		hashes, err := tlog.StoredHashes(n, leaf(n), reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
		root, err := tlog.TreeHash(n+1, reader)
		if err != nil {
			t.Fatal(err)
		}
		roots = append(roots, Digest(root))
	}
	path, err := tlog.ProveRecord(11, 6, reader)
	if err != nil {
		t.Fatal(err)
	}
	p := Inclusion{Index: 6, Size: 11}
	for _, h := range path {
		p.Path = append(p.Path, Digest(h))
	}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var again Inclusion
	if err := json.Unmarshal(text, &again); err != nil {
		t.Fatal(err)
	}
	if err := again.Verify(LeafHash(leaf(6)), roots[10]); err != nil {
		t.Error(err)
	}
	if again.Verify(LeafHash(leaf(7)), roots[10]) == nil || again.Verify(LeafHash(leaf(6)), roots[9]) == nil {
		t.Error("verified another leaf or another root")
	}
	for _, wrong := range []Inclusion{{Index: 6, Size: 6}, {Index: 6, Size: 1 << 63}, {Index: 6, Size: 11}, {Index: 6, Size: 11, Path: make([]Digest, 1000)}} {
		if wrong.Verify(LeafHash(leaf(6)), roots[10]) == nil {
			t.Errorf("verified %+v", wrong)
		}
	}
	tree, err := tlog.ProveTree(11, 5, reader)
	if err != nil {
		t.Fatal(err)
	}
	c := Consistency{Older: 5, Newer: 11}
	for _, h := range tree {
		c.Path = append(c.Path, Digest(h))
	}
	if err := c.Verify(roots[4], roots[10]); err != nil {
		t.Error(err)
	}
	if c.Verify(roots[3], roots[10]) == nil || (Consistency{Older: 0, Newer: 11}).Verify(roots[4], roots[10]) == nil {
		t.Error("verified another past")
	}
	for _, text := range []string{`""`, `"00"`, `"` + strings.Repeat("G", 64) + `"`, `"` + strings.Repeat("AB", 32) + `"`} {
		if d := new(Digest); json.Unmarshal([]byte(text), d) == nil {
			t.Errorf("%s: read as a digest", text)
		}
	}
}

// TestSectionDigest changes every part of a section in turn.
func TestSectionDigest(t *testing.T) {
	seen := map[Digest]string{exampleSection().Digest(): "the section itself"}
	for name, change := range map[string]func(*Section){
		"name":  func(s *Section) { s.Name = "encryptio" },
		"class": func(s *Section) { s.Class = Media },
		"salt":  func(s *Section) { s.Salt[15]++ },
		"body":  func(s *Section) { s.Body = append(s.Body, 0) },
		"shift": func(s *Section) { s.Name, s.Body = s.Name+"t", s.Body[1:] },
	} {
		s := exampleSection()
		change(&s)
		if before, ok := seen[s.Digest()]; ok {
			t.Errorf("%s has the digest of %s", name, before)
		}
		seen[s.Digest()] = name
	}
}
