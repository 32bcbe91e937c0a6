package retention

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/dispute"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// Step is a class and month of which something is to be forgotten.
type Step struct {
	Item  Item // the time of which is over
	Class proof.Class
	Month ledger.Month
	Span  Span
	// Mark is the same as long as what was kept of it must be kept: who found
	// nothing to forget need not look again. "" says nothing.
	Mark string
	keep func(ctx context.Context) (func(ledger.Stored) bool, error)
}

// Keep returns what of it must be kept.
func (s Step) Keep(ctx context.Context) (func(ledger.Stored) bool, error) { return s.keep(ctx) }

func known(keep func(ledger.Stored) bool) func(context.Context) (func(ledger.Stored) bool, error) {
	return func(context.Context) (func(ledger.Stored) bool, error) { return keep, nil }
}

// Reason says why it is forgotten, for the record.
func (s Step) Reason() string { return fmt.Sprintf("%s: kept for %s", s.Item, s.Span) }

// Steps returns what is to be forgotten by now, in an order in which a crash
// between any two leaves the rest to be found again. It is read anew each time,
// so that what is done already is not among them.
func (s *Survey) Steps(ctx context.Context, l Ledger, r Roster, now time.Time) ([]Step, error) {
	present, err := presentState(ctx, r)
	if err != nil {
		return nil, err
	}
	var steps []Step
	for _, plan := range []func() ([]Step, error){
		func() ([]Step, error) { return s.byMonth(l, proof.Media, Media, now, present) },
		func() ([]Step, error) { return s.byMonth(l, proof.Inventory, Inventory, now, present) },
		func() ([]Step, error) { return s.contacts(l, now) },
		func() ([]Step, error) { return s.lives(l, now) },
		func() ([]Step, error) { return s.written(ctx, l, now) },
		func() ([]Step, error) { return s.people(ctx, l, now) },
		func() ([]Step, error) { return s.exports(ctx, l, now) },
	} {
		more, err := plan()
		if err != nil {
			return nil, err
		}
		steps = append(steps, more...)
	}
	return steps, nil
}

// months returns the months of a class that are so old that the time of an item
// is over.
func (s *Survey) months(l Ledger, class proof.Class, i Item, now time.Time) ([]ledger.Month, error) {
	all, err := l.Months(class)
	return slices.DeleteFunc(all, func(m ledger.Month) bool { return now.Before(s.Times[i].After(end(m))) }), err
}

// byMonth forgets a class by its months.
func (s *Survey) byMonth(l Ledger, class proof.Class, i Item, now time.Time, keep func(ledger.Stored) bool) ([]Step, error) {
	months, err := s.months(l, class, i, now)
	var steps []Step
	for _, m := range months {
		steps = append(steps, Step{Item: i, Class: class, Month: m, Span: s.Times[i], keep: known(keep)})
	}
	return steps, err
}

func (s *Survey) contacts(l Ledger, now time.Time) ([]Step, error) {
	months, err := s.months(l, proof.Contacts, Contacts, now)
	var steps []Step
	for _, m := range months {
		steps = append(steps, Step{
			Item: Contacts, Class: proof.Contacts, Month: m, Span: s.Times[Contacts], Mark: "each day's last",
			keep: func(ctx context.Context) (func(ledger.Stored) bool, error) { return s.lastOfDays(ctx, l, m) },
		})
	}
	return steps, err
}

// dead reports whether the life of a device ended so long ago that its history
// is to be forgotten.
func (s *Survey) dead(id posture.DeviceID, now time.Time) bool {
	ended, ok := s.over(id)
	return ok && !now.Before(s.Times[States].After(ended))
}

// lives forgets the history of devices whose life is over.
func (s *Survey) lives(l Ledger, now time.Time) ([]Step, error) {
	dead := map[posture.DeviceID]bool{}
	for id := range s.revoked {
		if s.dead(id, now) {
			dead[id] = true
		}
	}
	if len(dead) == 0 {
		return nil, nil
	}
	mark := fmt.Sprint(slices.Sorted(maps.Keys(dead)))
	var steps []Step
	for _, class := range []proof.Class{proof.Posture, proof.Contacts} {
		months, err := l.Months(class)
		if err != nil {
			return nil, err
		}
		for _, m := range months {
			steps = append(steps, Step{
				Item: States, Class: class, Month: m, Span: s.Times[States], Mark: mark,
				keep: known(func(b ledger.Stored) bool { return !dead[whose(b)] }),
			})
		}
	}
	return steps, nil
}

// whose returns the device that said something; "" if that cannot be read.
func whose(b ledger.Stored) posture.DeviceID {
	if b.Record.Envelope.Kind != proof.KindContacts {
		return posture.DeviceID(b.Record.Envelope.Subject)
	}
	signed, err := proof.DecodeSignedContact(b.Section.Body)
	if err != nil {
		return ""
	}
	c, err := proof.DecodeContactStatement(signed.Statement)
	if err != nil {
		return ""
	}
	return posture.DeviceID(c.Device)
}

// written forgets what was written about incidents that were closed long ago.
func (s *Survey) written(ctx context.Context, l Ledger, now time.Time) ([]Step, error) {
	keep := func(b ledger.Stored) bool {
		at, closed := s.closedAt(b.Record.Index)
		return !closed || now.Before(s.Times[Incidents].After(at))
	}
	due := map[ledger.Month]bool{}
	for b, err := range inOrder(ctx, l, proof.Incidents) {
		if err != nil {
			return nil, err
		}
		if !keep(b) {
			due[monthOf(b)] = true
		}
	}
	return s.in(due, Incidents, proof.Incidents, keep), nil
}

func monthOf(b ledger.Stored) ledger.Month { return ledger.MonthOf(b.Record.Envelope.ReceivedAt) }

func (s *Survey) in(due map[ledger.Month]bool, i Item, class proof.Class, keep func(ledger.Stored) bool) []Step {
	var steps []Step
	for m := range due {
		steps = append(steps, Step{Item: i, Class: class, Month: m, Span: s.Times[i], keep: known(keep)})
	}
	slices.SortFunc(steps, func(a, b Step) int { return end(a.Month).Compare(end(b.Month)) })
	return steps
}

// exports forgets what was gathered for people who asked what is kept about them.
// That it was, and how much, stays for as long as who decided something does.
func (s *Survey) exports(ctx context.Context, l Ledger, now time.Time) ([]Step, error) {
	keep := func(b ledger.Stored) bool {
		return b.Section.Name != decision.SubjectExport || now.Before(s.Times[Exports].After(received(b)))
	}
	due := map[ledger.Month]bool{}
	for b, err := range inOrder(ctx, l, proof.People) {
		if err != nil {
			return nil, err
		}
		if !keep(b) {
			due[monthOf(b)] = true
		}
	}
	return s.in(due, Exports, proof.People, keep), nil
}

// names is what the record holds of people by name.
type names struct {
	loans map[string][]*loan         // by key of the name
	uses  map[string][]ledger.Stored // acknowledgements, the same
	lent  map[ledger.Index]*loan     // allocations that hold a name
	ends  map[ledger.Index]bool      // entries whose name is to be forgotten
	guest map[ledger.Index]bool      // the same of guests
	logs  map[ledger.Index]bool      // entries of which it is to be forgotten who decided and why
	looks map[ledger.Index]bool      // and who looked
	month map[ledger.Index]ledger.Month
}

// people forgets who had which device, and who decided what. An acknowledgement
// of the rules of use goes before the last loan of whoever gave it: without the
// loan nobody could tell whose it was.
func (s *Survey) people(ctx context.Context, l Ledger, now time.Time) ([]Step, error) {
	n := names{
		loans: map[string][]*loan{}, uses: map[string][]ledger.Stored{}, lent: map[ledger.Index]*loan{},
		ends: map[ledger.Index]bool{}, guest: map[ledger.Index]bool{}, logs: map[ledger.Index]bool{}, looks: map[ledger.Index]bool{}, month: map[ledger.Index]ledger.Month{},
	}
	inForce, err := s.standing(ctx, l)
	if err != nil {
		return nil, err
	}
	for b, err := range inOrder(ctx, l, proof.People) {
		if err != nil {
			return nil, err
		}
		n.month[b.Record.Index] = monthOf(b)
		s.sort(&n, b, inForce, now)
	}
	used := s.forgetUses(&n, now)
	var steps []Step
	for _, part := range []struct {
		item Item
		due  map[ledger.Index]bool
	}{{Link, used}, {Link, n.ends}, {GuestLink, n.guest}, {Decisions, n.logs}, {Looks, n.looks}} {
		months := map[ledger.Month]bool{}
		for i := range part.due {
			months[n.month[i]] = true
		}
		steps = append(steps, s.in(months, part.item, proof.People, func(b ledger.Stored) bool { return !part.due[b.Record.Index] })...)
	}
	return steps, nil
}

// standing is from which entry on decisions hold that a later one replaces.
type standing struct {
	approvers   ledger.Index // how many people it takes to put a policy in force
	particulars ledger.Index // who the school is for data protection
}

// standing finds the decisions that nothing later has replaced.
func (s *Survey) standing(ctx context.Context, l Ledger) (from standing, err error) {
	for b, err := range inOrder(ctx, l, proof.People) {
		if err != nil {
			return from, err
		}
		if b.Section.Name != decision.Section {
			continue
		}
		d, err := decision.Decode(b.Section.Body)
		switch {
		case err != nil:
		case d.Kind == decision.SetApprovers && d.Policy.Approvers == 2:
			from.approvers = b.Record.Index
		case d.Kind == decision.SetParticulars:
			from.particulars = b.Record.Index
		}
	}
	return from, nil
}

// sort finds out how long one decision is kept.
func (s *Survey) sort(n *names, b ledger.Stored, inForce standing, now time.Time) {
	if b.Section.Name == viewing.Section && s.unseen(b, now) {
		n.looks[b.Record.Index] = true
	}
	if b.Section.Name != decision.Section {
		return
	}
	d, err := decision.Decode(b.Section.Body)
	if err != nil {
		return // of another version: what rests on it is not known
	}
	i := b.Record.Index
	if d.Person != "" {
		name := register.Key(d.Person)
		if l, ok := s.lent[i]; ok {
			n.loans[name] = append(n.loans[name], l)
			if ends, over := s.linkEnds(l); over && !now.Before(ends) {
				if l.guest {
					n.guest[i] = true
				} else {
					n.ends[i] = true
				}
			}
		} else if s.uses[i] {
			n.uses[name] = append(n.uses[name], b)
		}
		return
	}
	item := Decisions
	if kinds[d.Kind] == ofTerm {
		item = TermReports
	}
	if !s.rests(d, i, inForce, now) && !now.Before(s.Times[item].After(end(monthOf(b)))) {
		n.logs[i] = true
	}
}

// unseen reports whether the time of a look is over.
func (s *Survey) unseen(b ledger.Stored, now time.Time) bool {
	return !now.Before(s.Times[Looks].After(end(monthOf(b))))
}

// rests reports whether something rests on a decision still.
func (s *Survey) rests(d decision.Decision, i ledger.Index, inForce standing, now time.Time) bool {
	switch kinds[d.Kind] {
	case logged, ofRecord, ofTerm:
		return false
	case ofBreach:
		return !s.dead(d.Breach.Device, now)
	case approvers:
		return i >= inForce.approvers
	case lastSaid:
		return i >= inForce.particulars
	}
	return true
}

// forgetUses finds the acknowledgements whose givers have no device any more,
// nor had one so lately that their name is kept. Of who never had one, the time
// is that of decisions.
func (s *Survey) forgetUses(n *names, now time.Time) map[ledger.Index]bool {
	due := map[ledger.Index]bool{}
	for name, uses := range n.uses {
		had := n.loans[name]
		gone := !slices.ContainsFunc(had, func(l *loan) bool {
			ends, over := s.linkEnds(l)
			return !over || now.Before(ends)
		})
		for _, b := range uses {
			if gone && len(had) > 0 || len(had) == 0 && !now.Before(s.Times[Decisions].After(end(monthOf(b)))) {
				due[b.Record.Index] = true
			}
		}
	}
	return due
}

// Asked returns what must be kept of a class and month that somebody asks to
// have forgotten before its time: what is so now, what is in force, and what was
// written about incidents that are open. Names go; who looked at what stays until
// its time is over, whoever asks.
func (s *Survey) Asked(ctx context.Context, l Ledger, r Roster, class proof.Class, month ledger.Month, now time.Time) (func(ledger.Stored) bool, error) {
	switch class {
	case proof.Contacts:
		return s.lastOfDays(ctx, l, month)
	case proof.Incidents:
		return func(b ledger.Stored) bool {
			_, closed := s.closedAt(b.Record.Index)
			return !closed
		}, nil
	case proof.People:
		inForce, err := s.standing(ctx, l)
		return func(b ledger.Stored) bool {
			if b.Section.Name == viewing.Section {
				return !s.unseen(b, now) // nobody has it forgotten what they looked at
			}
			if b.Section.Name == decision.SubjectExport || b.Section.Name == dispute.SectionWords {
				return false
			}
			d, err := decision.Decode(b.Section.Body)
			return err != nil || d.Person == "" && s.rests(d, b.Record.Index, inForce, now)
		}, err
	case proof.Posture, proof.Media, proof.Inventory:
		return presentState(ctx, r)
	}
	return nil, errors.New("this is nothing that can be forgotten")
}
