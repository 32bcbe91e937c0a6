package projection

import (
	"context"
	"iter"

	"github.com/caretaker-school/caretaker/collector/ledger"
)

// UpTo returns the first entries of a ledger as a ledger of their own: folding
// it gives the view as it was when there were no more.
func UpTo(s Source, size uint64) Source { return prefix{s, size} }

// prefix is a ledger's first entries. Bodies that were forgotten since are
// forgotten here too.
type prefix struct {
	Source
	size uint64
}

func (p prefix) Size() uint64 { return min(p.size, p.Source.Size()) }

func (p prefix) Entries(ctx context.Context, first, end ledger.Index) iter.Seq2[ledger.Record, error] {
	return p.Source.Entries(ctx, first, min(end, ledger.Index(p.size)))
}

// Follow yields what there is, and waits for no more: none will come.
func (p prefix) Follow(ctx context.Context, first ledger.Index) iter.Seq2[ledger.Record, error] {
	return p.Entries(ctx, first, ledger.Index(p.size))
}
