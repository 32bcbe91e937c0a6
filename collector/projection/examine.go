package projection

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unique"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// question is everything that the examination of a report depends on, beside
// the bodies in the ledger.
type question struct {
	places     []view.Place
	lost       []string // sections that the report names and no entry is known to hold
	noEvents   bool     // the report has no section of media that came and went: none did
	madeAt     time.Time
	named      *prepared // the policy that the report names; nil if the school never published it
	assignment policy.Assignment
}

func (q question) same(o question) bool {
	return q.named == o.named && q.noEvents == o.noEvents && q.madeAt.Equal(o.madeAt) && sameAssignment(q.assignment, o.assignment) &&
		slices.Equal(q.lost, o.lost) && slices.Equal(q.places, o.places)
}

// examined is what a report says, and what the collector makes of it.
type examined struct {
	question
	facts         posture.Facts // without what only judging needs
	findings      []posture.Finding
	judged        bool     // the findings could be read
	whole         bool     // and so could everything else
	disagreements []string // rules on which the collector's own judgement differs
	unproven      []string // rules whose findings rest on what is damaged
	damage        []damage
	memory        *memory

	source Source
	own    *ledger.Record
	unread []string // sections that are damaged or lost
}

// examine reads what a report says, and judges it again. It reads the ledger
// and nothing else, and changes nothing: reports of different devices may be
// examined at the same time. mem is what is known of the device; it saves work
// and makes no difference.
func examine(ctx context.Context, source Source, own *ledger.Record, q question, mem *memory) (*examined, error) {
	x := &examined{question: q, whole: len(q.lost) == 0, unread: slices.Clone(q.lost), source: source, own: own}
	next := &memory{named: q.named, assignment: q.assignment}
	if err := x.read(ctx, next, mem); err != nil {
		return nil, err
	}
	if x.whole && q.named != nil {
		if err := x.judge(ctx, next, mem); err != nil {
			return nil, err
		}
	}
	x.doubt()
	x.facts = next.facts
	emptySection(&x.facts, programsSection)
	emptySection(&x.facts, executablesSection)
	next.keep()
	x.memory, x.source, x.own = next, nil, nil
	return x, nil
}

// read reads the sections, but for what is in the device's memory.
func (x *examined) read(ctx context.Context, next, mem *memory) error {
	for _, p := range x.places {
		n, ok := sectionNumber(p.Name)
		if !ok && p.Name != wire.Findings {
			continue // of a newer agent
		}
		if ok && mem != nil && mem.sections[n].known && mem.sections[n].digest == p.Digest {
			copySection(&next.facts, &mem.facts, n)
			next.sections[n] = mem.sections[n]
		} else if err := x.load(ctx, p, next); err != nil {
			return err
		}
		if ok && next.sections[n].known {
			dateSection(&next.facts, n, p.ReadAt)
		}
	}
	// What a device's row says is taken from these two.
	if err := x.complete(ctx, next, 1<<systemSection|1<<encryptionSection); err != nil {
		return err
	}
	if x.noEvents {
		next.facts.MediaEvents = posture.Answer[posture.MediumEvent]{Absent: posture.None, ReadAt: x.madeAt}
	}
	if !x.judged {
		x.findings, x.whole = nil, false
	}
	return nil
}

// load reads a section. What was forgotten is not asked, and what is damaged or
// cannot be decoded is unreadable: neither is ever a fact.
func (x *examined) load(ctx context.Context, p view.Place, next *memory) error {
	data, what, why, err := fetch(ctx, x.source, x.own, p)
	if err != nil {
		return err
	}
	n, isFacts := sectionNumber(p.Name)
	if isFacts {
		next.sections[n] = remembered{}
		copySection(&next.facts, &posture.Facts{}, n)
	}
	switch what {
	case forgotten:
		x.whole = false
		return nil
	case damaged:
		x.whole = false
		x.damage, x.unread = append(x.damage, why), append(x.unread, p.Name)
		if isFacts {
			spoilSection(&next.facts, n)
		}
		return nil
	}
	err = wire.DecodeSection(p.Name, data, p.ReadAt, &next.facts, &x.findings)
	switch {
	case errors.Is(err, wire.ErrUnknownSection):
	case err != nil:
		x.whole = false
	case isFacts:
		next.sections[n] = remembered{digest: p.Digest, known: true, items: true, bytes: len(data)}
	default:
		x.judged = true
	}
	return nil
}

// judge judges the facts by the rules for devices, but those of which it is
// known what they find: everything that the rule reads is as it was, and the
// time makes no difference to it.
func (x *examined) judge(ctx context.Context, next, mem *memory) error {
	rules := x.named.device
	found := make([]verdict, len(rules))
	var changed uint16
	known := mem != nil && mem.named == x.named && len(mem.found) == len(rules) && sameAssignment(mem.assignment, x.assignment)
	if known {
		changed = mem.changed(next)
	}
	due := make([]bool, len(rules))
	var reads uint16
	for i, r := range rules {
		trusts := r.trusts(&next.facts, x.madeAt)
		if known && changed&r.reads == 0 && !r.clock && mem.found[i].known && mem.found[i].trusts == trusts {
			found[i] = mem.found[i]
			continue
		}
		due[i] = true
		reads |= r.reads
		found[i] = verdict{known: true, trusts: trusts}
	}
	if err := x.complete(ctx, next, reads); err != nil || !x.whole {
		return err
	}
	findings := x.named.loaded.EvaluateRules(x.assignment, next.facts, x.madeAt, func(id string) bool { return due[x.named.place[id]] })
	ours := outcomes(findings)
	for i, r := range rules {
		if due[i] {
			found[i].outcome = unique.Make(ours[r.ID])
		}
	}
	next.found = found
	x.disagree(found)
	return nil
}

// changed returns which sections are not as they were, a bit each.
func (m *memory) changed(next *memory) (bits uint16) {
	for n := range m.sections {
		if m.sections[n].known != next.sections[n].known || m.sections[n].digest != next.sections[n].digest {
			bits |= 1 << n
		}
	}
	return bits
}

// complete reads what some sections hold that are only known to be as they were.
func (x *examined) complete(ctx context.Context, next *memory, sections uint16) error {
	for _, p := range x.places {
		n, ok := sectionNumber(p.Name)
		if !ok || sections&(1<<n) == 0 || !next.sections[n].known || next.sections[n].items {
			continue
		}
		if err := x.load(ctx, p, next); err != nil {
			return err
		}
	}
	return nil
}

// disagree lists the rules on which the device and the collector differ in
// result, severity or grace for any subject.
func (x *examined) disagree(found []verdict) {
	theirs := outcomes(x.findings)
	for i, r := range x.named.device {
		if theirs[r.ID] != found[i].outcome.Value() {
			x.disagreements = append(x.disagreements, r.ID)
		}
		delete(theirs, r.ID)
	}
	for id := range theirs {
		x.disagreements = append(x.disagreements, id)
	}
	slices.Sort(x.disagreements)
	x.disagreements = slices.Compact(x.disagreements)
}

// doubt makes findings not proven that rest on what is damaged or lost: the
// device said them, and nobody can see any more whether it was right.
func (x *examined) doubt() {
	if len(x.unread) == 0 {
		return
	}
	for i, f := range x.findings {
		if !x.rests(f.Rule) {
			continue
		}
		x.findings[i] = view.Doubt(f)
		if !slices.Contains(x.unproven, f.Rule) {
			x.unproven = append(x.unproven, f.Rule)
		}
	}
	slices.Sort(x.unproven)
}

// rests reports whether a rule rests on what is damaged; what is not known of a
// rule counts against it.
func (x *examined) rests(rule string) bool {
	if x.named == nil {
		return true
	}
	reads, ok := x.named.loaded.Reads(rule)
	return !ok || slices.ContainsFunc(reads.Sections, func(s string) bool { return slices.Contains(x.unread, s) })
}

// outcomes says of each rule what it found, in one text that is the same if and
// only if subjects, results, severities and graces are.
func outcomes(findings []posture.Finding) map[string]string {
	grouped := make(map[string][]posture.Finding, 32)
	texts := make(map[string]string, 32)
	for _, f := range findings {
		grouped[f.Rule] = append(grouped[f.Rule], f)
	}
	var b []byte
	for rule, list := range grouped {
		slices.SortStableFunc(list, func(x, y posture.Finding) int {
			return cmp.Or(strings.Compare(x.Subject.Kind, y.Subject.Kind), strings.Compare(x.Subject.Key, y.Subject.Key))
		})
		b = b[:0]
		for i, f := range list {
			if i+1 < len(list) && list[i+1].Subject.Kind == f.Subject.Kind && list[i+1].Subject.Key == f.Subject.Key {
				continue // of two about one subject the last counts
			}
			b = appendText(appendText(b, f.Subject.Kind), f.Subject.Key)
			b = append(b, byte(f.Result), byte(f.Severity))
			b = binary.AppendVarint(b, int64(f.Grace/time.Second))
		}
		texts[rule] = string(b)
	}
	return texts
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// ruleReads is what a rule for devices depends on.
type ruleReads struct {
	policy.Rule
	reads uint16 // sections, a bit each
	clock bool
}

// deviceRules lists the rules for devices with what they read, and their places
// in the list.
func deviceRules(l *policy.Loaded) (list []ruleReads, place map[string]int, err error) {
	place = map[string]int{}
	for _, rule := range l.Policy().Rules {
		if rule.Side != policy.OnDevice {
			continue
		}
		reads, _ := l.Reads(rule.ID)
		r := ruleReads{Rule: rule, clock: reads.Clock}
		for _, name := range reads.Sections {
			n, ok := sectionNumber(name)
			if !ok {
				return nil, nil, fmt.Errorf("rule %s reads a section %q that there is not", rule.ID, name)
			}
			r.reads |= 1 << n
		}
		place[rule.ID] = len(list)
		list = append(list, r)
	}
	return list, place, nil
}

// trusts returns how far the rule trusts the age of each section that it reads.
func (r *ruleReads) trusts(f *posture.Facts, now time.Time) (bits uint16) {
	for n := range sectionCount {
		if r.reads&(1<<n) != 0 {
			bits |= uint16(r.Trust(sectionReadAt(f, n), now)) << (2 * n)
		}
	}
	return bits
}

func sectionReadAt(f *posture.Facts, n int) time.Time { return sections[n].parts[0].readAt(f) }
