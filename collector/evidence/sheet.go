package evidence

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// State is what was proven of a device's disks as a whole: the worst of them.
type State string

// The states.
const (
	Encrypted    State = "encrypted"     // every volume is, and its key is guarded
	Unprotected  State = "not protected" // every volume is encrypted, and a key lies open
	NotEncrypted State = "not encrypted" // some volume is not fully encrypted
	NotProven    State = "not proven"    // nobody can tell
	Missing      State = "missing"       // the reports of this time are not in the ledger
)

// Sheet is the answer for people. It follows from a bundle's entries alone.
// Times are the device's own, as it signed them, unless said otherwise. Those of
// spans, and Since, HeldAt and ReadAt, are moved to where the collector's clock
// allows them if the device's own said something impossible.
type Sheet struct {
	State      State     `json:"state"`         // at the moment that was asked about, as last proven
	Why        string    `json:"why,omitempty"` // for NotProven
	Since      time.Time `json:"since"`         // since when every report said so; zero if none did
	Reported   Report    `json:"reported"`      // the last report before the moment
	HeldAt     time.Time `json:"heldAt"`        // when the device last signed that this report still held; zero if it did not
	ReadAt     time.Time `json:"readAt"`        // when the state of its disks was last read
	Spans      []Span    `json:"spans"`         // what its reports said, from the first to the last
	Hostname   string    `json:"hostname"`
	EnrolledAt time.Time `json:"enrolledAt"` // by the collector's clock
	EnrolledIn uint64    `json:"enrolledIn"` // entry
	Token      string    `json:"token"`      // identifier of the token that admitted it
	TokenBy    string    `json:"tokenBy"`    // who made that token; "" if it was not found
	KeyPrint   string    `json:"keyPrint"`   // SHA-256 of the device's public key, in hexadecimal

	// From the second format on.
	Silences []Silence  `json:"silences,omitempty"` // longer than the bundle's, oldest first
	Contacts int        `json:"contacts,omitempty"` // that the answer rests on: the last of each day
	Heard    *Heard     `json:"heard,omitempty"`    // the last of them
	Revoked  *Revoked   `json:"revoked,omitempty"`  // up to the moment
	Recovery *Recovery  `json:"recovery,omitempty"` // none: nothing was recorded of its recovery key
	Policy   *Published `json:"policy,omitempty"`   // that judged the last report; none: the one built into the agent
	Disputed []Disputed `json:"disputed,omitempty"` // facts that somebody says are wrong, oldest first

	Twice []Twice `json:"twice,omitempty"` // times in which two machines answered to its name, oldest first

	Volumes   []posture.Volume      `json:"volumes"`
	Antivirus []posture.Antivirus   `json:"antivirus"`
	Security  *posture.Security     `json:"security,omitempty"`
	Attached  []posture.Medium      `json:"attached"` // media at the last report
	Media     []posture.MediumEvent `json:"media"`    // what came and went in the 30 days before the moment
	Unread    []string              `json:"unread"`   // sections of the last report whose content is not in the ledger any more, or could not be read
	NotKnown  []string              `json:"notKnown"` // what nobody can say
}

// Report says which report, and when it came.
type Report struct {
	Sequence   uint64    `json:"sequence"` // 0: there is none
	Entry      uint64    `json:"entry"`    // the receipt: its place in the ledger
	MadeAt     time.Time `json:"madeAt"`
	ReceivedAt time.Time `json:"receivedAt"` // by the collector's clock
	Policy     uint64    `json:"policy"`     // that judged it; 0 is the one built into the agent
}

// Span is a time over which the reports said the same.
type Span struct {
	From  time.Time `json:"from"` // the first report that said so
	To    time.Time `json:"to"`   // the last report that said so; from the second format on also the last contact
	State State     `json:"state"`
	Why   string    `json:"why,omitempty"` // for NotProven and Missing
	First uint64    `json:"first"`         // sequences of those reports
	Last  uint64    `json:"last"`
	Quiet *Quiet    `json:"quiet,omitempty"` // the longest time between two of those, if there are two
}

// Quiet is a time without a report and, from the second format on, a contact.
type Quiet struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// opened is a bundle's entries, decoded.
type opened struct {
	bundle    *Bundle
	enrolment roster.Enrolment
	key       *ecdsa.PublicKey
	admitted  entry
	reports   []signedReport
	places    []placed // of the reports
	tokens    []roster.Token
	contacts  []contact
	revoked   *Revoked
	recovery  *Recovery
	policy    *Published
	disputed  []Disputed
	gaps      []roster.Gap
	doubted   []Twice
	bodies    map[proof.Digest][]byte
}

type entry struct {
	index    uint64
	envelope proof.Envelope
}

type signedReport struct {
	entry
	statement proof.ReportStatement
}

// Answer works the answer out from a bundle's entries.
func Answer(b *Bundle) (Sheet, error) {
	o, err := open(b)
	if err != nil {
		return Sheet{}, fmt.Errorf("work out what the evidence about %s says: %w", b.Device, err)
	}
	point, err := x509.MarshalPKIXPublicKey(o.key)
	if err != nil {
		return Sheet{}, fmt.Errorf("work out what the evidence about %s says: write its key: %w", b.Device, err)
	}
	sum := sha256.Sum256(point)
	s := Sheet{
		State: NotProven, Why: "it had not reported by then", EnrolledAt: moment(o.admitted.envelope.ReceivedAt), EnrolledIn: o.admitted.index,
		Token: o.enrolment.Token, KeyPrint: hex.EncodeToString(sum[:]),
		Spans: []Span{}, Volumes: []posture.Volume{}, Antivirus: []posture.Antivirus{}, Attached: []posture.Medium{}, Media: []posture.MediumEvent{}, Unread: []string{},
	}
	for _, t := range o.tokens {
		if t.ID == s.Token {
			s.TokenBy = t.By
		}
	}
	if o.bundle.Format > 1 {
		o.around(&s)
	}
	if len(o.reports) > 0 {
		o.history(&s)
		o.last(&s)
		o.media(&s)
	}
	s.NotKnown = o.notKnown(s)
	if o.bundle.Format > 1 {
		o.twice(&s)
	}
	return s, nil
}

// open decodes the entries, and refuses what does not belong to the device.
func open(b *Bundle) (*opened, error) {
	o := &opened{bundle: b, bodies: map[proof.Digest][]byte{}}
	for _, e := range b.Entries {
		env, err := proof.DecodeEnvelope(e.Envelope)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", e.Index, err)
		}
		bodies := map[string][]byte{}
		for _, s := range e.Sections {
			if s.Number < 0 || s.Number >= len(env.Sections) {
				return nil, fmt.Errorf("entry %d: it has no section %d", e.Index, s.Number)
			}
			ref := env.Sections[s.Number]
			o.bodies[ref.Digest] = s.Body
			bodies[ref.Name] = s.Body
		}
		if b.Format > 1 && len(bodies) < len(e.Sections) {
			return nil, fmt.Errorf("entry %d: it holds two sections of one name", e.Index)
		}
		if err := o.add(entry{e.Index, env}, bodies); err != nil {
			return nil, fmt.Errorf("entry %d: %w", e.Index, err)
		}
	}
	if o.key == nil {
		return nil, errors.New("it does not hold the device's enrolment")
	}
	for i, r := range o.reports {
		if i > 0 && r.statement.Sequence <= o.reports[i-1].statement.Sequence {
			return nil, fmt.Errorf("entry %d: report %d comes after report %d", r.index, r.statement.Sequence, o.reports[i-1].statement.Sequence)
		}
	}
	if n := upTo(o.admitted, o.reports, b.At); n < len(o.reports) {
		return nil, fmt.Errorf("entry %d: report %d was made after the moment that is asked about", o.reports[n].index, o.reports[n].statement.Sequence)
	}
	o.places = place(o.admitted, o.reports)
	o.placeContacts()
	if o.policy != nil && (len(o.reports) == 0 || o.policy.Number != o.reports[len(o.reports)-1].statement.Policy) {
		return nil, fmt.Errorf("entry %d: policy %d judged nothing here", o.policy.Entry, o.policy.Number)
	}
	return o, nil
}

func (o *opened) add(e entry, bodies map[string][]byte) (err error) {
	if !slices.Contains([]proof.Kind{proof.KindContacts, proof.KindToken, proof.KindPolicy, proof.KindDecision}, e.envelope.Kind) && e.envelope.Subject != string(o.bundle.Device) {
		return fmt.Errorf("it is about %.70q", e.envelope.Subject)
	}
	switch e.envelope.Kind {
	case proof.KindEnrolment:
		return o.enrolled(e, bodies[roster.SectionEnrolment])
	case proof.KindToken:
		t, err := roster.DecodeToken(bodies[roster.SectionToken])
		o.tokens = append(o.tokens, t)
		return err
	case proof.KindReport:
		r := signedReport{entry: e}
		if r.statement, err = proof.DecodeReportStatement(e.envelope.Statement); err == nil {
			err = e.envelope.CheckStatement()
		}
		o.reports = append(o.reports, r)
		return err
	case proof.KindContacts:
		return o.addContact(e, bodies[roster.SectionContact])
	case proof.KindGap:
		if body, ok := bodies[roster.SectionDoubt]; ok {
			if err := o.addDoubt(e, body); err != nil || bodies[roster.SectionGap] == nil {
				return err
			}
		}
		g, err := roster.DecodeGap(bodies[roster.SectionGap])
		o.gaps = append(o.gaps, g)
		return err
	case proof.KindDecision:
		if o.bundle.Format > 1 {
			return o.addDecision(e, bodies)
		}
	case proof.KindPolicy:
		if o.bundle.Format > 1 {
			return o.addPolicy(e, bodies[roster.SectionPolicy])
		}
	}
	return fmt.Errorf("a %s proves nothing here", e.envelope.Kind)
}

func (o *opened) enrolled(e entry, body []byte) (err error) {
	if o.admitted = e; o.key != nil {
		return errors.New("it is a second enrolment")
	}
	if o.enrolment, err = roster.DecodeEnrolment(body); err != nil {
		return err
	}
	c, err := x509.ParseCertificate(o.enrolment.Certificate)
	if err != nil {
		return fmt.Errorf("read the device's certificate: %w", err)
	}
	key, ok := c.PublicKey.(*ecdsa.PublicKey)
	if !ok || o.enrolment.Device != o.bundle.Device {
		return errors.New("the certificate is not the device's")
	}
	o.key = key
	return nil
}

func (o *opened) facts(r signedReport, name string) (posture.Facts, string) {
	var f posture.Facts
	i := slices.IndexFunc(r.statement.Sections, func(ref proof.SectionRef) bool { return ref.Name == name })
	if i < 0 {
		return f, "it was not asked"
	}
	ref := r.statement.Sections[i]
	body, ok := o.bodies[ref.Digest]
	if !ok {
		return f, "its content was forgotten"
	}
	if err := wire.DecodeSection(name, body, moment(ref.ReadAt), &f, nil); err != nil {
		return posture.Facts{}, "its content cannot be read"
	}
	return f, ""
}

// last tells of the last report and of what it holds.
func (o *opened) last(s *Sheet) {
	r := o.reports[len(o.reports)-1]
	s.Reported = Report{
		Sequence: r.statement.Sequence, Entry: r.index, MadeAt: moment(r.statement.MadeAt),
		ReceivedAt: moment(r.envelope.ReceivedAt), Policy: r.statement.Policy,
	}
	for _, ref := range r.statement.Sections {
		if ref.Name == wire.Encryption && ref.ReadAt > 0 {
			s.ReadAt = moment(ref.ReadAt)
		}
	}
	made := o.places[len(o.places)-1].at
	s.ReadAt = earlier(s.ReadAt, made)
	for i := range o.contacts {
		c := &o.contacts[i]
		if n, ok := o.reportOf(c); !ok || n != len(o.reports)-1 {
			continue
		}
		if o.bundle.Format == 1 {
			s.HeldAt = later(made, earlier(moment(c.statement.MadeAt), c.received))
		} else {
			s.HeldAt = later(s.HeldAt, c.at)
		}
		if c.statement.ReadAt > 0 {
			s.ReadAt = later(s.ReadAt, earlier(moment(c.statement.ReadAt), s.HeldAt))
		}
	}
	for _, name := range []string{wire.System, wire.Encryption, wire.Antivirus, wire.Media, wire.Security} {
		f, why := o.facts(r, name)
		if why != "" {
			s.Unread = append(s.Unread, name+": "+why)
			continue
		}
		s.Unread = append(s.Unread, unread(name, f)...)
		s.Volumes = append(s.Volumes, f.Volumes.Items...)
		s.Antivirus = append(s.Antivirus, f.Antivirus.Items...)
		s.Attached = append(s.Attached, f.Media.Items...)
		if len(f.System.Items) > 0 {
			s.Hostname = f.System.Items[0].Hostname
		}
		if len(f.Security.Items) > 0 {
			s.Security = &f.Security.Items[0]
		}
	}
}

// unread lists what a section says that it could not read.
func unread(name string, f posture.Facts) []string {
	switch name {
	case wire.System:
		return absences(name, f.System)
	case wire.Encryption:
		return absences(name, f.Volumes)
	case wire.Antivirus:
		return absences(name, f.Antivirus)
	case wire.Media:
		return absences(name, f.Media)
	case wire.MediaEvents:
		return absences(name, f.MediaEvents)
	case wire.Security:
		return absences(name, f.Security)
	}
	return nil
}

func absences[T any](name string, a posture.Answer[T]) (list []string) {
	if a.Absent != posture.None {
		return []string{name + ": " + a.Absent.String()}
	}
	for _, g := range a.Gaps {
		list = append(list, fmt.Sprintf("a part of %s: %s, %s", name, g.Source, g.Absent))
	}
	return list
}

func (o *opened) media(s *Sheet) {
	from := o.bundle.At.AddDate(0, 0, -mediaDays)
	for _, r := range o.reports {
		if !slices.ContainsFunc(r.statement.Sections, func(ref proof.SectionRef) bool {
			return ref.Name == wire.MediaEvents && ref.Carried == r.statement.Sequence
		}) {
			continue
		}
		f, why := o.facts(r, wire.MediaEvents)
		if why != "" {
			if r.mayTellOf(from) {
				s.Unread = append(s.Unread, fmt.Sprintf("%s of report %d: %s", wire.MediaEvents, r.statement.Sequence, why))
			}
			continue
		}
		for _, u := range unread(wire.MediaEvents, f) {
			s.Unread = append(s.Unread, fmt.Sprintf("of report %d %s", r.statement.Sequence, u))
		}
		for _, e := range f.MediaEvents.Items {
			if e.At.After(from) && !e.At.After(o.bundle.At) {
				s.Media = append(s.Media, e)
			}
		}
	}
}

// mayTellOf reports whether a report can tell of what happened after a moment:
// by its own clock, or because it came after it.
func (r signedReport) mayTellOf(from time.Time) bool {
	return later(moment(r.statement.MadeAt), moment(r.envelope.ReceivedAt)).After(from)
}

// notKnown lists what no record can say.
func (o *opened) notKnown(s Sheet) []string {
	list := []string{
		"what was on the device, and whether it was asleep, locked or switched off",
		"what happened on it after it was last heard from",
		"whether an administrator of the device had altered the agent",
	}
	if o.bundle.Format > 1 && s.Recovery == nil {
		list = append(list, "whether the school holds its recovery key: nothing of that was recorded by then")
	}
	if s.Reported.Sequence == 0 {
		return append(list, "anything about its disks: it has not reported")
	}
	if slices.ContainsFunc(s.Spans, func(p Span) bool { return p.State == Missing }) {
		list = append(list, "what the missing reports said")
	}
	for i, q := range s.Silences {
		if i == 0 {
			list = append(list, "what it was like while it was not heard from")
		}
		if !q.Lasts && !slices.ContainsFunc(o.places, func(p placed) bool { return p.at.Equal(q.To) }) {
			list = append(list, "at what hour a silence ended that ends with a contact: of each day only the last is kept")
			break
		}
	}
	return append(list, o.clocks(s)...)
}
