package retention

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// Survey is what of a school's record bears on what may be forgotten: the times
// that the school chose, who had which device until when, which devices are at
// the end of their life, and which incidents are closed. It is read from what is
// kept as long as the ledger and names nobody, so that it is the same whatever
// was forgotten.
type Survey struct {
	Times  Times
	Chosen map[Item]Chosen // of the items that the school said something of

	assets    map[string]*register.Asset // by key of the tag
	tags      map[posture.DeviceID]string
	ties      map[string][]Tie // by key of the tag
	enrolled  map[posture.DeviceID]bool
	revoked   map[posture.DeviceID]time.Time
	became    map[posture.DeviceID]posture.DeviceID // what was set up anew
	lent      map[ledger.Index]*loan                // every allocation, by its entry
	uses      map[ledger.Index]bool                 // acknowledgements that name a person
	incidents map[ledger.Index]string
	closed    map[string]time.Time // zero: it is open

	about map[string]map[posture.DeviceID]bool // devices of which an incident is
	told  map[posture.DeviceID][]ledger.Index  // what was recorded about such incidents, in order
}

// Chosen is where a school said how long something is kept.
type Chosen struct {
	Entry ledger.Index
	At    time.Time
}

// loan is one time that somebody was given a device.
type loan struct {
	tag   string
	named bool
	guest bool
	from  time.Time
	back  time.Time // zero: they have it
}

// Read reads a school's record.
func Read(ctx context.Context, l Ledger) (*Survey, error) {
	s := &Survey{
		Times: Usual(), Chosen: map[Item]Chosen{}, assets: map[string]*register.Asset{}, tags: map[posture.DeviceID]string{},
		ties: map[string][]Tie{}, enrolled: map[posture.DeviceID]bool{}, revoked: map[posture.DeviceID]time.Time{},
		became: map[posture.DeviceID]posture.DeviceID{}, lent: map[ledger.Index]*loan{},
		uses: map[ledger.Index]bool{}, incidents: map[ledger.Index]string{}, closed: map[string]time.Time{},
		about: map[string]map[posture.DeviceID]bool{}, told: map[posture.DeviceID][]ledger.Index{},
	}
	for stored, err := range inOrder(ctx, l, proof.Kept) {
		if err != nil {
			return nil, fmt.Errorf("read what is kept of the school: %w", err)
		}
		s.take(stored)
	}
	return s, nil
}

// inOrder yields the bodies of a class in the order of their entries. Months
// follow one another unless a clock was put back.
func inOrder(ctx context.Context, l Ledger, class proof.Class) iter.Seq2[ledger.Stored, error] {
	return func(yield func(ledger.Stored, error) bool) {
		months, err := l.Months(class)
		if err != nil {
			yield(ledger.Stored{}, err)
			return
		}
		type open struct {
			next func() (ledger.Stored, error, bool)
			head ledger.Stored
		}
		var list []*open
		for _, m := range months {
			next, stop := iter.Pull2(l.Bodies(ctx, class, m))
			defer stop()
			list = append(list, &open{next: next})
		}
		advance := func(o *open) (more bool, err error) {
			o.head, err, more = o.next()
			return more, err
		}
		list = slices.DeleteFunc(list, func(o *open) bool {
			more, failed := advance(o)
			err = errors.Join(err, failed)
			return !more
		})
		for err == nil && len(list) > 0 {
			first := slices.MinFunc(list, func(a, b *open) int {
				return cmp.Or(cmp.Compare(a.head.Record.Index, b.head.Record.Index), cmp.Compare(a.head.Number, b.head.Number))
			})
			if !yield(first.head, nil) {
				return
			}
			var more bool
			if more, err = advance(first); !more {
				list = slices.DeleteFunc(list, func(o *open) bool { return o == first })
			}
		}
		if err != nil {
			yield(ledger.Stored{}, err)
		}
	}
}

func received(s ledger.Stored) time.Time {
	return time.UnixMilli(int64(s.Record.Envelope.ReceivedAt)).UTC()
}

// take takes one body in. What this version does not understand changes
// nothing, as in the view.
func (s *Survey) take(b ledger.Stored) {
	device := posture.DeviceID(b.Record.Envelope.Subject)
	switch b.Section.Name {
	case roster.SectionEnrolment:
		s.enrolled[device] = true
	case roster.SectionRevocation:
		if _, ok := s.revoked[device]; !ok {
			s.revoked[device] = received(b)
		}
	case admission.Section:
		if c, err := admission.Decode(b.Section.Body); err == nil && c.What == admission.SameHardware {
			s.became[c.Earlier] = c.Device
		}
	case register.Section:
		if c, err := register.Decode(b.Section.Body); err == nil {
			s.keep(b, c)
		}
	case incident.Section:
		c, err := incident.Decode(b.Section.Body)
		if err != nil {
			return
		}
		s.incidents[b.Record.Index] = c.ID
		s.tells(b.Record.Index, c)
		switch c.What {
		case incident.Close:
			s.closed[c.ID] = received(b)
		case incident.Open, incident.Reopen:
			s.closed[c.ID] = time.Time{}
		}
	case Section:
		said(b.Section.Body, Chosen{b.Record.Index, received(b)}, s.Times, s.Chosen)
	}
}

// tells notes of which devices an incident is: whether what a device says counts
// can be another thing after a change of it than before.
func (s *Survey) tells(i ledger.Index, c incident.Change) {
	if s.about[c.ID] == nil {
		s.about[c.ID] = map[posture.DeviceID]bool{}
	}
	for _, l := range c.Links {
		if l.What == incident.Device {
			s.about[c.ID][l.Device] = true
		}
	}
	for id := range s.about[c.ID] {
		s.told[id] = append(s.told[id], i)
	}
}

// stretch counts what was recorded before an entry about incidents that a device
// is part of.
func (s *Survey) stretch(id posture.DeviceID, i ledger.Index) int {
	n, _ := slices.BinarySearch(s.told[id], i)
	return n
}

// keep takes a change of the register in, as the view does.
func (s *Survey) keep(b ledger.Stored, c register.Change) {
	made := register.Made{At: received(b), Entry: uint64(b.Record.Index) + 1, Forgotten: true}
	switch {
	case c.What == register.Import:
		for _, item := range c.Items {
			if item.Device != "" && !s.free(item.Device, item.Tag) {
				item.Device = ""
			}
			was := s.asset(item.Tag)
			s.put(was, was.Import(item, c.AsOf, made), made.At)
		}
		return
	case c.What == register.AcknowledgeUse:
		s.uses[b.Record.Index] = c.Use.Named
		return
	case c.OfMedium(), c.OfLicence():
		return
	case c.What == register.Allocate:
		// Also one that changed nothing has a name in it.
		s.lent[b.Record.Index] = &loan{
			tag: register.Key(c.Tag), named: c.Allocation.Named, guest: c.Allocation.Guest, from: made.At, back: made.At,
		}
	case c.What == register.Tie && !s.free(c.Device, c.Tag):
		return
	}
	was := s.asset(c.Tag)
	if next, err := was.Take(c, made); err == nil {
		s.put(was, next, made.At)
	}
}

func (s *Survey) asset(tag string) register.Asset {
	if a, ok := s.assets[register.Key(tag)]; ok {
		return *a
	}
	return register.Asset{}
}

// free reports whether a device is enrolled and no asset but one of a tag.
func (s *Survey) free(id posture.DeviceID, tag string) bool {
	_, revoked := s.revoked[id]
	is := s.tags[id]
	return s.enrolled[id] && !revoked && (is == "" || is == register.Key(tag))
}

// Tie says that an asset was an enrolled device for a time.
type Tie struct {
	Device   posture.DeviceID
	From, To time.Time // To is zero while it is
}

// Ties returns which devices an asset was, in order.
func (s *Survey) Ties(tag string) []Tie { return s.ties[register.Key(tag)] }

// tie notes which device an asset is from a moment on.
func (s *Survey) tie(tag string, device posture.DeviceID, at time.Time) {
	list := s.ties[tag]
	if n := len(list); n > 0 && list[n-1].To.IsZero() {
		list[n-1].To = at
	}
	if device != "" {
		s.ties[tag] = append(list, Tie{Device: device, From: at})
	}
}

func (s *Survey) put(was, next register.Asset, at time.Time) {
	if next.Entry == was.Entry {
		return
	}
	tag := register.Key(next.Tag)
	if was.Device != next.Device {
		s.tie(tag, next.Device, at)
		delete(s.tags, was.Device)
		if next.Device != "" {
			s.tags[next.Device] = tag
		}
	}
	s.assets[tag] = &next
	if was.Held != nil && (next.Held == nil || next.Held.Entry != was.Held.Entry) {
		if l := s.lent[ledger.Index(was.Held.Entry-1)]; l != nil && len(next.Past) > 0 {
			l.back = latest(next.Past[len(next.Past)-1].Back, l.from) // whatever was said of it
		}
	}
	if next.Held != nil {
		if l := s.lent[ledger.Index(next.Held.Entry-1)]; l != nil {
			l.from, l.back = next.Held.From, time.Time{}
		}
	}
}

// linkEnds returns when the name in an allocation is to be forgotten; ok is
// false while they have the device. What was retired nobody has any more.
func (s *Survey) linkEnds(l *loan) (at time.Time, ok bool) {
	back := l.back
	if back.IsZero() {
		day, err := time.Parse(time.DateOnly, string(s.assets[l.tag].Retired))
		if err != nil {
			return at, false
		}
		back = day
		if l.from.After(back) {
			back = l.from
		}
	}
	span := s.Times[Link]
	if l.guest {
		span = s.Times[GuestLink]
	}
	return span.After(back), true
}

// over returns when the life of a device ended; ok is false while it goes on. It
// goes on as long as the device may report, as long as the asset that it is or
// was is in use, and as long as it lives under another name, because it was set
// up anew.
func (s *Survey) over(id posture.DeviceID) (at time.Time, ok bool) {
	for range s.became { // no longer than any chain of them
		next, again := s.became[id]
		if !again {
			break
		}
		id = next
	}
	at, ok = s.revoked[id]
	if !ok {
		return at, false
	}
	for _, a := range s.assets {
		if a.Device != id && !slices.Contains(a.Before, id) {
			continue
		}
		day, err := time.Parse(time.DateOnly, string(a.Retired))
		if err != nil {
			return at, false
		}
		at = latest(at, day)
	}
	return at, true
}

func latest(times ...time.Time) time.Time { return slices.MaxFunc(times, time.Time.Compare) }

// closedAt returns when the incident was closed that an entry is about; ok is
// false while it is open, and of what is not known to be about one.
func (s *Survey) closedAt(i ledger.Index) (at time.Time, ok bool) {
	id, known := s.incidents[i]
	at = s.closed[id]
	return at, known && !at.IsZero()
}

// keeping is how long a decision is kept.
type keeping uint8

const (
	always    keeping = iota // something rests on it for as long as the record
	logged                   // nothing does but knowing who decided it and why
	ofRecord                 // what it decided stands beside it, without a name
	ofBreach                 // it is part of the life of a device
	approvers                // while it is in force
	lastSaid                 // while nothing later was said in its place
	ofTerm                   // it stands beside the report of a term, and is kept as long as those are
)

// kinds says of each kind of decision how long it is kept. What is not in the
// table stays: forgetting what another thing rests on would change it.
var kinds = map[decision.Kind]keeping{
	decision.Acknowledge:     ofBreach,
	decision.Resolve:         ofBreach,
	decision.AskExemption:    logged,
	decision.Exempt:          logged,
	decision.RefuseExemption: logged,
	decision.EndExemption:    logged,
	decision.DraftPolicy:     logged,
	decision.ApprovePolicy:   logged,
	decision.WithdrawPolicy:  logged,
	decision.PublishPolicy:   always, // beside the policy, and kept as it is
	decision.SetApprovers:    approvers,
	decision.Register:        ofRecord,
	decision.Calendar:        ofRecord,
	decision.Incident:        ofRecord,
	decision.Admission:       ofRecord,
	decision.Concern:         logged,
	decision.Dispute:         logged,
	decision.Revoke:          ofRecord,
	decision.Retention:       ofRecord,
	decision.Assign:          ofRecord,
	decision.TermReport:      ofTerm,
	decision.YearReport:      ofTerm,
	decision.SetParticulars:  lastSaid,
	decision.OfferRelease:    always, // what was offered to whom, and when, is how a laptop came to run what it runs
	decision.Subject:         logged,
	decision.JoinTrust:       always, // what a school was held to is kept as it is
	decision.LeaveTrust:      always,
	decision.DraftBaseline:   always,
	decision.PublishBaseline: always,
	decision.AllowLooser:     always,
	decision.EndLooser:       always,
}
