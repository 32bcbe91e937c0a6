package probe

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Known remembers what files turned out to be, so that those that have not
// changed are not read again. It holds no name or place: a file is known by a
// hash of its identity, which changes when the file does.
//
// Saved form, all integers little-endian:
//
//	8 bytes  "ctknown" and the version of the format
//	records  16 bytes key · 1 byte format (0 is "not executable", Script or JAR end here)
//	         · 32 bytes SHA-256 · four times: 1 byte absence, then for a value 2 bytes length and text
//	         (product, version, signature, signer)
//	16 bytes of 0xff in place of a key, then 4 bytes number of records and
//	4 bytes CRC-32C of all before it
type Known struct {
	files map[knownKey]*program
	seen  map[knownKey]struct{} // in the walk under way
}

type knownKey [16]byte

const (
	knownMagic  = "ctknown\x01"
	knownLimit  = 400_000 // files; beyond them the rest is read at each walk
	knownString = 1 << 10 // bytes of one text
	knownBytes  = 256 << 20
)

var (
	knownEnd     = knownKey(bytes.Repeat([]byte{0xff}, 16))
	knownFormats = []posture.Format{
		"", posture.ELF, posture.PE, posture.MachO, posture.AppImage, posture.Script, posture.JAR,
	}
	errKnown = errors.New("it is not a record of known files")
)

// NewKnown makes a Known that knows nothing.
func NewKnown() *Known { return &Known{files: map[knownKey]*program{}} }

// Len returns how many files are known.
func (k *Known) Len() int { return len(k.files) }

func keyOf(id system.FileIdentity) knownKey {
	var b [40]byte
	binary.LittleEndian.PutUint64(b[0:], id.Device)
	binary.LittleEndian.PutUint64(b[8:], id.Inode)
	binary.LittleEndian.PutUint64(b[16:], uint64(id.Size))
	binary.LittleEndian.PutUint64(b[24:], uint64(id.Modified))
	binary.LittleEndian.PutUint64(b[32:], uint64(id.Changed))
	sum := sha256.Sum256(b[:])
	return knownKey(sum[:16])
}

// The files that are not hashed, which are most, share one program a format.
var (
	plainFile  = &program{}
	scriptFile = &program{format: posture.Script}
	jarFile    = &program{format: posture.JAR}
)

func share(p program) *program {
	switch p.format {
	case "":
		return plainFile
	case posture.Script:
		return scriptFile
	case posture.JAR:
		return jarFile
	}
	return &p
}

func (k *Known) begin() { k.seen = make(map[knownKey]struct{}, len(k.files)) }

// end forgets files that were not met, if the walk went everywhere.
func (k *Known) end(complete bool) {
	if complete {
		for key := range k.files {
			if _, met := k.seen[key]; !met {
				delete(k.files, key)
			}
		}
	}
	k.seen = nil
}

func (k *Known) look(id system.FileIdentity) (program, bool) {
	key := keyOf(id)
	p, ok := k.files[key]
	if !ok {
		return program{}, false
	}
	k.seen[key] = struct{}{}
	return *p, true
}

func (k *Known) put(id system.FileIdentity, p program) {
	if len(k.files) >= knownLimit {
		return
	}
	key := keyOf(id)
	k.files[key] = share(p)
	k.seen[key] = struct{}{}
}

// Save writes what is known, in an order that depends on nothing else.
func (k *Known) Save(to io.Writer) error {
	keys := make([]knownKey, 0, len(k.files))
	for key := range k.files {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b knownKey) int { return bytes.Compare(a[:], b[:]) })

	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	out := bufio.NewWriterSize(to, 64<<10)
	record := []byte(knownMagic)
	flush := func() error {
		sum.Write(record)
		_, err := out.Write(record)
		record = record[:0]
		return err
	}
	for _, key := range keys {
		record = appendKnown(append(record, key[:]...), *k.files[key])
		if err := flush(); err != nil {
			return fmt.Errorf("save known files: %w", err)
		}
	}
	record = binary.LittleEndian.AppendUint32(append(record, knownEnd[:]...), uint32(len(keys)))
	sum.Write(record)
	record = binary.LittleEndian.AppendUint32(record, sum.Sum32())
	if _, err := out.Write(record); err != nil {
		return fmt.Errorf("save known files: %w", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("save known files: %w", err)
	}
	return nil
}

func appendKnown(b []byte, p program) []byte {
	b = append(b, byte(slices.Index(knownFormats, p.format)))
	switch p.format {
	case "", posture.Script, posture.JAR:
		return b
	}
	b = append(b, p.sum[:]...)
	signature := posture.Reading[string]{Value: string(p.signature.Value), Absent: p.signature.Absent}
	for _, r := range []posture.Reading[string]{p.product, p.version, signature, p.signer} {
		b = append(b, byte(r.Absent))
		if r.Known() {
			b = binary.LittleEndian.AppendUint16(b, uint16(len(r.Value)))
			b = append(b, r.Value...)
		}
	}
	return b
}

// LoadKnown reads what Save wrote. Anything else is an error, after which a
// NewKnown takes its place at the cost of one full walk.
func LoadKnown(from io.Reader) (*Known, error) {
	k, err := loadKnown(from)
	if err != nil {
		return nil, fmt.Errorf("load known files: %w", err)
	}
	return k, nil
}

func loadKnown(from io.Reader) (*Known, error) {
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	in := bufio.NewReaderSize(io.LimitReader(from, knownBytes), 64<<10)
	summed := io.TeeReader(in, sum)
	var magic [len(knownMagic)]byte
	if _, err := io.ReadFull(summed, magic[:]); err != nil {
		return nil, err
	}
	if string(magic[:]) != knownMagic {
		return nil, errKnown
	}
	k := NewKnown()
	var key, last knownKey
	for n := uint32(0); ; n++ {
		if _, err := io.ReadFull(summed, key[:]); err != nil {
			return nil, err
		}
		if key == knownEnd {
			return k, checkKnown(in, summed, sum, n)
		}
		if n >= knownLimit || n > 0 && bytes.Compare(last[:], key[:]) >= 0 {
			return nil, errKnown
		}
		last = key
		p, err := readKnown(summed)
		if err != nil {
			return nil, err
		}
		k.files[key] = share(p)
	}
}

func checkKnown(in *bufio.Reader, summed io.Reader, sum interface{ Sum32() uint32 }, n uint32) error {
	var b [4]byte
	if _, err := io.ReadFull(summed, b[:]); err != nil {
		return err
	}
	want := sum.Sum32()
	if binary.LittleEndian.Uint32(b[:]) != n {
		return errKnown
	}
	if _, err := io.ReadFull(in, b[:]); err != nil {
		return err
	}
	if _, err := in.ReadByte(); binary.LittleEndian.Uint32(b[:]) != want || !errors.Is(err, io.EOF) {
		return errKnown
	}
	return nil
}

func readKnown(r io.Reader) (program, error) {
	var b [sha256.Size]byte
	if _, err := io.ReadFull(r, b[:1]); err != nil {
		return program{}, err
	}
	if int(b[0]) >= len(knownFormats) {
		return program{}, errKnown
	}
	p := program{format: knownFormats[b[0]]}
	switch p.format {
	case "", posture.Script, posture.JAR:
		return p, nil
	}
	if _, err := io.ReadFull(r, p.sum[:]); err != nil {
		return program{}, err
	}
	var signature posture.Reading[string]
	for _, into := range []*posture.Reading[string]{&p.product, &p.version, &signature, &p.signer} {
		if err := readKnownText(r, into); err != nil {
			return program{}, err
		}
	}
	p.signature = posture.Reading[posture.SignatureState]{Value: posture.SignatureState(signature.Value), Absent: signature.Absent}
	switch p.signature.Value {
	case "", posture.Unsigned, posture.SignedUnproven, posture.SignedValid, posture.SignedInvalid:
		return p, nil
	}
	return program{}, errKnown
}

func readKnownText(r io.Reader, into *posture.Reading[string]) error {
	var b [2]byte
	if _, err := io.ReadFull(r, b[:1]); err != nil {
		return err
	}
	*into = posture.Reading[string]{Absent: posture.Absence(b[0])}
	if into.Absent > posture.NotVisible {
		return errKnown
	}
	if !into.Known() {
		return nil
	}
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return err
	}
	n := binary.LittleEndian.Uint16(b[:])
	if n > knownString {
		return errKnown
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return err
	}
	into.Value = string(text)
	if clean(into.Value, nameRunes) != into.Value {
		return errKnown
	}
	return nil
}
