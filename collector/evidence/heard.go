package evidence

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/proof"
)

const dayLong = 24 * time.Hour

// dayOf is the day of a time by the collector's clock, as the ledger's own days
// are: those of which retention keeps the last contact.
func dayOf(t time.Time) int64 { return t.UnixMilli() / dayLong.Milliseconds() }

// heard takes the last contact of each day that the collector had by the
// moment: the device's word that it was there and that nothing had changed. It
// takes the revocation too, if it finds it on the way.
func (g *gathering) heard(ctx context.Context, enrolment *Entry) error {
	first := ledger.Index(enrolment.Index + 1)
	end, err := g.receivedBy(ctx, first, g.q.At)
	if err != nil {
		return err
	}
	from := min(end, max(first, ledger.Index(g.q.Folded)))
	known := map[int64]ledger.Record{}
	for _, p := range g.q.Heard {
		if p.Entry >= g.size || p.Entry < uint64(first) {
			continue
		}
		r, err := g.Ledger.Read(ctx, ledger.Index(p.Entry))
		if err != nil {
			return err
		}
		switch received := moment(r.Envelope.ReceivedAt); {
		case !received.After(g.q.At):
			if err := g.known(ctx, r, p.Section); err != nil {
				return err
			}
			known[dayOf(received)] = r
		case dayOf(received) == dayOf(g.q.At): // it may have been heard from before, on the moment's day
			midnight := time.UnixMilli(dayOf(g.q.At) * dayLong.Milliseconds())
			start, err := g.receivedBy(ctx, first, midnight.Add(-time.Millisecond))
			if err != nil {
				return err
			}
			from = min(from, start)
		}
	}
	if i := g.q.Revoked; i >= uint64(first) && i < g.size {
		r, err := g.Ledger.Read(ctx, ledger.Index(i))
		if err == nil {
			err = g.revocation(ctx, r)
		}
		if err != nil {
			return err
		}
	}
	return g.look(ctx, from, end, known)
}

// look looks through entries for the last contact of each of their days, which
// takes the place of one that is known of the same day.
func (g *gathering) look(ctx context.Context, from, end ledger.Index, known map[int64]ledger.Record) error {
	looked, found := 0, map[int64]bool{}
	return g.backwards(ctx, from, end, func(r ledger.Record) (done bool, err error) {
		received := moment(r.Envelope.ReceivedAt)
		if received.After(g.q.At) {
			return false, nil
		}
		if r.Envelope.Kind == proof.KindDecision {
			return false, g.revocation(ctx, r)
		}
		day := dayOf(received)
		was, ok := known[day]
		if r.Envelope.Kind != proof.KindContacts || g.q.apart(r.Index) || found[day] || ok && was.Index > r.Index {
			return false, nil
		}
		if looked += len(r.Envelope.Sections); looked > mostContacts {
			return false, errors.New("what is shown of the school is too far behind its record: try again when it has caught up")
		}
		n, err := g.contactIn(ctx, r)
		if err != nil || n < 0 {
			return false, err
		}
		if ok && was.Index != r.Index {
			delete(g.taken, was.Index)
		}
		found[day] = true
		e, err := g.takeRecord(r)
		if err != nil {
			return false, err
		}
		return false, g.body(ctx, e, r, n)
	})
}

// known takes a contact of which the place is known.
func (g *gathering) known(ctx context.Context, r ledger.Record, section int) error {
	if r.Envelope.Kind != proof.KindContacts || section < 0 || section >= len(r.Envelope.Sections) {
		return fmt.Errorf("entry %d holds no contact where one was said to be: make the view again with view rebuild", r.Index)
	}
	mine, err := g.isContact(ctx, r, section)
	switch {
	case errors.Is(err, ledger.ErrForgotten):
		return nil
	case err != nil:
		return err
	case !mine:
		return fmt.Errorf("entry %d holds a contact of another device where one of this was said to be: make the view again with view rebuild", r.Index)
	}
	e, err := g.takeRecord(r)
	if err != nil {
		return err
	}
	return g.body(ctx, e, r, section)
}

// contactIn returns the place of the device's last contact in an entry, or -1.
func (g *gathering) contactIn(ctx context.Context, r ledger.Record) (int, error) {
	for n := range slices.Backward(r.Envelope.Sections) {
		mine, err := g.isContact(ctx, r, n)
		if errors.Is(err, ledger.ErrForgotten) {
			continue
		}
		if mine || err != nil {
			return n, err
		}
	}
	return -1, nil
}

// isContact reports whether a section is a contact of the device.
func (g *gathering) isContact(ctx context.Context, r ledger.Record, n int) (bool, error) {
	s, err := g.Ledger.Section(ctx, r, n)
	if err != nil || !bytes.Contains(s.Body, []byte(g.q.Device)) {
		return false, err
	}
	signed, err := proof.DecodeSignedContact(s.Body)
	if err != nil {
		return false, err
	}
	c, err := proof.DecodeContactStatement(signed.Statement)
	return err == nil && c.Device == string(g.q.Device), err
}

// revocation takes an entry if it revokes the device, up to the moment.
func (g *gathering) revocation(ctx context.Context, r ledger.Record) error {
	named := func(ref proof.SectionRef) bool { return ref.Name == roster.SectionRevocation }
	if r.Envelope.Kind != proof.KindDecision || r.Envelope.Subject != string(g.q.Device) ||
		!slices.ContainsFunc(r.Envelope.Sections, named) || moment(r.Envelope.ReceivedAt).After(g.q.At) {
		return nil
	}
	e, err := g.takeRecord(r)
	if err != nil {
		return err
	}
	return g.bodies(ctx, e, roster.SectionRevocation)
}

// recovery takes what was recorded last, up to the moment, of whether the
// school holds the recovery key.
func (g *gathering) recovery(ctx context.Context) error {
	for _, i := range slices.Backward(g.q.Recovery) {
		if i >= g.size {
			continue
		}
		r, err := g.Ledger.Read(ctx, ledger.Index(i))
		if err != nil {
			return err
		}
		if r.Envelope.Kind != proof.KindDecision || moment(r.Envelope.ReceivedAt).After(g.q.At) {
			continue
		}
		e, err := g.takeRecord(r)
		if err != nil {
			return err
		}
		return g.bodies(ctx, e, register.Section)
	}
	return nil
}

// receivedBy returns the end of the entries that the collector had received by
// a moment, or first if that is none of those from first on.
func (g *gathering) receivedBy(ctx context.Context, first ledger.Index, at time.Time) (ledger.Index, error) {
	var failed error
	n := sort.Search(int(g.size-uint64(first)), func(n int) bool {
		r, err := g.Ledger.Read(ctx, first+ledger.Index(n))
		failed = cmp.Or(failed, err)
		return err != nil || moment(r.Envelope.ReceivedAt).After(at)
	})
	return first + ledger.Index(n), failed
}
