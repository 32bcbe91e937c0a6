package ledger_test

import (
	"testing"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/ledger/ledgertest"
)

func TestConformance(t *testing.T) {
	ledgertest.Test(t, func(t *testing.T, dir string) ledgertest.Ledger {
		l, err := ledger.Open(dir, ledgertest.Options(t))
		if err != nil {
			t.Fatal(err)
		}
		return l
	})
}

// TestConformanceSmall rolls segments and saves snapshots all the time.
func TestConformanceSmall(t *testing.T) {
	ledgertest.Test(t, func(t *testing.T, dir string) ledgertest.Ledger {
		o := ledgertest.Options(t)
		o.SegmentBytes, o.SnapshotEvery, o.BatchBytes, o.PendingBytes = 3000, 4, 2000, 4000
		l, err := ledger.Open(dir, o)
		if err != nil {
			t.Fatal(err)
		}
		return l
	})
}
