package probe

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// peFile is what is needed of the headers of a Windows program. The standard
// library's reader also takes in symbols and relocations, by numbers that a
// hostile file chooses; here only the headers, one resource and the signature
// are read, each within a bound of its own.
type peFile struct {
	io.ReaderAt
	size      int64
	flags     uint16
	sections  []peSection
	resources peRange // by address in memory
	signature peRange // by offset in the file
}

type peSection struct{ address, memory, offset, disk uint32 }

type peRange struct{ start, length uint32 }

const (
	peSections = 96       // as many as Windows itself loads
	peVersions = 64 << 10 // bytes of the version resource
	peSigned   = 1 << 20  // bytes of the signature
)

// identifyPE counts programs: not libraries, and not the MS-DOS stubs and data
// that share the first two letters.
func identifyPE(f io.ReaderAt, size int64, head []byte) (program, error) {
	file, ok, err := readPE(f, size, head)
	if !ok || err != nil {
		return program{}, err
	}
	const (
		runnable = 0x0002 // IMAGE_FILE_EXECUTABLE_IMAGE
		library  = 0x2000 // IMAGE_FILE_DLL
	)
	if file.flags&runnable == 0 || file.flags&library != 0 {
		return program{}, nil
	}
	p := program{format: posture.PE}
	if p.product, p.version, err = file.versions(); err != nil {
		return program{}, err
	}
	if p.signature, p.signer, err = file.signed(); err != nil {
		return program{}, err
	}
	return p, nil
}

func readPE(f io.ReaderAt, size int64, head []byte) (*peFile, bool, error) {
	if len(head) < 64 {
		return nil, false, nil
	}
	at := int64(binary.LittleEndian.Uint32(head[60:]))
	if at > size {
		return nil, false, nil
	}
	h, err := readAt(f, at, 24+240+peSections*40)
	if err != nil || len(h) < 24+2 || string(h[:4]) != "PE\x00\x00" {
		return nil, false, err
	}
	file := &peFile{ReaderAt: f, size: size, flags: binary.LittleEndian.Uint16(h[22:])}
	sections, optionalSize := int(binary.LittleEndian.Uint16(h[6:])), int(binary.LittleEndian.Uint16(h[20:]))
	optional := h[24:]
	directories := 96
	switch binary.LittleEndian.Uint16(optional) {
	case 0x10b:
	case 0x20b:
		directories = 112
	default:
		return nil, false, nil
	}
	if sections > peSections || optionalSize > len(optional) || optionalSize < directories {
		return file, true, nil // a program that tells nothing of itself
	}
	count := binary.LittleEndian.Uint32(optional[directories-4:])
	directory := func(i int) peRange {
		entry := directories + 8*i
		if uint32(i) >= count || entry+8 > optionalSize {
			return peRange{}
		}
		return peRange{binary.LittleEndian.Uint32(optional[entry:]), binary.LittleEndian.Uint32(optional[entry+4:])}
	}
	file.resources, file.signature = directory(2), directory(4)
	table := optional[optionalSize:]
	for range sections {
		if len(table) < 40 {
			break
		}
		file.sections = append(file.sections, peSection{
			memory: binary.LittleEndian.Uint32(table[8:]), address: binary.LittleEndian.Uint32(table[12:]),
			disk: binary.LittleEndian.Uint32(table[16:]), offset: binary.LittleEndian.Uint32(table[20:]),
		})
		table = table[40:]
	}
	return file, true, nil
}

// at reads up to n bytes at an address in memory; nothing if no section of the
// file is loaded there.
func (p *peFile) at(address uint32, n int) ([]byte, error) {
	for _, s := range p.sections {
		if address < s.address || address-s.address >= s.disk {
			continue
		}
		into := address - s.address
		return readAt(p, int64(s.offset)+int64(into), int(min(int64(n), int64(s.disk-into))))
	}
	return nil, nil
}

// resource finds the first resource of a type: type, name and language are
// three levels of the same table.
func (p *peFile) resource(kind uint32) ([]byte, error) {
	const entriesRead = 512
	if p.resources.start == 0 {
		return nil, nil
	}
	offset := uint32(0)
	for level := range 3 {
		head, err := p.at(p.resources.start+offset, 16+8*entriesRead)
		if err != nil || len(head) < 16 {
			return nil, err
		}
		count := int(binary.LittleEndian.Uint16(head[12:])) + int(binary.LittleEndian.Uint16(head[14:]))
		entry, found := uint32(0), false
		for list := head[16:]; count > 0 && len(list) >= 8; count, list = count-1, list[8:] {
			if level > 0 || binary.LittleEndian.Uint32(list) == kind {
				entry, found = binary.LittleEndian.Uint32(list[4:]), true
				break
			}
		}
		const subtable = 1 << 31
		if !found || (level < 2) != (entry&subtable != 0) {
			return nil, nil
		}
		offset = entry &^ subtable
	}
	data, err := p.at(p.resources.start+offset, 8)
	if err != nil || len(data) < 8 {
		return nil, err
	}
	return p.at(binary.LittleEndian.Uint32(data), int(min(binary.LittleEndian.Uint32(data[4:]), peVersions)))
}

// versions returns the product's name and version out of the version
// resource, in whatever language it is; "" where there is none. A version that
// stands in no text is the one in numbers.
func (p *peFile) versions() (product, version posture.Reading[string], err error) {
	const versionResource = 16 // RT_VERSION
	data, err := p.resource(versionResource)
	if err != nil {
		return product, version, err
	}
	info := parseVersionInfo(data)
	name, number := info["ProductName"], info["ProductVersion"]
	if name == "" {
		name = info["FileDescription"]
	}
	if number == "" {
		number = info["FileVersion"]
	}
	if number == "" {
		number = fixedVersion(data)
	}
	return posture.Read(clean(name, nameRunes)), posture.Read(clean(number, nameRunes)), nil
}

// parseVersionInfo gathers the strings of a VS_VERSIONINFO structure: blocks
// of length, length of value, type, a key in UTF-16, a value, and blocks
// inside, each at a multiple of four bytes.
func parseVersionInfo(data []byte) map[string]string {
	found := map[string]string{}
	root, ok := versionBlockOf(data)
	if !ok || root.key != "VS_VERSION_INFO" {
		return found
	}
	budget := 4096 // blocks in all
	root.each(&budget, func(file versionBlock) {
		if file.key != "StringFileInfo" {
			return
		}
		file.each(&budget, func(table versionBlock) {
			table.each(&budget, func(s versionBlock) {
				if _, dup := found[s.key]; !dup && len(found) < 64 {
					found[s.key] = utf16Text(s.value)
				}
			})
		})
	})
	return found
}

// fixedVersion returns the product's version, or else the file's, of the
// VS_FIXEDFILEINFO at the head of a version resource; "" if it is zero or not
// there.
func fixedVersion(data []byte) string {
	const (
		signature         = 0xfeef04bd
		size              = 52
		ofFile, ofProduct = 8, 16
	)
	root, ok := versionBlockOf(data)
	if !ok || root.key != "VS_VERSION_INFO" || len(root.value) < size || binary.LittleEndian.Uint32(root.value) != signature {
		return ""
	}
	for _, at := range []int{ofProduct, ofFile} {
		high, low := binary.LittleEndian.Uint32(root.value[at:]), binary.LittleEndian.Uint32(root.value[at+4:])
		if high != 0 || low != 0 {
			return fmt.Sprintf("%d.%d.%d.%d", high>>16, high&0xffff, low>>16, low&0xffff)
		}
	}
	return ""
}

type versionBlock struct {
	key          string
	value, inner []byte
	length       int
}

func versionBlockOf(data []byte) (versionBlock, bool) {
	if len(data) < 8 {
		return versionBlock{}, false
	}
	length, valueLength := int(binary.LittleEndian.Uint16(data)), int(binary.LittleEndian.Uint16(data[2:]))
	text := binary.LittleEndian.Uint16(data[4:]) == 1
	if length < 8 || length > len(data) {
		return versionBlock{}, false
	}
	data = data[:length]
	end := 6
	for end+1 < length && (data[end] != 0 || data[end+1] != 0) {
		end += 2
	}
	b := versionBlock{key: utf16Text(data[6:min(end, length)]), length: length}
	if text {
		valueLength *= 2 // counted in characters
	}
	start := min(align4(end+2), length)
	stop := min(start+valueLength, length)
	b.value, b.inner = data[start:stop], data[min(align4(stop), length):]
	return b, true
}

func (b versionBlock) each(budget *int, do func(versionBlock)) {
	for rest := b.inner; *budget > 0; {
		*budget--
		child, ok := versionBlockOf(rest)
		if !ok {
			return
		}
		do(child)
		rest = rest[min(align4(child.length), len(rest)):]
	}
}

func align4(n int) int { return (n + 3) &^ 3 }

// utf16Text decodes little-endian UTF-16 up to a zero.
func utf16Text(data []byte) string {
	units := make([]uint16, 0, min(len(data)/2, 2*nameRunes))
	for ; len(data) >= 2 && len(units) < cap(units); data = data[2:] {
		u := binary.LittleEndian.Uint16(data)
		if u == 0 {
			break
		}
		units = append(units, u)
	}
	return utf16Runes(units)
}
