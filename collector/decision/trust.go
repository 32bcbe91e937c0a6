package decision

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// What a trust decides about the policies of its schools. A trust is a name that
// schools of one collector have in common. Whatever it decides is recorded in the
// ledger of each school that it concerns, for schools are walls: there is no
// record of a trust beside them.

// The kinds of decision of a trust.
const (
	JoinTrust       Kind = "join-trust"       // the school belongs to a trust from now on
	LeaveTrust      Kind = "leave-trust"      // and no more
	DraftBaseline   Kind = "draft-baseline"   // a text is proposed as what no school may ask less than
	PublishBaseline Kind = "publish-baseline" // and is that from now on
	AllowLooser     Kind = "allow-looser"     // the school's policy may ask less in one thing, for a time
	EndLooser       Kind = "end-looser"       // and may no more
)

// The sections of the entry of such a decision. Both are kept: what a school was
// held to must be told the same for as long as its policies are.
const (
	SectionTrust    = "trust"          // Kept: the decision
	SectionBaseline = "trust-baseline" // Kept: the text of a baseline, or of the draft of one
)

// Trust is what a decision of a trust says. Which fields it has depends on its
// kind.
type Trust struct {
	Name    string       `json:"name"`
	Number  uint64       `json:"number,omitempty"` // of a baseline; it only rises
	Digest  proof.Digest `json:"digest,omitzero"`  // SHA-256 of a baseline's text
	Title   string       `json:"title,omitempty"`
	Rules   int          `json:"rules,omitempty"`
	Drafter string       `json:"drafter,omitempty"` // of a baseline that two people made: the other one

	Item  string       `json:"item,omitempty"`  // what may ask less: a rule, or a parameter as param.name
	Mark  proof.Digest `json:"mark,omitzero"`   // of it as it stood when it was allowed
	Words string       `json:"words,omitempty"` // what that was
	Asker string       `json:"asker,omitempty"` // whoever drafted or published the text that asks less
	Until time.Time    `json:"until,omitzero"`  // the first moment at which it may no more
}

// mostTrust bounds a trust's name and an item, in bytes.
const mostTrust = 120

func (k Kind) ofTrust() bool {
	return slices.Contains([]Kind{JoinTrust, LeaveTrust, DraftBaseline, PublishBaseline, AllowLooser, EndLooser}, k)
}

// checkTrust is Check for a decision of a trust.
func (d Decision) checkTrust() error {
	t := d.Trust
	if t == nil || d.Breach != (breach.Key{}) || d.Exemption != nil || d.Policy != nil || d.Person != "" {
		return fmt.Errorf("a decision to %s is about a trust and nothing else", d.Kind)
	}
	if err := checkTrustName(t.Name); err != nil {
		return err
	}
	want := Trust{Name: t.Name}
	switch d.Kind {
	case DraftBaseline, PublishBaseline:
		want.Digest, want.Title, want.Rules = t.Digest, t.Title, t.Rules
		if t.Digest == (proof.Digest{}) {
			return errors.New("a decision about a baseline names its text by its digest")
		}
		if d.Kind == PublishBaseline {
			want.Number, want.Drafter = t.Number, t.Drafter
			if t.Number == 0 {
				return errors.New("a baseline has a number")
			}
		}
	case AllowLooser:
		want.Item, want.Mark, want.Words, want.Asker, want.Until = t.Item, t.Mark, t.Words, t.Asker, t.Until
		switch {
		case t.Item == "" || len(t.Item) > mostTrust || t.Mark == (proof.Digest{}):
			return errors.New("a decision to allow that a policy asks less says of which rule or parameter, as it stands")
		case !t.Until.After(d.At) || t.Until.Sub(d.At) > breach.LongestExemption:
			return fmt.Errorf("that a policy asks less is allowed for at most %d days", int(breach.LongestExemption.Hours()/24))
		case AtConsole(d.By):
			return errors.New("the console is never a second person: that a policy asks less is allowed by an account")
		case breach.SamePerson(d.By, t.Asker):
			return fmt.Errorf("%s wrote what asks less: somebody else has to allow it", t.Asker)
		}
	case EndLooser:
		want.Item = t.Item
		if t.Item == "" || len(t.Item) > mostTrust {
			return errors.New("a decision that a policy may not ask less says of which rule or parameter")
		}
	}
	if *t != want {
		return fmt.Errorf("a decision to %s says nothing of what others are for", d.Kind)
	}
	return nil
}

func checkTrustName(name string) error {
	if name == "" || len(name) > mostTrust || !utf8.ValidString(name) || strings.TrimSpace(name) != name ||
		strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("a trust has a name of at most %d bytes that people can see", mostTrust)
	}
	return nil
}

// Baseline is what a trust put in force for a school.
type Baseline struct {
	Number  uint64       `json:"number"`
	Digest  proof.Digest `json:"digest"`
	Title   string       `json:"title"`
	Rules   int          `json:"rules"`
	By      string       `json:"by"`
	Drafter string       `json:"drafter,omitempty"` // the other person, if there were two
	At      time.Time    `json:"at"`
	Reason  string       `json:"reason"`
	Entry   uint64       `json:"entry"`
}

// Allowance is permission that a school's policy asks less than the baseline in
// one thing, as it stood.
type Allowance struct {
	Item    string       `json:"item"`
	Words   string       `json:"words"`
	By      string       `json:"by"`
	At      time.Time    `json:"at"`
	Reason  string       `json:"reason"`
	Until   time.Time    `json:"until"`
	Ended   time.Time    `json:"ended,omitzero"` // when it was taken back before its end
	EndedBy string       `json:"endedBy,omitempty"`
	Entry   uint64       `json:"entry"`
	Mark    proof.Digest `json:"-"`
}

// Ends returns the first moment at which an allowance holds no more.
func (a Allowance) Ends() time.Time {
	if !a.Ended.IsZero() && a.Ended.Before(a.Until) {
		return a.Ended
	}
	return a.Until
}

// Runs reports whether an allowance holds at a moment.
func (a Allowance) Runs(now time.Time) bool { return !now.Before(a.At) && now.Before(a.Ends()) }

// Oversight is what a school's ledger says of its trust: a fold of the trust's
// decisions, in the order of the ledger. Its zero value is of a school without one.
type Oversight struct {
	Trust     string
	Since     time.Time // when it joined
	By        string    // who said so
	Left      string    // the trust that it left last
	LeftAt    time.Time
	LeftBy    string
	Baselines []Baseline // of the trust that it is in; the last is in force
	Allowed   []Allowance
	drafts    []Baseline
}

// mostBaselineDrafts bounds the drafts that are remembered.
const mostBaselineDrafts = 20

// Baseline returns the baseline in force.
func (o *Oversight) Baseline() (Baseline, bool) {
	if len(o.Baselines) == 0 {
		return Baseline{}, false
	}
	return o.Baselines[len(o.Baselines)-1], true
}

// Draft returns the last draft of a text that somebody other than by made.
func (o *Oversight) Draft(text proof.Digest, by string) (Baseline, bool) {
	for i := len(o.drafts) - 1; i >= 0; i-- {
		if d := o.drafts[i]; d.Digest == text && !breach.SamePerson(d.By, by) {
			return d, true
		}
	}
	return Baseline{}, false
}

// Drafts lists the texts that were proposed as the baseline and are not it, the last
// of each first.
func (o *Oversight) Drafts() []Baseline {
	var list []Baseline
	known := map[proof.Digest]bool{}
	for _, b := range o.Baselines {
		known[b.Digest] = true
	}
	for _, d := range slices.Backward(o.drafts) {
		if !known[d.Digest] {
			known[d.Digest] = true
			list = append(list, d)
		}
	}
	return list
}

// Oversight returns what the ledger says of the school's trust. It must not be
// changed.
func (p *Policies) Oversight() Oversight { return p.trust }

// mayTrust is May for a decision of a trust.
func (p *Policies) mayTrust(d Decision) error {
	refuse := func(format string, args ...any) error { return &RefusedError{Why: fmt.Sprintf(format, args...)} }
	o := &p.trust
	switch {
	case d.Kind == JoinTrust && o.Trust != "":
		return refuse("this school belongs to %s: it has to leave that first", o.Trust)
	case d.Kind == JoinTrust:
		return nil
	case o.Trust != d.Trust.Name:
		return refuse("this school does not belong to %s", d.Trust.Name)
	}
	switch d.Kind {
	case LeaveTrust:
		if AtConsole(d.By) {
			return refuse("a school leaves its trust by an account of the trust, never at the console")
		}
	case PublishBaseline:
		if last, ok := o.Baseline(); ok && d.Trust.Number <= last.Number {
			return refuse("baseline %d is in force, and numbers only rise", last.Number)
		}
		if !p.two {
			return nil
		}
		if draft, ok := o.Draft(d.Trust.Digest, d.By); !ok || AtConsole(d.By) || draft.By != d.Trust.Drafter {
			return refuse("a school of this trust asks for two people: one drafts this text as the baseline, and another account publishes it")
		}
	case EndLooser:
		if !containsRunning(o.Allowed, d.Trust.Item, d.At) {
			return refuse("it is not allowed that %s asks less", d.Trust.Item)
		}
	}
	return nil
}

func containsRunning(all []Allowance, item string, at time.Time) bool {
	for _, a := range all {
		if a.Item == item && a.Runs(at) {
			return true
		}
	}
	return false
}

// takeTrust takes in a decision of a trust that could be made.
func (p *Policies) takeTrust(entry uint64, d Decision) {
	o, t := &p.trust, d.Trust
	b := Baseline{
		Number: t.Number, Digest: t.Digest, Title: t.Title, Rules: t.Rules, By: d.By, Drafter: t.Drafter, At: d.At, Reason: d.Reason, Entry: entry,
	}
	switch d.Kind {
	case JoinTrust:
		*o = Oversight{Trust: t.Name, Since: d.At, By: d.By}
	case LeaveTrust:
		*o = Oversight{Left: t.Name, LeftAt: d.At, LeftBy: d.By}
	case DraftBaseline:
		o.drafts = append(o.drafts, b)
		o.drafts = o.drafts[max(0, len(o.drafts)-mostBaselineDrafts):]
	case PublishBaseline:
		o.Baselines = append(o.Baselines, b)
	case AllowLooser:
		o.Allowed = append(o.Allowed, Allowance{
			Item: t.Item, Mark: t.Mark, Words: t.Words, By: d.By, At: d.At, Reason: d.Reason, Until: t.Until, Entry: entry,
		})
	case EndLooser:
		for i := range o.Allowed {
			if a := &o.Allowed[i]; a.Item == t.Item && a.Runs(d.At) {
				a.Ended, a.EndedBy = d.At, d.By
			}
		}
	}
}
