package view

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/calendar"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Bits of where a device stands on a rule, over all the rule's subjects.
const (
	failing  = 1 << iota // a subject fails, without exemption
	unproven             // the result of a subject proves nothing
	excused              // a subject fails under an exemption
	passing              // a subject passes
	lapsing              // it fails by the passing of time alone
	cased                // a breach of the device under this rule was followed
	closed               // what was followed was resolved by the last contact, and no exemption of it runs
)

// RuleState is where a device stands on one rule, as far as that does not
// depend on the time of asking.
type RuleState struct {
	Slot  uint16
	Bits  byte
	Until uint64 // with excused: when the first of these exemptions ends
}

// Vector is where a device stands on every rule, with the times on which the
// answer depends: small enough to be read for every silent device at once.
type Vector struct {
	LastContact  uint64
	HeldAt       uint64
	EncryptionAt uint64 // when the encryption of the system disk was last proven
	LoanEnds     uint64 // when the loan of the device ends, if it has an end
	Leaves       uint64 // when whoever has the device leaves, if they do
	Asset        uint64 // whether it is an asset: see retiredOn
	// ReadAt holds when each section was last read, by the table of sections.
	ReadAt [sectionCount]uint64
	Rules  []RuleState // by slot
}

// sectionNames is the order of Vector.ReadAt. It is part of the layout.
var sectionNames = [sectionCount]string{
	"system", "encryption", "antivirus", "media", "media-events", "programs", "executables", "security",
}

const sectionCount = 8

func sectionNumber(name string) (int, bool) {
	i := slices.Index(sectionNames[:], name)
	return i, i >= 0
}

// oldest returns when the oldest of what the vector rests on was read or heard.
func (v Vector) oldest() uint64 {
	oldest := v.LastContact
	for _, t := range v.ReadAt {
		if t > 0 {
			oldest = min(oldest, max(t, v.HeldAt))
		}
	}
	if v.EncryptionAt > 0 {
		oldest = min(oldest, v.EncryptionAt)
	}
	return oldest
}

// readAt returns when the oldest of the facts that a rule reads was last read.
func (v *Vector) readAt(r *Rule) uint64 {
	oldest := uint64(0)
	for i := range v.ReadAt {
		if r.sections&(1<<i) == 0 || v.ReadAt[i] == 0 {
			continue
		}
		if t := max(v.ReadAt[i], v.HeldAt); oldest == 0 || t < oldest {
			oldest = t
		}
	}
	if oldest == 0 {
		return max(v.LastContact, v.HeldAt)
	}
	return oldest
}

// silent reports whether the device has not been heard from for longer than
// the policy allows.
func (v *Vector) silent(p *Policy, now uint64) bool { return now > v.LastContact+millis(p.Silence) }

// stale reports whether a pass of the rule proves nothing any more.
func (v *Vector) stale(p *Policy, r *Rule, now uint64) bool {
	if v.silent(p, now) {
		return true
	}
	return r.MaxAge > 0 && now > v.readAt(r)+millis(r.MaxAge)
}

// lapsesAt returns when the rule fails if nothing more is heard, or 0 if it
// does not lapse.
func (v *Vector) lapsesAt(r *Rule) uint64 { return v.lapsesBy(r, r.days) }

// lapsesBy is lapsesAt by what is known of the school's days: the moment at which
// whoever has the device leaves, if nothing makes the rule fail before that.
func (v *Vector) lapsesBy(r *Rule, days *calendar.Calendar) uint64 {
	t := v.agesAt(r, days)
	if r.Leaves != nil && v.Leaves > 0 && (t == 0 || v.Leaves <= t) {
		return v.Leaves
	}
	return t
}

// agesAt returns when what the rule rests on is too old, or 0 if it never is.
func (v *Vector) agesAt(r *Rule, days *calendar.Calendar) uint64 {
	switch r.Lapses.From {
	case FromContact:
		return v.LastContact + millis(r.Lapses.After)
	case FromSilence:
		return r.Lapses.silent(v.LastContact, days)
	case FromEncryption:
		if v.EncryptionAt > 0 {
			return v.EncryptionAt + millis(r.Lapses.After)
		}
	case FromLoan:
		if v.LoanEnds > 0 {
			return v.LoanEnds + millis(r.Lapses.After)
		}
	}
	return 0
}

// silent returns when a silence that began at a moment has lasted for as long as
// the lapse says, without holidays. A later beginning is never a moment earlier.
func (l Lapse) silent(since uint64, days *calendar.Calendar) uint64 {
	return ms(days.AfterInTerm(time.UnixMilli(int64(since)), l.After))
}

// LapsesAt returns when a rule that the device passes fails if nothing more is
// heard, by what is known of the school's days, or the zero time if it does not
// lapse.
func (v *Vector) LapsesAt(s RuleState, r *Rule, days *calendar.Calendar) time.Time {
	if s.Bits&lapsing == 0 {
		return time.Time{}
	}
	return at(v.lapsesBy(r, days))
}

// Ended returns the vector with failures whose exemption has ended counted as
// failures.
func (v Vector) Ended(now time.Time) Vector {
	v.Rules = slices.Clone(v.Rules)
	for i, s := range v.Rules {
		if s.Bits&excused != 0 && s.Until <= ms(now) {
			s.Bits &^= excused
			if s.Bits&lapsing == 0 {
				s.Bits |= failing
			}
			s.Until = 0
		}
		v.Rules[i] = s
	}
	return v
}

// SetRead notes when a section was last read.
func (v *Vector) SetRead(section string, when time.Time) {
	if i, ok := sectionNumber(section); ok {
		v.ReadAt[i] = ms(when)
	}
}

// LastRead returns when a section was last read, or said to hold; the zero time if
// it never was.
func (v *Vector) LastRead(section string) time.Time {
	i, ok := sectionNumber(section)
	if !ok || v.ReadAt[i] == 0 {
		return time.Time{}
	}
	return at(max(v.ReadAt[i], v.HeldAt))
}

// lapsed reports whether a rule that lapses has done so.
func (v *Vector) lapsed(s RuleState, r *Rule, now uint64) bool {
	t := v.lapsesAt(r)
	return s.Bits&lapsing != 0 && t > 0 && now >= t
}

// standing returns where the device stands on a rule at a moment, by its worst
// subject: Not met before Not proven before Exempt before Met. A failure that
// was seen stays Not met while the device is silent, because silence mends
// nothing.
func (v *Vector) standing(p *Policy, r *Rule, s RuleState, now uint64) Standing {
	excusedNow := s.Bits&excused != 0 && now < s.Until
	switch {
	case s.Bits&failing != 0, s.Bits&excused != 0 && s.Bits&lapsing == 0 && !excusedNow:
		return NotMet
	case v.lapsed(s, r, now):
		if excusedNow {
			return Exempt
		}
		return NotMet
	case s.Bits&unproven != 0, s.Bits&passing != 0 && v.stale(p, r, now):
		return NotProven
	case excusedNow && s.Bits&lapsing == 0:
		return Exempt
	case s.Bits&passing != 0:
		return Met
	}
	return NotFor
}

// settled returns the standing as it is while nothing has gone stale, lapsed
// or ended: what the counters hold.
func (s RuleState) settled() Standing {
	switch {
	case s.Bits&failing != 0:
		return NotMet
	case s.Bits&unproven != 0:
		return NotProven
	case s.Bits&excused != 0 && s.Bits&lapsing == 0:
		return Exempt
	case s.Bits&passing != 0:
		return Met
	}
	return NotFor
}

// untils returns the ends of exemptions and of a loan, and the day of leaving, on
// which the vector depends.
func (v Vector) untils() []uint64 {
	var ends []uint64
	if v.LoanEnds > 0 {
		ends = append(ends, v.LoanEnds)
	}
	if v.Leaves > 0 && v.Leaves != v.LoanEnds {
		ends = append(ends, v.Leaves)
	}
	for _, s := range v.Rules {
		if s.Bits&excused != 0 && !slices.Contains(ends, s.Until) {
			ends = append(ends, s.Until)
		}
	}
	return ends
}

func (v Vector) bytes() []byte {
	var b []byte
	for _, t := range append([]uint64{v.LastContact, v.HeldAt, v.EncryptionAt, v.LoanEnds, v.Leaves, v.Asset}, v.ReadAt[:]...) {
		b = binary.AppendUvarint(b, t)
	}
	for _, s := range v.Rules {
		b = binary.AppendUvarint(b, uint64(s.Slot))
		b = append(b, s.Bits)
		if s.Bits&excused != 0 {
			b = binary.AppendUvarint(b, s.Until)
		}
	}
	return b
}

var errVector = errors.New("the row of a device's standing is cut short")

// decode reads what append writes. It reuses v.Rules.
func (v *Vector) decode(b []byte) error {
	rules := v.Rules[:0]
	*v = Vector{}
	times := [6 + sectionCount]uint64{}
	for i := range times {
		t, n := binary.Uvarint(b)
		if n <= 0 {
			return errVector
		}
		times[i], b = t, b[n:]
	}
	v.LastContact, v.HeldAt, v.EncryptionAt, v.LoanEnds, v.Leaves, v.Asset = times[0], times[1], times[2], times[3], times[4], times[5]
	copy(v.ReadAt[:], times[6:])
	for len(b) > 0 {
		slot, n := binary.Uvarint(b)
		if n <= 0 || slot > 1<<16-1 || len(b) == n {
			return errVector
		}
		s := RuleState{Slot: uint16(slot), Bits: b[n]}
		b = b[n+1:]
		if s.Bits&excused != 0 {
			until, n := binary.Uvarint(b)
			if n <= 0 {
				return errVector
			}
			s.Until, b = until, b[n:]
		}
		rules = append(rules, s)
	}
	v.Rules = rules
	return nil
}

func millis(d time.Duration) uint64 { return uint64(max(0, d.Milliseconds())) }

// Tally sums up results of one rule's subjects into a RuleState.
type Tally struct {
	state RuleState
}

// Add takes one subject in. exemptUntil is when the exemption of a failing
// subject ends, if one runs at the time of the fold.
func (t *Tally) Add(result posture.Result, exemptUntil time.Time) {
	switch result {
	case posture.Pass:
		t.state.Bits |= passing
	case posture.Fail:
		if exemptUntil.IsZero() {
			t.state.Bits |= failing
			return
		}
		until := ms(exemptUntil)
		if t.state.Bits&excused == 0 || until < t.state.Until {
			t.state.Until = until
		}
		t.state.Bits |= excused
	case posture.NotApplicable:
	default:
		t.state.Bits |= unproven
	}
}

// Lapses says that the rule passes now and fails by the passing of time, under
// an exemption until exemptUntil if that is not zero.
func (t *Tally) Lapses(exemptUntil time.Time) {
	t.state.Bits |= lapsing | passing
	if !exemptUntil.IsZero() {
		t.state.Bits |= excused
		t.state.Until = ms(exemptUntil)
	}
}

// Followed says that a breach of the rule was followed on the device. It is
// closed if it was resolved no later than the device was last heard from, and
// no exemption of it runs: nothing of it can then bear on a lapse.
func (t *Tally) Followed(over bool) {
	if t.state.Bits&cased == 0 {
		t.state.Bits |= cased | closed
	}
	if !over {
		t.state.Bits &^= closed
	}
}
