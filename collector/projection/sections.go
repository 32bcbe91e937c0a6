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

func sectionNumber(name string) (n int, ok bool) {
	switch name {
	case wire.System:
		return systemSection, true
	case wire.Encryption:
		return encryptionSection, true
	case wire.Antivirus:
		return antivirusSection, true
	case wire.Media:
		return mediaSection, true
	case wire.MediaEvents:
		return mediaEventsSection, true
	case wire.Programs:
		return programsSection, true
	case wire.Executables:
		return executablesSection, true
	case wire.Security:
		return securitySection, true
	}
	return 0, false
}

// copySection copies the answers of a section.
func copySection(into, from *posture.Facts, n int) {
	switch n {
	case systemSection:
		into.System = from.System
	case encryptionSection:
		into.Volumes = from.Volumes
	case antivirusSection:
		into.Antivirus = from.Antivirus
	case mediaSection:
		into.Media = from.Media
	case mediaEventsSection:
		into.MediaEvents = from.MediaEvents
	case programsSection:
		into.Programs = from.Programs
	case executablesSection:
		into.Executables, into.Scripts = from.Executables, from.Scripts
	case securitySection:
		into.Security = from.Security
	}
}

// dateSection says when a section was read.
func dateSection(f *posture.Facts, n int, at time.Time) {
	switch n {
	case systemSection:
		f.System.ReadAt = at
	case encryptionSection:
		f.Volumes.ReadAt = at
	case antivirusSection:
		f.Antivirus.ReadAt = at
	case mediaSection:
		f.Media.ReadAt = at
	case mediaEventsSection:
		f.MediaEvents.ReadAt = at
	case programsSection:
		f.Programs.ReadAt = at
	case executablesSection:
		f.Executables.ReadAt, f.Scripts.ReadAt = at, at
	case securitySection:
		f.Security.ReadAt = at
	}
}

// emptySection takes the items out of a section: what is left says whether it
// was answered, and whether all of it was.
func emptySection(f *posture.Facts, n int) {
	switch n {
	case systemSection:
		f.System.Items = nil
	case encryptionSection:
		f.Volumes.Items = nil
	case antivirusSection:
		f.Antivirus.Items = nil
	case mediaSection:
		f.Media.Items = nil
	case mediaEventsSection:
		f.MediaEvents.Items = nil
	case programsSection:
		f.Programs.Items = nil
	case executablesSection:
		f.Executables.Items, f.Scripts.Items = nil, nil
	case securitySection:
		f.Security.Items = nil
	}
}

// spoilSection says that a section could not be read.
func spoilSection(f *posture.Facts, n int) {
	switch n {
	case systemSection:
		f.System = unreadable[posture.System]()
	case encryptionSection:
		f.Volumes = unreadable[posture.Volume]()
	case antivirusSection:
		f.Antivirus = unreadable[posture.Antivirus]()
	case mediaSection:
		f.Media = unreadable[posture.Medium]()
	case mediaEventsSection:
		f.MediaEvents = unreadable[posture.MediumEvent]()
	case programsSection:
		f.Programs = unreadable[posture.Program]()
	case executablesSection:
		f.Executables, f.Scripts = unreadable[posture.Executable](), unreadable[posture.Tally]()
	case securitySection:
		f.Security = unreadable[posture.Security]()
	}
}

func unreadable[T any]() posture.Answer[T] { return posture.Answer[T]{Absent: posture.Unreadable} }

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
