package retention

import (
	"context"
	"fmt"
	"time"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// Entries is the part of a ledger that is read to find what a school said about how
// long things are kept.
type Entries interface {
	Read(ctx context.Context, i ledger.Index) (ledger.Record, error)
	Body(ctx context.Context, i ledger.Index, section int) ([]byte, error)
}

// said takes in what an entry says about how long things are kept. What this version
// does not understand changes nothing.
func said(body []byte, where Chosen, times Times, chosen map[Item]Chosen) {
	t, err := Decode(body)
	if err != nil {
		return
	}
	for i, span := range t {
		times[i], chosen[i] = span, where
	}
}

// ReadChoice reads how long a school keeps what, and where it said so, from the
// entries in which it did, in the order of the ledger. It is what Read finds in the
// whole record.
func ReadChoice(ctx context.Context, l Entries, entries []ledger.Index) (Times, map[Item]Chosen, error) {
	times, chosen := Usual(), map[Item]Chosen{}
	for _, i := range entries {
		r, err := l.Read(ctx, i)
		if err != nil {
			return nil, nil, fmt.Errorf("read how long things are kept: %w", err)
		}
		for n, ref := range r.Envelope.Sections {
			if ref.Name != Section || ref.Class != proof.Kept {
				continue
			}
			body, err := l.Body(ctx, i, n)
			if err != nil {
				return nil, nil, fmt.Errorf("read how long things are kept: %w", err)
			}
			said(body, Chosen{i, time.UnixMilli(int64(r.Envelope.ReceivedAt)).UTC()}, times, chosen)
		}
	}
	return times, chosen, nil
}
