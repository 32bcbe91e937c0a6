package retention

import (
	"testing"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// FuzzWhatToForget reads a class and a month as people write them: what is
// taken is written alike, and is nothing that stays as long as the ledger.
func FuzzWhatToForget(f *testing.F) {
	f.Add("media", "2026-10")
	f.Add("kept", "2026-13")
	f.Add("\u202e", "99999-00")
	f.Fuzz(func(t *testing.T, class, month string) {
		if c, err := ParseClass(class); err == nil && (c.String() != class || c == proof.Kept) {
			t.Errorf("class %q became %s", class, c)
		}
		if m, err := ledger.ParseMonth(month); err == nil && m.String() != month {
			t.Errorf("month %q became %s", month, m)
		}
	})
}
