package projection

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// The sections of a report that hold facts, by number.
const (
	systemSection = iota
	encryptionSection
	antivirusSection
	mediaSection
	mediaEventsSection
	programsSection
	executablesSection
	securitySection
	sectionCount
)

// section is a section of a report that holds facts: the answers that are its parts.
type section struct {
	name  string
	parts []part
}

// sections are they, by number.
var sections = [sectionCount]section{
	systemSection:      {wire.System, []part{partIn[posture.System](func(f *posture.Facts) *posture.Answer[posture.System] { return &f.System })}},
	encryptionSection:  {wire.Encryption, []part{partIn[posture.Volume](func(f *posture.Facts) *posture.Answer[posture.Volume] { return &f.Volumes })}},
	antivirusSection:   {wire.Antivirus, []part{partIn[posture.Antivirus](func(f *posture.Facts) *posture.Answer[posture.Antivirus] { return &f.Antivirus })}},
	mediaSection:       {wire.Media, []part{partIn[posture.Medium](func(f *posture.Facts) *posture.Answer[posture.Medium] { return &f.Media })}},
	mediaEventsSection: {wire.MediaEvents, []part{partIn[posture.MediumEvent](func(f *posture.Facts) *posture.Answer[posture.MediumEvent] { return &f.MediaEvents })}},
	programsSection:    {wire.Programs, []part{partIn[posture.Program](func(f *posture.Facts) *posture.Answer[posture.Program] { return &f.Programs })}},
	executablesSection: {wire.Executables, []part{
		partIn[posture.Executable](func(f *posture.Facts) *posture.Answer[posture.Executable] { return &f.Executables }),
		partIn[posture.Tally](func(f *posture.Facts) *posture.Answer[posture.Tally] { return &f.Scripts }),
	}},
	securitySection: {wire.Security, []part{partIn[posture.Security](func(f *posture.Facts) *posture.Answer[posture.Security] { return &f.Security })}},
}

func sectionNumber(name string) (n int, ok bool) {
	for n := range sections {
		if sections[n].name == name {
			return n, true
		}
	}
	return 0, false
}

// part is one answer among the facts.
type part interface {
	copy(into, from *posture.Facts)
	date(f *posture.Facts, at time.Time)
	empty(f *posture.Facts)
	spoil(f *posture.Facts)
	readAt(f *posture.Facts) time.Time
}

// partIn finds the answer in facts.
type partIn[T any] func(*posture.Facts) *posture.Answer[T]

func (a partIn[T]) copy(into, from *posture.Facts)      { *a(into) = *a(from) }
func (a partIn[T]) date(f *posture.Facts, at time.Time) { a(f).ReadAt = at }
func (a partIn[T]) empty(f *posture.Facts)              { a(f).Items = nil }
func (a partIn[T]) spoil(f *posture.Facts)              { *a(f) = posture.Answer[T]{Absent: posture.Unreadable} }
func (a partIn[T]) readAt(f *posture.Facts) time.Time   { return a(f).ReadAt }

// copySection copies the answers of a section.
func copySection(into, from *posture.Facts, n int) {
	for _, p := range sections[n].parts {
		p.copy(into, from)
	}
}

// dateSection says when a section was read.
func dateSection(f *posture.Facts, n int, at time.Time) {
	for _, p := range sections[n].parts {
		p.date(f, at)
	}
}

// emptySection takes the items out of a section: what is left says whether it
// was answered, and whether all of it was.
func emptySection(f *posture.Facts, n int) {
	for _, p := range sections[n].parts {
		p.empty(f)
	}
}

// spoilSection says that a section could not be read.
func spoilSection(f *posture.Facts, n int) {
	for _, p := range sections[n].parts {
		p.spoil(f)
	}
}

// fate is what became of a body.
type fate uint8

const (
	held      fate = iota + 1 // the ledger has it
	forgotten                 // it was forgotten, as the school decided
	damaged                   // it is not what was written
)

// damage is an entry of which something is not what was written.
type damage struct {
	entry uint64
	what  string
}

// fetch reads the body of a section of an entry. own is the entry at hand, so
// that its own bodies are read without looking it up; nil if there is none.
// Damage is no error: what was not damaged can still be shown.
func fetch(ctx context.Context, source Source, own *ledger.Record, p view.Place) (data []byte, what fate, why damage, err error) {
	if own != nil && uint64(own.Index) == p.Entry {
		data, err = ownBody(ctx, source, *own, p.Section)
	} else {
		data, err = source.Body(ctx, ledger.Index(p.Entry), p.Section)
	}
	bad, isBad := errors.AsType[*ledger.CorruptError](err)
	switch {
	case err == nil:
		return data, held, damage{}, nil
	case errors.Is(err, ledger.ErrForgotten):
		return nil, forgotten, damage{}, nil
	case isBad:
		return nil, damaged, damage{entry: p.Entry, what: bad.Error()}, nil
	}
	return nil, 0, damage{}, fmt.Errorf("read section %s of entry %d: %w", p.Name, p.Entry, err)
}

func ownBody(ctx context.Context, source Source, r ledger.Record, n int) ([]byte, error) {
	s, err := source.Section(ctx, r, n)
	return s.Body, err
}
