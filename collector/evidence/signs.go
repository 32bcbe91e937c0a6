package evidence

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/dispute"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// Silence is a time, longer than the school's policy allows, of which nothing
// that the device signed is here.
type Silence struct {
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
	Lasts bool      `json:"lasts,omitempty"` // up to the moment: To is no word of it
}

// Heard is the last contact of the device before the moment.
type Heard struct {
	Entry      uint64    `json:"entry"` // the receipt
	Report     uint64    `json:"report"`
	MadeAt     time.Time `json:"madeAt"`
	ReceivedAt time.Time `json:"receivedAt"`
}

// Revoked says that the device was known no more.
type Revoked struct {
	Entry  uint64    `json:"entry"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

// Recovery is what the school recorded of the device's recovery key. The key
// itself is nowhere recorded.
type Recovery struct {
	Entry uint64    `json:"entry"`
	At    time.Time `json:"at"`
	Tag   string    `json:"tag"` // of the asset that the school says the device is
	Held  bool      `json:"held"`
}

// Published is the policy that judged the last report.
type Published struct {
	Number uint64    `json:"number"`
	Title  string    `json:"title"`
	Entry  uint64    `json:"entry"`
	At     time.Time `json:"at"`
}

// contact is one contact of the device, and when it was made as far as its own
// clock and the collector's agree.
type contact struct {
	index     uint64
	statement proof.ContactStatement
	received  time.Time
	at        time.Time
}

// sign is something that the device signed: a report or a contact.
type sign struct {
	index   uint64
	at      time.Time
	report  int      // its place among the reports; -1: it is a contact
	contact *contact // nil: it is a report
}

// signs returns what the device signed in the order of the ledger.
func (o *opened) signs() []sign {
	list := make([]sign, 0, len(o.reports)+len(o.contacts))
	for i, r := range o.reports {
		list = append(list, sign{index: r.index, at: o.places[i].at, report: i})
	}
	for i := range o.contacts {
		c := &o.contacts[i]
		list = append(list, sign{index: c.index, at: c.at, report: -1, contact: c})
	}
	slices.SortStableFunc(list, func(a, b sign) int { return cmp.Compare(a.index, b.index) })
	return list
}

// placeContacts places the contacts in time as place does the reports: each was
// made before it was received, after the report that it names, and after the
// last entry here below its witness.
func (o *opened) placeContacts() {
	type known struct {
		index uint64
		at    time.Time // the latest at which it or one before it was received
	}
	entries := []known{{o.admitted.index, moment(o.admitted.envelope.ReceivedAt)}}
	for _, r := range o.reports {
		entries = append(entries, known{r.index, moment(r.envelope.ReceivedAt)})
	}
	for _, c := range o.contacts {
		entries = append(entries, known{c.index, c.received})
	}
	slices.SortFunc(entries, func(a, b known) int { return cmp.Compare(a.index, b.index) })
	for i := 1; i < len(entries); i++ {
		entries[i].at = later(entries[i].at, entries[i-1].at)
	}
	for i := range o.contacts {
		c := &o.contacts[i]
		earliest := moment(o.admitted.envelope.ReceivedAt)
		if size := c.statement.Witness.Size; size <= c.index {
			if n := sort.Search(len(entries), func(n int) bool { return entries[n].index >= size }); n > 0 {
				earliest = later(earliest, entries[n-1].at)
			}
		}
		if n, ok := o.reportOf(c); ok {
			earliest = later(earliest, o.places[n].at)
		}
		c.at = earlier(later(moment(c.statement.MadeAt), earliest), c.received)
	}
}

// reportOf returns the place of the report that a contact confirms; ok is false
// if it is not here.
func (o *opened) reportOf(c *contact) (n int, ok bool) {
	n, ok = slices.BinarySearchFunc(o.reports, c.statement.Report, func(r signedReport, sequence uint64) int {
		return cmp.Compare(r.statement.Sequence, sequence)
	})
	return n, ok && proof.HashReport(o.reports[n].envelope.Statement) == c.statement.Hash
}

// silences lists the times of which nothing that the device signed is here.
func (o *opened) silences(s *Sheet) {
	threshold := time.Duration(o.bundle.Silence) * time.Second
	moments := []time.Time{s.EnrolledAt}
	for _, sign := range o.signs() {
		moments = append(moments, sign.at)
	}
	slices.SortFunc(moments, time.Time.Compare)
	for i, at := range moments[1:] {
		if at.Sub(moments[i]) > threshold {
			s.Silences = append(s.Silences, Silence{From: moments[i], To: at})
		}
	}
	last := moments[len(moments)-1]
	if o.bundle.At.Sub(last) > threshold {
		s.Silences = append(s.Silences, Silence{From: last, To: o.bundle.At, Lasts: true})
	}
}

// around tells of what stands around the reports.
func (o *opened) around(s *Sheet) {
	s.Contacts, s.Disputed = len(o.contacts), o.disputed
	if n := len(o.contacts); n > 0 {
		c := o.contacts[n-1]
		s.Heard = &Heard{Entry: c.index, Report: c.statement.Report, MadeAt: moment(c.statement.MadeAt), ReceivedAt: c.received}
	}
	s.Revoked, s.Policy, s.Recovery = o.revoked, o.policy, o.recovery
	if !s.EnrolledAt.After(o.bundle.At) {
		o.silences(s)
	}
}

// addContact takes in a contact.
func (o *opened) addContact(e entry, body []byte) error {
	signed, err := proof.DecodeSignedContact(body)
	if err != nil {
		return err
	}
	c, err := proof.DecodeContactStatement(signed.Statement)
	received := moment(e.envelope.ReceivedAt)
	switch {
	case err != nil:
		return err
	case c.Device != string(o.bundle.Device):
		return fmt.Errorf("the contact is of %.70q", c.Device)
	case received.After(o.bundle.At):
		return errors.New("the contact came after the moment that is asked about")
	}
	o.contacts = append(o.contacts, contact{index: e.index, statement: c, received: received})
	return nil
}

// addDecision takes in that the device was revoked, or that its recovery key is
// held or not.
func (o *opened) addDecision(e entry, bodies map[string][]byte) error {
	if body, ok := bodies[register.Section]; ok {
		return o.addRecovery(e, body)
	}
	if body, ok := bodies[dispute.Section]; ok {
		return o.addDispute(e, body, bodies[dispute.SectionWords])
	}
	if body, ok := bodies[admission.Section]; ok && bodies[roster.SectionRevocation] == nil {
		return o.addApart(e, body)
	}
	r, err := roster.DecodeRevocation(bodies[roster.SectionRevocation])
	at := moment(e.envelope.ReceivedAt)
	switch {
	case err != nil:
		return err
	case r.Device != o.bundle.Device:
		return fmt.Errorf("it revokes %.70q", string(r.Device))
	case at.After(o.bundle.At):
		return errors.New("it was revoked after the moment that is asked about")
	}
	if o.revoked == nil { // the first word of it counts
		o.revoked = &Revoked{Entry: e.index, At: at, Reason: r.Reason}
	}
	return nil
}

func (o *opened) addRecovery(e entry, body []byte) error {
	c, err := register.Decode(body)
	at := moment(e.envelope.ReceivedAt)
	switch {
	case err != nil:
		return err
	case c.What != register.Recovery || o.bundle.Asset == "" || register.Key(c.Tag) != register.Key(o.bundle.Asset) || o.recovery != nil:
		return errors.New("it says nothing of the device's recovery key, or there are two that do")
	case at.After(o.bundle.At):
		return errors.New("it was recorded after the moment that is asked about")
	}
	o.recovery = &Recovery{Entry: e.index, At: at, Tag: c.Tag, Held: c.Escrow == register.KeyHeld}
	return nil
}

// addPolicy takes in the policy that judged the last report.
func (o *opened) addPolicy(e entry, body []byte) error {
	title, number, err := readPolicy(o.bundle, body)
	if err != nil {
		return err
	}
	if o.policy != nil {
		return errors.New("it is a second policy")
	}
	o.policy = &Published{Number: number, Title: title, Entry: e.index, At: moment(e.envelope.ReceivedAt)}
	return nil
}

// readPolicy reads the number and title of a policy that the school signed.
// Whatever else it says is not needed, so that a later one can be read too.
func readPolicy(b *Bundle, document []byte) (title string, number uint64, err error) {
	key, err := identity.ParseSchoolVerifier(b.Key)
	if err != nil {
		return "", 0, err
	}
	body, err := key.Document(roster.DocumentPolicy, document)
	if err != nil {
		return "", 0, fmt.Errorf("read the policy: %w", err)
	}
	var p struct {
		Number uint64 `json:"number"`
		Title  string `json:"title"`
	}
	if err := json.Unmarshal(body, &p); err != nil {
		return "", 0, fmt.Errorf("read the policy: %w", err)
	}
	return p.Title, p.Number, nil
}
