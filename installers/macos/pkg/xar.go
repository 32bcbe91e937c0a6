package main

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"time"
)

// The table of contents of an archive, as https://github.com/mackyle/xar/wiki/xarformat
// has it. Its checksums are SHA-1 because that is what every reader knows; they are
// against accidents. What is trusted is a signature, which a Mac makes and checks.
type (
	xarDocument struct {
		XMLName xml.Name `xml:"xar"`
		TOC     xarTOC   `xml:"toc"`
	}
	xarTOC struct {
		Made     string    `xml:"creation-time"`
		Checksum xarPlace  `xml:"checksum"`
		Files    []xarFile `xml:"file"`
	}
	xarPlace struct {
		Style  string `xml:"style,attr"`
		Offset int    `xml:"offset"`
		Size   int    `xml:"size"`
	}
	xarFile struct {
		ID    int       `xml:"id,attr"`
		Data  *xarData  `xml:"data,omitempty"`
		Time  string    `xml:"mtime"`
		Group string    `xml:"group"`
		GID   int       `xml:"gid"`
		User  string    `xml:"user"`
		UID   int       `xml:"uid"`
		Mode  string    `xml:"mode"`
		Type  string    `xml:"type"`
		Name  string    `xml:"name"`
		Files []xarFile `xml:"file,omitempty"`
	}
	xarData struct {
		Length    int      `xml:"length"` // in the archive
		Offset    int      `xml:"offset"` // from the heap's beginning
		Size      int      `xml:"size"`   // of the file
		Encoding  xarStyle `xml:"encoding"`
		Extracted xarSum   `xml:"extracted-checksum"`
		Archived  xarSum   `xml:"archived-checksum"`
	}
	xarStyle struct {
		Style string `xml:"style,attr"`
	}
	xarSum struct {
		Style string `xml:"style,attr"`
		Sum   string `xml:",chardata"`
	}
)

// Of the archive's header: 28 bytes in network byte order.
const (
	xarMagic   = 0x78617221 // "xar!"
	xarHeader  = 28         // its own length
	xarVersion = 1
	xarSHA1    = 1
)

// xar writes an archive: a header; the table of contents, compressed; and the heap,
// which begins with the table's checksum and holds each file as it is. A folder
// comes before what is in it.
func xar(w io.Writer, made time.Time, entries []entry) error {
	heap := make([]byte, sha1.Size) // the table's checksum comes here
	var build func(folder string) []xarFile
	id := 0
	build = func(folder string) (files []xarFile) {
		for _, e := range entries {
			in, name := e.parent()
			if in != folder {
				continue
			}
			id++
			f := xarFile{
				ID: id, Time: made.Format(time.RFC3339), Group: "wheel", User: "root",
				Mode: fmt.Sprintf("%04o", e.mode&^modeKinds), Type: "directory", Name: name,
			}
			if e.folder() {
				f.Files = build(e.path)
			} else {
				sum := sha1.Sum(e.data)
				style := xarSum{"sha1", hex.EncodeToString(sum[:])}
				f.Type = "file"
				f.Data = &xarData{len(e.data), len(heap), len(e.data), xarStyle{"application/octet-stream"}, style, style}
				heap = append(heap, e.data...)
			}
			files = append(files, f)
		}
		return files
	}
	table, err := xml.Marshal(xarDocument{TOC: xarTOC{
		Made: made.Format("2006-01-02T15:04:05"), Checksum: xarPlace{"sha1", 0, sha1.Size}, Files: build(""),
	}})
	if err != nil {
		return fmt.Errorf("list what is in the archive: %w", err)
	}
	table = append([]byte(xml.Header), table...)
	var compressed bytes.Buffer
	z := zlib.NewWriter(&compressed)
	if _, err = z.Write(table); err == nil {
		err = z.Close()
	}
	if err != nil {
		return fmt.Errorf("list what is in the archive: %w", err)
	}
	sum := sha1.Sum(compressed.Bytes())
	copy(heap, sum[:])

	header := binary.BigEndian.AppendUint32(nil, xarMagic)
	header = binary.BigEndian.AppendUint16(header, xarHeader)
	header = binary.BigEndian.AppendUint16(header, xarVersion)
	header = binary.BigEndian.AppendUint64(header, uint64(compressed.Len()))
	header = binary.BigEndian.AppendUint64(header, uint64(len(table)))
	header = binary.BigEndian.AppendUint32(header, xarSHA1)
	for _, part := range [][]byte{header, compressed.Bytes(), heap} {
		if _, err := w.Write(part); err != nil {
			return fmt.Errorf("write the archive: %w", err)
		}
	}
	return nil
}
