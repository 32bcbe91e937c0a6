// Package crafted makes files that are made to hurt whoever looks into them,
// for tests: headers that claim what there is not, tables that lead back to
// themselves, nesting without end. It is tests only.
package crafted

import (
	"bytes"
	"encoding/binary"
	"maps"
	"math"
	"unicode/utf16"
)

// Program is a program in its smallest form, and harmless.
func Program(more string) []byte {
	return append(elf(elfHead{kind: 2}), more...)
}

// Executables returns files that look like programs, by name. None is larger
// than a few megabytes.
func Executables() map[string][]byte {
	all := map[string][]byte{
		"empty":                nil,
		"zip-many":             bytes.Repeat([]byte("PK\x03\x04"), 1<<18),
		"zip-vast":             localFile("bomb", math.MaxUint32),
		"jar-bomb":             append(localFile("META-INF/MANIFEST.MF", math.MaxUint32), make([]byte, 1<<20)...),
		"script-without-end":   append([]byte("#!/"), bytes.Repeat([]byte("x"), 1<<20)...),
		"script-of-spaces":     append([]byte("#!"), bytes.Repeat([]byte(" "), 1<<20)...),
		"appimage-bomb":        append([]byte("\x7fELF\x02\x01\x01\x00AI\x02"), make([]byte, 1<<20)...),
		"appimage-of-11-bytes": []byte("\x7fELF\x02\x01\x01\x00AI\x02"),
	}
	maps.Copy(all, portable())
	maps.Copy(all, linkable())
	maps.Copy(all, mach())
	return all
}

// localFile is the head of a file in a ZIP archive.
func localFile(name string, packed uint32) []byte {
	h := make([]byte, 30, 30+len(name))
	copy(h, "PK\x03\x04")
	binary.LittleEndian.PutUint32(h[18:], packed)
	binary.LittleEndian.PutUint32(h[22:], packed)
	binary.LittleEndian.PutUint16(h[26:], uint16(len(name)))
	return append(h, name...)
}

type elfHead struct {
	kind            uint16
	programs        uint64
	count, size     uint16
	sections        uint64
	sectionsAndMore uint16
}

func elf(h elfHead) []byte {
	b := make([]byte, 64)
	copy(b, "\x7fELF\x02\x01\x01")
	binary.LittleEndian.PutUint16(b[16:], h.kind)
	binary.LittleEndian.PutUint16(b[18:], 62)
	binary.LittleEndian.PutUint64(b[24:], 1)
	binary.LittleEndian.PutUint64(b[32:], h.programs)
	binary.LittleEndian.PutUint64(b[40:], h.sections)
	binary.LittleEndian.PutUint16(b[54:], h.size)
	binary.LittleEndian.PutUint16(b[56:], h.count)
	binary.LittleEndian.PutUint16(b[60:], h.sectionsAndMore)
	return b
}

// linkable are ELF files: tables beyond the file and beyond all numbers.
func linkable() map[string][]byte {
	dynamic := func(offset, length uint64) []byte {
		s := make([]byte, 56)
		binary.LittleEndian.PutUint32(s, 2)
		binary.LittleEndian.PutUint64(s[8:], offset)
		binary.LittleEndian.PutUint64(s[32:], length)
		return append(elf(elfHead{kind: 3, programs: 64, count: 1, size: 56}), s...)
	}
	return map[string][]byte{
		"elf-of-4-bytes":       []byte("\x7fELF"),
		"elf-headers-65535":    elf(elfHead{kind: 3, programs: 64, count: 65535, size: 56}),
		"elf-headers-wrap":     elf(elfHead{kind: 3, programs: math.MaxUint64 - 8, count: 100, size: 56}),
		"elf-headers-negative": elf(elfHead{kind: 3, programs: 1 << 63, count: 100, size: 56}),
		"elf-headers-beyond":   elf(elfHead{kind: 3, programs: 1 << 39, count: 100, size: 56}),
		"elf-headers-of-0":     elf(elfHead{kind: 3, programs: 64, count: 100, size: 0}),
		"elf-sections":         elf(elfHead{kind: 3, sections: math.MaxUint64, sectionsAndMore: 65535}),
		"elf-dynamic-wrap":     dynamic(math.MaxUint64, math.MaxUint64),
		"elf-dynamic-vast":     dynamic(0, math.MaxUint64),
	}
}

// mach are Mach-O files: parts without end, and parts in themselves.
func mach() map[string][]byte {
	fat := func(magic, parts uint32, offset uint64) []byte {
		b := make([]byte, 4096)
		binary.BigEndian.PutUint32(b, magic)
		binary.BigEndian.PutUint32(b[4:], parts)
		if magic == 0xcafebabf {
			binary.BigEndian.PutUint64(b[16:], offset)
		} else {
			binary.BigEndian.PutUint32(b[16:], uint32(offset))
		}
		return b
	}
	thin := func(commands, length, size uint32) []byte {
		b := make([]byte, 4096)
		binary.LittleEndian.PutUint32(b, 0xfeedfacf)
		binary.LittleEndian.PutUint32(b[12:], 2)
		binary.LittleEndian.PutUint32(b[16:], commands)
		binary.LittleEndian.PutUint32(b[20:], length)
		for at := 32; at+8 <= len(b); at += 8 {
			binary.LittleEndian.PutUint32(b[at+4:], size)
		}
		return b
	}
	return map[string][]byte{
		"fat-4-billion-parts": fat(0xcafebabe, math.MaxUint32, 4096),
		"fat-in-itself":       fat(0xcafebabe, 2, 0),
		"fat-beyond":          fat(0xcafebabe, 2, math.MaxUint32),
		"fat-wrap":            fat(0xcafebabf, 2, math.MaxUint64),
		"macho-commands":      thin(math.MaxUint32, math.MaxUint32, 8),
		"macho-of-nothing":    thin(math.MaxUint32, math.MaxUint32, 0),
		"macho-vast":          thin(math.MaxUint32, math.MaxUint32, math.MaxUint32),
	}
}

// peParts are what a crafted PE file claims.
type peParts struct {
	sections  uint16
	imports   [2]uint32 // address and length
	resources []byte    // the section that holds them
	signature [2]uint32 // offset and length
	tail      []byte
}

const (
	peResources = 0x2000 // where the resources are in memory
	peHead      = 64 + 24 + 240 + 40
)

// pe is a PE32+ program with one section.
func pe(p peParts) []byte {
	b := make([]byte, peHead)
	copy(b, "MZ")
	binary.LittleEndian.PutUint32(b[60:], 64)
	copy(b[64:], "PE\x00\x00")
	binary.LittleEndian.PutUint16(b[64+6:], max(p.sections, 1))
	binary.LittleEndian.PutUint16(b[64+20:], 240)
	binary.LittleEndian.PutUint16(b[64+22:], 2)
	optional := b[64+24:]
	binary.LittleEndian.PutUint16(optional, 0x20b)
	binary.LittleEndian.PutUint32(optional[108:], 16)
	for i, of := range [][2]uint32{1: p.imports, 2: {peResources, math.MaxUint32}, 4: p.signature} {
		binary.LittleEndian.PutUint32(optional[112+8*i:], of[0])
		binary.LittleEndian.PutUint32(optional[116+8*i:], of[1])
	}
	section := b[64+24+240:]
	binary.LittleEndian.PutUint32(section[8:], uint32(len(p.resources)))
	binary.LittleEndian.PutUint32(section[12:], peResources)
	binary.LittleEndian.PutUint32(section[16:], uint32(len(p.resources)))
	binary.LittleEndian.PutUint32(section[20:], peHead)
	return append(append(b, p.resources...), p.tail...)
}

// directory is a table of resources of one kind, leading to an entry.
func directory(entries uint16, kind, entry uint32) []byte {
	b := make([]byte, 24)
	binary.LittleEndian.PutUint16(b[14:], entries)
	binary.LittleEndian.PutUint32(b[16:], kind)
	binary.LittleEndian.PutUint32(b[20:], entry)
	return b
}

// versionIn puts a version resource of a claimed length into a tree.
func versionIn(data []byte, claimed uint32) []byte {
	const sub = 1 << 31
	tree := append(directory(1, 16, 24|sub), directory(1, 1, 48|sub)...)
	tree = append(tree, directory(1, 0, 72)...)
	leaf := make([]byte, 16)
	binary.LittleEndian.PutUint32(leaf, peResources+88)
	binary.LittleEndian.PutUint32(leaf[4:], claimed)
	return append(append(tree, leaf...), data...)
}

// block is one of the blocks of a version resource.
func block(key string, value, inner []byte) []byte {
	b := make([]byte, 6)
	binary.LittleEndian.PutUint16(b[2:], uint16(len(value)/2))
	binary.LittleEndian.PutUint16(b[4:], 1)
	for _, u := range append(utf16.Encode([]rune(key)), 0) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	pad := func() { b = append(b, make([]byte, (4-len(b)%4)%4)...) }
	pad()
	b = append(b, value...)
	pad()
	b = append(b, inner...)
	binary.LittleEndian.PutUint16(b, uint16(len(b)))
	return b
}

// Named is a program whose version resource gives it these names.
func Named(product, version string) []byte {
	text := func(s string) []byte {
		var b []byte
		for _, u := range append(utf16.Encode([]rune(s)), 0) {
			b = binary.LittleEndian.AppendUint16(b, u)
		}
		return b
	}
	names := block("ProductName", text(product), nil)
	names = append(names, make([]byte, (4-len(names)%4)%4)...)
	names = append(names, block("ProductVersion", text(version), nil)...)
	v := block("VS_VERSION_INFO", nil, block("StringFileInfo", nil, block("040904b0", nil, names)))
	return pe(peParts{resources: versionIn(v, uint32(len(v)))})
}

// portable are PE files.
func portable() map[string][]byte {
	const sub = 1 << 31
	nested := []byte(nil)
	for range 900 {
		nested = block("", nil, nested)
	}
	hollow := bytes.Repeat([]byte{8, 0, 0, 0, 1, 0, 0, 0}, 7000)
	certificate := func(claimed uint32, der []byte) peParts {
		b := binary.LittleEndian.AppendUint32(nil, claimed)
		b = append(append(b, 0, 2, 2, 0), der...)
		return peParts{signature: [2]uint32{peHead, uint32(len(b))}, tail: b}
	}
	signed := func(der []byte) []byte { return pe(certificate(uint32(len(der))+8, der)) }
	deep := []byte{}
	for range 20_000 {
		deep = append(deep, 0x30, 0x83, 0x0f, 0xff, 0xff)
	}
	// A message of the right type, whose content is what follows.
	message := []byte("\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x80")
	beyond := pe(peParts{signature: [2]uint32{math.MaxUint32 - 8, math.MaxUint32}})
	far := pe(peParts{})
	binary.LittleEndian.PutUint32(far[60:], math.MaxUint32)
	end := pe(peParts{})
	binary.LittleEndian.PutUint32(end[60:], uint32(len(end)-2))
	return map[string][]byte{
		"mz":                       []byte("MZ"),
		"pe-head-beyond":           far,
		"pe-head-at-the-end":       end,
		"pe-65535-sections":        pe(peParts{sections: 65535}),
		"pe-imports":               pe(peParts{imports: [2]uint32{peResources, math.MaxUint32}, resources: bytes.Repeat([]byte{1}, 1<<20)}),
		"pe-resources-circle":      pe(peParts{resources: directory(1, 16, 0|sub)}),
		"pe-resources-65535":       pe(peParts{resources: bytes.Repeat(directory(65535, 7, 0|sub), 1<<14)}),
		"pe-version-4-GB":          pe(peParts{resources: versionIn(block("VS_VERSION_INFO", nil, nil), math.MaxUint32)}),
		"pe-version-nested":        pe(peParts{resources: versionIn(block("VS_VERSION_INFO", nil, nested), 1<<16)}),
		"pe-version-hollow":        pe(peParts{resources: versionIn(block("VS_VERSION_INFO", nil, block("StringFileInfo", nil, hollow)), 1<<16)}),
		"pe-certificate-beyond":    beyond,
		"pe-certificate-4-GB":      pe(certificate(math.MaxUint32, []byte{0x30})),
		"pe-certificate-of-0":      pe(certificate(0, nil)),
		"pe-der-vast":              signed([]byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0x06}),
		"pe-der-longer-than-long":  signed([]byte{0x30, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}),
		"pe-der-indefinite":        signed(bytes.Repeat([]byte{0x30, 0x80}, 500_000)),
		"pe-der-deep":              signed(deep),
		"pe-der-signed-indefinite": signed(append(message, bytes.Repeat([]byte{0x30, 0x80}, 100_000)...)),
		"pe-names-made-to-hurt":    Named("\u202eexe.\u2066\x1b[2J\x00<script>'\";--", "1\n2\r3\u2028"),
	}
}
