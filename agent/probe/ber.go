package probe

// derOf rewrites BER, in which a length may be left open until an end mark, as
// DER, in which it stands first. Apple's signatures are written the one way
// and the parsers of Go read the other. Nothing else of the content changes.
//
// The content is hostile: depth is bounded, and what is written is never longer
// than what was read, but for the lengths.
func derOf(ber []byte) ([]byte, bool) {
	out, _, ok := derElement(nil, ber, 0)
	return out, ok && len(out) > 0
}

const berDepth = 24

// derElement appends the first element of in to out, and returns what follows.
func derElement(out, in []byte, depth int) (_, rest []byte, ok bool) {
	tag, length, open, rest, ok := berHeader(in)
	if !ok || depth > berDepth {
		return nil, nil, false
	}
	const constructed = 0x20
	if tag[0]&constructed == 0 {
		if open {
			return nil, nil, false
		}
		return append(derHeader(out, tag, length), rest[:length]...), rest[length:], true
	}
	content, after := rest, []byte(nil)
	if !open {
		content, after = rest[:length], rest[length:]
	}
	var inner []byte
	for {
		if open && len(content) >= 2 && content[0] == 0 && content[1] == 0 {
			after = content[2:]
			break
		}
		if len(content) == 0 {
			if open {
				return nil, nil, false
			}
			break
		}
		if inner, content, ok = derElement(inner, content, depth+1); !ok {
			return nil, nil, false
		}
	}
	return append(derHeader(out, tag, len(inner)), inner...), after, true
}

// berHeader reads a tag and a length, which is at most that of the rest.
func berHeader(in []byte) (tag []byte, length int, open bool, rest []byte, ok bool) {
	n := 1
	if len(in) > 0 && in[0]&0x1f == 0x1f { // the number of the tag follows
		for n < len(in) && n < 5 && in[n]&0x80 != 0 {
			n++
		}
		n++
	}
	if len(in) < n+1 {
		return nil, 0, false, nil, false
	}
	tag, first, rest := in[:n], in[n], in[n+1:]
	switch {
	case first == 0x80:
		return tag, 0, true, rest, true
	case first < 0x80:
		length = int(first)
	default:
		bytes := int(first & 0x7f)
		if bytes > 4 || bytes > len(rest) {
			return nil, 0, false, nil, false
		}
		for _, b := range rest[:bytes] {
			length = length<<8 | int(b)
		}
		rest = rest[bytes:]
	}
	return tag, length, false, rest, length >= 0 && length <= len(rest)
}

func derHeader(out, tag []byte, length int) []byte {
	out = append(out, tag...)
	if length < 0x80 {
		return append(out, byte(length))
	}
	var size []byte
	for n := length; n > 0; n >>= 8 {
		size = append([]byte{byte(n)}, size...)
	}
	return append(append(out, 0x80|byte(len(size))), size...)
}
