package probe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// sniffSize is how much of every file is read to tell what it is.
const sniffSize = 4096

// identify tells what a file is by its content; the zero program if it is not
// executable. Libraries, drivers and object files are not: they run in a
// program, which is found itself. An error means that the file could not be
// read; content that makes no sense is not executable.
//
// The content is hostile. Nothing here allocates by a number that the file
// gives without a bound, and a panic is contained.
func identify(f io.ReaderAt, size int64) (p program, err error) {
	defer func() {
		if r := recover(); r != nil {
			p, err = program{}, fmt.Errorf("tell what a file is: %v", r)
		}
	}()
	head, err := readAt(f, 0, int(min(sniffSize, max(size, 0))))
	if err != nil {
		return program{}, err
	}
	switch {
	case bytes.HasPrefix(head, []byte("\x7fELF")):
		return identifyELF(f, head)
	case bytes.HasPrefix(head, []byte("MZ")):
		return identifyPE(f, size, head)
	case bytes.HasPrefix(head, []byte("#!")):
		if isScript(head) {
			return program{format: posture.Script}, nil
		}
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		jar, err := isJAR(f, size)
		if jar {
			return program{format: posture.JAR}, nil
		}
		return program{}, err
	case len(head) >= 4 && machoMagic[binary.BigEndian.Uint32(head)]:
		return identifyMachO(f, head)
	}
	return program{}, nil
}

// readAt reads up to n bytes; fewer only where the file ends.
func readAt(f io.ReaderAt, offset int64, n int) ([]byte, error) {
	if offset < 0 || n < 0 {
		return nil, nil
	}
	data := make([]byte, n)
	got, err := f.ReadAt(data, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return data[:got], nil
}

// isScript reports whether the kernel would look for an interpreter: "#!" and
// an absolute path. "#![allow(unused)]" opens a Rust source file.
func isScript(head []byte) bool {
	rest := bytes.TrimLeft(head[2:], " \t")
	return len(rest) > 1 && rest[0] == '/'
}

// isJAR looks for the manifest among the first files of a ZIP archive, where
// the specification puts it.
func isJAR(f io.ReaderAt, size int64) (bool, error) {
	const (
		headers    = 16
		headerSize = 30
		manifest   = "META-INF/MANIFEST.MF"
	)
	offset := int64(0)
	for range headers {
		h, err := readAt(f, offset, headerSize+len(manifest))
		if err != nil {
			return false, err
		}
		if len(h) < headerSize || string(h[:4]) != "PK\x03\x04" {
			return false, nil
		}
		flags, packed := binary.LittleEndian.Uint16(h[6:]), int64(binary.LittleEndian.Uint32(h[18:]))
		name, extra := int(binary.LittleEndian.Uint16(h[26:])), int64(binary.LittleEndian.Uint16(h[28:]))
		if name == len(manifest) && string(h[headerSize:]) == manifest {
			return true, nil
		}
		if flags&8 != 0 && packed == 0 && !(name > 0 && name <= len(h)-headerSize && h[headerSize+name-1] == '/') {
			return false, nil // the size follows the content: the next header cannot be found
		}
		offset += headerSize + int64(name) + extra + packed
		if offset >= size {
			return false, nil
		}
	}
	return false, nil
}
