// Package wire turns facts and findings into the bodies of a report's sections
// and back. The generated code of the protocol lies in wirepb; only the two
// ends of the stream and this package use it.
//
// Every text, list and body has a bound, and they hold in both directions: what
// Encode writes Decode accepts, and whatever Decode accepts is bounded, valid
// UTF-8 in which control and bidirectional characters are shown instead of
// obeyed.
//
// The package never guesses. A word that it does not know becomes a reading
// that says "unreadable", never a default; a section that cannot be decoded
// leaves an answer that says so.
package wire

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// Version is the version of the protocol that this program speaks.
const Version = 1

// Body is one section of a report before it is salted and signed.
type Body struct {
	Name   string
	Class  proof.Class
	Data   []byte    // deterministic; does not hold ReadAt, so an unchanged fact has unchanged Data
	ReadAt time.Time // when its facts were read, by the device's clock; zero for findings
}

// The names of a report's sections.
const (
	System      = "system"
	Encryption  = "encryption"
	Antivirus   = "antivirus"
	Media       = "media"
	MediaEvents = "media-events"
	Programs    = "programs"
	Executables = "executables"
	Security    = "security"
	Findings    = "findings"
)

// ErrUnknownSection is returned for a section that this version does not know,
// such as one that a newer agent sends. It is no fault of the section.
var ErrUnknownSection = errors.New("this version does not know the section")

// section is one row of the table of a report's sections.
type section struct {
	name  string
	class proof.Class
	most  int // bytes in its body
	items int // things in each of its lists
	blank func() proto.Message
	// encode returns the message, when its facts were read, and false if the
	// section is left out.
	encode func(*budget, posture.Facts, []posture.Finding) (proto.Message, time.Time, bool, error)
	decode func(proto.Message, time.Time, *posture.Facts, *[]posture.Finding) error
	// unread marks the section's answers as unreadable.
	unread func(*posture.Facts)
}

// sections returns the table of a report's sections, in their order.
func sections() []section {
	return []section{
		{
			System, proof.Posture, 64 << 10, 1, blank[pb.SystemSection], encodeSystems, decodeSystems,
			func(f *posture.Facts) { spoil(&f.System) },
		},
		{
			Encryption, proof.Posture, 512 << 10, 1000, blank[pb.EncryptionSection], encodeVolumes, decodeVolumes,
			func(f *posture.Facts) { spoil(&f.Volumes) },
		},
		{
			Antivirus, proof.Posture, 128 << 10, 100, blank[pb.AntivirusSection], encodeAntiviruses, decodeAntiviruses,
			func(f *posture.Facts) { spoil(&f.Antivirus) },
		},
		{
			Media, proof.Media, 512 << 10, 500, blank[pb.MediaSection], encodeMedia, decodeMedia,
			func(f *posture.Facts) { spoil(&f.Media) },
		},
		{
			MediaEvents, proof.Media, 2 << 20, 10_000, blank[pb.MediaEventsSection], encodeMediumEvents, decodeMediumEvents,
			func(f *posture.Facts) { spoil(&f.MediaEvents) },
		},
		{
			Programs, proof.Inventory, 3 << 20, 20_000, blank[pb.ProgramsSection], encodePrograms, decodePrograms,
			func(f *posture.Facts) { spoil(&f.Programs) },
		},
		{
			Executables, proof.Inventory, 4 << 20, 20_000, blank[pb.ExecutablesSection], encodeExecutables, decodeExecutables,
			func(f *posture.Facts) { spoil(&f.Executables); spoil(&f.Scripts) },
		},
		{
			Security, proof.Posture, 64 << 10, 1, blank[pb.SecuritySection], encodeSecurities, decodeSecurities,
			func(f *posture.Facts) { spoil(&f.Security) },
		},
		{
			Findings, proof.Posture, 5 << 20, 60_000, blank[pb.FindingsSection], encodeFindings, decodeFindings,
			func(*posture.Facts) {},
		},
	}
}

func blank[T any, M interface {
	*T
	proto.Message
}]() proto.Message {
	return M(new(T))
}

func spoil[T any](a *posture.Answer[T]) {
	*a = posture.Answer[T]{Absent: posture.Unreadable, Source: a.Source, ReadAt: a.ReadAt}
}

func find(name string) (section, bool) {
	for _, s := range sections() {
		if s.name == name {
			return s, true
		}
	}
	return section{}, false
}

// classes are the retention classes of the sections in the table: a collector
// asks for each section of each report.
var classes = func() map[string]proof.Class {
	out := map[string]proof.Class{}
	for _, s := range sections() {
		out[s.name] = s.class
	}
	return out
}()

// Class returns the retention class of a report's section, and whether this
// version knows it.
func Class(name string) (proof.Class, bool) {
	class, ok := classes[name]
	return class, ok
}

// EncodeFacts returns the bodies of a report's sections, in the order of the
// table. What exceeds a bound is left out and recorded as a gap of the answer;
// only findings that exceed theirs are an error, because a list of findings
// has no place to say so. The section of media that came and went is left out
// if nothing did.
func EncodeFacts(f posture.Facts, findings []posture.Finding) ([]Body, error) {
	var bodies []Body
	for _, s := range sections() {
		message, readAt, present, err := s.encode(&budget{items: s.items, bytes: s.most - reserve}, f, findings)
		if err != nil {
			return nil, fmt.Errorf("encode section %s: %w", s.name, err)
		}
		if !present {
			continue
		}
		data, err := proto.MarshalOptions{Deterministic: true}.Marshal(message)
		if err != nil {
			return nil, fmt.Errorf("encode section %s: %w", s.name, err)
		}
		if len(data) > s.most {
			return nil, fmt.Errorf("encode section %s: it has %d bytes, more than the %d allowed", s.name, len(data), s.most)
		}
		bodies = append(bodies, Body{Name: s.name, Class: s.class, Data: data, ReadAt: readAt})
	}
	return bodies, nil
}

// DecodeSection reads the body of one section into facts or findings. readAt is
// when its facts were read. Fields that a newer peer added are passed over.
// If it fails, the section's answers in facts say that they are unreadable.
//
// The time of a finding's fact does not travel with it: see OldestRead.
func DecodeSection(name string, data []byte, readAt time.Time, into *posture.Facts, findings *[]posture.Finding) error {
	s, ok := find(name)
	if !ok {
		return fmt.Errorf("decode section %.40q: %w", name, ErrUnknownSection)
	}
	if err := s.read(data, readAt, into, findings); err != nil {
		s.unread(into)
		return fmt.Errorf("decode section %s: %w", name, err)
	}
	return nil
}

func (s section) read(data []byte, readAt time.Time, into *posture.Facts, findings *[]posture.Finding) error {
	if len(data) > s.most {
		return fmt.Errorf("it has %d bytes, more than the %d allowed", len(data), s.most)
	}
	message := s.blank()
	if err := checkLists(data, message.ProtoReflect().Descriptor(), s.limit, map[protoreflect.FullName]int{}); err != nil {
		return err
	}
	if err := (proto.UnmarshalOptions{DiscardUnknown: true, RecursionLimit: 10}).Unmarshal(data, message); err != nil {
		return err
	}
	return s.decode(message, readAt, into, findings)
}

// OldestRead returns when the oldest of the named sections' facts was read:
// the time of the fact that decided a finding, given the sections that its
// rule reads. It is the zero time if one of them was never read.
func OldestRead(f posture.Facts, names []string) time.Time {
	times := map[string]time.Time{
		System: f.System.ReadAt, Encryption: f.Volumes.ReadAt, Antivirus: f.Antivirus.ReadAt, Media: f.Media.ReadAt,
		MediaEvents: f.MediaEvents.ReadAt, Programs: f.Programs.ReadAt, Executables: f.Executables.ReadAt,
		Security: f.Security.ReadAt,
	}
	var oldest time.Time
	for i, name := range names {
		if t := times[name]; i == 0 || t.Before(oldest) {
			oldest = t
		}
	}
	return oldest
}
