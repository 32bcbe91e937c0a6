package probe

import (
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

// identifyMachO counts programs, not libraries or bundles. A file for several
// processors is judged by its first part. The names of a program lie beside
// the file, not in it; of its signature only the presence is seen.
func identifyMachO(f io.ReaderAt, head []byte) (program, error) {
	magic := binary.BigEndian.Uint32(head)
	offset := int64(0)
	if magic == machoFat || magic == machoFat64 {
		// A Java class begins like a fat file, with its version, which is at
		// least 45, where the number of parts stands.
		if len(head) < 28 {
			return program{}, nil
		}
		parts := binary.BigEndian.Uint32(head[4:])
		if parts == 0 || parts > 32 {
			return program{}, nil
		}
		offset = int64(binary.BigEndian.Uint32(head[16:]))
		if magic == machoFat64 {
			offset = int64(binary.BigEndian.Uint64(head[16:]) & (1<<62 - 1))
		}
		var err error
		if head, err = readAt(f, offset, sniffSize); err != nil || len(head) < 4 {
			return program{}, err
		}
		if m := binary.BigEndian.Uint32(head); !machoMagic[m] || m == machoFat || m == machoFat64 {
			return program{}, nil
		}
	}
	return machoProgram(f, offset, head)
}

func machoProgram(f io.ReaderAt, offset int64, head []byte) (program, error) {
	const executable = 2 // MH_EXECUTE
	var order binary.ByteOrder = binary.LittleEndian
	magic := binary.BigEndian.Uint32(head)
	if magic == 0xfeedface || magic == 0xfeedfacf {
		order = binary.BigEndian
	}
	size := 28
	if magic == 0xfeedfacf || magic == 0xcffaedfe {
		size = 32
	}
	if len(head) < size || order.Uint32(head[12:]) != executable {
		return program{}, nil
	}
	p := program{
		format: posture.MachO, product: unsupported[string](), version: unsupported[string](),
		signature: posture.Read(posture.Unsigned), signer: posture.Read(""),
	}
	count, length := order.Uint32(head[16:]), order.Uint32(head[20:])
	commands, err := readAt(f, offset+int64(size), int(min(length, 1<<20)))
	if err != nil {
		return program{}, err
	}
	for range min(count, 4096) {
		const codeSignature = 0x1d // LC_CODE_SIGNATURE
		if len(commands) < 8 {
			break
		}
		if order.Uint32(commands) == codeSignature {
			p.signature, p.signer = posture.Read(posture.SignedUnproven), unsupported[string]()
			break
		}
		n := order.Uint32(commands[4:])
		if n < 8 || uint64(n) > uint64(len(commands)) {
			break
		}
		commands = commands[n:]
	}
	return p, nil
}
