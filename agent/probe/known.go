package probe

import (
	"bufio"
	"bytes"
	"cmp"
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
//
// Records lie in the order of the last whole walk, which the next is likely to
// take too, so that a walk seldom has to look for one.
type Known struct {
	files   []knownFile
	at      map[knownKey]int32 // where in files; nil until one had to be looked for
	next    int                // where in files the walk is likely to go on
	met     int32              // files met in the walk under way
	room    knownRoom          // what files take up
	changed bool
}

// knownRoom is what is taken up of what there is room for. Without it somebody
// who puts down programs with long names would have the walk fill its memory.
type knownRoom struct{ bytes, programs int }

// add adds a program, and reports whether there was room for it.
func (r *knownRoom) add(p *program) bool {
	size := len(knownKey{}) + 1
	programs := r.programs
	if shared(p.format) == nil {
		size += sha256.Size + 4*3 + len(p.product.Value) + len(p.version.Value) + len(p.signature.Value) + len(p.signer.Value)
		programs++
	}
	if r.bytes+size > knownBytes || programs > knownPrograms {
		return false
	}
	*r = knownRoom{r.bytes + size, programs}
	return true
}

type knownFile struct {
	key     knownKey
	met     int32 // its place in the walk under way; 0 if it was not met
	program *program
}

type knownKey [16]byte

const (
	knownMagic  = "ctknown\x02" // what an older version wrote is read anew
	knownLimit  = 400_000       // files; beyond them the rest is read at each walk
	knownString = 1 << 10       // bytes of one text

	knownPrograms = 50_000   // of these files
	knownBytes    = 16 << 20 // of all as they are saved
)

var (
	knownEnd     = knownKey(bytes.Repeat([]byte{0xff}, 16))
	knownFormats = []posture.Format{
		"", posture.ELF, posture.PE, posture.MachO, posture.AppImage, posture.Script, posture.JAR,
	}
	errKnown = errors.New("it is not a record of known files")
)

// NewKnown makes a Known that knows nothing.
func NewKnown() *Known { return new(Known) }

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

// shared returns the program that all files of a format share, and nil for a
// format whose files are hashed.
func shared(format posture.Format) *program {
	switch format {
	case "":
		return plainFile
	case posture.Script:
		return scriptFile
	case posture.JAR:
		return jarFile
	}
	return nil
}

// Changed reports whether it is other than when it was made or loaded, and so
// worth saving.
func (k *Known) Changed() bool { return k.changed }

func (k *Known) begin() {
	for i := range k.files {
		k.files[i].met = 0
	}
	k.met, k.next = 0, 0
}

// end forgets files that were not met, if the walk went everywhere.
func (k *Known) end(complete bool) {
	if !complete {
		return
	}
	known := len(k.files)
	k.files = slices.DeleteFunc(k.files, func(f knownFile) bool { return f.met == 0 })
	inOrder := func(a, b knownFile) int { return cmp.Compare(a.met, b.met) }
	if len(k.files) < known || !slices.IsSortedFunc(k.files, inOrder) {
		slices.SortFunc(k.files, inOrder)
		k.at, k.changed = nil, true
	}
	k.room = knownRoom{}
	for _, f := range k.files {
		k.room.add(f.program)
	}
}

// find returns where in files one is, or would be if it is not known.
func (k *Known) find(key knownKey) (int, bool) {
	if k.next < len(k.files) && k.files[k.next].key == key {
		return k.next, true
	}
	if k.at == nil {
		k.at = make(map[knownKey]int32, len(k.files))
		for i, f := range k.files {
			k.at[f.key] = int32(i)
		}
	}
	if i, ok := k.at[key]; ok {
		return int(i), true
	}
	return len(k.files), false
}

// meet notes that a file was met.
func (k *Known) meet(i int) {
	if k.files[i].met == 0 {
		k.met++
		k.files[i].met = k.met
	}
	k.next = i + 1
}

// look returns what a file was found to be, and nil if it is not known.
func (k *Known) look(id system.FileIdentity) *program {
	i, ok := k.find(keyOf(id))
	if !ok {
		return nil
	}
	k.meet(i)
	return k.files[i].program
}

func (k *Known) put(id system.FileIdentity, p program) {
	key := keyOf(id)
	i, ok := k.find(key)
	switch {
	case ok:
	case i >= knownLimit || !k.room.add(&p):
		return
	default:
		k.files = append(k.files, knownFile{key: key})
		k.at[key] = int32(i)
	}
	if k.files[i].program = shared(p.format); k.files[i].program == nil {
		k.files[i].program = &p
	}
	k.meet(i)
	k.changed = true
}

// Save writes what is known.
func (k *Known) Save(to io.Writer) error {
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	out := bufio.NewWriterSize(to, 64<<10)
	record := []byte(knownMagic)
	flush := func() error {
		sum.Write(record)
		_, err := out.Write(record)
		record = record[:0]
		return err
	}
	for _, f := range k.files {
		record = appendKnown(append(record, f.key[:]...), *f.program)
		if err := flush(); err != nil {
			return fmt.Errorf("save known files: %w", err)
		}
	}
	record = binary.LittleEndian.AppendUint32(append(record, knownEnd[:]...), uint32(len(k.files)))
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
	in := bufio.NewReaderSize(io.LimitReader(from, knownBytes+1024), 64<<10) // and the beginning and end
	summed := io.TeeReader(in, sum)
	var magic [len(knownMagic)]byte
	if _, err := io.ReadFull(summed, magic[:]); err != nil {
		return nil, err
	}
	if string(magic[:]) != knownMagic {
		return nil, errKnown
	}
	k := NewKnown()
	for n := uint32(0); ; n++ {
		// Key and format at once: most records have no more, and the end has.
		head, err := in.Peek(len(knownKey{}) + 1)
		if err != nil {
			return nil, err
		}
		key := knownKey(head)
		if key == knownEnd {
			return k, checkKnown(in, summed, sum, n)
		}
		if n >= knownLimit {
			return nil, errKnown
		}
		sum.Write(head)
		p, err := readKnown(head[len(key)], in, summed)
		if err != nil {
			return nil, err
		}
		if !k.room.add(p) {
			return nil, errKnown
		}
		k.files = append(k.files, knownFile{key: key, program: p})
	}
}

func checkKnown(in *bufio.Reader, summed io.Reader, sum interface{ Sum32() uint32 }, n uint32) error {
	var end knownKey
	var b [4]byte
	if _, err := io.ReadFull(summed, end[:]); err != nil {
		return err
	}
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

// readKnown reads what follows a key, of which in has shown the format.
func readKnown(format byte, in *bufio.Reader, summed io.Reader) (*program, error) {
	if _, err := in.Discard(len(knownKey{}) + 1); err != nil {
		return nil, err
	}
	if int(format) >= len(knownFormats) {
		return nil, errKnown
	}
	if p := shared(knownFormats[format]); p != nil {
		return p, nil
	}
	p := &program{format: knownFormats[format]}
	if _, err := io.ReadFull(summed, p.sum[:]); err != nil {
		return nil, err
	}
	var signature posture.Reading[string]
	for _, into := range []*posture.Reading[string]{&p.product, &p.version, &signature, &p.signer} {
		if err := readKnownText(summed, into); err != nil {
			return nil, err
		}
	}
	p.signature = posture.Reading[posture.SignatureState]{Value: posture.SignatureState(signature.Value), Absent: signature.Absent}
	switch p.signature.Value {
	case "", posture.Unsigned, posture.SignedUnproven, posture.SignedValid, posture.SignedInvalid:
		return p, nil
	}
	return nil, errKnown
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
