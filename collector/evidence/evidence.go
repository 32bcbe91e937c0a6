// Package evidence answers for one device, or for a school, at one moment, or for
// the report of a school's year, and
// proves the answer: what the device's own signed reports say of its encryption,
// since when, what is missing, and what cannot be known.
//
// A bundle holds the entries that the answer rests on with their proofs, and
// the answer itself. It is sealed with the school's key once and never changed.
// The package reads the ledger and decides nothing; the answer follows from the
// entries alone, so that whoever verifies a bundle works it out again.
package evidence

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// Format is the version of bundles that are made of a device or a school. Those of
// the first version are read as they were. shared/docs/formats.md describes them.
const Format = 2

// Document is the kind of the signed document that seals a bundle.
const Document = "evidence"

// headlines are the first lines of sealed bundles, by their format.
func headlines() []string {
	return []string{1: "caretaker evidence v1", 2: "caretaker evidence v2", 3: "caretaker evidence v3"}
}

// Bundle is everything that proves one answer: about a device, or about a
// school. What the first format did not have is left out of it.
type Bundle struct {
	Format     int              `json:"format"`
	School     posture.SchoolID `json:"school"`
	SchoolName string           `json:"schoolName"`
	Key        string           `json:"key"`              // of the school, as signed notes write it
	Device     posture.DeviceID `json:"device,omitempty"` // none: it is about the school
	At         time.Time        `json:"at"`               // the moment that is asked about
	MadeAt     time.Time        `json:"madeAt"`           // by the collector's clock
	MadeBy     string           `json:"madeBy"`
	Asset      string           `json:"asset,omitempty"`    // its tag in the school's register
	Zone       string           `json:"zone,omitempty"`     // in which whoever asked reads times
	Aware      time.Time        `json:"aware,omitzero"`     // when the school became aware of what it asks for
	TellBy     time.Time        `json:"tellBy,omitzero"`    // until when the regulator must be told: 72 hours later
	Silence    int64            `json:"silence,omitempty"`  // seconds without a word of it after which the school's policy calls a device not proven
	Checkpoint string           `json:"checkpoint"`         // signed by the school; every entry is in its tree
	Entries    []Entry          `json:"entries"`            // in the order of the ledger
	Sheet      Sheet            `json:"sheet,omitzero"`     // of a device
	Position   *Position        `json:"position,omitempty"` // of a school
	Year       *YearSheet       `json:"year,omitempty"`     // of the report of a school's year
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

// Question is what is asked about a device.
type Question struct {
	Device posture.DeviceID
	At     time.Time // the moment, such as when the device was lost
	Aware  time.Time // when the school became aware; zero: that does not matter
	Zone   string    // in which times are read; may be empty
	By     string    // who asks
	Now    time.Time
	Found
}

// Found is where the ledger keeps what would take long to look for. What is
// said wrongly here is refused or found by looking, and never believed.
type Found struct {
	Heard    []Place  // the last contact of each day on which the device was heard from, oldest first
	Revoked  uint64   // the entry that revokes the device; 0: none is known
	Asset    string   // the device's tag in the school's register; "": it has none
	Recovery []uint64 // entries that say whether the school holds that asset's recovery key, oldest first
	Policies []Policy // of the school
	Folded   uint64   // entries of the ledger of which all this takes account: later ones are looked at
	// Apart are the times in which the device was marked lost: what came then
	// proves nothing about it, for whoever had it could make it say anything.
	Apart []Apart
	// Twice are the times in which two machines answered to its name: from the
	// entry that noticed it to the one by which they were told apart.
	Twice []Apart
	// Disputed are entries that say that a fact about the device is wrong, or answer
	// that.
	Disputed []uint64
}

// Apart is a stretch of the ledger, from the entry that marks a device lost to
// the one by which it was found, both counted from 1; To is 0 if it was not.
type Apart struct{ From, To uint64 }

// apart reports whether an entry came while the device was lost.
func (f Found) apart(i ledger.Index) bool {
	at := uint64(i) + 1
	return slices.ContainsFunc(f.Apart, func(a Apart) bool { return at > a.From && (a.To == 0 || at < a.To) })
}

// Place is where a section is in the ledger.
type Place struct {
	Entry   uint64
	Section int
}

// Policy is a policy that the school published.
type Policy struct {
	Number  uint64
	Entry   uint64
	Silence time.Duration // after which a device that says nothing is not proven
}

// usualSilence is after how long without a word a device is not proven where
// its policy does not say.
const usualSilence = 14 * 24 * time.Hour

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
	g := gathering{School: s, q: q, size: checkpoint.Size, taken: map[ledger.Index]*Entry{}, silence: usualSilence}
	if err := g.all(ctx, device); err != nil {
		return nil, fmt.Errorf("gather evidence about %s: %w", q.Device, err)
	}
	b := &Bundle{
		Format: Format, School: s.ID, SchoolName: s.Name, Key: s.Key.String(), Device: q.Device,
		At: q.At, MadeAt: q.Now, MadeBy: q.By, Asset: q.Asset, Zone: q.Zone, Silence: int64(g.silence / time.Second),
		Checkpoint: string(note), Entries: g.entries(),
	}
	if !q.Aware.IsZero() {
		b.Aware = q.Aware.UTC().Truncate(time.Millisecond)
		b.TellBy = incident.TellBy(b.Aware)
	}
	b.Sheet, err = Answer(b)
	return b, err
}

// Seal returns the bundle as a file of three lines: what it is, the bundle as
// JSON, and in base64 the school's signature over all before it.
func (b *Bundle) Seal(key *identity.SchoolKey) ([]byte, error) {
	body, err := json.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("write evidence about %s: %w", b.about(), err)
	}
	file := slices.Concat([]byte(headlines()[b.Format]+"\n"), body, []byte("\n"))
	sum := sha256.Sum256(file)
	seal, err := key.SignDocument(Document, sum[:])
	if err != nil {
		return nil, fmt.Errorf("seal evidence about %s: %w", b.about(), err)
	}
	if file = append(base64.StdEncoding.AppendEncode(file, seal), '\n'); len(file) > maxBundle {
		return nil, fmt.Errorf("seal evidence about %s: it would have %d bytes, and nobody reads more than %d", b.about(), len(file), maxBundle)
	}
	return file, nil
}

// about names what a bundle is about.
func (b *Bundle) about() string {
	if b.Year != nil {
		return string(b.School) + "-" + b.Year.Year
	}
	return cmp.Or(string(b.Device), string(b.School))
}
