package probe

import (
	"bytes"
	"encoding/binary"
	"io"

	"github.com/caretaker-school/caretaker/shared/posture"
)

const (
	machoFat   = 0xcafebabe
	machoFat64 = 0xcafebabf
)

// machoMagic are the first four bytes of Mach-O files, read as big-endian.
var machoMagic = map[uint32]bool{
	0xfeedface: true, 0xfeedfacf: true, 0xcefaedfe: true, 0xcffaedfe: true, machoFat: true, machoFat64: true,
}

// machoPart is what is needed of the headers of a Mac program: for one of the
// processors that it is for.
type machoPart struct {
	io.ReaderAt
	offset    int64 // of the part for that processor
	kind      uint32
	signature *machoRange // nil if it carries none
}

// machoRange is a range of a file, by offset from the part.
type machoRange struct{ start, length uint32 }

// identifyMachO counts programs, not libraries or bundles. A file for several
// processors is judged by its first part. The names of a program lie beside
// the file, not in it.
func identifyMachO(f io.ReaderAt, head []byte) (program, error) {
	const executable = 2 // MH_EXECUTE
	file, err := readMachO(f, head)
	if err != nil || file == nil || file.kind != executable {
		return program{}, err
	}
	p := program{format: posture.MachO, product: unsupported[string](), version: unsupported[string]()}
	s, err := file.signed()
	p.signature, p.signer = s.state, s.signer
	return p, err
}

// readMachO reads the headers; nil if there are none that make sense.
func readMachO(f io.ReaderAt, head []byte) (*machoPart, error) {
	if len(head) < 4 {
		return nil, nil
	}
	magic := binary.BigEndian.Uint32(head)
	offset := int64(0)
	if magic == machoFat || magic == machoFat64 {
		// A Java class begins like a fat file, with its version, which is at
		// least 45, where the number of parts stands.
		if len(head) < 28 {
			return nil, nil
		}
		parts := binary.BigEndian.Uint32(head[4:])
		if parts == 0 || parts > 32 {
			return nil, nil
		}
		offset = int64(binary.BigEndian.Uint32(head[16:]))
		if magic == machoFat64 {
			offset = int64(binary.BigEndian.Uint64(head[16:]) & (1<<62 - 1))
		}
		var err error
		if head, err = readAt(f, offset, sniffSize); err != nil || len(head) < 4 {
			return nil, err
		}
		magic = binary.BigEndian.Uint32(head)
	}
	if !machoMagic[magic] || magic == machoFat || magic == machoFat64 {
		return nil, nil
	}
	return readMachOPart(f, offset, head, magic)
}

func readMachOPart(f io.ReaderAt, offset int64, head []byte, magic uint32) (*machoPart, error) {
	var order binary.ByteOrder = binary.LittleEndian
	if magic == 0xfeedface || magic == 0xfeedfacf {
		order = binary.BigEndian
	}
	size := 28
	if magic == 0xfeedfacf || magic == 0xcffaedfe {
		size = 32
	}
	if len(head) < size {
		return nil, nil
	}
	file := &machoPart{ReaderAt: f, offset: offset, kind: order.Uint32(head[12:])}
	count, length := order.Uint32(head[16:]), order.Uint32(head[20:])
	commands, err := readAt(f, offset+int64(size), int(min(length, 1<<20)))
	if err != nil {
		return nil, err
	}
	for range min(count, 4096) {
		const codeSignature = 0x1d // LC_CODE_SIGNATURE
		if len(commands) < 8 {
			break
		}
		n := order.Uint32(commands[4:])
		if order.Uint32(commands) == codeSignature {
			file.signature = &machoRange{}
			if n >= 16 && len(commands) >= 16 {
				file.signature = &machoRange{order.Uint32(commands[8:]), order.Uint32(commands[12:])}
			}
			break
		}
		if n < 8 || uint64(n) > uint64(len(commands)) {
			break
		}
		commands = commands[n:]
	}
	return file, nil
}

// machoSignature is what a Mac program says of who signed it. Whether that
// holds is not judged.
type machoSignature struct {
	state  posture.Reading[posture.SignatureState]
	signer posture.Reading[string] // whom the certificate names
	team   string                  // Apple's identifier of the signer; "" if none is named
}

// machoSigner returns what the Mach-O file f, of size bytes, says of who
// signed it; that it is unsigned, too, if it is no Mach-O file.
func machoSigner(f io.ReaderAt, size int64) (machoSignature, error) {
	head, err := readAt(f, 0, int(min(sniffSize, max(size, 0))))
	if err != nil {
		return machoSignature{}, err
	}
	file, err := readMachO(f, head)
	if err != nil {
		return machoSignature{}, err
	}
	if file == nil {
		file = &machoPart{}
	}
	return file.signed()
}

// Magic numbers and kinds of the blobs of a signature (cs_blobs.h), which are
// big-endian whatever the processor.
const (
	machoSuperBlob     = 0xfade0cc0
	machoCodeDirectory = 0xfade0c02
	machoWrapper       = 0xfade0b01
	machoSlotDirectory = 0
	machoSlotCMS       = 0x10000
	machoAdHoc         = 0x2 // CS_ADHOC: made by the linker or for this machine alone, by nobody
)

// signed reads who is named as the signer. What is signed "ad hoc", as every
// program for Apple's processors is, names nobody and is unsigned.
func (m *machoPart) signed() (machoSignature, error) {
	unsigned := machoSignature{state: posture.Read(posture.Unsigned), signer: posture.Read("")}
	if m.signature == nil {
		return unsigned, nil
	}
	s := machoSignature{state: posture.Read(posture.SignedUnproven), signer: posture.Unread[string](posture.Unreadable)}
	directory, cms, err := m.blobs()
	if err != nil {
		return machoSignature{}, err
	}
	if directory != nil {
		const versionWithTeam = 0x20200
		if len(directory) >= 52 && binary.BigEndian.Uint32(directory[8:]) >= versionWithTeam {
			s.team = machoTeam(directory, binary.BigEndian.Uint32(directory[48:]))
		}
		if len(directory) >= 16 && binary.BigEndian.Uint32(directory[12:])&machoAdHoc != 0 && len(cms) == 0 {
			return unsigned, nil
		}
	}
	if der, ok := derOf(cms); ok {
		if name, ok := signerName(der); ok {
			s.signer = posture.Read(clean(name, nameRunes))
		}
	}
	return s, nil
}

// blobs returns the beginning of the code directory and the message of the
// signature; nil where there is none.
func (m *machoPart) blobs() (directory, cms []byte, err error) {
	const (
		mostBlobs     = 64
		directoryRead = 16 << 10 // bytes, in which its names stand before its hashes
	)
	head, err := m.signatureAt(0, 12+8*mostBlobs)
	if err != nil || len(head) < 12 || binary.BigEndian.Uint32(head) != machoSuperBlob {
		return nil, nil, err
	}
	index := head[12:]
	for range min(binary.BigEndian.Uint32(head[8:]), mostBlobs) {
		if len(index) < 8 {
			break
		}
		kind, at := binary.BigEndian.Uint32(index), binary.BigEndian.Uint32(index[4:])
		index = index[8:]
		switch {
		case kind == machoSlotDirectory && directory == nil:
			directory, err = m.blob(at, machoCodeDirectory, directoryRead)
		case kind == machoSlotCMS && cms == nil:
			cms, err = m.blob(at, machoWrapper, peSigned)
			if len(cms) >= 8 {
				cms = cms[8:]
			}
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return directory, cms, nil
}

// blob reads up to n bytes of a blob, if it is of that kind.
func (m *machoPart) blob(at, magic uint32, n int) ([]byte, error) {
	head, err := m.signatureAt(at, 8)
	if err != nil || len(head) < 8 || binary.BigEndian.Uint32(head) != magic {
		return nil, err
	}
	length := binary.BigEndian.Uint32(head[4:])
	if length < 8 {
		return nil, nil
	}
	return m.signatureAt(at, int(min(int64(length), int64(n))))
}

// signatureAt reads up to n bytes of the signature; fewer where it ends.
func (m *machoPart) signatureAt(at uint32, n int) ([]byte, error) {
	if at >= m.signature.length {
		return nil, nil
	}
	n = int(min(int64(n), int64(m.signature.length-at)))
	return readAt(m, m.offset+int64(m.signature.start)+int64(at), n)
}

// machoTeam returns the identifier of a team, ten letters and digits.
func machoTeam(directory []byte, at uint32) string {
	if at == 0 || uint64(at) >= uint64(len(directory)) {
		return ""
	}
	team, _, ended := bytes.Cut(directory[at:], []byte{0})
	if !ended || len(team) != 10 {
		return ""
	}
	for _, c := range team {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			return ""
		}
	}
	return string(team)
}
