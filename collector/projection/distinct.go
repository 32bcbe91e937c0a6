package projection

import (
	"fmt"
	"sync"

	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// Laptops of a school have mostly the same programs. What a rule finds about a
// program rests on that program alone, most of the time: then it is judged once
// for all laptops that have it, and of a list of hundreds only those are looked
// at again that matter. What comes out is what the whole list gives.
//
// distinct is safe for concurrent use.
type distinct struct {
	loaded *policy.Loaded
	kinds  map[int]*alone // by section

	mu    sync.RWMutex
	known map[string]map[string]*thing // by assignment, by encoding
	held  int                          // bytes of encodings, about
}

// alone are the rules that judge the things of one section alone.
type alone struct {
	rules []string
	rest  []byte // of a section that was answered
	key   func(*posture.Facts) string
}

// thing is a program or executable as it was judged.
type thing struct {
	key     string // of its subject
	sound   bool   // it can be decoded
	matters uint64 // rules to which it matters, a bit each
	meets   uint64 // rules that it meets
}

const (
	mostAlone = 64       // rules of a section, for as many bits
	mostHeld  = 96 << 20 // bytes of what is remembered; beyond it things are judged again
)

// newDistinct finds the sections of whose things each can be judged once: those
// that only rules read which judge things alone.
func newDistinct(p *prepared) (*distinct, error) {
	d := &distinct{loaded: p.loaded, kinds: map[int]*alone{}, known: map[string]map[string]*thing{}}
	for n, key := range map[int]func(*posture.Facts) string{
		programsSection:    func(f *posture.Facts) string { return policy.ProgramKey(&f.Programs.Items[0]) },
		executablesSection: func(f *posture.Facts) string { return policy.ExecutableKey(&f.Executables.Items[0]) },
	} {
		a := &alone{key: key}
		for _, r := range p.device {
			if r.reads&(1<<n) == 0 {
				continue
			}
			if a.rules = append(a.rules, r.ID); !p.loaded.Alone(r.ID) || len(a.rules) > mostAlone {
				a = nil
				break
			}
		}
		if a == nil || len(a.rules) == 0 {
			continue
		}
		empty := posture.Facts{Programs: posture.Found[posture.Program](""), Executables: posture.Found[posture.Executable]("")}
		bodies, err := wire.EncodeFacts(empty, nil)
		if err != nil {
			return nil, fmt.Errorf("encode an empty list: %w", err)
		}
		for _, b := range bodies {
			if b.Name == sections[n].name {
				a.rest = b.Data
			}
		}
		d.kinds[n] = a
	}
	return d, nil
}

// thin returns a body that gives the same findings as that of a section, with
// only the things that matter in it.
func (d *distinct) thin(n int, by policy.Assignment, data []byte) []byte {
	a := d.kinds[n]
	if a == nil {
		return data
	}
	items, rest, ok := wire.Split(sections[n].name, data)
	if !ok {
		return data
	}
	things := make([]*thing, len(items))
	all := d.recall(n, by, items, things)
	if !all && !d.learn(n, a, by, items, things) {
		return data
	}
	var kept [][]byte
	var keys []string // of what matters
	for i, t := range things {
		if !t.sound {
			return data
		}
		if t.matters != 0 {
			kept, keys = append(kept, items[i]), append(keys, t.key)
		}
	}
	if len(kept) == len(items) {
		return data
	}
	// One thing that meets a rule stands for all that do, unless something of
	// the same name matters: the graver counts of those.
	var met uint64
	for i, t := range things {
		if t.matters != 0 || (t.meets&^met == 0 && i > 0) {
			continue
		}
		if contains(keys, t.key) {
			continue
		}
		kept, met = append(kept, items[i]), met|t.meets
	}
	return wire.Join(sections[n].name, kept, rest)
}

func contains(keys []string, key string) bool {
	for _, k := range keys {
		if k == key {
			return true
		}
	}
	return false
}

// family names what is remembered together: things of a section under an
// assignment, as far as rules can see of it.
func family(n int, a policy.Assignment) string {
	return fmt.Sprintf("%d %q %t %t %q", n, a.Ownership, a.PersonalUse, a.Investigation, a.Groups)
}

// recall finds the things that are known already, and reports whether all are.
func (d *distinct) recall(n int, by policy.Assignment, items [][]byte, into []*thing) (all bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	known := d.known[family(n, by)]
	all = true
	for i, item := range items {
		into[i] = known[string(item)]
		all = all && into[i] != nil
	}
	return all
}

// learn judges the things that are not known yet.
func (d *distinct) learn(n int, a *alone, by policy.Assignment, items [][]byte, into []*thing) bool {
	for i, item := range items {
		if into[i] != nil {
			continue
		}
		into[i] = d.judge(n, a, by, item)
		if into[i] == nil {
			return false
		}
		d.remember(family(n, by), item, into[i])
	}
	return true
}

func (d *distinct) remember(family string, item []byte, t *thing) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.held > mostHeld {
		return
	}
	if d.known[family] == nil {
		d.known[family] = map[string]*thing{}
	}
	d.known[family][string(item)] = t
	d.held += len(item) + len(t.key) + 160
}

// judge judges one thing by every rule that judges it alone.
func (d *distinct) judge(n int, a *alone, by policy.Assignment, item []byte) *thing {
	var facts posture.Facts
	err := wire.DecodeSection(sections[n].name, wire.Join(sections[n].name, [][]byte{item}, a.rest), moment(1), &facts, nil)
	if err != nil {
		return &thing{}
	}
	t := &thing{sound: true, key: a.key(&facts)}
	for i, rule := range a.rules {
		switch d.loaded.Weigh(rule, by, facts) {
		case policy.Matters:
			t.matters |= 1 << i
		case policy.Meets:
			t.meets |= 1 << i
		case policy.NoWeight:
		}
	}
	return t
}
