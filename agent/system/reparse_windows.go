package system

// Attributes of files and tags of reparse points, as they stand on disks.
const (
	// attributesAway are those of a file or folder whose content, or part of
	// it, is somewhere else (OFFLINE, RECALL_ON_OPEN, RECALL_ON_DATA_ACCESS):
	// reading it would fetch that.
	attributesAway = 0x1000 | 0x40000 | 0x400000

	tagSurrogate   = 0x20000000 // another name for what lies elsewhere: junctions, symbolic links, mounted volumes
	tagAppExecLink = 0x8000001b // an alias of a packaged app
	tagUnixSocket  = 0x80000023
	tagUnixFIFO    = 0x80000024
	tagUnixChar    = 0x80000025
	tagUnixBlock   = 0x80000026
)

// hidesContent reports whether there is content behind a reparse point that a
// walk does not come by elsewhere: a file that is in the cloud, compressed by a
// server, or provided by a container. What is only another name for something,
// and what nobody can read like a file, hides none.
func hidesContent(tag uint32) bool {
	if tag&tagSurrogate != 0 {
		return false
	}
	switch tag {
	case tagAppExecLink, tagUnixSocket, tagUnixFIFO, tagUnixChar, tagUnixBlock:
		return false
	}
	return true
}
