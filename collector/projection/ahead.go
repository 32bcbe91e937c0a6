package projection

import (
	"context"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// Reports are examined ahead, some at a time: what each depends on is found in
// the ledger's order, they are read and judged by several workers, and what was
// found is then applied strictly in order. A report of which something turned
// out different, such as its assignment, is examined again in its turn: looking
// ahead saves time and makes no difference.
const (
	// window is how many entries are looked at ahead.
	window = 64
	// aheadMost is how many findings the reports that were examined ahead may
	// hold between them, so that a few huge ones cannot fill the memory.
	aheadMost = 50_000
)

// chain is the reports of one device among some entries, in order.
type chain struct {
	memory *memory
	asks   []ask
}

type ask struct {
	question
	record ledger.Record
	found  *examined
}

// look examines the reports among some entries. What fails is left to be done
// in its turn, where the failure is told.
func (f *folder) look(ctx context.Context, tx *view.Tx, items []item) error {
	f.ahead = nil
	if f.workers < 2 {
		return nil
	}
	chains, asks, err := f.plan(ctx, tx, items)
	if err != nil || asks < 2 {
		return err
	}
	var findings atomic.Int64
	var g errgroup.Group
	g.SetLimit(f.workers)
	for _, c := range chains {
		g.Go(func() error {
			for i := range c.asks {
				a := &c.asks[i]
				x, err := examine(ctx, f.school.Ledger, &a.record, a.question, c.memory)
				if err != nil || findings.Add(int64(len(x.findings))) > aheadMost {
					return nil //nolint:nilerr // it is examined again in its turn, and fails there
				}
				a.found, c.memory = x, x.memory
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	f.ahead = make(map[ledger.Index]*examined, asks)
	for _, c := range chains {
		for _, a := range c.asks {
			if a.found != nil {
				f.ahead[a.record.Index] = a.found
			}
		}
	}
	return nil
}

// plan finds what each report among some entries depends on.
func (f *folder) plan(ctx context.Context, tx *view.Tx, items []item) (map[posture.DeviceID]*chain, int, error) {
	chains := map[posture.DeviceID]*chain{}
	last := map[posture.DeviceID]uint64{}
	asks := 0
	for _, i := range items {
		if i.bad != nil || i.record.Envelope.Kind != proof.KindReport {
			continue
		}
		st, err := proof.DecodeReportStatement(i.record.Envelope.Statement)
		if err != nil {
			continue // said in its turn
		}
		id := posture.DeviceID(st.Device)
		c := chains[id]
		var before []view.Place
		if c == nil {
			row, _, err := tx.Device(id)
			if err != nil {
				return nil, 0, err
			}
			c = &chain{memory: f.memories.of[id]}
			chains[id], last[id], before = c, row.LastReport, row.Places
		}
		if n := len(c.asks); n > 0 {
			before = c.asks[n-1].places
		}
		if st.Sequence <= last[id] {
			continue
		}
		last[id] = st.Sequence
		q, err := f.question(ctx, tx, id, before, st, i.record)
		if err != nil {
			return nil, 0, err
		}
		c.asks = append(c.asks, ask{question: q, record: i.record})
		asks++
	}
	return chains, asks, nil
}
