package evidence

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// Twice is a time in which two machines answered to the device's name: nothing
// that was said in it was taken in, and which of them had made the reports
// before it is not known.
type Twice struct {
	Entry   uint64    `json:"entry"`   // that noticed it
	At      time.Time `json:"at"`      // when, by the collector's clock
	Settled uint64    `json:"settled"` // the entry by which they were told apart; 0: they were not by the moment
	Until   time.Time `json:"until,omitzero"`
}

// twices takes the entries that say that two machines answered to the name, and
// those by which they were told apart.
func (g *gathering) twices(ctx context.Context) error {
	spans := slices.Clone(g.q.Twice)
	for r, err := range g.Ledger.Entries(ctx, ledger.Index(min(g.q.Folded, g.size)), ledger.Index(g.size)) {
		if err != nil {
			return err
		}
		tells, err := g.tellsOfTwo(ctx, r)
		if err != nil {
			return err
		}
		if tells {
			spans = append(spans, Apart{From: uint64(r.Index) + 1}) // or the end of one, which open finds out
		}
	}
	for _, s := range spans {
		for _, at := range []uint64{s.From, s.To} {
			if at == 0 || at > g.size {
				continue
			}
			r, err := g.Ledger.Read(ctx, ledger.Index(at-1))
			if err != nil {
				return err
			}
			if moment(r.Envelope.ReceivedAt).After(g.q.At) {
				continue
			}
			e, err := g.takeRecord(r)
			if err == nil {
				err = g.bodies(ctx, e, roster.SectionDoubt, admission.Section)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// tellsOfTwo reports whether an entry says that two machines answer to the
// device's name, or which of them keeps it.
func (g *gathering) tellsOfTwo(ctx context.Context, r ledger.Record) (bool, error) {
	e := r.Envelope
	if e.Subject != string(g.q.Device) {
		return false, nil
	}
	if e.Kind == proof.KindGap {
		return has(e, roster.SectionDoubt), nil
	}
	body, ok, err := g.decided(ctx, r, admission.Section)
	if err != nil || !ok {
		return false, err
	}
	c, err := admission.Decode(body)
	return err == nil && c.What == admission.TellApart && c.Keeps, nil
}

func has(e proof.Envelope, section string) bool {
	return slices.ContainsFunc(e.Sections, func(s proof.SectionRef) bool { return s.Name == section })
}

// addDoubt takes in that two machines answered to the name, or that they were
// told apart by their firmware.
func (o *opened) addDoubt(e entry, body []byte) error {
	d, err := roster.DecodeDoubt(body)
	switch {
	case err != nil:
		return err
	case d.Device != o.bundle.Device:
		return fmt.Errorf("it doubts %.70q", string(d.Device))
	case d.What == roster.DoubtNoticed && o.inDoubt():
	case d.What == roster.DoubtNoticed:
		o.doubted = append(o.doubted, Twice{Entry: e.index, At: moment(e.envelope.ReceivedAt)})
	case d.What == roster.DoubtSettled:
		o.settle(e)
	}
	return nil
}

// addApart takes in that somebody told two machines apart.
func (o *opened) addApart(e entry, body []byte) error {
	c, err := admission.Decode(body)
	switch {
	case err != nil:
		return err
	case c.What != admission.TellApart || c.Device != o.bundle.Device || !c.Keeps:
		return errors.New("it tells no machines of that name apart")
	}
	o.settle(e)
	return nil
}

// inDoubt reports whether two machines answer to the name as far as was read.
func (o *opened) inDoubt() bool {
	n := len(o.doubted)
	return n > 0 && o.doubted[n-1].Settled == 0
}

func (o *opened) settle(e entry) {
	if o.inDoubt() {
		last := &o.doubted[len(o.doubted)-1]
		last.Settled, last.Until = e.index, moment(e.envelope.ReceivedAt)
	}
}

// twice says what two machines with one name leave of the answer.
func (o *opened) twice(s *Sheet) {
	if s.Twice = o.doubted; len(o.doubted) == 0 {
		return
	}
	last := o.doubted[len(o.doubted)-1]
	n := len(o.reports)
	switch {
	case last.Settled == 0:
		s.State, s.Why, s.Since = NotProven, "two machines answered to its name, and nobody knew which of them had said what", time.Time{}
	case n == 0 || o.reports[n-1].index < last.Settled:
		s.State, s.Why, s.Since = NotProven, "two machines had answered to its name, and it had not reported since they were told apart", time.Time{}
	}
	s.NotKnown = append(s.NotKnown, "which of two machines made the reports that came before "+last.At.UTC().Format("2 January 2006 15:04 UTC"))
}
