package evidence

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// Position is where a school stood at a moment. The collector works it out by
// folding the entries that it had received by then, and no other: whoever has
// the ledger can do the same and compare. A bundle proves which entries those
// are, and which policy was in force; the numbers are the school's word.
type Position struct {
	Before     uint64         `json:"before"`            // entries that had been received by the moment
	Policy     *Published     `json:"policy,omitempty"`  // in force; none: the one built into agents
	Devices    int            `json:"devices"`           // ever enrolled, whether or not they were heard from
	Revoked    int            `json:"revoked,omitempty"` // of these; each counts under the rules as it last was
	Silent     int            `json:"silent"`            // of these not heard from for longer than the policy allows
	Judged     *Judged        `json:"judged,omitempty"`  // by which policy; not said by what was made before this was counted
	Register   Register       `json:"register"`
	Rules      []RulePosition `json:"rules"` // in the policy's order
	Exemptions []Exempted     `json:"exemptions"`
	Forgotten  uint64         `json:"forgotten,omitempty"` // purges since the moment: what they took is not proven here any more
	Damaged    uint64         `json:"damaged,omitempty"`   // of those entries, of which a part cannot be read: it is left out
	CannotSay  []string       `json:"cannotSay"`
}

// Judged counts devices by the policy by which they judged themselves when they
// last reported, each once.
type Judged struct {
	Now    int `json:"now"`    // by the policy in force
	Before int `json:"before"` // by one before it: they had not taken the new one yet
	Never  int `json:"never"`  // they had reported nothing yet
}

// Register compares the school's own register of its devices with what is
// enrolled. Retired devices are in none of the numbers.
type Register struct {
	Kept         bool `json:"kept"` // a register was kept at the moment
	Registered   int  `json:"registered,omitempty"`
	Agent        int  `json:"agent,omitempty"`        // of these with an agent that was heard from
	Silent       int  `json:"silent,omitempty"`       // with an agent that was silent for longer than the policy allows
	Import       int  `json:"import,omitempty"`       // on a list of what manages them that was not too old
	StaleImport  int  `json:"staleImport,omitempty"`  // on one that was
	Nothing      int  `json:"nothing,omitempty"`      // with nothing that answers for them
	Unregistered int  `json:"unregistered,omitempty"` // devices with an agent that the register does not have
}

// RulePosition counts devices by where they stood on one rule, each once.
type RulePosition struct {
	Rule      string `json:"rule"`
	Title     string `json:"title"`
	Severity  string `json:"severity"`
	Met       int    `json:"met"`
	NotMet    int    `json:"notMet"`
	NotProven int    `json:"notProven"`
	Exempt    int    `json:"exempt"`
	NotFor    int    `json:"notApplicable"`
}

// Exempted is an exemption that ran at the moment.
type Exempted struct {
	ID       string    `json:"id"`
	Rule     string    `json:"rule"`
	Of       string    `json:"of"` // what is exempt: a device, a group, one thing on a device, the school
	Until    time.Time `json:"until"`
	AskedBy  string    `json:"askedBy"`
	Approver string    `json:"approver"`
}

// PositionQuestion is what is asked about a school.
type PositionQuestion struct {
	At   time.Time
	Zone string
	By   string
	Now  time.Time
}

// Bounds of a position.
const (
	mostRules      = 10_000
	mostExemptions = 100_000
)

// ErrNothingYet says that a school had no entry by a moment.
var ErrNothingYet = errors.New("the school's record begins after the moment that is asked about")

// Before returns how many entries of a ledger had been received by a moment.
func Before(ctx context.Context, l *ledger.Ledger, at time.Time) (uint64, error) {
	g := gathering{School: School{Ledger: l}, size: l.Size()}
	n, err := g.receivedBy(ctx, 0, at)
	if err != nil {
		return 0, fmt.Errorf("find what had been received by then: %w", err)
	}
	if n == 0 {
		return 0, ErrNothingYet
	}
	return uint64(n), nil
}

// CollectPosition makes evidence of a position: where was worked out from the
// first entries of the ledger, as many as Before said for the same moment.
// policy is the one in force; its number is 0 if it is the built-in one.
func CollectPosition(ctx context.Context, s School, q PositionQuestion, where Position, policy Policy) (*Bundle, error) {
	q.At, q.Now = q.At.UTC().Truncate(time.Millisecond), q.Now.UTC().Truncate(time.Millisecond)
	if q.At.After(q.Now) {
		return nil, fmt.Errorf("gather evidence about %s: %w", s.ID, ErrNotYet)
	}
	note, err := s.Ledger.Checkpoint(ctx)
	if err != nil {
		return nil, fmt.Errorf("gather evidence about %s: %w", s.ID, err)
	}
	checkpoint, err := proof.ReadCheckpoint(note)
	if err != nil {
		return nil, fmt.Errorf("gather evidence about %s: %w", s.ID, err)
	}
	g := gathering{School: s, size: checkpoint.Size, taken: map[ledger.Index]*Entry{}}
	if err := g.bounds(ctx, where.Before, policy); err != nil {
		return nil, fmt.Errorf("gather evidence about %s: %w", s.ID, err)
	}
	b := &Bundle{
		Format: Format, School: s.ID, SchoolName: s.Name, Key: s.Key.String(), At: q.At, MadeAt: q.Now, MadeBy: q.By, Zone: q.Zone,
		Silence: int64(cmp.Or(policy.Silence, usualSilence) / time.Second), Checkpoint: string(note), Entries: g.entries(), Position: &where,
	}
	where.CannotSay = b.cannotSay()
	if where.Policy, err = b.inForce(); err != nil {
		return nil, fmt.Errorf("gather evidence about %s: %w", s.ID, err)
	}
	return b, checkPosition(b)
}

// bounds takes the entries between which the moment lies, and the policy.
func (g *gathering) bounds(ctx context.Context, before uint64, policy Policy) error {
	if before == 0 || before > g.size {
		return ErrNothingYet
	}
	if _, err := g.take(ctx, ledger.Index(before-1)); err != nil {
		return err
	}
	if before < g.size {
		if _, err := g.take(ctx, ledger.Index(before)); err != nil {
			return err
		}
	}
	if policy.Number == 0 {
		return nil
	}
	e, err := g.take(ctx, ledger.Index(policy.Entry))
	if err != nil {
		return err
	}
	return g.bodies(ctx, e, roster.SectionPolicy)
}

// inForce reads the policy that a bundle holds; nil if it holds none.
func (b *Bundle) inForce() (*Published, error) {
	var found *Published
	for _, e := range b.Entries {
		env, err := proof.DecodeEnvelope(e.Envelope)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", e.Index, err)
		}
		for _, s := range e.Sections {
			if env.Kind != proof.KindPolicy || s.Number < 0 || s.Number >= len(env.Sections) || env.Sections[s.Number].Name != roster.SectionPolicy || found != nil {
				return nil, fmt.Errorf("entry %d: it proves nothing here", e.Index)
			}
			title, number, err := readPolicy(b, s.Body)
			if err != nil {
				return nil, fmt.Errorf("entry %d: %w", e.Index, err)
			}
			found = &Published{Number: number, Title: title, Entry: e.Index, At: moment(env.ReceivedAt)}
		}
	}
	return found, nil
}

// cannotSay lists what a position cannot be evidence of.
func (b *Bundle) cannotSay() []string {
	list := []string{
		"whether there are backups, and whether they were ever restored",
		"whether staff and governors were trained",
		"whether there is a plan for incidents, and whether it was tried",
		"anything about devices that are not enrolled, such as Chromebooks, phones and what people own",
		"what a device was like after it was last heard from, and whether an administrator of it had altered the agent",
		"that the numbers are right: whoever holds the record can count again, and until then they are the school's word",
	}
	if !b.Position.Register.Kept {
		list = append(list, "how many of the school's devices these are: no register of devices was kept here at the moment")
	}
	if b.Position.Forgotten > 0 {
		list = append(list, "what was forgotten since: it counts as not proven, and may have been met or not")
	}
	if b.Position.Damaged > 0 {
		list = append(list, "what stood in the parts of the record that are damaged: nothing of them is counted")
	}
	return list
}

// checkPosition checks what a position says against what its bundle proves:
// that the entries from which it was worked out are those received by the
// moment, that the policy was in force, and that every device is counted once.
func checkPosition(b *Bundle) error {
	p := b.Position
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("check the position: %w", fmt.Errorf(format, args...))
	}
	c, err := proof.ReadCheckpoint([]byte(b.Checkpoint))
	if err != nil {
		return fmt.Errorf("check the position: %w", err)
	}
	received := map[uint64]time.Time{}
	for _, e := range b.Entries {
		env, err := proof.DecodeEnvelope(e.Envelope)
		if err != nil {
			return wrong("entry %d: %w", e.Index, err)
		}
		received[e.Index] = moment(env.ReceivedAt)
	}
	last, ok := received[p.Before-1]
	next, more := received[p.Before]
	switch {
	case p.Before == 0 || p.Before > c.Size || !ok || more != (p.Before < c.Size):
		return wrong("it does not hold the entries between which the moment lies")
	case last.After(b.At) || more && !next.After(b.At):
		return wrong("the first %d entries are not those that had been received by the moment", p.Before)
	case len(p.Rules) > mostRules || len(p.Exemptions) > mostExemptions:
		return wrong("it has more rules or exemptions than a school can")
	case min(p.Revoked, p.Silent) < 0 || max(p.Revoked, p.Silent) > p.Devices:
		return wrong("it counts more devices than there were")
	}
	if j := p.Judged; j != nil && (min(j.Now, j.Before, j.Never) < 0 || j.Now+j.Before+j.Never != p.Devices) {
		return wrong("the devices are not each judged by one policy")
	}
	if r := p.Register; r.Kept && r.Agent+r.Silent+r.Import+r.StaleImport+r.Nothing != r.Registered {
		return wrong("the register's devices are not each counted once")
	}
	for _, r := range p.Rules {
		least := min(r.Met, r.NotMet, r.NotProven, r.Exempt, r.NotFor)
		if sum := r.Met + r.NotMet + r.NotProven + r.Exempt + r.NotFor; least < 0 || sum != p.Devices {
			return wrong("rule %.40q counts %d devices, and there were %d", r.Rule, sum, p.Devices)
		}
	}
	policy, err := b.inForce()
	switch {
	case err != nil:
		return fmt.Errorf("check the position: %w", err)
	case (policy == nil) != (p.Policy == nil), policy != nil && *policy != *p.Policy:
		return wrong("the policy is not the one that it holds")
	case policy != nil && policy.Entry >= p.Before:
		return wrong("the policy was published after the moment")
	case !slices.Equal(p.CannotSay, b.cannotSay()):
		return wrong("it does not say what it cannot be evidence of")
	}
	return nil
}
