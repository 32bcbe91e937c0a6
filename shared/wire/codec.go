package wire

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Codec is how both ends of a connection write and read messages: protobuf,
// with the number of messages in lists checked before any is decoded.
type Codec struct{}

var _ encoding.CodecV2 = Codec{}

// Encoded is a message as Marshal made it, to be sent as it is.
type Encoded []byte

// largeMessage is the size from which a message's buffer is left to the
// garbage collector: kept in a pool, it would weigh on a quiet connection.
const largeMessage = 32 << 10

// Name implements encoding.CodecV2.
func (Codec) Name() string { return "proto" }

// Marshal implements encoding.CodecV2.
func (Codec) Marshal(v any) (mem.BufferSlice, error) {
	if data, ok := v.(Encoded); ok {
		return mem.BufferSlice{mem.SliceBuffer(data)}, nil
	}
	m, ok := v.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("encode message: %T is not one", v)
	}
	data, err := proto.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode message: %w", err)
	}
	return mem.BufferSlice{mem.SliceBuffer(data)}, nil
}

// Unmarshal implements encoding.CodecV2. Fields that a newer peer added are
// passed over.
func (Codec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(proto.Message)
	if !ok {
		return fmt.Errorf("decode message: %T is not one", v)
	}
	pool := mem.DefaultBufferPool()
	if data.Len() > largeMessage {
		pool = mem.NopBufferPool{}
	}
	buffer := data.MaterializeToBuffer(pool)
	defer buffer.Free()
	return unmarshal(buffer.ReadOnlyData(), m)
}

func unmarshal(data []byte, m proto.Message) error {
	if len(data) > MaxMessage {
		return fmt.Errorf("decode message: it has %d bytes, more than the %d allowed", len(data), MaxMessage)
	}
	each := func(protoreflect.FullName) int { return MaxSections }
	if err := checkLists(data, m.ProtoReflect().Descriptor(), each, map[protoreflect.FullName]int{}); err != nil {
		return fmt.Errorf("decode message: %w", err)
	}
	if err := (proto.UnmarshalOptions{DiscardUnknown: true, RecursionLimit: 10}).Unmarshal(data, m); err != nil {
		return fmt.Errorf("decode message: %w", err)
	}
	return nil
}

// Marshal returns a message's bytes as the stream carries them.
func Marshal(m proto.Message) ([]byte, error) { return proto.Marshal(m) }

// Unmarshal reads a message that came from the stream or the spool, with the
// bounds of Codec.
func Unmarshal(data []byte, m proto.Message) error { return unmarshal(data, m) }
