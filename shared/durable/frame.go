package durable

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// FrameHeader is the number of bytes before a record's payload: its length
// and its CRC-32C, both big-endian.
const FrameHeader = 8

// castagnoli is CRC-32C, which processors compute.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// AppendFrame appends a framed record to dst: u32 length, u32 CRC-32C of the
// length's four bytes and the payload, payload.
func AppendFrame(dst, payload []byte) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
	dst = append(dst, payload...)
	SealFrame(dst[start:])
	return dst
}

// SealFrame fills in the header of a record whose payload already stands
// after FrameHeader bytes left free.
func SealFrame(frame []byte) {
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-FrameHeader))
	binary.BigEndian.PutUint32(frame[4:], frameSum(frame[:4], frame[FrameHeader:]))
}

// frameSum covers the length too: a record of length zero among zero bytes
// would pass otherwise.
func frameSum(length, payload []byte) uint32 {
	return crc32.Update(crc32.Checksum(length, castagnoli), castagnoli, payload)
}

// TornError means that the records end in one that was not written to its
// end, and that nothing valid follows it.
type TornError struct {
	Offset int64 // where the torn record begins
}

func (e *TornError) Error() string {
	return fmt.Sprintf("the record at byte %d was not written to its end", e.Offset)
}

// CorruptError means that a record is not what was written, or that it is too
// long to have been written.
type CorruptError struct {
	Offset int64 // where the record begins
	Reason string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("the record at byte %d is damaged: %s", e.Offset, e.Reason)
}

// ReadFrame reads the record at offset, whose payload must not be longer than
// limit. Its error is io.EOF if nothing is there, a *CorruptError if the record
// ends early or its checksum is wrong, or that of r.
func ReadFrame(r io.ReaderAt, offset int64, limit int) ([]byte, error) {
	var header [FrameHeader]byte
	switch n, err := r.ReadAt(header[:], offset); {
	case n == FrameHeader:
	case n == 0 && errors.Is(err, io.EOF):
		return nil, io.EOF
	case errors.Is(err, io.EOF):
		return nil, &CorruptError{Offset: offset, Reason: "the file ends inside its header"}
	default:
		return nil, err
	}
	length := binary.BigEndian.Uint32(header[:])
	if uint64(length) > uint64(limit) {
		return nil, &CorruptError{Offset: offset, Reason: fmt.Sprintf("it claims %d bytes, more than the %d allowed", length, limit)}
	}
	payload := make([]byte, length)
	if n, err := r.ReadAt(payload, offset+FrameHeader); n < len(payload) {
		if errors.Is(err, io.EOF) {
			return nil, &CorruptError{Offset: offset, Reason: "the file ends inside it"}
		}
		return nil, err
	}
	if frameSum(header[:4], payload) != binary.BigEndian.Uint32(header[4:]) {
		return nil, &CorruptError{Offset: offset, Reason: "its checksum does not match"}
	}
	return payload, nil
}

// Writer writes framed records to a stream.
type Writer struct {
	w       io.Writer
	scratch []byte
}

// NewWriter returns a Writer on w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Write writes one record with one call to the underlying writer.
func (w *Writer) Write(payload []byte) error {
	w.scratch = AppendFrame(w.scratch[:0], payload)
	_, err := w.w.Write(w.scratch)
	return err
}

// Scanner reads framed records in order.
type Scanner struct {
	r       *bufio.Reader
	src     io.ReaderAt
	size    int64
	limit   int
	offset  int64 // of the record in payload
	next    int64 // of the record after it
	payload []byte
	err     error
}

// NewScanner returns a Scanner of the records from byte offset to byte size
// of src. A payload longer than limit counts as damage.
func NewScanner(src io.ReaderAt, offset, size int64, limit int) *Scanner {
	return &Scanner{
		r: bufio.NewReaderSize(io.NewSectionReader(src, offset, max(size-offset, 0)), 64<<10), src: src,
		size: size, limit: limit, next: offset,
	}
}

// Scan advances to the next record and reports whether there is one.
func (s *Scanner) Scan() bool {
	if s.err != nil || s.next >= s.size {
		return false
	}
	s.offset = s.next
	var header [FrameHeader]byte
	left := s.size - s.next
	if left < FrameHeader {
		s.damaged("the file ends inside its header")
		return false
	}
	if _, err := io.ReadFull(s.r, header[:]); err != nil {
		s.err = err
		return false
	}
	length := int64(binary.BigEndian.Uint32(header[:]))
	switch {
	case length > int64(s.limit):
		s.damaged(fmt.Sprintf("it claims %d bytes, more than the %d allowed", length, s.limit))
		return false
	case length > left-FrameHeader:
		s.damaged("the file ends inside it")
		return false
	}
	if int64(cap(s.payload)) < length {
		s.payload = make([]byte, length)
	}
	s.payload = s.payload[:length]
	if _, err := io.ReadFull(s.r, s.payload); err != nil {
		s.err = err
		return false
	}
	if frameSum(header[:4], s.payload) != binary.BigEndian.Uint32(header[4:]) {
		s.damaged("its checksum does not match")
		return false
	}
	s.next = s.offset + FrameHeader + length
	return true
}

// Payload returns the current record. The next Scan overwrites it.
func (s *Scanner) Payload() []byte { return s.payload }

// Offset returns where the current record begins, and Next where it ends.
func (s *Scanner) Offset() int64 { return s.offset }

// Next returns the offset after the last good record.
func (s *Scanner) Next() int64 { return s.next }

// Err returns why Scan stopped: nil at the end of the records, a *TornError, a
// *CorruptError, or the reader's error.
func (s *Scanner) Err() error { return s.err }

// damaged decides whether the damage at the current record is a torn tail.
func (s *Scanner) damaged(reason string) {
	follows, err := s.validAfter(s.offset + 1)
	switch {
	case err != nil:
		s.err = err
	case follows:
		s.err = &CorruptError{Offset: s.offset, Reason: reason}
	default:
		s.err = &TornError{Offset: s.offset}
	}
}

// validAfter reports whether a whole record begins anywhere from offset on.
// The search is bounded: it looks at every byte for a plausible length, and
// checks the sum of at most searchBytes in all; beyond that it answers yes,
// because cutting what may be a record is the worse mistake.
func (s *Scanner) validAfter(offset int64) (bool, error) {
	const searchBytes = 1 << 30
	var checked int64
	r := bufio.NewReaderSize(io.NewSectionReader(s.src, offset, max(s.size-offset, 0)), 64<<10)
	for at := offset; at+FrameHeader <= s.size; at++ {
		header, err := r.Peek(FrameHeader)
		if err != nil {
			return false, err
		}
		length := int64(binary.BigEndian.Uint32(header))
		if length <= int64(s.limit) && length <= s.size-at-FrameHeader {
			if checked += length; checked > searchBytes {
				return true, nil
			}
			_, err := ReadFrame(s.src, at, s.limit)
			var corrupt *CorruptError
			if err == nil {
				return true, nil
			}
			if !errors.As(err, &corrupt) {
				return false, err
			}
		}
		if _, err := r.Discard(1); err != nil {
			return false, err
		}
	}
	return false, nil
}
