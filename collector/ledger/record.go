package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"

	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// place is where a body lies in the file of its class and month.
type place struct {
	offset int64  // of its record
	length uint32 // of its record, header included
}

// Bounds on the payload of a record.
const (
	maxEnvelope    = 256 << 10 // more than any envelope and its places can need
	bodyHeader     = 8 + 2 + proof.SaltSize
	maxBodyPayload = bodyHeader + proof.MaxBody
)

// appendEnvelope appends the framed record of an envelope to dst:
//
//	opaque envelope<0..2^32-1>;
//	struct { uint64 offset; uint32 length; } places<0..2^16-1>;
func appendEnvelope(dst, envelope []byte, places []place) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, durable.FrameHeader)...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(envelope)))
	dst = append(dst, envelope...)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(places)*placeSize))
	for _, p := range places {
		dst = binary.BigEndian.AppendUint64(dst, uint64(p.offset))
		dst = binary.BigEndian.AppendUint32(dst, p.length)
	}
	durable.SealFrame(dst[start:])
	return dst
}

const placeSize = 8 + 4

// envelopeRecordSize is the size of what appendEnvelope appends.
func envelopeRecordSize(envelope []byte, places int) int64 {
	return int64(durable.FrameHeader + 4 + len(envelope) + 2 + places*placeSize)
}

// readEnvelope reads the payload that appendEnvelope wrote. The record shares
// its memory.
func readEnvelope(i Index, payload []byte) (Record, error) {
	s := cryptobyte.String(payload)
	var length uint32
	var encoded []byte
	var places cryptobyte.String
	if !s.ReadUint32(&length) || uint64(length) > uint64(len(s)) || !s.ReadBytes(&encoded, int(length)) ||
		!s.ReadUint16LengthPrefixed(&places) || !s.Empty() || len(places)%placeSize != 0 {
		return Record{}, errors.New("it is not the record of an envelope")
	}
	envelope, err := proof.DecodeEnvelope(encoded)
	if err != nil {
		return Record{}, err
	}
	if len(places)/placeSize != len(envelope.Sections) {
		return Record{}, fmt.Errorf("it says where %d bodies lie, but names %d sections", len(places)/placeSize, len(envelope.Sections))
	}
	r := Record{Index: i, Envelope: envelope, Encoded: encoded, places: make([]place, len(envelope.Sections))}
	for n := range r.places {
		var offset uint64
		if !places.ReadUint64(&offset) || !places.ReadUint32(&r.places[n].length) || offset > 1<<62 {
			return Record{}, errors.New("it says of a body that it lies where none can")
		}
		r.places[n].offset = int64(offset)
	}
	return r, nil
}

// appendBody appends the framed record of a body to dst:
//
//	uint64 entry; uint16 section; opaque salt[16]; opaque body[rest];
func appendBody(dst []byte, i Index, n int, s proof.Section) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, durable.FrameHeader)...)
	dst = binary.BigEndian.AppendUint64(dst, uint64(i))
	dst = binary.BigEndian.AppendUint16(dst, uint16(n))
	dst = append(dst, s.Salt[:]...)
	dst = append(dst, s.Body...)
	durable.SealFrame(dst[start:])
	return dst
}

func bodyRecordSize(s proof.Section) int64 {
	return int64(durable.FrameHeader + bodyHeader + len(s.Body))
}

// bodyRecord is what appendBody wrote. Its body shares the payload's memory.
type bodyRecord struct {
	entry  Index
	number int
	salt   [proof.SaltSize]byte
	body   []byte
}

func readBody(payload []byte) (bodyRecord, error) {
	if len(payload) < bodyHeader {
		return bodyRecord{}, errors.New("it is not the record of a body")
	}
	return bodyRecord{
		entry:  Index(binary.BigEndian.Uint64(payload)),
		number: int(binary.BigEndian.Uint16(payload[8:])),
		salt:   [proof.SaltSize]byte(payload[10:bodyHeader]),
		body:   payload[bodyHeader:],
	}, nil
}

// section returns the body as the section that the reference names, if it is.
func (b bodyRecord) section(ref proof.SectionRef) (proof.Section, error) {
	s := proof.Section{Name: ref.Name, Class: ref.Class, Salt: b.salt, Body: b.body}
	if s.Digest() != ref.Digest {
		return proof.Section{}, fmt.Errorf("the body of section %s of entry %d does not have the hash that its entry names", ref.Name, b.entry)
	}
	return s, nil
}
