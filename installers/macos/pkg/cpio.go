package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"time"
)

// cpio returns an archive of files, compressed: the old portable format of POSIX,
// "odc", in which the Installer takes files and scripts. All numbers are octal
// digits (POSIX.1-2001, pax, "cpio Interchange Format"):
//
//	magic 070707, device 6, inode 6, mode 6, user 6, group 6, links 6, special 6,
//	time 11, length of the name 6, length of the file 11; the name and a zero; the file
//
// It ends with an empty file of a name of its own.
func cpio(files []entry, made time.Time) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, fmt.Errorf("archive files: %w", err)
	}
	put := func(inode int, e entry, links int) {
		if err == nil {
			_, err = fmt.Fprintf(w, "070707%06o%06o%06o%06o%06o%06o%06o%011o%06o%011o%s\x00",
				0, inode, e.mode, 0, 0, links, 0, made.Unix(), len(e.path)+1, len(e.data), e.path)
		}
		if err == nil {
			_, err = w.Write(e.data)
		}
	}
	for i, e := range files {
		links := 1
		if e.folder() {
			links = 2
		}
		put(i+1, e, links)
	}
	made = time.Unix(0, 0)
	put(0, entry{path: "TRAILER!!!"}, 1)
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("archive files: %w", err)
	}
	return out.Bytes(), nil
}
