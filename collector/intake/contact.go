package intake

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// contact checks a contact and puts it into the next batch. It is acknowledged
// when the batch is synced to disk.
func (s *session) contact(ctx context.Context, m *pb.Contact) error {
	statement, err := proof.DecodeContactStatement(m.GetStatement())
	if err != nil {
		return refuse("malformed", "a contact's statement cannot be read: %s", wire.Visible(err.Error(), 300))
	}
	if err := s.mine(statement.School, statement.Device); err != nil {
		return err
	}
	if proof.VerifyStatement(s.device.Key, proof.HashContact(m.GetStatement()), m.GetSignature()) != nil {
		return refuse("signature", "contact %d since report %d is not signed by this device's key", statement.Count, statement.Report)
	}
	if err := s.grounded(ctx); err != nil {
		return s.failed("record the reports before", err)
	}
	switch {
	case statement.Report == 0 || statement.Count == 0:
		return refuse("malformed", "a contact has no number")
	case statement.Report > s.device.Last:
		return s.sendFull("gap") // not acknowledged: it confirms a report that is not here
	case statement.Report < s.device.Last:
		return s.acknowledge(s.device.Last, 0) // sent again: a later report is here
	case statement.Hash != s.device.Hash:
		return s.conflict(ctx, roster.Doubt{Sequence: statement.Report, Contact: true, Statement: m.GetStatement(), Signature: m.GetSignature()})
	}
	at := roster.Contact{Report: statement.Report, Count: statement.Count}
	body, err := proof.SignedContact{Statement: m.GetStatement(), Signature: m.GetSignature()}.Encode()
	if err != nil {
		return refuse("malformed", "a contact cannot be recorded: %s", err)
	}
	section, err := roster.RawSection(roster.SectionContact, proof.Contacts, body)
	if err != nil {
		return s.failed("record the contact", err)
	}
	if !s.school.contacts.add(s, at, section) {
		return s.acknowledge(at.Report, at.Count)
	}
	return nil
}

// Contacts of all devices are recorded together: one entry and one sync for
// up to mostContacts of them, at the latest after contactsWait.
const (
	mostContacts = 256
	contactsWait = time.Second
)

// contacts gathers a school's contacts.
type contacts struct {
	school *school
	wake   chan struct{} // holds a token when something waits
	filled chan struct{} // holds a token when there is a full batch

	mu      sync.Mutex // guards all below
	waiting []*waiting // not recorded, in the order in which they came
	known   map[contactKey]*waiting
}

type contactKey struct {
	device posture.DeviceID
	at     roster.Contact
}

// waiting is one contact that is not recorded yet.
type waiting struct {
	key     contactKey
	section proof.Section
	session *session // that is told when it is recorded
}

func newContacts(s *school) *contacts {
	return &contacts{school: s, wake: make(chan struct{}, 1), filled: make(chan struct{}, 1), known: map[contactKey]*waiting{}}
}

// add puts a contact into the next batch, unless it is recorded already. One
// that waits already, from a stream that broke, waits for the new stream
// instead.
func (c *contacts) add(s *session, at roster.Contact, section proof.Section) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := contactKey{s.id, at}
	if w, ok := c.known[key]; ok {
		w.session = s
		return true
	}
	// What is known no more is in the roster: see record and settle.
	if c.school.Roster.Contact(s.id).Covers(at) {
		return false
	}
	w := &waiting{key: key, section: section, session: s}
	c.known[key] = w
	c.waiting = append(c.waiting, w)
	signal(c.wake)
	if len(c.waiting) >= mostContacts {
		signal(c.filled)
	}
	return true
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run records batches until ctx ends. Those that wait then were not
// acknowledged, and are sent again.
func (c *contacts) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.wake:
		}
		soon, stop := c.school.in.o.Clock.After(contactsWait)
		select {
		case <-ctx.Done():
			stop()
			return nil
		case <-soon:
		case <-c.filled:
			stop()
		}
		for batch := c.take(); len(batch) > 0; batch = c.take() {
			err := c.record(ctx, batch)
			c.settle(batch, err == nil)
			if err != nil && ctx.Err() == nil {
				c.school.in.o.Log.Error("contacts not recorded", "school", c.school.ID, "contacts", len(batch), "error", err)
			}
		}
	}
}

// take returns the next batch. It stays known until it is settled.
func (c *contacts) take() []*waiting {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(len(c.waiting), mostContacts)
	batch := c.waiting[:n:n]
	c.waiting = c.waiting[n:]
	if len(c.waiting) == 0 {
		c.waiting = nil // do not keep what a burst grew
	}
	return batch
}

func (c *contacts) record(ctx context.Context, batch []*waiting) error {
	sections := make([]proof.Section, len(batch))
	for i, w := range batch {
		sections[i] = w.section
	}
	e := c.school.maker.Entry(proof.KindContacts, "", c.school.in.o.Clock.Now(), sections...)
	if _, err := c.school.Ledger.Append(ctx, e); err != nil {
		return fmt.Errorf("append %d contacts: %w", len(batch), err)
	}
	return c.school.Roster.CatchUp(ctx)
}

// settle tells the sessions of a batch that it is recorded, or ends them: the
// devices come again and send what was not acknowledged.
func (c *contacts) settle(batch []*waiting, recorded bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range batch {
		delete(c.known, w.key)
		if recorded {
			w.session.want(wants{contact: w.key.at})
		} else {
			w.session.conn.Close()
		}
	}
}
