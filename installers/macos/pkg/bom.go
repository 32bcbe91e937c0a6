package main

import (
	"encoding/binary"
	"time"
)

// A bill of materials lists what a package brought, for the Mac's record of it.
// Apple documents it as bom(5) and says nothing of its bytes; they are as
// https://github.com/hogliux/bomutils found them (src/bom.h), whose reader reads
// what is written here. All numbers are in network byte order:
//
//	header        "BOMStore", 1, how many blocks, where the index is, its length,
//	              where the variables are, their length; filled up to 512 bytes
//	variables     how many; of each the number of its block, and its name
//	blocks        one after another
//	index         how many; of each where it is and its length, number 0 being
//	              nowhere; then an empty list of what is free
//
// The variables are BomInfo (how many paths), Paths (the tree of them), and three
// empty trees: HLIndex (hard links), VIndex (by architecture) and Size64 (files
// beyond 4 GiB).
type bomStore struct {
	blocks [][]byte // block 1 is the first
	vars   []byte
	count  uint32 // of the variables
}

const bomHeader = 512

func (s *bomStore) block(fields ...any) (number uint32) {
	var data []byte
	for _, f := range fields {
		switch f := f.(type) {
		case string:
			data = append(append(data, f...), 0)
		case []byte:
			data = append(data, f...)
		default:
			data, _ = binary.Append(data, binary.BigEndian, f) // of fixed sizes, all of them
		}
	}
	s.blocks = append(s.blocks, data)
	return uint32(len(s.blocks))
}

func (s *bomStore) variable(name string, block uint32) {
	s.count++
	s.vars = binary.BigEndian.AppendUint32(s.vars, block)
	s.vars = append(append(s.vars, byte(len(name))), name...)
}

// tree is a block that leads to others: its root, how large those may be, and how
// many paths there are in all.
func (s *bomStore) tree(root, size, paths uint32) uint32 {
	return s.block([]byte("tree"), uint32(1), root, size, paths, uint8(0))
}

// leaf is a block with the ends of a tree: pairs of what an entry is and what it is
// called. There is one leaf, and so no other before or after it.
func (s *bomStore) leaf(pairs []uint32) uint32 {
	return s.block(uint16(1), uint16(len(pairs)/2), uint32(0), uint32(0), pairs)
}

// mostInLeaf is how many entries a leaf of 4,096 bytes has room for. A package that
// brings more would need a tree of several.
const mostInLeaf = 256

func bom(files []entry, made time.Time) []byte {
	if len(files) > mostInLeaf {
		panic("a bill of materials with more files than one leaf holds")
	}
	var s bomStore
	s.variable("BomInfo", s.block(uint32(1), uint32(len(files)+1), uint32(1), [4]uint32{}))

	numbers := map[string]uint32{} // of the entries, from 1 on, by their paths
	var pairs []uint32
	for i, e := range files {
		kind := uint8(1)
		if e.folder() {
			kind = 2
		}
		const anyProcessor = 3
		what := s.block(kind, uint8(1), uint16(anyProcessor), e.mode, uint32(0), uint32(0), uint32(made.Unix()),
			uint32(len(e.data)), uint8(1), cksum(e.data), uint32(0))
		number := uint32(i + 1)
		numbers[e.path] = number
		entry := s.block(number, what)
		folder, name := e.parent()
		pairs = append(pairs, entry, s.block(numbers[folder], name))
	}
	s.variable("Paths", s.tree(s.leaf(pairs), 4096, uint32(len(files))))
	s.variable("HLIndex", s.tree(s.leaf(nil), 4096, 0))
	s.variable("VIndex", s.block(uint32(1), s.tree(s.leaf(nil), 128, 0), uint32(0), uint8(0)))
	s.variable("Size64", s.tree(s.leaf(nil), 4096, 0))
	return s.bytes()
}

func (s *bomStore) bytes() []byte {
	vars := append(binary.BigEndian.AppendUint32(nil, s.count), s.vars...)
	index := binary.BigEndian.AppendUint32(nil, uint32(len(s.blocks)+1))
	index = append(index, make([]byte, 8)...)
	var blocks []byte
	for _, b := range s.blocks {
		index = binary.BigEndian.AppendUint32(index, uint32(bomHeader+len(vars)+len(blocks)))
		index = binary.BigEndian.AppendUint32(index, uint32(len(b)))
		blocks = append(blocks, b...)
	}
	index = append(index, make([]byte, 4+2*8)...) // nothing is free
	header := []byte("BOMStore")
	for _, field := range []int{1, len(s.blocks), bomHeader + len(vars) + len(blocks), len(index), bomHeader, len(vars)} {
		header = binary.BigEndian.AppendUint32(header, uint32(field))
	}
	header = append(header, make([]byte, bomHeader-len(header))...)
	return append(append(append(header, vars...), blocks...), index...)
}

// cksum is the checksum of POSIX' command of that name, 0 for a folder.
func cksum(data []byte) uint32 {
	if data == nil {
		return 0
	}
	var crc uint32
	add := func(b byte) {
		crc ^= uint32(b) << 24
		for range 8 {
			top := crc >> 31
			crc <<= 1
			crc ^= top * 0x04C11DB7
		}
	}
	for _, b := range data {
		add(b)
	}
	for n := len(data); n > 0; n >>= 8 {
		add(byte(n))
	}
	return ^crc
}
