package exchange

import "context"

// Recorded looks at what the ledger has grown by, and returns what is wrong
// with it.
func (x *Exchange) Recorded(ctx context.Context, acknowledged uint64) (wrong []string, err error) {
	return x.record.Grown(ctx, map[string]uint64{x.Device: acknowledged})
}

// Whole kills both programs and looks at everything that they leave. It
// returns what is wrong.
func (x *Exchange) Whole(ctx context.Context, acknowledged uint64) ([]string, error) {
	for _, p := range []*Process{x.Agent(), x.Collector()} {
		if err := p.Kill(); err != nil {
			return nil, err
		}
	}
	return x.record.Whole(ctx, map[string]uint64{x.Device: acknowledged})
}
