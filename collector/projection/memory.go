package projection

import (
	"slices"
	"unique"

	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// memory is what is kept of a device between its reports, so that what has not
// changed is neither read nor judged again. It says nothing that the ledger does
// not: without it everything is read and judged, and comes out the same.
//
// Sections are known by their digests, which also cover a salt: the same digest
// is the same body. A memory is not changed once it is made.
type memory struct {
	facts      posture.Facts
	sections   [sectionCount]remembered
	named      *prepared // the policy by which found was found
	assignment policy.Assignment
	found      []verdict // by place among the policy's rules for devices; nil if the facts were not judged
	size       int       // bytes, about
}

// remembered is what a memory has of one section.
type remembered struct {
	digest [32]byte
	known  bool // it could be decoded
	items  bool // and what it holds is in the memory; otherwise only whether it was answered
	bytes  int  // of its body
}

// verdict is what one rule found.
type verdict struct {
	known   bool
	trusts  uint16 // policy.Trust of each section that the rule reads
	outcome unique.Handle[string]
}

// smallBody is the length up to which the content of a section stays in memory.
const smallBody = 1 << 10

// transient reports whether the content of a section is never kept: lists of
// programs are long, and read again when a rule about them must be judged again;
// events are new each time.
func transient(n int) bool {
	return n == programsSection || n == executablesSection || n == mediaEventsSection
}

// keep takes out of a new memory what it need not hold, and works out its size.
func (m *memory) keep() {
	m.size = 1536 + 24*len(m.found)
	for n := range m.sections {
		s := &m.sections[n]
		if s.bytes > smallBody || transient(n) {
			s.items = false
		}
		if s.items {
			m.size += 64 + 4*s.bytes
		} else {
			emptySection(&m.facts, n)
		}
	}
}

// memories are those of a school's devices, of which as many are kept as fit.
// When one more does not, any other is dropped: dropping the oldest would keep
// none of a school that is a little too large and reports in turn.
type memories struct {
	most int // bytes
	size int
	of   map[posture.DeviceID]*memory
}

func newMemories(most int) *memories {
	return &memories{most: most, of: map[posture.DeviceID]*memory{}}
}

func (m *memories) put(id posture.DeviceID, next *memory) {
	if was, ok := m.of[id]; ok {
		m.size -= was.size
		delete(m.of, id)
	}
	if next == nil || next.size > m.most {
		return
	}
	for other, o := range m.of {
		if m.size+next.size <= m.most {
			break
		}
		m.size -= o.size
		delete(m.of, other)
	}
	m.of[id] = next
	m.size += next.size
}

// clear forgets everything, as when bodies were forgotten.
func (m *memories) clear() {
	m.of, m.size = map[posture.DeviceID]*memory{}, 0
}

func sameAssignment(a, b policy.Assignment) bool {
	return a.Number == b.Number && a.Ownership == b.Ownership && a.PersonalUse == b.PersonalUse && a.Investigation == b.Investigation && a.MediaKey == b.MediaKey &&
		slices.Equal(a.Groups, b.Groups)
}
