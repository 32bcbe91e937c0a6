package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/restricted"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// casebook is a school's restricted incidents, as far as they are in clear. It
// is folded from the ledger, and in no view: what lists and pages are made of
// knows nothing of them.
type casebook struct {
	still atomic.Pointer[map[posture.DeviceID]bool] // devices that are held

	mu     sync.Mutex // guards all below
	book   *restricted.Book
	acts   map[ledger.Index]string // the incident of each act
	read   int                     // of the acts that the roster knows of
	broken error                   // an act cannot be read
}

// cases calls f with the school's restricted incidents as they are now. Nothing
// else is recorded about them meanwhile.
func (s *school) cases(ctx context.Context, f func(*restricted.Book) error) error {
	b := &s.casebook
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := s.readCases(ctx); err != nil {
		return err
	}
	return f(b.book)
}

// readCases takes in what was recorded since. It is called with mu held.
func (s *school) readCases(ctx context.Context) error {
	b := &s.casebook
	if err := s.roster.CatchUp(ctx); err != nil {
		return err
	}
	if b.book == nil {
		b.book, b.acts = restricted.NewBook(s.ID), map[ledger.Index]string{}
	}
	for _, i := range s.roster.Sealed(b.read) {
		act, err := s.sealed(ctx, i)
		_, corrupt := errors.AsType[*ledger.CorruptError](err)
		switch {
		case corrupt:
			b.broken = err
		case errors.Is(err, ledger.ErrForgotten):
		case errors.Is(err, errNoAct):
			b.acts[i] = "" // kept, and counts for nothing
		case err != nil:
			return err
		default:
			b.book.Take(act)
			b.acts[i] = act.Case
		}
		b.read++
	}
	still := map[posture.DeviceID]bool{}
	for _, h := range b.book.Held() {
		if h.On.Device != "" {
			still[h.On.Device] = true
		}
	}
	b.still.Store(&still)
	return nil
}

// forget has everything read anew. It is called with mu held.
func (b *casebook) forget() { b.book, b.acts, b.read, b.broken = nil, nil, 0, nil }

// errNoAct says that this version does not understand an act.
var errNoAct = errors.New("an act of a later version")

// sealed reads an act.
func (s *school) sealed(ctx context.Context, i ledger.Index) (restricted.Act, error) {
	r, err := s.ledger.Read(ctx, i)
	if err != nil {
		return restricted.Act{}, err
	}
	body, err := s.ledger.Body(ctx, i, 0)
	if err != nil {
		return restricted.Act{}, err
	}
	act, err := restricted.Parse(body, uint64(i)+1, time.UnixMilli(int64(r.Envelope.ReceivedAt)).UTC())
	if err != nil {
		return act, fmt.Errorf("%w: %w", errNoAct, err)
	}
	return act, nil
}

// Still reports whether nothing may be asked of a device, or given to it,
// because it is held.
func (s *school) Still(id posture.DeviceID) bool {
	still := s.casebook.still.Load()
	return still != nil && (*still)[id]
}

// seal records an act. It is called within cases. What is recorded looks, in
// clear, as any decision does: of views that which is kept for two years, of
// everything else that which is kept for six.
func (s *school) seal(ctx context.Context, body []byte, view bool, now time.Time) (ledger.Index, error) {
	section := proof.Section{Name: decision.Section, Class: proof.Incidents, Body: body}
	if view {
		section.Class = proof.People
	}
	if _, err := rand.Read(section.Salt[:]); err != nil {
		return 0, fmt.Errorf("salt a decision: %w", err)
	}
	at, err := s.ledger.Append(ctx, roster.Maker{School: s.ID, Intake: intakeName}.Entry(proof.KindDecision, "", now, section))
	if err != nil {
		return 0, err
	}
	return at[0], s.readCases(ctx)
}
