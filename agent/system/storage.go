package system

// alignedSpan returns the whole sectors in which some bytes of a disk lie,
// none of them behind its end.
func alignedSpan(offset int64, length int, sector, size int64) (from, to int64) {
	if offset >= size || length <= 0 {
		return 0, 0
	}
	end := min(offset+int64(length), size)
	if end < offset { // more than a number can hold
		end = size
	}
	from = offset - offset%sector
	to = end + (sector-end%sector)%sector
	return from, min(to, size)
}
