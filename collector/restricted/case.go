package restricted

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Act is an act that was recorded.
type Act struct {
	Head
	Digest string    // of all of it
	Entry  uint64    // of the ledger, counted from 1
	At     time.Time // when it was recorded
	Sealed []byte    // what was written; not held by a case
	Void   string    // why it counts for nothing; "" if it does
	signed []byte
	proof  []byte
}

// Pending is what one senior asked and another has not answered.
type Pending struct {
	Act
	Account string // of who asked
}

// Hold is something that is held.
type Hold struct {
	On Subject
	Act
}

// Case is a restricted incident, as far as it is in clear: what was written is
// in its acts, sealed.
type Case struct {
	ID      string
	State   State
	Named   []Named // those who are named now
	Pending *Pending
	Holds   []Hold
	To      string // to which key what is written is sealed
	Keys    []byte // its secret, sealed to those who are named
	Acts    []Act  // in the order of the ledger, those that are void too
	After   string // what the next act comes after
	Began   time.Time
	Settled time.Time // when it was closed or dropped; zero while it is neither
}

// Member returns the named senior of an account.
func (c *Case) Member(account string) (Named, bool) {
	i := slices.IndexFunc(c.Named, func(n Named) bool { return n.Account == account })
	if i < 0 {
		return Named{}, false
	}
	return c.Named[i], true
}

// signer returns the named senior whose key signs an act.
func (c *Case) signer(h Head) (Named, error) {
	named := c.Named
	if h.What == Ask && h.Asked == Open {
		named = h.Named
	}
	i := slices.IndexFunc(named, func(n Named) bool { return n.Code() == h.By })
	if i < 0 {
		return Named{}, errors.New("only who is named for an incident does anything about it")
	}
	return named[i], nil
}

// Refuses says why an act makes no sense as things stand; nil if it does. It is
// asked before an act is recorded, and again when it is folded in.
func (c *Case) Refuses(h Head) error {
	if err := h.check(); err != nil {
		return err
	}
	by, err := c.signer(h)
	if err != nil {
		return err
	}
	switch {
	case h.Case != c.ID:
		return errors.New("it is about another incident")
	case h.After != c.After:
		return errors.New("something else was recorded meanwhile: look again")
	case h.What == View:
		return nil
	case c.State == Dropped:
		return errors.New("this incident was never opened")
	case c.State == Proposed && h.What != Agree && h.What != Decline:
		return errors.New("this incident is not open: another named senior has not agreed yet")
	}
	switch h.What {
	case Ask:
		return c.asks(h)
	case Agree, Decline:
		return c.answers(h, by)
	case Place:
		switch {
		case c.State != Opened:
			return errors.New("this incident is closed: open it again first")
		case slices.ContainsFunc(c.Holds, func(o Hold) bool { return o.On.Same(*h.On) }):
			return fmt.Errorf("%s is held already", h.On.Words())
		}
	case Name:
		return c.names(h.Named[0])
	}
	return nil
}

func (c *Case) asks(h Head) error {
	if c.Pending != nil {
		return fmt.Errorf("what was asked before has no answer yet: to %s", c.Pending.Asked)
	}
	switch h.Asked {
	case Open:
		return c.opens(h)
	case Close:
		switch {
		case c.State != Opened:
			return errors.New("this incident is closed already")
		case len(c.Holds) > 0:
			return fmt.Errorf("%s is held: lift the hold first", c.Holds[0].On.Words())
		}
	case Reopen:
		if c.State != Closed {
			return errors.New("this incident is open")
		}
	case Lift:
		if !slices.ContainsFunc(c.Holds, func(o Hold) bool { return o.On.Same(*h.On) }) {
			return fmt.Errorf("%s is not held", h.On.Words())
		}
	case Remove:
		switch _, known := c.Member(h.Whom); {
		case !known:
			return errors.New("they are not named for this incident")
		case len(c.Named) <= FewestNamed:
			return fmt.Errorf("%d seniors are named at least: name another first", FewestNamed)
		}
	default:
		return fmt.Errorf("%.40q is nothing that this version knows how to ask", string(h.Asked))
	}
	return nil
}

func (c *Case) opens(h Head) error {
	switch {
	case c.State != "":
		return errors.New("there is an incident of this identifier")
	case len(h.Named) < FewestNamed || len(h.Named) > MostNamed:
		return fmt.Errorf("%d to %d seniors are named", FewestNamed, MostNamed)
	}
	for i, n := range h.Named {
		if slices.ContainsFunc(h.Named[:i], func(o Named) bool { return o.Account == n.Account || o.Code() == n.Code() }) {
			return errors.New("nobody is named twice: two keys of one person are one person")
		}
	}
	return nil
}

func (c *Case) answers(h Head, by Named) error {
	p := c.Pending
	if p == nil || p.Digest != h.Of {
		return errors.New("that was not asked, or has its answer")
	}
	renews := h.What == Agree && p.Asked == Remove
	switch {
	case renews != (h.To != ""):
		return errors.New("the key changes when somebody is removed, and only then")
	case h.What == Decline:
		return nil
	case by.Account == p.Account:
		return errors.New("who asked is one person: another named senior agrees")
	case p.Asked == Remove && by.Account == p.Whom:
		return errors.New("who is to be removed is not the second person")
	case p.Asked == Close && len(c.Holds) > 0: // placed since it was asked
		return fmt.Errorf("%s is held: lift the hold first", c.Holds[0].On.Words())
	}
	return nil
}

func (c *Case) names(n Named) error {
	old, known := c.Member(n.Account)
	switch {
	case known && old.Code() == n.Code():
		return errors.New("they are named with that key already")
	case slices.ContainsFunc(c.Named, func(o Named) bool { return o.Account != n.Account && o.Code() == n.Code() }):
		return errors.New("that key is another's")
	case !known && len(c.Named) >= MostNamed:
		return fmt.Errorf("at most %d seniors are named", MostNamed)
	}
	return nil
}

// take takes in an act that was recorded. One that makes no sense as things
// stand is there to be seen, and counts for nothing.
func (c *Case) take(a Act) {
	err := c.Refuses(a.Head)
	if slices.ContainsFunc(c.Acts, func(o Act) bool { return o.Digest == a.Digest }) {
		err = errors.New("it was recorded before")
	}
	if err == nil {
		var by Named
		if by, err = c.signer(a.Head); err == nil {
			err = by.verify(a.signed, a.proof)
		}
	}
	a.signed, a.proof, a.Sealed = nil, nil, nil
	if err != nil {
		a.Void = err.Error()
	} else {
		c.apply(a)
	}
	a.Keys = nil
	c.Acts = append(c.Acts, a)
}

func (c *Case) apply(a Act) {
	if a.What == View {
		return
	}
	c.After = a.Digest
	if a.To != "" {
		c.To, c.Keys = a.To, a.Keys
	}
	switch a.What {
	case Ask:
		if a.Asked == Open {
			c.State, c.Named, c.Began = Proposed, slices.Clone(a.Named), a.At
		}
		by, _ := c.signer(a.Head)
		kept := a
		kept.Keys = nil
		c.Pending = &Pending{kept, by.Account}
	case Agree:
		p := *c.Pending
		c.Pending = nil
		c.agreed(p, a.At)
	case Decline:
		if c.Pending.Asked == Open {
			c.State, c.Settled = Dropped, a.At
		}
		c.Pending = nil
	case Place:
		kept := a
		c.Holds = append(slices.Clone(c.Holds), Hold{*a.On, kept})
	case Name:
		n := a.Named[0]
		rest := slices.DeleteFunc(slices.Clone(c.Named), func(o Named) bool { return o.Account == n.Account })
		c.Named = append(rest, n)
	}
}

// agreed does what two have agreed on.
func (c *Case) agreed(p Pending, at time.Time) {
	switch p.Asked {
	case Open, Reopen:
		c.State, c.Settled = Opened, time.Time{}
	case Close:
		c.State, c.Settled = Closed, at
	case Lift:
		c.Holds = slices.DeleteFunc(slices.Clone(c.Holds), func(o Hold) bool { return o.On.Same(*p.On) })
	case Remove:
		c.Named = slices.DeleteFunc(slices.Clone(c.Named), func(o Named) bool { return o.Account == p.Whom })
	}
}

// Book is all restricted incidents of a school. It is not safe for concurrent
// use.
type Book struct {
	school posture.SchoolID
	cases  map[string]*Case
}

// NewBook returns the book of a school, without any incident.
func NewBook(school posture.SchoolID) *Book { return &Book{school: school, cases: map[string]*Case{}} }

// Take takes in an act, in the order of the ledger. One of another school is
// none.
func (b *Book) Take(a Act) {
	if a.School != b.school {
		return
	}
	c, ok := b.cases[a.Case]
	if !ok {
		c = &Case{ID: a.Case}
	}
	c.take(a)
	if ok || c.State == "" { // what does not begin with asking to open it is no incident
		return
	}
	b.cases[a.Case] = c
}

// Case returns the case of an identifier, as it is now.
func (b *Book) Case(id string) (Case, bool) {
	c, ok := b.cases[id]
	if !ok {
		return Case{ID: id}, false
	}
	return *c, true
}

// Of lists the cases for which an account is named, the newest first.
func (b *Book) Of(account string) []Case {
	var list []Case
	for _, c := range b.cases {
		if _, named := c.Member(account); named {
			list = append(list, *c)
		}
	}
	slices.SortFunc(list, func(x, y Case) int {
		if n := y.Began.Compare(x.Began); n != 0 {
			return n
		}
		return cmp.Compare(x.ID, y.ID)
	})
	return list
}

// Held lists what is held, with the key to which what is kept aside of it is
// sealed.
func (b *Book) Held() []Kept {
	var list []Kept
	for _, c := range b.cases {
		for _, h := range c.Holds {
			list = append(list, Kept{c.ID, h.On, c.To})
		}
	}
	slices.SortFunc(list, func(x, y Kept) int {
		return cmp.Compare(x.Case+"\x00"+string(x.On.Device)+"\x00"+x.On.Medium, y.Case+"\x00"+string(y.On.Device)+"\x00"+y.On.Medium)
	})
	return list
}

// Kept is something that is held, for which case, and to which key what is kept
// aside of it is sealed.
type Kept struct {
	Case string
	On   Subject
	To   string
}
