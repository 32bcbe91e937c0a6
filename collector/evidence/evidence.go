// Package evidence answers for one device at one moment, and proves the answer:
// what the device's own signed reports say of its encryption, since when, what
// is missing, and what cannot be known.
//
// A bundle holds the entries that the answer rests on with their proofs, and
// the answer itself. It is sealed with the school's key once and never changed.
// The package reads the ledger and decides nothing; the answer follows from the
// entries alone, so that whoever verifies a bundle works it out again.
package evidence

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// Format is the version of bundles. shared/docs/formats.md describes it.
const Format = 1

// Document is the kind of the signed document that seals a bundle.
const Document = "evidence"

// headline is the first line of a sealed bundle.
const headline = "caretaker evidence v1"

// Bundle is everything that proves one answer.
type Bundle struct {
	Format     int              `json:"format"`
	School     posture.SchoolID `json:"school"`
	SchoolName string           `json:"schoolName"`
	Key        string           `json:"key"` // of the school, as signed notes write it
	Device     posture.DeviceID `json:"device"`
	At         time.Time        `json:"at"`     // the moment that is asked about
	MadeAt     time.Time        `json:"madeAt"` // by the collector's clock
	MadeBy     string           `json:"madeBy"`
	Checkpoint string           `json:"checkpoint"` // signed by the school; every entry is in its tree
	Entries    []Entry          `json:"entries"`    // in the order of the ledger
	Sheet      Sheet            `json:"sheet"`
}

// Entry is one entry of the ledger with the proof that it is there.
type Entry struct {
	Index    uint64         `json:"index"`
	Envelope []byte         `json:"envelope"` // proof.Envelope's bytes
	Path     []proof.Digest `json:"path"`     // to the root of the checkpoint
	Sections []Section      `json:"sections"` // some of those that the envelope names
}

// Section is the content of one section of an entry.
type Section struct {
	Number int    `json:"number"` // its place among the envelope's sections
	Salt   []byte `json:"salt"`
	Body   []byte `json:"body"`
}

// School is where evidence comes from.
type School struct {
	ID     posture.SchoolID
	Name   string
	Key    identity.SchoolVerifier
	Ledger *ledger.Ledger
	Roster *roster.Roster
}

// Question is what is asked.
type Question struct {
	Device posture.DeviceID
	At     time.Time // the moment, such as when the device was lost
	By     string    // who asks
	Now    time.Time
}

// mediaDays is how long before the moment media are told of.
const mediaDays = 30

// Bounds of a bundle.
const (
	mostReports  = 50_000
	mostContacts = 200_000 // that are looked at to find the device's last
)

// ErrNoDevice says that the school has no such device.
var ErrNoDevice = errors.New("the school has no such device")

// ErrNotYet says that nothing is proven of what is to come.
var ErrNotYet = errors.New("the moment that is asked about has not come yet")

// Collect gathers what the ledger holds about a device up to a moment.
func Collect(ctx context.Context, s School, q Question) (*Bundle, error) {
	device, ok := s.Roster.Device(q.Device)
	if !ok {
		return nil, fmt.Errorf("gather evidence about %s: %w", q.Device, ErrNoDevice)
	}
	q.At, q.Now = q.At.UTC().Truncate(time.Millisecond), q.Now.UTC().Truncate(time.Millisecond)
	if q.At.After(q.Now) {
		return nil, fmt.Errorf("gather evidence about %s: %w", q.Device, ErrNotYet)
	}
	note, err := s.Ledger.Checkpoint(ctx)
	if err != nil {
		return nil, fmt.Errorf("gather evidence about %s: %w", q.Device, err)
	}
	checkpoint, err := proof.ReadCheckpoint(note)
	if err != nil {
		return nil, fmt.Errorf("gather evidence about %s: %w", q.Device, err)
	}
	g := gathering{School: s, q: q, size: checkpoint.Size, taken: map[ledger.Index]*Entry{}}
	if err := g.all(ctx, device); err != nil {
		return nil, fmt.Errorf("gather evidence about %s: %w", q.Device, err)
	}
	b := &Bundle{
		Format: Format, School: s.ID, SchoolName: s.Name, Key: s.Key.String(), Device: q.Device,
		At: q.At, MadeAt: q.Now, MadeBy: q.By, Checkpoint: string(note), Entries: g.entries(),
	}
	b.Sheet, err = Answer(b)
	return b, err
}

// Seal returns the bundle as a file of three lines: what it is, the bundle as
// JSON, and in base64 the school's signature over all before it.
func (b *Bundle) Seal(key *identity.SchoolKey) ([]byte, error) {
	body, err := json.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("write evidence about %s: %w", b.Device, err)
	}
	file := slices.Concat([]byte(headline+"\n"), body, []byte("\n"))
	sum := sha256.Sum256(file)
	seal, err := key.SignDocument(Document, sum[:])
	if err != nil {
		return nil, fmt.Errorf("seal evidence about %s: %w", b.Device, err)
	}
	if file = append(base64.StdEncoding.AppendEncode(file, seal), '\n'); len(file) > maxBundle {
		return nil, fmt.Errorf("seal evidence about %s: it would have %d bytes, and nobody reads more than %d", b.Device, len(file), maxBundle)
	}
	return file, nil
}

// gathering takes entries out of the ledger.
type gathering struct {
	School
	q     Question
	size  uint64 // of the checkpoint's tree: nothing later is taken
	taken map[ledger.Index]*Entry
}

func (g *gathering) all(ctx context.Context, d roster.Device) error {
	enrolment, err := g.take(ctx, d.Enrolment)
	if err != nil {
		return err
	}
	if err := g.bodies(ctx, enrolment, roster.SectionEnrolment); err != nil {
		return err
	}
	if err := g.token(ctx, d, enrolment); err != nil {
		return err
	}
	reports, err := g.reports(ctx, d, enrolment)
	if err != nil || len(reports) == 0 {
		return err
	}
	if err := g.state(ctx, reports); err != nil {
		return err
	}
	if err := g.contact(ctx, d, reports[len(reports)-1]); err != nil {
		return err
	}
	return g.gaps(ctx, enrolment, reports)
}

// token takes the token that admitted the device: it says who let it in.
func (g *gathering) token(ctx context.Context, d roster.Device, enrolment *Entry) error {
	e, err := g.Roster.Enrolment(ctx, d)
	if err != nil {
		return err
	}
	return g.backwards(ctx, 0, ledger.Index(enrolment.Index), func(r ledger.Record) (done bool, err error) {
		if r.Envelope.Kind != proof.KindToken || r.Envelope.Subject != "token:"+e.Token {
			return false, nil
		}
		taken, err := g.takeRecord(r)
		if err != nil {
			return false, err
		}
		return true, g.bodies(ctx, taken, roster.SectionToken)
	})
}

// reports takes every report that the device made up to the moment, oldest
// first.
func (g *gathering) reports(ctx context.Context, d roster.Device, enrolment *Entry) ([]signedReport, error) {
	if d.Last == 0 {
		return nil, nil
	}
	var list []signedReport
	records := map[uint64]ledger.Record{}
	for i, ok := d.Entry, true; ok; {
		if uint64(i) < g.size {
			r, err := g.Ledger.Read(ctx, i)
			if err != nil {
				return nil, err
			}
			s, err := proof.DecodeReportStatement(r.Envelope.Statement)
			if err != nil {
				return nil, fmt.Errorf("read report in entry %d: %w", i, err)
			}
			list = append(list, signedReport{entry{uint64(i), r.Envelope}, s})
			records[uint64(i)] = r
		}
		if len(list) > mostReports {
			return nil, fmt.Errorf("it made more than %d reports", mostReports)
		}
		var err error
		if i, ok, err = g.Ledger.Before(i); err != nil {
			return nil, err
		}
	}
	slices.Reverse(list)
	admitted, err := proof.DecodeEnvelope(enrolment.Envelope)
	if err != nil {
		return nil, err
	}
	list = list[:upTo(entry{enrolment.Index, admitted}, list, g.q.At)]
	for _, r := range list {
		if _, err := g.takeRecord(records[r.index]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// state takes what the reports said of encryption, what the last of them said
// of everything else that matters, and the media of the last days.
func (g *gathering) state(ctx context.Context, reports []signedReport) error {
	last := reports[len(reports)-1]
	bySequence := map[uint64]signedReport{}
	for _, r := range reports {
		bySequence[r.statement.Sequence] = r
		names := []string{wire.Encryption}
		if r.mayTellOf(g.q.At.AddDate(0, 0, -mediaDays)) {
			names = append(names, wire.MediaEvents)
		}
		if err := g.bodies(ctx, g.taken[ledger.Index(r.index)], names...); err != nil {
			return err
		}
	}
	for _, ref := range last.statement.Sections {
		if !slices.Contains([]string{wire.System, wire.Antivirus, wire.Media, wire.Security}, ref.Name) {
			continue
		}
		if r, ok := bySequence[ref.Carried]; ok {
			if err := g.bodies(ctx, g.taken[ledger.Index(r.index)], ref.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// contact takes the last contact that the collector had of the device at the
// moment: the device's word that its last report still held.
func (g *gathering) contact(ctx context.Context, d roster.Device, last signedReport) error {
	if d.Contact.Report < last.statement.Sequence {
		return nil // there never was one
	}
	first := ledger.Index(last.index + 1)
	end, err := g.receivedBy(ctx, first)
	if err != nil {
		return err
	}
	looked := 0
	return g.backwards(ctx, first, end, func(r ledger.Record) (done bool, err error) {
		if r.Envelope.Kind != proof.KindContacts || moment(r.Envelope.ReceivedAt).After(g.q.At) {
			return false, nil
		}
		looked += len(r.Envelope.Sections)
		found, err := g.contactIn(ctx, r, last)
		return found || looked > mostContacts, err
	})
}

// atOnce is how many entries are read at once, backwards.
const atOnce = 256

// backwards visits entries, the last first, until one is what was looked for.
func (g *gathering) backwards(ctx context.Context, first, end ledger.Index, visit func(ledger.Record) (done bool, err error)) error {
	for end > first {
		from := max(first, end-min(end, atOnce))
		records := make([]ledger.Record, 0, atOnce)
		for r, err := range g.Ledger.Entries(ctx, from, end) {
			if err != nil {
				return err
			}
			records = append(records, r)
		}
		for _, r := range slices.Backward(records) {
			if done, err := visit(r); done || err != nil {
				return err
			}
		}
		end = from
	}
	return nil
}

// receivedBy returns the end of the entries that the collector had received by
// the moment, or first if that is none of those from first on.
func (g *gathering) receivedBy(ctx context.Context, first ledger.Index) (ledger.Index, error) {
	var failed error
	n := sort.Search(int(g.size-uint64(first)), func(n int) bool {
		r, err := g.Ledger.Read(ctx, first+ledger.Index(n))
		failed = cmp.Or(failed, err)
		return err != nil || moment(r.Envelope.ReceivedAt).After(g.q.At)
	})
	return first + ledger.Index(n), failed
}

// contactIn takes the last contact of an entry that confirms a report, and
// reports whether there is one.
func (g *gathering) contactIn(ctx context.Context, r ledger.Record, last signedReport) (bool, error) {
	hash := proof.HashReport(last.envelope.Statement)
	for n := range slices.Backward(r.Envelope.Sections) {
		body, err := g.Ledger.Body(ctx, r.Index, n)
		if errors.Is(err, ledger.ErrForgotten) {
			continue
		}
		if err != nil {
			return false, err
		}
		if !bytes.Contains(body, []byte(g.q.Device)) {
			continue
		}
		signed, err := proof.DecodeSignedContact(body)
		if err != nil {
			return false, err
		}
		c, err := proof.DecodeContactStatement(signed.Statement)
		if err != nil {
			return false, err
		}
		if c.Device != string(g.q.Device) || c.Report != last.statement.Sequence || c.Hash != hash {
			continue
		}
		e, err := g.takeRecord(r)
		if err != nil {
			return false, err
		}
		return true, g.body(ctx, e, r, n)
	}
	return false, nil
}

// gaps takes the collector's own word on reports that are missing. They stand
// beside the reports that showed it.
func (g *gathering) gaps(ctx context.Context, enrolment *Entry, reports []signedReport) error {
	before, next, hash := enrolment.Index, uint64(1), proof.Digest{}
	for _, r := range reports {
		if r.statement.Sequence != next || r.statement.Previous != hash {
			if err := g.gapsBetween(ctx, ledger.Index(before), ledger.Index(r.index)); err != nil {
				return err
			}
		}
		before, next, hash = r.index, r.statement.Sequence+1, proof.HashReport(r.envelope.Statement)
	}
	return nil
}

func (g *gathering) gapsBetween(ctx context.Context, after, until ledger.Index) error {
	for r, err := range g.Ledger.Entries(ctx, after+1, until) {
		if err != nil {
			return err
		}
		if r.Envelope.Kind != proof.KindGap || r.Envelope.Subject != string(g.q.Device) {
			continue
		}
		e, err := g.takeRecord(r)
		if err != nil {
			return err
		}
		if err := g.bodies(ctx, e, roster.SectionGap); err != nil {
			return err
		}
	}
	return nil
}

func (g *gathering) take(ctx context.Context, i ledger.Index) (*Entry, error) {
	r, err := g.Ledger.Read(ctx, i)
	if err != nil {
		return nil, err
	}
	return g.takeRecord(r)
}

func (g *gathering) takeRecord(r ledger.Record) (*Entry, error) {
	if e, ok := g.taken[r.Index]; ok {
		return e, nil
	}
	p, err := g.Ledger.ProveInclusion(r.Index, g.size)
	if err != nil {
		return nil, err
	}
	e := &Entry{Index: uint64(r.Index), Envelope: r.Encoded, Path: append([]proof.Digest{}, p.Path...), Sections: []Section{}}
	g.taken[r.Index] = e
	return e, nil
}

// bodies takes the sections of these names that came with an entry and were
// not forgotten.
func (g *gathering) bodies(ctx context.Context, e *Entry, names ...string) error {
	r, err := g.Ledger.Read(ctx, ledger.Index(e.Index))
	if err != nil {
		return err
	}
	for n, ref := range r.Envelope.Sections {
		if !slices.Contains(names, ref.Name) {
			continue
		}
		if err := g.body(ctx, e, r, n); err != nil {
			return err
		}
	}
	return nil
}

func (g *gathering) body(ctx context.Context, e *Entry, r ledger.Record, n int) error {
	if slices.ContainsFunc(e.Sections, func(s Section) bool { return s.Number == n }) {
		return nil
	}
	s, err := g.Ledger.Section(ctx, r, n)
	if errors.Is(err, ledger.ErrForgotten) {
		return nil
	}
	if err != nil {
		return err
	}
	e.Sections = append(e.Sections, Section{Number: n, Salt: s.Salt[:], Body: s.Body})
	return nil
}

func (g *gathering) entries() []Entry {
	list := make([]Entry, 0, len(g.taken))
	for _, e := range g.taken {
		slices.SortFunc(e.Sections, func(a, b Section) int { return a.Number - b.Number })
		list = append(list, *e)
	}
	slices.SortFunc(list, func(a, b Entry) int { return int(int64(a.Index) - int64(b.Index)) })
	return list
}
